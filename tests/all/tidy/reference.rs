//! Pages that are made of the code, and the table of contents that has all pages.

use super::source::sources;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
};
use weft_tests::repository;

const METRICS: &str = "docs/reference/metrics.md";
const CONTENTS: &str = "docs/SUMMARY.md";

/// Those that are collected when somebody asks: their kind and labels stand in no type.
const COLLECTED: [(&str, &str, &str); 5] = [
    ("endpoints", "gauge", "`backend`, `state`"),
    ("discovery_up", "gauge", "`backend`, `source`"),
    ("discovery_set_timestamp_seconds", "gauge", "`backend`, `source`"),
    ("discovery_failures", "counter", "`backend`, `source`"),
    ("discovery_skipped", "gauge", "`backend`, `source`, `reason`"),
];

/// A metric as the code registers it.
#[derive(Debug)]
struct Metric {
    name: String,
    kind: String,
    labels: String,
    help: String,
}

/// The telemetry's code, one text.
fn code() -> String {
    let files = sources(&repository().join("core/src/telemetry"));
    files.into_iter().map(|source| source.text).collect()
}

fn metrics() -> Vec<Metric> {
    let code = code();
    let labels: BTreeMap<&str, &str> = code
        .split("labels!(")
        .skip(1)
        .filter_map(|part| part.split_once("*/ ")?.1.split_once(" }")?.0.split_once(" { "))
        .collect();
    let registered = code.split("r.register").skip(1).filter_map(|part| {
        let part = part.split(");").next()?;
        let mut texts = part.split('"').skip(1).step_by(2);
        let (name, help) = (texts.next()?, texts.next()?);
        Some(metric(&code, &labels, (name, help), part))
    });
    let mut all: Vec<Metric> = registered.collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn metric(code: &str, labels: &BTreeMap<&str, &str>, (name, help): (&str, &str), registered: &str) -> Metric {
    let help = help.trim_end_matches('.').to_owned();
    if let Some((name, kind, labels)) = COLLECTED.iter().find(|(collected, ..)| *collected == name) {
        return Metric { name: full(name, "", kind), kind: (*kind).to_owned(), labels: (*labels).to_owned(), help };
    }
    let field = registered.split("self.").nth(1).map_or(name, |rest| rest.split('.').next().unwrap());
    let declared = [format!("\n    pub {field}: "), format!("\n    {field}: ")];
    let declared = declared.iter().filter_map(|start| code.split(start.as_str()).nth(1));
    let declared = declared.map(|rest| rest.split('\n').next().unwrap()).find(|ty| ty.ends_with(','));
    let ty = declared.unwrap_or_else(|| panic!("{name}: there is no field {field}"));
    let kind = ["Counter", "Histogram", "Timed", "Gauge", "Seconds"].into_iter().find(|kind| ty.contains(kind));
    let kind = match kind.unwrap_or_else(|| panic!("{name}: {ty}")) {
        "Counter" => "counter",
        "Gauge" | "Seconds" => "gauge",
        _ => "histogram",
    };
    let by = ty.split_once('<').and_then(|(_, rest)| labels.get(rest.split([',', '>']).next()?));
    let by = by.map(|names| names.split(", ").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
    let unit = [("Unit::Seconds", "_seconds"), ("Unit::Bytes", "_bytes")];
    let unit = unit.iter().find(|(unit, _)| registered.contains(unit)).map_or("", |(_, ending)| ending);
    Metric { name: full(name, unit, kind), kind: kind.to_owned(), labels: by.unwrap_or_default(), help }
}

fn full(name: &str, unit: &str, kind: &str) -> String {
    format!("weft_{name}{unit}{}", if kind == "counter" { "_total" } else { "" })
}

/// With `WEFT_BLESS=1` it is written anew.
#[test]
fn the_page_of_metrics_is_what_the_code_registers() {
    let metrics = metrics();
    assert!(metrics.len() > 30, "{metrics:?}");
    let mut page = "# Metrics\n\nAll of them, as the code registers them. Which of them to watch, and what they tell: \
                    [Operations](../operators/operations.md#what-to-watch).\n\n| metric | kind | by | what |\n|---|---|---|---|\n"
        .to_owned();
    for Metric { name, kind, labels, help } in &metrics {
        writeln!(page, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    let file = repository().join(METRICS);
    if std::env::var_os("WEFT_BLESS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == page,
        "{METRICS} is not what the code says: write it by WEFT_BLESS=1"
    );
}

/// What readers of the site find, they find by it.
#[test]
fn the_table_of_contents_has_every_page_once() {
    let folder = repository().join("docs");
    let summary = fs::read_to_string(repository().join(CONTENTS)).unwrap();
    let links: Vec<&str> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let listed: BTreeSet<String> = links.iter().map(|link| (*link).to_owned()).collect();
    assert_eq!(listed.len(), links.len(), "a page is listed twice");
    let (mut there, mut folders) = (BTreeSet::new(), vec![folder.clone()]);
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") && !path.ends_with(CONTENTS) {
                there.insert(path.strip_prefix(&folder).unwrap().display().to_string());
            }
        }
    }
    let missing: Vec<_> = there.difference(&listed).collect();
    assert!(missing.is_empty(), "{CONTENTS} lacks {missing:?}");
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(gone.is_empty(), "{CONTENTS} has pages that are not there: {gone:?}");
}
