//! Why a trial could not be run.

use crate::connection::ConnectError;
use crate::source::Span;

/// Trouble of ours, not of TiDB: the trial could not be run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct TrialError {
    /// Where the file has to do with it.
    pub span: Option<Span>,
    /// What was tried and what came of it.
    pub message: String,
}

impl TrialError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            span: None,
            message: message.into(),
        }
    }

    pub(super) fn connect(who: &str, error: &ConnectError) -> Self {
        Self::new(format!("{who} cannot connect: {error}"))
    }
}
