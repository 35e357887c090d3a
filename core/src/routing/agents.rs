//! `[[client]] mcp`: the client's endpoints as tools for agents.

use crate::{
    artifact::Auth,
    settings::{ByteSize, FromValue, Table},
};
use http::{HeaderMap, HeaderValue, Uri, header, uri::Authority};
use toml::de::DeValue;

/// Where the metadata of a protected resource stands (RFC 9728, section 3.1), before the resource's own path.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// Bytes of a result, if nothing else is said: what models can read of it ends sooner.
const RESULT: ByteSize = ByteSize(256 << 10);

/// `mcp = "/mcp"`, or `mcp = { path = "/mcp", write = true, … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agents {
    /// Behind the client's prefix.
    pub path: String,
    /// Whether there are tools that change something.
    pub writes: bool,
    /// Whether an agent has to show a token.
    pub auth: Auth,
    /// The scope that its token has to have.
    pub scope: Option<String>,
    /// What its token has to be for. None where nobody has a token.
    pub resource: Option<Resource>,
    /// Bytes of a result.
    pub result: usize,
}

/// What tokens are for (RFC 8707): the URI by which agents know the place where they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub uri: String,
    authority: String,
    /// Scheme and authority, as browsers say where a page is from.
    origin: String,
    /// Where its metadata stands.
    pub metadata: String,
}

/// One of the two forms of `mcp`.
enum Form {
    Path(String),
    Table,
}

impl FromValue for Form {
    fn expected() -> String {
        "a path such as \"/mcp\", or { path = \"/mcp\", write = true }".into()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        match value {
            DeValue::String(path) => Some(Ok(Self::Path(path.to_string()))),
            DeValue::Table(_) => Some(Ok(Self::Table)),
            _ => None,
        }
    }
}

impl Agents {
    /// `host`: the client's, by which it may be known. `verifies`: whether this host can tell who calls.
    pub(super) fn read(table: &Table<'_>, host: Option<&str>, verifies: bool) -> Option<Self> {
        let auth = if verifies { Auth::Required } else { Auth::Optional };
        let agents = match table.optional::<Form>("mcp")? {
            Form::Path(path) => {
                let resource = default_resource(host, &path);
                Self { path, writes: false, auth, scope: None, resource, result: RESULT.as_usize() }
            }
            Form::Table => Self::read_table(&table.table("mcp"), host, auth),
        };
        if let Err(reason) = check_path(&agents.path) {
            table.mistake("mcp", reason);
        }
        if !verifies && (agents.auth == Auth::Required || agents.scope.is_some()) {
            table.mistake("mcp", "a token is asked for, and there is no [identity] to verify one");
        }
        if verifies && agents.auth != Auth::None && agents.resource.is_none() {
            let text = "`resource` is missing: the URI of this place, which an agent's token has to be for, such as \
                        \"https://api.example.com/mcp\"";
            table.mistake("mcp", text);
        }
        Some(agents)
    }

    fn read_table(table: &Table<'_>, host: Option<&str>, auth: Auth) -> Self {
        let path: String = table.required("path").unwrap_or_else(|| "/mcp".to_owned());
        let resource: Option<String> = table.optional("resource");
        let resource = match resource {
            Some(uri) => Resource::read(&uri).map_err(|reason| table.mistake("resource", reason)).ok(),
            None => default_resource(host, &path),
        };
        let scope: Option<String> = table.optional("scope");
        let scope = scope.filter(|scope| {
            let is_scope = is_scope(scope);
            if !is_scope {
                table.mistake("scope", format!("{scope:?} is no scope: one word, without quotes (RFC 6749)"));
            }
            is_scope
        });
        let auth = table.or("auth", auth);
        if auth != Auth::Required && scope.is_some() {
            table.mistake("scope", "goes with auth = \"required\": who shows no token has no scope");
        }
        Self {
            path,
            writes: table.or("write", false),
            auth,
            scope,
            resource,
            result: table.within("result", RESULT, ByteSize(1 << 10), ByteSize(16 << 20)).as_usize(),
        }
    }

    /// Whether a page may speak to it: of the same origin, or one of those that the client's `cors` names. What is no page says no origin.
    pub fn takes_origin(&self, headers: &HeaderMap, is_named: impl Fn(&HeaderValue) -> bool) -> bool {
        let own = |origin: &HeaderValue| self.resource.as_ref().is_some_and(|resource| resource.origin == *origin);
        headers.get_all(header::ORIGIN).iter().all(|origin| own(origin) || is_named(origin))
    }
}

/// Where a client has a host name, its agents are known by it.
fn default_resource(host: Option<&str>, path: &str) -> Option<Resource> {
    Resource::read(&format!("https://{}{path}", host?)).ok()
}

/// As RFC 6749, section 3.3, has it.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

fn check_path(path: &str) -> Result<(), String> {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte));
    let segments = path.strip_prefix('/').map(|rest| rest.split('/'));
    if !is_plain || segments.is_none_or(|mut all| all.any(|segment| ["", ".", ".."].contains(&segment))) {
        return Err("expected a path such as \"/mcp\", of letters, digits and `-._~`".to_owned());
    }
    if path == "/openapi.json" || path == "/problems" || path.starts_with("/problems/") {
        return Err(format!("{path} is a page of the host's own: choose another path"));
    }
    Ok(())
}

impl Resource {
    fn read(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a URI such as \"https://api.example.com/mcp\", found {text:?}");
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(expected()) };
        if uri.query().is_some() || text.contains('#') || authority.as_str().contains('@') {
            return Err("the URI has no query, no fragment and no password".to_owned());
        }
        if text.len() > 1 && text.ends_with('/') {
            return Err("the URI does not end with `/`: agents name it without".to_owned());
        }
        let is_this_machine = ["localhost", "127.0.0.1", "[::1]"].contains(&authority.host());
        if scheme != "https" && !(scheme == "http" && is_this_machine) {
            return Err("expected https://…; http:// for this machine only".to_owned());
        }
        let path = if uri.path() == "/" { "" } else { uri.path() };
        let (origin, metadata) = (format!("{scheme}://{authority}"), format!("{WELL_KNOWN}{path}"));
        Ok(Self { uri: text.to_owned(), authority: authority.to_string(), origin, metadata })
    }

    /// Where agents find its metadata.
    pub fn metadata_uri(&self) -> String {
        format!("{}{}", self.origin, self.metadata)
    }

    /// How well a request for metadata is one for this resource's.
    pub(super) fn is_meant(&self, path: &str, authority: Option<&Authority>) -> Option<bool> {
        (self.metadata == path)
            .then(|| authority.is_some_and(|authority| self.authority.eq_ignore_ascii_case(authority.as_str())))
    }
}

/// Whether a path may be one of some resource's metadata.
pub(super) fn is_metadata(path: &str) -> bool {
    path.starts_with(WELL_KNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Mistakes};
    use std::path::Path;

    fn read(value: &str, host: Option<&str>, verifies: bool) -> Result<Agents, String> {
        let (mistakes, text) = (Mistakes::new(), format!("mcp = {value}"));
        let read = {
            let document = Document::parse(Path::new("weft.toml"), &text, &mistakes);
            Agents::read(&document.table(&mistakes), host, verifies)
        };
        let mistakes: Vec<String> = mistakes.into_sorted().iter().map(ToString::to_string).collect();
        read.filter(|_| mistakes.is_empty()).ok_or_else(|| mistakes.join("; "))
    }

    #[test]
    fn a_path_is_enough_where_the_rest_is_known() {
        let short = read("\"/mcp\"", Some("api.example.com"), true).unwrap();
        assert_eq!((short.auth, short.writes, short.result), (Auth::Required, false, 256 << 10));
        let resource = short.resource.unwrap();
        assert_eq!(resource.uri, "https://api.example.com/mcp");
        assert_eq!(resource.metadata_uri(), "https://api.example.com/.well-known/oauth-protected-resource/mcp");
        let open = read("\"/mcp\"", None, false).unwrap();
        assert_eq!((open.auth, open.resource), (Auth::Optional, None));
        let table = "{ path = \"/a/mcp\", write = true, scope = \"agents\", resource = \"http://127.0.0.1:8080/web/a/mcp\", result = \"1MiB\" }";
        let table = read(table, None, true).unwrap();
        assert_eq!((table.writes, table.scope.as_deref(), table.result), (true, Some("agents"), 1 << 20));
        assert_eq!(table.resource.unwrap().metadata, "/.well-known/oauth-protected-resource/web/a/mcp");
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        for (value, verifies, said) in [
            ("true", false, "a path such as \"/mcp\""),
            ("1", false, "a path such as \"/mcp\""),
            ("\"mcp\"", false, "a path such as \"/mcp\""),
            ("\"/\"", false, "a path such as \"/mcp\""),
            ("\"/mcp/\"", false, "a path such as \"/mcp\""),
            ("\"/{mcp}\"", false, "a path such as \"/mcp\""),
            ("\"/../mcp\"", false, "a path such as \"/mcp\""),
            ("\"/openapi.json\"", false, "a page of the host's own"),
            ("\"/problems/mcp\"", false, "a page of the host's own"),
            ("{}", false, "`path` is missing"),
            ("{ path = \"/mcp\", writes = true }", false, "did you mean `write`?"),
            ("{ path = \"/mcp\", result = \"1KiB\", auth = \"required\" }", false, "there is no [identity]"),
            ("{ path = \"/mcp\", result = \"17MiB\" }", false, "expected a value from"),
            ("\"/mcp\"", true, "`resource` is missing"),
            ("{ path = \"/mcp\", resource = \"api.example.com\" }", true, "such as \"https://api.example.com/mcp\""),
            ("{ path = \"/mcp\", resource = \"http://api.example.com/mcp\" }", true, "http:// for this machine only"),
            ("{ path = \"/mcp\", resource = \"https://api.example.com/mcp#x\" }", true, "no fragment"),
            ("{ path = \"/mcp\", resource = \"https://api.example.com/mcp?x\" }", true, "no query"),
            ("{ path = \"/mcp\", resource = \"https://a@api.example.com/mcp\" }", true, "no password"),
            ("{ path = \"/mcp\", resource = \"https://api.example.com/mcp/\" }", true, "does not end with `/`"),
            ("{ path = \"/mcp\", scope = \"a b\", resource = \"https://api.example.com/mcp\" }", true, "is no scope"),
            (
                "{ path = \"/mcp\", auth = \"optional\", scope = \"a\", resource = \"https://api.example.com/mcp\" }",
                true,
                "goes with auth = \"required\"",
            ),
        ] {
            let mistake = read(value, None, verifies).unwrap_err();
            assert!(mistake.contains(said) && mistake.contains("mcp"), "{value}: {mistake}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_not_taken() {
        let agents = read("\"/mcp\"", Some("api.example.com"), true).unwrap();
        let takes = |origins: &[&'static str]| {
            let headers = origins.iter().map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))).collect();
            agents.takes_origin(&headers, |origin| origin == "https://app.example.com")
        };
        assert!(takes(&[]) && takes(&["https://api.example.com"]) && takes(&["https://app.example.com"]));
        for wrong in ["https://evil.example", "null", "", "http://api.example.com", "https://api.example.com:444"] {
            assert!(!takes(&[wrong]), "{wrong}");
        }
        assert!(!takes(&["https://api.example.com", "https://evil.example"]));
    }
}
