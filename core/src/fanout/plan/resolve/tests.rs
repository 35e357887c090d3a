//! Which names are those of readers.

use super::is_a_readers_name;

#[test]
fn a_name_that_says_what_else_is_done_is_no_readers() {
    for name in [
        "Get",
        "GetFilm",
        "ListFilms",
        "BatchGetFilms",
        "SearchOrders",
        "GetAndroidApp",
        "ListOrders",
        "GetV2",
        "List_Things",
    ] {
        assert!(is_a_readers_name(name), "{name}");
    }
    for name in [
        "GetOrCreateFilm",
        "GetAndDelete",
        "ListAndAck",
        "GetFilmOrCreate",
        "SearchThenLock",
        "GetOr",
        "GetAnd_Delete",
        "Getaway",
        "Listen",
        "CreateFilm",
        "getOrCreate",
    ] {
        assert!(!is_a_readers_name(name), "{name}");
    }
}
