//! SQL text and error numbers: what can be told without asking a server.
//!
//! Architecture invariant: pure; no connection, no clock, no environment.

mod cursor;
mod error;
mod error_table;
mod functions;
mod kind;
mod lexer;
mod mistake;
mod prepared;
mod product;
mod recent;
mod redact;
mod set;
mod split;
mod statement;
mod tables;
mod transaction_change;
mod user_lock;
mod whole_server;
mod written;

pub use error::{
    LOCK_WAIT_TIMEOUT, NO_SUCH_TABLE, QUERY_INTERRUPTED, QUERY_TIMEOUT, RetryClass, TRANSACTION_ENDING,
    TransactionEffect, by_code, by_name, effect_on_transaction, nearest, retry_class,
};
pub(crate) use functions::{calls, may_take_long, reads_clock};
pub use kind::{Kind, TransactionMode};
pub(crate) use mistake::is_mistake;
pub use prepared::{Prepared, Source};
pub use product::Product;
pub(crate) use product::TXN_MODE;
pub(crate) use recent::classified;
pub use redact::redact;
pub use split::{Piece, SplitError, split, statement_count};
pub use statement::{Statement, classify, placeholders, verb};
pub use tables::{named_tables, names};
pub use transaction_change::TransactionChange;
pub use user_lock::{UserLockCall, UserLockFunction, UserLockName, user_lock_in};
pub use whole_server::{ACCOUNT_TABLES, ServerChange};
