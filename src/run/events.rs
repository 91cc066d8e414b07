//! What a driver tells of the steps that it carries out.

/// What becomes of a session whose step got an error that nobody expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It is closed at once, which frees its locks: the others go on.
    Close,
    /// It stays, and whoever drives it rolls it back.
    Keep,
}

/// What happened to a step, in the order in which it did.
#[derive(Debug)]
pub(crate) enum DriverEvent {
    /// It was sent.
    Started {
        /// The connection's number.
        connection: usize,
        /// The step's number in the plan.
        step: usize,
    },
    /// Its answer came.
    Returned(Returned),
    /// It is known to be blocked.
    Blocked,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Returned {
    /// The number of the step's record.
    pub record: usize,
    /// The connection's number.
    pub connection: usize,
    /// The step's number in the plan.
    pub step: usize,
    /// The texts of the statements that were run.
    pub ran: Vec<String>,
    /// Whether the answer was an error.
    pub is_error: bool,
    /// Whether the session had a transaction before.
    pub was_open: bool,
    /// Whether it has one now.
    pub is_open: bool,
}
