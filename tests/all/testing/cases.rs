//! Cases: what they say, what is compared, and what is told of those that can't be read.

use super::{Desk, assert_ended, grown, verdict};
use crate::support::weft;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};
use weft_tests::{artifacts, repository};

const FINE: &str = r#"
[[case]]
name = "titles in the order of the list"
request = "GET /batched"

[[case.call]]
method = "catalog.v1.Films/ListFilms"
reply = { films = [{ id = 1 }, { id = 2 }] }

[[case.call]]
method = "catalog.v1.Films/GetFilm"
request = { id = 1 }
reply = { title = "Alien" }

[[case.call]]
method = "catalog.v1.Films/GetFilm"
request = { id = 2 }
file = "replies/brazil.json"

[case.expect]
status = 200
headers = { content-type = "application/json*" }
body = ["Alien", "Br*l"]
degraded = []
upstream = { "catalog.v1.Films/ListFilms" = 1, "catalog.v1.Films/BatchGetFilms" = 1 }
depth = 2

[[case]]
name = "without recommendations"
request = "GET /robust"

[[case.call]]
method = "recommend.v1.Recommend/ForUser"
fails = "UNAVAILABLE"

[case.expect]
body = "*"
degraded = ["recommend.v1.Recommend/ForUser"]

[[case]]
name = "somebody calls"
request = "GET /me"
caller = { sub = "ann", plan = "gold", unasked = 1 }

[case.expect]
body = { subject = "ann", plan = "gold" }

[[case]]
name = "nobody calls"
request = "GET /me"

[case.expect]
status = 401
body = { type = "urn:weft:problem:unauthorized", "*" = "*" }
"#;

#[test]
fn cases_run_in_the_real_host_and_say_what_is_covered() {
    let desk = Desk::new();
    desk.write("tests/fine.toml", FINE).write("tests/replies/brazil.json", r#"{"title": "Brazil"}"#);
    let found = desk.found(&["--only", "GET /batched", "--only", "GET /me", "--only", "GET /robust"]);
    for case in ["titles in the order of the list", "without recommendations", "somebody calls", "nobody calls"] {
        let (verdict, said) = verdict(&found, "case", case);
        assert_eq!(verdict, "passed", "{case}: {said}");
    }
    assert_eq!(found["coverage"]["endpoints"]["GET /me"], 2);
    assert_eq!(found["coverage"]["endpoints"]["GET /loop"], 0);
    let never = found["coverage"]["methods_never_called"].to_string();
    assert!(never.contains("SearchPeople") && !never.contains("GetFilm"), "{never}");
}

#[test]
fn what_fails_is_told_with_its_place_and_by_the_limit_that_it_met() {
    let desk = Desk::new();
    let case = |name: &str, request: &str, more: &str| {
        format!("[[case]]\nname = \"{name}\"\nrequest = \"{request}\"\n{more}\n")
    };
    let brief = "[[case.call]]\nmethod = \"catalog.v1.Films/ListFilms\"\nreply = { films = [{ id = 1 }] }\n";
    let expect = "[case.expect]\nstatus = 404\nheaders = { x-no = \"*\" }\nbody = []\nupstream = {}\ndepth = 9\n";
    let text = [
        case("wrong", "GET /batched", &format!("{brief}{expect}")),
        case("computes", "GET /endless", "expect = { status = 200 }"),
        case("waits", "GET /asleep", ""),
        case("broken", "GET /broken/7", ""),
        case("large", "GET /large", ""),
    ];
    desk.write("tests/bad.toml", &text.join("\n"));
    let ended =
        desk.test(&["--only", "wrong", "--only", "computes", "--only", "waits", "--only", "broken", "--only", "large"]);
    assert_ended(
        &ended,
        1,
        &[
            "grown 1.0.0 for client test",
            "FAIL  tests/bad.toml:1  wrong",
            "status: expected 404, found 200",
            "headers.x-no: expected \"*\", and it is not there",
            "body: expected 0 items, found 1",
            "upstream.\"catalog.v1.Films/ListFilms\": expected none, found 1",
            "depth: expected 9, found 2",
            "GET /endless: the plugin used up its CPU time (cpu = \"50ms\" in [limits] of plugin.toml)",
            "GET /asleep: the request's time is over",
            "the response breaks its schema: year: ",
            "limits.response: 60 KiB of 64 KiB are used (94 %), and more than 80 % is too near",
            " failed",
        ],
    );
}

#[test]
fn files_with_mistakes_start_nothing_and_each_is_told_with_file_and_line() {
    let desk = Desk::new();
    let text = "[[case]]\nname = \"a\"\nrequest = \"GET /batchde\"\n\
                [[case]]\nname = \"a\"\nrequest = \"GET /batched\"\nbdoy = 1\n\
                [[case.call]]\nmethod = \"catalog.v1.Films/GetFlim\"\nreply = {}\n\
                [[case.call]]\nmethod = \"catalog.v1.Films/GetFilm\"\nreply = { titel = \"a\" }\n\
                [[case.call]]\nmethod = \"catalog.v1.Films/GetFilm\"\nfile = \"old.json\"\n\
                [[case.call]]\nmethod = \"catalog.v1.Films/GetFilm\"\nfails = \"GONE\"\n\
                [[case]]\nname = \"b\"\n";
    desk.write("tests/bad.toml", text).write("tests/old.json", r#"{"title": "x", "gone": 1}"#);
    assert_ended(
        &desk.test(&[]),
        2,
        &[
            "tests/bad.toml:3: case[0].request: the plugin has no endpoint for GET /batchde; the nearest that it has is \"GET /batched\"",
            "tests/bad.toml:7: case[1].bdoy: unknown key; did you mean `body`?",
            "tests/bad.toml:9: case[1].call[0].method: the plugin does not call `catalog.v1.Films/GetFlim`; did you mean `catalog.v1.Films/GetFilm`?",
            "tests/bad.toml:13: case[1].call[1].reply: `titel`: `catalog.v1.Film` has no such field; did you mean `title`?",
            "tests/bad.toml:16: case[1].call[2].file: old.json: `gone`: `catalog.v1.Film` has no such field; it has: ",
            "tests/bad.toml:19: case[1].call[3].fails: `GONE` is no gRPC status code such as \"UNAVAILABLE\"",
            "tests/bad.toml:20: case[2]: `request` is missing",
            "mistakes found; nothing was started",
        ],
    );
    desk.write("tests/bad.toml", "[[case]]\nname = \"a\"\nrequest = \"GET /still\"\n");
    assert_ended(
        &desk.test(&["--only", "stlil"]),
        2,
        &["`--only stlil`: no case and no endpoint has that in its name"],
    );
}

#[test]
fn snapshots_are_taken_when_blessed_and_reports_are_written_for_programs() {
    let desk = Desk::new();
    desk.write(
        "tests/shot.toml",
        "[[case]]\nname = \"A shot\"\nrequest = \"GET /batched\"\nexpect = { snapshot = true }\n",
    );
    let only = ["--only", "A shot"];
    assert_ended(&desk.test(&only), 1, &["tests/snapshots/shot.a-shot.json is not there yet", "weft test --bless"]);
    assert_ended(&desk.test(&[&["--bless"], &only[..]].concat()), 0, &["1 passed, 0 failed"]);
    let shot = desk.read("tests/snapshots/shot.a-shot.json");
    assert!(shot.contains("\"depth\": 2") && shot.contains("\"The "), "{shot}");
    assert_ended(&desk.test(&only), 0, &["1 passed, 0 failed"]);
    desk.write("tests/snapshots/shot.a-shot.json", &shot.replace("\"depth\": 2", "\"depth\": 3"));
    let ended = desk.test(&[&["--junit", "out/junit.xml"], &only[..]].concat());
    assert_ended(&ended, 1, &["was `\"depth\": 3,`, and is `\"depth\": 2,`"]);
    let junit = desk.read("out/junit.xml");
    assert!(junit.contains("<testsuite name=\"grown.case\" tests=\"1\" failures=\"1\" skipped=\"0\">"), "{junit}");
    assert!(junit.contains("<testcase classname=\"GET /batched\" name=\"A shot\" time=\""), "{junit}");
    assert!(fs::read_dir(desk.path().join("out")).unwrap().count() == 1, "nothing half-written");
}

#[test]
fn what_an_instance_remembers_of_its_last_caller_is_told() {
    let text =
        "[[case]]\nname = \"counts\"\nrequest = \"GET /kept\"\ncaller = { sub = \"ann\" }\nexpect = { status = 200 }\n";
    let of = |isolation: &str| {
        let desk = Desk::with(&artifacts::with_limit(&grown(), "isolation", isolation));
        desk.write("tests/kept.toml", text);
        verdict(&desk.found(&["--only", "counts"]), "case", "counts")
    };
    let (verdict, said) = of("reuse");
    assert!(verdict == "failed" && said.contains("after another caller's request on the same instance"), "{said}");
    assert_eq!(of("request").0, "passed");
}

#[test]
fn the_demos_plugins_pass_behind_the_demos_configuration() {
    let config = repository().join("examples/weft.toml");
    let desk = Desk::new();
    for plugin in ["home-web", "home-ios", "home-tv"] {
        let folder = format!("plugins/{plugin}");
        desk.write_bytes("plugin.wasm", &artifacts::built(weft(), &folder));
        let folder = repository().join(folder);
        let (config, folder) = (config.to_str().unwrap(), folder.to_str().unwrap());
        let ended = desk.weft(&["test", folder, "--artifact", "plugin.wasm", "--config", config]);
        assert_ended(&ended, 0, &["endpoints with a case: 5 of 5", " 0 failed"]);
    }
}

#[test]
fn it_goes_on_when_a_file_is_saved_and_leaves_nothing_when_it_is_ended() {
    let desk = Desk::new();
    let temporary = tempfile::tempdir().unwrap();
    let case =
        |status: u16| format!("[[case]]\nname = \"a\"\nrequest = \"GET /still\"\nexpect = {{ status = {status} }}\n");
    desk.write("tests/a.toml", &case(201));
    let mut child = desk.command(&["test", "--artifact", "plugin.wasm", "--only", "GET /still", "--watch"]);
    let mut child = child.env("TMPDIR", temporary.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("1 failed")) && lines.any(|line| line.starts_with("waiting for a file")));
    desk.write("tests/a.toml", &case(200));
    assert!(lines.any(|line| line.contains("0 failed")), "it is tried again");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}
