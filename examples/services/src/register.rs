//! In etcd as kratos registers: a key that hangs on a lease, for as long as the service wants calls.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::proto::etcd::v3::kv_client::KvClient;
use crate::proto::etcd::v3::lease_client::LeaseClient;
use crate::proto::etcd::v3::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest};
use crate::service::Service;

/// Of whoever dies without a word etcd forgets after so many seconds.
const TTL: u16 = 6;

/// How long one question may take, and how long is waited after one that failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a service can't be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("{url} is no address of an etcd, such as http://127.0.0.1:2379: {source}")]
    Url { url: String, source: tonic::transport::Error },
    #[error("the etcd at {url} can't be told of this service: {}", status.message())]
    Refused { url: String, status: Box<Status> },
}

/// A service in etcd. Dropped, it is there until its lease ends.
#[derive(Debug)]
pub struct Registration {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Entry {
    channel: Channel,
    key: String,
    value: String,
}

impl Registration {
    /// Registered when this returns; and again, for as long as it takes, whenever the lease is lost.
    pub async fn begin(etcd: &str, service: Service, address: SocketAddr) -> Result<Self, RegisterError> {
        let url = |source| RegisterError::Url { url: etcd.to_owned(), source };
        let endpoint = Endpoint::from_shared(etcd.to_owned()).map_err(url)?;
        let channel = endpoint.timeout(PATIENCE).connect_timeout(PATIENCE).connect_lazy();
        let key = format!("/microservices/{service}/{address}");
        let endpoints = [format!("grpc://{address}")];
        let value =
            json!({ "id": address, "name": service.name(), "version": "v1", "metadata": {}, "endpoints": endpoints });
        let entry = Entry { channel, key, value: value.to_string() };
        let lease = entry.put().await;
        let lease =
            lease.map_err(|status| RegisterError::Refused { url: etcd.to_owned(), status: Box::new(status) })?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { stop, task: tokio::spawn(entry.stay(lease, stopped)) })
    }

    /// Gone from etcd when this returns, if etcd answers.
    pub async fn end(self) {
        let _ = self.stop.send(());
        let _ = timeout(2 * PATIENCE, self.task).await;
    }
}

impl Entry {
    /// The lease that the key hangs on.
    async fn put(&self) -> Result<i64, Status> {
        let mut leases = LeaseClient::new(self.channel.clone());
        let lease = leases.lease_grant(LeaseGrantRequest { ttl: TTL.into() }).await?.into_inner().id;
        let (key, value) = (self.key.clone().into_bytes(), self.value.clone().into_bytes());
        KvClient::new(self.channel.clone()).put(PutRequest { key, value, lease }).await?;
        Ok(lease)
    }

    async fn stay(self, mut lease: i64, stopped: oneshot::Receiver<()>) {
        let kept = async {
            loop {
                sleep(Duration::from_secs(TTL.into()) / 3).await;
                if let Ok(false) = self.is_alive(lease).await
                    && let Ok(new) = self.put().await
                {
                    lease = new;
                }
            }
        };
        tokio::select! {
            () = kept => {}
            _ = stopped => {}
        }
        let _ = LeaseClient::new(self.channel.clone()).lease_revoke(LeaseRevokeRequest { id: lease }).await;
    }

    /// Whether the lease is still there, which it is for another TTL then.
    async fn is_alive(&self, lease: i64) -> Result<bool, Status> {
        let asked = tokio_stream::once(LeaseKeepAliveRequest { id: lease });
        let mut answers = LeaseClient::new(self.channel.clone()).lease_keep_alive(asked).await?.into_inner();
        Ok(answers.message().await?.is_some_and(|answer| answer.ttl > 0))
    }
}
