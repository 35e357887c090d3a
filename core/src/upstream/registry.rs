//! What asking registries has in common: who asks, by which client, and what is told of a refusal.

use super::tls::TlsFiles;
use crate::{
    net::{HttpClient, Tls},
    settings::{Secret, Table},
};
use std::time::Duration;

/// Of what a registry says of a failure, in characters.
const SHOWN: usize = 200;

/// `user` and `password` of a table.
pub(super) fn user(table: &Table<'_>) -> Option<(String, Secret)> {
    let (user, password): (Option<String>, Option<Secret>) = (table.optional("user"), table.optional("password"));
    if user.is_some() != password.is_some() {
        table.mistake("", "`user` and `password` go together");
    }
    let password = password.map(|password| table.at_hand("password", password));
    user.zip(password)
}

/// `tls` of a table. Where `by_url` says so, the registry is known by the name in its URL, and can't be by another.
pub(super) fn tls(table: &Table<'_>, by_url: bool) -> Option<TlsFiles> {
    let table = table.table("tls");
    let files = TlsFiles::read(&table);
    if by_url && files.as_ref().is_some_and(|files| files.server_name.is_some()) {
        table.mistake("server-name", "over HTTP a registry is known by the name in its URL: write it there");
    }
    files
}

/// PEM files are read for each client, so that new ones count without a restart.
pub(super) fn client(connect_timeout: Duration, files: Option<&TlsFiles>) -> Result<HttpClient, String> {
    let Some(files) = files else { return HttpClient::plain(connect_timeout) };
    let identity = files.identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
    HttpClient::new(connect_timeout, Some(Tls { ca: &files.ca, identity }))
}

/// The beginning of what is said of a failure.
pub(super) fn said(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().chars().take(SHOWN).collect()
}
