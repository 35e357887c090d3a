//! What a response says of how long it may be kept.

use std::time::Duration;

use weft_sdk::Plugin;
use weft_sdk::prelude::*;
use weft_sdk::prost_types;
use weft_sdk::test::App;

use crate::support::METHODS;

#[get("/fresh/{what}")]
async fn fresh(Path(what): Path<String>) -> Result<Response> {
    let changed = prost_types::Timestamp { seconds: 784_111_777, nanos: 0 };
    match what.as_str() {
        "dated" => "seen".with_last_modified(changed).into_response(),
        "short" => "soon over".with_max_age(Duration::from_secs(1)).into_response(),
        _ => "once".with_no_store().into_response(),
    }
}

#[test]
fn it_is_told_in_headers() {
    let app = App::new(Plugin::new(const { &[weft_endpoint_fresh::ENDPOINT] }, METHODS, &[]));
    for (path, name, value) in [
        ("/fresh/dated", "last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("/fresh/short", "cache-control", "max-age=1"),
        ("/fresh/never", "cache-control", "no-store"),
    ] {
        assert_eq!(app.get(path).send().header(name), Some(value), "{path}");
    }
}
