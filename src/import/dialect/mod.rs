//! SQL of other databases in TiDB's words, where there is one way only to say it.
//!
//! What has another meaning on TiDB, or none, is told in a note; nothing is guessed.

mod concat;
mod conflict;
mod errors;
mod mysql;
mod portable;
mod postgres;
mod reserved;
mod table;
mod tokens;

pub(super) use errors::{code_of_message, code_of_sqlstate, note_on_error};
pub(super) use mysql::notes_on_mysql;
pub(super) use portable::portable;
pub(super) use postgres::{Schema, postgres, split_postgres};

/// Whether the rows of a query come in an order that it asks for.
pub(super) fn is_ordered(query: &str) -> bool {
    tokens::Editor::new(query).find(0, &["order", "by"]).is_some()
}

/// A level of isolation, by the standard's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Level {
    /// From its words, in any case.
    pub(super) fn of_words(words: &str) -> Option<Self> {
        let words: Vec<String> = words.split_whitespace().map(str::to_ascii_lowercase).collect();
        Some(match words.join(" ").as_str() {
            "read uncommitted" => Self::ReadUncommitted,
            "read committed" => Self::ReadCommitted,
            // Snapshot isolation is what TiDB has under this name.
            "repeatable read" | "snapshot" => Self::RepeatableRead,
            "serializable" => Self::Serializable,
            _ => return None,
        })
    }

    /// The level of TiDB's that is nearest to it.
    pub(super) fn on_tidb(self) -> &'static str {
        match self {
            Self::ReadUncommitted | Self::ReadCommitted => "read committed",
            Self::RepeatableRead | Self::Serializable => "repeatable read",
        }
    }

    /// What to know where TiDB has no such level.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::ReadUncommitted => Some("TiDB has no READ UNCOMMITTED; READ COMMITTED is the nearest"),
            Self::Serializable => {
                Some("TiDB has no SERIALIZABLE; REPEATABLE READ is the nearest, and allows write skew")
            }
            Self::ReadCommitted | Self::RepeatableRead => None,
        }
    }
}

/// A statement in TiDB's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Translated {
    /// Its SQL; none where nothing of it can run on TiDB, or nothing has to.
    pub text: Option<String>,
    /// What to know.
    pub notes: Vec<String>,
    /// The level of isolation of the transaction that it begins or is in.
    pub level: Option<Level>,
}

impl Translated {
    /// As it stands.
    pub(super) fn same(sql: &str) -> Self {
        Self {
            text: Some(sql.to_owned()),
            ..Self::default()
        }
    }

    /// Not at all.
    fn not_taken(sql: &str, why: &str) -> Self {
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = if sql.chars().count() > SHOWN {
            sql.chars().take(SHOWN - 1).chain(['…']).collect()
        } else {
            sql
        };
        Self {
            notes: vec![format!("not taken: {shown} ({why})")],
            ..Self::default()
        }
    }
}

/// So much is shown of a statement that is not taken.
const SHOWN: usize = 120;
