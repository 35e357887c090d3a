//! The host as it is, with the pages' handlers compiled into it: what is left when the sandbox is taken away.

use bytes::Bytes;
use std::{path::Path, sync::Arc, time::Duration};
use weft::{
    app,
    config::Config,
    fanout::{Head, Instead},
    plugin::{Invocation, Natives, Problem, Request, Response},
    telemetry,
};
use weft_sdk::{
    Identity, Outcome, Plugin,
    executor::{Completion, Exchange, NoHost, Turn},
};

/// As `weft serve --config FILE`.
pub(super) fn run(config: &str) -> anyhow::Result<()> {
    let config = Config::load(Path::new(config)).map_err(|mistakes| {
        let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })?;
    telemetry::init_logs(&config.telemetry);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let pages = Arc::new(bench_pages::plugin());
        let natives = Natives::default().with("pages", move |invocation| handle(pages.clone(), invocation));
        let running = app::start(config, Arc::new(natives), app::Listening::default()).await?;
        crate::say(format_args!("weft serves on http://{} (admin on http://{})", running.http, running.admin));
        std::future::pending::<anyhow::Result<()>>().await
    })
}

/// Drives the SDK's executor over the host's session, as the component does over its import.
async fn handle(plugin: Arc<Plugin>, invocation: Invocation) -> Result<Response, Problem> {
    let Invocation { request, mut session, .. } = invocation;
    let mut executor = plugin.start(taken(request), Arc::new(NoHost));
    let outcome = loop {
        let (heads, cancel, wait) = match executor.turn() {
            Turn::Done(outcome) => break outcome,
            Turn::Stuck => break Err(weft_sdk::Problem::deadlock()),
            Turn::Exchange(wanted) => (heads(&wanted), wanted.cancel.to_vec(), wanted.wait_ms),
        };
        let wait = wait.map(|ms| Duration::from_millis(ms.into()));
        let arena = session.exchange(heads, &cancel, wait).await;
        let completions: Vec<Completion> = arena.completions.iter().map(completion).collect();
        executor.deliver(&completions, &Bytes::from(arena.bytes));
    };
    given(outcome)
}

fn taken(request: Request) -> weft_sdk::Request {
    let identity = request.identity.map(|given| {
        let mut identity = Identity::of(given.subject).with_issuer(given.issuer);
        if let Some(tenant) = given.tenant {
            identity = identity.with_tenant(tenant);
        }
        given.scopes.into_iter().fold(identity, Identity::with_scope)
    });
    weft_sdk::Request::new(request.endpoint)
        .with_path(request.path)
        .with_params(request.params)
        .with_query(request.query)
        .with_headers(request.headers)
        .with_body(request.body)
        .with_client(request.client)
        .with_identity(identity)
        .with_request_id(request.request_id)
        .with_deadline(Duration::from_millis(request.deadline_ms.into()))
}

fn heads(wanted: &Exchange<'_>) -> Vec<Head> {
    let messages = Bytes::copy_from_slice(wanted.messages);
    let head = |call: &weft_sdk::executor::CallHead| Head {
        method: call.method,
        depth: (call.flags & 0xffff) as u16,
        timeout: (call.timeout_ms > 0).then(|| Duration::from_millis(call.timeout_ms.into())),
        instead: Instead::default(),
        message: messages.slice(call.offset as usize..(call.offset + call.len) as usize),
    };
    wanted.calls.iter().map(head).collect()
}

fn completion(from: &weft::fanout::Completion) -> Completion {
    let weft::fanout::Completion { ticket, code, origin, age_ms, offset, len } = *from;
    Completion { ticket, code, origin, age_ms, offset, len }
}

fn given(outcome: Outcome) -> Result<Response, Problem> {
    match outcome {
        Ok(response) => {
            let (status, headers, body) = response.into_parts();
            Ok(Response { status: status.number(), headers, body, extensions: Vec::new() })
        }
        Err(problem) => Err(Problem {
            status: problem.status().number(),
            kind: problem.kind().to_owned(),
            title: problem.title().to_owned(),
            detail: problem.detail().to_owned(),
            extensions: problem.extensions().to_vec(),
            retry_after: None,
        }),
    }
}
