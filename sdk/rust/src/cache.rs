//! The plugin's own cache: kept by the host, bounded, gone when the host stops, and never needed for correctness.
//!
//! Replies of backends are cached by the host already; this is for what the plugin makes of them.
//!
//! ```
//! # use std::time::Duration;
//! # use weft_sdk::cache;
//! # fn expensive() -> Vec<u32> { vec![] }
//! let top = match cache::public().get::<Vec<u32>>("top") {
//!     Some(top) => top,
//!     None => {
//!         let top = expensive();
//!         cache::public().set("top", &top, Duration::from_secs(60));
//!         top
//!     }
//! };
//! ```

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host;

/// Who may share an entry. The host keeps the scopes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This caller only.
    Principal,
    /// Callers of the same tenant.
    Tenant,
    /// Everybody.
    Public,
}

/// Entries that only this caller sees.
pub fn principal() -> Cache {
    Cache { scope: Scope::Principal }
}

/// Entries that callers of one tenant share.
pub fn tenant() -> Cache {
    Cache { scope: Scope::Tenant }
}

/// Entries that all callers share. Put nothing here that was made for one of them.
pub fn public() -> Cache {
    Cache { scope: Scope::Public }
}

/// Removes all entries of this plugin that carry `tag`, in every scope.
pub fn invalidate_tag(tag: &str) {
    host::cache_invalidate_tag(tag);
}

/// The plugin's entries of one scope.
#[derive(Debug, Clone, Copy)]
pub struct Cache {
    scope: Scope,
}

impl Cache {
    /// An entry, read as JSON. What cannot be read, say because an older version wrote it, is as good as absent.
    pub fn get<T: DeserializeOwned>(self, key: &str) -> Option<T> {
        serde_json::from_slice(&self.get_bytes(key)?).ok()
    }

    /// Stores an entry as JSON.
    pub fn set<T: Serialize>(self, key: &str, value: &T, ttl: Duration) {
        self.set_tagged(key, value, ttl, &[]);
    }

    /// Stores an entry as JSON, to be removed by [`invalidate_tag`] with any of these tags.
    pub fn set_tagged<T: Serialize>(self, key: &str, value: &T, ttl: Duration, tags: &[&str]) {
        // A value that has no JSON is not stored: a cache may forget.
        if let Ok(value) = serde_json::to_vec(value) {
            self.set_bytes(key, &value, ttl, tags);
        }
    }

    /// An entry as it was stored.
    pub fn get_bytes(self, key: &str) -> Option<Vec<u8>> {
        host::cache_get(self.scope, key)
    }

    /// Stores an entry as it is.
    pub fn set_bytes(self, key: &str, value: &[u8], ttl: Duration, tags: &[&str]) {
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        host::cache_set(self.scope, key, value, ttl, &tags);
    }

    /// Removes an entry.
    pub fn delete(self, key: &str) {
        host::cache_delete(self.scope, key);
    }
}
