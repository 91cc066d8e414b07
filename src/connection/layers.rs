//! A connection's settings from several places, the stronger over the weaker.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::{Value, json};

use super::config::{ConnectionConfig, ConnectionOptions, Tls};
use super::layer_keys::Keys;
use super::url::{UrlError, UrlTarget};
use crate::source::nearest;

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
/// | `retry` | `attempts`, `first_wait_ms`, `wait_max_ms`, `lock_waits`, `seed`, see [`crate::policy::RetryPolicy`] | its default |
/// | `breaker` | `failures`, `open_for_ms`, `trials`, see [`crate::policy::BreakerPolicy`]; each connection gets its own | none |
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
        keys.resolve(&self.id).map_err(|reason| LayerError::Value {
            place: format!("connection `{}`", self.id),
            reason,
        })
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
