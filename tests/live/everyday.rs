//! The commands around a run: `serve`, `new`, `list`, `show`, `doctor`, and what `init` writes.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn serve_says_where_it_is_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = support::binary()
        .arg("serve")
        .env("TIDB_PROVIDER", "embedded")
        .env("TMPDIR", folder.path())
        .env_remove("TIDB_URL")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let output = BufReader::new(process.stdout.take().expect("a pipe"));
    let mut lines = output.lines().map_while(Result::ok);
    let url = lines.next().expect("a URL");
    let url = url.strip_prefix("TIDB_URL=").expect("a variable");
    let client = lines.next().expect("a command");
    assert!(
        client.starts_with("mysql --host=127.0.0.1 --port=") && client.ends_with(" --user=root"),
        "{client}"
    );
    assert!(support::server_of(folder.path()).is_some(), "a server runs");

    // What it prints is what a run takes.
    let file = "scenarios/locking/second_writer_waits.yaml";
    let (code, text) = support::told(
        support::binary()
            .args(["run", file])
            .env("TIDB_PROVIDER", "url")
            .env("TIDB_URL", url),
    );
    assert_eq!(code, Some(0), "{text}");
    // Of somebody else's server it only says where it is.
    let (code, text) = support::told(
        support::binary()
            .arg("serve")
            .env_remove("TIDB_PROVIDER")
            .env("TIDB_URL", url),
    );
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("not ours to stop"), "{text}");

    let pid = process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .expect("kill")
            .success()
    );
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
    assert_eq!(support::server_of(folder.path()), None, "no server is left");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn serve_without_a_server_is_a_failure() {
    let (code, text) = support::told(
        support::binary()
            .arg("serve")
            .env("TIDB_PROVIDER", "url")
            .env("TIDB_URL", "mysql://root:geheim77@127.0.0.1:9/"),
    );
    assert_eq!(code, Some(101), "{text}");
    assert!(
        text.contains("127.0.0.1:9") && !text.contains("geheim77"),
        "{text}"
    );
}

fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = support::binary();
    command
        .args(args)
        .current_dir(folder)
        .env("TIDB_PROVIDER", "embedded")
        .env_remove("TIDB_URL");
    support::told(&mut command)
}

#[test]
fn new_writes_scenarios_that_pass_and_overwrites_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for (args, file) in [
        (&["new", "12"][..], "scenarios/12.yaml"),
        (
            &["new", "--states", "many::at_once"],
            "scenarios/many/at_once.yaml",
        ),
        (
            &["new", "--permutations", "orders/two.yaml"],
            "scenarios/orders/two.yaml",
        ),
    ] {
        let (code, text) = run(folder, args);
        assert_eq!(code, Some(0), "{text}");
        assert!(folder.join(file).is_file(), "{file}:\n{text}");
    }
    let (code, text) = run(folder, &["run", "scenarios"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("3 passed; 0 failed"), "{text}");
    fs::write(folder.join("scenarios/12.yaml"), "mine").expect("a file");
    let (code, text) = run(folder, &["new", "12"]);
    assert_eq!(code, Some(101), "{text}");
    assert_eq!(
        fs::read_to_string(folder.join("scenarios/12.yaml")).expect("a file"),
        "mine"
    );
    for name in ["../out", "/abs", "a//b", "", "a::..::b"] {
        let (code, text) = run(folder, &["new", "--", name]);
        assert_eq!(code, Some(101), "{name}: {text}");
        assert!(text.contains("is no name for a scenario"), "{text}");
    }
    assert_eq!(run(folder, &["new", "--states", "--steps", "x"]).0, Some(2));
}

#[test]
fn list_says_what_would_run_and_why_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let rest = "connections: [a]\nsteps: [a: select 1]\n";
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
    write(
        "a.yaml",
        &format!("scenario: a\nmatrix: {{n: [1, 2]}}\nvars: {{x: '${{n}}'}}\n{rest}"),
    );
    write(
        "tikv.yaml",
        &format!("scenario: t\nrequires: {{store: tikv}}\n{rest}"),
    );
    write(
        "vars.yaml",
        &format!("scenario: v\nrequires: {{vars: {{autocommit: 1}}}}\n{rest}"),
    );
    fs::write(folder.join("a.yaml"), format!("scenario: a\n{rest}")).expect("a file");
    let (code, text) = run(folder, &["list", "."]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "a     ./a.yaml     runs (embedded)",
        "tikv  ./tikv.yaml  ignored: embedded: needs the store tikv, this is unistore",
        "vars  ./vars.yaml  runs if the server has it (embedded)",
    ] {
        assert!(text.lines().any(|own| own == line), "no `{line}`:\n{text}");
    }
    write("bad.yaml", "scenario: b\n");
    let (code, text) = run(folder, &["list", "."]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("./bad.yaml") && text.contains("2 mistakes"),
        "{text}"
    );
    assert_eq!(run(folder, &["list", "nowhere"]).0, Some(101));
}

#[test]
fn show_tells_what_a_file_was_understood_as() {
    let here = Path::new(".");
    let (code, text) = run(here, &["show", "scenarios/locking/second_writer_waits.yaml"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "second_writer_waits (a second writer waits for the first)",
        "setup: create table account (id int primary key, balance int not null)",
        "bob, state wait: update account set balance = balance - 20 where id = 1; must be blocked by alice",
        "alice, state commit: commit; must unblock bob",
        "at the end: table account (line 29)",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    assert_eq!(run(folder, &["new", "--states", "many"]).0, Some(0));
    let (code, text) = run(folder, &["show", "scenarios/many.yaml"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "; after error 1213 goes to begin",
        "; signals done",
        "; waits for ",
        "10 rounds",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let secret =
        "scenario: s\nconnections: {a: {user: me, password: geheim77}}\nsteps: [a: \"select 'geheim77'\"]\n";
    fs::write(folder.join("secret.yaml"), secret).expect("a file");
    let (code, text) = run(folder, &["show", "secret.yaml"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("geheim77"), "{text}");
    fs::write(folder.join("bad.yaml"), "scenario: b\n").expect("a file");
    assert_eq!(run(folder, &["show", "bad.yaml"]).0, Some(1));
}

#[test]
fn doctor_says_what_is_there_and_fails_where_nothing_is() {
    let told = |env: &[(&str, &str)]| {
        let mut command = support::binary();
        for name in ["TIDB_URL", "TIDB_PROVIDER"] {
            command.env_remove(name);
        }
        support::told(command.arg("doctor").envs(env.iter().copied()))
    };
    let (code, text) = told(&[("TIDB_PROVIDER", "embedded")]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "url          not available: TIDB_URL is not set",
        "this one is taken",
        "cache ",
        " free",
        "go ",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let nothing = [
        ("TIDB_URL", "mysql://root:geheim77@127.0.0.1:9/"),
        ("TIDB_PROVIDER", "url"),
    ];
    let (code, text) = told(&nothing);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("127.0.0.1:9 does not answer"), "{text}");
    assert!(!text.contains("geheim77"), "{text}");
}

#[test]
fn shells_and_man_know_the_commands() {
    let here = Path::new(".");
    for shell in ["bash", "zsh", "fish"] {
        let (code, text) = run(here, &["completions", shell]);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.contains("doctor") && text.contains("until-fail"),
            "{shell}:\n{text}"
        );
    }
    assert_eq!(run(here, &["completions", "nonsense"]).0, Some(2));
    let (code, text) = run(here, &["man"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with(".") && text.contains("until\\-fail"), "{text}");
}

const PACKAGE: &str = "# ours\n[package]\nname = \"mine\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

/// That the package works is tested where packages are built: `tests/live/downstream.rs`.
#[test]
fn init_overwrites_nothing_and_says_what_it_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (code, text) = run(folder, &["init"]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("`cargo init --lib`"), "{text}");

    fs::create_dir_all(folder.join("tests")).expect("a folder");
    fs::create_dir_all(folder.join("scenarios")).expect("a folder");
    fs::write(folder.join("Cargo.toml"), PACKAGE).expect("a file");
    fs::write(folder.join("scenarios/first.yaml"), "mine").expect("a file");
    let (code, text) = run(folder, &["init"]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("`--git URL` or `--path FOLDER`"), "{text}");
    assert_eq!(
        fs::read_to_string(folder.join("Cargo.toml")).expect("a file"),
        PACKAGE
    );

    let (code, text) = run(folder, &["init", "--git", "https://example.com/a.git"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "Cargo.toml: added [dev-dependencies] tidb-scenarios = { git = \"https://example.com/a.git\" }; [[test]]",
        "tests/harness.rs: written",
        "scenarios/first.yaml: there already, left as it is",
        ".github/workflows/scenarios.yml: written",
        "now: cargo test --test harness",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert_eq!(
        fs::read_to_string(folder.join("scenarios/first.yaml")).expect("a file"),
        "mine"
    );
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a file");
    assert!(manifest.starts_with(PACKAGE), "{manifest}");
    let (code, text) = run(folder, &["init"]);
    assert_eq!(code, Some(0), "a second time changes nothing:\n{text}");
    assert!(text.contains("Cargo.toml: left as it is"), "{text}");
    assert_eq!(
        fs::read_to_string(folder.join("Cargo.toml")).expect("a file"),
        manifest
    );
}

#[test]
fn the_workflow_is_at_the_top_of_the_repository_and_works_in_the_package() {
    let top = tempfile::tempdir().expect("a folder");
    let folder = top.path().join("a/b");
    fs::create_dir_all(&folder).expect("a folder");
    fs::create_dir(top.path().join(".git")).expect("a folder");
    fs::write(folder.join("Cargo.toml"), PACKAGE).expect("a file");
    let (code, text) = run(top.path(), &["init", "a/b", "--path", "../up"]);
    assert_eq!(code, Some(0), "{text}");
    let workflow = top.path().join(".github/workflows/scenarios.yml");
    let workflow = fs::read_to_string(workflow).expect("the workflow");
    assert!(
        workflow.contains("        working-directory: a/b\n"),
        "{workflow}"
    );
    assert!(folder.join("schema/scenario.json").is_file() && !folder.join(".github").exists());
}
