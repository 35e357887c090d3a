//! What tokens and mail addresses look like. What only might be one is taken for one: a replaced word costs little.

use std::ops::Range;

/// Beginnings of tokens by which their issuers let them be found.
const BEGINNINGS: [&str; 16] = [
    "sk_",
    "sk-",
    "pk_live_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
];
/// Letters of a word that is nobody's word.
const LONG: usize = 32;
/// Of one that has hexadecimal digits only: more than a UUID has.
const LONG_HEX: usize = 40;

/// The parts of a text that look like something to be replaced, from left to right, each with what it looks like.
pub(super) fn found(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    for word in words(text) {
        let part = text.get(word.clone()).unwrap_or_default();
        if is_mail(part) {
            found.push((word, "looks like a mail address"));
        } else if is_token(part) {
            found.push((word, "looks like a token"));
        }
    }
    found
}

/// Runs of letters that tokens and addresses are made of.
fn words(text: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_alphanumeric() || "-._~+%@=".contains(c);
    let mut words = Vec::new();
    let mut begun = None;
    for (at, c) in text.char_indices() {
        match (is_part(c), begun) {
            (true, None) => begun = Some(at),
            (false, Some(start)) => {
                words.push(start..at);
                begun = None;
            }
            _ => {}
        }
    }
    words.extend(begun.map(|start| start..text.len()));
    // What ends a sentence belongs to no word.
    let trimmed = words.into_iter().map(|word| {
        let part = text.get(word.clone()).unwrap_or_default();
        word.start..word.start + part.trim_end_matches(['.', '=', '-']).len()
    });
    trimmed.filter(|word| !word.is_empty()).collect()
}

pub(super) fn is_mail(word: &str) -> bool {
    let word = word.replace("%40", "@");
    let Some((name, host)) = word.split_once('@') else { return false };
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    !name.is_empty() && labels.len() >= 2 && labels.iter().all(is_label)
}

fn is_token(word: &str) -> bool {
    is_jwt(word)
        || BEGINNINGS.iter().any(|begin| word.starts_with(begin) && word.len() >= begin.len() + 12)
        || is_random(word)
}

/// Three parts in base64url, of which the first begins as JSON does.
fn is_jwt(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() >= 3 && word.starts_with("ey") && parts.iter().take(2).all(|part| part.len() >= 8)
}

/// Long, without a space, and of letters and digits mixed as chance has it.
fn is_random(word: &str) -> bool {
    let longest = word.split(['.', '~', '%', '=']).max_by_key(|part| part.len()).unwrap_or_default();
    let has = |is: fn(&char) -> bool| longest.chars().filter(is).count();
    let (upper, lower, digits) =
        (has(char::is_ascii_uppercase), has(char::is_ascii_lowercase), has(char::is_ascii_digit));
    let is_hex = longest.chars().all(|c| c.is_ascii_hexdigit());
    let is_mixed = upper >= 3 && lower >= 3 && digits >= 3;
    (longest.len() >= LONG && is_mixed) || (longest.len() >= LONG_HEX && is_hex && digits >= 3 && upper + lower >= 3)
}
