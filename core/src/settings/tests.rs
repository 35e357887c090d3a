//! What a person is told about a file with mistakes in it.

use super::*;
use std::{path::Path, time::Duration};

fn mistakes_of(text: &str, read: impl FnOnce(&Table<'_>)) -> Vec<String> {
    let mistakes = Mistakes::new();
    let document = Document::parse(Path::new("weft.toml"), text, &mistakes);
    read(&document.table(&mistakes));
    mistakes.into_sorted().iter().map(ToString::to_string).collect()
}

#[test]
fn all_mistakes_come_at_once_with_line_and_expectation() {
    let text = "[http]\nlisten = \"here\"\ntimeout = 5\nlimit = \"3 apples\"\nlistne = 1\n\n[other]\n";
    let found = mistakes_of(text, |root| {
        let http = root.table("http");
        http.optional::<std::net::SocketAddr>("listen");
        http.optional::<Duration>("timeout");
        http.optional::<ByteSize>("limit");
        http.required::<String>("name");
    });
    assert_eq!(
        found,
        [
            "weft.toml:1: http: `name` is missing: expected a string",
            "weft.toml:2: http.listen: expected an address with a port, such as \"127.0.0.1:8080\", found the string \"here\"",
            "weft.toml:3: http.timeout: expected a duration such as \"300ms\", \"2s\", \"5m\" or \"1h\", found the integer 5",
            "weft.toml:4: http.limit: expected a size such as \"64KiB\", \"32MiB\" or \"1GiB\", found the string \"3 apples\"",
            "weft.toml:5: http.listne: unknown key; did you mean `listen`?",
            "weft.toml:7: other: unknown key; expected one of: http",
        ]
    );
}

#[test]
fn syntax_errors_do_not_hide_other_mistakes() {
    let found = mistakes_of("a = \nb = 1\nc = \"x\n", |root| {
        root.optional::<u16>("a");
        root.optional::<String>("b");
    });
    assert!(found.len() >= 2, "{found:?}");
    assert!(found.iter().any(|m| m.starts_with("weft.toml:2: b: expected a string")), "{found:?}");
}

#[test]
fn what_a_terminal_would_obey_is_shown_as_an_escape() {
    let found = mistakes_of("\"x\\u001b[2J\\ny\" = 1", |_| {});
    assert_eq!(found, ["weft.toml:1: x\\u{1b}[2J\\ny: unknown key"]);
}

#[test]
fn values_have_units() {
    let found = mistakes_of("d = \"1.5s\"\ns = \"2MiB\"\np = \"20%\"\nn = 0x10\nl = [1, 2]", |root| {
        assert_eq!(root.optional("d"), Some(Duration::from_millis(1500)));
        assert_eq!(root.optional("s"), Some(ByteSize(2 << 20)));
        assert_eq!(root.optional("p"), Some(Percent(0.2)));
        assert_eq!(root.optional("n"), Some(16_u16));
        assert_eq!(root.optional("l"), Some(vec![1_u32, 2]));
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn numbers_out_of_range_are_mistakes() {
    let found = mistakes_of("port = 70000\nworkers = 0", |root| {
        root.optional::<u16>("port");
        root.within("workers", 1_u32, 1, 64);
    });
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains("expected a value from 1 to 64, found 0"), "{found:?}");
}
