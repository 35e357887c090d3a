//! What is taken out, and what stays.

use super::*;
use serde_json::json;

fn redactor() -> Redactor {
    Redactor::new(&["phone".to_owned(), "birth_date".to_owned()], &["nickname".to_owned()])
}

#[test]
fn credentials_are_left_out_and_named_fields_are_replaced_wherever_they_stand() {
    let mut redactor = redactor();
    for name in ["Authorization", "cookie", "Set-Cookie"] {
        assert_eq!(redactor.header(name, "x"), None);
    }
    assert_eq!(redactor.header("accept-language", "de").as_deref(), Some("de"));
    let mut body =
        json!({"people": [{"phone": "+1 202", "birthDate": {"year": 1970}, "name": "Ann"}], "Password": "short"});
    redactor.json("body", &mut body);
    assert_eq!(
        body,
        json!({"people": [{"phone": "redacted-2", "birthDate": {"year": 0}, "name": "Ann"}], "Password": "redacted-1"})
    );
    let mut claims = json!({"sub": "ann", "nickname": "annie", "phone": "+1 202"}).as_object().unwrap().clone();
    redactor.claims(&mut claims);
    assert_eq!(claims["nickname"], "redacted-3");
    let told: Vec<String> = redactor.told().into_iter().map(|one| format!("{} {}", one.place, one.why)).collect();
    assert_eq!(
        told,
        [
            "body.Password is a secret by its name",
            "body.people[].birthDate is named in [redact]",
            "body.people[].phone is named in [redact]",
            "claim nickname is named in [redact]",
            "claim phone is named in [redact]",
            "header Authorization carries a credential",
            "header Set-Cookie carries a credential",
            "header cookie carries a credential",
        ]
    );
}

#[test]
fn what_looks_like_a_token_or_a_mail_address_is_replaced_and_stays_the_same_one() {
    let mut redactor = redactor();
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let mut body = json!({"text": format!("write to ann@corp.example, not to bob@corp.example. ({token})"), "to": "ann@corp.example"});
    redactor.json("body", &mut body);
    assert_eq!(
        body,
        json!({"text": "write to redacted-1@example.com, not to redacted-2@example.com. (redacted-3)", "to": "redacted-1@example.com"})
    );
    let target = redactor.target("/users/ann%40corp.example/mail?key=AKIAIOSFODNN7EXAMPLE&phone=1&page=2&flag");
    assert_eq!(target, "/users/redacted-4@example.com/mail?key=redacted-5&phone=redacted-6&page=2&flag");
}

#[test]
fn what_people_and_programs_write_every_day_stays() {
    for text in [
        "A clear start, and an end that nobody sees coming.",
        "https://example.com/images/312.jpg?size=large",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "2026-11-29T09:29:51Z",
        "catalog.v1.Films/GetFilm",
        "a@b",
        "@ann",
        "urn:weft:problem:not-found",
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    ] {
        assert_eq!(redactor().text("body", text), text);
    }
    for secret in [
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "wJalrXUtnFEMI7K7MDENGbPxRfiCYEXAMPLEKEY1",
    ] {
        assert_eq!(redactor().text("body", &format!("key: {secret}.")), "key: redacted-1.", "{secret}");
    }
}

#[test]
fn a_field_that_no_other_text_fits_is_left_out() {
    let mut body = json!({"phone": "+1 202", "id": 7, "inner": [{"phone": 1}]});
    redactor().json_without("reply", &mut body);
    assert_eq!(body, json!({"id": 7, "inner": [{}]}));
}

#[test]
fn what_was_replaced_once_is_replaced_wherever_it_stands_alone() {
    let mut redactor = redactor();
    let mut body = json!({"phone": "+1 202", "text": "call +1 202", "to": "+1 202"});
    redactor.json("body", &mut body);
    assert_eq!(body, json!({"phone": "redacted-1", "text": "call +1 202", "to": "redacted-1"}));
}
