//! Registered in Nacos as kratos does it: an ephemeral instance of `NAME.http`, which is there for as long as a connection is.

use super::{Instance, Registry};
use crate::upstream::{NACOS_ELSEWHERE, Nacos, NacosService, NacosSession, NacosSource, NacosTold};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Mutex, time::Instant};

/// As kratos has it.
const WEIGHT: f64 = 100.0;
/// The longest between two looks whether it is there still.
const SELDOM: Duration = Duration::from_mins(10);
/// The largest that Nacos takes.
const HEAVIEST: f64 = 10_000.0;

#[derive(Debug)]
pub(super) struct InNacos {
    nacos: Nacos,
    source: NacosSource,
    host: (String, u16),
    instance: Value,
    /// How often it is looked whether it is there still.
    every: Duration,
    /// The connection that it hangs on.
    session: Mutex<Option<NacosSession>>,
    /// Whether it was registered, and not taken away since.
    is_there: AtomicBool,
}

impl InNacos {
    pub(super) fn new(source: &NacosSource, instance: &Instance, ttl: Duration) -> Self {
        let mut source = source.clone();
        let scheme = if instance.tls { "https" } else { "http" };
        // kratos has a service for each protocol.
        if !source.service.name.ends_with(&format!(".{scheme}")) {
            source.service.name = format!("{}.{scheme}", source.service.name);
        }
        let (ip, port) = instance.host_and_port();
        let json = json(&source.service, instance, scheme, (&ip, port));
        let nacos = Nacos::new(source.access.clone());
        let (session, is_there) = (Mutex::default(), AtomicBool::new(false));
        Self { nacos, source, host: (ip, port), instance: json, every: ttl, session, is_there }
    }

    async fn keep(&self, kept: &mut Option<NacosSession>, stands: &(dyn Fn() + Send + Sync)) -> Result<(), String> {
        *kept = None;
        let mut next = self.nacos.connect().await?;
        loop {
            // One that is left takes with it what hangs on it: before it is registered anew, not after.
            *kept = None;
            let session = kept.insert(next);
            self.register(session, stands).await?;
            next = self.stay(session, stands).await?;
        }
    }

    /// Until there is another connection to go on with.
    async fn stay(
        &self,
        session: &mut NacosSession,
        stands: &(dyn Fn() + Send + Sync),
    ) -> Result<NacosSession, String> {
        let (mut looked, mut every) = (Instant::now(), self.every);
        loop {
            match session.next().await? {
                NacosTold::Elsewhere => {
                    tokio::time::sleep(NACOS_ELSEWHERE).await;
                    match self.nacos.connect().await {
                        Ok(next) => return Ok(next),
                        Err(reason) => {
                            tracing::debug!("Nacos wants its clients elsewhere, where they can't be: {reason}")
                        }
                    }
                }
                NacosTold::Service(_) => {}
                NacosTold::Alive if looked.elapsed() >= every => {
                    every = self.look(session, every, stands).await?;
                    looked = Instant::now();
                }
                NacosTold::Alive => stands(),
            }
        }
    }

    /// Somebody may have taken it away, and left the connection: then it is registered again. Seldom and more seldom, because one that
    /// was set offline is told of to nobody. With when to look again. Who may not look knows nothing by it.
    async fn look(
        &self,
        session: &mut NacosSession,
        every: Duration,
        stands: &(dyn Fn() + Send + Sync),
    ) -> Result<Duration, String> {
        match self.source.has(session, &self.host.0, self.host.1).await {
            Ok(false) => {
                self.register(session, stands).await?;
                return Ok((every * 2).min(SELDOM));
            }
            Ok(true) => {}
            Err(reason) => tracing::debug!("whether this host is registered in Nacos can't be told: {reason}"),
        }
        stands();
        Ok(self.every)
    }

    async fn register(&self, session: &mut NacosSession, stands: &(dyn Fn() + Send + Sync)) -> Result<(), String> {
        self.is_there.store(true, Relaxed);
        session.register(&self.source.service, &self.instance).await?;
        stands();
        Ok(())
    }
}

fn json(service: &NacosService, instance: &Instance, scheme: &str, (ip, port): (&str, u16)) -> Value {
    let mut metadata = instance.metadata.clone();
    let weight = metadata.get("weight").and_then(|text| text.parse::<f64>().ok());
    let weight = weight.filter(|weight| *weight > 0.0 && *weight <= HEAVIEST).unwrap_or(WEIGHT);
    metadata.insert("kind".to_owned(), scheme.to_owned());
    metadata.insert("version".to_owned(), instance.version.clone());
    let cluster = service.clusters.first().map_or("DEFAULT", String::as_str);
    json!({
        "ip": ip, "port": port, "weight": weight, "healthy": true, "enabled": true, "ephemeral": true,
        "clusterName": cluster, "serviceName": service.name, "metadata": metadata,
    })
}

impl Registry for InNacos {
    fn hold<'a>(&'a self, stands: &'a (dyn Fn() + Send + Sync)) -> BoxFuture<'a, String> {
        async move {
            let mut kept = self.session.lock().await;
            let reason = self.keep(&mut kept, stands).await.err().unwrap_or_default();
            *kept = None;
            reason
        }
        .boxed()
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), String>> {
        async move {
            // The connection stays until it is said: with it alone the instance would go when that is noticed.
            let session = self.session.lock().await.take();
            if !self.is_there.swap(false, Relaxed) {
                return Ok(());
            }
            let lost = || "its connection is lost already".to_owned();
            session.ok_or_else(lost)?.deregister(&self.source.service, &self.instance).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_written_as_kratos_does() {
        let metadata = [("zone", "a"), ("weight", "30")].map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let mut instance = Instance { address: "[::1]:8080".into(), tls: false, version: "v7".into(), metadata };
        let service = NacosService {
            namespace: "public".into(),
            group: "DEFAULT_GROUP".into(),
            name: "bff.http".into(),
            clusters: vec!["east".into()],
        };
        let (ip, port) = instance.host_and_port();
        let expected = json!({
            "ip": "::1", "port": 8080, "weight": 30.0, "healthy": true, "enabled": true, "ephemeral": true,
            "clusterName": "east", "serviceName": "bff.http",
            "metadata": { "kind": "http", "version": "v7", "weight": "30", "zone": "a" },
        });
        assert_eq!(json(&service, &instance, "http", (&ip, port)), expected);
        for nonsense in ["NaN", "-1", "0", "1e9", "x"] {
            instance.metadata.insert("weight".into(), nonsense.into());
            assert_eq!(json(&service, &instance, "http", (&ip, port))["weight"], 100.0, "{nonsense}");
        }
    }
}
