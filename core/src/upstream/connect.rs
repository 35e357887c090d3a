//! How the instances of one backend are connected to. Files are read and TLS is set up once, when the configuration is read: an instance that
//! comes later costs next to nothing.

use super::{
    Config, Protocol, StandIn, dial::Dialer, grpc::GrpcConnection, instance::Connection, rest::RestConnection,
};
use crate::net::{HttpClient, Tls};
use http::{HeaderName, HeaderValue, Uri};
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Connector {
    Grpc(Arc<Dialer>),
    Rest {
        /// Of all instances; it keeps their connections apart.
        client: HttpClient,
        credential: Option<(HeaderName, HeaderValue)>,
    },
    StandIn(Arc<dyn StandIn>),
    #[cfg(test)]
    Scripted(super::scripted::Scripts),
}

impl Connector {
    /// Fails where TLS files or the credential can't be read or don't fit.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        if let Some(stand_in) = &config.stand_in {
            return Ok(Self::StandIn(stand_in.clone()));
        }
        let credential = match &config.credential {
            Some(credential) => Some(credential.read().map_err(|error| format!("credential: {error}"))?),
            None => None,
        };
        if config.protocol == Protocol::Grpc {
            let dialer = Dialer::new(config).map_err(|error| error.to_string())?;
            return Ok(Self::Grpc(Arc::new(dialer)));
        }
        let tls = config.tls.as_ref().map(|files| Tls {
            ca: &files.ca,
            identity: files.identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path())),
        });
        Ok(Self::Rest { client: HttpClient::new(config.connect_timeout, tls)?, credential })
    }

    /// Connects to nothing yet.
    pub(super) fn connect(&self, uri: &Uri) -> Result<Connection, String> {
        match self {
            Self::Grpc(dialer) => {
                let connection = GrpcConnection::new(uri, dialer).map_err(|error| error.to_string())?;
                Ok(Connection::Grpc(Box::new(connection)))
            }
            Self::Rest { client, credential } => {
                let base = uri.to_string().trim_end_matches('/').to_owned();
                let (client, credential) = (client.clone(), credential.clone());
                Ok(Connection::Rest(RestConnection { client, base, credential }))
            }
            Self::StandIn(stand_in) => Ok(Connection::StandIn(stand_in.clone())),
            #[cfg(test)]
            Self::Scripted(scripts) => scripts.at(uri).map(Connection::Scripted),
        }
    }
}
