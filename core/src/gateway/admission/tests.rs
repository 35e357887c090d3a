//! Who is refused first.

use super::*;

fn let_in(admission: &Arc<Admission>, priority: Priority) -> usize {
    let mut inside = Vec::new();
    while let Ok(entered) = admission.enter(priority) {
        inside.push(entered);
    }
    inside.len()
}

#[test]
fn sheddable_ones_are_refused_first_and_critical_ones_last() {
    let admission = Arc::new(Admission::new(100));
    let counts =
        [Priority::Sheddable, Priority::Normal, Priority::Critical].map(|priority| let_in(&admission, priority));
    assert_eq!(counts, [60, 90, 100]);
    assert_eq!(admission.state().0, 0, "who was refused or has left does not count");
}

#[test]
fn the_bound_sinks_while_the_host_is_late_and_comes_back() {
    let admission = Arc::new(Admission::new(100));
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
