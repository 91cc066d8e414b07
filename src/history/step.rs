//! What became of one step.

use serde::{Deserialize, Serialize};

use super::{Outcome, RowSet, SessionFlags, SqlError, Timestamps, Vars, Wait, WaitFailure};

/// One step that was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's number in the plan.
    pub step: usize,
    /// The connection's number in the plan.
    pub connection: usize,
    /// What was sent or done, variables filled in.
    pub text: String,
    /// When it was sent.
    pub started_us: u64,
    /// Its end; `None` where it was still waiting when the trial ended.
    pub end: Option<StepEnd>,
    /// Each wait that the server told of.
    pub wait: Option<Wait>,
    /// How often the state had done it before, in this visit.
    pub iteration: u32,
    /// How long it waited for events and barriers before it acted.
    pub waited_us: u64,
    /// Where its connection went then.
    pub went: Went,
    /// The number, from 1, of the connection's transaction that the step's last statement was part of. A statement
    /// that reads or writes outside of any is a transaction of its own; `None`: it is part of none, as a schema change
    /// or a COMMIT of nothing, or has not returned, or is a program's: those are not numbered. One that has no COMMIT
    /// or ROLLBACK in it, and after which the connection went on with something else, was ended by that, or by an
    /// error.
    #[serde(default)]
    pub txn: Option<u32>,
    /// TiDB's timestamps of the step's last statement, where `--timestamps` asked for them.
    #[serde(default)]
    pub timestamps: Option<Timestamps>,
}

/// Where a connection went after a state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Went {
    /// On, to what follows.
    #[default]
    On,
    /// To another state, since `on` says so of a result: what is expected of the result is not asked then.
    Elsewhere,
    /// Back after an error, for the n-th time in a row, after a pause.
    Retry {
        /// Counted from 1.
        number: u32,
        /// The pause.
        pause_us: u64,
    },
    /// Nowhere: it had gone back as often as it may.
    RetriesUsedUp {
        /// How often.
        number: u32,
    },
    /// Nowhere: what it waited for did not come.
    #[serde(alias = "WaitedInVain")]
    Unsatisfied {
        /// What it waited for.
        wanted: String,
        /// The number of the want among the state's own; `None`: its barrier, or a wait of a handler.
        want: Option<usize>,
        /// Why the wait ended.
        #[serde(default)]
        failure: WaitFailure,
        /// Why it did not come, a line for each connection that could have satisfied the wait.
        reasons: Vec<String>,
        /// The deadlock cycle: the connections that wait for each other, each with what it waits for, if they do.
        cycle: Vec<String>,
    },
    /// Nowhere: its `until` did not hold in time.
    NeverSeen {
        /// How often it looked.
        looks: u32,
    },
}

impl StepRecord {
    /// When it ended, if it did.
    #[must_use]
    pub fn ended_us(&self) -> Option<u64> {
        self.end.as_ref().map(|end| end.at_us)
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// When the answer was there.
    pub at_us: u64,
    /// From sending to the answer.
    pub took_us: u64,
    /// The answer.
    pub outcome: Outcome,
    /// The number (from 0) of the statement that gave the outcome, where a step has several.
    pub statement: usize,
    /// `SHOW WARNINGS`, where asked for.
    pub warnings: Option<Vec<SqlError>>,
    /// The plan of the statement as EXPLAIN shows it, where asked for.
    pub plan: Option<RowSet>,
    /// The variables as they were before the step.
    pub vars: Vars,
    /// What `save` asked for and the result did not have.
    pub save_problem: Option<String>,
    /// What the server said of the session after the step; `None` where it was lost or runs no statement, and after
    /// an error of a program's statement, which nobody asks for.
    #[serde(default)]
    pub flags: Option<SessionFlags>,
}

/// A step that was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The step's number in the plan.
    pub step: usize,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    /// What was written before is read still: by names that are no longer used, and without what came later.
    #[test]
    fn a_history_of_before_is_read() {
        let went: Went = serde_json::from_value(serde_json::json!({
            "WaitedInVain": {"wanted": "event `go`", "want": 0, "reasons": ["alice has ended"], "cycle": []}
        }))
        .expect("a name of before");
        let unsatisfied = Went::Unsatisfied {
            wanted: "event `go`".to_owned(),
            want: Some(0),
            failure: WaitFailure::Unsatisfiable,
            reasons: vec!["alice has ended".to_owned()],
            cycle: Vec::new(),
        };
        assert_eq!(went, unsatisfied);

        let mut written = serde_json::to_value(History::default()).expect("JSON");
        written["events"] = serde_json::json!([{"at_us": 1, "name": "go", "connection": 2, "of_job": false}]);
        written["connections"] = serde_json::json!([{
            "name": "alice", "states": [], "sessions": [7], "status": "completed", "retries": 0, "failure": null,
            "gone_us": null
        }]);
        written.as_object_mut().expect("an object").remove("unrecorded");
        let read: History = serde_json::from_value(written).expect("a history of before");
        assert_eq!(read.events[0].connection, Some(2));
        assert_eq!(read.connections[0].session(), Some(7));

        let outcome: Outcome =
            serde_json::from_str(r#"{"TimedOut": {"limit_ms": 5, "in_vain": true}}"#).expect("an outcome");
        let starved = Outcome::TimedOut {
            limit_ms: 5,
            starved: true,
        };
        assert_eq!(outcome, starved);

        let record = r#"{"step": 1, "connection": 0, "text": "commit", "started_us": 1, "wait": null, "iteration": 0,
            "waited_us": 0, "went": "On", "end": {"at_us": 2, "took_us": 1, "statement": 0, "warnings": null,
            "plan": null, "vars": {}, "save_problem": null,
            "outcome": {"Done": {"affected": 0, "last_insert_id": 0, "warning_count": 0}}}}"#;
        let record: StepRecord = serde_json::from_str(record).expect("a step");
        assert_eq!((record.txn, record.end.and_then(|end| end.flags)), (None, None));
    }
}
