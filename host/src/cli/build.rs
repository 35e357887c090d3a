//! `weft build`: from a plugin's folder to one file.

use super::{Failure, Result, print, runtime, tell};
use crate::{
    artifact::{Artifact, CONTRACT, EndpointPolicy, EndpointSchema, Sections, read_descriptors, read_manifest},
    model::Scope,
    sandbox,
    settings::{Document, Mistake, Mistakes},
};
use anyhow::{Context, anyhow, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const TARGET: &str = "wasm32-wasip2";

/// Plugins are small and run hot: optimised as a whole, with the names that make a trap's backtrace readable.
///
/// The describer is made under this profile too, so that all that a plugin depends on is compiled once and not twice.
const PROFILE: [&str; 10] = [
    "--profile",
    "plugin",
    "--config",
    "profile.plugin.inherits=\"release\"",
    "--config",
    "profile.plugin.lto=true",
    "--config",
    "profile.plugin.codegen-units=1",
    "--config",
    "profile.plugin.strip=\"debuginfo\"",
];

/// Compile the plugin in this folder into one artifact
///
/// Compiles for wasm32-wasip2 (adding the target when it is missing), checks the manifest against the code and the protos, embeds
/// manifest, method table, descriptors, schemas and mocks, and writes `target/weft/NAME-VERSION.wasm`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's folder: the one with `plugin.toml` and `Cargo.toml`
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where to put the artifact, instead of `target/weft`
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Say nothing but what went wrong
    #[arg(long, short)]
    quiet: bool,
}

/// What the `describe` export returns.
#[derive(Debug, Deserialize)]
struct Description {
    contract: String,
    endpoints: Vec<EndpointSchema>,
    methods: Vec<String>,
    /// Base64 of a FileDescriptorSet.
    #[serde(default)]
    descriptors: String,
    /// What the SDK found to disagree within the code.
    #[serde(default)]
    faults: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let say = |line: &str| {
        if !arguments.quiet {
            tell(line);
        }
    };
    let manifest_file = arguments.folder.join("plugin.toml");
    let text = fs::read_to_string(&manifest_file).with_context(|| {
        format!("{} can't be read; is {} a plugin's folder?", manifest_file.display(), arguments.folder.display())
    })?;
    let manifest = read_manifest(&manifest_file, &text, None, None).map_err(Failure::Mistakes)?;
    add_target()?;
    let _turn = turn(&manifest_file);

    say(&format!("describing {} {}", manifest.name, manifest.version));
    let describer = compile(arguments, &as_describer(&arguments.folder))?;
    let described = runtime()?
        .block_on(sandbox::describe(&describer))
        .map_err(|error| anyhow!("the plugin can't describe itself: {error}"))?;
    let description: Description =
        serde_json::from_str(&described).context("the plugin's description can't be read; is its SDK too old?")?;
    let descriptors =
        BASE64_STANDARD.decode(&description.descriptors).context("the plugin's descriptors can't be read")?;
    check(&manifest_file, &text, &description, &descriptors)?;

    say(&format!("compiling {} {}", manifest.name, manifest.version));
    let component = compile(arguments, &[])?;
    let code = fs::read(&component).with_context(|| format!("{} can't be read", component.display()))?;
    let sections = Sections {
        manifest: text,
        methods: description.methods,
        descriptors,
        schema: serde_json::to_vec(&description.endpoints)?,
        mocks: serde_json::to_vec(&mocks(&arguments.folder.join("mocks"))?)?,
        contract: description.contract,
    };
    let bytes = sections.append_to(&code);
    let artifact = Artifact::parse(bytes.clone().into()).context("what was built is no whole artifact")?;
    let file = write(arguments, &component, &format!("{}-{}.wasm", manifest.name, manifest.version), &bytes)?;
    say(&format!(
        "{} ({} KiB, {} endpoints, {})",
        from_here(&file).display(),
        bytes.len() / 1024,
        manifest.endpoints.len(),
        artifact.digest.short()
    ));
    if arguments.quiet {
        print(&file.display().to_string());
    }
    Ok(())
}

/// Held while a plugin is built: cargo puts describer and component at the same place, one after the other, and of two builds at once
/// one would read what the other has made. Where files can't be locked it is done without.
fn turn(manifest: &Path) -> Option<fs::File> {
    let file = fs::File::open(manifest).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// What makes a describer of it. It runs once, so the plugin's own code is not optimised; all else is, and is compiled already or will be
/// used again.
fn as_describer(folder: &Path) -> Vec<String> {
    let mut more = vec!["--features".to_owned(), "weft-sdk/describe".to_owned()];
    let file = folder.join("Cargo.toml");
    // What is wrong with it is cargo's to say.
    let mistakes = Mistakes::new();
    let text = fs::read_to_string(&file).unwrap_or_default();
    let name: String =
        Document::parse(&file, &text, &mistakes).table(&mistakes).table("package").or("name", String::new());
    if !name.is_empty() {
        more.extend(["--config".to_owned(), format!("profile.plugin.package.\"{name}\".opt-level=0")]);
    }
    more
}

/// The path as a person in this folder would write it.
fn from_here(file: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| file.strip_prefix(here).ok()).unwrap_or(file)
}

/// Code, manifest and protos have to agree before anything else is made.
fn check(file: &Path, text: &str, description: &Description, descriptors: &[u8]) -> Result {
    if description.contract != CONTRACT {
        let (theirs, ours) = (&description.contract, CONTRACT);
        return Err(anyhow!(
            "the plugin's SDK speaks contract {theirs}, and this weft speaks {ours}: use the SDK of the same release"
        )
        .into());
    }
    if !description.faults.is_empty() {
        return Err(anyhow!("the code disagrees with itself:\n  {}", description.faults.join("\n  ")).into());
    }
    let pool = read_descriptors(descriptors)
        .map_err(|error| anyhow!("the plugin's protos are nothing that a host would read: {error}"))?;
    let manifest = read_manifest(file, text, Some(&description.endpoints), Some(&pool)).map_err(Failure::Mistakes)?;
    let mistakes = never_told(&manifest.endpoints, &description.endpoints);
    if mistakes.is_empty() { Ok(()) } else { Err(Failure::Mistakes(mistakes)) }
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

fn add_target() -> anyhow::Result<()> {
    let listed = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let there = listed.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).exists());
    if there {
        return Ok(());
    }
    tell(&format!("adding the Rust target {TARGET}"));
    let added = Command::new("rustup").args(["target", "add", TARGET]).stdout(Stdio::null()).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("the Rust target {TARGET} is missing and could not be added: run `rustup target add {TARGET}`"),
    }
}

/// Compiles the plugin's library for wasm and returns the component's path.
fn compile(arguments: &Arguments, more: &[String]) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(&arguments.folder)
        .args(["build", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .args(PROFILE)
        .args(more)
        // Gives the file in cargo's cache a name of its own for each set of features: else describer and component take each other's
        // place there, and both are linked again each time. Without it (it is cargo's own affair) only time is lost.
        .env("__CARGO_DEFAULT_LIB_METADATA", "weft")
        .stdout(Stdio::piped());
    if arguments.quiet {
        command.arg("--quiet");
    }
    let output = command.spawn().context("cargo can't be run; is Rust installed?")?.wait_with_output()?;
    if !output.status.success() {
        bail!("the plugin does not compile; see above");
    }
    let own = fs::canonicalize(arguments.folder.join("Cargo.toml")).context("the plugin's folder has no Cargo.toml")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut files = messages.lines().rev().filter_map(|line| component_of(line, &own));
    files.next().ok_or_else(|| anyhow!("the plugin's crate makes no component: set crate-type = [\"cdylib\", \"rlib\"] under [lib] in its Cargo.toml"))
}

/// The `.wasm` file, if this line of cargo's output tells of the plugin's own library.
fn component_of(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = message.get("manifest_path")?.as_str()?;
    if message.get("reason")? != "compiler-artifact" || fs::canonicalize(path).ok()? != manifest {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// All JSON files of the mocks folder, by name.
fn mocks(folder: &Path) -> anyhow::Result<Map<String, Value>> {
    let mut mocks = Map::new();
    if !folder.exists() {
        return Ok(mocks);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
            let value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            mocks.insert(name, value);
        }
    }
    Ok(mocks)
}

/// Written under another name and renamed, so that a host that watches the folder never sees half of it.
fn write(arguments: &Arguments, component: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    // component: TARGET_DIR/wasm32-wasip2/plugin/NAME.wasm
    let target = component.ancestors().nth(3).map_or_else(|| PathBuf::from("target"), Path::to_owned);
    let folder = arguments.out.clone().unwrap_or_else(|| target.join("weft"));
    let file = folder.join(name);
    let temporary = folder.join(format!(".{name}.part"));
    let written = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&temporary, bytes))
        .and_then(|()| fs::rename(&temporary, &file));
    written.with_context(|| format!("{} can't be written", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

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
