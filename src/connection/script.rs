//! A script of statements and their answers, in place of a server.

use std::collections::VecDeque;
use std::fmt;

use crate::history::{Outcome, SqlError, SqlValue, show};

/// The number of an error that no server has.
const UNKNOWN_ERROR: u16 = 1105;

/// What is sent to a server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sent {
    Text(String),
    Prepared(String, Vec<SqlValue>),
    /// With the content of the file.
    Load(String, Vec<u8>),
}

impl Sent {
    /// White space and a semicolon at the end say nothing.
    fn normalized(mut self) -> Self {
        let (Self::Text(sql) | Self::Prepared(sql, _) | Self::Load(sql, _)) = &mut self;
        let words: Vec<&str> = sql.split_whitespace().collect();
        *sql = words.join(" ").trim_end_matches([';', ' ']).to_owned();
        self
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(sql) => write!(f, "`{sql}`"),
            Self::Prepared(sql, params) => {
                let params: Vec<String> = params.iter().map(show).collect();
                write!(f, "`{sql}`, prepared, with {}", params.join(", "))
            }
            Self::Load(sql, content) => {
                write!(f, "`{sql}`, with the file {:?}", String::from_utf8_lossy(content))
            }
        }
    }
}

/// The statements that are expected, in order, and what came instead.
#[derive(Debug, Default)]
pub(super) struct Script {
    expected: VecDeque<(Sent, Outcome)>,
    always: Vec<(Sent, Outcome)>,
    answered: usize,
    unexpected: Vec<String>,
    sessions: u64,
    pub version: String,
}

/// Statements that came and were not expected, and expected ones that did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ScriptError {
    /// A line for each of them; at least one.
    pub problems: Vec<String>,
}

impl Script {
    pub fn expect(&mut self, sent: Sent, answer: Outcome) {
        self.expected.push_back((sent.normalized(), answer));
    }

    pub fn always(&mut self, sent: Sent, answer: Outcome) {
        self.always.push((sent.normalized(), answer));
    }

    /// The id of one more session.
    pub fn next_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    /// The answer to a statement. One that is not expected is refused, and kept for [`Self::verify`].
    pub fn answer(&mut self, sent: Sent) -> Outcome {
        let sent = sent.normalized();
        match self.expected.front() {
            Some((expected, _)) if *expected == sent => {
                self.answered += 1;
                let answer = self.expected.pop_front();
                return answer.map_or_else(|| refused("no answer"), |(_, answer)| answer);
            }
            _ => {}
        }
        if let Some((_, answer)) = self.always.iter().find(|(always, _)| *always == sent) {
            return answer.clone();
        }
        let all = self.answered + self.expected.len();
        let problem = match self.expected.front() {
            Some((expected, _)) => {
                let number = self.answered + 1;
                format!(
                    "unexpected statement {sent}; statement {number} of {all} is expected here: {expected}"
                )
            }
            None => format!("unexpected statement {sent}; all {all} expected statements were run before"),
        };
        let answer = refused(&problem);
        self.unexpected.push(problem);
        answer
    }

    pub fn verify(&self) -> Result<(), ScriptError> {
        let mut problems = self.unexpected.clone();
        let never = self.expected.iter();
        problems.extend(never.map(|(sent, _)| format!("expected statement that was never run: {sent}")));
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ScriptError { problems })
        }
    }
}

fn refused(message: &str) -> Outcome {
    Outcome::Refused(SqlError {
        code: UNKNOWN_ERROR,
        sqlstate: "HY000".to_owned(),
        message: message.to_owned(),
    })
}
