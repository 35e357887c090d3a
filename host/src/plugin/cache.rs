//! The plugins' own cache, kept by the host. Keys hold the artifact and the scope, so that neither another plugin, nor another version
//! of this one, nor a caller of another scope can see an entry.

use crate::{
    artifact::Digest,
    model::{Identity, Scope},
    store::Store,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Invalidated tags remembered; beyond, everything is invalidated once and the list begins anew.
const MOST_TAGS: usize = 10_000;

#[derive(Debug)]
pub(super) struct PluginCache {
    store: Store<Key, Entry>,
    tags: Mutex<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    artifact: Digest,
    scope: ScopeKey,
    key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ScopeKey {
    Public,
    Tenant(Arc<str>, Arc<str>),
    Principal(Arc<str>, Arc<str>),
}

#[derive(Debug, Clone)]
struct Entry {
    value: Bytes,
    tags: Vec<String>,
    /// Valid while none of its tags was invalidated after this.
    stored_at: u64,
}

/// A clock that ticks with every invalidation.
#[derive(Debug, Default)]
struct Tags {
    now: u64,
    all_before: u64,
    invalidated: HashMap<(Digest, String), u64>,
}

impl PluginCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { store: Store::new(max_bytes), tags: Mutex::default() }
    }

    fn tags(&self) -> MutexGuard<'_, Tags> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` where the caller can't share in this scope at all.
    fn key(artifact: Digest, scope: Scope, identity: Option<&Identity>, key: String) -> Option<Key> {
        let scope = match (scope, identity) {
            (Scope::Public, _) => ScopeKey::Public,
            (Scope::Tenant, Some(identity)) => ScopeKey::Tenant(identity.issuer.clone(), identity.tenant.clone()?),
            (Scope::Principal, Some(identity)) => {
                ScopeKey::Principal(identity.issuer.clone(), identity.subject.clone())
            }
            (_, None) => return None,
        };
        Some(Key { artifact, scope, key })
    }

    pub(super) fn get(
        &self,
        artifact: Digest,
        scope: Scope,
        identity: Option<&Identity>,
        key: String,
    ) -> Option<Bytes> {
        let entry = self.store.get(&Self::key(artifact, scope, identity, key)?)?;
        let tags = self.tags();
        let valid = entry.stored_at >= tags.all_before
            && entry
                .tags
                .iter()
                .all(|tag| tags.invalidated.get(&(artifact, tag.clone())).is_none_or(|at| *at <= entry.stored_at));
        valid.then_some(entry.value)
    }

    #[expect(clippy::too_many_arguments, reason = "they are the contract's own, and who asks")]
    pub(super) fn set(
        &self,
        artifact: Digest,
        scope: Scope,
        identity: Option<&Identity>,
        key: String,
        value: Vec<u8>,
        ttl: Duration,
        tags: Vec<String>,
    ) {
        let Some(key) = Self::key(artifact, scope, identity, key) else { return };
        let weight = value.len() + key.key.len() + tags.iter().map(|tag| tag.len() + 24).sum::<usize>() + 200;
        let stored_at = self.tags().now;
        self.store.insert(key, Entry { value: value.into(), tags, stored_at }, weight, ttl);
    }

    pub(super) fn delete(&self, artifact: Digest, scope: Scope, identity: Option<&Identity>, key: String) {
        if let Some(key) = Self::key(artifact, scope, identity, key) {
            self.store.remove(&key);
        }
    }

    pub(super) fn invalidate_tag(&self, artifact: Digest, tag: String) {
        let mut tags = self.tags();
        tags.now += 1;
        let now = tags.now;
        if tags.invalidated.len() >= MOST_TAGS {
            tags.invalidated.clear();
            tags.all_before = now;
        }
        tags.invalidated.insert((artifact, tag), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_end_by_time_by_tag_and_by_hand() {
        let cache = PluginCache::new(1 << 20);
        let artifact = Digest::of(b"a");
        let set = |key: &str, tag: &str| {
            let tags = vec![tag.to_owned()];
            cache.set(artifact, Scope::Public, None, key.into(), b"v".to_vec(), Duration::from_secs(10), tags);
        };
        let has = |key: &str| cache.get(artifact, Scope::Public, None, key.into()).is_some();
        set("1", "film");
        set("2", "person");
        cache.invalidate_tag(artifact, "film".into());
        assert_eq!((has("1"), has("2")), (false, true));
        set("1", "film");
        assert!(has("1"), "what is stored after the invalidation is valid");
        cache.delete(artifact, Scope::Public, None, "2".into());
        assert!(!has("2"));
        assert!(cache.get(Digest::of(b"b"), Scope::Public, None, "1".into()).is_none(), "another plugin sees nothing");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!has("1"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_anonymous_shares_a_principals_entry() {
        let cache = PluginCache::new(1 << 20);
        let artifact = Digest::of(b"a");
        cache.set(artifact, Scope::Principal, None, "k".into(), b"v".to_vec(), Duration::from_secs(10), vec![]);
        assert!(cache.get(artifact, Scope::Principal, None, "k".into()).is_none());
    }
}
