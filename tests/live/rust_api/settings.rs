use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tidb_scenarios::connection::{ConnectionLayers, Tls};

fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

pub async fn layers_lie_upon_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let toml = file(
        &folder,
        "a.toml",
        "host = 'of the file'\nport = 1\nusername = 'of the file'\ndatabase = 'of the file'\n",
    );
    let layers = ConnectionLayers::new("a");
    let parts = |layers: &ConnectionLayers| {
        let config = layers.build().unwrap().0;
        (config.host, config.port, config.username, config.database)
    };
    let text = str::to_owned;
    assert_eq!(parts(&layers), (text("127.0.0.1"), 4000, text("root"), None));
    // In another order than they lie.
    let layers = layers.environment(
        "TIDB_",
        vars(&[("TIDB_PORT", "2"), ("TIDB_USERNAME", "1234"), ("PORT", "9")]),
    );
    let layers = layers.file(toml);
    let of_file = || text("of the file");
    assert_eq!(parts(&layers), (of_file(), 2, text("1234"), Some(of_file())));
    let layers = layers.value("database", "of the values");
    let layers = layers.url("mysql://url:s3cret@url.example.com:3/url");
    assert_eq!(
        parts(&layers),
        (
            text("url.example.com"),
            3,
            text("url"),
            Some(text("of the values"))
        )
    );
}

pub async fn files_have_common_and_own_keys() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "connect_max_ms = 1500\nsession_vars = {tidb_txn_mode = 'optimistic', autocommit = true}\n\
                [retry]\nattempts = 3\n[connections.a]\nport = 4001\ntls = 'off'\n[connections.b]\nport = 4002\n";
    let yaml = "connect_max_ms: 1500\nsession_vars: {tidb_txn_mode: optimistic, autocommit: true}\n\
                retry: {attempts: 3}\nconnections:\n  a: {port: 4001, tls: off}\n  b: {port: 4002}\n";
    let json = json!({
        "connect_max_ms": 1500,
        "session_vars": {"tidb_txn_mode": "optimistic", "autocommit": true},
        "retry": {"attempts": 3},
        "connections": {"a": {"port": 4001, "tls": "off"}, "b": {"port": 4002}},
    });
    for (name, text) in [("c.toml", toml), ("c.yaml", yaml), ("c.json", &json.to_string())] {
        let path = file(&folder, name, text);
        let (config, options) = ConnectionLayers::new("a").file(&path).build().unwrap();
        assert_eq!(
            (config.id.as_str(), config.port, options.tls),
            ("a", 4001, Tls::Off),
            "{name}"
        );
        assert_eq!(options.connect_max, Duration::from_millis(1500));
        assert_eq!(options.retry.attempts, 3);
        let vars: Vec<(&str, &str)> = options
            .session_vars
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(vars, [("autocommit", "1"), ("tidb_txn_mode", "'optimistic'")]);
        let (config, options) = ConnectionLayers::new("b").file(&path).build().unwrap();
        assert_eq!((config.port, options.tls), (4002, Tls::Auto), "{name}");
        let error = ConnectionLayers::new("c")
            .file(&path)
            .build()
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("it has no connection `c`; it has `a`, `b`"),
            "{error}"
        );
    }
}

pub async fn mistakes_name_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let error = |layers: ConnectionLayers| {
        let error = layers.build().unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    let new = || ConnectionLayers::new("a");
    let cases = [
        (
            new().value("prot", 1),
            "the values: unknown key `prot`; did you mean `port`?",
        ),
        (
            new().file(file(&folder, "n.toml", "retry = {atempts = 1}")),
            "n.toml: `retry`: unknown key `atempts`; did you mean `attempts`?",
        ),
        (
            new().environment("TIDB_", vars(&[("TIDB_PORT", "many")])),
            "TIDB_PORT: `port`: it must be u16, not string \"many\"",
        ),
        (new().url("http://h/"), "the URL from the settings cannot be used"),
        (
            new().value("tls", "off").value("ca", "ca.pem"),
            "connection `a`: `ca` names a CA, and `tls` is `off`",
        ),
        (
            new().environment("TIDB_", vars(&[("TIDB_TLS", "no")])),
            "connection `a`: `tls` is `no`; it must be `auto`, `off` or `verified`",
        ),
        (
            new().file(file(&folder, "c.ini", "")),
            "c.ini: settings are read from files that end in .toml, .yaml, .yml or .json",
        ),
        (
            new().value("session_vars", json!({"a = 1, b": 1})),
            "connection `a`: `session_vars`: `a = 1, b` is no name of a variable",
        ),
    ];
    for (layers, want) in cases {
        assert_eq!(error(layers), want);
    }
}

pub async fn no_password_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let url = "mysql://root:s3cret@h:1/";
    let good = ConnectionLayers::new("a")
        .value("password", "s3cret")
        .url(url)
        .environment("TIDB_", vars(&[("TIDB_PASSWORD", "s3cret"), ("TIDB_URL", url)]));
    let (config, options) = good.build().unwrap();
    assert_eq!(config.password, "s3cret");
    let shown = format!("{good:?} {config:?} {options:?}");
    assert!(!shown.contains("s3cret"), "{shown}");

    // Each of them is wrong, and its text has the password near to the mistake.
    let files = [
        ("a.toml", "password = \"19700\n"),
        ("b.toml", "password = 19700\n"),
        ("c.yaml", "password: 19700\n"),
        ("d.yaml", "password: [19700\n"),
        ("e.yaml", "password: {a: 19700}\n"),
        ("f.json", "{\"password\": \"19700}"),
        ("g.json", "{\"password\": [\"19700\"]}"),
        ("h.toml", "password = true\nurl = 'mysql://root:19700@h:port/'\n"),
        ("i.yaml", "password: 1.9700e4\nport: x\n"),
    ];
    for (name, text) in files {
        let error = ConnectionLayers::new("a")
            .file(file(&folder, name, text))
            .build()
            .unwrap_err();
        let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        let shown = shown.replace(&folder.path().display().to_string(), "");
        assert!(
            !shown.contains("19700") && !shown.contains("1.97"),
            "{name}: {shown}"
        );
    }
}
