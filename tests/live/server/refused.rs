//! What must fail: no server, no provider, no image.

use std::time::{Duration, Instant};

use crate::owner::*;

pub fn a_provider_that_is_none_is_an_error() {
    let output = run("choose", &[("TIDB_PROVIDER", "docker")]);
    assert!(!output.status.success());
    let said = text(&output.stdout);
    assert!(
        said.contains("TIDB_PROVIDER is `docker`; it must be `url`"),
        "{said}"
    );
}

pub fn no_server_at_all_is_an_error() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let vars = [
        ("PATH", path),
        ("DOCKER_HOST", "unix:///nonexistent.sock"),
        ("TIDB_SCENARIOS_CACHE", path),
    ];
    let output = run("choose", &vars);
    assert!(!output.status.success());
    let said = text(&output.stdout);
    let reasons = "(no TIDB_URL; container: no Docker engine answers; embedded: there is no `go` in PATH";
    for part in [
        reasons,
        "three ways",
        "TIDB_URL=mysql://",
        "TIDB_IMAGE",
        "Go in PATH",
    ] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
}

pub fn an_unreachable_url_is_an_error() {
    // Port 1 is nobody's.
    let output = run("url", &[("TIDB_URL", "mysql://me:s3cret@127.0.0.1:1/")]);
    assert!(!output.status.success());
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("127.0.0.1:1"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

pub fn an_image_that_is_missing_is_found_out_fast() {
    let began = Instant::now();
    let image = "localhost:1/tidb-scenarios/none:v0";
    let output = run("choose", &[("TIDB_IMAGE", image)]);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let said = text(&output.stdout);
    assert!(said.starts_with("server: embedded TiDB v8.5.4"), "{said}");
    assert!(said.contains("(no TIDB_URL; container: "), "{said}");
}
