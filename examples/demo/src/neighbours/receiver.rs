//! The receiver of traces: otelite, asked by its API; or, where there is none, the demo itself.

use super::{patience::until, programs::Programs, site::Site};
use crate::{
    crew::{Crew, Role},
    say, web,
};
use anyhow::Context;
use demo::trace::Span;
use demo_services::proto::otlp::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue, Span as Sent,
    any_value::Value as Said,
    trace_service_server::{TraceService, TraceServiceServer},
};
use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    process::Command,
    sync::watch,
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Spans that the demo keeps; what comes beyond is lost.
const MOST: usize = 100_000;

#[derive(Debug)]
pub(crate) enum Receiver {
    /// Where it is asked.
    Otelite(SocketAddr),
    Own(watch::Receiver<Vec<Span>>),
}

impl Receiver {
    pub(crate) async fn start(crew: &mut Crew, programs: &Programs, site: &mut Site) -> anyhow::Result<Self> {
        let address = site.receiver;
        let Some(program) = &programs.otelite else {
            let (keeper, kept) = watch::channel(Vec::new());
            let listener = TcpListener::bind(address).await.with_context(|| format!("{address} can't be had"))?;
            let server = Server::builder().add_service(TraceServiceServer::new(Keeper(keeper)));
            tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
            say::detail(&format!("{:<10} {address}, for as long as the demo runs", "traces"));
            return Ok(Self::Own(kept));
        };
        let (api, http) = (site.port()?, site.port()?);
        let folder = crew.folder()?.to_owned();
        let mut command = Command::new(program);
        command.args(["serve", "--addr", &api.to_string(), "--storage-path"]).arg(folder.join("otelite"));
        command.env("OTELITE_OTLP_GRPC_PORT", address.port().to_string()).env("HOME", &folder);
        command.env("OTELITE_OTLP_HTTP_PORT", http.port().to_string()).current_dir(&folder);
        crew.stay("otelite", Role::Neighbour, command, false)?;
        until(
            crew,
            || "waiting for otelite".to_owned(),
            async || {
                let listens = async |address| TcpStream::connect(address).await.is_ok();
                (listens(address).await && listens(api).await).then_some(())
            },
        )
        .await?;
        say::detail(&format!("{:<10} {address}, its pages at http://{api}", "otelite"));
        Ok(Self::Otelite(api))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Otelite(_) => "otelite",
            Self::Own(_) => "the demo's own receiver",
        }
    }

    /// What has arrived of a trace so far.
    pub(crate) async fn trace(&self, id: &str) -> Vec<Span> {
        match self {
            Self::Own(kept) => kept.borrow().iter().filter(|span| span.trace == id).cloned().collect(),
            Self::Otelite(api) => {
                let Ok(answer) = web::get(*api, &format!("/api/traces/{id}")).await else { return Vec::new() };
                let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let spans = answer.get("spans").and_then(Value::as_array);
                spans.into_iter().flatten().filter_map(of_otelite).collect()
            }
        }
    }
}

fn of_otelite(span: &Value) -> Option<Span> {
    let text = |name: &str| span.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let time = |name: &str| span.get(name).and_then(Value::as_u64).unwrap_or_default();
    let attributes = span.get("attributes").and_then(Value::as_object).into_iter().flatten();
    let service = span.pointer("/resource/attributes/service.name").and_then(Value::as_str).unwrap_or("?");
    Some(Span {
        trace: text("trace_id"),
        id: Some(text("span_id")).filter(|id| !id.is_empty())?,
        parent: text("parent_span_id"),
        service: service.to_owned(),
        name: text("name"),
        start: time("start_time"),
        end: time("end_time"),
        attributes: attributes.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
    })
}

/// Keeps what it is sent.
#[derive(Debug)]
struct Keeper(watch::Sender<Vec<Span>>);

#[tonic::async_trait]
impl TraceService for Keeper {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = Vec::new();
        for sent in request.into_inner().resource_spans {
            let resource = said(sent.resource.unwrap_or_default().attributes);
            let service = resource.get("service.name").map_or("?", String::as_str);
            spans.extend(sent.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| of_otlp(span, service)));
        }
        self.0.send_modify(|kept| kept.extend(spans.into_iter().take(MOST - kept.len())));
        Ok(Response::new(ExportTraceServiceResponse {}))
    }
}

fn of_otlp(span: Sent, service: &str) -> Span {
    Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        service: service.to_owned(),
        name: span.name,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: said(span.attributes),
    }
}

fn said(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let one = |attribute: KeyValue| {
        let value = match attribute.value?.value? {
            Said::StringValue(text) => text,
            Said::BoolValue(flag) => flag.to_string(),
            Said::IntValue(number) => number.to_string(),
            Said::DoubleValue(number) => number.to_string(),
        };
        Some((attribute.key, value))
    };
    attributes.into_iter().filter_map(one).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
