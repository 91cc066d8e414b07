//! Who takes the next step: the question that one schedule after another answers differently.

/// Picks the next connection.
pub trait Scheduler: Send {
    /// One of the connections that are enabled: they are not blocked and have steps left. `None` ends the schedule
    /// here.
    fn next(&mut self, enabled: &[usize]) -> Option<usize>;
}

/// A step as it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledStep {
    /// The connection's number.
    pub connection: usize,
    /// The step's number.
    pub step: usize,
    /// The connections that could have taken one instead, itself included.
    pub enabled: Vec<usize>,
}
