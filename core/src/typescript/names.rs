//! Names of a document as identifiers, texts as literals and comments. What stands in a document never becomes code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Words that can't be the name of a type or a function, or mean something else where this file is read.
const TAKEN: &str = " abstract any arguments as asserts assert async await bigint boolean break case catch class const continue debugger \
    declare default delete do else enum eval export extends false finally for from function get if implements import in infer \
    instanceof interface intrinsic is keyof let module namespace never new null number object of out override package private protected \
    public readonly require return satisfies set static string super switch symbol this throw true try type typeof undefined unique unknown \
    using var void while with yield NaN Infinity globalThis \
    AbortSignal Array AsyncGenerator AsyncIterable Blob BodyInit Date Error FormData Headers JSON Map Math Number Object Promise \
    RangeError Readonly Record RequestCredentials RequestInit Response Set String TextDecoder TypeError URLSearchParams Uint8Array \
    clearTimeout crypto encodeURIComponent fetch setTimeout \
    Answered Arguments CallOptions Chosen ChosenOf Client ClientOptions Endpoint F Head Kept LONGEST_EVENT Meta Reading Refused StreamEnded \
    StreamEvent Tail Token Unexpected UnknownProblem addressOf backoff call createClient documentedBase ended eventsOf forget isProblem keep \
    keptFor newKey pause pauseBefore \
    requestOf resultOf ";

/// Bytes of an identifier.
const LONGEST: usize = 100;

/// All identifiers of a file: no two are the same.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
    /// What comes behind a name that is wanted once more.
    next: BTreeMap<String, usize>,
}

impl Names {
    /// The identifier that is nearest to this, and nobody's yet.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let wanted = if is_taken(wanted) { format!("{wanted}_") } else { wanted.to_owned() };
        let mut name = wanted.clone();
        let number = self.next.entry(wanted.clone()).or_insert(2);
        while !self.taken.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            *number += 1;
        }
        name
    }
}

fn is_taken(name: &str) -> bool {
    TAKEN.contains(&format!(" {name} "))
}

/// Whether it can stand as it is.
pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || "_$".contains(c))
        && text.len() <= LONGEST
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_$".contains(c))
}

/// `film-page` as `FilmPage`; what is an identifier stays as it is.
pub(super) fn type_name(text: &str) -> String {
    if is_identifier(text) { text.to_owned() } else { joined(text, true) }
}

/// `get film` as `getFilm`.
pub(super) fn function_name(text: &str) -> String {
    if is_identifier(text) { text.to_owned() } else { joined(text, false) }
}

/// With a capital letter, for what belongs to a function.
pub(super) fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Its letters and digits, word by word. Where there are none, its code points.
fn joined(text: &str, first_is_capital: bool) -> String {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut out = String::new();
    for (number, word) in words.iter().enumerate() {
        out.push_str(&if number == 0 && !first_is_capital { (*word).to_owned() } else { capital(word) });
    }
    if out.is_empty() {
        text.chars().take(8).for_each(|c| _ = write!(out, "U{:x}", u32::from(c)));
    }
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out.truncate(LONGEST);
    out
}

/// A text as a literal of the language. JSON is one; what ends a line in old editors or a script in HTML is written by its number.
pub(super) fn literal(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").replace("</", "<\\/")
}

/// A name of a field: as it is, or as a literal.
pub(super) fn key(text: &str) -> String {
    if is_identifier(text) { text.to_owned() } else { literal(text) }
}

/// For a comment that ends with its line. Of a script in HTML it is no end either.
pub(super) fn one_line(text: &str) -> String {
    text.replace("</", "<\\/")
        .chars()
        .map(|c| if c.is_control() || "\u{2028}\u{2029}".contains(c) { ' ' } else { c })
        .collect()
}

/// A comment before a declaration, indented by so many spaces; none of nothing.
pub(super) fn comment(text: &str, indent: usize, out: &mut String) {
    let space = " ".repeat(indent);
    let lines: Vec<String> = text.trim().lines().map(|line| one_line(line).replace("*/", "*\\/")).collect();
    match lines.as_slice() {
        [] => {}
        [one] if one.is_empty() => {}
        [one] => _ = writeln!(out, "{space}/** {} */", one.trim_end_matches('*').trim_end()),
        lines => {
            let _ = writeln!(out, "{space}/**");
            lines.iter().for_each(|line| _ = writeln!(out, "{}", format!("{space} * {line}").trim_end()));
            let _ = writeln!(out, "{space} */");
        }
    }
}
