//! Agents: each POST is one message of the Model Context Protocol, and a tool's call goes the way of every request, within this one.
//!
//! Nothing is kept of a message: whichever host gets the next one can answer it. The message is counted for its client before it is read,
//! and its token looked at once, for the resource that the client's settings name; the call then has that caller, and only what an
//! endpoint sets for itself is still to be taken. What the log and the metrics tell of it is what they tell of the endpoint's requests.

mod call;
mod resource;
mod results;
mod toolboxes;

pub use toolboxes::Toolboxes;

use super::{Body, Gateway, Outcome, Reply, Request, Trail, cors, faults, negotiation};
use crate::{
    identity::Audience,
    mcp::{self, Asked, Message, Refused, Seen, Server, Tools, What},
    model::{Deadline, Fault, ProblemType},
    routing::{Agents, Client},
};
use bytes::Bytes;
use call::Within;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// For the metrics: what was sent, and what came of it.
struct Said {
    message: &'static str,
    result: &'static str,
}

impl Gateway {
    /// A message of an agent. On the heap: a call comes back to where this is called from.
    pub(super) fn converse<'a>(
        &'a self,
        (client, agents): (&'a Client, &'a Agents),
        request: Request,
        trail: &'a mut Trail,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let mut said = Said { message: "unread", result: "refused" };
            let outcome = self.message((client, agents), request, trail, &mut said).await;
            self.tools.count(&client.name, said.message, said.result);
            outcome.map_err(|fault| resource::named(fault, agents))
        })
    }

    async fn message(
        &self,
        (client, agents): (&Client, &Agents),
        request: Request,
        trail: &mut Trail,
        said: &mut Said,
    ) -> Outcome {
        if let Some(reply) = let_pass((client, agents), &request)? {
            return Ok(reply);
        }
        // By the head:
        let deadline = Deadline::after(self.ceilings.timeout);
        let audience = agents.resource.as_ref().map_or(Audience::Host, |resource| Audience::Resource(&resource.uri));
        let presented = super::Presented { audience, ..request.presented() };
        let verified = self.identify(agents.auth, presented, deadline).await?;
        let identity = verified.as_ref().map(|(identity, _)| identity);
        trail.caller = identity.cloned();
        trail.is_private = true;
        if let Some(scope) = &agents.scope
            && !identity.is_some_and(|identity| identity.scopes.contains(scope))
        {
            return Err(faults::insufficient_scope(scope));
        }
        trail.left = self.rates.check(client, None, presented.payer(identity))?;
        let json = ["application/json".to_owned()];
        negotiation::check_accept(&json, &request.headers)?;
        // By the body:
        let (body, within) = Within::of((client, agents), request, verified);
        let body = tokio::time::timeout_at(deadline.instant(), body).await.map_err(|_| faults::body_too_slow())??;
        negotiation::check_content_type(&json, within.headers(), &body)?;
        // Before anything of the message is held.
        let tools = self.tools_of(client).await?;
        let asked = match mcp::read(within.headers(), &body) {
            Ok(Message::Request(asked)) => asked,
            Ok(Message::Notification) => {
                *said = Said { message: "notification", result: "done" };
                return Ok(Reply {
                    status: StatusCode::ACCEPTED,
                    headers: HeaderMap::new(),
                    body: Body::Bytes(Bytes::new()),
                });
            }
            Err(refused) => return Ok(refusal(refused)),
        };
        drop(body);
        said.message = asked.what.as_str();
        self.answer_agent(within, (asked, &tools), trail, said).await
    }

    async fn answer_agent(
        &self,
        within: Within<'_>,
        (asked, tools): (Asked, &Tools),
        trail: &mut Trail,
        said: &mut Said,
    ) -> Outcome {
        let (client, agents) = (within.client(), within.agents());
        let server = Server { name: &client.name, version: tools.version() };
        let Asked { by: asked, what } = asked;
        let body = match what {
            What::Initialize { wanted } => asked.initialized(&wanted, server),
            What::Discover => asked.discovered(server),
            What::Ping => asked.pong(),
            What::List { cursor } => {
                let seen = Seen { writes: agents.writes, named: within.is_named() };
                asked.listed((tools, seen), cursor.as_deref(), server)
            }
            What::Call { tool, arguments } => match tools.find(&tool, agents.writes) {
                Some(tool) => {
                    let (reply, result) = self.call(within, (&asked, server), (tool, arguments), trail).await?;
                    said.result = result;
                    return Ok(reply);
                }
                None => return Ok(refusal(asked.no_such_tool(&tool))),
            },
        };
        said.result = "done";
        Ok(reply(StatusCode::OK, body))
    }
}

/// Whether it is a message at all, and of somebody who may send one; the answer, where the question was only that.
fn let_pass((client, agents): (&Client, &Agents), request: &Request) -> Result<Option<Reply>, Fault> {
    let cors = client.cors.as_ref();
    if request.method == Method::OPTIONS {
        return Ok(Some(cors::options(cors, &request.headers, &[Method::POST])));
    }
    if !agents.takes_origin(&request.headers, |origin| cors.is_some_and(|cors| cors.names(origin))) {
        let text = "pages of this origin may not speak to agents' tools here";
        return Err(Fault::new(ProblemType::CrossSite, text).with("field", "header.origin"));
    }
    // There is no stream that could be read, and no session that could be ended.
    match request.method == Method::POST {
        true => Ok(None),
        false => Err(faults::method_not_allowed(&request.method, &agents.path, &[Method::POST])),
    }
}

fn refusal(refused: Refused) -> Reply {
    reply(refused.status, refused.body)
}

fn reply(status: StatusCode, body: Bytes) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Reply { status, headers, body: Body::Bytes(body) }
}
