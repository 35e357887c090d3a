//! NATS, plain or with JetStream. async-nats is named here only.
//!
//! A session is one connection: it ends when the connection does, so that whoever follows knows of each gap. Secrets are read at each
//! connection, so that new ones count without a restart.

use super::{
    config::{Login, SourceConfig, Stream as StreamConfig},
    follow::{Lost, Message, Opened, Session, Source},
};
use async_nats::{
    Client, ConnectOptions, Event, ServerAddr, Subscriber,
    jetstream::{
        self, AckKind,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    },
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use std::{fmt::Display, time::Duration};
use tokio::sync::watch;

/// How long a connection, and each question to the broker, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A broker that answers no ping for two of these is away.
const PING: Duration = Duration::from_secs(5);
/// How long the broker has to bring the host's own word back to it.
const ECHO: Duration = Duration::from_secs(1);
/// Messages, of a megabyte at most, that may wait in the host; what comes beyond is dropped, and told as a gap.
const WAITING: usize = 256;
/// Messages that are dealt with at once, and about how many bytes of them.
const TOGETHER: usize = 256;
const BYTES_TOGETHER: usize = 4 << 20;
/// What is not acknowledged within it is brought once more: also what was on its way to a connection that is gone.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// A consumer that nobody asks for so long is forgotten by the broker, so that hosts that are gone leave nothing behind.
const FORGOTTEN: Duration = Duration::from_hours(24);

#[derive(Debug)]
pub(super) struct Nats {
    config: SourceConfig,
}

/// An error of the broker or its client, with what was tried.
fn lost(what: &str) -> impl Fn(&dyn Display) -> Lost + '_ {
    move |error| Lost(format!("{what}: {error}"))
}

/// A sentence of nats-server's, as the client passes it on.
fn is_about_publishing(error: &str) -> bool {
    error.to_ascii_lowercase().contains("permissions violation for publish")
}

impl Nats {
    pub(super) fn new(config: &SourceConfig) -> Self {
        Self { config: config.clone() }
    }

    async fn connect(&self) -> Result<(Client, watch::Receiver<Option<String>>), Lost> {
        let what = format!("connecting to {}", self.config.servers.join(", "));
        let lost = lost(&what);
        let addresses = self.config.servers.iter().map(|url| url.parse::<ServerAddr>());
        let addresses = addresses.collect::<Result<Vec<_>, _>>().map_err(|error| lost(&error))?;
        let (ended, ends) = watch::channel(None);
        let options = self.options()?.event_callback(move |event| {
            let ended = ended.clone();
            async move {
                match event {
                    Event::Disconnected | Event::Closed => {
                        drop(ended.send_replace(Some("the connection was lost".to_owned())))
                    }
                    Event::SlowConsumer(_) => {
                        drop(ended.send_replace(Some("messages came faster than they were dealt with".to_owned())))
                    }
                    // Only the host's own word is published, and nothing hangs on it: see `Nats::plain`.
                    Event::ServerError(error) if is_about_publishing(&error.to_string()) => {}
                    Event::ServerError(error) => drop(ended.send_replace(Some(error.to_string()))),
                    _ => {}
                }
            }
        });
        let connected = tokio::time::timeout(PATIENCE, options.connect(addresses)).await;
        let client = connected.map_err(|_| lost(&"no answer"))?.map_err(|error| lost(&error))?;
        Ok((client, ends))
    }

    fn options(&self) -> Result<ConnectOptions, Lost> {
        let mut options = ConnectOptions::new()
            .name("weft")
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .ping_interval(PING)
            .subscription_capacity(WAITING);
        if self.config.servers.iter().any(|url| url.starts_with("tls:")) || self.config.tls.is_some() {
            options = options.require_tls(true);
        }
        if let Some(tls) = &self.config.tls {
            if let Some(ca) = &tls.ca {
                options = options.add_root_certificates(ca.clone());
            }
            if let Some((certificate, key)) = &tls.identity {
                options = options.add_client_certificate(certificate.clone(), key.clone());
            }
        }
        let secret = |reason: String| Lost(format!("a secret can't be read: {reason}"));
        Ok(match &self.config.login {
            None => options,
            Some(Login::Token(token)) => options.token(token.read().map_err(secret)?),
            Some(Login::Password { user, password }) => {
                options.user_and_password(user.clone(), password.read().map_err(secret)?)
            }
            Some(Login::Credentials(file)) => {
                let text = file.read().map_err(secret)?;
                options.credentials(&text).map_err(|error| lost("`credentials`")(&error))?
            }
        })
    }

    async fn plain(&self, client: Client, ends: watch::Receiver<Option<String>>) -> Result<Opened, Lost> {
        let what = format!("subscribing to {}", self.config.subject);
        let lost = lost(&what);
        let subscriber = client.subscribe(self.config.subject.clone()).await.map_err(|error| lost(&error))?;
        // The broker works through a connection in order: when this comes back, the subscription stands. One that lets nobody publish
        // does not bring it back.
        let inbox = client.new_inbox();
        let mut echo = client.subscribe(inbox.clone()).await.map_err(|error| lost(&error))?;
        client.publish(inbox, Default::default()).await.map_err(|error| lost(&error))?;
        let _ = tokio::time::timeout(ECHO, echo.next()).await;
        let session = Plain { subscriber, ends, is_last: false, _client: client };
        Ok(Opened { session: Box::new(session), has_gap: true })
    }

    async fn kept(
        &self,
        client: Client,
        ends: watch::Receiver<Option<String>>,
        stream: &StreamConfig,
    ) -> Result<Opened, Lost> {
        let context = jetstream::new(client.clone());
        let lost_stream = lost("looking for the stream");
        let found = context
            .get_stream(&stream.name)
            .await
            .map_err(|error| lost_stream(&format!("`{}`: {error}", stream.name)))?;
        let what = format!("the consumer `{}` of the stream `{}`", stream.durable, stream.name);
        let lost = lost(&what);
        let (consumer, is_new) = match found.get_consumer::<pull::Config>(&stream.durable).await {
            Ok(consumer) => (consumer, false),
            Err(_) => {
                let made = found.create_consumer(self.consumer(&stream.durable)).await;
                (made.map_err(|error| lost(&error))?, true)
            }
        };
        let info = consumer.cached_info();
        if info.config.filter_subject != self.config.subject {
            let other = &info.config.filter_subject;
            return Err(lost(&format!(
                "it is there already and follows `{other}`; choose another name for it in `durable`"
            )));
        }
        // What the stream has dropped before this host has seen it.
        let is_cut = found.cached_info().state.first_sequence > info.ack_floor.stream_sequence + 1;
        let unacked = info.num_ack_pending as u64;
        let pending = info.num_pending + unacked;
        let has_gap = is_new || is_cut;
        let messages = Self::messages(&consumer).await.map_err(|error| lost(&error))?;
        let session = Kept { messages, consumer, taken: Vec::new(), pending, unacked, ends, _client: client };
        Ok(Opened { session: Box::new(session), has_gap })
    }

    fn consumer(&self, durable: &str) -> pull::Config {
        pull::Config {
            durable_name: Some(durable.to_owned()),
            description: Some("a Weft host's".to_owned()),
            filter_subject: self.config.subject.clone(),
            // Nothing is cached of the time before.
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: 10_000,
            inactive_threshold: FORGOTTEN,
            ..pull::Config::default()
        }
    }

    async fn messages(consumer: &PullConsumer) -> Result<pull::Stream, jetstream::consumer::StreamError> {
        consumer.stream().max_messages_per_batch(TOGETHER).expires(PATIENCE * 6).heartbeat(PATIENCE).messages().await
    }
}

impl Source for Nats {
    fn open(&self) -> BoxFuture<'_, Result<Opened, Lost>> {
        Box::pin(async {
            let (client, ends) = self.connect().await?;
            match &self.config.stream {
                None => self.plain(client, ends).await,
                Some(stream) => self.kept(client, ends, stream).await,
            }
        })
    }
}

/// Why the connection has ended, when it has.
async fn end(ends: &mut watch::Receiver<Option<String>>) -> Lost {
    match ends.wait_for(Option::is_some).await {
        Ok(reason) => Lost(reason.clone().unwrap_or_default()),
        Err(_) => Lost("the connection was closed".to_owned()),
    }
}

/// Nobody keeps what is published while nobody listens.
struct Plain {
    subscriber: Subscriber,
    ends: watch::Receiver<Option<String>>,
    /// The connection is over, and what had come by then was given.
    is_last: bool,
    _client: Client,
}

impl Session for Plain {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Message>, Lost>> {
        Box::pin(async {
            if self.is_last {
                return Err(end(&mut self.ends).await);
            }
            self.is_last = self.ends.borrow().is_some();
            let first = tokio::select! {
                biased;
                first = self.subscriber.next() => first,
                lost = end(&mut self.ends) => return Err(lost),
            };
            let Some(first) = first else { return Err(end(&mut self.ends).await) };
            let mut bytes = first.payload.len();
            let mut messages = vec![first];
            while messages.len() < TOGETHER
                && (self.is_last || bytes < BYTES_TOGETHER)
                && let Some(Some(next)) = self.subscriber.next().now_or_never()
            {
                bytes += next.payload.len();
                messages.push(next);
            }
            let message = |message: async_nats::Message| Message {
                subject: message.subject.to_string(),
                payload: message.payload,
                published: None,
            };
            Ok(messages.into_iter().map(message).collect())
        })
    }

    fn done(&mut self) -> BoxFuture<'_, Result<(), Lost>> {
        Box::pin(async { Ok(()) })
    }

    fn pending(&self) -> u64 {
        0
    }
}

/// The stream keeps all, and its consumer how far this host has come.
struct Kept {
    messages: pull::Stream,
    consumer: PullConsumer,
    /// Not acknowledged yet.
    taken: Vec<jetstream::Message>,
    pending: u64,
    /// Of these, those that were on their way to an earlier connection.
    unacked: u64,
    ends: watch::Receiver<Option<String>>,
    _client: Client,
}

impl Kept {
    /// Nothing has come for a while, although something should: what the broker knows of it now.
    async fn look_again(&mut self) -> Result<Vec<Message>, Lost> {
        let info = self.consumer.get_info().await.map_err(|error| lost("asking for the consumer")(&error))?;
        self.unacked = info.num_ack_pending as u64;
        self.pending = info.num_pending + self.unacked;
        Ok(Vec::new())
    }
}

impl Session for Kept {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Message>, Lost>> {
        Box::pin(async {
            let lost = lost("the consumer");
            let first = tokio::select! {
                biased;
                lost = end(&mut self.ends) => return Err(lost),
                first = self.messages.next() => first.ok_or_else(|| Lost("the consumer has ended".to_owned()))?,
                () = tokio::time::sleep(PATIENCE), if self.pending > 0 => return self.look_again().await,
            };
            let first = first.map_err(|error| lost(&error))?;
            let mut bytes = first.payload.len();
            self.taken.push(first);
            while self.taken.len() < TOGETHER
                && bytes < BYTES_TOGETHER
                && let Some(Some(next)) = self.messages.next().now_or_never()
            {
                let next = next.map_err(|error| lost(&error))?;
                bytes += next.payload.len();
                self.taken.push(next);
            }
            let infos = || self.taken.iter().filter_map(|message| message.info().ok());
            let again = infos().filter(|info| info.delivered > 1).count() as u64;
            let last = infos().last().map_or(0, |info| info.pending);
            self.unacked = self.unacked.saturating_sub(again);
            self.pending = last + self.unacked;
            let message = |message: &jetstream::Message| Message {
                subject: message.subject.to_string(),
                payload: message.payload.clone(),
                published: message.info().ok().map(|info| info.published.into()),
            };
            Ok(self.taken.iter().map(message).collect())
        })
    }

    fn done(&mut self) -> BoxFuture<'_, Result<(), Lost>> {
        Box::pin(async {
            for message in self.taken.drain(..) {
                message.ack_with(AckKind::Ack).await.map_err(|error| lost("acknowledging")(&error))?;
            }
            Ok(())
        })
    }

    fn pending(&self) -> u64 {
        self.pending
    }
}
