//! What the host itself shows to a client: `/openapi.json`, made once after each swap, and `/problems/NAME`.

use super::{Body, Gateway, Outcome, Presented, Reply, Trail, cors, faults, problem_pages};
use crate::{
    artifact::Auth,
    model::{Deadline, Fault, ProblemType},
    openapi::{self, NoDocument, Part, Surface},
    release::Table,
    routing::{Client, Page},
    sync::lock,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

/// The documents of the table of releases that they were made of.
#[derive(Debug, Default)]
pub struct Documents {
    made: Mutex<HashMap<String, Made>>,
    /// One is made at a time, however many ask for it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Made {
    /// It does not keep what serves no more.
    of: Weak<Table>,
    document: Result<Bytes, NoDocument>,
}

impl Documents {
    fn known(&self, client: &str, table: &Arc<Table>) -> Option<Result<Bytes, NoDocument>> {
        let made = lock(&self.made);
        let found = made.get(client).filter(|made| Weak::ptr_eq(&made.of, &Arc::downgrade(table)))?;
        Some(found.document.clone())
    }
}

impl Gateway {
    /// The document of a client. The first one who asks after a swap has it made, beside what serves requests.
    pub async fn document(&self, client: &Client) -> Result<Bytes, NoDocument> {
        let table = self.releases.current();
        if let Some(known) = self.documents.known(&client.name, &table) {
            return known;
        }
        // To its end, whoever still waits: else those who leave would have it begun again and again.
        let made = tokio::spawn(make(self.documents.clone(), table, client.surface()));
        made.await.unwrap_or_else(|error| Err(NoDocument::Failed(error.to_string())))
    }

    /// A page of the host's own: to whoever may see it.
    pub(super) async fn show(
        &self,
        client: &Client,
        page: Page<'_>,
        (method, path): (&Method, &str),
        presented: Presented<'_>,
        trail: &mut Trail,
    ) -> Outcome {
        if *method == Method::OPTIONS {
            return Ok(cors::options(client.cors.as_ref(), presented.headers, &[Method::GET]));
        }
        if *method != Method::GET && *method != Method::HEAD {
            return Err(faults::method_not_allowed(method, path, &[Method::GET]));
        }
        let scope = client.contract.as_ref().and_then(|contract| contract.scope());
        let mut identity = None;
        // What problems mean is no secret of any client's.
        if let (Some(scope), Page::Document) = (scope, page) {
            let deadline = Deadline::after(self.ceilings.timeout);
            identity = self.identify(Auth::Required, presented, deadline).await?.map(|(identity, _)| identity);
            trail.caller.clone_from(&identity);
            trail.is_private = true;
            if !identity.as_ref().is_some_and(|identity| identity.scopes.iter().any(|held| held == scope)) {
                return Err(faults::insufficient_scope(scope));
            }
        }
        trail.left = self.rates.check(client, None, presented.payer(identity.as_ref()))?;
        match page {
            Page::Document => match self.document(client).await {
                Ok(document) => {
                    let mut reply = reply("application/json", document);
                    if scope.is_some() {
                        let private = HeaderValue::from_static("private, no-cache");
                        reply.headers.insert(header::CACHE_CONTROL, private);
                    }
                    Ok(reply)
                }
                // The reason has been logged, once.
                Err(_) => {
                    Err(Fault::new(ProblemType::Host, "there is no document of this client; the host's log says why"))
                }
            },
            Page::Resource => match self.metadata(client) {
                Some(metadata) => Ok(reply("application/json", metadata)),
                None => Err(faults::not_found(client, path)),
            },
            Page::Problems(name) => match problem_pages::page(name) {
                Some(html) => {
                    let mut reply = reply("text/html; charset=utf-8", html.into());
                    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
                    reply.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
                    Ok(reply)
                }
                None => Err(faults::not_found(client, path)),
            },
        }
    }
}

async fn make(documents: Arc<Documents>, table: Arc<Table>, surface: Surface) -> Result<Bytes, NoDocument> {
    let client = surface.client.clone();
    let _turn = documents.turn.lock().await;
    if let Some(known) = documents.known(&client, &table) {
        return known;
    }
    let of = table.clone();
    let made = tokio::task::spawn_blocking(move || {
        let releases = of.releases().iter().filter(|release| release.client == surface.client);
        let parts = releases.map(|release| Part {
            plugin: &release.name,
            version: &release.version,
            endpoints: &release.endpoints,
            told: &release.told,
        });
        let document = openapi::document(&surface, parts.collect())?;
        Ok(Bytes::from(openapi::text(&document)))
    });
    let document = made.await.unwrap_or_else(|error| Err(NoDocument::Failed(error.to_string())));
    if let Err(reason) = &document {
        tracing::error!(%client, "there is no OpenAPI document of this client until its plugins change: {reason}");
    }
    let made = Made { of: Arc::downgrade(&table), document: document.clone() };
    lock(&documents.made).insert(client, made);
    document
}

fn reply(kind: &'static str, body: Bytes) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Reply { status: StatusCode::OK, headers, body: Body::Bytes(body) }
}
