//! How one statement ended, and the values that it gave.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::Json;

/// Variables by name.
pub type Vars = BTreeMap<String, SqlValue>;

/// The client's own error number for a connection that was lost (`CR_SERVER_LOST`).
pub const SERVER_LOST: u16 = 2013;

/// How one statement ended. What the server refused is data, not a Rust error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// A result set came, perhaps with no rows.
    Rows(RowSet),
    /// The statement was carried out and has no result set.
    Done(Done),
    /// The server answered with an error.
    Refused(SqlError),
    /// The statement was over its limit and was ended by us; whether it took effect is unknown.
    TimedOut {
        /// The limit that it was over, in milliseconds.
        limit_ms: u64,
        /// Whether it was ended before, since it was starved: it waited for a lock of a transaction that nobody would
        /// have ended.
        #[serde(default, alias = "in_vain")]
        starved: bool,
    },
    /// The session was lost before the answer came; whether the statement took effect is unknown.
    Lost {
        /// What the driver said.
        message: String,
        /// Whether the session was gone before, so that the statement was not even sent.
        #[serde(default)]
        unsent: bool,
    },
    /// The server was not asked, since a variable has no value or parameters are missing; or a handler failed by itself.
    /// No expectation of an error is met by it.
    Unanswered {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The error, if it was one. A lost connection is error 2013, as other MySQL clients have it.
    #[must_use]
    pub fn error(&self) -> Option<SqlError> {
        match self {
            Self::Refused(error) => Some(error.clone()),
            Self::Lost { message, .. } => Some(SqlError {
                code: SERVER_LOST,
                sqlstate: "HY000".to_owned(),
                message: message.clone(),
            }),
            Self::Rows(_) | Self::Done(_) | Self::TimedOut { .. } | Self::Unanswered { .. } => None,
        }
    }

    /// The error, if the server was asked and this is what came of it.
    #[must_use]
    pub fn answer(&self) -> Option<SqlError> {
        match self {
            Self::Lost { unsent: true, .. } => None,
            other => other.error(),
        }
    }

    /// Its kind in a word or two, with the error's number: for logs.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Rows(set) => format!("{} rows", set.rows.len()),
            Self::Done(_) => "done".to_owned(),
            Self::Refused(error) => format!("error {}", error.code),
            Self::TimedOut { .. } => "timed out".to_owned(),
            Self::Lost { .. } => "lost".to_owned(),
            Self::Unanswered { .. } => "unanswered".to_owned(),
        }
    }

    /// Whether the statement did not do what it says: refused, over its limit, lost, or never sent.
    #[must_use]
    pub fn is_error(&self) -> bool {
        match self {
            Self::Rows(_) | Self::Done(_) => false,
            Self::Refused(_) | Self::TimedOut { .. } | Self::Lost { .. } | Self::Unanswered { .. } => true,
        }
    }
}

/// A result set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowSet {
    /// One for each column, in the server's order.
    pub columns: Vec<Column>,
    /// Rows in the server's order; each has as many cells as there are columns.
    pub rows: Vec<Vec<SqlValue>>,
    /// The number of warnings that the server counted.
    pub warning_count: u16,
}

/// A column of a result set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// The column's name or alias.
    pub name: String,
    /// The SQL type as a person would write it, such as `int`, `decimal` or `varchar`.
    pub sql_type: String,
}

/// What a statement without a result set reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Rows that were changed (TiDB counts an UPDATE that changes nothing as 0).
    pub affected: u64,
    /// The first value that AUTO_INCREMENT gave, 0 if none.
    pub last_insert_id: u64,
    /// The number of warnings that the server counted.
    pub warning_count: u16,
}

/// An error that the server answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlError {
    /// The error number, such as 1213.
    pub code: u16,
    /// The five characters of SQLSTATE, such as `40001`.
    pub sqlstate: String,
    /// The text, as the server wrote it.
    pub message: String,
}

/// One cell, told apart by its SQL type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SqlValue {
    /// SQL NULL.
    Null,
    /// Any integer type, YEAR and BIT among them.
    Int(i128),
    /// DECIMAL, with the digits as the server wrote them.
    Decimal(String),
    /// FLOAT and DOUBLE.
    Float(f64),
    /// Text of any character type, ENUM and SET among them.
    Text(String),
    /// BINARY, VARBINARY and BLOB, and text that is not UTF-8.
    Bytes(Vec<u8>),
    /// DATE, DATETIME, TIMESTAMP and TIME, as the server writes them.
    Time(String),
    /// JSON.
    Json(Json),
}

macro_rules! from_whole_number {
    ($($type:ty),*) => {$(
        impl From<$type> for SqlValue {
            fn from(number: $type) -> Self {
                Self::Int(number.into())
            }
        }
    )*};
}

from_whole_number!(i32, i64, i128, u32, u64);

impl From<f64> for SqlValue {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for SqlValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<serde_json::Value> for SqlValue {
    fn from(json: serde_json::Value) -> Self {
        Self::Json(json.into())
    }
}

/// None is SQL NULL.
impl<T: Into<Self>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Whether it is a number of any type.
#[must_use]
pub fn is_number(value: &SqlValue) -> bool {
    match value {
        SqlValue::Int(_) | SqlValue::Decimal(_) | SqlValue::Float(_) => true,
        SqlValue::Null | SqlValue::Text(_) | SqlValue::Bytes(_) | SqlValue::Time(_) | SqlValue::Json(_) => {
            false
        }
    }
}
