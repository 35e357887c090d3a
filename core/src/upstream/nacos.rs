//! What is asked of Nacos 2 and 3: over one gRPC connection to one of its servers, which tells of changes by a stream of its own, and
//! for which an instance is there as long as its connection is.
//!
//! Nothing here waits for the first bytes of that stream: a server sends them with its first message, which may be days away. And there
//! are no pings of HTTP/2, for which Nacos closes connections: each [`PATROL`] it is asked whether it is there, as its own clients do.

mod login;
mod messages;

use super::{
    codec::RawCodec,
    registry,
    status::{told, with_sources},
    tls::TlsFiles,
};
use crate::settings::{Secret, Table};
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use http::{Uri, uri::PathAndQuery};
use login::Login;
use messages::{Refused, UNREGISTERED};
use serde_json::{Value, json};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    net::{UdpSocket, lookup_host},
    sync::mpsc,
    time::Instant,
};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};

/// For one answer, and for a connection.
const TIME: Duration = Duration::from_secs(5);
/// How often it is asked whether it is there.
const PATROL: Duration = Duration::from_secs(5);
/// Before another server is connected to because this one wants it.
pub const ELSEWHERE: Duration = Duration::from_secs(1);
/// Until a server has taken in who is connected, between two questions.
const AGAIN: Duration = Duration::from_millis(50);
/// One message: 10,000 instances of 1 KiB and more.
const LARGEST: usize = 16 << 20;
/// What is to be said on the stream, and not said yet.
const UNSAID: usize = 16;

const ASK: &str = "/Request/request";
const STREAM: &str = "/BiRequestStream/requestBiStream";

/// Where the servers are, and who asks.
#[derive(Debug, Clone)]
pub struct Access {
    pub servers: Vec<Server>,
    pub tls: Option<TlsFiles>,
    pub user: Option<(String, Secret)>,
}

/// A server, by both its ports.
#[derive(Debug, Clone)]
pub struct Server {
    pub http: Uri,
    pub grpc: Uri,
}

/// A service in Nacos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NacosService {
    pub namespace: String,
    pub group: String,
    pub name: String,
    /// None: all of them.
    pub clusters: Vec<String>,
}

impl Access {
    /// `user`, `password` and `tls` of a table.
    pub(super) fn read(table: &Table<'_>) -> Self {
        let user = registry::user(table);
        // The login goes by HTTP.
        let tls = registry::tls(table, user.is_some());
        Self { servers: Vec::new(), tls, user }
    }
}

/// Servers that know the same.
#[derive(Debug)]
pub struct Nacos {
    access: Access,
    next: AtomicUsize,
}

impl Nacos {
    pub fn new(access: Access) -> Self {
        // Not all hosts begin with the first one.
        let next = AtomicUsize::new(rand::random_range(0..access.servers.len().max(1)));
        Self { access, next }
    }

    /// A connection to one of the servers, another one each time. All are tried; the message has what each says.
    pub async fn connect(&self) -> Result<Session, String> {
        let mut reasons = Vec::new();
        for _ in 0..self.access.servers.len() {
            let at = self.next.fetch_add(1, Relaxed) % self.access.servers.len().max(1);
            let Some(server) = self.access.servers.get(at) else { continue };
            // The login, the connection, and its taking in.
            let opened = tokio::time::timeout(TIME * 3, Session::open(&self.access, server)).await;
            match opened.unwrap_or_else(|_| Err(format!("no connection within {:?}", TIME * 3))) {
                Ok(session) => return Ok(session),
                Err(reason) => reasons.push(format!("{}: {reason}", place(&server.grpc))),
            }
        }
        Err(reasons.join("; "))
    }
}

fn place(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str())
}

/// What a server tells of its own accord.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// A service as it is now, as JSON.
    Service(Bytes),
    /// It wants its clients to connect to another one.
    Elsewhere,
    /// Nothing; it was asked, and is there.
    Alive,
}

/// A connection to one server. With it goes all that was registered by it.
#[derive(Debug)]
pub struct Session {
    asker: Asker,
    pushes: Pushes,
    login: Option<Login>,
    patrol: Instant,
}

impl Session {
    async fn open(access: &Access, server: &Server) -> Result<Self, String> {
        let login = Login::begin(access, server).await?;
        let mut endpoint = Endpoint::from(server.grpc.clone()).connect_timeout(TIME).tcp_nodelay(true);
        if let Some(tls) = &access.tls {
            endpoint = endpoint.tls_config(tls.client_config()?).map_err(|error| error.to_string())?;
        }
        let unconnected = |error: tonic::transport::Error| with_sources(error.to_string(), &error);
        let channel = endpoint.connect().await.map_err(unconnected)?;
        let client_ip = own_address(&server.grpc).await.map(|ip| ip.to_string()).unwrap_or_default();
        let mut asker = Asker { channel, client_ip, token: None, last: AtomicU64::new(0) };
        asker.ask("ServerCheckRequest", json!({})).await.map_err(|refused| refused.text)?;
        let mut pushes = asker.listen()?;
        tokio::select! {
            taken = asker.until_taken_in() => taken?,
            reason = pushes.until_lost() => return Err(reason),
        }
        asker.token = login.as_ref().map(|login| login.token().to_owned());
        let mut session = Self { asker, pushes, login, patrol: Instant::now() };
        session.rest();
        Ok(session)
    }

    /// What it tells next. Ends within a bounded time, also where it says nothing, or is gone and nobody knows.
    pub async fn next(&mut self) -> Result<Told, String> {
        tokio::select! {
            told = self.pushes.next() => return told,
            () = tokio::time::sleep_until(self.patrol) => {}
        }
        if let Some(login) = &mut self.login {
            login.keep().await;
            self.asker.token = Some(login.token().to_owned());
        }
        // Asked twice: a pause of a server is no loss of all that hangs on the connection.
        if self.asker.ask("HealthCheckRequest", json!({})).await.is_err() {
            self.asker.ask("HealthCheckRequest", json!({})).await.map_err(|refused| refused.text)?;
        }
        self.rest();
        Ok(Told::Alive)
    }

    fn rest(&mut self) {
        let next = Instant::now() + PATROL;
        self.patrol = self.login.as_ref().map_or(next, |login| next.min(login.renew_at()));
    }

    /// The service as it is now, as JSON; from now on each change of it is told.
    pub async fn subscribe(&mut self, service: &NacosService) -> Result<Bytes, String> {
        let more = json!({ "subscribe": true, "clusters": service.clusters.join(",") });
        self.naming("SubscribeServiceRequest", service, more).await
    }

    /// The service as it is now, as JSON.
    pub async fn query(&mut self, service: &NacosService) -> Result<Bytes, String> {
        let more = json!({ "cluster": service.clusters.join(","), "healthyOnly": false, "udpPort": 0 });
        self.naming("ServiceQueryRequest", service, more).await
    }

    /// An instance is there from now on for as long as this connection is.
    pub async fn register(&mut self, service: &NacosService, instance: &Value) -> Result<(), String> {
        let more = json!({ "type": "registerInstance", "instance": instance });
        self.naming("InstanceRequest", service, more).await.map(|_| ())
    }

    /// It is gone when this returns.
    pub async fn deregister(&mut self, service: &NacosService, instance: &Value) -> Result<(), String> {
        let more = json!({ "type": "deregisterInstance", "instance": instance });
        self.naming("InstanceRequest", service, more).await.map(|_| ())
    }

    async fn naming(&mut self, kind: &'static str, service: &NacosService, mut body: Value) -> Result<Bytes, String> {
        let names = [
            ("module", "naming"),
            ("namespace", &service.namespace),
            ("groupName", &service.group),
            ("serviceName", &service.name),
        ];
        if let Some(fields) = body.as_object_mut() {
            fields.extend(names.map(|(key, text)| (key.to_owned(), text.into())));
        }
        self.asker.ask(kind, body).await.map_err(|refused| refused.text)
    }
}

/// Asks, and is answered.
struct Asker {
    channel: Channel,
    /// The address of this host, as it is seen from here.
    client_ip: String,
    token: Option<String>,
    /// The number of the last question.
    last: AtomicU64,
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("client_ip", &self.client_ip).finish_non_exhaustive()
    }
}

impl Asker {
    fn written(&self, kind: &'static str, mut body: Value) -> Bytes {
        let number = self.last.fetch_add(1, Relaxed).to_string();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("requestId".to_owned(), number.into());
        }
        messages::written(kind, self.token.as_deref(), &self.client_ip, &body)
    }

    async fn ask(&self, kind: &'static str, body: Value) -> Result<Bytes, Refused> {
        let question = Request::new(self.written(kind, body));
        let asked = async {
            let mut client = self.client();
            client.ready().await.map_err(|error| Refused::other(error.to_string()))?;
            let answer = client.unary(question, PathAndQuery::from_static(ASK), RawCodec).await;
            messages::answer(answer.map_err(|status| Refused::other(told(&status)))?.into_inner())
        };
        let no_answer = |_| Err(Refused::other(format!("no answer within {TIME:?}")));
        tokio::time::timeout(TIME, asked).await.unwrap_or_else(no_answer)
    }

    fn client(&self) -> Grpc<Channel> {
        Grpc::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// The stream on which it tells of changes, and is told that they came. It begins with who this is.
    fn listen(&self) -> Result<Pushes, String> {
        let setup = json!({
            "clientVersion": concat!("Weft:v", env!("CARGO_PKG_VERSION")), "tenant": "", "module": "internal",
            "labels": { "source": "sdk", "module": "naming" }, "abilities": {},
        });
        let (sender, receiver) = mpsc::channel(UNSAID);
        let first = sender.try_send(self.written("ConnectionSetupRequest", setup));
        first.map_err(|_| "its stream has no room".to_owned())?;
        // The side that asks stays open: where it ends, the connection does.
        let questions =
            stream::unfold(
                receiver,
                |mut receiver| async move { receiver.recv().await.map(|message| (message, receiver)) },
            );
        let mut client = self.client();
        let opening = Box::pin(async move {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            client
                .streaming(Request::new(questions), PathAndQuery::from_static(STREAM), RawCodec)
                .await
                .map(tonic::Response::into_inner)
        });
        Ok(Pushes { answers: Answers::Opening(opening), sender, client_ip: self.client_ip.clone() })
    }

    /// The setup has no answer: it was taken in once other questions are answered.
    async fn until_taken_in(&self) -> Result<(), String> {
        let since = Instant::now();
        loop {
            match self.ask("HealthCheckRequest", json!({})).await {
                Ok(_) => return Ok(()),
                Err(refused) if refused.code != UNREGISTERED || since.elapsed() > TIME => return Err(refused.text),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

/// What a server says of its own accord.
struct Pushes {
    answers: Answers,
    sender: mpsc::Sender<Bytes>,
    client_ip: String,
}

enum Answers {
    Opening(BoxFuture<'static, Result<Streaming<Bytes>, Status>>),
    Open(Box<Streaming<Bytes>>),
}

impl fmt::Debug for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushes").finish_non_exhaustive()
    }
}

impl Pushes {
    /// May be dropped at any time, and loses nothing.
    async fn next(&mut self) -> Result<Told, String> {
        loop {
            // First room for what may have to be answered: once it is read, nothing here waits.
            let room = tokio::time::timeout(TIME, self.sender.reserve()).await;
            let room = room.ok().and_then(Result::ok).ok_or("it does not read what it is answered")?;
            let message = match &mut self.answers {
                Answers::Open(answers) => answers.message().await.map_err(|status| told(&status))?,
                Answers::Opening(opening) => {
                    self.answers = Answers::Open(Box::new(opening.await.map_err(|status| told(&status))?));
                    continue;
                }
            };
            let question = messages::read(message.ok_or("it has ended the stream")?)?;
            if let Some(answer) = messages::acknowledged(&question, &self.client_ip) {
                room.send(answer);
            }
            match question.kind.as_str() {
                "NotifySubscriberRequest" => return Ok(Told::Service(question.body)),
                "ConnectResetRequest" => return Ok(Told::Elsewhere),
                _ => {}
            }
        }
    }

    async fn until_lost(&mut self) -> String {
        loop {
            match self.next().await {
                Ok(Told::Elsewhere) => return "it wants its clients elsewhere".to_owned(),
                Ok(_) => {}
                Err(reason) => return reason,
            }
        }
    }
}

/// By which address this host speaks to another; nothing is sent.
async fn own_address(to: &Uri) -> Option<IpAddr> {
    let host = to.host()?.trim_start_matches('[').trim_end_matches(']');
    let there: SocketAddr = lookup_host((host, to.port_u16()?)).await.ok()?.next()?;
    let any: SocketAddr = if there.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(there).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests;
