//! What was found, for people, for programs, and for a CI that reads JUnit.

use super::{
    case::Case,
    check::Found,
    stage::Stage,
    verdict::{Check, Kind, Verdict},
};
use crate::settings::visible;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Of one run.
#[derive(Debug)]
pub(super) struct Report<'a> {
    stage: &'a Stage,
    found: &'a Found,
    /// Endpoint to how many cases it has.
    covered: BTreeMap<String, usize>,
    /// Granted methods that nothing has called.
    uncalled: BTreeSet<String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(stage: &'a Stage, cases: &[Case], found: &'a Found) -> Self {
        let endpoints = stage.artifact.manifest.endpoints.iter().map(|policy| policy.name.to_string());
        let count = |name: &String| cases.iter().filter(|case| case.endpoint == *name).count();
        let covered = endpoints.map(|name| (name.clone(), count(&name))).collect();
        let is_called = |method: &&String| {
            found.called.contains(*method) || stage.rules.via(method).is_some_and(|via| found.called.contains(&via))
        };
        let uncalled = stage.artifact.methods.iter().filter(|method| !is_called(method)).cloned().collect();
        Self { stage, found, covered, uncalled }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.found.checks.iter().any(|check| matches!(check.verdict, Verdict::Failed(_)))
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let manifest = &self.stage.artifact.manifest;
        let mut lines = vec![format!("{} {} for client {}", manifest.name, manifest.version, manifest.client)];
        let rules = self.stage.rules.told();
        lines.push(format!("batch rules: {} ({})", self.stage.rules.from, counted(rules.len(), "rule")));
        lines.extend(rules.iter().map(|rule| format!("  {rule}")));
        for (kind, title) in [
            (Kind::Case, "cases"),
            (Kind::Growth, "calls that grow with a list"),
            (Kind::Optional, "one backend away at a time"),
        ] {
            let of_kind: Vec<&Check> = self.found.checks.iter().filter(|check| check.kind == kind).collect();
            if !of_kind.is_empty() {
                lines.push(format!("\n{title}"));
                of_kind.iter().for_each(|check| told(check, &mut lines));
            }
        }
        lines.push(String::new());
        lines.extend(self.coverage());
        lines.push(self.summary());
        visible_lines(&lines)
    }

    fn coverage(&self) -> Vec<String> {
        let without: Vec<&str> =
            self.covered.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name.as_str()).collect();
        let (all, methods) = (self.covered.len(), self.stage.artifact.methods.len());
        let mut lines = vec![format!("endpoints with a case: {} of {all}{}", all - without.len(), none(&without))];
        if methods > 0 {
            let uncalled: Vec<&str> = self.uncalled.iter().map(String::as_str).collect();
            let called = methods - uncalled.len();
            lines.push(format!("granted methods that a case calls: {called} of {methods}{}", none(&uncalled)));
        }
        lines
    }

    fn summary(&self) -> String {
        let count = |is: fn(&Verdict) -> bool| self.found.checks.iter().filter(|check| is(&check.verdict)).count();
        let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
        let untried = count(|verdict| matches!(verdict, Verdict::Untried(_)));
        let passed = count(|verdict| *verdict == Verdict::Passed);
        let more = if untried == 0 { String::new() } else { format!(", {untried} not tried") };
        format!("{passed} passed, {failed} failed{more}")
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let check = |check: &Check| {
            let (verdict, reasons) = parts(&check.verdict);
            json!({
                "kind": check.kind.as_str(), "name": check.name, "endpoint": check.endpoint, "verdict": verdict, "reasons": reasons,
                "file": check.place.as_ref().map(|place| &*place.file), "line": check.place.as_ref().map(|place| place.line),
                "note": check.note, "took_ms": check.took.as_millis() as u64,
            })
        };
        let manifest = &self.stage.artifact.manifest;
        json!({
            "plugin": manifest.name, "version": manifest.version.to_string(), "client": manifest.client,
            "digest": self.stage.artifact.digest.to_string(),
            "rules": { "from": self.stage.rules.from, "rules": self.stage.rules.told() },
            "passed": !self.has_failed(),
            "checks": self.found.checks.iter().map(check).collect::<Vec<_>>(),
            "coverage": { "endpoints": self.covered, "methods_never_called": self.uncalled },
        })
    }

    /// As JUnit writes it: a suite for each kind of check.
    pub(super) fn junit(&self) -> String {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
        for kind in [Kind::Case, Kind::Growth, Kind::Optional] {
            let checks: Vec<&Check> = self.found.checks.iter().filter(|check| check.kind == kind).collect();
            let count = |is: fn(&Verdict) -> bool| checks.iter().filter(|check| is(&check.verdict)).count();
            text += &format!(
                "  <testsuite name=\"{}.{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n",
                escaped(&self.stage.artifact.manifest.name),
                kind.as_str(),
                checks.len(),
                count(|verdict| matches!(verdict, Verdict::Failed(_))),
                count(|verdict| matches!(verdict, Verdict::Untried(_)))
            );
            checks.iter().for_each(|check| text += &test_case(check));
            text += "  </testsuite>\n";
        }
        text + "</testsuites>\n"
    }
}

fn told(check: &Check, lines: &mut Vec<String>) {
    let place = check.place.as_ref().map_or_else(String::new, |place| format!("{}:{}  ", place.file, place.line));
    let (word, reasons) = match &check.verdict {
        Verdict::Passed => ("ok  ", &[][..]),
        Verdict::Failed(reasons) => ("FAIL", reasons.as_slice()),
        Verdict::Untried(reason) => {
            lines.push(format!("  -     {place}{}: {reason}", check.name));
            return;
        }
    };
    let note = if check.note.is_empty() { String::new() } else { format!(": {}", check.note) };
    lines.push(format!("  {word}  {place}{}{note}", check.name));
    lines.extend(reasons.iter().map(|reason| format!("          {reason}")));
}

fn test_case(check: &Check) -> String {
    let seconds = check.took.as_secs_f64();
    let file = check
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!(" file=\"{}\" line=\"{}\"", escaped(&place.file), place.line));
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.3}\"{file}",
        escaped(&check.endpoint),
        escaped(&check.name)
    );
    match &check.verdict {
        Verdict::Passed => format!("{head}/>\n"),
        Verdict::Untried(reason) => {
            format!("{head}>\n      <skipped message=\"{}\"/>\n    </testcase>\n", escaped(reason))
        }
        Verdict::Failed(reasons) => {
            let first = reasons.first().map_or("", String::as_str);
            let all = escaped(&reasons.join("\n"));
            format!("{head}>\n      <failure message=\"{}\">{all}</failure>\n    </testcase>\n", escaped(first))
        }
    }
}

fn parts(verdict: &Verdict) -> (&'static str, Vec<&String>) {
    match verdict {
        Verdict::Passed => ("passed", Vec::new()),
        Verdict::Failed(reasons) => ("failed", reasons.iter().collect()),
        Verdict::Untried(reason) => ("untried", vec![reason]),
    }
}

/// What XML 1.0 can hold, and as it holds it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            c if (c < ' ' && c != '\t') || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn none(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("; missing: {}", names.join(", ")) }
}

/// What a plugin says of itself may hold anything.
fn visible_lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| line.split('\n')).map(|line| visible(line.to_owned())).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_holds_whatever_a_plugin_says() {
        assert_eq!(escaped("<a b=\"c\">&\u{1b}\n"), "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}&#10;");
    }
}
