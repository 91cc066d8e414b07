//! The keys of a connection's settings, and what they stand for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::Value;

use super::config::{ConnectionConfig, ConnectionOptions, Tls};
use super::gate::Gate;
use crate::policy::{BreakerPolicy, CircuitBreaker, RetryPolicy};

const DEFAULT_PORT: u16 = 4000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Keys {
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
    /// The settings that the keys stand for; `Err` says which key makes no sense.
    pub fn resolve(self, id: &str) -> Result<(ConnectionConfig, ConnectionOptions), String> {
        let defaults = ConnectionOptions::default();
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
            ("off", Some(_)) => return Err("`ca` names a CA, and `tls` is `off`".to_owned()),
            _ => {
                return Err(format!(
                    "`tls` is `{tls}`; it must be `auto`, `off` or `verified`"
                ));
            }
        };
        let mut session_vars = Vec::new();
        for (name, value) in self.session_vars {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`session_vars`: `{name}` is no name of a variable"));
            }
            let literal = match value {
                Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
                Value::Bool(on) => u8::from(on).to_string(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(format!(
                        "`session_vars.{name}` must be text, a number, true or false"
                    ));
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
            gate: Gate::default(),
        };
        Ok((config, options))
    }
}
