//! How deep a TOML text goes, before anything is made of it. The parser bounds brackets and the parts of one key each by itself; both
//! together make trees of thousands of tables, which nothing can walk or drop without a stack as deep.

/// Tables and lists in one another. Nobody's file has more than six.
pub(super) const DEEPEST: usize = 64;

/// The offset at which the text goes deeper than it may. Counts each part of a key and each bracket; what is in strings and comments
/// doesn't count.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    // For each open bracket how deep it was on the outside.
    let (mut outside, mut depth, mut rest) = (Vec::new(), 0_usize, text);
    while let Some(c) = rest.chars().next() {
        let offset = text.len() - rest.len();
        rest = match c {
            '"' | '\'' => after_string(rest, c),
            '#' => rest.split_once('\n').map_or("", |_| rest.get(rest.find('\n').unwrap_or(0)..).unwrap_or_default()),
            _ => rest.get(c.len_utf8()..).unwrap_or_default(),
        };
        match c {
            '[' | '{' => {
                outside.push(depth);
                depth += 1;
            }
            ']' | '}' => depth = outside.pop().unwrap_or(0),
            '.' => depth += 1,
            // A key and its value are over.
            ',' | '\n' => depth = outside.last().map_or(0, |outside| outside + 1),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(offset);
        }
    }
    None
}

/// What stands behind the string that `text` begins with.
fn after_string(text: &str, quote: char) -> &str {
    let three = quote.to_string().repeat(3);
    let is_long = text.starts_with(&three);
    let mut chars = text.char_indices().skip(if is_long { 3 } else { 1 });
    while let Some((at, c)) = chars.next() {
        let here = text.get(at..).unwrap_or_default();
        match c {
            '\\' if quote == '"' => drop(chars.next()),
            '\n' if !is_long => return here,
            _ if is_long && here.starts_with(&three) => return here.get(3..).unwrap_or_default(),
            _ if !is_long && c == quote => return here.get(1..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Mistakes};
    use std::path::Path;

    #[test]
    fn text_that_goes_deep_is_a_mistake_and_takes_no_stack() {
        let keys = "a.".repeat(70);
        let mixed = format!("x = {}1{}", format!("{{ {keys}a = ").repeat(70), " }".repeat(70));
        let headers = format!("[{keys}a]\n{keys}b = 1\n");
        let lists = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        let small = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
            for text in [mixed, headers, lists] {
                let mistakes = Mistakes::new();
                drop(Document::parse(Path::new("x.toml"), &text, &mistakes));
                let [mistake] = mistakes.into_sorted().try_into().unwrap();
                assert_eq!((mistake.line, mistake.message.contains("64 deep")), (1, true), "{mistake}");
            }
        });
        small.unwrap().join().unwrap();
    }

    #[test]
    fn strings_comments_and_long_files_do_not_count() {
        let dots = ".[{".repeat(100);
        for text in [
            format!("a = \"{dots}\"\nb = '{dots}'\nc = 1 # {dots}\n"),
            format!("a = \"\\\"{dots}\"\n"),
            format!("a = \"\"\"\n{dots}\n\\\"\"\"\"\nb = '''\n{dots}'''"),
            format!("a = \"open {}\n", "x".repeat(9)),
            "a.b.c = 1.5\n".repeat(1_000),
            format!("a = [{}]", "1.5, ".repeat(1_000)),
            format!("{}\n", "[a.b]\n".repeat(1_000)),
        ] {
            assert_eq!(too_deep(&text), None, "{text}");
        }
    }
}
