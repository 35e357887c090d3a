//! Regular expressions of schemas: which texts match, and one that does.

use super::dice::Dice;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes of a compiled pattern: a schema may come from anybody.
const LARGEST: usize = 1 << 20;
/// Repetitions beyond the least that are made.
const MORE: u32 = 4;
/// Characters of a text that is made.
const LONGEST: usize = 1_000;

/// Schemas mean JavaScript's patterns; what is written alike means nearly the same here, and what is not is refused.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(pattern).size_limit(LARGEST).build();
    compiled.map_err(|_| format!("the pattern `{pattern}` is not understood"))
}

/// A text of the pattern's form; whether it matches is still to be looked at, for anchors in the middle of it.
pub(super) fn text(pattern: &str, dice: &mut Dice) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut text = String::new();
    write(&hir, dice, &mut text);
    (text.chars().count() <= LONGEST).then_some(text)
}

fn write(hir: &Hir, dice: &mut Dice, text: &mut String) {
    if text.len() > LONGEST * 4 {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            // Of what is printable in ASCII, where there is some.
            let ranges = class.ranges().iter().map(|range| (range.start() as u32, range.end() as u32));
            let plain: Vec<_> = ranges
                .clone()
                .map(|(from, to)| (from.max(0x21), to.min(0x7e)))
                .filter(|(from, to)| from <= to)
                .collect();
            let ranges: Vec<_> = if plain.is_empty() { ranges.collect() } else { plain };
            if let Some((from, to)) = dice.pick(&ranges) {
                text.extend(char::from_u32(from + dice.below(to - from + 1)));
            }
        }
        HirKind::Class(Class::Bytes(_)) => {}
        HirKind::Repetition(repetition) => {
            let least = repetition.min.max(u32::from(repetition.max.is_none()));
            let most = repetition.max.unwrap_or(u32::MAX).min(least.saturating_add(MORE));
            for _ in 0..least + dice.below(most.saturating_sub(least) + 1) {
                write(&repetition.sub, dice, text);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, dice, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, dice, text)),
        HirKind::Alternation(parts) => {
            let at = dice.below(parts.len() as u32) as usize;
            parts.get(at).into_iter().for_each(|part| write(part, dice, text));
        }
    }
}
