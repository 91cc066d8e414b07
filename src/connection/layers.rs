//! A connection's settings from several places, the stronger over the weaker.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Value, json};

use super::config::{ConnectionConfig, ConnectionOptions, Tls};
use super::url::{UrlError, UrlTarget};
use crate::policy::{BreakerPolicy, CircuitBreaker, RetryPolicy};
use crate::source::nearest;

const DEFAULT_PORT: u16 = 4000;
/// Keys that stand in an environment variable, each in capitals behind the prefix.
const ENVIRONMENT: &[&str] = &["host", "port", "username", "password", "database", "tls", "ca"];

/// Settings of one connection from several places. From the weakest to the strongest: the defaults, files in the
/// order in which they were added, environment variables, a URL, single values. In which order the methods are
/// called is the same.
///
/// | key | means | unless given |
/// |---|---|---|
/// | `host`, `port`, `username`, `password`, `database` | as in [`ConnectionConfig`] | `127.0.0.1`, 4000, `root`, none, none |
/// | `url` | `mysql://user:password@host:port/database?ssl-mode=…`, a whole address: a port, user or password that it leaves out is 4000, `root` and none | |
/// | `tls` | `auto`, `off` or `verified`, see [`Tls`] | `auto` |
/// | `ca` | a CA file (PEM) of one's own; means `verified` | |
/// | `session_vars` | a mapping; text is quoted for SQL | |
/// | `connect_max_ms`, `statement_max_ms` | limits in milliseconds | 10,000 and 60,000 |
/// | `retry` | `attempts`, `first_wait_ms`, `wait_max_ms`, `lock_waits`, `seed`, see [`RetryPolicy`] | its default |
/// | `breaker` | `failures`, `open_for_ms`, `trials`, see [`BreakerPolicy`]; each connection gets its own | none |
///
/// A file (`.toml`, `.yaml`, `.yml` or `.json`) has these keys for all connections, and below `connections` and
/// the connection's name those of one. A password that looks like a number must be quoted there. No password is
/// ever part of an error or of `Debug`.
///
/// ```
/// use tidb_scenarios::connection::ConnectionLayers;
///
/// let (config, options) = ConnectionLayers::new("primary")
///     .environment("SHOP_", [("SHOP_HOST".to_owned(), "db.example.com".to_owned())])
///     .value("port", 4001)
///     .build()?;
/// assert_eq!((config.host.as_str(), config.port), ("db.example.com", 4001));
/// # drop(options);
/// # Ok::<(), tidb_scenarios::connection::LayerError>(())
/// ```
#[derive(Clone)]
pub struct ConnectionLayers {
    id: String,
    files: Vec<PathBuf>,
    environment: Vec<(String, String, String)>,
    url: Option<String>,
    values: serde_json::Map<String, Value>,
}

impl fmt::Debug for ConnectionLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, ..)| name.as_str()).collect();
        f.debug_struct("ConnectionLayers")
            .field("id", &self.id)
            .field("files", &self.files)
            .field("environment", &names)
            .field("url", &self.url.as_ref().map(|_| "<redacted>"))
            .field("values", &self.values.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Why settings can't be used. The text never holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A file can't be read.
    #[error("read {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file whose name has no known end.
    #[error("{}: settings are read from files that end in .toml, .yaml, .yml or .json", .path.display())]
    FileKind {
        /// The file.
        path: PathBuf,
    },
    /// A file that can't be parsed.
    #[error("{}: {reason}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A file that has connections, and not this one.
    #[error("{}: it has no connection `{id}`; it has {known}", .path.display())]
    NoSuchConnection {
        /// The file.
        path: PathBuf,
        /// The connection that was looked for.
        id: String,
        /// Those that are there.
        known: String,
    },
    /// A URL that can't be used.
    #[error("the URL from {place} cannot be used")]
    Url {
        /// Where it was given.
        place: String,
        /// What is wrong with it.
        #[source]
        source: UrlError,
    },
    /// A key or a value that makes no sense.
    #[error("{place}: {reason}")]
    Value {
        /// Where it was given.
        place: String,
        /// The key, and what is wrong with it.
        reason: String,
    },
}

impl ConnectionLayers {
    /// Nothing but the defaults yet. `id` is the connection's name.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            files: Vec::new(),
            environment: Vec::new(),
            url: None,
            values: serde_json::Map::new(),
        }
    }

    /// Adds a file. It is read by [`Self::build`].
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Adds those variables that begin with `prefix` and go on with a key in capitals: `TIDB_` takes
    /// `TIDB_URL`, `TIDB_HOST`, `TIDB_PORT`, `TIDB_USERNAME`, `TIDB_PASSWORD`, `TIDB_DATABASE`, `TIDB_TLS` and
    /// `TIDB_CA`. Hand it `std::env::vars()`. A variable that is set to nothing counts as not set.
    #[must_use]
    pub fn environment(mut self, prefix: &str, vars: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, value) in vars {
            let key = name.strip_prefix(prefix).map(str::to_ascii_lowercase);
            let known = key.filter(|key| key == "url" || ENVIRONMENT.contains(&key.as_str()));
            if let Some(key) = known.filter(|_| !value.is_empty()) {
                self.environment.push((name, key, value));
            }
        }
        self
    }

    /// Adds a URL.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets one key.
    #[must_use]
    pub fn value(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }

    /// Reads the files and puts the layers upon each other.
    ///
    /// # Errors
    /// [`LayerError`], which names the place of the mistake.
    pub fn build(&self) -> Result<(ConnectionConfig, ConnectionOptions), LayerError> {
        let mut figment = Figment::new();
        for path in &self.files {
            let place = path.display().to_string();
            let (common, own) = self.read_file(path)?;
            figment = merge(figment, &place, common)?;
            figment = merge(figment, &place, own)?;
        }
        // The URL first: single variables say more.
        let (urls, keys): (Vec<_>, Vec<_>) = self.environment.iter().partition(|(_, key, _)| key == "url");
        for (name, key, value) in urls.into_iter().chain(keys) {
            let value = match (key.as_str(), value.parse::<u16>()) {
                ("port", Ok(port)) => json!(port),
                _ => json!(value),
            };
            figment = merge(figment, name, [(key.clone(), value)].into_iter().collect())?;
        }
        if let Some(url) = &self.url {
            let layer = [("url".to_owned(), json!(url))].into_iter().collect();
            figment = merge(figment, "the settings", layer)?;
        }
        figment = merge(figment, "the values", self.values.clone())?;
        let keys: Keys = figment.extract().map_err(|error| mistake(&error))?;
        keys.resolve(&self.id)
    }

    /// What a file has for all connections, and for this one.
    fn read_file(&self, path: &Path) -> Result<(Layer, Layer), LayerError> {
        let mut common = parse_file(path)?;
        let own = match common.remove("connections") {
            None => Layer::new(),
            Some(Value::Object(mut connections)) => match connections.remove(&self.id) {
                Some(Value::Object(own)) => own,
                Some(Value::Null) => Layer::new(),
                Some(_) => return Err(not_a_mapping(path, &format!("connections.{}", self.id))),
                None => {
                    let known: Vec<String> = connections.keys().map(|id| format!("`{id}`")).collect();
                    return Err(LayerError::NoSuchConnection {
                        path: path.to_owned(),
                        id: self.id.clone(),
                        known: known.join(", "),
                    });
                }
            },
            Some(_) => return Err(not_a_mapping(path, "connections")),
        };
        Ok((common, own))
    }
}

type Layer = serde_json::Map<String, Value>;

fn not_a_mapping(path: &Path, what: &str) -> LayerError {
    LayerError::Syntax {
        path: path.to_owned(),
        reason: format!("`{what}` must be a mapping"),
    }
}

/// Parsers quote the line of a mistake, and it may hold a password: only its place is told.
fn parse_file(path: &Path) -> Result<Layer, LayerError> {
    let wrong = |reason: String| LayerError::Syntax {
        path: path.to_owned(),
        reason,
    };
    let kind = path.extension().map(|end| end.to_string_lossy().to_lowercase());
    let text = match kind.as_deref() {
        Some("toml" | "yaml" | "yml" | "json") => {
            std::fs::read_to_string(path).map_err(|source| LayerError::File {
                path: path.to_owned(),
                source,
            })?
        }
        _ => {
            return Err(LayerError::FileKind {
                path: path.to_owned(),
            });
        }
    };
    let value = match kind.as_deref() {
        Some("toml") => toml::from_str::<Value>(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            wrong(format!("line {line} is no TOML"))
        }),
        Some("json") => serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            wrong(format!("line {line}, column {column}: it is no JSON"))
        }),
        _ => serde_yaml::from_str(&text).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            wrong(format!("line {line} is no YAML"))
        }),
    }?;
    match value {
        Value::Object(layer) => Ok(layer),
        Value::Null => Ok(Layer::new()),
        _ => Err(wrong("it must be a mapping of keys".to_owned())),
    }
}

/// One layer with the name of its place, for errors.
struct Named<'l> {
    place: String,
    layer: &'l Layer,
}

impl Provider for Named<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::defaults(self.layer).data()
    }
}

/// Puts a layer upon the others; a URL in it is taken apart, and the layer's other keys are stronger.
fn merge(figment: Figment, place: &str, mut layer: Layer) -> Result<Figment, LayerError> {
    let place = place.to_owned();
    let figment = match layer.remove("url") {
        None | Some(Value::Null) => figment,
        Some(Value::String(url)) => {
            let target = UrlTarget::parse(&url, None).map_err(|source| LayerError::Url {
                place: place.clone(),
                source,
            })?;
            figment.merge(Named {
                place: format!("the URL from {place}"),
                layer: &keys_of(target),
            })
        }
        Some(_) => {
            let reason = "`url` must be text".to_owned();
            return Err(LayerError::Value { place, reason });
        }
    };
    layer.retain(|_, value| !value.is_null());
    Ok(figment.merge(Named { place, layer: &layer }))
}

fn keys_of(target: UrlTarget) -> Layer {
    let mut layer = Layer::new();
    let config = target.config;
    layer.insert("host".to_owned(), json!(config.host));
    layer.insert("port".to_owned(), json!(config.port));
    layer.insert("username".to_owned(), json!(config.username));
    layer.insert("password".to_owned(), json!(config.password));
    if let Some(database) = config.database {
        layer.insert("database".to_owned(), json!(database));
    }
    match target.options.tls {
        Tls::Auto => {}
        Tls::Off => drop(layer.insert("tls".to_owned(), json!("off"))),
        Tls::Verified { ca } => {
            layer.insert("tls".to_owned(), json!("verified"));
            if let Some(ca) = ca {
                layer.insert("ca".to_owned(), json!(ca));
            }
        }
    }
    layer
}

fn mistake(error: &figment::Error) -> LayerError {
    let place = error
        .metadata
        .as_ref()
        .map_or_else(|| "the settings".to_owned(), |metadata| metadata.name.to_string());
    let mut path = error.path.clone();
    let what = match &error.kind {
        Kind::UnknownField(field, known) => {
            path.retain(|part| part != field);
            let mut what = format!("unknown key `{field}`");
            match nearest(field, known.iter().copied()) {
                Some(near) => what.push_str(&format!("; did you mean `{near}`?")),
                None => what.push_str(&format!("; keys known here: {}", known.join(", "))),
            }
            what
        }
        Kind::InvalidType(actual, wanted) => format!("it must be {wanted}, not {actual}"),
        kind => kind.to_string(),
    };
    let key = path.join(".");
    let reason = if key.is_empty() {
        what
    } else {
        format!("`{key}`: {what}")
    };
    LayerError::Value { place, reason }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    host: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    password: Password,
    database: Option<String>,
    tls: Option<Value>,
    ca: Option<PathBuf>,
    session_vars: BTreeMap<String, Value>,
    connect_max_ms: Option<u64>,
    statement_max_ms: Option<u64>,
    retry: Option<RetryKeys>,
    breaker: Option<BreakerKeys>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RetryKeys {
    attempts: u32,
    first_wait_ms: u64,
    wait_max_ms: u64,
    lock_waits: bool,
    seed: u64,
}

impl Default for RetryKeys {
    fn default() -> Self {
        let policy = RetryPolicy::default();
        Self {
            attempts: policy.attempts,
            first_wait_ms: millis(policy.first_wait),
            wait_max_ms: millis(policy.wait_max),
            lock_waits: policy.lock_waits,
            seed: policy.seed,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BreakerKeys {
    failures: u32,
    open_for_ms: u64,
    trials: u32,
}

impl Default for BreakerKeys {
    fn default() -> Self {
        let policy = BreakerPolicy::default();
        Self {
            failures: policy.failures,
            open_for_ms: millis(policy.open_for),
            trials: policy.trials,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// serde's own message for another type repeats the value; this one never does.
#[derive(Default)]
struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        fn quote<E: de::Error, T>(_: T) -> Result<Password, E> {
            Err(E::custom("it must be text: put it into quotes"))
        }
        impl<'de> Visitor<'de> for Text {
            type Value = Password;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Password, E> {
                Ok(Password(text.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, other: bool) -> Result<Password, E> {
                quote(other)
            }
            fn visit_i64<E: de::Error>(self, other: i64) -> Result<Password, E> {
                quote(other)
            }
            fn visit_u64<E: de::Error>(self, other: u64) -> Result<Password, E> {
                quote(other)
            }
            fn visit_f64<E: de::Error>(self, other: f64) -> Result<Password, E> {
                quote(other)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl Keys {
    fn resolve(self, id: &str) -> Result<(ConnectionConfig, ConnectionOptions), LayerError> {
        let defaults = ConnectionOptions::default();
        let wrong = |reason: String| LayerError::Value {
            place: format!("connection `{id}`"),
            reason,
        };
        // YAML reads `off` as false.
        let tls = match self.tls {
            None => "auto".to_owned(),
            Some(Value::Bool(false)) => "off".to_owned(),
            Some(Value::Bool(true)) => "verified".to_owned(),
            Some(Value::String(tls)) => tls,
            Some(other) => other.to_string(),
        };
        let tls = match (tls.as_str(), self.ca) {
            ("auto", None) => Tls::Auto,
            ("auto" | "verified", ca) => Tls::Verified { ca },
            ("off", None) => Tls::Off,
            ("off", Some(_)) => return Err(wrong("`ca` names a CA, and `tls` is `off`".to_owned())),
            _ => {
                return Err(wrong(format!(
                    "`tls` is `{tls}`; it must be `auto`, `off` or `verified`"
                )));
            }
        };
        let mut session_vars = Vec::new();
        for (name, value) in self.session_vars {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(wrong(format!(
                    "`session_vars`: `{name}` is no name of a variable"
                )));
            }
            let literal = match value {
                Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
                Value::Bool(on) => u8::from(on).to_string(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(wrong(format!(
                        "`session_vars.{name}` must be text, a number, true or false"
                    )));
                }
            };
            session_vars.push((name, literal));
        }
        let limit = |given: Option<u64>, default: Duration| given.map_or(default, Duration::from_millis);
        let retry = self.retry.map_or(defaults.retry, |keys| RetryPolicy {
            attempts: keys.attempts,
            first_wait: Duration::from_millis(keys.first_wait_ms),
            wait_max: Duration::from_millis(keys.wait_max_ms),
            lock_waits: keys.lock_waits,
            seed: keys.seed,
        });
        let breaker = self.breaker.map(|keys| {
            CircuitBreaker::new(BreakerPolicy {
                failures: keys.failures,
                open_for: Duration::from_millis(keys.open_for_ms),
                trials: keys.trials,
            })
        });
        let config = ConnectionConfig {
            id: id.to_owned(),
            host: self.host.unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: self.port.unwrap_or(DEFAULT_PORT),
            username: self.username.unwrap_or_else(|| "root".to_owned()),
            password: self.password.0,
            database: self.database,
        };
        let options = ConnectionOptions {
            tls,
            session_vars,
            connect_max: limit(self.connect_max_ms, defaults.connect_max),
            statement_max: limit(self.statement_max_ms, defaults.statement_max),
            retry,
            breaker,
        };
        Ok((config, options))
    }
}
