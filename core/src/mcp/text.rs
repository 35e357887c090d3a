//! What others have said, as far as it is said again; and what content is.

/// Characters of it.
const MOST_SHOWN: usize = 100;

/// The beginning of a text, without what could be taken for more than text.
pub(super) fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(MOST_SHOWN).map(visible).collect()
}

/// Whether a kind of content is JSON.
pub(super) fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}
