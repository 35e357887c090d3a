//! Whose token counts for agents, and where it goes.

use super::{RESOURCE, call, client, host, host_with, message, names, result, token};
use crate::support::{FOR_USER, knows_all};
use demo_services::proto::recommend::v1::ForUserResponse;
use serde_json::json;
use weft_tests::{
    tokens::{AUDIENCE, ISSUER, Token},
    upstream::Answer,
};

const METADATA: &str = "/.well-known/oauth-protected-resource/t/mcp";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_token_is_told_where_to_get_one() {
    let host = host(", scope = \"agents\"", "").await;
    let refused = message(&host, "tools/list", json!({})).send().await;
    assert_eq!(refused.problem(401)["type"], "urn:weft:problem:unauthorized");
    let place = format!("https://api.example.com{METADATA}");
    let challenge = format!("Bearer resource_metadata=\"{place}\", scope=\"agents\"");
    assert_eq!(refused.header("www-authenticate"), Some(&*challenge));
    let metadata = host.get(METADATA).send().await.ok();
    assert_eq!(metadata.header("content-type"), Some("application/json"));
    let expected = json!({
        "resource": RESOURCE, "authorization_servers": [ISSUER], "bearer_methods_supported": ["header"],
        "resource_name": "test", "scopes_supported": ["agents"],
    });
    assert_eq!(metadata.json(), expected);
    host.post(METADATA).send().await.problem(405);
    for path in ["/.well-known/oauth-protected-resource", "/t/.well-known/oauth-protected-resource/mcp"] {
        host.get(path).send().await.problem(404);
    }

    let weak = message(&host, "tools/list", json!({})).bearer(&token("ann").sign()).send().await;
    assert_eq!(weak.problem(403)["type"], "urn:weft:problem:insufficient-scope");
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"agents\", resource_metadata=\"{place}\"");
    assert_eq!(weak.header("www-authenticate"), Some(&*challenge));
    let good = token("ann").claim("scope", "films agents").sign();
    assert!(names(&result(message(&host, "tools/list", json!({})).bearer(&good).send().await)).contains(&"get_me"));
}

/// Both ways: what is for agents is not for the endpoints over HTTP, and the other way round, whatever was asked first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_another_audience_is_none() {
    let host = host("", "").await;
    let (agents, https) = (token("ann").sign(), Token::of("ann").sign());
    for _ in 0..2 {
        let me = result(call(&host, "get_me", json!({})).bearer(&agents).send().await);
        assert_eq!(me["structuredContent"]["subject"], "ann");
        assert_eq!(host.get("/t/me").bearer(&https).send().await.ok().json()["subject"], "ann");
        host.get("/t/me").bearer(&agents).send().await.problem(401);
        for wrong in [
            https.clone(),
            Token::of("ann").claim("aud", json!([AUDIENCE, "https://api.example.com/other"])).sign(),
            Token::of("ann").claim("aud", "https://api.example.com/t/mcp/").sign(),
            Token::of("ann").claim("aud", "https://api.example.com").sign(),
        ] {
            let refused = call(&host, "get_me", json!({})).bearer(&wrong).send().await;
            assert_eq!(refused.problem(401)["detail"], "the token is for another audience");
            let challenge = refused.header("www-authenticate").unwrap();
            assert!(
                challenge.starts_with("Bearer error=\"invalid_token\"") && challenge.contains(METADATA),
                "{challenge}"
            );
        }
        let refused =
            call(&host, "get_me", json!({})).bearer(&Token::of("ann").claim("aud", json!(null)).sign()).send().await;
        assert_eq!(refused.problem(401)["detail"], "the token has no `aud`");
    }
    let expired = call(&host, "get_me", json!({})).bearer(&token("ann").claim("exp", 1).sign()).send().await;
    assert_eq!(expired.problem(401)["detail"], "the token has expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_shown_to_whom_it_may_be_called_by() {
    let host = host(", auth = \"optional\"", "").await;
    let of_nobody = result(message(&host, "tools/list", json!({})).send().await);
    let of_ann = result(message(&host, "tools/list", json!({})).bearer(&token("ann").sign()).send().await);
    let shown =
        |list: &serde_json::Value| ["get_version", "get_maybe", "get_me"].map(|name| names(list).contains(&name));
    assert_eq!((shown(&of_nobody), shown(&of_ann)), ([true, true, false], [true, true, true]));
    assert_eq!(result(call(&host, "get_maybe", json!({})).send().await)["content"][0]["text"], "nobody");
    let ann = call(&host, "get_maybe", json!({})).bearer(&token("ann").sign()).send().await;
    assert_eq!(result(ann)["content"][0]["text"], "ann");
    // Who calls it all the same is told what is missing, so that it can be had.
    let refused = call(&host, "get_me", json!({})).send().await;
    refused.problem(401);
    assert!(refused.header("www-authenticate").unwrap().contains(METADATA), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_token_goes_nowhere() {
    let upstream = knows_all().await;
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    let host = host_with(&upstream, client("", ""), |manifest| {
        let echo = manifest["endpoint"]["GET /echo/{name}"].as_table_mut().unwrap();
        echo.insert("headers".into(), vec!["accept", "accept-language", "mcp-name", "origin"].into());
    });
    let (host, agents, https) = (host.await, token("ann").sign(), Token::of("ann").sign());
    host.get("/t/for-you").bearer(&https).send().await.ok();
    result(call(&host, "get_for--you", json!({})).bearer(&agents).send().await);
    let calls = upstream.calls(FOR_USER);
    let told: Vec<_> = calls.iter().map(|call| call.meta("authorization")).collect();
    assert_eq!(
        told,
        [Some(&*format!("Bearer {https}")), None],
        "`token = true` of [identity.forward] is for HTTP alone"
    );
    let echo = call(&host, "get_echo_by_name", json!({ "name": "a" })).bearer(&agents).header("accept-language", "de");
    let echo = result(echo.send().await);
    assert_eq!(echo["structuredContent"]["headers"], json!([["accept-language", "de"]]), "{echo}");
}
