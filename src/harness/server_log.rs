//! When the end of a server's log belongs to the failure of a trial.

use crate::server::Server;
use crate::verdict::Finding;

/// How many lines.
pub(super) const LOG_LINES: usize = 20;

/// The end of the log, if the server is gone; empty where there is none.
pub(super) async fn log_of_gone(server: &Server) -> Option<String> {
    if server.is_alive().await {
        return None;
    }
    Some(server.log_tail(LOG_LINES).await.unwrap_or_default())
}

/// The end of the log, if a finding blames the server, or the server is gone.
pub(super) async fn log_for(findings: &[Finding], server: &Server) -> Option<String> {
    if findings.iter().any(|finding| finding.server) || !server.is_alive().await {
        return server.log_tail(LOG_LINES).await;
    }
    None
}
