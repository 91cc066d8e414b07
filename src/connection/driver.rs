//! Our settings and outcomes in the driver's terms.

use mysql_async::{OptsBuilder, SslOpts};

use super::config::{ConnectionConfig, ConnectionOptions, Tls};
use crate::history::{Outcome, SqlError};

pub(super) fn outcome_of_error(error: &mysql_async::Error) -> Outcome {
    match error {
        mysql_async::Error::Server(server) => Outcome::Refused(SqlError {
            code: server.code,
            sqlstate: server.state.clone(),
            message: server.message.clone(),
        }),
        // After any of these the stream's place is unknown, so the session is given up.
        mysql_async::Error::Driver(_)
        | mysql_async::Error::Io(_)
        | mysql_async::Error::Other(_)
        | mysql_async::Error::Url(_) => Outcome::Lost {
            message: without_repetition(&error.to_string()),
            unsent: false,
        },
    }
}

/// The driver's words: an error of an error says `Input/output error: Input/output error: …`.
fn without_repetition(text: &str) -> String {
    let mut parts: Vec<&str> = text.split(": ").collect();
    parts.dedup();
    parts.join(": ")
}

pub(super) fn driver_options(config: &ConnectionConfig, options: &ConnectionOptions) -> OptsBuilder {
    let tls = match &options.tls {
        Tls::Off => None,
        Tls::Auto if is_local(&config.host) => None,
        Tls::Auto => Some(SslOpts::default()),
        Tls::Verified { ca } => {
            let roots: Vec<_> = ca.iter().map(|path| path.clone().into()).collect();
            let own = !roots.is_empty();
            Some(
                SslOpts::default()
                    .with_root_certs(roots)
                    .with_disable_built_in_roots(own),
            )
        }
    };
    OptsBuilder::default()
        .ip_or_hostname(config.host.clone())
        .tcp_port(config.port)
        .user(Some(config.username.clone()))
        .pass(Some(config.password.clone()).filter(|password| !password.is_empty()))
        .db_name(config.database.clone())
        .prefer_socket(false)
        .ssl_opts(tls)
    // No handler for local files is installed: a server could ask for any file of this machine.
}

/// The statement that sets the session variables.
pub(super) fn set_session_vars(options: &ConnectionOptions) -> Option<String> {
    let assignments: Vec<String> = options
        .session_vars
        .iter()
        .map(|(name, value)| format!("@@session.{name} = {value}"))
        .collect();
    (!assignments.is_empty()).then(|| format!("set {}", assignments.join(", ")))
}

/// Whether a host is this machine, where TLS would protect nothing.
fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
