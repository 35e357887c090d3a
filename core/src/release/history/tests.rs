//! What was written is there after a restart, what was taken back stays away, and no history can be of a kind that the host can't start with.

use super::*;
use proptest::prelude::*;
use std::{collections::BTreeSet, fs};

fn name(plugin: &str, minor: u64) -> Name {
    Name { plugin: plugin.to_owned(), version: semver::Version::new(1, minor, 0), client: "web".to_owned() }
}

fn release(minor: u64) -> (Digest, Name) {
    (Digest::of(&minor.to_be_bytes()), name("p", minor))
}

fn by(who: &str) -> Order<'_> {
    Order { by: who, reason: "a reason", expected: None, goes_live: true }
}

fn state(history: &History, minor: u64) -> Option<State> {
    history.look(|ledger| ledger.record(&release(minor).0).map(|record| record.state))
}

/// Every release is loaded.
fn all() -> BTreeSet<Digest> {
    (0..9).map(|minor| release(minor).0).collect()
}

/// As the loader does with a file of the folder that it has loaded.
fn dropped(history: &History, minor: u64) {
    let (digest, name) = release(minor);
    history.verified([(digest, name, format!("plugins/{minor}.wasm").into())]);
}

fn serves(history: &History, minor: u64) {
    history.in_service(&[release(minor)]);
    history.keep([(release(minor).0, minor.to_be_bytes().to_vec())].into_iter());
}

/// Of these in the folder, the one that the arrangement would choose.
fn chosen(history: &History, folder: &[u64]) -> Option<u64> {
    let rank = |minor: u64| match history.standing(&release(minor).0, "p", Path::new("plugins/x.wasm")) {
        Standing::Wants(rank) => Some((rank, minor)),
        Standing::Waits | Standing::Barred(_) => None,
    };
    folder.iter().filter_map(|minor| rank(*minor)).max().map(|(_, minor)| minor)
}

#[test]
fn a_release_that_was_rolled_back_stays_away_after_a_restart_until_somebody_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    for minor in [1, 2] {
        dropped(&history, minor);
        serves(&history, minor);
    }
    assert_eq!((state(&history, 1), state(&history, 2)), (Some(State::Draining), Some(State::Live)));
    history.roll_back("p", None, &all(), by("alice")).unwrap();
    assert_eq!(chosen(&history, &[2]), Some(2), "until the other one is loaded");
    assert_eq!(chosen(&history, &[1, 2]), Some(1));
    serves(&history, 1);
    let history = History::open(Some(folder.path()));
    assert_eq!((state(&history, 1), state(&history, 2)), (Some(State::Live), Some(State::RolledBack)));
    assert_eq!(chosen(&history, &[2]), None);
    let Standing::Barred(record) = history.standing(&release(2).0, "p", Path::new("plugins/x.wasm")) else {
        panic!("it may serve");
    };
    assert_eq!((record.by.as_str(), record.reason.as_str()), ("alice", "a reason"));
    // A higher version that nobody knew is asked for by lying in the folder.
    dropped(&history, 3);
    assert_eq!(chosen(&history, &[1, 2, 3]), Some(3));
    history.apply(release(2).0, &all(), by("bob")).unwrap();
    assert_eq!(chosen(&history, &[1, 2, 3]), Some(2));
    let numbers: Vec<_> = history.look(|ledger| ledger.events(0).map(|event| event.number).collect());
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "no holes");
}

#[test]
fn a_plugin_that_was_retired_comes_back_by_no_file_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    [1, 2].into_iter().for_each(|minor| dropped(&history, minor));
    serves(&history, 2);
    history.retire("p", by("alice")).unwrap();
    history.in_service(&[]);
    assert_eq!(state(&history, 2), Some(State::Draining));
    history.drained(release(2).0);
    let history = History::open(Some(folder.path()));
    assert_eq!((chosen(&history, &[1, 2]), state(&history, 2)), (None, Some(State::Retired)));
    let last = history.look(|ledger| ledger.events(0).find(|event| event.to == State::Draining).cloned()).unwrap();
    assert_eq!((last.by.as_str(), last.reason.as_str()), ("alice", "a reason"));
    history.apply(release(1).0, &all(), by("bob")).unwrap();
    assert_eq!(chosen(&history, &[1, 2]), Some(1));
}

#[test]
fn an_upload_that_can_not_serve_gives_the_place_back_that_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    dropped(&history, 1);
    serves(&history, 1);
    let (digest, name) = release(2);
    let staged = history.stage(digest, &name, &2_u64.to_be_bytes(), by("alice")).unwrap();
    assert_eq!((staged.state, staged.by.as_str()), (State::Staged, "alice"));
    assert_eq!(history.wanted().len(), 2, "what serves stands by, whatever becomes of its file");
    assert!(history.rejected(digest, "its calls lead nowhere"));
    assert_eq!((state(&history, 2), state(&history, 1)), (Some(State::Rejected), Some(State::Live)));
    assert_eq!(chosen(&history, &[1, 2]), Some(1));
    let stale = Order { expected: Some(0), ..by("bob") };
    assert!(matches!(history.apply(digest, &all(), stale), Err(HistoryError::Changed { expected: 0, .. })));
    history.apply(digest, &all(), by("bob")).unwrap();
    assert_eq!(state(&history, 2), Some(State::Staged), "tried anew");
}

#[test]
fn who_was_overtaken_writes_no_more_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let old = History::open(Some(folder.path()));
    dropped(&old, 1);
    let new = History::open(Some(folder.path()));
    serves(&new, 1);
    serves(&old, 1);
    assert!(old.trouble().unwrap().contains("another host has taken it over"), "{:?}", old.trouble());
    assert!(matches!(old.retire("p", by("alice")), Err(HistoryError::Store(StoreError::Overtaken(_)))));
    new.retire("p", by("alice")).unwrap();
}

#[test]
fn a_history_that_can_not_be_read_is_put_aside_and_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    dropped(&history, 1);
    serves(&history, 1);
    history.retire("p", by("alice")).unwrap();
    let file = folder.path().join("history.redb");
    let whole = fs::read(&file).unwrap();
    let mut broken = vec![vec![], b"something else".to_vec(), whole[..whole.len() / 2].to_vec()];
    // Every part of it in turn.
    broken.extend((0..24).map(|part| {
        let mut bytes = whole.clone();
        let length = bytes.len() / 24;
        bytes[part * length..(part + 1) * length].fill(0x5a);
        bytes
    }));
    for bytes in broken {
        fs::write(&file, bytes).unwrap();
        let history = History::open(Some(folder.path()));
        assert!(matches!(state(&history, 1), None | Some(State::Draining | State::Retired | State::Live)));
        dropped(&history, 2);
        assert_eq!(state(&History::open(Some(folder.path())), 2), Some(State::Verified), "it is written again");
    }
    let aside = fs::read_dir(folder.path()).unwrap().flatten();
    assert!(aside.filter(|entry| entry.file_name().to_string_lossy().contains("unreadable")).count() > 2);
}

#[test]
fn without_a_folder_nothing_is_kept_and_nothing_can_be_asked_for() {
    let history = History::open(None);
    dropped(&history, 1);
    serves(&history, 1);
    assert_eq!(state(&history, 1), Some(State::Live));
    assert!(matches!(history.roll_back("p", None, &all(), by("alice")), Err(HistoryError::Store(StoreError::None))));
}

/// What may happen, each of a release by its number.
#[derive(Debug, Clone)]
enum Step {
    Drop(u64),
    Serve(Option<u64>),
    Drained(u64),
    Stage(u64),
    Reject(u64),
    Apply(u64),
    RollBack(Option<u64>),
    Retire,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let minor = || 1..5_u64;
    prop_oneof![
        minor().prop_map(Step::Drop),
        prop::option::of(minor()).prop_map(Step::Serve),
        minor().prop_map(Step::Drained),
        minor().prop_map(Step::Stage),
        minor().prop_map(Step::Reject),
        minor().prop_map(Step::Apply),
        prop::option::of(minor()).prop_map(Step::RollBack),
        Just(Step::Retire),
        Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever order: every event is a step that may be, they count up without holes, and what is read is what was written.
    #[test]
    fn events_are_steps_without_holes_and_what_is_read_is_what_was_written(steps in prop::collection::vec(step(), 0..30)) {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::open(Some(folder.path()));
        for step in steps {
            match step {
                Step::Drop(minor) => dropped(&history, minor),
                Step::Serve(minor) => history.in_service(&minor.map(release).into_iter().collect::<Vec<_>>()),
                Step::Drained(minor) => history.drained(release(minor).0),
                Step::Stage(minor) => drop(history.stage(release(minor).0, &release(minor).1, b"x", by("alice")).unwrap()),
                Step::Reject(minor) => drop(history.rejected(release(minor).0, "a reason")),
                Step::Apply(minor) => drop(history.apply(release(minor).0, &all(), by("alice"))),
                Step::RollBack(minor) => drop(history.roll_back("p", minor.map(|minor| release(minor).0), &all(), by("alice"))),
                Step::Retire => drop(history.retire("p", by("alice"))),
                Step::Restart => history = History::open(Some(folder.path())),
            }
            prop_assert_eq!(history.trouble(), None);
        }
        let written_of = |history: &History| history.look(|ledger| {
            let goals: Vec<_> = ledger.goals().map(|(plugin, goal)| (plugin.clone(), *goal)).collect();
            (ledger.records().cloned().collect::<Vec<_>>(), ledger.events(0).cloned().collect::<Vec<_>>(), goals)
        });
        let (records, events, goals) = written_of(&history);
        for (at, event) in events.iter().enumerate() {
            prop_assert_eq!(event.number, at as u64);
            let before = events[..at].iter().rev().find(|other| other.digest == event.digest).map(|other| other.to);
            prop_assert_eq!(event.from, before);
            prop_assert!(before.map_or(event.to == State::Staged, |before| before.may_become(event.to)));
        }
        let (written, ..) = Store::open(folder.path()).unwrap().read().unwrap();
        prop_assert_eq!(written.records().cloned().collect::<Vec<_>>(), records);
        prop_assert_eq!(written.events(0).cloned().collect::<Vec<_>>(), events);
        prop_assert_eq!(written.goals().map(|(plugin, goal)| (plugin.clone(), *goal)).collect::<Vec<_>>(), goals);
    }
}
