//! What becomes of a session after an error.

/// What becomes of a session whose step got an error that nobody expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It is closed at once, which frees its locks: the others go on.
    Close,
    /// It stays, and whoever drives it rolls it back.
    Keep,
}
