//! The commands around a run: `serve`.

#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
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
