//! Bounds on a plugin: the lower one of its own and the host's. Whoever meets one is told whose it is and where it stands.

use crate::{model::ProblemType, settings::ByteSize};
use std::{fmt, time::Duration};

/// One key of `[limits]`, in the plugin's file and in the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<T> {
    most: T,
    key: &'static str,
    is_plugins: bool,
}

impl<T: Ord> Bound<T> {
    pub fn new(key: &'static str, plugins: T, hosts: T) -> Self {
        let is_plugins = plugins <= hosts;
        Self { most: if is_plugins { plugins } else { hosts }, key, is_plugins }
    }
}

impl<T: Copy> Bound<T> {
    pub fn most(&self) -> T {
        self.most
    }
}

impl<T> Bound<T> {
    /// The kind of problem that it is, as of calls.
    pub(super) fn kind(&self) -> ProblemType {
        if self.is_plugins { ProblemType::PluginLimit } else { ProblemType::HostLimit }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, most: impl fmt::Display) -> fmt::Result {
        let file = if self.is_plugins { "plugin.toml" } else { "weft.toml" };
        write!(f, "{} = \"{most}\" in [limits] of {file}", self.key)
    }
}

impl fmt::Display for Bound<ByteSize> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.most)
    }
}

impl fmt::Display for Bound<Duration> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, format_args!("{:?}", self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_bound_holds_and_says_whose_it_is() {
        let memory = |plugins, hosts| Bound::new("memory", ByteSize(plugins), ByteSize(hosts));
        let (own, equal, hosts) = (memory(32 << 20, 128 << 20), memory(1 << 30, 1 << 30), memory(5 << 20, 1_500));
        assert_eq!(
            (own.to_string().as_str(), own.kind()),
            ("memory = \"32MiB\" in [limits] of plugin.toml", ProblemType::PluginLimit)
        );
        assert_eq!(
            (equal.to_string().as_str(), equal.kind()),
            ("memory = \"1GiB\" in [limits] of plugin.toml", ProblemType::PluginLimit)
        );
        assert_eq!(
            (hosts.to_string().as_str(), hosts.kind()),
            ("memory = \"1500B\" in [limits] of weft.toml", ProblemType::HostLimit)
        );
        let cpu = Bound::new("cpu", Duration::from_millis(50), Duration::from_secs(1));
        assert_eq!(cpu.to_string(), "cpu = \"50ms\" in [limits] of plugin.toml");
    }
}
