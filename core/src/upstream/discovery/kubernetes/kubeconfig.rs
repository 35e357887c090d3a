//! A kubeconfig, as `kubectl` has it (<https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>): of it what says where an API server
//! is, and who asks it. Nothing of it is run.

use super::access::{Access, Token};
use crate::net::Trust;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};
use std::path::{Path, PathBuf};

/// The files together, as `kubectl` takes them: the first that has something of a name counts.
#[derive(Debug, Default)]
pub(super) struct Kubeconfig {
    /// For messages.
    files: String,
    current: Option<String>,
    contexts: Vec<NamedContext>,
    /// With the folder that their paths begin at.
    clusters: Vec<(PathBuf, NamedCluster)>,
    users: Vec<(PathBuf, NamedUser)>,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "current-context")]
    current: Option<String>,
    clusters: Option<Vec<NamedCluster>>,
    contexts: Option<Vec<NamedContext>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Debug, Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Debug, Deserialize)]
struct Context {
    cluster: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
    username: Option<IgnoredAny>,
    #[serde(rename = "as")]
    other: Option<IgnoredAny>,
}

/// Who it is may be told, and not by what it is shown.
impl std::fmt::Debug for NamedUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedUser").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// Of several files, those that are not there don't count, but one has to be.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, String> {
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let mut all = Self { files: names.join(", "), ..Self::default() };
        let mut missing = None;
        for file in files {
            let text = match std::fs::read_to_string(file) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && files.len() > 1 => {
                    missing = Some(error.to_string());
                    continue;
                }
                Err(error) => return Err(format!("{}: {error}", file.display())),
            };
            all.add(&text, file)?;
        }
        match missing {
            Some(error) if all.contexts.is_empty() => Err(format!("{}: {error}", all.files)),
            _ => Ok(all),
        }
    }

    fn add(&mut self, text: &str, path: &Path) -> Result<(), String> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        // What is wrong with a value would show it, and it may be a secret.
        let wrong = |error: serde_saphyr::Error| {
            let at = error.location().map_or(String::new(), |at| format!(", see line {}", at.line()));
            format!("{}: expected a kubeconfig{at}", path.display())
        };
        let file: File = serde_saphyr::from_str(text).map_err(wrong)?;
        let current = file.current.filter(|name| !name.is_empty());
        self.current = self.current.take().or(current);
        self.contexts.extend(file.contexts.unwrap_or_default());
        self.clusters.extend(file.clusters.unwrap_or_default().into_iter().map(|cluster| (folder.clone(), cluster)));
        self.users.extend(file.users.unwrap_or_default().into_iter().map(|user| (folder.clone(), user)));
        Ok(())
    }

    /// What the context of this name says, or the current one.
    pub(super) fn access(&self, context: Option<&str>) -> Result<Access, String> {
        let at = |text: String| format!("{}: {text}", self.files);
        let Some(name) = context.or(self.current.as_deref()) else {
            return Err(at("there is no current-context, and `context` names none".to_owned()));
        };
        let Some(context) = self.contexts.iter().find(|context| context.name == name) else {
            let known: Vec<_> = self.contexts.iter().map(|context| context.name.as_str()).collect();
            return Err(at(format!("there is no context {name:?}, but {known:?}")));
        };
        let (cluster, user) = (context.context.cluster.as_deref(), context.context.user.as_deref());
        let cluster = self.clusters.iter().find(|(_, known)| Some(known.name.as_str()) == cluster);
        let (folder, cluster) =
            cluster.ok_or_else(|| at(format!("context {name:?} names no cluster that is there")))?;
        let server = cluster.server().map_err(|text| at(format!("cluster {:?}: {text}", cluster.name)))?;
        let ca = pem(folder, &cluster.cluster.certificate_authority_data, &cluster.cluster.certificate_authority)
            .map_err(|text| at(format!("cluster {:?}: certificate-authority: {text}", cluster.name)))?;
        let (token, identity) = match user.filter(|user| !user.is_empty()) {
            None => (None, None),
            Some(user) => {
                let found = self.users.iter().find(|(_, known)| known.name == user);
                let (folder, found) =
                    found.ok_or_else(|| at(format!("context {name:?} names no user that is there")))?;
                found.user.read(folder).map_err(|text| at(format!("user {user:?}: {text}")))?
            }
        };
        let is_open = server.starts_with("http://");
        if is_open && token.is_some() {
            return Err(at(format!("{server} is asked without TLS, and no token is sent there: expected https://")));
        }
        let trust = if is_open { None } else { Some(Trust::of_pem(ca.as_deref(), identity.as_deref()).map_err(at)?) };
        Ok(Access { server, trust, token })
    }
}

impl NamedCluster {
    fn server(&self) -> Result<String, String> {
        let Cluster { server, insecure_skip_tls_verify, tls_server_name, proxy_url, .. } = &self.cluster;
        if insecure_skip_tls_verify == &Some(true) {
            return Err("insecure-skip-tls-verify is not done here: give its certificate-authority".to_owned());
        }
        if tls_server_name.is_some() || proxy_url.is_some() {
            return Err(
                "tls-server-name and proxy-url are not known here: give a server that is asked as itself".into()
            );
        }
        let server = server.as_deref().unwrap_or_default().trim_end_matches('/');
        let uri = server.parse::<http::Uri>().ok();
        let is_fit = |uri: &http::Uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
        };
        match uri.filter(is_fit) {
            Some(uri) if !uri.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
                Ok(server.to_owned())
            }
            _ => Err("expected a server as in https://HOST:PORT".to_owned()),
        }
    }
}

impl User {
    /// The token, and certificate and key.
    fn read(&self, folder: &Path) -> Result<(Option<Token>, Option<Vec<u8>>), String> {
        let of = |what: &str| {
            format!(
                "{what} is not known here: take the token of a ServiceAccount that may list and watch EndpointSlices, as \
                 deploy/kubernetes/role.yaml says, by `tokenFile`, or a client certificate"
            )
        };
        if self.exec.is_some() {
            return Err(of("a program that brings credentials (exec)"));
        }
        if self.auth_provider.is_some() {
            return Err(of("an auth-provider"));
        }
        if self.username.is_some() {
            return Err(of("a password"));
        }
        if self.other.is_some() {
            return Err(of("to ask as somebody else (as)"));
        }
        // As `kubectl` has it, the file counts before what stands there.
        let file = self.token_file.as_ref().map(|file| Token::File(folder.join(file)));
        let token = self.token.clone().filter(|token| !token.is_empty()).map(Token::Fixed);
        let certificate = pem(folder, &self.client_certificate_data, &self.client_certificate)?;
        let key = pem(folder, &self.client_key_data, &self.client_key)?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
            (None, None) => None,
            _ => return Err("client-certificate and client-key go together".to_owned()),
        };
        Ok((file.or(token), identity))
    }
}

/// As data, which counts first, or as a file.
fn pem(folder: &Path, data: &Option<String>, file: &Option<PathBuf>) -> Result<Option<Vec<u8>>, String> {
    if let Some(data) = data.as_ref().filter(|data| !data.is_empty()) {
        let packed: String = data.split_whitespace().collect();
        return STANDARD.decode(packed).map(Some).map_err(|_| "its data is no Base64".to_owned());
    }
    let Some(file) = file.as_ref().filter(|file| !file.as_os_str().is_empty()) else { return Ok(None) };
    let file = folder.join(file);
    std::fs::read(&file).map(Some).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests;
