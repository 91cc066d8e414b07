//! How a server of ours is to be started.

use super::error::StartError;
use super::settings::ProviderKind;
use crate::connection::{ConnectionOptions, Tls};
use crate::scenario::keys;

/// TiDB counts blocked statements against its token limit (1000 by default), so that a thousand
/// waiters would keep out the very connection that looks at them.
pub(super) const TOKEN_LIMIT: u32 = 100_000;
/// Where a server of ours keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Store {
    /// In memory.
    #[default]
    Memory,
    /// In files, which go with the server. A start takes some seconds longer.
    Persistent,
}

/// How a server of ours is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerSpec {
    /// Where it keeps its data.
    pub store: Store,
    /// Flags of tidb-server without their dashes: name and value.
    pub flags: Vec<(String, String)>,
    /// Global variables that are set right after the start, in order: name and SQL literal.
    pub vars: Vec<(String, String)>,
}

impl ServerSpec {
    pub(super) fn flag_args(&self) -> impl Iterator<Item = String> {
        self.flags.iter().map(|(name, value)| format!("-{name}={value}"))
    }

    pub(super) fn check(&self, kind: ProviderKind) -> Result<(), StartError> {
        if kind == ProviderKind::Url && *self != Self::default() {
            return Err(StartError::NotOurs);
        }
        let word = |name: &str, more: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        for (name, _) in &self.flags {
            if !word(name, "-.") || name.starts_with('-') || keys::OUR_FLAGS.contains(&name.as_str()) {
                return Err(StartError::Flag { name: name.clone() });
            }
        }
        match self.vars.iter().find(|(name, _)| !word(name, "_")) {
            Some((name, _)) => Err(StartError::Variable { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// How to connect to a server of ours: it has no certificate, and where its host is not this machine (a
/// container seen from within another one) it is the engine's own network.
pub(super) fn own_options() -> ConnectionOptions {
    ConnectionOptions {
        tls: Tls::Off,
        ..ConnectionOptions::default()
    }
}
