//! A server that behaves as the Java one does where others don't: it takes its time to know a connection, and sends the head of its stream
//! with the first message on it.

use super::{
    messages::{Incoming, read, written},
    *,
};
use bytes::{BufMut, BytesMut};
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Response};
use std::sync::{Arc, atomic::AtomicU32};
use tokio::net::{TcpListener, TcpStream};

const SET: &str = r#"{"resultCode":200,"serviceInfo":{"name":"films","hosts":[],"allIPs":true}}"#;

/// What a test has a server do, and hears of it.
#[derive(Debug)]
struct Java {
    address: SocketAddr,
    pushes: mpsc::Sender<(&'static str, &'static str)>,
    heard: mpsc::Receiver<Incoming>,
    refused: Arc<AtomicU32>,
}

impl Java {
    /// One connection is enough.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (pushes, to_push) = mpsc::channel(8);
        let (hears, heard) = mpsc::channel(64);
        let refused = Arc::new(AtomicU32::new(0));
        let count = refused.clone();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, to_push, hears, count).await;
        });
        Self { address, pushes, heard, refused }
    }

    async fn connected(&self) -> Session {
        let uri: Uri = format!("http://{}", self.address).parse().unwrap();
        let servers = vec![Server { http: uri.clone(), grpc: uri }];
        Nacos::new(Access { servers, tls: None, user: None }).connect().await.unwrap()
    }

    /// The next message on the stream.
    async fn said(&mut self) -> (String, String) {
        let Incoming { kind, body } = self.heard.recv().await.unwrap();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    }
}

async fn serve(
    stream: TcpStream,
    pushes: mpsc::Receiver<(&'static str, &'static str)>,
    hears: mpsc::Sender<Incoming>,
    refused: Arc<AtomicU32>,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut pushes = Some(pushes);
    while let Some(Ok((request, respond))) = connection.accept().await {
        if request.uri().path() == STREAM {
            tokio::spawn(stream_of(request.into_body(), respond, pushes.take().unwrap(), hears.clone()));
        } else {
            tokio::spawn(answers(request.into_body(), respond, refused.clone()));
        }
    }
}

/// A connection is known only once two questions were refused.
async fn answers(mut body: RecvStream, mut respond: SendResponse<Bytes>, refused: Arc<AtomicU32>) {
    let question = message(&mut body, &mut BytesMut::new()).await.unwrap();
    let (kind, text) = match question.kind.as_str() {
        "ServerCheckRequest" => ("ServerCheckResponse", r#"{"resultCode":200,"connectionId":"1_127.0.0.1_2"}"#),
        _ if refused.load(Relaxed) < 2 => {
            refused.fetch_add(1, Relaxed);
            ("ErrorResponse", r#"{"resultCode":500,"errorCode":301,"message":"Connection is unregistered."}"#)
        }
        "SubscribeServiceRequest" => ("SubscribeServiceResponse", SET),
        "HealthCheckRequest" => ("HealthCheckResponse", r#"{"resultCode":200,"errorCode":0,"success":true}"#),
        other => panic!("asked for {other}"),
    };
    let mut out = head(&mut respond);
    out.send_data(frame(kind, text), false).unwrap();
    ends(&mut out);
}

async fn stream_of(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    mut pushes: mpsc::Receiver<(&'static str, &'static str)>,
    hears: mpsc::Sender<Incoming>,
) {
    tokio::spawn(async move {
        let mut buffer = BytesMut::new();
        while let Some(said) = message(&mut body, &mut buffer).await {
            hears.send(said).await.unwrap();
        }
    });
    let mut out: Option<SendStream<Bytes>> = None;
    while let Some((kind, text)) = pushes.recv().await {
        out.get_or_insert_with(|| head(&mut respond)).send_data(frame(kind, text), false).unwrap();
    }
    ends(&mut out.unwrap());
}

fn ends(out: &mut SendStream<Bytes>) {
    out.send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())])).unwrap();
}

fn head(respond: &mut SendResponse<Bytes>) -> SendStream<Bytes> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    respond.send_response(head, false).unwrap()
}

fn frame(kind: &str, text: &str) -> Bytes {
    let message = written(kind, None, "", &serde_json::from_str(text).unwrap());
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len().try_into().unwrap());
    framed.extend_from_slice(&message);
    framed.freeze()
}

/// The next message of a body.
async fn message(body: &mut RecvStream, buffer: &mut BytesMut) -> Option<Incoming> {
    loop {
        let length = buffer.get(1..5).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()) as usize);
        if let Some(length) = length.filter(|length| buffer.len() >= 5 + length) {
            return Some(read(buffer.split_to(5 + length).freeze().slice(5..)).unwrap());
        }
        let data = body.data().await?.ok()?;
        body.flow_control().release_capacity(data.len()).unwrap();
        buffer.extend_from_slice(&data);
    }
}

#[tokio::test]
async fn nothing_waits_for_a_stream_that_says_nothing_and_all_that_it_says_is_acknowledged() {
    let mut java = Java::start().await;
    let mut session = java.connected().await;
    assert_eq!(java.refused.load(Relaxed), 2, "it is asked until the connection is known");
    let (kind, setup) = java.said().await;
    assert!(kind == "ConnectionSetupRequest" && setup.contains(r#""module":"naming","source":"sdk""#), "{setup}");
    let service = NacosService {
        namespace: "public".into(),
        group: "DEFAULT_GROUP".into(),
        name: "films".into(),
        clusters: Vec::new(),
    };
    assert_eq!(
        serde_json::from_slice::<Value>(&session.subscribe(&service).await.unwrap()).unwrap()["resultCode"],
        200
    );

    for (kind, body) in [
        ("SetupAckRequest", r#"{"requestId":"1","abilityTable":{}}"#),
        ("ClientDetectionRequest", r#"{"requestId":"2"}"#),
        ("NobodyKnowsRequest", r#"{"requestId":"3"}"#),
        ("NotifySubscriberRequest", r#"{"requestId":"4","serviceInfo":{"name":"films","hosts":[]}}"#),
        ("ConnectResetRequest", r#"{"requestId":"5","serverIp":"10.0.0.7"}"#),
    ] {
        java.pushes.send((kind, body)).await.unwrap();
    }
    let Told::Service(body) = session.next().await.unwrap() else { panic!("no service") };
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["serviceInfo"]["hosts"].is_array());
    assert_eq!(session.next().await, Ok(Told::Elsewhere));
    let mut acknowledged = Vec::new();
    // Only what is known is.
    for _ in 0..4 {
        let (kind, body) = java.said().await;
        let id = serde_json::from_str::<Value>(&body).unwrap()["requestId"].as_str().unwrap().to_owned();
        acknowledged.push(format!("{id} {kind}"));
    }
    let expected =
        ["1 SetupAckResponse", "2 ClientDetectionResponse", "4 NotifySubscriberResponse", "5 ConnectResetResponse"];
    assert_eq!(acknowledged, expected);

    // It ends the stream.
    drop(java.pushes);
    assert_eq!(session.next().await, Err("it has ended the stream".to_owned()));
}

#[tokio::test]
async fn who_is_not_there_is_told_with_where_it_was_looked_for() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let uri: Uri = format!("http://{free}").parse().unwrap();
    let servers = vec![Server { http: uri.clone(), grpc: uri }];
    let refused = Nacos::new(Access { servers, tls: None, user: None }).connect().await.unwrap_err();
    assert!(refused.starts_with(&format!("{free}: ")) && refused.contains("refused"), "{refused}");
}
