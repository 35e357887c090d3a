//! One line of a log is one event, whatever stands in it: what comes from outside can neither begin a line of its own, nor command a
//! terminal, nor turn text round.

use std::{
    fmt::{self, Write},
    io,
};
use tracing_subscriber::fmt::MakeWriter;

/// Controls (C0, DEL, C1), what ends a line in some eyes, and what changes the direction of text
/// (Unicode, UAX #9; "Trojan Source", CVE-2021-42574).
fn is_trouble(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Writes text with all trouble as `\n`, `\u{1b}` and the like.
pub(super) struct Escaped<W>(pub(super) W);

impl<W: Write> Write for Escaped<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_trouble(*c)) {
            let (before, after) = rest.split_at(at);
            self.0.write_str(before)?;
            write!(self.0, "{}", c.escape_default())?;
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        self.0.write_str(rest)
    }
}

/// Standard error for lines of JSON: what JSON lets stand in a string is escaped as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonLines;

impl<'a> MakeWriter<'a> for JsonLines {
    type Writer = JsonLine;

    fn make_writer(&'a self) -> JsonLine {
        JsonLine
    }
}

pub(super) struct JsonLine;

impl io::Write for JsonLine {
    /// Events come whole, each with its newline.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(in_json(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A newline ends a line of JSON, and never stands inside of one.
fn in_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_trouble(c) {
            out.push(c);
        } else {
            // All of them lie in the first plane. Writing to a string can't fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        Escaped(&mut out).write_str(text).unwrap();
        out
    }

    #[test]
    fn nothing_begins_a_line_or_commands_a_terminal_or_turns_text_round() {
        assert_eq!(escaped("all is well – naïve 日本"), "all is well – naïve 日本");
        assert_eq!(escaped("a\r\nb\x1b[2Jc"), "a\\r\\nb\\u{1b}[2Jc");
        assert_eq!(
            escaped("\u{85}\u{9b}\u{2028}\u{202e}\u{2066}\u{7f}"),
            r"\u{85}\u{9b}\u{2028}\u{202e}\u{2066}\u{7f}"
        );
        assert_eq!(in_json("{\"a\":\"\u{2028}\u{9b}x\u{202e}\"}\n"), "{\"a\":\"\\u2028\\u009bx\\u202e\"}\n");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_one_plain_line(text in any::<String>()) {
            prop_assert!(!escaped(&text).chars().any(is_trouble));
            let line = serde_json::json!({ "message": text }).to_string();
            let told: serde_json::Value = serde_json::from_str(&in_json(&line)).unwrap();
            prop_assert_eq!(told["message"].as_str().unwrap(), text);
        }
    }
}
