//! What rates do, and to whom.

use super::*;
use crate::model::ProblemType;
use std::num::NonZeroU32;

fn rate(count: u32, seconds: u64) -> Rate {
    Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_secs(seconds) }
}

fn let_in(count: usize, limits: &[(&Arc<Bucket>, Rate)]) -> usize {
    let once = || take_all(limits.iter().map(|(bucket, rate)| ((*bucket).clone(), *rate, "of one caller")));
    (0..count).filter(|_| once().is_ok()).count()
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_the_whole_count_and_then_one_after_another() {
    let bucket = Arc::default();
    let limits = [(&bucket, rate(3, 60))];
    assert_eq!(let_in(10, &limits), 3);
    let fault = take_all([(bucket.clone(), rate(3, 60), "of one caller")].into_iter()).unwrap_err();
    let fields: Vec<_> =
        fault.problem.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(fault.problem.kind, ProblemType::RateLimited);
    let expected = ["retry-after: 20", "ratelimit-policy: \"default\";q=3;w=60", "ratelimit: \"default\";r=0;t=20"];
    assert_eq!(fields, expected);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(let_in(10, &limits), 1);
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(let_in(10, &limits), 3, "and never more");
}

#[tokio::test(start_paused = true)]
async fn who_is_over_their_own_rate_takes_nothing_of_what_all_share() {
    let [hostile, other, shared] = [(); 3].map(|()| Arc::default());
    let (own, all) = (rate(3, 60), rate(10, 60));
    assert_eq!(let_in(1000, &[(&hostile, own), (&shared, all)]), 3);
    assert_eq!(let_in(3, &[(&other, own), (&shared, all)]), 3);
    assert_eq!(let_in(1000, &[(&shared, all)]), 4, "of ten");
    let third = Arc::default();
    assert_eq!(let_in(1000, &[(&third, own), (&shared, all)]), 0);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(let_in(1, &[(&third, own), (&shared, all)]), 1);
    assert_eq!(let_in(2, &[(&third, own)]), 2, "what was refused by another limit has not been taken");
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_has_changed_counts_from_now_on() {
    let bucket = Arc::default();
    assert_eq!(let_in(10, &[(&bucket, rate(3, 3600))]), 3);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(let_in(10, &[(&bucket, rate(5, 1))]), 0, "it is empty");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(let_in(10, &[(&bucket, rate(5, 1))]), 5, "and full after its own time, not the old one's");
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_address_and_what_was_none_is_given_back() {
    let (rates, rate) = (Rates::default(), rate(2, 60));
    let at = |text: &str| Some(Subnet::from(text.parse::<std::net::IpAddr>().unwrap()));
    for _ in 0..10 {
        rates.failure(at("2001:db8::1"), rate).unwrap().unwrap().give_back();
    }
    for host in 1..=2 {
        let _failed = rates.failure(at(&format!("2001:db8::{host}")), rate).unwrap();
    }
    assert_eq!(rates.failure(at("2001:db8::3"), rate).unwrap_err().problem.kind, ProblemType::RateLimited);
    assert!(rates.failure(at("2001:db8:0:1::1"), rate).is_ok());
    assert!((0..10).all(|_| rates.failure(None, rate).is_ok()), "a listed peer is nobody");
}
