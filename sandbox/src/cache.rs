//! The plugins' own cache, kept by the host. Keys hold the artifact and the scope, so that neither another plugin, nor another version
//! of this one, nor a caller of another scope can see an entry.

use bytes::Bytes;
use std::time::Duration;
use weft_core::{
    model::{Digest, ShareKey},
    store::{Generations, Store},
};

#[derive(Debug)]
pub(super) struct PluginCache {
    store: Store<Key, Entry>,
    generations: Generations,
}

/// Who asks for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    artifact: Digest,
    who: ShareKey,
    key: String,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Bytes,
    tags: Vec<String>,
    generation: u64,
}

impl Key {
    pub(super) fn new(artifact: Digest, who: ShareKey, key: String) -> Self {
        Self { artifact, who, key }
    }

    /// Tags of one plugin are its own, and one group: `DIGEST/TAG`.
    fn own(&self, tag: &str) -> String {
        own_tag(self.artifact, tag)
    }
}

fn own_tag(artifact: Digest, tag: &str) -> String {
    format!("{}/{tag}", artifact.hex())
}

impl PluginCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { store: Store::new(max_bytes), generations: Generations::default() }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Bytes> {
        let entry = self.store.get(key)?;
        let is_true = self.generations.is_true(entry.generation, entry.tags.iter().map(String::as_str));
        is_true.then_some(entry.value)
    }

    /// To be taken when a request begins: what it stores was true then at best.
    pub(super) fn now(&self) -> u64 {
        self.generations.now()
    }

    /// `since`: [`PluginCache::now`] when the request began that has made the value.
    pub(super) fn set(&self, key: Key, value: Vec<u8>, ttl: Duration, tags: &[String], since: u64) {
        let tags: Vec<String> = tags.iter().map(|tag| key.own(tag)).collect();
        let weight = value.len() + key.key.len() + tags.iter().map(|tag| tag.len() + 24).sum::<usize>() + 200;
        // What an invalidation has made untrue meanwhile does not take the place of what is true.
        if self.generations.is_true(since, tags.iter().map(String::as_str)) {
            self.store.insert(key, Entry { value: value.into(), tags, generation: since }, weight, ttl);
        }
    }

    pub(super) fn delete(&self, key: &Key) {
        self.store.remove(key);
    }

    pub(super) fn invalidate_tag(&self, artifact: Digest, tag: &str) {
        self.generations.invalidate(&own_tag(artifact, tag));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(artifact: &[u8], name: &str) -> Key {
        Key::new(Digest::of(artifact), ShareKey::EVERYBODY, name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn entries_end_by_time_by_tag_and_by_hand() {
        let cache = PluginCache::new(1 << 20);
        let set = |name: &str, tag: &str| {
            cache.set(key(b"a", name), b"v".to_vec(), Duration::from_secs(10), &[tag.to_owned()], cache.now())
        };
        let has = |name: &str| cache.get(&key(b"a", name)).is_some();
        set("1", "film");
        set("2", "person");
        cache.invalidate_tag(Digest::of(b"b"), "film");
        assert!(has("1"), "another plugin's tag is another tag");
        cache.invalidate_tag(Digest::of(b"a"), "film");
        assert_eq!((has("1"), has("2")), (false, true));
        set("1", "film");
        assert!(has("1"), "what is stored after the invalidation is true");
        cache.delete(&key(b"a", "2"));
        assert!(!has("2"));
        assert!(cache.get(&key(b"b", "1")).is_none(), "another plugin sees nothing");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!has("1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_keeps_nothing_that_was_made_untrue_since_it_began() {
        let cache = PluginCache::new(1 << 20);
        let set = |value: &[u8], since| {
            cache.set(key(b"a", "1"), value.to_vec(), Duration::from_secs(10), &["film".to_owned()], since);
        };
        let found = || cache.get(&key(b"a", "1"));
        let slow = cache.now();
        cache.invalidate_tag(Digest::of(b"a"), "film");
        let quick = cache.now();
        set(b"new", quick);
        set(b"old", slow);
        assert_eq!(found().as_deref(), Some(&b"new"[..]));
        cache.invalidate_tag(Digest::of(b"b"), "film");
        set(b"newer", quick);
        assert_eq!(found().as_deref(), Some(&b"newer"[..]), "another plugin's tag is another tag");
        cache.delete(&key(b"a", "1"));
        set(b"old", slow);
        assert!(found().is_none());
    }
}
