//! `[telemetry.trace]` of `weft.toml`. Read once, when the host starts.

use crate::{
    model::{TraceFormat, TraceFormats},
    net::{Tls, Trust, is_this_machine},
    settings::{Percent, Secret, Table},
};
use http::{HeaderName, Uri};
use std::{path::Path, time::Duration};

crate::choice! {
    /// How spans are sent.
    pub enum TraceProtocol { Grpc = "grpc", Http = "http" }
}

/// How traces are passed on, and where spans are sent.
#[derive(Debug, Clone)]
pub struct Config {
    pub formats: TraceFormats,
    /// `None`: nothing is recorded.
    pub export: Option<Export>,
}

/// Where spans are sent.
#[derive(Debug, Clone)]
pub struct Export {
    pub endpoint: Uri,
    pub protocol: TraceProtocol,
    /// The share that is recorded of those requests of which no listed peer has said whether to.
    pub ratio: f64,
    /// What the host is called.
    pub service: String,
    /// What the collector asks for, such as a token.
    pub headers: Vec<(HeaderName, Secret)>,
    pub trust: Option<Trust>,
    /// For each batch.
    pub timeout: Duration,
}

impl Config {
    pub fn read(table: &Table<'_>, folder: &Path) -> Self {
        Self { formats: formats(table), export: Export::read(table, folder) }
    }
}

fn formats(table: &Table<'_>) -> TraceFormats {
    let list: Vec<TraceFormat> = table.or("propagation", vec![TraceFormat::W3c]);
    TraceFormats::new(&list).unwrap_or_else(|| {
        table.mistake("propagation", "expected at least one format, and each once");
        TraceFormats::default()
    })
}

impl Export {
    fn read(table: &Table<'_>, folder: &Path) -> Option<Self> {
        let second = Duration::from_secs(1);
        let endpoint: Option<String> = table.optional("endpoint");
        let protocol = table.or("protocol", TraceProtocol::Grpc);
        let Percent(ratio) = table.or("ratio", Percent(1.0));
        let service = table.or("service", "weft".to_owned());
        let headers = headers(&table.table("headers"));
        let trust = trust(&table.table("tls"), folder);
        let timeout = table.within("timeout", second * 10, second / 10, second * 60);
        let Some(text) = endpoint else {
            for key in ["protocol", "ratio", "service", "headers", "tls", "timeout"] {
                if table.has(key) {
                    table.mistake(key, "says how spans are sent, and there is no `endpoint` to send them to");
                }
            }
            return None;
        };
        match uri(&text, !headers.is_empty()) {
            Ok(endpoint) => Some(Self { endpoint, protocol, ratio, service, headers, trust, timeout }),
            Err(reason) => {
                table.mistake("endpoint", reason);
                None
            }
        }
    }
}

/// Secrets travel encrypted; in the clear only where they don't leave the machine.
fn uri(text: &str, has_secrets: bool) -> Result<Uri, String> {
    let form = || format!("expected a URL such as \"http://127.0.0.1:4317\", found {text:?}");
    let uri: Uri = text.parse().map_err(|_| form())?;
    let authority = uri.authority().ok_or_else(form)?;
    if authority.as_str().contains('@') {
        return Err("a URL with a password in it is refused: use `headers`".to_owned());
    }
    match uri.scheme_str() {
        _ if uri.query().is_some() => Err(form()),
        Some("https") => Ok(uri),
        Some("http") if !has_secrets || is_this_machine(&uri) => Ok(uri),
        Some("http") => Err("`headers` hold secrets: expected https://…; http:// to this machine only".to_owned()),
        _ => Err(form()),
    }
}

fn headers(table: &Table<'_>) -> Vec<(HeaderName, Secret)> {
    let mut headers = Vec::new();
    for key in table.names() {
        match HeaderName::try_from(&key) {
            Ok(name) if !name.as_str().starts_with("grpc-") => {
                let secret = table.optional(&key).map(|secret| table.at_hand(&key, secret));
                headers.extend(secret.map(|secret| (name, secret)));
            }
            _ => table.mistake(&key, "expected the name of a header, such as `authorization`"),
        }
    }
    headers
}

fn trust(table: &Table<'_>, folder: &Path) -> Option<Trust> {
    if !table.exists() {
        return None;
    }
    let path = |key: &str| table.optional::<String>(key).map(|path| folder.join(path));
    let (ca, certificate, key) =
        (table.required::<String>("ca").map(|path| folder.join(path)), path("certificate"), path("key"));
    let identity = match (&certificate, &key) {
        (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
        (None, None) => None,
        _ => {
            table.mistake("", "`certificate` and `key` belong together");
            return None;
        }
    };
    match (Tls { ca: &ca?, identity }).read() {
        Ok(trust) => Some(trust),
        Err(reason) => {
            table.mistake("", reason);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Mistakes};

    fn read(text: &str) -> (Config, Vec<String>) {
        let mistakes = Mistakes::new();
        let config = {
            let document = Document::parse(Path::new("weft.toml"), text, &mistakes);
            Config::read(&document.table(&mistakes), Path::new(""))
        };
        (config, mistakes.sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_an_endpoint_nothing_is_recorded() {
        let (config, mistakes) = read("");
        assert!(config.export.is_none() && mistakes.is_empty());
        assert_eq!(config.formats, TraceFormats::default());
        let (config, mistakes) = read(
            "endpoint = \"http://collector:4318\"\nprotocol = \"http\"\nratio = \"5%\"\npropagation = [\"b3\", \"w3c\"]",
        );
        let export = config.export.unwrap();
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!((export.protocol, export.ratio, export.service.as_str()), (TraceProtocol::Http, 0.05, "weft"));
    }

    #[test]
    fn mistakes_are_told_with_what_was_expected() {
        for (text, expected) in [
            ("propagation = []", "at least one"),
            ("propagation = [\"w3c\", \"w3c\"]", "each once"),
            ("propagation = [\"xray\"]", "\"w3c\" | \"b3\" | \"b3-multi\" | \"jaeger\""),
            ("ratio = \"5%\"", "no `endpoint`"),
            ("endpoint = \"collector:4317\"", "such as \"http://127.0.0.1:4317\""),
            ("endpoint = \"ftp://collector\"", "such as"),
            ("endpoint = \"https://a:b@collector\"", "password"),
            ("endpoint = \"http://collector:4317\"\nheaders = { authorization = \"env:PATH\" }", "https://"),
            ("endpoint = \"https://collector\"\nheaders = { authorization = \"env:WEFT_NO_SUCH\" }", "WEFT_NO_SUCH"),
            ("endpoint = \"https://collector\"\nheaders = { \"grpc-timeout\" = \"env:PATH\" }", "name of a header"),
            ("endpoint = \"https://collector\"\ntls = { ca = \"missing.pem\" }", "missing.pem"),
            ("endpoint = \"https://collector\"\ntls = { ca = \"x\", key = \"y\" }", "belong together"),
            ("endpoint = \"https://collector\"\nprotocoll = \"grpc\"", "did you mean `protocol`"),
        ] {
            let (_, mistakes) = read(text);
            assert!(mistakes.iter().any(|mistake| mistake.contains(expected)), "{text}: {mistakes:?}");
        }
    }
}
