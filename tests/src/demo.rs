//! The demo's four services in this process, and the part of the demo's configuration that goes with them.

use crate::{repository, setup::Setup};
use demo_services::{Control, Data, Running, Service, Sizes};
use std::sync::{Arc, LazyLock};

static FILMS: LazyLock<Arc<Data>> = LazyLock::new(|| Arc::new(Data::demo().unwrap()));

/// All four, on free ports.
#[derive(Debug)]
pub struct Demo {
    services: Vec<Running>,
}

impl Demo {
    /// With the demo's real films.
    pub async fn start() -> Self {
        Self::with(FILMS.clone()).await
    }

    /// With made-up data.
    pub async fn generated(films: u32, people: u32, reviews: u32) -> Self {
        Self::with(Arc::new(Data::generate(Sizes { films, people, reviews }, 1).unwrap())).await
    }

    async fn with(data: Arc<Data>) -> Self {
        let mut services = Vec::new();
        for service in Service::ALL {
            services.push(Running::start(service, data.clone()).await.unwrap());
        }
        Self { services }
    }

    pub fn control(&self, service: Service) -> &Control {
        self.services.iter().map(Running::control).find(|control| control.service() == service).unwrap()
    }

    /// Calls of one method, by its full name.
    pub fn count(&self, method: &str) -> u64 {
        self.services.iter().map(|running| running.control().count(method)).sum()
    }

    /// Calls of all methods of all services.
    pub fn total(&self) -> u64 {
        self.services.iter().map(|running| running.control().total()).sum()
    }

    pub fn reset(&self) {
        self.services.iter().for_each(|running| running.control().reset());
    }

    /// The demo's own `weft.toml`, with these services' addresses.
    fn configuration(&self) -> String {
        let text = std::fs::read_to_string(repository().join("examples/weft.toml")).unwrap();
        self.services.iter().fold(text, |text, running| {
            let port = running.control().service().default_port();
            text.replace(&format!("127.0.0.1:{port}"), &running.address().to_string())
        })
    }

    /// A host of the demo, with one more client: `test`, under `/test`.
    pub fn setup(&self) -> Setup {
        self.with_clients("[[client]]\nname = \"test\"\nprefix = \"/test\"\n")
    }

    /// A host of the demo: its clients, its callers, its backends with all their rules. But however busy the machine is, no call
    /// is given up.
    pub fn shown(&self) -> Setup {
        let patient = |toml: String| toml.replace("timeout = \"500ms\"", "timeout = \"30s\"");
        self.with_clients("").edit(|toml| patient(toml).replace("timeout = \"300ms\"", "timeout = \"30s\""))
    }

    fn with_clients(&self, more: &str) -> Setup {
        let text = self.configuration();
        let part = |from: &str, to: &str| {
            let rest = &text[text.find(from).unwrap()..];
            rest[..rest.find(to).unwrap_or(rest.len())].to_owned()
        };
        Setup::new()
            .clients(&format!("{}{more}", part("[[client]]", "[plugins]")))
            .identity("subject = \"x-md-global-subject\"")
            .more(&part("[backend.catalog]", "\0"))
    }

    /// As [`Demo::setup`], but what is cached stays for as long as any test lasts.
    pub fn long_lived(&self) -> Setup {
        self.setup().edit(|toml| {
            ["5s", "10s", "60s"]
                .iter()
                .fold(toml, |toml, ttl| toml.replace(&format!("ttl = \"{ttl}\""), "ttl = \"10m\""))
        })
    }
}
