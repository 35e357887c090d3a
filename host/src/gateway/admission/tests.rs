//! Who is refused first, and what rates do.

use super::*;
use std::num::NonZeroU32;

fn let_in(admission: &Admission, priority: Priority) -> usize {
    let mut inside = Vec::new();
    while let Ok(entered) = admission.enter(priority) {
        inside.push(entered);
    }
    inside.len()
}

#[test]
fn sheddable_ones_are_refused_first_and_critical_ones_last() {
    let admission = Admission::new(100);
    let counts =
        [Priority::Sheddable, Priority::Normal, Priority::Critical].map(|priority| let_in(&admission, priority));
    assert_eq!(counts, [60, 90, 100]);
    assert_eq!(admission.state().0, 0, "who was refused or has left does not count");
}

#[test]
fn the_bound_sinks_while_the_host_is_late_and_comes_back() {
    let admission = Admission::new(100);
    let inside: Vec<_> = (0..50).map(|_| admission.enter(Priority::Critical).unwrap()).collect();
    for _ in 0..10 {
        (1..LATE_IN_A_ROW).for_each(|_| admission.learn(LATE * 2));
        admission.learn(Duration::ZERO);
    }
    assert_eq!(admission.state().1, 100, "hiccups are no load");
    (0..LATE_IN_A_ROW).for_each(|_| admission.learn(LATE * 2));
    assert_eq!(admission.state().1, 45, "below what was under way");
    drop(inside);
    for _ in 0..100 {
        admission.learn(LATE * 2);
    }
    assert_eq!(admission.state().1, LEAST);
    for _ in 0..200 {
        admission.learn(Duration::ZERO);
    }
    assert_eq!(admission.state().1, 100);
}

#[test]
fn a_caller_above_its_rate_is_told_when_to_come_back_and_others_are_let_in() {
    let admission = Admission::new(100);
    let rate = Rate { count: NonZeroU32::new(3).unwrap(), period: Duration::from_secs(60) };
    let check = |who: &str| admission.check_rate(rate, &"web".into(), &who.into(), "of one caller");
    assert!((0..3).all(|_| check("ann").is_ok()));
    let fault = check("ann").unwrap_err();
    assert_eq!(fault.status, StatusCode::TOO_MANY_REQUESTS);
    let fields: Vec<_> =
        fault.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert!(
        fields[0].starts_with("retry-after: ") && fields[1] == "ratelimit-policy: \"default\";q=3;w=60",
        "{fields:?}"
    );
    assert!(check("bob").is_ok());
}
