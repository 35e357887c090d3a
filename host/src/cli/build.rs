//! `weft build`: from a plugin's folder to one file.

use super::{
    Failure, Result,
    language::{Described, Language},
    print, sdk, tell,
    toolchain::{self, Description, Making},
};
use crate::{
    artifact::{
        Artifact, CONTRACT, EndpointPolicy, EndpointSchema, MOST_SCHEMA, STREAMING, Sections, read_descriptors,
        read_manifest,
    },
    mocks::{self, CONTRACT_FOLDER, Source},
    model::Scope,
    settings::{self, Mistake, Mistakes},
};
use anyhow::{Context, anyhow};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Compile the plugin in this folder into one artifact
///
/// Compiles it by the tools of its language (Rust for wasm32-wasip2, whose target is added when it is missing; JavaScript by what npm
/// and Python by what pip installs into the folder), checks the manifest against the code and the protos, embeds
/// manifest, method table, descriptors, schemas and mocks, and writes `target/weft/NAME-VERSION.wasm`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's folder: the one with `plugin.toml`, and `Cargo.toml`, `package.json` or `pyproject.toml`
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where to put the artifact, instead of `target/weft`
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Say nothing but what went wrong
    #[arg(long, short)]
    quiet: bool,
}

/// What was built, written nowhere yet.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) artifact: Artifact,
    /// Where cargo has put the component.
    pub(super) component: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let Built { artifact, component } = built(&arguments.folder, arguments.quiet)?;
    let manifest = &artifact.manifest;
    let name = format!("{}-{}.wasm", manifest.name, manifest.version);
    let place = || Language::of(&arguments.folder).artifacts(&arguments.folder, &component);
    let file = write(&arguments.out.clone().unwrap_or_else(place), &name, &artifact.bytes)?;
    if arguments.quiet {
        print(&file.display().to_string());
        return Ok(());
    }
    tell(&format!(
        "{} ({} KiB, {} endpoints, {})",
        from_here(&file).display(),
        artifact.bytes.len() / 1024,
        manifest.endpoints.len(),
        artifact.digest.short()
    ));
    Ok(())
}

/// Compiles the plugin in this folder, and holds its code, its manifest and its protos against each other.
pub(super) fn built(folder: &Path, is_quiet: bool) -> Result<Built> {
    built_by(&Making::new(folder, is_quiet))
}

/// The same, as it is said.
pub(super) fn built_by(making: &Making<'_>) -> Result<Built> {
    let folder = making.folder;
    let manifest_file = folder.join("plugin.toml");
    if !manifest_file.is_file() {
        let (manifest, folder) = (manifest_file.display(), folder.display());
        return Err(anyhow!("{manifest} can't be read; is {folder} a plugin's folder? `weft new` makes one").into());
    }
    let text = settings::text(&manifest_file).map_err(|mistake| Failure::Mistakes(vec![mistake]))?;
    let manifest = read_manifest(&manifest_file, &text, None, None).map_err(Failure::Mistakes)?;
    if Source::has_contract(folder) && !Source::has_code(folder) {
        return Err(anyhow!(
            "{} has a contract and no code yet, so there is nothing to build: `weft mock` serves it",
            folder.display()
        )
        .into());
    }
    let has = |file: &str| folder.join(file).exists();
    if !["Cargo.toml", "package.json", "pyproject.toml"].into_iter().any(has) {
        return Err(anyhow!(
            "{} has a plugin.toml, and no code beside it: neither Cargo.toml (a plugin in Rust), package.json (JavaScript) nor pyproject.toml \
             (Python); `weft new` makes both",
            folder.display()
        )
        .into());
    }
    let language = Language::of(folder);
    if language == Language::Rust {
        toolchain::add_target(folder)?;
    }
    let _turn = toolchain::turn(&manifest_file);
    if let Some(root) = sdk::of(folder) {
        sdk::link(&root, &sdk::unpacked()?)?;
    }

    making.say(&format!("describing {} {}", manifest.name, manifest.version));
    let Described { description, descriptors } = language.describe(making)?;
    check(&manifest_file, &text, &description, &descriptors)?;
    check_contract(folder, &description)?;
    let source = Source::read(folder, Some(description.endpoints.clone())).map_err(Failure::Mistakes)?;

    making.say(&format!("compiling {} {}", manifest.name, manifest.version));
    let component = language.compile(making)?;
    let code = fs::read(&component).with_context(|| format!("{} can't be read", component.display()))?;
    let sections = Sections {
        manifest: text,
        methods: description.methods,
        descriptors,
        schema: serde_json::to_vec(&description.endpoints)?,
        mocks: serde_json::to_vec(&source.files)?,
        contract: description.contract,
    };
    let artifact = Artifact::parse(sections.append_to(&code).into()).context("what was built is no whole artifact")?;
    Ok(Built { artifact, component })
}

/// The path as a person in this folder would write it.
fn from_here(file: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| file.strip_prefix(here).ok()).unwrap_or(file)
}

/// Code, manifest and protos have to agree before anything else is made.
fn check(file: &Path, text: &str, description: &Description, descriptors: &[u8]) -> Result {
    if ![CONTRACT, STREAMING].contains(&description.contract.as_str()) {
        let (theirs, ours) = (&description.contract, CONTRACT);
        return Err(anyhow!(
            "the plugin's SDK speaks contract {theirs}, and this weft speaks {ours} and {STREAMING}: use the SDK of the same release"
        )
        .into());
    }
    if !description.faults.is_empty() {
        return Err(anyhow!("the code disagrees with itself:\n  {}", description.faults.join("\n  ")).into());
    }
    small(&description.endpoints)?;
    let pool = read_descriptors(descriptors)
        .map_err(|error| anyhow!("the plugin's protos are nothing that a host would read: {error}"))?;
    let manifest = read_manifest(file, text, Some(&description.endpoints), Some(&pool)).map_err(Failure::Mistakes)?;
    let mut mistakes = never_told(&manifest.endpoints, &description.endpoints);
    mistakes.extend(contradictory(&manifest.endpoints, &description.endpoints));
    if mistakes.is_empty() { Ok(()) } else { Err(Failure::Mistakes(mistakes)) }
}

/// Whether a host would read all that the code says of its endpoints.
fn small(endpoints: &[EndpointSchema]) -> anyhow::Result<()> {
    let all = serde_json::to_vec(endpoints)?.len();
    if all <= MOST_SCHEMA {
        return Ok(());
    }
    let size = |endpoint: &EndpointSchema| serde_json::to_vec(endpoint).map_or(0, |bytes| bytes.len());
    let largest = endpoints.iter().map(|endpoint| (size(endpoint), endpoint)).max_by_key(|(size, _)| *size);
    let largest = largest.map(|(size, endpoint)| {
        format!("the largest is {} {} with {} KiB", endpoint.method, endpoint.path, size / 1024)
    });
    Err(anyhow!(
        "the schemas of the endpoints have {} KiB, and a plugin has {} KiB at most; {}: what it takes and gives is in it, with all types that are \
         inside of these and their doc comments",
        all / 1024,
        MOST_SCHEMA / 1024,
        largest.unwrap_or_default()
    ))
}

/// A contract that stood there before the code is held against it, and has then done its duty: two that say the same would differ one day.
fn check_contract(folder: &Path, description: &Description) -> Result {
    if !Source::has_contract(folder) {
        return Ok(());
    }
    let (contract, mistakes) = (folder.join(CONTRACT_FOLDER), Mistakes::new());
    let wanted = mocks::contract::read(&contract, &mistakes);
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(mistakes.into_sorted()));
    }
    let shown = contract.display();
    let differences = mocks::difference::differences(&wanted, &description.endpoints);
    if !differences.is_empty() {
        let lines = differences.join("\n  ");
        return Err(
            anyhow!("the code differs from the contract in {shown}; mend the one or the other:\n  {lines}").into()
        );
    }
    Err(anyhow!(
        "the code says all that the contract in {shown} says: delete that folder, the code stands for it from now on"
    )
    .into())
}

/// What the code or the manifest asks of the caller, and a response that is kept for others as well can't be made of.
fn never_told(policies: &[EndpointPolicy], schema: &[EndpointSchema]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for policy in policies {
        let Some(scope) = policy.cache.as_ref().map(|cache| cache.scope).filter(|scope| *scope != Scope::Principal)
        else {
            continue;
        };
        let takes = schema.iter().find(|e| e.is(&policy.name)).and_then(|e| e.more.get("identity"));
        // Of a whole tenant, the tenant is told.
        if scope == Scope::Public && takes.is_some_and(Value::is_string) {
            let text = "the code takes `Identity`, but its response is kept for everybody (cache.scope = \"public\"), so no caller is \
                        ever told: set cache.scope = \"principal\" or \"tenant\", or take no `Identity`";
            mistakes.push(policy.place.mistake(text));
        }
        if !policy.claims.is_empty() {
            let text = format!(
                "`claims` are asked for, but its response is kept for more than one caller (cache.scope = \"{}\"), so none is ever \
                 told: set cache.scope = \"principal\", or remove `claims`",
                scope.as_str()
            );
            mistakes.push(policy.place.mistake(text));
        }
    }
    mistakes
}

/// What the code says that no value can be: a range that ends before it begins, a list of no values.
fn contradictory(policies: &[EndpointPolicy], schema: &[EndpointSchema]) -> Vec<Mistake> {
    let of = |policy: &EndpointPolicy| {
        let found = schema.iter().find(|endpoint| endpoint.is(&policy.name)).map(mocks::contradiction::of_endpoint);
        let told = |fault: mocks::schema::Fault| {
            policy.place.mistake(format!("what the code says of itself contradicts itself: {fault}; mend the type"))
        };
        found.unwrap_or_default().into_iter().map(told).collect::<Vec<_>>()
    };
    policies.iter().flat_map(of).collect()
}

/// Written under another name and renamed, so that a host that watches the folder never sees half of it.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let file = folder.join(name);
    let temporary = folder.join(format!(".{name}.part"));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&temporary, bytes))
        .and_then(|()| fs::rename(&temporary, &file));
    written.with_context(|| format!("{} can't be written", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_contract_and_code_that_disagrees_with_itself_are_told_before_all_else() {
        let told = |contract: &str, faults: &[&str]| {
            let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
            let (contract, descriptors) = (contract.to_owned(), String::new());
            let description = Description { contract, endpoints: Vec::new(), methods: Vec::new(), descriptors, faults };
            let text = "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nclient = \"web\"\n";
            match check(Path::new("plugin.toml"), text, &description, &[]) {
                Err(Failure::Failed(error)) => error.to_string(),
                other => format!("{other:?}"),
            }
        };
        assert!(
            told("0.9.0", &[])
                .starts_with("the plugin's SDK speaks contract 0.9.0, and this weft speaks 0.1.0 and 0.2.0")
        );
        let fault = "GET /films/{id}: `Path` has `film`, which the path template does not have";
        assert_eq!(told(CONTRACT, &[fault]), format!("the code disagrees with itself:\n  {fault}"));
        assert_eq!(told(STREAMING, &[]), "Ok(())");
    }

    #[test]
    fn a_schema_that_no_host_would_read_is_told_by_its_endpoint() {
        let of = |path: &str, bytes: usize| {
            serde_json::from_value(serde_json::json!({"method": "GET", "path": path, "summary": "x".repeat(bytes)}))
                .unwrap()
        };
        small(&[of("/films", MOST_SCHEMA / 2), of("/home", 0)]).unwrap();
        let told = small(&[of("/films", MOST_SCHEMA / 2), of("/home", 9 << 20)]).unwrap_err().to_string();
        assert!(
            told.starts_with("the schemas of the endpoints have 13312 KiB, and a plugin has 8192 KiB at most"),
            "{told}"
        );
        assert!(told.contains("the largest is GET /home with 9216 KiB"), "{told}");
    }

    #[test]
    fn nobody_is_told_of_a_caller_behind_a_response_for_others() {
        let told = |cache: &str, claims: &str, identity: Option<&str>| {
            let text = format!(
                "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nclient = \"web\"\n[endpoint.\"GET /a\"]\n{cache}\nclaims = [{claims}]\n"
            );
            let schema = serde_json::json!([{"method": "GET", "path": "/a", "identity": identity}]);
            let schema: Vec<EndpointSchema> = serde_json::from_value(schema).unwrap();
            let manifest = read_manifest(Path::new("plugin.toml"), &text, Some(&schema), None).unwrap();
            never_told(&manifest.endpoints, &schema).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (public, tenant) = ("cache = { scope = \"public\" }", "cache = { scope = \"tenant\" }");
        for identity in ["required", "optional"] {
            let faults = told(public, "", Some(identity));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(
                faults[0].starts_with("plugin.toml:5: endpoint.\"GET /a\": the code takes `Identity`"),
                "{faults:?}"
            );
        }
        assert!(told(public, "\"plan\"", None)[0].contains("`claims` are asked for"));
        assert!(told(tenant, "\"plan\"", None)[0].contains("cache.scope = \"tenant\""));
        for fine in [told(tenant, "", Some("required")), told(public, "", None), told("", "\"plan\"", Some("required"))]
        {
            assert_eq!(fine, Vec::<String>::new());
        }
    }
}
