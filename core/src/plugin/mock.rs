//! Guests that answer by what is known of their endpoints and run nothing: behind them all is as with any guest, so what a frontend
//! meets in front of a mock is what it will meet later.

use super::{
    CompileError,
    emit::{Emitter, StreamHead},
    error::PluginError,
    guest::{Answer, Guest, Invocation, Ran, Run, Sandbox, Terms},
    message::{Fields, Problem, Response},
};
use crate::{
    artifact::Artifact,
    mocks::{Asked, Mocks, Outcome},
    observe::Cost,
    settings::Mistakes,
};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// Makes such guests of artifacts.
#[derive(Debug, Default)]
pub struct MockSandbox;

impl Sandbox for MockSandbox {
    fn load(&self, artifact: &Artifact, _: Terms) -> Result<Arc<dyn Guest>, CompileError> {
        // An example that does not fit was told of when it was read, and is left out.
        let mocks = Mocks::read(&artifact.manifest, &artifact.schema, &artifact.mocks, "", &Mistakes::new());
        Ok(Arc::new(Mock(mocks)))
    }
}

struct Mock(Mocks);

impl Guest for Mock {
    fn run(self: Arc<Self>, run: Run) -> BoxFuture<'static, Result<Ran, PluginError>> {
        Box::pin(async move {
            let Run { invocation, turn, .. } = run;
            let result = self.answer(invocation).await;
            let answer = Ok(Answer { result, cost: Cost::default() });
            Ok(Ran { is_new: true, answer, instance: Box::new(()), turn })
        })
    }
}

impl Mock {
    async fn answer(&self, invocation: Invocation) -> Result<Response, Problem> {
        let Invocation { request, session, emitter, .. } = invocation;
        let answer = self.0.answer(Asked {
            endpoint: &request.endpoint,
            params: &request.params,
            query: &request.query,
            headers: &request.headers,
            body: &request.body,
        });
        tokio::time::sleep(answer.delay).await;
        for (call, how) in &answer.degraded {
            session.tell_degraded(call, how.0);
        }
        match answer.outcome {
            Outcome::Response { status, headers, body } => {
                Ok(Response { status, headers, body, extensions: Vec::new() })
            }
            Outcome::Events { headers, data } => {
                if let Some(emitter) = emitter {
                    sent(emitter, headers, &data).await;
                }
                Ok(Response { status: 200, headers: Vec::new(), body: Vec::new(), extensions: Vec::new() })
            }
            Outcome::Problem(problem) => Err(Problem {
                status: problem.status,
                kind: problem.kind,
                title: problem.title,
                detail: problem.detail,
                extensions: problem.members,
                retry_after: problem.retry_after,
            }),
        }
    }
}

/// Each as an event, for as long as somebody takes them.
async fn sent(mut emitter: Emitter, headers: Fields, data: &[Value]) {
    if emitter.begin(StreamHead { status: 200, headers }).is_err() {
        return;
    }
    for data in data {
        // JSON as it is written here has no line breaks.
        if !matches!(emitter.write(format!("data: {data}\n\n").into_bytes()).await, Ok(true)) {
            return;
        }
    }
}
