//! Kubeconfigs as `kubectl`, clouds and people write them.

use super::*;

const CONFIG: &str = r#"
apiVersion: v1
kind: Config
preferences: {}
current-context: in-clear
clusters:
- name: clear
  cluster: {server: "http://127.0.0.1:8001/"}
- name: home
  cluster: &tls
    server: https://[fd00::1]:6443/prefix
    extensions: [{name: x, extension: {}}]
- {name: proxied, cluster: {server: "https://a:1", proxy-url: "http://b:2"}}
- {name: renamed, cluster: {server: "https://a:1", tls-server-name: b}}
- {name: careless, cluster: {server: "https://a:1", insecure-skip-tls-verify: true}}
- {name: odd, cluster: {server: "ftp://a"}}
- {name: secretive, cluster: {server: "https://me:pass@a:1"}}
contexts:
- {name: in-clear, context: {cluster: clear}}
- {name: home, context: {cluster: home, user: token, namespace: x}}
- {name: token-in-clear, context: {cluster: clear, user: token}}
- {name: exec, context: {cluster: home, user: exec}}
- {name: cloud, context: {cluster: home, user: cloud}}
- {name: password, context: {cluster: home, user: password}}
- {name: other, context: {cluster: home, user: other}}
- {name: half, context: {cluster: home, user: half}}
- {name: bits, context: {cluster: home, user: bits}}
- {name: nobody, context: {cluster: home, user: nobody}}
- {name: nowhere, context: {cluster: nowhere}}
- {name: proxied, context: {cluster: proxied}}
- {name: renamed, context: {cluster: renamed}}
- {name: careless, context: {cluster: careless}}
- {name: odd, context: {cluster: odd}}
- {name: secretive, context: {cluster: secretive}}
users:
- {name: token, user: {token: "abc"}}
- {name: exec, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token]}}}
- {name: cloud, user: {auth-provider: {name: gcp}}}
- {name: password, user: {username: me, password: secret-word}}
- {name: other, user: {token: abc, as: admin}}
- {name: half, user: {client-certificate-data: ""  , client-key-data: "QUJD"}}
- {name: bits, user: {client-certificate-data: "%%"}}
"#;

fn config(texts: &[&str]) -> Kubeconfig {
    let mut all = Kubeconfig { files: "kube.yaml".to_owned(), ..Kubeconfig::default() };
    texts.iter().for_each(|text| all.add(text, Path::new("/etc/weft/kube.yaml")).unwrap());
    all
}

#[test]
fn a_context_says_which_server_and_who_asks() {
    let known = config(&[CONFIG]);
    let access = known.access(None).unwrap();
    assert_eq!(
        (access.server.as_str(), access.trust.is_none(), access.token.is_none()),
        ("http://127.0.0.1:8001", true, true)
    );
    let access = known.access(Some("home")).unwrap();
    assert_eq!(access.server, "https://[fd00::1]:6443/prefix");
    let headers = access.headers().unwrap();
    assert_eq!(headers["authorization"], "Bearer abc");
    assert!(!format!("{access:?} {headers:?} {known:?}").contains("abc"));
}

#[test]
fn who_can_not_ask_is_told_what_to_do() {
    let known = config(&[CONFIG]);
    for (context, expected) in [
        ("token-in-clear", "no token is sent there"),
        (
            "exec",
            "user \"exec\": a program that brings credentials (exec) is not known here: take the token of a ServiceAccount",
        ),
        ("cloud", "an auth-provider is not known here"),
        ("password", "a password is not known here"),
        ("other", "to ask as somebody else (as) is not known here"),
        ("half", "client-certificate and client-key go together"),
        ("bits", "its data is no Base64"),
        ("nobody", "context \"nobody\" names no user that is there"),
        ("nowhere", "context \"nowhere\" names no cluster that is there"),
        ("proxied", "proxy-url are not known here"),
        ("renamed", "tls-server-name and"),
        ("careless", "give its certificate-authority"),
        ("odd", "expected a server as in https://HOST:PORT"),
        ("secretive", "expected a server as in https://HOST:PORT"),
        ("missing", "there is no context \"missing\", but [\"in-clear\", \"home\""),
    ] {
        let error = known.access(Some(context)).unwrap_err();
        assert!(error.starts_with("kube.yaml: ") && error.contains(expected), "{context}: {error}");
        assert!(!error.contains("secret-word") && !error.contains("pass@"), "{error}");
    }
    let error = config(&["contexts: null"]).access(None).unwrap_err();
    assert!(error.contains("there is no current-context"), "{error}");
}

#[test]
fn of_several_files_the_first_that_has_something_counts_and_nonsense_is_not_shown() {
    let first = "current-context: home\nusers: [{name: token, user: {token: first}}]";
    let access = config(&[first, CONFIG]).access(None).unwrap();
    assert_eq!(access.headers().unwrap()["authorization"], "Bearer first");

    let folder = tempfile::tempdir().unwrap();
    let (there, missing) = (folder.path().join("there"), folder.path().join("missing"));
    std::fs::write(&there, CONFIG).unwrap();
    assert!(Kubeconfig::read(&[missing.clone(), there.clone()]).unwrap().access(None).is_ok());
    assert!(Kubeconfig::read(&[missing.clone(), missing.clone()]).unwrap_err().contains("No such file"));
    assert!(Kubeconfig::read(&[missing]).unwrap_err().contains("missing: No such file"));
    for text in [
        "",
        "- a",
        "users: [{name: me, user: secret-word}]",
        "users:\n- {name: me, user: {token: [secret-word]}}",
        "a: {\n",
    ] {
        std::fs::write(&there, text).unwrap();
        match Kubeconfig::read(std::slice::from_ref(&there)) {
            Ok(known) => assert!(text.is_empty() && known.access(None).is_err(), "{text:?}"),
            Err(error) => assert!(error.contains("expected a kubeconfig") && !error.contains("secret-word"), "{error}"),
        }
    }
}

#[test]
fn pem_comes_from_files_beside_the_kubeconfig_or_stands_in_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca"), "of the file").unwrap();
    let read = |data: Option<&str>, file: Option<&str>| {
        pem(folder.path(), &data.map(str::to_owned), &file.map(PathBuf::from))
            .map(|pem| pem.map(String::from_utf8).transpose().unwrap())
    };
    assert_eq!(read(None, Some("ca")), Ok(Some("of the file".to_owned())));
    assert_eq!(read(Some("b2YgdGhl\nIGRhdGE="), Some("ca")), Ok(Some("of the data".to_owned())));
    assert_eq!(read(Some(""), None), Ok(None));
    assert!(read(None, Some("none")).unwrap_err().contains("none: No such file"));
}
