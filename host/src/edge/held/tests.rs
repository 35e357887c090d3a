//! Who is refused, who gives way, and who is left alone.

use super::*;
use futures_util::FutureExt;
use std::net::{IpAddr, Ipv4Addr};

const KIB: usize = 1 << 10;

fn held() -> Arc<Held> {
    let shares = Shares { all: 320 * KIB, per_ip: 80 * KIB, per_connection: 40 * KIB };
    Held::new("unread", shares, &Metrics::default())
}

fn of(caller: u8, connection: u64) -> Owner {
    let caller = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, caller)).into());
    Owner { caller, connection: Some(connection) }
}

fn behind_a_gateway(caller: u8) -> Owner {
    Owner { connection: None, ..of(caller, 0) }
}

struct Taken {
    holding: Holding,
    end: Arc<Notify>,
}

impl Taken {
    fn has_ended(&self) -> bool {
        self.end.notified().now_or_never().is_some()
    }
}

fn take(held: &Arc<Held>, owner: Owner, kib: usize) -> Result<Taken, Over> {
    let end = Arc::new(Notify::new());
    Ok(Taken { holding: held.hold(owner, kib * KIB, end.clone())?, end })
}

fn cut(held: &Held) -> u64 {
    held.metrics.requests_cut.get_or_create(&CutLabels { reason: "unread".into() }).get()
}

#[tokio::test(start_paused = true)]
async fn a_share_that_is_used_up_is_its_owners_own_affair() {
    let held = held();
    let first = [(); 2].map(|()| take(&held, of(1, 1), 20).unwrap());
    assert_eq!(take(&held, of(1, 1), 20).err(), Some(Over::Connection));
    let second = [(); 2].map(|()| take(&held, of(1, 2), 20).unwrap());
    assert_eq!(take(&held, of(1, 3), 20).err(), Some(Over::Caller));
    assert!(take(&held, of(2, 4), 20).is_ok());
    assert!(first.iter().chain(&second).all(|taken| !taken.has_ended()));
    // Once they stand still, what is new goes before what is old, and of the same connection alone.
    tokio::time::advance(STILL).await;
    second[1].holding.moved();
    let _new = take(&held, of(1, 2), 20).unwrap();
    assert_eq!((second[0].has_ended(), second[1].has_ended()), (true, false));
    assert!(first.iter().all(|taken| !taken.has_ended()));
    assert_eq!(cut(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn one_answer_alone_may_be_larger_than_a_share() {
    let held = held();
    assert!(take(&held, of(1, 1), 200).is_ok());
    let one = take(&held, of(1, 1), 4).unwrap();
    assert_eq!(one.holding.is(200 * KIB), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_full_house_refuses_nobody_who_is_within_their_share() {
    let held = held();
    let of_caller = |caller: u8, count: usize| -> Vec<_> {
        (0..count).map(|_| take(&held, behind_a_gateway(caller), 20).unwrap()).collect()
    };
    let (greedy, others) = (of_caller(1, 4), (2..8).map(|caller| of_caller(caller, 2)).collect::<Vec<_>>());
    // Nobody stands still: the largest holder gives way.
    let new = take(&held, behind_a_gateway(9), 20).unwrap();
    assert_eq!(greedy.iter().filter(|taken| taken.has_ended()).count(), 1);
    assert!(others.iter().flatten().all(|taken| !taken.has_ended()));
    // One of the others stands still: it goes first.
    tokio::time::advance(STILL).await;
    for taken in greedy.iter().chain(others.iter().flatten()).chain([&new]).skip(5) {
        taken.holding.moved();
    }
    for taken in &greedy {
        taken.holding.moved();
    }
    let _newer = take(&held, behind_a_gateway(10), 20).unwrap();
    assert!(others[0][0].has_ended());
    assert!(others.iter().flatten().skip(1).all(|taken| !taken.has_ended()));
}

#[tokio::test(start_paused = true)]
async fn of_whom_a_gateway_says_nothing_is_bounded_in_all_alone() {
    let held = held();
    let nobody = Owner::default();
    let many: Vec<_> = (0..16).map(|_| take(&held, nobody, 20).unwrap()).collect();
    assert!(many.iter().all(|taken| !taken.has_ended()));
    let _more = take(&held, of(1, 1), 20).unwrap();
    assert_eq!(many.iter().filter(|taken| taken.has_ended()).count(), 1);
}

#[test]
fn bytes_count_until_the_last_of_them_is_gone() {
    let held = held();
    let holding = Arc::new(held.hold(of(1, 1), 30 * KIB, Arc::default()).unwrap());
    let bytes = holding.count(Bytes::from(vec![0; 30 * KIB]));
    drop(holding);
    let last = bytes.slice(..1);
    drop(bytes);
    assert_eq!(held.books().all, 30 * KIB);
    drop(last);
    let books = held.books();
    assert_eq!((books.all, books.callers.len(), books.connections.len(), books.entries.len()), (0, 0, 0, 0));
}
