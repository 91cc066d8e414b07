//! The build of the embedded server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::owner::*;

/// Where `name` is in PATH.
pub fn tool(name: &str) -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|dir| dir.join(name))
        .find(|tool| tool.is_file())
        .unwrap()
}

/// A directory with a `go` that does what `build` (a script) says instead of a build.
pub fn fake_go(build: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = env ]; then echo go0.0; exit; fi\n\
         if [ \"$1\" = mod ]; then exec '{}' \"$@\"; fi\n\
         while [ \"$1\" != -o ]; do shift; done\nout=$2\n{build}\n",
        tool("go").display()
    );
    let go = dir.path().join("go");
    fs::write(&go, script).unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", dir.path().display());
    (dir, path)
}

pub fn a_failing_build_shows_its_end() {
    let (dir, path) = fake_go("echo 'undefined: sunshine' >&2; exit 2");
    let cache = dir.path().join("cache");
    let vars = [
        ("PATH", path.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.to_str().unwrap()),
    ];
    let output = run("embedded", &vars);
    assert!(!output.status.success());
    let said = text(&output.stdout);
    assert!(
        said.contains("failed with code 2") && said.contains("undefined: sunshine"),
        "{said}"
    );
}

pub fn a_store_that_cannot_be_had_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (cache, modules) = (path("cache"), path("modules"));
    let vars = [
        ("GOPROXY", "off"),
        ("GOMODCACHE", modules.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.as_str()),
    ];
    let said = text(&run("embedded", &vars).stdout);
    assert!(
        said.contains("cannot get and patch the sources of TiDB: ")
            && said.contains("module lookup disabled by GOPROXY=off"),
        "{said}"
    );
}

pub fn two_processes_build_once() {
    let (dir, path) = fake_go(
        "echo built >> \"${0%/go}/count\"\nsleep 1.5\nprintf '#!/bin/sh\\necho no TiDB; exit 9\\n' > \"$out\"\nchmod 755 \"$out\"",
    );
    let cache = dir.path().join("cache");
    let vars = [
        ("PATH", path.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.to_str().unwrap()),
    ];
    let temp = tempfile::tempdir().unwrap();
    let both = [0, 1].map(|_| command("embedded", temp.path(), &vars).spawn().unwrap());
    let said = both.map(|process| {
        let output = process.wait_with_output().unwrap();
        let said = text(&output.stdout);
        assert!(
            said.contains("ended with code 9") && said.contains("no TiDB"),
            "{said}"
        );
        text(&output.stderr)
    });
    assert_eq!(fs::read_to_string(dir.path().join("count")).unwrap(), "built\n");
    let count = |word: &str| said.iter().filter(|text| text.contains(word)).count();
    assert_eq!(
        (count("building TiDB"), count("waiting for another process")),
        (1, 1),
        "{said:?}"
    );
    // What was built once needs no toolchain.
    let bare = tempfile::tempdir().unwrap();
    for name in ["sh", "mkdir", "rm", "sleep"] {
        std::os::unix::fs::symlink(tool(name), bare.path().join(name)).unwrap();
    }
    let vars = [("PATH", bare.path().to_str().unwrap()), vars[1]];
    let said = text(&run("embedded", &vars).stdout);
    assert!(said.contains("ended with code 9"), "{said}");
}

pub fn a_killed_build_leaves_no_process() {
    let (dir, path) = fake_go("touch \"${0%/go}/begun\"\nsleep 600 &\nwait");
    let cache = dir.path().join("cache");
    let vars = [
        ("PATH", path.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.to_str().unwrap()),
    ];
    let mut owner = Owner::start("embedded", &vars);
    while !dir.path().join("begun").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    owner.end("-KILL");
    let began = Instant::now();
    loop {
        let left = processes_of(&cache);
        let built = fs::read_dir(cache.join("embedded"))
            .unwrap()
            .map(|e| e.unwrap().path());
        let dirs: Vec<_> = built
            .filter(|path| path.to_string_lossy().ends_with(".build"))
            .collect();
        if left.is_empty() && dirs.is_empty() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{left:?} {dirs:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
