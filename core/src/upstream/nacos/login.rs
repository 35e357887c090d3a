//! Who asks Nacos, where it wants to know: by name and password for a token, which is renewed before it ends.

use super::{Access, Server, TIME};
use crate::{
    net::HttpClient,
    settings::Secret,
    upstream::registry::{self, said},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// Of Nacos 1 and 2, and of 3 where that of the older ones is switched off.
const PATHS: [&str; 2] = ["nacos/v1/auth/login", "nacos/v3/auth/user/login"];
/// Of an answer.
const LARGEST: usize = 64 << 10;
/// How long a token holds that does not say so.
const USUAL: Duration = Duration::from_mins(30);

/// A token, and how the next one is had.
pub(super) struct Login {
    client: HttpClient,
    server: String,
    user: String,
    password: Secret,
    token: String,
    renew_at: Instant,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("server", &self.server).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Login {
    /// `None`: nobody is to log in.
    pub(super) async fn begin(access: &Access, server: &Server) -> Result<Option<Self>, String> {
        let Some((user, password)) = access.user.clone() else { return Ok(None) };
        let client = registry::client(TIME, access.tls.as_ref())?;
        let now = Instant::now();
        let server = server.http.to_string();
        let mut login = Self { client, server, user, password, token: String::new(), renew_at: now };
        login.renew().await?;
        Ok(Some(login))
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn renew_at(&self) -> Instant {
        self.renew_at
    }

    /// A new token where it is time for one, and it can be had. With an old one questions are refused, and the connection stands.
    pub(super) async fn keep(&mut self) {
        if Instant::now() >= self.renew_at && self.renew().await.is_err() {
            self.renew_at = Instant::now() + TIME;
        }
    }

    /// The password is read anew each time, so that another one counts without a restart.
    async fn renew(&mut self) -> Result<(), String> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let body = format!("username={}&password={}", encoded(&self.user), encoded(&self.password.read()?));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut refusal = String::new();
        for path in PATHS {
            let (url, headers) =
                (format!("{}{path}", self.server), HeaderMap::from_iter([(CONTENT_TYPE, form.clone())]));
            let asked = self.client.send(Method::POST, url, headers, Some(body.clone().into()), LARGEST);
            let answered = tokio::time::timeout(TIME, asked).await;
            let response = answered.map_err(|_| format!("no answer to the login within {TIME:?}"))?;
            let response = response.map_err(|error| format!("login: {error}"))?;
            if response.status == StatusCode::OK {
                return self.took(&response.body);
            }
            refusal = format!("the login was answered by {}: {}", response.status, said(&response.body));
            if !matches!(response.status, StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::NOT_IMPLEMENTED) {
                break;
            }
        }
        Err(refusal)
    }

    fn took(&mut self, answer: &[u8]) -> Result<(), String> {
        let (token, ttl) = read(answer).ok_or("the login was answered without a token")?;
        (self.token, self.renew_at) = (token, Instant::now() + ttl / 2);
        Ok(())
    }
}

fn read(answer: &[u8]) -> Option<(String, Duration)> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let inside = if answer.get("accessToken").is_some() { &answer } else { answer.get("data")? };
    let token = inside.get("accessToken")?.as_str().filter(|token| !token.is_empty())?;
    let ttl = inside.get("tokenTtl").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    // No further than a day: what a server says may be any number.
    let ttl = ttl.map_or(USUAL, |seconds| Duration::from_secs(seconds.min(86_400)));
    Some((token.to_owned(), ttl))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_with_its_time_and_nonsense_is_none() {
        let of = |text: &str| read(text.as_bytes());
        let java = r#"{"accessToken":"eyJ","tokenTtl":18000,"globalAdmin":true,"username":"nacos"}"#;
        assert_eq!(of(java), Some(("eyJ".to_owned(), Duration::from_secs(18_000))));
        let wrapped = r#"{"code":0,"message":"success","data":{"accessToken":"eyJ","tokenTtl":60}}"#;
        assert_eq!(of(wrapped), Some(("eyJ".to_owned(), Duration::from_secs(60))));
        assert_eq!(of(r#"{"accessToken":"e"}"#), Some(("e".to_owned(), USUAL)));
        let endless = of(r#"{"accessToken":"e","tokenTtl":18446744073709551615}"#);
        assert_eq!(endless, Some(("e".to_owned(), Duration::from_secs(86_400))));
        for nonsense in ["", "null", "<html>", r#"{"accessToken":""}"#, r#"{"accessToken":1}"#, r#"{"data":[]}"#] {
            assert_eq!(of(nonsense), None, "{nonsense}");
        }
    }
}
