//! Whatever happens to a file, what served from it goes on until something takes its place.

use super::*;
use proptest::prelude::*;

/// Releases are numbers here.
type Step = (Option<Candidate<u8>>, Vec<Effect>);

fn refusal(text: u8) -> Refusal {
    Refusal::Host(text.to_string())
}

fn event() -> impl Strategy<Value = Event<u8>> {
    let stamp = || (0..3_u64).prop_map(Stamp::numbered);
    prop_oneof![
        stamp().prop_map(Event::Found),
        stamp().prop_map(|stamp| Event::Read(stamp, "plugin".to_owned())),
        (stamp(), any::<u8>()).prop_map(|(stamp, release)| Event::Ready(stamp, release)),
        (stamp(), 0..2_u8).prop_map(|(stamp, text)| Event::Failed(stamp, refusal(text))),
        Just(()).prop_map(|()| Event::Removed),
        prop::option::of(0..2_u8).prop_map(|clash| Event::Arranged(clash.map(refusal))),
        Just(()).prop_map(|()| Event::Unawaited),
    ]
}

/// What may serve of it.
fn releases(candidate: Option<&Candidate<u8>>) -> Vec<u8> {
    let loaded = candidate.and_then(Candidate::loaded);
    loaded.into_iter().flat_map(|loaded| [Some(loaded.release), loaded.before]).flatten().collect()
}

fn all(events: impl IntoIterator<Item = Event<u8>>) -> Step {
    events.into_iter().fold((None, Vec::new()), |(state, _), event| step(state, event))
}

proptest! {
    #[test]
    fn what_serves_goes_on_until_something_takes_its_place_or_nothing_is_awaited(
        events in prop::collection::vec(event(), 0..40)
    ) {
        let mut state = None;
        for event in events {
            let before = releases(state.as_ref());
            let ends = matches!(event, Event::Arranged(None) | Event::Unawaited);
            let described = format!("{event:?} on {state:?}");
            let (after, _) = step(state, event);
            let now = releases(after.as_ref());
            let goes_on = before.last().is_none_or(|serving| now.contains(serving));
            prop_assert!(goes_on || ends, "{described}: {before:?} became {now:?}");
            state = after;
        }
    }

    #[test]
    fn what_is_said_of_another_content_changes_nothing(release in any::<u8>(), text in 0..2_u8) {
        let other = Stamp::numbered(1);
        for late in [Event::Read(other, "x".to_owned()), Event::Ready(other, release), Event::Failed(other, refusal(text))] {
            let (state, effects) = step(all([Event::Found(Stamp::numbered(0))]).0, late);
            prop_assert!(state.is_some_and(|state| state.is_pending(Stamp::numbered(0)) && state.may_become("y")));
            prop_assert!(effects.is_empty());
        }
    }
}

fn told(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Tell(_))).count()
}

#[test]
fn the_same_refusal_of_the_same_content_is_told_once() {
    let stamp = Stamp::numbered(0);
    let (state, effects) = all([Event::Found(stamp), Event::Failed(stamp, refusal(0))]);
    assert_eq!(told(&effects), 1);
    let (state, _) = step(state, Event::Found(stamp));
    assert!(state.as_ref().unwrap().refused().is_some(), "it holds while it is tried again");
    let (state, effects) = step(state, Event::Failed(stamp, refusal(0)));
    assert_eq!(told(&effects), 0);
    let (state, _) = step(state, Event::Found(Stamp::numbered(1)));
    let (_, effects) = step(state, Event::Failed(Stamp::numbered(1), refusal(0)));
    assert_eq!(told(&effects), 1, "the content is another one");
}

#[test]
fn a_clash_is_told_once_and_what_served_before_stands_behind_it() {
    let (one, two) = (Stamp::numbered(1), Stamp::numbered(2));
    let (state, _) = all([Event::Found(one), Event::Ready(one, 1), Event::Arranged(None), Event::Found(two)]);
    let (state, _) = step(state, Event::Ready(two, 2));
    let (state, effects) = step(state, Event::Arranged(Some(refusal(0))));
    assert_eq!((told(&effects), releases(state.as_ref())), (1, vec![2, 1]));
    let (state, effects) = step(state, Event::Arranged(Some(refusal(0))));
    assert_eq!((told(&effects), releases(state.as_ref())), (0, vec![2, 1]));
    let (state, _) = step(state, Event::Arranged(None));
    assert_eq!(releases(state.as_ref()), [2]);
}

#[test]
fn a_removed_file_serves_on_until_nothing_is_awaited() {
    let stamp = Stamp::numbered(0);
    let (state, _) = all([Event::Found(stamp), Event::Ready(stamp, 1), Event::Removed]);
    assert!(state.as_ref().unwrap().is_leaving() && releases(state.as_ref()) == [1]);
    assert!(state.as_ref().unwrap().has_to_be_read(stamp), "it may come back");
    assert!(step(state, Event::Unawaited).0.is_none());
    assert!(all([Event::Found(stamp), Event::Removed]).0.is_none(), "there was nothing to serve");
}
