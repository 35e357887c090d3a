//! What is asked of etcd: one connection to one member at a time, the next member when that fails.
//!
//! No balancer: a member that is away would fail its share of the calls. A watch is for as long as it lasts on one member, which has to
//! have a leader.

mod messages;

pub(super) use messages::KeyValue;

use super::{codec::RawCodec, registry, status::told, tls::TlsFiles};
use crate::settings::{Secret, Table};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{Uri, uri::PathAndQuery};
use messages::{
    AuthenticateRequest, AuthenticateResponse, Done, GrantRequest, GrantResponse, KeepAliveResponse, LeaseRequest,
    PutRequest, RangeRequest, RangeResponse, WatchCreate, WatchRequest, WatchResponse,
};
use prost::Message;
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// For one answer, and for a connection.
const TIME: Duration = Duration::from_secs(5);
/// etcd takes pings that come more often than each five seconds for an attack.
const PING: Duration = Duration::from_secs(10);
/// One answer. etcd takes requests of 1.5 MiB, so that a value is not larger unless its operator wants it.
const LARGEST: usize = 32 << 20;
/// Keys of one answer, at first.
const PAGE: i64 = 256;

/// Where a cluster is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Access {
    pub members: Vec<Uri>,
    pub tls: Option<TlsFiles>,
    pub user: Option<(String, Secret)>,
}

impl Access {
    /// `user`, `password` and `tls` of a table.
    pub(super) fn read(table: &Table<'_>) -> Self {
        Self { members: Vec::new(), tls: registry::tls(table, false), user: registry::user(table) }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    /// What was asked for is history that is kept no longer.
    #[error("its history was compacted")]
    Compacted,
    #[error("it knows no such thing: {0}")]
    Unknown(String),
    #[error("its answer is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("{0}")]
    Other(String),
}

impl From<Status> for EtcdError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::OutOfRange if status.message().contains("compacted") => Self::Compacted,
            Code::OutOfRange => Self::TooLarge,
            Code::NotFound => Self::Unknown(status.message().to_owned()),
            _ => Self::Other(told(&status)),
        }
    }
}

/// A cluster.
#[derive(Debug)]
pub struct Etcd {
    access: Access,
    next: AtomicUsize,
}

impl Etcd {
    pub fn new(access: Access) -> Self {
        // Not all hosts begin with the first one.
        let next = AtomicUsize::new(rand::random_range(0..access.members.len().max(1)));
        Self { access, next }
    }

    pub fn members(&self) -> usize {
        self.access.members.len()
    }

    /// A connection to one of its members, another one each time. The message says to which.
    pub async fn connect(&self) -> Result<Member, String> {
        let at = self.next.fetch_add(1, Relaxed) % self.members().max(1);
        let uri = self.access.members.get(at).ok_or("it has no members")?;
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", uri.authority().map_or("", |a| a.as_str()));
        let connected = tokio::time::timeout(TIME, self.dial(uri)).await;
        connected.map_err(|_| wrong(&format_args!("no connection within {TIME:?}")))?.map_err(|error| wrong(&error))
    }

    async fn dial(&self, uri: &Uri) -> Result<Member, EtcdError> {
        let other = |error: &dyn std::fmt::Display| EtcdError::Other(error.to_string());
        let mut endpoint = Endpoint::from(uri.clone())
            .connect_timeout(TIME)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(TIME);
        if let Some(tls) = &self.access.tls {
            let tls = tls.client_config().map_err(EtcdError::Other)?;
            endpoint = endpoint.tls_config(tls).map_err(|error| other(&error))?;
        }
        let channel = endpoint.connect().await.map_err(|error| {
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            EtcdError::Other(reason)
        })?;
        let mut member = Member { channel, token: None };
        if let Some((name, password)) = &self.access.user {
            let password = password.read().map_err(EtcdError::Other)?;
            let login = AuthenticateRequest { name: name.clone(), password };
            let AuthenticateResponse { token } = member.ask("/etcdserverpb.Auth/Authenticate", &login).await?;
            member.token = Some(token.parse().map_err(|_| EtcdError::Other("its token can't be sent".to_owned()))?);
        }
        Ok(member)
    }
}

/// A connection to one member.
#[derive(Debug, Clone)]
pub struct Member {
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

/// Keys that begin alike were told, as they were then.
#[derive(Debug)]
pub struct Listed {
    pub revision: i64,
    /// There are more than were asked for.
    pub more: bool,
}

/// Something happened to a key.
#[derive(Debug, PartialEq)]
pub enum Change {
    Put(KeyValue),
    Gone(Vec<u8>),
}

impl Member {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // A member that is cut off from the others would tell of nothing for ever.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    async fn ready(&self) -> Result<Grpc<Channel>, EtcdError> {
        let mut client = Grpc::new(self.channel.clone()).max_decoding_message_size(LARGEST);
        client.ready().await.map_err(|error| EtcdError::Other(error.to_string()))?;
        Ok(client)
    }

    async fn ask<A: Message + Default>(&self, path: &'static str, question: &impl Message) -> Result<A, EtcdError> {
        let asked = async {
            let mut client = self.ready().await?;
            let request = self.request(Bytes::from(question.encode_to_vec()));
            let answer = client.unary(request, PathAndQuery::from_static(path), RawCodec).await?;
            decoded(&answer.into_inner())
        };
        let no_answer = || EtcdError::Other(format!("no answer within {TIME:?}"));
        tokio::time::timeout(TIME, asked).await.unwrap_or_else(|_| Err(no_answer()))
    }

    async fn talk<A>(
        &self,
        path: &'static str,
        questions: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Talk<A>, EtcdError> {
        let begun = async {
            let mut client = self.ready().await?;
            let request = self.request(questions);
            let answers = client.streaming(request, PathAndQuery::from_static(path), RawCodec).await?;
            Ok(Talk { answers: answers.into_inner(), _of: std::marker::PhantomData })
        };
        let no_answer = || EtcdError::Other(format!("no answer within {TIME:?}"));
        tokio::time::timeout(TIME, begun).await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// All keys that begin with `prefix` as they were at one revision, but no more than `most`. No more of them than one answer holds are
    /// kept here.
    pub async fn list(&self, prefix: &str, most: usize, mut each: impl FnMut(KeyValue)) -> Result<Listed, EtcdError> {
        let mut request = RangeRequest { key: prefix.into(), range_end: end_of(prefix), limit: PAGE, revision: 0 };
        let (mut count, mut more) = (0, true);
        while more && count < most {
            let page: RangeResponse = match self.ask("/etcdserverpb.KV/Range", &request).await {
                Err(EtcdError::TooLarge) if request.limit > 1 => {
                    request.limit /= 4;
                    continue;
                }
                page => page?,
            };
            if request.revision == 0 {
                request.revision = page.header.unwrap_or_default().revision;
            }
            more = page.more && !page.kvs.is_empty();
            if let Some(last) = page.kvs.last() {
                request.key = [&last.key[..], &[0]].concat();
            }
            more |= page.kvs.len() > most - count;
            for entry in page.kvs.into_iter().take(most - count) {
                count += 1;
                each(entry);
            }
        }
        Ok(Listed { revision: request.revision, more })
    }

    /// What happens to keys that begin with `prefix` from this revision on.
    pub async fn watch(&self, prefix: &str, from: i64) -> Result<Watch, EtcdError> {
        let create = WatchCreate { key: prefix.into(), range_end: end_of(prefix), start_revision: from };
        let create = Bytes::from(WatchRequest { create: Some(create) }.encode_to_vec());
        // The side that asks stays open: where it ends, the watch does.
        let questions = stream::iter([create]).chain(stream::pending());
        Ok(Watch(self.talk("/etcdserverpb.Watch/Watch", questions).await?))
    }

    pub async fn put(&self, key: &str, value: &str, lease: i64) -> Result<(), EtcdError> {
        let request = PutRequest { key: key.into(), value: value.into(), lease };
        self.ask("/etcdserverpb.KV/Put", &request).await.map(|Done {}| ())
    }

    /// A lease of so many seconds; with its number and the seconds that it has.
    pub async fn grant(&self, seconds: i64) -> Result<(i64, i64), EtcdError> {
        let answer: GrantResponse = self.ask("/etcdserverpb.Lease/LeaseGrant", &GrantRequest { ttl: seconds }).await?;
        if answer.error.is_empty() { Ok((answer.id, answer.ttl)) } else { Err(EtcdError::Other(answer.error)) }
    }

    /// All that hangs on the lease is gone when this returns, or was before.
    pub async fn revoke(&self, lease: i64) -> Result<(), EtcdError> {
        match self.ask("/etcdserverpb.Lease/LeaseRevoke", &LeaseRequest { id: lease }).await {
            Ok(Done {}) | Err(EtcdError::Unknown(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps a lease alive, each time that so much time has passed.
    pub async fn keep_alive(&self, lease: i64, every: Duration) -> Result<KeepAlive, EtcdError> {
        let question = Bytes::from(LeaseRequest { id: lease }.encode_to_vec());
        let questions = stream::unfold((true, question), move |(is_first, question)| async move {
            if !is_first {
                tokio::time::sleep(every).await;
            }
            Some((question.clone(), (false, question)))
        });
        Ok(KeepAlive(self.talk("/etcdserverpb.Lease/LeaseKeepAlive", questions).await?))
    }
}

/// A stream in both directions.
#[derive(Debug)]
struct Talk<A> {
    answers: Streaming<Bytes>,
    _of: std::marker::PhantomData<fn() -> A>,
}

impl<A: Message + Default> Talk<A> {
    async fn next(&mut self) -> Result<A, EtcdError> {
        match self.answers.message().await? {
            Some(bytes) => decoded(&bytes),
            None => Err(EtcdError::Other("it has ended the stream".to_owned())),
        }
    }
}

/// Tells of changes.
#[derive(Debug)]
pub struct Watch(Talk<WatchResponse>);

impl Watch {
    /// The next changes; none of them, where it only shows that it is there.
    pub async fn next(&mut self) -> Result<Vec<Change>, EtcdError> {
        let answer = self.0.next().await?;
        if answer.canceled {
            return Err(match answer.compact_revision {
                0 => EtcdError::Other(format!("it has ended the watch: {}", answer.cancel_reason)),
                _ => EtcdError::Compacted,
            });
        }
        let change = |event: messages::Event| {
            let kv = event.kv?;
            Some(if event.kind == 1 { Change::Gone(kv.key) } else { Change::Put(kv) })
        };
        Ok(answer.events.into_iter().filter_map(change).collect())
    }
}

/// Answers to what keeps a lease alive.
#[derive(Debug)]
pub struct KeepAlive(Talk<KeepAliveResponse>);

impl KeepAlive {
    /// The seconds that the lease has from now on; `None`: it is gone.
    pub async fn next(&mut self) -> Result<Option<i64>, EtcdError> {
        let KeepAliveResponse { ttl } = self.0.next().await?;
        Ok((ttl > 0).then_some(ttl))
    }
}

fn decoded<A: Message + Default>(bytes: &Bytes) -> Result<A, EtcdError> {
    A::decode(&bytes[..]).map_err(|error| EtcdError::Other(format!("its answer can't be read: {error}")))
}

/// The first key that does not begin with `prefix`; etcd's word for "all others" where there is none.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_keys_begin_otherwise() {
        assert_eq!(end_of("/a/"), b"/a0");
        assert_eq!(end_of(""), [0]);
    }
}
