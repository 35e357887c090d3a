//! What no plugin should do.

use std::hint::black_box;

use weft_sdk::prelude::*;

#[get("/trap")]
pub(crate) async fn trap() -> String {
    deliberately_wrong()
}

/// Has a name of its own, to be found in the backtrace.
#[inline(never)]
#[expect(clippy::panic, reason = "it is what the test is about")]
fn deliberately_wrong() -> String {
    panic!("the plugin has a bug")
}

#[get("/loop")]
pub(crate) async fn spin() -> String {
    let mut turns = 0_u64;
    while black_box(turns) < u64::MAX {
        turns = turns.wrapping_add(1);
    }
    turns.to_string()
}

#[get("/grow")]
pub(crate) async fn grow() -> String {
    let mut kept = Vec::new();
    while kept.len() < 1_000_000 {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
    kept.len().to_string()
}

#[data]
pub(crate) struct Size {
    bytes: usize,
}

#[get("/big")]
pub(crate) async fn big(Query(Size { bytes }): Query<Size>) -> String {
    "x".repeat(bytes)
}

#[get("/wide-headers")]
pub(crate) async fn wide_headers() -> Result<Response> {
    "ok".with_header("x-wide", "w".repeat(20 << 10)).into_response()
}
