//! Asks a server what it is, and waits until it answers.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::ServerSpec;
use crate::connection::{ConnectError, Connection, ConnectionConfig, ConnectionOptions};
use crate::history::{Outcome, SqlValue};

/// The pause between two tries to connect.
const PAUSE: Duration = Duration::from_millis(25);
/// The limit for one try, so that a greeting that never comes does not use up the whole start.
const TRY_MAX: Duration = Duration::from_secs(5);

/// What keeps a TiDB's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreEngine {
    /// The store inside tidb-server, in memory or in a directory.
    Unistore,
    /// The older store inside tidb-server.
    Mocktikv,
    /// TiKV, with PD.
    Tikv,
    /// Something else, in the server's own word; `unknown` if it does not tell (`@@tidb_config` is
    /// hidden by TiDB's security-enhanced mode, and no other server has it).
    Other(String),
}

impl fmt::Display for StoreEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unistore => "unistore",
            Self::Mocktikv => "mocktikv",
            Self::Tikv => "tikv",
            Self::Other(name) => name,
        })
    }
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) version: String,
    /// `@@tidb_config`: the settings of the very process that answers.
    config: Option<serde_json::Value>,
}

impl Identity {
    pub(super) fn store(&self) -> StoreEngine {
        match self.setting("store") {
            Some("unistore") => StoreEngine::Unistore,
            Some("mocktikv") => StoreEngine::Mocktikv,
            Some("tikv") => StoreEngine::Tikv,
            Some(other) => StoreEngine::Other(other.to_owned()),
            None => StoreEngine::Other("unknown".to_owned()),
        }
    }

    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.get(name)?.as_str()
    }
}

/// Why a session did not tell what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("`{sql}`: {what}")]
    Statement { sql: String, what: String },
}

/// Why a server of ours did not come up.
#[derive(Debug)]
pub(super) enum NotReady {
    /// It ended by itself.
    Ended(i32),
    /// The limit passed.
    TooLate(Option<ProbeError>),
    /// It answered, and that won't get better.
    Failed(ProbeError),
}

/// Opens a session and asks who answers.
pub(super) async fn identify(
    config: &ConnectionConfig,
    options: &ConnectionOptions,
) -> Result<Identity, ProbeError> {
    let mut session = Connection::open(config, options).await?;
    let version = text(&mut session, "select version()").await;
    let settings = text(&mut session, "select @@tidb_config").await;
    session.close().await;
    Ok(Identity {
        version: version?,
        config: settings.ok().and_then(|json| serde_json::from_str(&json).ok()),
    })
}

/// Tries until a session answers, the server has ended, or `limit` has passed. `is_ours` tells our
/// server from another one that took its port.
pub(super) async fn wait_ready(
    config: &ConnectionConfig,
    options: &ConnectionOptions,
    limit: Duration,
    ended: impl Future<Output = i32>,
    is_ours: impl Fn(&Identity) -> bool,
) -> Result<Identity, NotReady> {
    let deadline = Instant::now() + limit;
    let mut last = None;
    let tries = async {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let options = ConnectionOptions {
                connect_max: left.min(TRY_MAX),
                ..options.clone()
            };
            match identify(config, &options).await {
                Ok(identity) if is_ours(&identity) => return Ok(identity),
                Ok(_) => {}
                Err(ProbeError::Connect(error)) if error.may_pass() => last = Some(error.into()),
                Err(error) => return Err(NotReady::Failed(error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let result = tokio::select! {
        result = tries => Some(result),
        code = ended => Some(Err(NotReady::Ended(code))),
        () = tokio::time::sleep_until(deadline) => None,
    };
    result.unwrap_or_else(|| Err(NotReady::TooLate(last)))
}

/// Sets the global variables of `spec`.
pub(super) async fn set_globals(
    config: &ConnectionConfig,
    options: &ConnectionOptions,
    spec: &ServerSpec,
) -> Result<(), ProbeError> {
    if spec.vars.is_empty() {
        return Ok(());
    }
    let mut session = Connection::open(config, options).await?;
    let mut result = Ok(());
    for (name, value) in &spec.vars {
        let sql = format!("set global {name} = {value}");
        match session.execute(&sql).await {
            Outcome::Done(_) => {}
            other => {
                result = Err(refusal(&sql, &other));
                break;
            }
        }
    }
    session.close().await;
    result
}

async fn text(session: &mut Connection, sql: &str) -> Result<String, ProbeError> {
    let outcome = session.execute(sql).await;
    if let Outcome::Rows(rows) = &outcome
        && let Some(SqlValue::Text(text)) = rows.rows.first().and_then(|row| row.first())
    {
        return Ok(text.clone());
    }
    Err(refusal(sql, &outcome))
}

fn refusal(sql: &str, outcome: &Outcome) -> ProbeError {
    let what = match outcome {
        Outcome::Rows(_) => "an answer that makes no sense".to_owned(),
        Outcome::Done(_) => "no rows".to_owned(),
        Outcome::Refused(error) => format!("error {}: {}", error.code, error.message),
        Outcome::TimedOut { limit_ms, .. } => format!("no answer within {limit_ms} ms"),
        Outcome::Lost { message, .. } => format!("the connection was lost: {message}"),
        Outcome::Unanswered { reason } => reason.clone(),
    };
    ProbeError::Statement {
        sql: sql.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(config: Option<serde_json::Value>) -> Identity {
        Identity {
            version: String::new(),
            config,
        }
    }

    #[test]
    fn the_store_is_what_the_server_says() {
        let store = |name: &str| identity(Some(serde_json::json!({ "store": name }))).store();
        assert_eq!(store("tikv"), StoreEngine::Tikv);
        assert_eq!(store("unistore"), StoreEngine::Unistore);
        assert_eq!(store("cassandra").to_string(), "cassandra");
        assert_eq!(identity(None).store().to_string(), "unknown");
    }

    #[tokio::test]
    async fn the_end_of_the_process_ends_the_wait_at_once() {
        let config = ConnectionConfig {
            id: "test".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 1,
            username: "root".to_owned(),
            password: String::new(),
            database: None,
        };
        let ended = async { 7 };
        let options = ConnectionOptions::default();
        let minute = Duration::from_mins(1);
        let error = wait_ready(&config, &options, minute, ended, |_| true)
            .await
            .unwrap_err();
        assert!(matches!(error, NotReady::Ended(7)));
        let never = std::future::pending();
        let short = Duration::from_millis(100);
        let error = wait_ready(&config, &options, short, never, |_| true)
            .await
            .unwrap_err();
        assert!(
            matches!(error, NotReady::TooLate(Some(ProbeError::Connect(_)))),
            "{error:?}"
        );
    }
}
