//! Calls that grow with a list, and parts that are not as optional as their manifest says.

use super::{Desk, assert_ended, verdict};

#[test]
fn what_grows_with_a_list_is_caught_and_named_and_batched_loops_are_let_be() {
    let found = Desk::new().found(&[]);
    assert_eq!(found["rules"]["from"], "AIP-231, by the protos");
    assert!(found["rules"]["rules"].to_string().contains("catalog.v1.Films/GetFilm → BatchGetFilms"));
    for (endpoint, told) in [
        ("GET /loop", "ListFilmsResponse.films from 2 to 6 items: reviews.v1.Reviews/ListReviews is sent 2 → 6 times"),
        ("GET /awaited", "films from 2 to 6 items: catalog.v1.Films/GetFilm waits for itself in a loop, depth 3 → 7"),
        ("GET /joined", "films from 2 to 6 items: reviews.v1.Reviews/ListReviews is sent 2 → 6 times"),
        ("GET /nested", "catalog.v1.Film.cast from 2 to 6 items: people.v1.People/SearchPeople is sent 4 → 12 times"),
    ] {
        let (verdict, said) = verdict(&found, "growth", endpoint);
        assert!(verdict == "failed" && said.contains(told), "{endpoint}: {verdict}: {said}");
    }
    for (endpoint, told) in [
        ("GET /batched", "calls do not grow with any of "),
        ("GET /batched-nested", "calls do not grow with any of "),
        ("GET /scalar/{id}", "no reply has a list: its calls never depend on one"),
        ("GET /still", "calls nothing"),
    ] {
        let (verdict, said) = verdict(&found, "growth", endpoint);
        assert!(verdict == "passed" && said.contains(told), "{endpoint}: {verdict}: {said}");
    }
    for (endpoint, told) in
        [("GET /endless", "the plugin used up its CPU time"), ("GET /asleep", "the request's time is over")]
    {
        let (verdict, said) = verdict(&found, "growth", endpoint);
        assert!(verdict == "failed" && said.contains(told), "{endpoint}: {verdict}: {said}");
    }
    let (brittle, said) = verdict(&found, "optional", "GET /brittle");
    assert!(brittle == "failed" && said.contains("recommend.v1.Recommend/ForUser is optional by [fallback]"), "{said}");
    let (robust, said) = verdict(&found, "optional", "GET /robust");
    assert_eq!(
        (&*robust, &*said),
        ("passed", "without catalog.v1.Films 503; without recommend.v1.Recommend 200, degraded")
    );
}

#[test]
fn rules_come_from_the_hosts_configuration_else_from_the_manifest_else_from_the_protos() {
    let desk = Desk::new();
    let only = ["--only", "GET /batched"];
    let passes = |found: &serde_json::Value| verdict(found, "growth", "GET /batched").0 == "passed";
    assert!(passes(&desk.found(&only)));

    let manifest = desk.read("plugin.toml");
    let rule =
        "batch = { via = \"BatchGetFilms\", key = \"id\", keys = \"ids\", items = \"films\", item-key = \"id\" }";
    let own = format!("{manifest}\n[test.rules.\"catalog.v1.Films/GetFilm\"]\nscope = \"public\"\n{rule}\n");
    desk.write("plugin.toml", &own);
    let found = desk.found(&only);
    assert!(passes(&found) && found["rules"]["from"] == "[test.rules] of plugin.toml", "{found:#}");

    let backend = "[plugins]\nfolder = \"plugins\"\n[[client]]\nname = \"test\"\n[backend.films]\nservices = [\"catalog.v1.Films\"]\nendpoints = \"etcd://etcd.example:2379/films?layout=kratos\"\n";
    desk.write("weft.toml", backend);
    let with_config = [&["--config", "weft.toml"], &only[..]].concat();
    let found = desk.found(&with_config);
    assert!(!passes(&found) && found["rules"]["from"] == "weft.toml", "{found:#}");
    let (_, said) = verdict(&found, "growth", "GET /batched");
    assert!(said.contains("catalog.v1.Films/GetFilm is sent 2 → 6 times: give it a batch rule"), "{said}");

    desk.write("plugin.toml", &format!("{manifest}\n[test]\nmay-grow = [\"catalog.v1.Films/GetFilm\"]\n"));
    assert!(passes(&desk.found(&with_config)), "it may");
    desk.write("plugin.toml", &format!("{manifest}\n[test]\nmay-grow = [\"catalog.v1.Films/GetFlim\"]\n"));
    assert_ended(
        &desk.test(&only),
        2,
        &["plugin.toml:", "test.may-grow: `catalog.v1.Films/GetFlim` is not in [calls]; did you mean"],
    );
    desk.write("plugin.toml", &own.replace("\"films\", item", "\"flims\", item"));
    assert_ended(&desk.test(&only), 2, &["plugin.toml:", "has no field `flims`"]);
}
