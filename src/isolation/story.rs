//! What happened where it is no cycle: a sentence for each anomaly.

use super::anomaly::Anomaly;
use super::explain::Explain;
use super::finding::{Finding, name, operation, time};
use super::flaw::Flaw;
use super::history::NONE;
use super::timestamps::{Reason, TimestampFlaw};
use super::versions::INITIAL;

impl Explain<'_> {
    /// An anomaly that is no cycle.
    pub(super) fn flaw(&self, flaw: &Flaw, count: usize) -> Finding {
        let Flaw {
            anomaly,
            transaction,
            operation: at,
            other,
        } = *flaw;
        let other_transaction = if other < INITIAL - 1 {
            self.versions.transaction_of(other)
        } else {
            NONE
        };
        let both: &[u32] = if other_transaction == NONE || other_transaction == transaction {
            &[transaction]
        } else {
            &[transaction, other_transaction]
        };
        let mut finding = self.finding(anomaly, both);
        finding.count = count;
        let own = name(transaction);
        let their = name(other_transaction);
        let did = || operation(self.history, at);
        let did_other = || self.did(other);
        finding.story = match anomaly {
            Anomaly::GarbageRead => format!("{own} has {}: nobody wrote what it saw", quoted(&did())),
            Anomaly::Duplicate => format!(
                "{own} has {}: {their} {} once, and it is there twice",
                quoted(&did()),
                did_other()
            ),
            Anomaly::IncompatibleOrder => {
                format!(
                    "{own} has {}, {their} has {}: neither is the beginning of the other",
                    quoted(&did()),
                    quoted(&operation(self.history, other))
                )
            }
            Anomaly::AbortedRead => {
                format!("{their} {} and failed; {own} has {}", did_other(), quoted(&did()))
            }
            Anomaly::IntermediateRead => {
                format!(
                    "{their} {} and then wrote the key again; {own} has {}",
                    did_other(),
                    quoted(&did())
                )
            }
            Anomaly::DirtyUpdate => format!(
                "{their} {} and failed; {own} {} behind it",
                did_other(),
                self.did(at)
            ),
            Anomaly::PhantomCommit => format!(
                "{own} was reported as failed at {}; transactions that began later have seen all that it wrote",
                time(self.history.returned[transaction as usize])
            ),
            Anomaly::OwnWriteMissed => format!("{own} {}, and then has {}", did_other(), quoted(&did())),
            Anomaly::FutureRead => format!("{own} has {} before it {}", quoted(&did()), did_other()),
            Anomaly::Internal if self.history.kind_of(other).is_write() => {
                format!("{own} {}, and then has {}", did_other(), quoted(&did()))
            }
            Anomaly::Internal => {
                format!(
                    "{own} has {}, and then {}",
                    quoted(&operation(self.history, other)),
                    quoted(&did())
                )
            }
            Anomaly::ObservedTransactionVanishes | Anomaly::FracturedRead => {
                let seen = self.observations(transaction);
                let witness = seen.iter().find(|seen| {
                    self.versions.is_committed_write(seen.source)
                        && self.versions.transaction_of(seen.source) == other_transaction
                });
                let first = witness
                    .map(|seen| {
                        format!(
                            "{own} {}, where {their} {}",
                            self.saw(seen.operation, seen.key),
                            self.did(seen.source)
                        )
                    })
                    .unwrap_or_default();
                format!(
                    "{first}; but it has {}, though {their} {}",
                    quoted(&did()),
                    did_other()
                )
            }
            Anomaly::CausalityViolation => {
                format!(
                    "{their} {} and leads to {own} by reads and processes; {own} has {}",
                    did_other(),
                    quoted(&did())
                )
            }
            Anomaly::LostUpdate => {
                let key = self.history.key_name(self.history.key_of(other));
                format!(
                    "{own} has {} and then wrote key {key}; meanwhile {their} {}",
                    quoted(&did()),
                    did_other()
                )
            }
            Anomaly::LostWrite => format!(
                "{their} {} and was acknowledged at {}; {own} began at {} and has {}, and no other read has it either",
                did_other(),
                time(self.history.returned[other_transaction as usize]),
                time(self.history.invoke[transaction as usize]),
                quoted(&did())
            ),
            Anomaly::WrongTotal => format!(
                "{own} read all accounts; they come to {}",
                self.total(transaction)
            ),
            Anomaly::LongFork | Anomaly::WriteSkew | Anomaly::Timestamp | Anomaly::Cycle(..) => String::new(),
        };
        finding
    }

    fn total(&self, transaction: u32) -> String {
        let wanted = self.history.header.total.unwrap_or(0);
        let found = super::data::total(self.history, transaction);
        match found {
            Some(total) => format!("{total} and not to {wanted}"),
            None => format!("no integer, and not to {wanted}"),
        }
    }

    /// A timestamp that doesn't fit.
    pub(super) fn timestamp(&self, flaw: &TimestampFlaw, count: usize) -> Finding {
        let TimestampFlaw {
            reason,
            transaction,
            operation: at,
            other,
        } = *flaw;
        let theirs = match reason {
            Reason::BehindRealtime => other,
            _ if other < INITIAL - 1 => self.versions.transaction_of(other),
            _ => NONE,
        };
        let both = [transaction, theirs];
        let both = if theirs == NONE || theirs == transaction {
            &both[..1]
        } else {
            &both[..]
        };
        let mut finding = self.finding(Anomaly::Timestamp, both);
        finding.count = count;
        let (own, their) = (name(transaction), name(theirs));
        let ts = if at == NONE {
            None
        } else {
            self.history.read_timestamp(transaction, at)
        };
        let ts = ts.map(|ts| format!(" at ts {ts}")).unwrap_or_default();
        let did = if at == NONE {
            String::new()
        } else {
            quoted(&operation(self.history, at))
        };
        let commit = |at: u32| self.history.commit_ts.get(at);
        let that = || {
            if theirs == NONE {
                "another value".to_owned()
            } else {
                format!(
                    "{their}, which {} and committed at ts {}",
                    self.did_with_list(other),
                    commit(theirs)
                )
            }
        };
        finding.story = match reason {
            Reason::Missed => format!("{own} has {did}{ts} and missed {}", that()),
            Reason::TooNew => format!("{own} has {did}{ts} and saw {}", that()),
            Reason::Other => format!("{own} has {did}{ts}, which is not what was there at that timestamp"),
            Reason::Stray => {
                format!("{own} has {did}{ts}, which is no part of the order of that list's versions")
            }
            Reason::OwnWrite => format!("{own} {} and then has {did}", self.did(other)),
            Reason::Returned => {
                format!("{own} has {did}{ts}, but another version had replaced this one by then")
            }
            Reason::Conflict => {
                format!(
                    "{own} has {did}{ts} and committed at ts {}; between the two comes {}",
                    commit(transaction),
                    that()
                )
            }
            Reason::Backwards => format!(
                "{own} committed at ts {}, which is not after its start_ts {}",
                commit(transaction),
                self.history.start_ts.get(transaction)
            ),
            Reason::BehindRealtime => format!(
                "{own} began at {} with start_ts {}; {their} had committed at ts {} and returned at {}",
                time(self.history.invoke[transaction as usize]),
                self.history.start_ts.get(transaction),
                commit(theirs),
                time(self.history.returned[theirs as usize])
            ),
        };
        finding
    }

    /// What was written; the commit_ts follows.
    fn did_with_list(&self, write: u32) -> String {
        let text = self.did(write);
        text.split(" (commit_ts").next().unwrap_or_default().to_owned()
    }
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}
