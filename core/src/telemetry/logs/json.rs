//! Events as JSON, one object a line. Lists and maps are values of their own: a reader of logs must not have to parse strings.

use super::ecs;
use serde::Serialize;
use serde_json::Value;
use std::{
    fmt::{self, Debug, Display, Write},
    panic::PanicHookInfo,
    thread,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// A list or a map for the log: JSON where the log is JSON, else as people read it. Such a value is asked for its JSON by `{:#}`.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a, T: ?Sized>(pub &'a T);

impl<T: Serialize + Debug + ?Sized> Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write!(f, "{:?}", self.0);
        }
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

/// Fields that hold such a value.
const LISTED: [&str; 5] = ["changes", "complaints", "fields", "keys", "tags"];

/// How the fields of an event are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// `{"timestamp":…,"level":…,"message":…,…,"target":…}`
    Plain,
    /// `{"@timestamp":…,"log.level":…,"message":…,…,"ecs.version":…}`
    Ecs,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonEvents(pub(super) Names);

impl<S, N> FormatEvent<S, N> for JsonEvents
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        let mut line = Line { text: "{".to_owned(), names: self.0 };
        match self.0 {
            Names::Plain => {
                line.put("timestamp", &Value::String(time));
                line.put("level", &Value::from(level));
                event.record(&mut line);
                line.put("target", &Value::from(target));
            }
            Names::Ecs => {
                line.put("@timestamp", &Value::String(time));
                line.put("log.level", &Value::from(level.to_ascii_lowercase()));
                event.record(&mut line);
                line.put("log.logger", &Value::from(target));
                line.put("event.dataset", &Value::from(ecs::dataset(target)));
                line.put("service.name", &Value::from("weft"));
                line.put("ecs.version", &Value::from(ecs::VERSION));
            }
        }
        writeln!(writer, "{}}}", line.text)
    }
}

/// An object that is being written.
struct Line {
    text: String,
    names: Names,
}

impl Line {
    fn put(&mut self, name: &str, value: &Value) {
        let comma = if self.text.len() > 1 { "," } else { "" };
        // Writing to a string can't fail.
        let _ = write!(self.text, "{comma}{}:{value}", Value::from(name));
    }

    /// A field of the event.
    fn field(&mut self, field: &Field, value: Value) {
        let name = field.name().trim_start_matches("r#");
        match self.names {
            Names::Plain => self.put(name, &value),
            Names::Ecs => {
                let (name, value) = ecs::field(name, value);
                self.put(&name, &value);
            }
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, Value::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let listed = LISTED.contains(&field.name()).then(|| format!("{value:#?}"));
        let listed = listed.and_then(|text| serde_json::from_str(&text).ok());
        self.field(field, listed.unwrap_or_else(|| Value::String(format!("{value:?}"))));
    }
}

/// A panic is an event like others.
pub(super) fn tell_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    let thread = thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let has_one = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
    let backtrace = has_one.then(|| backtrace.to_string());
    let said = info.payload_as_str().unwrap_or("no words");
    tracing::error!(place, thread = thread.name(), backtrace, "panicked: {said}");
}

/// Events that a test has caused on its own thread.
#[cfg(test)]
pub(crate) mod kept {
    use super::{super::repeats::Sampled, JsonEvents, Names, Value};
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tracing::subscriber::DefaultGuard;
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    #[derive(Debug, Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Kept {
        /// Keeps them until the guard is dropped.
        pub(crate) fn begin() -> (Self, DefaultGuard) {
            Self::with(Names::Plain, 0)
        }

        /// As a host keeps them whose configuration says so.
        pub(crate) fn with(names: Names, repeats: u32) -> (Self, DefaultGuard) {
            let kept = Self::default();
            let format = Sampled::new(JsonEvents(names), repeats);
            let layer = tracing_subscriber::fmt::layer().event_format(format).with_writer(kept.clone());
            let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
            (kept, guard)
        }

        pub(crate) fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        /// How many say this.
        pub(crate) fn count(&self, text: &str) -> usize {
            self.lines().iter().filter(|line| line["message"].as_str().is_some_and(|said| said.contains(text))).count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{kept::Kept, *};

    #[test]
    fn lists_are_lists_and_all_else_is_what_it_is() {
        let (kept, _guard) = Kept::begin();
        let tags = ["film:1".to_owned(), "a\"b\u{1b}'".to_owned()];
        let (text, number) = ("x", 7);
        tracing::info!(tags = %Listed(&tags), number, share = 0.5, good = true, text, r#type = "t", other = ?tags, "said \"so\"");
        // A name of a list, and no list.
        tracing::warn!(keys = "[1", none = None::<u32>, "more");
        let lines = kept.lines();
        assert_eq!(lines[0]["tags"], serde_json::json!(tags));
        assert_eq!((&lines[0]["level"], &lines[0]["message"]), (&"INFO".into(), &"said \"so\"".into()));
        assert_eq!(
            (&lines[0]["number"], &lines[0]["share"], &lines[0]["good"]),
            (&7.into(), &0.5.into(), &true.into())
        );
        assert_eq!((&lines[0]["type"], lines[0]["other"].is_string()), (&"t".into(), true));
        assert!(lines[0]["timestamp"].is_string() && lines[0]["target"].as_str().unwrap().contains("logs::json"));
        assert_eq!((&lines[1]["keys"], &lines[1]["none"]), (&"[1".into(), &Value::Null));
        assert_eq!(Listed(&tags[..1]).to_string(), "[\"film:1\"]", "for people");
    }
    #[test]
    fn elastic_finds_the_names_that_it_knows() {
        let (kept, _guard) = Kept::with(Names::Ecs, 0);
        let (status, took_ms, client, cache) = (502_u16, 1.5, Some("web"), None::<&str>);
        tracing::error!(target: "access", method = "GET", path = "/films/7", status, took_ms, client, cache, request_id = "r", trace_id = "t", cause = "c", endpoint = "GET /films/{id}", "said");
        tracing::info!(version = "1", tags = %Listed(&["a"]), "more");
        let lines = kept.lines();
        let access = serde_json::json!({
            "log.level": "error", "message": "said", "http.request.method": "GET", "url.path": "/films/7",
            "http.response.status_code": 502, "event.duration": 1_500_000, "weft.client": "web", "http.request.id": "r",
            "trace.id": "t", "error.message": "c", "weft.endpoint": "GET /films/{id}", "log.logger": "access",
            "event.dataset": "weft.access", "service.name": "weft", "ecs.version": "8.11.0",
        });
        let mut first = lines[0].clone();
        assert!(first.as_object_mut().unwrap().remove("@timestamp").unwrap().is_string());
        assert_eq!(first, access);
        assert_eq!((&lines[1]["weft.version"], &lines[1]["weft.tags"][0]), (&"1".into(), &"a".into()));
        assert_eq!(lines[1]["event.dataset"], "weft.host");
    }
}
