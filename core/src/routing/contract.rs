//! What the host itself shows to a client, and to whom.

use crate::settings::FromValue;
use toml::de::DeValue;

/// `openapi = true`, or `openapi = { scope = "contract" }`: who may see what this client may ask and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contract {
    Nobody,
    Everybody,
    /// Callers whose token has this scope.
    Scope(String),
}

impl Contract {
    pub(super) fn shows(&self) -> bool {
        *self != Self::Nobody
    }

    /// The scope that a token has to have.
    pub fn scope(&self) -> Option<&str> {
        match self {
            Self::Scope(scope) => Some(scope),
            Self::Nobody | Self::Everybody => None,
        }
    }
}

impl FromValue for Contract {
    fn expected() -> String {
        "true, or { scope = \"contract\" } with the scope that a token has to have".into()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        if let Some(shown) = value.as_bool() {
            return Some(Ok(if shown { Self::Everybody } else { Self::Nobody }));
        }
        let table = value.as_table()?;
        let scope = table.get("scope").and_then(|scope| scope.get_ref().as_str());
        // As RFC 6749, section 3.3, has it.
        let is_scope = |scope: &&str| {
            !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
        };
        Some(match scope.filter(is_scope) {
            Some(scope) if table.len() == 1 => Ok(Self::Scope(scope.to_owned())),
            _ => Err(format!("expected {}", Self::expected())),
        })
    }
}

/// What the host itself shows to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page<'a> {
    /// `/openapi.json`.
    Document,
    /// `/problems`, and with a name `/problems/NAME`.
    Problems(Option<&'a str>),
    /// What an agent's token has to be for, and who gives it.
    Resource,
}

impl<'a> Page<'a> {
    pub(super) fn at(path: &'a str) -> Option<Self> {
        match path {
            "/openapi.json" => Some(Self::Document),
            "/problems" => Some(Self::Problems(None)),
            _ => path.strip_prefix("/problems/").map(|name| Self::Problems(Some(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Mistakes};
    use std::path::Path;

    fn read(value: &str) -> Result<Contract, String> {
        let (mistakes, text) = (Mistakes::new(), format!("openapi = {value}"));
        let read = {
            let document = Document::parse(Path::new("weft.toml"), &text, &mistakes);
            document.table(&mistakes).optional("openapi")
        };
        read.ok_or_else(|| mistakes.into_sorted().first().map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn who_sees_a_document_is_read_and_nonsense_refused() {
        assert_eq!(read("true"), Ok(Contract::Everybody));
        assert_eq!(read("false"), Ok(Contract::Nobody));
        assert_eq!(read("{ scope = \"contract\" }"), Ok(Contract::Scope("contract".to_owned())));
        for bad in [
            "\"yes\"",
            "{}",
            "{ scope = \"\" }",
            "{ scope = \"a b\" }",
            "{ scope = \"a\", more = 1 }",
            "{ scope = 1 }",
            "1",
        ] {
            let mistake = read(bad).unwrap_err();
            assert!(mistake.contains("openapi") && mistake.contains("{ scope = \"contract\" }"), "{bad}: {mistake}");
        }
    }
}
