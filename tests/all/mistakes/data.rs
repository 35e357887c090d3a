//! What is no data, and a type that holds itself.

use weft_sdk::prelude::*;

#[data]
fn film() {}

#[data(both)]
struct Film {
    id: u32,
}

#[data]
struct Comment {
    text: String,
    answer: Option<Comment>,
}
