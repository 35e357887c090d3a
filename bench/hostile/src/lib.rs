//! Does what a neighbour should not: spins, allocates, floods backends with calls, traps, answers with too much.

use std::hint::black_box;

use weft_sdk::prelude::*;

weft_sdk::clients!();

use people::v1::{GetPersonRequest, People};

/// Never ends by itself.
#[get("/spin")]
async fn spin() -> String {
    let mut turns = 0_u64;
    while black_box(turns) < u64::MAX {
        turns = turns.wrapping_add(1);
    }
    turns.to_string()
}

/// Takes all the memory that it gets, and writes to each byte.
#[get("/grow")]
async fn grow() -> String {
    let mut kept = Vec::new();
    while kept.len() < 1_000_000 {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
    kept.len().to_string()
}

/// Makes as many calls as it may, all different, and starts again.
#[get("/flood")]
async fn flood() -> Result<String> {
    let mut found = 0_usize;
    loop {
        let calls = (0..1_000).map(|id| People::get_person(GetPersonRequest { id }));
        found += join_all(calls).await.into_iter().filter(Result::is_ok).count();
        if found == usize::MAX {
            return Ok(found.to_string());
        }
    }
}

/// Ends at once, and badly.
#[get("/trap")]
async fn trap() -> String {
    std::process::abort()
}

/// Answers with more than it may.
#[get("/giant")]
async fn giant() -> String {
    "x".repeat(4 << 20)
}

weft_sdk::plugin!(spin, grow, flood, trap, giant);
