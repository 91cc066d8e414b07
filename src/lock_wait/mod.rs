//! Asks the server who is blocked by whom. Nothing here concludes: what no table of the server shows is no wait.

mod innodb;
mod schema_change;
mod trx;
mod view;

pub(crate) use schema_change::{SchemaWait, schema_wait};
pub(crate) use view::{LockView, open_transactions};
