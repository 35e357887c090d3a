//! `deploy/kubernetes`: each object is what Kubernetes takes it for, to its last field.

use super::{deployed, list, read, step};
use crate::support::weft;
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use k8s_openapi::serde;
use serde_json::Value;
use std::{collections::BTreeSet, fs};
use tokio::process::Command;
use weft_tests::{
    process::{ended, run},
    program,
};

/// Maps whose keys are anybody's.
const FREE: [&str; 8] =
    ["labels", "matchLabels", "annotations", "data", "selector", "requests", "limits", "nodeSelector"];

fn parse(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"))
}

/// The objects in the folder, by file.
fn manifests() -> Vec<(String, Value)> {
    let files = fs::read_dir(deployed("kubernetes")).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read =
        yaml.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()));
    read.filter(|(name, _)| name != "kustomization.yaml").map(|(name, text)| (name, parse(&text))).collect()
}

fn manifest(name: &str) -> Value {
    manifests().into_iter().find(|(file, _)| file == name).unwrap().1
}

/// What is wrong with an object: it is none that is known, or something in it is lost when it is read and written again.
fn trouble(object: &Value) -> Vec<String> {
    let kind = (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
    let written = match kind {
        ("v1", "ConfigMap") => again::<ConfigMap>(object),
        ("v1", "Namespace") => again::<Namespace>(object),
        ("v1", "PersistentVolumeClaim") => again::<PersistentVolumeClaim>(object),
        ("v1", "Service") => again::<Service>(object),
        ("v1", "ServiceAccount") => again::<ServiceAccount>(object),
        ("apps/v1", "Deployment") => again::<Deployment>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => again::<HorizontalPodAutoscaler>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => again::<PodDisruptionBudget>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => again::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => again::<RoleBinding>(object),
        _ => return vec![format!("unknown: {kind:?}")],
    };
    match written {
        Err(error) => vec![error],
        Ok(written) => {
            let mut lost = Vec::new();
            compare(object, &written, "", &mut lost);
            lost
        }
    }
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(object: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// What `from` has and `to` has not, or has otherwise.
fn compare(from: &Value, to: &Value, place: &str, lost: &mut Vec<String>) {
    match (from, to) {
        (Value::Object(fields), Value::Object(_)) => {
            for (name, value) in fields {
                compare(value, &to[name], &format!("{place}.{name}"), lost);
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (number, (item, other)) in items.iter().zip(others).enumerate() {
                compare(item, other, &format!("{place}[{number}]"), lost);
            }
        }
        (from, to) if from == to => {}
        (from, to) => lost.push(format!("{place}: {from} became {to}")),
    }
}

/// The object with one key misspelt, for each key that is not anybody's.
fn misspelt(object: &Value) -> Vec<(String, Value)> {
    let Value::Object(fields) = object else {
        let Value::Array(items) = object else { return Vec::new() };
        let each = items.iter().enumerate().flat_map(|(number, item)| {
            misspelt(item).into_iter().map(move |(name, item)| {
                let mut whole = items.clone();
                whole[number] = item;
                (name, Value::Array(whole))
            })
        });
        return each.collect();
    };
    let mut all = Vec::new();
    for (name, value) in fields {
        let mut renamed = fields.clone();
        let value_there = renamed.remove(name).unwrap();
        renamed.insert(format!("{name}s"), value_there);
        all.push((name.clone(), Value::Object(renamed)));
        // The selector of a Service is such a map; that of others holds one.
        if FREE.contains(&name.as_str()) && value.get("matchLabels").is_none() && value.get("cpu").is_none() {
            continue;
        }
        for (inner, value) in misspelt(value) {
            let mut whole = fields.clone();
            whole.insert(name.clone(), value);
            all.push((format!("{name}.{inner}"), Value::Object(whole)));
        }
    }
    all
}

#[test]
fn no_field_of_a_manifest_is_lost_and_a_misspelt_one_is_found() {
    let manifests = manifests();
    assert!(manifests.len() >= 10, "{manifests:?}");
    for (file, object) in manifests {
        assert_eq!(trouble(&object), Vec::<String>::new(), "{file}");
        let wrong = misspelt(&object);
        assert!(wrong.len() > 3, "{file}");
        for (place, wrong) in wrong {
            // Names of resources are anybody's, too.
            let is_free = place.ends_with(".cpu") || place.ends_with(".memory") || place.ends_with(".storage");
            assert!(is_free || !trouble(&wrong).is_empty(), "{file}: nobody sees that {place} is misspelt");
        }
    }
}

#[tokio::test]
async fn kustomize_puts_all_of_them_together() {
    let Some(kubectl) = program::find("kubectl") else { return };
    let kustomize = async |folder: &std::path::Path| {
        ended(Command::new(&kubectl).arg("kustomize").arg(folder).kill_on_drop(true)).await
    };
    let made = kustomize(&deployed("kubernetes")).await;
    assert_eq!((made.code, made.err.as_str()), (0, ""));
    let objects: Vec<Value> = made.out.split("\n---\n").map(parse).collect();
    // One more: the configuration.
    assert_eq!(objects.len(), manifests().len() + 1);
    for object in &objects {
        assert_eq!(trouble(object), Vec::<String>::new(), "{object}");
        let is_cluster_wide = object["kind"] == "Namespace";
        assert_eq!(object["metadata"]["namespace"] == "weft", !is_cluster_wide, "{object}");
    }
    let kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let (config, deployment) = (kind("ConfigMap"), kind("Deployment"));
    assert_eq!(config["data"]["weft.toml"], read("kubernetes/weft.toml"));
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    assert!(volumes.iter().any(|volume| volume["configMap"]["name"] == config["metadata"]["name"]), "{volumes:?}");

    // A misspelt key of its own file is a mistake, too.
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(deployed("kubernetes")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let file = copy.path().join("kustomization.yaml");
    let wrong = fs::read_to_string(&file).unwrap().replace("\nresources:", "\nresource:");
    fs::write(&file, wrong).unwrap();
    assert_ne!(kustomize(copy.path()).await.code, 0);
}

/// A quantity of bytes.
fn bytes(quantity: &str) -> u64 {
    let (number, unit) = quantity.split_at(quantity.find(|c: char| c.is_alphabetic()).unwrap());
    let shift = match unit {
        "Mi" | "MiB" => 20,
        "Gi" | "GiB" => 30,
        other => panic!("{other}"),
    };
    number.parse::<u64>().unwrap() << shift
}

#[tokio::test]
async fn image_manifests_and_configuration_fit_together() {
    let (deployment, config) = (manifest("deployment.yaml"), read("kubernetes/weft.toml"));
    let settings: toml::Table = config.parse().unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["args"], serde_json::json!(list(&step("CMD"))));
    let user = pod["securityContext"]["runAsUser"].to_string();
    assert_eq!(step("USER"), format!("{user}:{user}"));
    let ports = container["ports"].as_array().unwrap().iter().map(|port| port["containerPort"].to_string());
    let ports: Vec<_> = ports.collect();
    assert_eq!(step("EXPOSE"), ports.join(" "));
    for (table, port) in [("http", &ports[0]), ("admin", &ports[1])] {
        assert_eq!(settings[table]["listen"].as_str().unwrap(), format!("0.0.0.0:{port}"));
    }
    let mounts = container["volumeMounts"].as_array().unwrap().iter().map(|mount| mount["mountPath"].as_str().unwrap());
    let mounts: BTreeSet<_> = mounts.collect();
    let plugins = &settings["plugins"];
    assert!(mounts.contains(plugins["folder"].as_str().unwrap()), "{mounts:?}");
    let compiled = plugins["compiled"].as_str().unwrap();
    assert!(mounts.contains(compiled.rsplit_once('/').unwrap().0), "{mounts:?}");

    let seconds = |text: &toml::Value| -> u64 { text.as_str().unwrap().trim_end_matches('s').parse().unwrap() };
    let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    let leaving = before + seconds(&settings["http"]["drain-delay"]) + seconds(&settings["http"]["drain"]);
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > leaving + 5);

    let path = deployed("kubernetes/weft.toml");
    let check = run(weft(), &["check", "--json", "--config", path.to_str().unwrap()]).await;
    assert_eq!(check.code, 0, "{check:?}");
    let found: Value = serde_json::from_str(&check.out).unwrap();
    let sum: u64 = found["memory"].as_object().unwrap().values().map(|part| part.as_u64().unwrap()).sum();
    let worker = bytes(plugins["compile-memory"].as_str().unwrap());
    let limit = bytes(container["resources"]["limits"]["memory"].as_str().unwrap());
    assert!(sum + worker <= limit, "{sum} and {worker} are more than {limit}");
}
