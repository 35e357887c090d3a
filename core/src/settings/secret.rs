//! Secrets by reference: a configuration names where a secret is, and never holds it.

use super::FromValue;
use std::{fmt, path::PathBuf};
use toml::de::DeValue;

/// `"env:NAME"` or `"file:PATH"`. Read once, when the host starts.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Env(String),
    File(PathBuf),
    /// Takes the place of one that is not there, where nothing is started.
    StandIn,
}

impl Secret {
    /// `None`: it names no place.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("env", name) if !name.is_empty() => Some(Self::Env(name.to_owned())),
            ("file", path) if !path.is_empty() => Some(Self::File(path.into())),
            _ => None,
        }
    }

    /// The secret, without white space around it. The message says where it was looked for.
    pub fn read(&self) -> Result<String, String> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| format!("the environment has no {name}")),
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display())),
            Self::StandIn => Ok("stand-in".to_owned()),
        };
        let text = text?.trim().to_owned();
        if text.is_empty() {
            return Err(format!("{self:?} is empty"));
        }
        Ok(text)
    }

    /// Whether there is nothing at all where it should be, which may be as it should be on the machine that this runs on.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Env(name) => std::env::var_os(name).is_none(),
            Self::File(path) => !path.exists(),
            Self::StandIn => false,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::StandIn => f.write_str("stand-in"),
        }
    }
}

impl FromValue for Secret {
    fn expected() -> String {
        "where the secret is: \"env:NAME\" or \"file:PATH\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        Self::parse(value.as_str()?).map(Ok)
    }
}
