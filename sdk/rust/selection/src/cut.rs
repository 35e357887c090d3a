//! Members out of a JSON text, without making values of it.

use crate::node::Node;
use std::{borrow::Cow, fmt};

/// Lists in lists, and objects in them, that are looked into.
const DEEPEST: usize = 64;

/// A text that is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJson {
    /// The byte where that shows.
    pub at: usize,
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no JSON at byte {}", self.at)
    }
}

impl std::error::Error for NotJson {}

pub(crate) fn cut(root: &Node, json: &[u8]) -> Result<Vec<u8>, NotJson> {
    let mut cutter = Cutter { json, at: 0, out: Vec::with_capacity(json.len().min(4096)) };
    cutter.value(root, 0)?;
    cutter.space();
    if cutter.at == json.len() { Ok(cutter.out) } else { cutter.wrong() }
}

#[derive(Debug)]
struct Cutter<'a> {
    json: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl<'a> Cutter<'a> {
    fn wrong<T>(&self) -> Result<T, NotJson> {
        Err(NotJson { at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// After spaces.
    fn next(&mut self) -> Option<u8> {
        self.space();
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Of the value that begins here what the node asks for.
    fn value(&mut self, node: &Node, depth: usize) -> Result<(), NotJson> {
        if depth > DEEPEST {
            return self.wrong();
        }
        self.space();
        match self.peek() {
            Some(b'{') if !node.is_whole() => self.object(node, depth),
            Some(b'[') if !node.is_whole() => self.list(node, depth),
            _ => {
                let value = self.skipped()?;
                self.out.extend_from_slice(value);
                Ok(())
            }
        }
    }

    fn object(&mut self, node: &Node, depth: usize) -> Result<(), NotJson> {
        self.at += 1;
        self.out.push(b'{');
        let mut is_first = true;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.out.push(b'}');
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            if self.next() != Some(b':') {
                return self.wrong();
            }
            self.space();
            match name(key).and_then(|name| node.members.get(&*name)) {
                Some(inner) => {
                    if !std::mem::take(&mut is_first) {
                        self.out.push(b',');
                    }
                    self.out.extend_from_slice(key);
                    self.out.push(b':');
                    self.value(inner, depth + 1)?;
                }
                None => drop(self.skipped()?),
            }
            match self.next() {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return self.wrong(),
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn list(&mut self, node: &Node, depth: usize) -> Result<(), NotJson> {
        self.at += 1;
        self.out.push(b'[');
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.out.push(b']');
            return Ok(());
        }
        loop {
            self.value(node, depth + 1)?;
            match self.next() {
                Some(b',') => self.out.push(b','),
                Some(b']') => break,
                _ => return self.wrong(),
            }
        }
        self.out.push(b']');
        Ok(())
    }

    /// A string with its quotes, as it is written.
    fn string(&mut self) -> Result<&'a [u8], NotJson> {
        let from = self.at;
        if self.peek() != Some(b'"') {
            return self.wrong();
        }
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return self.wrong(),
            }
        }
        self.at += 1;
        Ok(self.json.get(from..self.at).unwrap_or_default())
    }

    /// A whole value, as it is written. Nothing is asked of what is inside but that brackets and quotes close.
    fn skipped(&mut self) -> Result<&'a [u8], NotJson> {
        let from = self.at;
        let mut open = 0usize;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if open > 0 => {
                    open -= 1;
                    self.at += 1;
                }
                Some(byte) if open == 0 => {
                    let ends = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte);
                    let rest = self.json.get(self.at..).unwrap_or_default();
                    let length = rest.iter().position(ends).unwrap_or(rest.len());
                    if length == 0 || !(byte.is_ascii_alphanumeric() || byte == b'-') {
                        return self.wrong();
                    }
                    self.at += length;
                }
                Some(_) => self.at += 1,
                None => return self.wrong(),
            }
            if open == 0 {
                return Ok(self.json.get(from..self.at).unwrap_or_default());
            }
        }
    }
}

/// What a string says; `None` where that is no text.
fn name(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    let text = std::str::from_utf8(inner).ok()?;
    if text.contains('\\') { unescaped(text).map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
}

fn unescaped(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            units.extend(letter.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        units.push(match letters.next()? {
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'u' => {
                let rest = letters.as_str();
                let digits = rest.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
                letters = rest.get(4..)?.chars();
                u16::from_str_radix(digits, 16).ok()?
            }
            same @ ('"' | '\\' | '/') => same as u16,
            _ => return None,
        });
    }
    String::from_utf16(&units).ok()
}
