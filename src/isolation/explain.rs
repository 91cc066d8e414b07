//! Makes findings: which transactions, how they lead to each other, and why each edge is there.

use super::anomaly::{Anomaly, Form, Shape};
use super::finding::{Finding, ShownEdge, list_read, name, shown, time};
use super::graph::EdgeKind;
use super::history::{History, Kind, NONE};
use super::models::Model;
use super::reads::{Observation, Scan};
use super::steps::{Cycle, Step, StepKind, classify};
use super::versions::{INITIAL, Versions};

/// Explains by looking at the history again: only a few edges ever need it.
pub(super) struct Explain<'a> {
    pub(super) history: &'a History,
    pub(super) versions: &'a Versions,
}

impl Explain<'_> {
    pub(super) fn finding(&self, anomaly: Anomaly, transactions: &[u32]) -> Finding {
        let (weakest, stronger) = Model::refuted_by(anomaly);
        Finding {
            anomaly,
            also: Vec::new(),
            weakest,
            stronger,
            count: 1,
            shortest: None,
            transactions: transactions.iter().map(|at| shown(self.history, *at)).collect(),
            edges: Vec::new(),
            story: String::new(),
        }
    }

    /// A cycle, by its own shape and form.
    pub(super) fn cycle(&self, cycle: &Cycle) -> Finding {
        let (shape, predicate, form) = classify(&cycle.steps);
        let mut finding = self.of_steps(Anomaly::Cycle(shape, predicate, form), &cycle.steps);
        finding.shortest = Some(cycle.shortest);
        if form == Form::Plain {
            finding.also.extend(self.other_name(shape, &cycle.steps));
        }
        finding
    }

    /// What the field calls some cycles beside the name of their shape.
    fn other_name(&self, shape: Shape, steps: &[Step]) -> Option<Anomaly> {
        let is_rw = |at: usize| {
            matches!(
                steps[at].kind,
                StepKind::Data(EdgeKind::Rw | EdgeKind::PredicateRw)
            )
        };
        match (shape, steps.len()) {
            // Of the same key, it is a lost update.
            (Shape::G2, 2) => {
                let [first, second] = [steps[0], steps[1]].map(|step| self.rw_key(step));
                (first != second || first.is_none()).then_some(Anomaly::WriteSkew)
            }
            (Shape::GNonadjacent, 4) => {
                let is_wr = |at: usize| steps[at].kind == StepKind::Data(EdgeKind::Wr);
                let fork = |first: usize| {
                    is_rw(first) && is_wr(first + 1) && is_rw(first + 2) && is_wr((first + 3) % 4)
                };
                (fork(0) || fork(1)).then_some(Anomaly::LongFork)
            }
            _ => None,
        }
    }

    /// The key that one read before the other one wrote it, unless a range was read.
    fn rw_key(&self, step: Step) -> Option<u32> {
        let seen = self.observations(step.from);
        let wrote = |key: u32| {
            self.writes(step.to)
                .any(|write| self.history.key_of(write) == key)
        };
        seen.iter()
            .find(|seen| !seen.predicate && wrote(seen.key))
            .map(|seen| seen.key)
    }

    /// A cycle by another name, with 'must come before' edges where its anti-dependencies are.
    pub(super) fn inferred_cycle(&self, anomaly: Anomaly, steps: &[Step]) -> Finding {
        let mut finding = self.of_steps(anomaly, steps);
        for (edge, step) in finding.edges.iter_mut().zip(steps) {
            if step.kind == StepKind::Data(EdgeKind::Rw) {
                let [from, to] = [name(step.from), name(step.to)];
                edge.kind = "before";
                edge.why = format!(
                    "a transaction to which {from} is visible read a version of {to} that {from} wrote, too, so that \
                     {from} must come before {to}"
                );
            }
        }
        finding
    }

    fn of_steps(&self, anomaly: Anomaly, steps: &[Step]) -> Finding {
        let transactions: Vec<u32> = steps.iter().map(|step| step.from).collect();
        let place = |transaction: u32| transactions.iter().position(|at| *at == transaction).unwrap_or(0);
        let mut finding = self.finding(anomaly, &transactions);
        finding.edges = steps
            .iter()
            .map(|step| ShownEdge {
                from: place(step.from),
                to: place(step.to),
                kind: kind_name(step.kind),
                why: self.why(*step),
            })
            .collect();
        finding
    }

    pub(super) fn observations(&self, transaction: u32) -> Vec<Observation> {
        let mut found = Vec::new();
        Scan::new(self.history, self.versions).transaction(transaction, &mut |seen| {
            if !seen.writes_later {
                found.push(seen);
            }
        });
        found
    }

    fn why(&self, step: Step) -> String {
        let Step { from, to, kind } = step;
        let found = match kind {
            StepKind::Data(EdgeKind::Ww) => self.why_ww(from, to),
            StepKind::Data(EdgeKind::Wr) => self.why_wr(from, to),
            StepKind::Data(EdgeKind::Rw | EdgeKind::PredicateRw) => {
                self.why_rw(from, to, kind == StepKind::Data(EdgeKind::PredicateRw))
            }
            StepKind::Process => Some(format!(
                "both ran in process {}, {} first",
                self.history.process_name(from),
                name(from)
            )),
            StepKind::Realtime => Some(format!(
                "{} returned at {}, before {} began at {}",
                name(from),
                time(self.history.returned[from as usize]),
                name(to),
                time(self.history.invoke[to as usize])
            )),
            StepKind::Start => Some(match self.history.commit_ts.given(from) {
                Some(commit) => format!(
                    "{} committed at ts {commit}, before {}'s start_ts {}",
                    name(from),
                    name(to),
                    self.history.start_ts.get(to)
                ),
                None => format!(
                    "{} read last at a timestamp before {}'s start_ts {}",
                    name(from),
                    name(to),
                    self.history.start_ts.get(to)
                ),
            }),
        };
        found.unwrap_or_else(|| format!("{} comes before {}", name(from), name(to)))
    }

    fn writes(&self, transaction: u32) -> impl Iterator<Item = u32> + '_ {
        self.history
            .operations_of(transaction)
            .filter(|at| self.history.kind_of(*at).is_write())
    }

    /// `appended 3 to key 5`, in the past.
    pub(super) fn did(&self, write: u32) -> String {
        let value = self.history.names.show(self.history.value_of(write)).into_owned();
        let key = self.history.key_name(self.history.key_of(write));
        let ts = self.history.commit_ts.given(self.versions.transaction_of(write));
        let at = ts.filter(|_| !self.history.is_list(self.history.key_of(write)));
        let at = at.map(|ts| format!(" (commit_ts {ts})")).unwrap_or_default();
        match self.history.kind_of(write) {
            Kind::Append => format!("appended {value} to key {key}"),
            _ if self.history.value_of(write).is_null() => format!("deleted key {key}{at}"),
            _ => format!("wrote {value} to key {key}{at}"),
        }
    }

    /// The same without the key, which was named.
    fn did_next(&self, write: u32) -> String {
        let key = self.history.key_name(self.history.key_of(write));
        self.did(write)
            .replacen(&format!(" to key {key}"), "", 1)
            .replacen(&format!(" key {key}"), " it", 1)
    }

    pub(super) fn saw(&self, read: u32, key: u32) -> String {
        let name = self.history.key_name(key);
        match self.history.kind_of(read) {
            Kind::ReadList => format!("read {} of key {name}", list_read(self.history, read)),
            Kind::Read => format!(
                "read {} of key {name}",
                self.history.names.show(self.history.value_of(read))
            ),
            _ => {
                let range = self.history.range_of(read);
                let row = self.history.rows_of(range).iter().find(|(row, _)| *row == key);
                let what = match row {
                    Some((_, value)) => format!("{} in row {name}", self.history.names.show(*value)),
                    None => format!("no row {name}"),
                };
                format!("read the range {} to {} with {what}", range.from, range.to)
            }
        }
    }

    fn why_ww(&self, from: u32, to: u32) -> Option<String> {
        let mut unseen = None;
        for write in self.writes(from) {
            let key = self.history.key_of(write);
            let position = self.versions.position[write as usize];
            if position != NONE
                && let Some(next) = self.versions.next(self.history, key, position + 1)
                && self.versions.transaction_of(next) == to
            {
                return Some(format!(
                    "{} {}; {} {} next",
                    name(from),
                    self.did(write),
                    name(to),
                    self.did_next(next)
                ));
            }
            let other = self.writes(to).find(|other| self.history.key_of(*other) == key);
            unseen = unseen.or(other.map(|other| (write, other)));
        }
        let (write, other) = unseen?;
        Some(if self.history.is_list(self.history.key_of(write)) {
            format!(
                "{} {}, which was read; {} {}, which no read has seen, so that it came later",
                name(from),
                self.did(write),
                name(to),
                self.did_next(other)
            )
        } else {
            format!(
                "{} {}; {} read that and {} in its place",
                name(from),
                self.did(write),
                name(to),
                self.did_next(other)
            )
        })
    }

    fn why_wr(&self, from: u32, to: u32) -> Option<String> {
        let seen = self.observations(to);
        let read = seen.iter().find(|seen| {
            self.versions.is_committed_write(seen.source) && self.versions.transaction_of(seen.source) == from
        })?;
        Some(format!(
            "{} {}; {} {}",
            name(from),
            self.did(read.source),
            name(to),
            self.saw(read.operation, read.key)
        ))
    }

    fn why_rw(&self, from: u32, to: u32, predicate: bool) -> Option<String> {
        let observations = self.observations(from);
        let seen = || observations.iter().filter(|seen| seen.predicate == predicate);
        for read in seen() {
            if read.seen != NONE
                && let Some(next) = self.versions.next(self.history, read.key, read.seen)
                && self.versions.transaction_of(next) == to
            {
                return Some(format!(
                    "{} {}; {} {} next",
                    name(from),
                    self.saw(read.operation, read.key),
                    name(to),
                    self.did_next(next)
                ));
            }
        }
        for read in seen() {
            let Some(write) = self
                .writes(to)
                .find(|write| self.history.key_of(*write) == read.key)
            else {
                continue;
            };
            let ending = if self.history.is_list(read.key) {
                "which is not in any read, so that it came later"
            } else if read.source == INITIAL {
                "so that it came later"
            } else {
                "having read the same"
            };
            return Some(format!(
                "{} {}; {} {}, {ending}",
                name(from),
                self.saw(read.operation, read.key),
                name(to),
                self.did_next(write)
            ));
        }
        None
    }
}

fn kind_name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Data(EdgeKind::Ww) => "ww",
        StepKind::Data(EdgeKind::Wr) => "wr",
        StepKind::Data(EdgeKind::Rw) => "rw",
        StepKind::Data(EdgeKind::PredicateRw) => "rw (predicate)",
        StepKind::Process => "process",
        StepKind::Realtime => "realtime",
        StepKind::Start => "start",
    }
}
