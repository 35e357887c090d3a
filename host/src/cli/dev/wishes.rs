//! What the person asks for: by keys, and by signals.

use super::keys::{Key, Terminal};
use std::io;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    Rebuild,
    Open,
    /// The terminal has another size, or is ours again.
    Redraw,
}

/// Where wishes come from.
#[derive(Debug)]
pub(super) struct Wishes {
    keys: Option<mpsc::Receiver<Key>>,
    quits: [Signal; 3],
    redraws: [Signal; 2],
}

impl Wishes {
    pub(super) fn new() -> io::Result<Self> {
        // Also where the terminal goes away.
        let quits = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [terminate, interrupt, hangup] = quits.map(signal);
        let [size, goes_on] = [signal(SignalKind::window_change())?, signal(SignalKind::from_raw(CONTINUE))?];
        Ok(Self { keys: None, quits: [terminate?, interrupt?, hangup?], redraws: [size, goes_on] })
    }

    pub(super) fn listen(&mut self, terminal: Option<&Terminal>) {
        self.keys = terminal.map(Terminal::keys);
    }

    pub(super) async fn next(&mut self) -> Wish {
        let Self { keys, quits: [terminate, interrupt, hangup], redraws: [size, goes_on] } = self;
        tokio::select! {
            _ = terminate.recv() => Wish::Quit,
            _ = interrupt.recv() => Wish::Quit,
            _ = hangup.recv() => Wish::Quit,
            _ = size.recv() => Wish::Redraw,
            _ = goes_on.recv() => Wish::Redraw,
            key = pressed(keys) => match key {
                Key::Rebuild => Wish::Rebuild,
                Key::Open => Wish::Open,
                Key::Quit => Wish::Quit,
            },
        }
    }

    /// Until it is to end.
    pub(super) async fn quit(&mut self) {
        while self.next().await != Wish::Quit {}
    }
}

/// Nobody presses one where there is no keyboard.
async fn pressed(keys: &mut Option<mpsc::Receiver<Key>>) -> Key {
    match keys {
        Some(keys) => match keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// A process that was stopped goes on.
const CONTINUE: i32 = rustix::process::Signal::CONT.as_raw();
