//! Warnings and errors that say the same again and again: some are written, the others are counted, and the count is told. What is
//! remembered for that is bounded.

use crate::sync::lock;
use std::{
    collections::HashMap,
    fmt::{self, Debug, Write},
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Counted for so long, from the first line on.
const WINDOW: Duration = Duration::from_secs(10);
/// Different lines that are told apart; what goes beyond is taken for one.
const MOST: usize = 1000;
/// No count is to be told.
const NEVER: u64 = u64::MAX;
/// Of a message this much is told again beside the count.
const TEXT: usize = 200;

/// Lines of the access log: each is a request, and what is asked of them is whether one was there.
const ACCESS: &str = "access";

/// Fields by which lines are told apart, beside where they are written and what they say.
const TELLS_APART: [&str; 8] = ["backend", "endpoint", "file", "key", "line", "plugin", "source", "status"];

/// Writes events as `F` does, but for those that are passed over.
#[derive(Debug)]
pub(super) struct Sampled<F> {
    format: F,
    repeats: Repeats,
}

impl<F> Sampled<F> {
    /// Of lines that say the same `most` are written in ten seconds; 0: all.
    pub(super) fn new(format: F, most: u32) -> Self {
        let (table, begun, due) = (Mutex::default(), Instant::now(), AtomicU64::new(NEVER));
        Self { format, repeats: Repeats { most, hasher: RandomState::new(), table, begun, due } }
    }
}

impl<S, N, F> FormatEvent<S, N> for Sampled<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        for (text, count) in self.repeats.passed_over() {
            // Comes back here as an event of its own.
            tracing::warn!(count, "passed over, of lines that say: {text}");
        }
        if self.repeats.is_written(event) { self.format.format_event(context, writer, event) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Repeats {
    most: u32,
    hasher: RandomState,
    table: Mutex<HashMap<u64, Seen>>,
    begun: Instant,
    /// When the first time is over in which some were passed over, in milliseconds since `begun`: until then an event has nothing to look
    /// for.
    due: AtomicU64,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    count: u32,
    text: String,
}

impl Repeats {
    fn is_written(&self, event: &Event<'_>) -> bool {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if self.most == 0 || *level > Level::WARN || target == ACCESS {
            return true;
        }
        let mut said = Said { hasher: self.hasher.build_hasher(), text: String::new() };
        event.metadata().callsite().hash(&mut said.hasher);
        event.record(&mut said);
        said.text.hash(&mut said.hasher);
        self.counts(said.hasher.finish(), said.text)
    }

    fn counts(&self, key: u64, text: String) -> bool {
        let (mut table, now) = (lock(&self.table), Instant::now());
        if table.len() >= MOST && !table.contains_key(&key) {
            table.retain(|_, seen| !seen.is_over(now) || seen.count > self.most);
        }
        let (key, text) = if table.len() >= MOST && !table.contains_key(&key) {
            (0, "many different things".to_owned())
        } else {
            (key, text)
        };
        let seen = table.entry(key).or_insert_with(|| Seen { since: now, count: 0, text });
        if seen.is_over(now) && seen.count <= self.most {
            (seen.since, seen.count) = (now, 0);
        }
        seen.count = seen.count.saturating_add(1);
        let is_written = seen.count <= self.most;
        let over = self.over(seen);
        if !is_written {
            self.due.fetch_min(over, Relaxed);
        }
        is_written
    }

    /// What was passed over in times that are over, with how often.
    fn passed_over(&self) -> Vec<(String, u32)> {
        let due = self.due.load(Relaxed);
        if due == NEVER || self.millis(Instant::now()) < due {
            return Vec::new();
        }
        let (mut table, now) = (lock(&self.table), Instant::now());
        let over = |seen: &Seen| seen.is_over(now) && seen.count > self.most;
        let told: Vec<_> = table.extract_if(|_, seen| over(seen)).collect();
        let next = table.values().filter(|seen| seen.count > self.most).map(|seen| self.over(seen)).min();
        self.due.store(next.unwrap_or(NEVER), Relaxed);
        told.into_iter().map(|(_, seen)| (seen.text, seen.count - self.most)).collect()
    }
}

impl Repeats {
    fn millis(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.begun).as_millis()).unwrap_or(NEVER)
    }

    /// When its time is over.
    fn over(&self, seen: &Seen) -> u64 {
        self.millis(seen.since + WINDOW)
    }
}

impl Seen {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= WINDOW
    }
}

/// What an event says, as far as it is told apart by it.
struct Said<H> {
    hasher: H,
    text: String,
}

impl<H: Hasher> Visit for Said<H> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // No more than is told again. An error here says that there is no room left, and that is all right.
            let _ = write!(Bounded(&mut self.text), "{value:?}");
        } else if TELLS_APART.contains(&field.name()) {
            field.name().hash(&mut self.hasher);
            let _ = write!(Hashed(&mut self.hasher), "{value:?}");
        }
    }
}

struct Bounded<'a>(&'a mut String);

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() >= TEXT {
                return Err(fmt::Error);
            }
            self.0.push(c);
        }
        Ok(())
    }
}

struct Hashed<'a, H>(&'a mut H);

impl<H: Hasher> Write for Hashed<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::json::Names, *};
    use crate::telemetry::kept::Kept;
    use tokio::time::advance;

    fn fails(plugin: &str, id: u32) {
        tracing::error!(plugin, id, "it fails");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_again_is_counted_and_the_count_is_told() {
        let (kept, _guard) = Kept::with(Names::Plain, 3);
        (0..10).for_each(|id| fails("a", id));
        fails("b", 0);
        (0..10).for_each(|_| tracing::info!("it goes well"));
        assert_eq!((kept.count("it fails"), kept.count("it goes well")), (4, 10));
        advance(WINDOW).await;
        tracing::info!("anything");
        (0..2).for_each(|id| fails("a", id));
        let lines = kept.lines();
        assert_eq!(lines.iter().filter(|line| line["message"] == "it fails").count(), 6, "a new window");
        assert_eq!(kept.count("anything"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_of_the_access_log_is_never_passed_over() {
        let (kept, _guard) = Kept::with(Names::Plain, 3);
        (0..10).for_each(|id| tracing::error!(target: "access", status = 502_u16, id, "the plugin failed"));
        assert_eq!(kept.count("the plugin failed"), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_are_told_once_when_their_time_is_over() {
        let repeats = Sampled::new((), 2).repeats;
        let say = |key: u64| repeats.counts(key, format!("line {key}"));
        assert_eq!((0..5).map(|_| say(7)).collect::<Vec<_>>(), [true, true, false, false, false]);
        assert!(say(8) && repeats.passed_over().is_empty());
        advance(WINDOW).await;
        assert!(!say(7), "until the count is told");
        assert_eq!(repeats.passed_over(), [("line 7".to_owned(), 4)]);
        assert!(repeats.passed_over().is_empty() && say(7) && say(8));
    }

    #[tokio::test(start_paused = true)]
    async fn many_different_lines_are_bounded() {
        let repeats = Sampled::new((), 1).repeats;
        let written = (1..=5000).filter(|key| repeats.counts(*key, String::new())).count();
        assert_eq!((written, lock(&repeats.table).len()), (MOST + 1, MOST + 1));
        advance(WINDOW).await;
        assert_eq!(repeats.passed_over(), [("many different things".to_owned(), 5000 - 1001)]);
        assert!((6000..7000).all(|key| repeats.counts(key, String::new())), "what is over gives way");
    }
}
