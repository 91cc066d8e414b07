//! SQL text and error numbers: what can be told without asking a server.
//!
//! Architecture invariant: pure; no connection, no clock, no environment.

mod error;
mod error_table;
mod lexer;
mod product;
mod split;
mod tables;
mod verb;

pub use error::{
    DEADLOCK, LOCK_WAIT_TIMEOUT, NO_SUCH_TABLE, QUERY_INTERRUPTED, QUERY_TIMEOUT, RetryClass,
    TransactionEffect, by_code, by_name, effect_on_transaction, nearest, retry_class,
};
pub use error_table::ErrorEntry;
pub use product::Product;
pub(crate) use product::TXN_MODE;
pub use split::{Piece, SplitError, split};
pub use tables::named_tables;
pub use verb::{Kind, SetTargets, Statement, TransactionMode, classify, placeholders, verb};
