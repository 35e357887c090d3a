//! A handler that can't go to another thread.

use std::rc::Rc;
use weft_sdk::prelude::*;

#[get("/here")]
async fn here() -> String {
    let name = Rc::new(String::new());
    sleep(std::time::Duration::from_millis(1)).await;
    name.to_string()
}

weft_sdk::plugin!(here);
