//! The url provider: an existing TiDB. What its URL says is read by `connection`, as any connection's URL is.

pub use crate::connection::UrlError;
pub(super) use crate::connection::UrlTarget;
