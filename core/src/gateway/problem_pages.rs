//! What each type of problem means, as pages for people: `/problems` and `/problems/NAME`.

use crate::model::ProblemType;
use std::fmt::Write;

/// The page of one type, or the list of all; none where there is no such type.
pub(super) fn page(name: Option<&str>) -> Option<String> {
    match name {
        None => {
            let mut list = String::from("<ul>");
            for kind in ProblemType::ALL {
                // Writing to a string can't fail.
                let _ =
                    write!(list, "<li><a href=\"problems/{0}\"><code>{0}</code></a> {1}", kind.as_str(), kind.title());
            }
            let text = "Errors that the host itself answers with (RFC 9457). Their <code>type</code> is \
                        <code>urn:weft:problem:</code> and one of these names.";
            Some(whole("Problems", &format!("<p>{text}</p>{list}</ul>")))
        }
        Some(name) => {
            let kind = ProblemType::ALL.iter().find(|kind| kind.as_str() == name)?;
            let statuses: Vec<&str> = kind.statuses().iter().map(http::StatusCode::as_str).collect();
            let text = format!(
                "<p><code>{}</code>, status {}</p><p>{}.</p><p><a href=\"../problems\">All problems</a></p>",
                kind.uri(),
                statuses.join(", "),
                prose(kind.meaning())
            );
            Some(whole(kind.title(), &text))
        }
    }
}

fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>body{{font:1rem/1.6 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem}}</style>\
         <main><h1>{title}</h1>{body}</main></html>\n"
    )
}

/// The little Markdown of the table: `code` between backticks.
fn prose(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let parts = escaped.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::model::ProblemType;

    #[test]
    fn every_type_has_a_page_and_nothing_else_has() {
        let all = page(None).unwrap();
        for kind in ProblemType::ALL {
            let page = page(Some(kind.as_str())).unwrap();
            assert!(page.contains(&kind.uri()) && all.contains(&format!("problems/{}\"", kind.as_str())));
            assert!(!page.contains('`'), "{page}");
        }
        for none in ["", "nonsense", "<script>", "busy/"] {
            assert_eq!(page(Some(none)), None);
        }
    }
}
