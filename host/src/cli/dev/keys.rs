//! The terminal while it is listened to: keys come one by one and are not shown, and everything is as before once this is gone.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use tokio::sync::mpsc;

/// Another screen, without a cursor, on which long lines are cut.
const BEGIN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const END: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Rebuild,
    Open,
    Quit,
}

impl Key {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b'r' | b'R' => Some(Self::Rebuild),
            b'o' | b'O' => Some(Self::Open),
            b'q' | b'Q' => Some(Self::Quit),
            _ => None,
        }
    }
}

/// Somebody sits before it.
#[derive(Debug)]
pub(super) struct Terminal {
    before: Termios,
}

impl Terminal {
    /// None where input or output is no terminal.
    pub(super) fn take() -> Option<Self> {
        if !(stdin().is_terminal() && stdout().is_terminal()) {
            return None;
        }
        let terminal = Self { before: tcgetattr(stdin()).ok()? };
        terminal.listen();
        write(BEGIN);
        Some(terminal)
    }

    /// Ctrl-C goes on to be a signal, and lines to begin at the left.
    pub(super) fn listen(&self) {
        let mut modes = self.before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        // A terminal that refuses it shows what is typed.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
    }

    /// Keys as they are pressed.
    pub(super) fn keys(&self) -> mpsc::Receiver<Key> {
        let (to, keys) = mpsc::channel(16);
        // It waits for ever for a key, and ends with the process.
        std::thread::spawn(move || {
            for byte in stdin().lock().bytes().map_while(Result::ok) {
                if Key::of(byte).is_some_and(|key| to.blocking_send(key).is_err()) {
                    break;
                }
            }
        });
        keys
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        write(END);
        // Nobody is left to be told.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows of the terminal.
pub(super) fn rows() -> usize {
    tcgetwinsize(stdout()).map_or(24, |size| usize::from(size.ws_row)).max(3)
}

pub(super) fn write(text: &str) {
    let mut out = stdout().lock();
    // With nowhere to write to there is nobody to tell.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
