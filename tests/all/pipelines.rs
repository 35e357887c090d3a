//! The pipelines that `weft new --ci` writes: their steps are read out of the file and run, in a real plugin's folder.

use crate::support::weft;
use serde_json::Value;
use std::{env, fs, path::PathBuf};
use weft::model::Digest;
use weft_tests::{
    author::Author,
    process::{Ended, ended},
};

const STEPS: [&str; 5] = ["tools", "check", "test", "diff", "build"];
const FILES: [(&str, &str); 3] =
    [("github", ".github/workflows/greeter.yml"), ("gitlab", ".gitlab-ci.yml"), ("jenkins", "Jenkinsfile")];

/// The steps of a pipeline, in the order in which its system runs them: names, and lines of shell.
fn steps(system: &str, text: &str) -> Vec<(String, String)> {
    let words = |value: &Value| value.as_str().unwrap().to_owned();
    match system {
        "github" => {
            let file: Value = serde_saphyr::from_str(text).unwrap();
            assert_eq!(file["jobs"].as_object().unwrap().len(), 1);
            let steps = file["jobs"]["plugin"]["steps"].as_array().unwrap();
            assert!(
                steps.iter().all(|step| step.get("if").is_none() && step.get("continue-on-error").is_none()),
                "{text}"
            );
            let run = steps.iter().filter(|step| step.get("run").is_some());
            run.map(|step| (words(&step["name"]), words(&step["run"]))).collect()
        }
        "gitlab" => {
            let file: Value = serde_saphyr::from_str(text).unwrap();
            let before = file["default"]["before_script"].as_array().unwrap();
            let mut steps = vec![("tools".to_owned(), words(&before[1]))];
            for stage in file["stages"].as_array().unwrap() {
                let job = &file[stage.as_str().unwrap()];
                assert!(
                    job["stage"] == *stage && job.get("allow_failure").is_none() && job.get("when").is_none(),
                    "{text}"
                );
                let [script] = job["script"].as_array().unwrap().as_slice() else { panic!("{text}") };
                steps.push((words(stage), words(script)));
            }
            steps
        }
        _ => {
            // Groovy passes the text between these on as it is, where it has no backslash.
            assert!(!text.contains('\\') && !text.contains("catchError"), "{text}");
            let stages = text.split("stage('").skip(1).map(|stage| stage.split_once('\'').unwrap());
            let script = |stage: &str| {
                stage.split("'''").nth(1).unwrap().lines().map(|line| format!("{}\n", line.trim())).collect()
            };
            stages.map(|(name, rest)| (name.to_owned(), script(rest))).collect()
        }
    }
}

/// Lines without what belongs to one of the systems.
fn plain(script: &str) -> Vec<&str> {
    script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("GITHUB_PATH")).collect()
}

/// A machine as pipelines run on: Rust, and a home of its own.
struct Agent {
    author: Author,
    home: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Agent {
    fn new(author: Author) -> Self {
        let home = author.folder.join("home");
        fs::create_dir(&home).unwrap();
        Self { author, home, variables: Vec::new() }
    }

    async fn shell(&self, script: &str) -> Ended {
        let mut command = self.author.command("bash", "greeter");
        let rust = PathBuf::from(env::var_os("CARGO").unwrap());
        let path = format!("{}:{}", rust.parent().unwrap().display(), env::var("PATH").unwrap());
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let own = env::var_os(name)
                .map_or_else(|| PathBuf::from(env::var_os("HOME").unwrap()).join(folder), PathBuf::from);
            command.env(name, own);
        }
        command.env("HOME", &self.home).env("PATH", path).env("GITHUB_PATH", self.home.join("path"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value.as_str())));
        // As the shells of all three are started, but for words of their own.
        ended(command.args(["-eo", "pipefail", "-c", &format!("export PATH=\"$HOME/.local/bin:$PATH\"\n{script}")]))
            .await
    }

    /// Runs one step after the other up to the first that fails; the last one that ran, and how it ended.
    async fn run(&self, steps: &[(String, String)]) -> (String, Ended) {
        let mut last = None;
        for (name, script) in steps {
            let ended = self.shell(script).await;
            let failed = ended.code != 0;
            last = Some((name.clone(), ended));
            if failed {
                break;
            }
        }
        last.unwrap()
    }

    fn dist(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.author.folder.join("greeter/dist")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.author.read(file);
        assert!(text.contains(from), "{text}");
        self.author.write(file, &text.replacen(from, to, 1));
    }
}

#[tokio::test]
async fn a_pipeline_runs_and_stops_at_the_first_step_that_fails() {
    let author = Author::new(weft());
    let made = author.begin("greeter", &["--client", "web", "--ci", "github"]).await;
    assert!(made.out.contains(".github/workflows/greeter.yml runs check, test, diff and build."), "{made:?}");
    let steps = steps("github", &author.read("greeter/.github/workflows/greeter.yml"));
    assert_eq!(steps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), STEPS);

    // Where the command comes from is for the company to say, and nothing else is taken for it.
    let mut agent = Agent::new(author);
    let ended = agent.shell(&steps[0].1).await;
    assert!(ended.code != 0 && ended.err.contains("WEFT_URL: is not set"), "{ended:?}");
    let digest = Digest::of(&fs::read(weft()).unwrap()).to_string();
    let digest = digest.rsplit(':').next().unwrap().to_owned();
    agent.variables =
        vec![("WEFT_URL", format!("file://{}", weft().display())), ("WEFT_SHA256", digest.replace('a', "b"))];
    let ended = agent.shell(&steps[0].1).await;
    assert!(ended.code != 0 && !agent.home.join(".local/bin/weft").exists(), "{ended:?}");
    agent.variables[1].1 = digest;

    let (last, ended) = agent.run(&steps).await;
    assert_eq!((last.as_str(), ended.code), ("build", 0), "{}\n{}", ended.out, ended.err);
    assert_eq!(agent.dist(), ["greeter-0.1.0.wasm"]);
    let begun = agent.shell("weft openapi --artifact target/diff/*.wasm > openapi.json && rm -r dist").await;
    assert_eq!(begun.code, 0, "{begun:?}");

    // Apps know the member `text`.
    agent.edit("greeter/src/lib.rs", "pub text: String", "pub words: String");
    agent.edit("greeter/src/lib.rs", "        text: format!", "        words: format!");
    agent.edit("greeter/tests/greet.rs", ".text", ".words");
    agent.edit("greeter/tests/greet.toml", "{ text", "{ words");
    let (last, ended) = agent.run(&steps).await;
    assert_eq!((last.as_str(), ended.code), ("diff", 1), "{}\n{}", ended.out, ended.err);
    assert!(ended.out.contains("BREAKS") && ended.out.contains("text"), "{}", ended.out);

    agent.edit("greeter/tests/greet.rs", "200", "201");
    let (last, ended) = agent.run(&steps).await;
    assert!(last == "test" && ended.code != 0 && ended.out.contains("greets_by_name ... FAILED"), "{last} {ended:?}");

    agent.edit("greeter/src/lib.rs", "pub words", "pub  words");
    let (last, ended) = agent.run(&steps).await;
    assert!(last == "check" && ended.code != 0 && ended.out.contains("pub  words"), "{last} {ended:?}");
    assert_eq!(agent.dist(), Vec::<String>::new(), "nothing was built of what failed");
}

#[tokio::test]
async fn a_plugin_in_javascript_gets_the_same_steps_by_its_own_tools() {
    if !crate::languages::has_node() {
        return;
    }
    let author = Author::new(weft());
    let made = author.weft("", &["new", "greeter", "--client", "web", "--lang", "js", "--ci", "github"]).await;
    assert!(made.code == 0 && made.out.contains("greeter.yml runs check, test, diff and build."), "{made:?}");
    let github = steps("github", &author.read("greeter/.github/workflows/greeter.yml"));
    for (system, file) in FILES {
        if system != "github" {
            let made = author.weft("greeter", &["new", "--ci", system]).await;
            assert_eq!(made.code, 0, "{made:?}");
        }
        let text = author.read(&format!("greeter/{file}"));
        for foreign in ["cargo test", "cargo fmt", "Cargo", "rust", "@NAME@", "@MORE@", "@SETUP@", "@ALSO@"] {
            assert!(!text.contains(foreign), "{foreign} in\n{text}");
        }
        let steps = steps(system, &text);
        assert_eq!(steps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), STEPS);
        for ((_, script), (_, same)) in steps.iter().zip(&github) {
            assert_eq!(plain(script), plain(same), "{system}");
        }
    }

    // As after a clone: what is not committed is not there.
    assert_eq!(author.shell("greeter", "npm install --no-audit --no-fund --silent").await.code, 0);
    for folder in [".weft", "node_modules"] {
        fs::remove_dir_all(author.folder.join("greeter").join(folder)).unwrap();
    }
    let mut agent = Agent::new(author);
    let digest = Digest::of(&fs::read(weft()).unwrap()).to_string();
    let digest = digest.rsplit(':').next().unwrap().to_owned();
    agent.variables = vec![("WEFT_URL", format!("file://{}", weft().display())), ("WEFT_SHA256", digest)];
    let (last, ended) = agent.run(&github).await;
    assert_eq!((last.as_str(), ended.code), ("build", 0), "{}\n{}", ended.out, ended.err);
    assert_eq!(agent.dist(), ["greeter-0.1.0.wasm"]);

    let begun = agent.shell("weft openapi --artifact target/diff/*.wasm > openapi.json && rm -r dist").await;
    assert_eq!(begun.code, 0, "{begun:?}");
    agent.edit("greeter/src/main.js", "t.object({ text:", "t.object({ words:");
    agent.edit("greeter/src/main.js", "return { text:", "return { words:");
    agent.edit("greeter/test/greet.test.js", "{ text:", "{ words:");
    agent.edit("greeter/tests/greet.toml", "{ text", "{ words");
    let (last, ended) = agent.run(&github).await;
    assert_eq!((last.as_str(), ended.code), ("diff", 1), "{}\n{}", ended.out, ended.err);
    agent.edit("greeter/test/greet.test.js", "{ words:", "{ wrong:");
    let (last, ended) = agent.run(&github).await;
    assert!(last == "test" && ended.code != 0, "{last} {ended:?}");
    agent.edit("greeter/package.json", "\"scripts\": {", "\"scripts\": {\n    \"lint\": \"exit 3\",");
    let (last, ended) = agent.run(&github).await;
    assert!(last == "check" && ended.code != 0, "{last} {ended:?}");
    assert_eq!(agent.dist(), Vec::<String>::new(), "nothing was built of what failed");
}

#[tokio::test]
async fn all_systems_run_the_same_steps() {
    let author = Author::new(weft());
    author.begin("greeter", &["--client", "web", "--ci", "github"]).await;
    let github = steps("github", &author.read("greeter/.github/workflows/greeter.yml"));
    for (system, file) in FILES {
        if system != "github" {
            let made = author.weft("greeter", &["new", "--ci", system]).await;
            assert!(made.code == 0 && made.out.contains(file), "{made:?}");
        }
        let text = author.read(&format!("greeter/{file}"));
        assert!(!text.contains("://") && !text.contains("@NAME@"), "{text}");
        let steps = steps(system, &text);
        assert_eq!(steps.len(), STEPS.len());
        for ((name, script), (other, same)) in steps.iter().zip(&github) {
            assert_eq!((name, plain(script)), (other, plain(same)), "{system}");
        }
        let again = author.weft("greeter", &["new", "--ci", system]).await;
        assert!(again.code == 1 && again.err.contains("is there already"), "{again:?}");
        assert_eq!(author.read(&format!("greeter/{file}")), text);
    }
}

#[tokio::test]
async fn a_plugin_inside_of_a_repository_gets_a_pipeline_that_goes_into_its_folder() {
    let author = Author::new(weft());
    fs::create_dir_all(author.folder.join("company/.git")).unwrap();
    fs::create_dir_all(author.folder.join("company/services")).unwrap();
    let new = async |folder: &str, more: &[&str]| author.weft(folder, &[&["new"], more].concat()).await;
    let inside = "company/services/greeter";
    let made = new("company/services", &["greeter", "--client", "web", "--ci", "github"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    let text = author.read("company/.github/workflows/greeter.yml");
    for part in
        ["working-directory: services/greeter\n", "path: services/greeter/dist/*.wasm\n", "  services/greeter/target\n"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let made = new(inside, &["--ci", "gitlab"]).await;
    assert!(made.out.contains("include: [{ local: services/greeter/.gitlab-ci.yml }]"), "{made:?}");
    assert!(author.read(&format!("{inside}/.gitlab-ci.yml")).contains("    - cd services/greeter\n"));
    let made = new(inside, &["--ci", "jenkins"]).await;
    assert!(made.out.contains("Name services/greeter/Jenkinsfile"), "{made:?}");
    assert!(author.read(&format!("{inside}/Jenkinsfile")).contains("dir('services/greeter') {"));

    for (folder, arguments, code, told) in [
        ("company", &["--ci", "github"][..], 2, "has no plugin.toml"),
        ("company", &["other", "--ci", "github"], 2, "--client NAME"),
        ("company", &["other", "--client", "web", "--ci", "travis"], 2, "[possible values: github, gitlab, jenkins]"),
        ("company", &["--client", "web"], 2, "<NAME>"),
        ("company/my plugins", &["other", "--client", "web", "--ci", "github"], 1, "a pipeline can't name the folder"),
    ] {
        fs::create_dir_all(author.folder.join(folder)).unwrap();
        let refused = new(folder, arguments).await;
        assert!(refused.code == code && refused.err.contains(told), "{told}: {refused:?}");
    }
    assert!(!author.folder.join("company/my plugins/other").exists(), "nothing half-made is left");
}
