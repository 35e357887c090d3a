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

#[tokio::test(start_paused = true)]
async fn what_many_read_counts_once_in_all_and_for_each_in_its_share() {
    let held = held();
    let bytes = Bytes::from(vec![0; 64 * KIB]);
    let read = |caller: u8, bytes: &Bytes| held.hold_bytes(behind_a_gateway(caller), bytes, Arc::default());
    let mut readers: Vec<_> = (0..10).map(|caller| read(caller, &bytes.clone()).unwrap()).collect();
    assert_eq!((held.books().all, cut(&held)), ((64 + 10 * 16) * KIB, 0));
    assert_eq!(read(9, &bytes).err(), Some(Over::Caller), "one caller keeps no more than its share alive");
    // They count for the next one when the first has gone, and no more with the last.
    readers.remove(0);
    assert_eq!(held.books().all, (64 + 9 * 16) * KIB);
    readers.remove(0).becomes(KIB);
    readers.iter().skip(1).for_each(|reader| reader.becomes(KIB));
    assert_eq!(held.books().all, (64 + 8 * 16) * KIB);
    readers.remove(0);
    assert_eq!(held.books().all, 7 * 16 * KIB);
    assert!(held.books().shared.is_empty());
    drop(readers);
    assert_eq!(
        read(1, &Bytes::from(vec![0; 20 * KIB])).map(|_| held.books().shared.len()),
        Ok(0),
        "nobody else has it"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_gives_way_for_what_is_then_refused() {
    let held = held();
    let still = take(&held, of(1, 1), 20).unwrap();
    tokio::time::advance(STILL).await;
    let _others = [2, 2, 3].map(|connection| take(&held, of(1, connection), 20).unwrap());
    assert_eq!(take(&held, of(1, 1), 40).err(), Some(Over::Caller));
    assert_eq!((still.has_ended(), cut(&held)), (false, 0));
    assert_eq!(held.has_room(of(1, 1)), Ok(()));
    assert_eq!((held.has_room(of(1, 2)), held.has_room(of(2, 4))), (Err(Over::Connection), Ok(())));
    let _new = take(&held, of(1, 1), 20).unwrap();
    assert!(still.has_ended());
}

#[tokio::test(start_paused = true)]
async fn what_is_worked_on_stands_still_for_nobody_and_gives_way_to_those_who_have_less() {
    let held = held();
    let work = |caller: u8| {
        let end = Arc::new(Notify::new());
        Ok::<_, Over>(Taken { holding: held.work(behind_a_gateway(caller), 20 * KIB, end.clone())?, end })
    };
    let all: Vec<_> = (1..16).chain([15]).map(|caller| work(caller).unwrap()).collect();
    tokio::time::advance(STILL * 10).await;
    let _new = work(16).unwrap();
    assert_eq!(all.iter().map(Taken::has_ended).collect::<Vec<_>>(), [&[false; 14][..], &[true, false]].concat());
    assert_eq!(work(17).err(), Some(Over::All), "all have as much as the new one would have");
    all[3].holding.awaits();
    let _newer = work(18).unwrap();
    assert!(all[3].has_ended(), "its client is awaited");
    all[4].holding.awaits();
    all[4].holding.works();
    assert_eq!(work(19).err(), Some(Over::All));
}

/// Whatever comes and goes, the books say what there is.
#[tokio::test(start_paused = true)]
async fn the_books_are_right_whatever_comes_and_goes() {
    let held = held();
    let kept: Vec<_> = [10, 30, 50].map(|kib| Bytes::from(vec![0; kib * KIB])).to_vec();
    let mut there: Vec<Taken> = Vec::new();
    let mut seed = 7_usize;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..5_000 {
        let owner = match random(3) {
            0 => of(random(4) as u8, random(4) as u64),
            1 => behind_a_gateway(random(4) as u8),
            _ => Owner::default(),
        };
        let end = Arc::new(Notify::new());
        let new = match random(6) {
            0 => held.hold(owner, random(40) * KIB, end.clone()),
            1 => held.work(owner, random(40) * KIB, end.clone()),
            2 => held.hold_bytes(owner, &kept[random(3)], end.clone()),
            3 if !there.is_empty() => {
                drop(there.swap_remove(random(there.len())));
                continue;
            }
            other => {
                let Some(taken) = there.get(random(there.len().max(1))) else { continue };
                let bytes = random(60) * KIB;
                match random(5) {
                    0 => drop(taken.holding.is(bytes)),
                    1 => taken.holding.becomes(bytes),
                    2 => taken.holding.moved(),
                    3 => taken.holding.works(),
                    _ => tokio::time::advance(STILL * other as u32 / 4).await,
                }
                continue;
            }
        };
        there.extend(new.map(|holding| Taken { holding, end }));
        held.books().audit();
    }
    drop(there);
    let books = held.books();
    assert_eq!((books.all, books.callers.len(), books.connections.len(), books.shared.len()), (0, 0, 0, 0));
}
