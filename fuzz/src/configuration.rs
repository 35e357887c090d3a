//! `weft.toml`.

use std::{path::Path, time::Duration};
use weft_core::{
    config::Config,
    settings::{Mistake, diff},
};

/// In a folder that isn't there: nothing that it names is found.
const FILE: &str = "nowhere/weft.toml";

/// Any text: a configuration within its bounds, or mistakes that stand in the text.
pub fn configuration(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    // Files of the system that have no end.
    if text.contains("/dev") || text.contains("/proc") {
        return false;
    }
    let read = || Config::parse(Path::new(FILE), &text);
    assert!(diff(&text, &text).is_empty(), "nothing changes where nothing has changed");
    match (read(), read()) {
        (Ok(config), Ok(again)) => {
            assert_eq!(format!("{config:?}"), format!("{again:?}"), "the same text is read in the same way");
            check_bounds(&config);
        }
        (Err(mistakes), Err(again)) => {
            assert_eq!(mistakes, again, "the same text has the same mistakes");
            check_mistakes(FILE, &text, &mistakes);
        }
        _ => panic!("the same text is read in two ways"),
    }
    text.contains('[')
}

/// Each says what is wrong, and stands in the text or is about the whole of it.
pub(crate) fn check_mistakes(file: &str, text: &str, mistakes: &[Mistake]) {
    assert!(!mistakes.is_empty(), "what is refused is refused for a reason");
    assert!(mistakes.is_sorted(), "in the order of the text");
    let lines = text.split('\n').count();
    for mistake in mistakes {
        assert_eq!(&*mistake.file, file);
        assert!(mistake.line <= lines, "line {} of {lines}: {mistake}", mistake.line);
        assert!(!mistake.message.is_empty() && !mistake.to_string().contains(char::is_control), "{mistake:?}");
    }
}

fn check_bounds(config: &Config) {
    let millisecond = Duration::from_millis(1);
    assert!((1..=10_000).contains(&config.limits.requests));
    assert!((millisecond..=Duration::from_mins(5)).contains(&config.http.timeout));
    assert!(config.http.connections > 0 && config.http.max_headers >= 8 && config.http.streams > 0);
    assert!((0.0..=1.0).contains(&config.limits.plugin_share));
    assert!(!config.clients.names().is_empty(), "without clients nobody could be served");
    for backend in &config.fanout.backends {
        assert!((millisecond..=Duration::from_mins(5)).contains(&backend.timeout), "{}", backend.name);
        for service in &backend.services {
            assert_eq!(config.fanout.backend_of(service).unwrap().name, backend.name, "{service} has one backend");
        }
        let batches = backend.methods.values().filter_map(|method| method.batch.as_ref());
        assert!(batches.into_iter().all(|batch| (2..=10_000).contains(&batch.max) && batch.max_bytes >= 64));
    }
}
