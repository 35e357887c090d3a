//! Which backend serves a service, and how it is reached.

use super::{config::BackendConfig, scope::Forward, token_exchange::Exchanging};
use crate::upstream::Transport;
use std::{collections::HashMap, sync::Arc};

/// By the backend's name.
pub(super) type Transports = HashMap<String, Arc<dyn Transport>>;

#[derive(Debug)]
pub(super) struct Backends {
    configs: Vec<BackendConfig>,
    transports: Transports,
}

impl Backends {
    /// Where tokens are exchanged, none of the new transports sees a caller's; those that are kept were told so before.
    pub(super) fn new(
        configs: Vec<BackendConfig>,
        mut transports: Transports,
        kept: Transports,
        forward: &Forward,
    ) -> Self {
        if let Some(exchange) = &forward.exchange {
            for (backend, transport) in &mut transports {
                let (inner, backend) = (transport.clone(), backend.clone());
                *transport = Arc::new(Exchanging { inner, exchange: exchange.clone(), backend });
            }
        }
        transports.extend(kept);
        Self { configs, transports }
    }

    pub(super) fn all(&self) -> &[BackendConfig] {
        &self.configs
    }

    /// The one that serves this service.
    pub(super) fn of(&self, service: &str) -> Option<(&BackendConfig, &Arc<dyn Transport>)> {
        let config = self.configs.iter().find(|config| config.serves(service))?;
        Some((config, self.transport(&config.name)?))
    }

    pub(super) fn transport(&self, backend: &str) -> Option<&Arc<dyn Transport>> {
        self.transports.get(backend)
    }
}
