//! What a run needs beside the plan.

use super::held::Hold;
use super::live::Live;

/// What a run needs beside the plan.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The name of the trial's database; others begin with it.
    pub database: String,
    /// Leave the databases: for a look at them, or since the server itself goes after the run. Servers of the
    /// trial's own go right after it, so that theirs are left in any case.
    pub keep_databases: bool,
    /// Ask the sessions for TiDB's timestamps after each statement, see [`StepRecord::timestamps`]. What `row_count()` and
    /// its like tell then is of that question.
    ///
    /// [`StepRecord::timestamps`]: crate::history::StepRecord::timestamps
    pub timestamps: bool,
    /// Who is shown the status while connections run freely.
    pub live: Option<Live>,
    /// Who holds the trial where it fails. Of concurrent connections only what is left after their end is held.
    pub hold: Option<Hold>,
}
