//! `static://`: endpoints that the configuration lists.

use super::{InstanceSpec, address};
use crate::settings::Table;
use std::collections::BTreeMap;

/// `static://HOST:PORT,HOST:PORT?weight=3&version=2`.
pub(super) fn read(table: &Table<'_>, url: &str, scheme: &str) -> Vec<InstanceSpec> {
    let list = url.strip_prefix("static://").unwrap_or_default();
    let mut endpoints: Vec<InstanceSpec> = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (authority, query) = item.split_once('?').unwrap_or((item, ""));
        let uri = match address::uri(scheme, authority) {
            Ok(uri) => uri,
            Err(reason) => {
                table.mistake("endpoints", format!("expected HOST:PORT, found {authority:?}: {reason}"));
                continue;
            }
        };
        if endpoints.iter().any(|other| other.uri == uri) {
            table.mistake("endpoints", format!("{authority} stands there twice"));
        }
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut metadata: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let weight =
            metadata.remove("weight").map_or(Some(1.0), |text| text.parse().ok().filter(|w| *w > 0.0 && *w < 1e6));
        if weight.is_none() {
            table.mistake("endpoints", format!("{authority}: expected a weight above 0"));
        }
        endpoints.push(InstanceSpec { uri, weight: weight.unwrap_or(1.0), metadata });
    }
    endpoints
}
