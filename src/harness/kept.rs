//! What `--keep-db` left of a trial that failed, and how to look at it.

use crate::connection::ConnectionConfig;
use crate::plan::TrialPlan;
use crate::report::shell_word;
use crate::run::databases;
use crate::server::{ProviderKind, Server, ServerSettings};

/// What a trial left on its server.
#[derive(Debug, Clone)]
pub struct Left {
    /// Which kind of server it was.
    pub kind: ProviderKind,
    /// Where it is.
    pub config: ConnectionConfig,
    /// The trial's databases there.
    pub databases: Vec<String>,
}

impl Left {
    pub(super) fn of(plan: &TrialPlan, server: &Server, database: &str) -> Self {
        Self {
            kind: server.kind(),
            config: server.config().clone(),
            databases: databases(plan, database),
        }
    }
}

/// The text for a failure: where the databases are, or that they end with the run and what to do about it.
pub(super) fn kept(
    plan: &TrialPlan,
    left: &Left,
    settings: &ServerSettings,
    repeat: &str,
    stays_until_enter: bool,
) -> String {
    if !plan.servers.is_empty() {
        return "--keep-db: nothing is left to look at: this trial's own servers ended with it".to_owned();
    }
    match left.kind {
        kind @ (ProviderKind::Container | ProviderKind::Embedded) if stays_until_enter => format!(
            "kept: database {}\nlook at it when the last trial has ended: the run's own server ({kind}) stays then, until \
             Enter or Ctrl-C",
            left.databases.join(", ")
        ),
        ProviderKind::Url => stays(&left.config, &left.databases),
        kind @ (ProviderKind::Container | ProviderKind::Embedded) => ends(kind, settings, repeat),
    }
}

fn stays(config: &ConnectionConfig, databases: &[String]) -> String {
    let client = client(config);
    let first = databases.first().map_or("", String::as_str);
    let drops: String = databases
        .iter()
        .map(|name| format!("drop database {name}; "))
        .collect();
    format!(
        "kept: database {}\nlook at it: {client} {first}\nwhen done: {client} -e '{}'",
        databases.join(", "),
        drops.trim_end().trim_end_matches(';')
    )
}

/// The command of MySQL's client, without the password: it asks for one.
pub(super) fn client(config: &ConnectionConfig) -> String {
    let password = if config.password.is_empty() {
        ""
    } else {
        " --password"
    };
    format!(
        "mysql --host={} --port={} --user={}{password}",
        shell_word(&config.host),
        config.port,
        shell_word(&config.username)
    )
}

/// Where a server is, without the password.
pub(super) fn url(config: &ConnectionConfig) -> String {
    let host = if config.host.contains(':') {
        format!("[{}]", config.host)
    } else {
        config.host.clone()
    };
    format!("mysql://{}@{host}:{}/", config.username, config.port)
}

fn ends(kind: ProviderKind, settings: &ServerSettings, repeat: &str) -> String {
    let image = shell_word(&settings.image);
    // Whoever insists on a provider has it in the environment.
    let provider = settings.provider.map_or("", |_| "TIDB_PROVIDER=url ");
    format!(
        "--keep-db: nothing is left to look at: the run's own server ({kind}) ends with the run.\n\
         With a terminal, the run's server stays until Enter. On a server that stays, the databases stay:\n  tidb-scenarios serve, and its TIDB_URL; or\n  docker run -d -p 4000:4000 {image}\n  \
         {provider}TIDB_URL=mysql://root@127.0.0.1:4000/ {repeat} --keep-db"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_to_look_and_never_the_password() {
        let config = ConnectionConfig {
            id: "control".to_owned(),
            host: "db.example".to_owned(),
            port: 4001,
            username: "2x.root".to_owned(),
            password: "s3cret".to_owned(),
            database: None,
        };
        let text = stays(&config, &["tsc_1".to_owned(), "tsc_1_shop".to_owned()]);
        assert_eq!(
            text,
            "kept: database tsc_1, tsc_1_shop\n\
             look at it: mysql --host=db.example --port=4001 --user=2x.root --password tsc_1\n\
             when done: mysql --host=db.example --port=4001 --user=2x.root --password \
             -e 'drop database tsc_1; drop database tsc_1_shop'"
        );
    }

    #[test]
    fn a_server_that_ends_with_the_run_is_told_so() {
        let repeat = "cargo test --test harness -- --exact a";
        let text = ends(ProviderKind::Embedded, &ServerSettings::default(), repeat);
        assert!(
            text.contains("the run's own server (embedded) ends with the run"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "TIDB_URL=mysql://root@127.0.0.1:4000/ cargo test --test harness -- --exact a --keep-db"
            ),
            "{text}"
        );
    }
}
