//! The tools of each client, made once after each swap.

use super::super::Gateway;
use crate::{
    artifact::EndpointPolicy,
    mcp::Tools,
    model::{Fault, ProblemType},
    release::Table,
    routing::Client,
    sync::lock,
    telemetry::{Contracts, Metrics},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

/// The tools of a table of releases, by client.
type Made = HashMap<String, (Weak<Table>, Arc<Tools>)>;

/// The tools of the table of releases that they were made of.
#[derive(Debug)]
pub struct Toolboxes {
    made: Mutex<Made>,
    /// Those of one client are made at a time, however many ask for them.
    turn: tokio::sync::Mutex<()>,
    metrics: Contracts,
}

impl Toolboxes {
    pub fn new(metrics: &Metrics) -> Self {
        Self { made: Mutex::default(), turn: tokio::sync::Mutex::default(), metrics: metrics.contracts.clone() }
    }

    pub(super) fn count(&self, client: &str, message: &'static str, result: &'static str) {
        self.metrics.said(client, message, result);
    }

    fn known(&self, client: &str, table: &Arc<Table>) -> Option<Arc<Tools>> {
        let made = lock(&self.made);
        let (_, tools) = made.get(client).filter(|(of, _)| Weak::ptr_eq(of, &Arc::downgrade(table)))?;
        Some(tools.clone())
    }
}

impl Gateway {
    /// The tools of a client, which are made of its document.
    pub(super) async fn tools_of(&self, client: &Client) -> Result<Arc<Tools>, Fault> {
        let table = self.releases.current();
        if let Some(known) = self.tools.known(&client.name, &table) {
            return Ok(known);
        }
        let none = "there are no tools of this client; the host's log says why";
        // The reason has been logged, once.
        let document = self.document(client).await.map_err(|_| Fault::new(ProblemType::Host, none))?;
        // To its end, whoever still waits: else those who leave would have it begun again and again.
        let made = tokio::spawn(make(self.tools.clone(), table, client.name.clone(), document));
        made.await.map_err(|error| Fault::new(ProblemType::Host, none).because(error))?
    }
}

async fn make(boxes: Arc<Toolboxes>, table: Arc<Table>, client: String, document: Bytes) -> Result<Arc<Tools>, Fault> {
    let _turn = boxes.turn.lock().await;
    if let Some(known) = boxes.known(&client, &table) {
        return Ok(known);
    }
    let (of, name) = (table.clone(), client.clone());
    let made = tokio::task::spawn_blocking(move || {
        let releases = of.releases().iter().filter(|release| release.client == name);
        let endpoints: Vec<&EndpointPolicy> = releases.flat_map(|release| &release.endpoints).collect();
        Tools::new(&serde_json::from_slice(&document).unwrap_or_default(), &endpoints)
    });
    let host =
        |error: tokio::task::JoinError| Fault::new(ProblemType::Host, "the tools could not be made").because(error);
    let tools = Arc::new(made.await.map_err(host)?);
    if !tools.left_out().is_empty() {
        let endpoints = tools.left_out().join(", ");
        tracing::warn!(%client, endpoints, "these endpoints are no tools, because their types are too large for agents");
    }
    lock(&boxes.made).insert(client, (Arc::downgrade(&table), tools.clone()));
    Ok(tools)
}
