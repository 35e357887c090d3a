//! What is seen of `weft dev`: at a terminal one screen, whose first line says what serves; else lines, one after the other.

use super::keys::{self, Terminal};
use crate::cli::{print, tell};
use std::{collections::VecDeque, fmt::Write};

/// Lines of requests and logs that are kept.
const MOST: usize = 500;
/// Of these, so many are seen beside what a compiler says.
const BESIDE: usize = 6;
/// What the first and the last line of the screen, and a line between, are written in.
const GOOD: &str = "\x1b[30;42m";
const BAD: &str = "\x1b[97;41m";
const BUSY: &str = "\x1b[30;43m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";
const KEYS: &str = "r rebuild · o open the last waterfall · q quit";

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Busy,
    Good,
    Bad,
}

/// What is seen.
#[derive(Debug)]
pub(super) struct Show {
    terminal: Option<Terminal>,
    mood: Mood,
    state: String,
    /// What the last build said.
    said: Vec<String>,
    lines: VecDeque<String>,
    is_stale: bool,
}

impl Show {
    pub(super) fn new(terminal: Option<Terminal>) -> Self {
        let (state, said, lines) = Default::default();
        Self { terminal, mood: Mood::Busy, state, said, lines, is_stale: true }
    }

    pub(super) fn is_live(&self) -> bool {
        self.terminal.is_some()
    }

    /// What the first line says.
    pub(super) fn state(&mut self, mood: Mood, state: String) {
        if self.terminal.is_none() {
            if mood == Mood::Bad { tell(&state) } else { print(&state) }
        }
        (self.mood, self.state, self.is_stale) = (mood, state, true);
    }

    /// What the compiler says, in place of what it has said before.
    pub(super) fn said(&mut self, text: &str) {
        if self.terminal.is_none() && !text.is_empty() {
            tell(text.trim_end());
        }
        (self.said, self.is_stale) = (text.trim_end().lines().map(str::to_owned).collect(), true);
    }

    /// One more line.
    pub(super) fn line(&mut self, line: String) {
        if self.terminal.is_none() {
            print(&line);
            return;
        }
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(visible(&line));
        self.is_stale = true;
    }

    /// Once more, whatever there is already: the terminal may have another size, or have shown something else.
    pub(super) fn again(&mut self) {
        if let Some(terminal) = &self.terminal {
            terminal.listen();
        }
        self.is_stale = true;
    }

    /// Draws what is new.
    pub(super) fn draw(&mut self) {
        if self.terminal.is_none() || !std::mem::take(&mut self.is_stale) {
            return;
        }
        let color = match self.mood {
            Mood::Busy => BUSY,
            Mood::Good => GOOD,
            Mood::Bad => BAD,
        };
        // Home, and what was there before is overwritten line by line: the screen does not flicker.
        let mut text = format!("\x1b[H{color}{}{PLAIN}\x1b[K\r\n", self.state);
        for line in self.body(keys::rows().saturating_sub(2)) {
            // Writing to a string can't fail.
            let _ = write!(text, "{line}{PLAIN}\x1b[K\r\n");
        }
        let _ = write!(text, "{DIM}{KEYS}{PLAIN}\x1b[J");
        keys::write(&text);
    }

    /// What the compiler says first, and as many of the last lines as have room; it fills so many rows.
    fn body(&self, rows: usize) -> Vec<String> {
        let beside = if self.said.is_empty() { rows } else { BESIDE.min(self.lines.len()).min(rows / 2) };
        let room = rows.saturating_sub(beside);
        let mut body: Vec<String> = self.said.iter().take(room).cloned().collect();
        if self.said.len() > room && room > 0 {
            body.truncate(room - 1);
            body.push(format!("{DIM}… {} more lines; `weft build` shows them all", self.said.len() - (room - 1)));
        }
        let left = rows.saturating_sub(body.len());
        body.extend(self.lines.iter().skip(self.lines.len().saturating_sub(left)).cloned());
        body.resize(rows, String::new());
        body
    }
}

/// Whatever others have sent moves no cursor.
fn visible(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '�' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(said: usize, lines: usize, rows: usize) -> Vec<String> {
        let mut show = Show::new(None);
        show.said = (0..said).map(|at| format!("error {at}")).collect();
        show.lines = (0..lines).map(|at| format!("line {at}")).collect();
        show.body(rows)
    }

    #[test]
    fn the_last_lines_are_seen_and_what_the_compiler_says_has_most_of_the_room() {
        assert_eq!(body(0, 9, 3), ["line 6", "line 7", "line 8"]);
        assert_eq!(body(1, 9, 4), ["error 0", "line 6", "line 7", "line 8"]);
        assert_eq!(body(0, 1, 3), ["line 0", "", ""]);
        let both = body(9, 9, 6);
        assert_eq!(both[..2], ["error 0", "error 1"]);
        assert!(both[2].contains("… 7 more lines"), "{both:?}");
        assert_eq!(both[3..], ["line 6", "line 7", "line 8"]);
        for rows in 0..5 {
            assert_eq!(body(9, 9, rows).len(), rows);
        }
    }

    #[test]
    fn what_a_request_says_moves_no_cursor() {
        assert_eq!(visible("GET /\x1b[2J\u{9b}a"), "GET /�[2J�a");
    }
}
