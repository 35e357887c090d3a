//! One function an endpoint, with the types of what it takes and gives.

use super::{
    answers::{Answer, answers},
    arguments::Given,
    names::{self, Names},
    operations::{Endpoint, endpoints},
    types::{Types, deprecation},
};
use crate::compat::{Document, Unreadable};
use serde_json::Value;
use std::fmt::Write;

/// The functions' names by their endpoints, `GET /films/{id}`, as [`super::file`] makes them.
///
/// # Errors
/// As [`super::file`].
pub fn function_names(document: &Document) -> Result<Vec<(String, String)>, Unreadable> {
    let mut names = Names::default();
    Types::new(document, &mut names)?;
    let all = endpoints(document, &mut names)?;
    Ok(all.into_iter().map(|it| (format!("{} {}", it.method, it.template), it.function)).collect())
}

pub(super) fn write(
    document: &Document,
    types: &Types<'_>,
    names: &mut Names,
    out: &mut String,
) -> Result<(), Unreadable> {
    for endpoint in endpoints(document, names)? {
        let answers = answers(document, types, &endpoint)?;
        let (streamed, whole): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.is_stream);
        // Problems are answers of both.
        let has_whole = whole.iter().any(|answer| answer.status < 400);
        let problems: Vec<Answer> = whole.iter().filter(|answer| answer.status >= 400).cloned().collect();
        if has_whole || streamed.is_empty() {
            function(document, types, names, &endpoint, &endpoint.function, &whole, out)?;
        }
        if !streamed.is_empty() {
            let name = match has_whole {
                true => names.take(&format!("{}Events", endpoint.function)),
                false => endpoint.function.clone(),
            };
            function(document, types, names, &endpoint, &name, &[streamed, problems].concat(), out)?;
        }
    }
    Ok(())
}

fn function(
    document: &Document,
    types: &Types<'_>,
    names: &mut Names,
    endpoint: &Endpoint<'_>,
    name: &str,
    answers: &[Answer],
    out: &mut String,
) -> Result<(), Unreadable> {
    let (args, result) = (format!("{}Args", names::capital(name)), format!("{}Result", names::capital(name)));
    let (args, result) = (names.take(&args), names.take(&result));
    let given = Given::of(document, types, endpoint)?;
    // What is chosen of the answer is seen in its type.
    let (declared, used) = match &given.fields {
        Some(fields) => {
            let field = names.take(&format!("{}Field", names::capital(name)));
            let _ = writeln!(out, "\n/** What `fields` may name. */\nexport type {field} = {fields};");
            (format!("<F extends {field} = never>"), "<F>")
        }
        None => (String::new(), ""),
    };
    let _ = writeln!(
        out,
        "\nexport type {result}{declared} =\n  | {};",
        members(answers, given.fields.is_some()).join("\n  | ")
    );
    if !given.members.is_empty() {
        let _ = writeln!(out, "\nexport interface {args}{declared} {{\n{}}}", given.members);
    }
    out.push('\n');
    names::comment(&note(endpoint), 0, out);
    let taken = match (given.members.is_empty(), given.is_needed) {
        (true, _) => String::new(),
        (false, true) => format!("args: {args}{used}, "),
        (false, false) => format!("args: {args}{used} = {{}}, "),
    };
    let result = format!("{result}{used}");
    let _ = writeln!(
        out,
        "export function {name}{declared}(client: Client, {taken}options?: CallOptions): Promise<{result}> {{"
    );
    let passed = if given.members.is_empty() { "{}" } else { "args" };
    let _ = writeln!(
        out,
        "  return call<{result}>(client, {}, {passed}, options);\n}}",
        spec(document, endpoint, &given, answers)
    );
    Ok(())
}

/// What may come, each with its statuses; `chooses`: the function has a type `F` of what is chosen.
fn members(answers: &[Answer], chooses: bool) -> Vec<String> {
    let mut found: Vec<(&str, String, Vec<String>)> = Vec::new();
    for answer in answers {
        let kind = if answer.status < 400 { "Answered" } else { "Refused" };
        let text = &answer.text;
        let text = if chooses && answer.is_chosen { format!("Chosen<{text}, F>") } else { text.clone() };
        match found.iter_mut().find(|(other, known, _)| *other == kind && *known == text) {
            Some((_, _, statuses)) if kind == "Answered" => statuses.push(answer.status.to_string()),
            _ => found.push((kind, text, vec![answer.status.to_string()])),
        }
    }
    let text =
        |(kind, text, statuses): (&str, String, Vec<String>)| format!("{kind}<{}, {text}>", statuses.join(" | "));
    found.into_iter().map(text).chain(["Unexpected".to_owned()]).collect()
}

/// What the runtime is told of an endpoint.
fn spec(document: &Document, endpoint: &Endpoint<'_>, given: &Given, answers: &[Answer]) -> String {
    let mut accept: Vec<&str> = Vec::new();
    for media in answers.iter().filter_map(|answer| answer.media.as_deref()) {
        if !accept.contains(&media) {
            accept.push(media);
        }
    }
    let accept = if accept.is_empty() { "*/*".to_owned() } else { accept.join(", ") };
    let readings: Vec<String> = answers.iter().map(|answer| format!("{}: {}", answer.status, answer.reading)).collect();
    let mut out = format!(
        "{{\n    method: {}, path: {}, auth: {}, accept: {},\n    answers: {{ {} }},\n",
        names::literal(&endpoint.method),
        names::literal(&given.template),
        looks_at_callers(document, endpoint.operation),
        names::literal(&accept),
        readings.join(", "),
    );
    if let Some(content) = &given.content {
        let _ = writeln!(out, "    content: {},", names::literal(content));
    }
    if answers.iter().any(|answer| answer.is_stream) {
        out.push_str("    events: eventsOf,\n");
    }
    if given.is_repeatable {
        out.push_str("    repeatable: true,\n");
    }
    out.push_str("  }");
    out
}

fn looks_at_callers(document: &Document, operation: &Value) -> bool {
    let ways = operation.get("security").or_else(|| document.root().get("security")).and_then(Value::as_array);
    ways.is_some_and(|ways| ways.iter().any(|way| way.as_object().is_some_and(|way| !way.is_empty())))
}

fn note(endpoint: &Endpoint<'_>) -> String {
    let text = |key: &str| endpoint.operation.get(key).and_then(Value::as_str).unwrap_or_default().trim();
    let mut parts = vec![text("summary").to_owned(), text("description").to_owned()];
    if parts.first() == parts.get(1) {
        parts.truncate(1);
    }
    parts.push(format!("{} {}", endpoint.method, endpoint.template));
    if endpoint.operation.get("deprecated") == Some(&Value::Bool(true)) {
        parts.push(format!("@deprecated {}", deprecation(endpoint.operation)));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}
