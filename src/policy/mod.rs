//! When to try again, and when to stop trying.
//!
//! An error's class comes from one table, [`crate::sql::retry_class`]; [`RetryPolicy`] says which classes are
//! worth another try and how long to wait before it, [`CircuitBreaker`] when a server that keeps failing is
//! left alone for a while. Neither waits: callers do.
//!
//! Architecture invariant: pure but for the breaker's own clock; random numbers come from a seed.

mod breaker;
mod retry;

pub use breaker::{BreakerPolicy, BreakerState, CircuitBreaker, CircuitOpen, Pass};
pub use retry::{Backoff, RetryPolicy};

pub use crate::sql::{RetryClass, retry_class};
