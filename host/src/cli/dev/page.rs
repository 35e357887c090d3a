//! The waterfall of a request as a page, and the browser that shows it.

use super::lines;
use crate::observe::Followed;
use serde_json::Value;
use std::process::{Command, Stdio};

/// The page of a request, which looks as the console does.
pub(super) fn of(request: &Followed) -> String {
    let said = lines::of(request);
    let title = format!("{} {}", request.method, request.target);
    let calls = request.calls.as_ref().map(|calls| &calls.waterfall);
    let drawn = calls.and_then(|waterfall| waterfall["waterfall"].as_array()).into_iter().flatten();
    let drawn: Vec<&str> = drawn.filter_map(Value::as_str).collect();
    let whole = calls.map(|waterfall| serde_json::to_string_pretty(waterfall).unwrap_or_default()).unwrap_or_default();
    let what = match (calls, drawn.is_empty()) {
        (None, _) => "No guest ran for it.".to_owned(),
        (Some(_), true) => "It has called nobody.".to_owned(),
        (Some(_), false) => drawn.join("\n"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"/icon.svg\">\n<link rel=\"stylesheet\" href=\"/console.css\">\n</head>\n<body>\n\
         <main>\n<h1>{title}</h1>\n<pre>{}</pre>\n<h2>Waterfall</h2>\n<pre>{}</pre>\n<h2>Calls</h2>\n<pre>{}</pre>\n</main>\n</body>\n</html>\n",
        escaped(&said.join("\n")),
        escaped(&what),
        escaped(&whole),
        title = escaped(&title),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Asks the desktop for a browser; where there is none, the address stands on the screen.
pub(super) fn open(url: String) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        tokio::task::spawn_blocking(move || drop(child.wait()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_a_request_says_stands_in_the_page_as_text() {
        let (endpoint, plugin, cache, calls) = Default::default();
        let page = of(&Followed {
            method: "GET".to_owned(),
            target: "/<script>&\"".to_owned(),
            status: 404,
            took: Duration::ZERO,
            endpoint,
            plugin,
            trouble: Some("<b>".to_owned()),
            cache,
            calls,
        });
        assert!(page.contains("<h1>GET /&lt;script&gt;&amp;&quot;</h1>") && page.contains("No guest ran"), "{page}");
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    }
}
