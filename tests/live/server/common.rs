//! What all of them use.

use std::path::PathBuf;

use tidb_scenarios::connection::Connection;
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::{Progress, Server, ServerSettings};

pub const CHILD: &str = "TIDB_SCENARIOS_TEST_CHILD";
pub const IMAGE: &str = "tidb-scenarios/server-test:local";

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// An embedded server whatever the environment says.
pub fn quiet() -> ServerSettings {
    let cache_dir = std::env::var_os("TIDB_SCENARIOS_CACHE").map(PathBuf::from);
    let reaper = Some(std::env::current_exe().unwrap());
    ServerSettings {
        cache_dir,
        reaper,
        progress: Progress::Silent,
        ..ServerSettings::default()
    }
}

pub async fn ask(server: &Server, sql: &str) -> String {
    let mut session = Connection::open(server.config(), server.options()).await.unwrap();
    let outcome = session.execute(sql).await;
    session.close().await;
    match outcome {
        Outcome::Rows(rows) => match &rows.rows[0][0] {
            SqlValue::Text(text) => text.clone(),
            SqlValue::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    }
}
