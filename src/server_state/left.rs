//! What could not be set back.

/// Something that is not as it was before the trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The global variable, if it is one.
    pub variable: Option<String>,
    /// What is not as it was.
    pub message: String,
    /// Why.
    pub reason: String,
}
