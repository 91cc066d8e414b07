//! What each isolation level forbids, which level is weaker than which, and what TiDB promises.

use std::fmt;

use super::anomaly::{Anomaly, AnomalySet, Form, Shape};
use super::history::{Header, IsolationSetting, ReadLock, TransactionMode};

/// An isolation level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Model {
    /// Adya's PL-1.
    ReadUncommitted,
    /// Adya's PL-2.
    ReadCommitted,
    /// Bailis' monotonic atomic view: what was observed of a transaction stays so.
    MonotonicAtomicView,
    /// Bailis' and Cerone's read atomic: all of a transaction is seen, or nothing.
    ReadAtomic,
    /// Transactional causal consistency: read atomic, and what causally came before is seen.
    Causal,
    /// Adya's PL-2.99: serializable but for predicates.
    RepeatableRead,
    /// Generalised snapshot isolation: a snapshot, not necessarily the newest.
    SnapshotIsolation,
    /// Snapshot isolation whose snapshots have what the same process did.
    StrongSessionSnapshotIsolation,
    /// Snapshot isolation whose snapshots have all that committed before.
    StrongSnapshotIsolation,
    /// Adya's PL-3: conflict serializable.
    Serializable,
    /// Serializable in an order that keeps that of each process.
    StrongSessionSerializable,
    /// Serializable in an order that keeps real time.
    StrictSerializable,
}

use Anomaly::Cycle;
use Model::{
    Causal, MonotonicAtomicView, ReadAtomic, ReadCommitted, ReadUncommitted, RepeatableRead, Serializable,
    SnapshotIsolation, StrictSerializable, StrongSessionSerializable, StrongSessionSnapshotIsolation,
    StrongSnapshotIsolation,
};

struct Row {
    model: Model,
    name: &'static str,
    /// Other names on the command line.
    short: &'static [&'static str],
    /// The models that hold wherever this one does.
    implies: &'static [Model],
    /// What it forbids beyond what those forbid.
    forbids: &'static [Anomaly],
}

const fn cycle(shape: Shape, form: Form) -> Anomaly {
    Cycle(shape, false, form)
}

const fn predicate(shape: Shape, form: Form) -> Anomaly {
    Cycle(shape, true, form)
}

/// Weaker models come first.
const MODELS: &[Row] = &[
    Row {
        model: ReadUncommitted,
        name: "read uncommitted",
        short: &["pl-1"],
        implies: &[],
        forbids: &[
            cycle(Shape::G0, Form::Plain),
            Anomaly::GarbageRead,
            Anomaly::Duplicate,
        ],
    },
    Row {
        model: ReadCommitted,
        name: "read committed",
        short: &["rc", "pl-2"],
        implies: &[ReadUncommitted],
        forbids: &[
            cycle(Shape::G1c, Form::Plain),
            Anomaly::IncompatibleOrder,
            Anomaly::AbortedRead,
            Anomaly::IntermediateRead,
            Anomaly::DirtyUpdate,
            Anomaly::PhantomCommit,
            Anomaly::OwnWriteMissed,
            Anomaly::FutureRead,
        ],
    },
    Row {
        model: MonotonicAtomicView,
        name: "monotonic atomic view",
        short: &["mav"],
        implies: &[ReadCommitted],
        forbids: &[Anomaly::ObservedTransactionVanishes],
    },
    Row {
        model: ReadAtomic,
        name: "read atomic",
        short: &["ra"],
        implies: &[MonotonicAtomicView],
        forbids: &[Anomaly::Internal, Anomaly::FracturedRead],
    },
    Row {
        model: Causal,
        name: "causal",
        short: &["causal consistency", "tcc"],
        implies: &[ReadAtomic],
        forbids: &[
            Anomaly::CausalityViolation,
            cycle(Shape::G0, Form::Process),
            cycle(Shape::G1c, Form::Process),
        ],
    },
    Row {
        model: RepeatableRead,
        name: "repeatable read",
        short: &["pl-2.99"],
        implies: &[ReadCommitted],
        forbids: &[
            Anomaly::LostUpdate,
            Anomaly::LongFork,
            Anomaly::WriteSkew,
            cycle(Shape::GSingle, Form::Plain),
            cycle(Shape::GNonadjacent, Form::Plain),
            cycle(Shape::G2, Form::Plain),
        ],
    },
    Row {
        model: SnapshotIsolation,
        name: "snapshot isolation",
        short: &["si", "snapshot", "pl-si"],
        implies: &[ReadAtomic],
        forbids: &[
            Anomaly::LostUpdate,
            Anomaly::LongFork,
            Anomaly::WrongTotal,
            cycle(Shape::GSingle, Form::Plain),
            cycle(Shape::GNonadjacent, Form::Plain),
            predicate(Shape::GSingle, Form::Plain),
            predicate(Shape::GNonadjacent, Form::Plain),
        ],
    },
    Row {
        model: StrongSessionSnapshotIsolation,
        name: "strong session snapshot isolation",
        short: &["strong session si", "strong session snapshot"],
        implies: &[SnapshotIsolation, Causal],
        forbids: &[
            cycle(Shape::GSingle, Form::Process),
            cycle(Shape::GNonadjacent, Form::Process),
            predicate(Shape::GSingle, Form::Process),
            predicate(Shape::GNonadjacent, Form::Process),
        ],
    },
    Row {
        model: StrongSnapshotIsolation,
        name: "strong snapshot isolation",
        short: &["strong si", "strong snapshot"],
        implies: &[StrongSessionSnapshotIsolation],
        forbids: &[
            Anomaly::LostWrite,
            cycle(Shape::G0, Form::Realtime),
            cycle(Shape::G1c, Form::Realtime),
            cycle(Shape::GSingle, Form::Realtime),
            cycle(Shape::GNonadjacent, Form::Realtime),
            predicate(Shape::GSingle, Form::Realtime),
            predicate(Shape::GNonadjacent, Form::Realtime),
            cycle(Shape::G0, Form::Start),
            cycle(Shape::G1c, Form::Start),
            cycle(Shape::GSingle, Form::Start),
            cycle(Shape::GNonadjacent, Form::Start),
            predicate(Shape::GSingle, Form::Start),
            predicate(Shape::GNonadjacent, Form::Start),
        ],
    },
    Row {
        model: Serializable,
        name: "serializable",
        short: &["ser", "pl-3"],
        implies: &[RepeatableRead, SnapshotIsolation],
        forbids: &[predicate(Shape::G2, Form::Plain)],
    },
    Row {
        model: StrongSessionSerializable,
        name: "strong session serializable",
        short: &["strong session ser"],
        implies: &[Serializable, StrongSessionSnapshotIsolation],
        forbids: &[
            cycle(Shape::G2, Form::Process),
            predicate(Shape::G2, Form::Process),
        ],
    },
    Row {
        model: StrictSerializable,
        name: "strict serializable",
        short: &["strict", "strong serializable", "pl-ss"],
        implies: &[StrongSessionSerializable, StrongSnapshotIsolation],
        forbids: &[
            cycle(Shape::G2, Form::Realtime),
            predicate(Shape::G2, Form::Realtime),
            cycle(Shape::G2, Form::Start),
            predicate(Shape::G2, Form::Start),
        ],
    },
];

impl Model {
    /// All models, weaker ones before stronger ones.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        MODELS.iter().map(|row| row.model)
    }

    fn row(self) -> &'static Row {
        MODELS
            .iter()
            .find(|row| row.model == self)
            .expect("each model has its row")
    }

    /// Whether a history that holds this one holds the other one, too (each implies itself).
    #[must_use]
    pub fn implies(self, other: Self) -> bool {
        self == other || self.row().implies.iter().any(|weaker| weaker.implies(other))
    }

    /// All anomalies that refute it.
    #[must_use]
    pub fn forbids(self) -> AnomalySet {
        let row = self.row();
        let own = AnomalySet::of(row.forbids.iter().copied());
        row.implies
            .iter()
            .fold(own, |set, weaker| set.union(weaker.forbids()))
    }

    /// The models that an anomaly refutes: the weakest ones, then the others.
    #[must_use]
    pub fn refuted_by(anomaly: Anomaly) -> (Vec<Self>, Vec<Self>) {
        let refuted: Vec<Self> = Self::all()
            .filter(|model| model.forbids().contains(anomaly))
            .collect();
        let is_weakest = |model: &Self| {
            let weaker = |other: &&Self| **other != *model && model.implies(**other);
            !refuted.iter().any(|other| weaker(&other))
        };
        refuted.iter().copied().partition(is_weakest)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

/// What a history is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// An isolation level.
    Model(Model),
    /// What TiDB promises in the mode, with the isolation setting and the read lock of the history's header.
    Promised,
    /// Each read is the newest version at its timestamp, and nothing else.
    Timestamps,
}

impl Level {
    /// The level of a name: a model's name, a short one (`si`, `snapshot`), with spaces, `-` or `_`; `promised`;
    /// `timestamps`.
    ///
    /// # Errors
    /// The names that there are.
    pub fn by_name(name: &str) -> Result<Self, String> {
        let plain = name.trim().to_lowercase().replace(['_', '-'], " ");
        match plain.as_str() {
            "promised" => return Ok(Self::Promised),
            "timestamps" => return Ok(Self::Timestamps),
            _ => {}
        }
        let same = |known: &str| known.replace('-', " ") == plain;
        let row = MODELS
            .iter()
            .find(|row| same(row.name) || row.short.iter().any(|short| same(short)));
        row.map(|row| Self::Model(row.model)).ok_or_else(|| {
            let names: Vec<&str> = MODELS.iter().map(|row| row.name).collect();
            format!(
                "there is no isolation level `{name}`; there are: {}, promised, timestamps",
                names.join(", ")
            )
        })
    }

    /// What refutes it, for histories with this header.
    ///
    /// # Errors
    /// `promised` without knowing of what: the header says neither mode nor isolation.
    pub fn forbids(self, header: &Header) -> Result<AnomalySet, String> {
        match self {
            Self::Model(model) => Ok(model.forbids()),
            Self::Timestamps => Ok(AnomalySet::of([Anomaly::Timestamp])),
            Self::Promised => promised(header),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(model) => model.fmt(f),
            Self::Promised => f.write_str("what TiDB promises"),
            Self::Timestamps => f.write_str("the timestamp check"),
        }
    }
}

/// Reads in TiDB are the newest version at their timestamp, timestamps follow real time, and nothing that was
/// acknowledged is lost: whatever the mode, these hold.
const ALWAYS: [Anomaly; 6] = [
    Anomaly::Timestamp,
    Anomaly::LostWrite,
    cycle(Shape::G0, Form::Process),
    cycle(Shape::G1c, Form::Process),
    cycle(Shape::G0, Form::Realtime),
    cycle(Shape::G1c, Form::Realtime),
];

fn promised(header: &Header) -> Result<AnomalySet, String> {
    let Some(mode) = header.mode else {
        return Err("`promised` needs to know the transactions' mode: add `\"mode\": \"pessimistic\"` (or optimistic) \
                    to the history's first line, or name a level"
            .to_owned());
    };
    let always = AnomalySet::of(ALWAYS);
    let level = match (mode, header.isolation, header.read_lock) {
        // READ COMMITTED is ignored there. Snapshots are the newest, and commits conflict by key.
        (TransactionMode::Optimistic, ..) => StrongSnapshotIsolation.forbids(),
        // Each statement has a newer snapshot than the one before it.
        (TransactionMode::Pessimistic, Some(IsolationSetting::ReadCommitted), _) => {
            MonotonicAtomicView.forbids()
        }
        // Rows are locked as they are read, but gaps are not.
        (TransactionMode::Pessimistic, _, Some(ReadLock::ForUpdate)) => {
            let items = [Shape::GSingle, Shape::GNonadjacent, Shape::G2]
                .into_iter()
                .flat_map(|shape| [cycle(shape, Form::Process), cycle(shape, Form::Realtime)]);
            RepeatableRead.forbids().union(AnomalySet::of(items))
        }
        // Plain reads see the snapshot of BEGIN, DML sees the newest rows: no snapshot isolation for who mixes them.
        (TransactionMode::Pessimistic, _, _) => ReadCommitted.forbids(),
    };
    Ok(level.union(always))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stronger_models_forbid_more() {
        for strong in Model::all() {
            for weak in Model::all().filter(|weak| strong.implies(*weak)) {
                let both = strong.forbids().intersection(weak.forbids());
                assert_eq!(both, weak.forbids(), "{strong} implies {weak}");
                assert!(strong == weak || !weak.implies(strong), "{weak} and {strong}");
            }
            assert!(StrictSerializable.implies(strong));
            assert!(strong.implies(ReadUncommitted));
        }
    }

    #[test]
    fn an_anomaly_names_the_weakest_model_that_it_breaks() {
        let weakest = |anomaly| Model::refuted_by(anomaly).0;
        assert_eq!(weakest(cycle(Shape::G0, Form::Plain)), [ReadUncommitted]);
        assert_eq!(weakest(cycle(Shape::G1c, Form::Plain)), [ReadCommitted]);
        assert_eq!(
            weakest(cycle(Shape::GSingle, Form::Plain)),
            [RepeatableRead, SnapshotIsolation]
        );
        assert_eq!(weakest(cycle(Shape::G2, Form::Plain)), [RepeatableRead]);
        assert_eq!(weakest(predicate(Shape::G2, Form::Plain)), [Serializable]);
        assert_eq!(
            weakest(cycle(Shape::GSingle, Form::Realtime)),
            [StrongSnapshotIsolation]
        );
        assert_eq!(weakest(Anomaly::FracturedRead), [ReadAtomic]);
        assert_eq!(weakest(Anomaly::Timestamp), []);
        let also = Model::refuted_by(cycle(Shape::G2, Form::Plain)).1;
        assert_eq!(
            also,
            [Serializable, StrongSessionSerializable, StrictSerializable]
        );
    }

    #[test]
    fn levels_are_found_by_their_names() {
        for model in Model::all() {
            assert_eq!(Level::by_name(&model.to_string()), Ok(Level::Model(model)));
        }
        assert_eq!(
            Level::by_name("Strong-Session_SI"),
            Ok(Level::Model(StrongSessionSnapshotIsolation))
        );
        assert_eq!(Level::by_name("pl-2.99"), Ok(Level::Model(RepeatableRead)));
        assert_eq!(Level::by_name("promised"), Ok(Level::Promised));
        let unknown = Level::by_name("snapshotty").expect_err("no such level");
        assert!(
            unknown.contains("`snapshotty`") && unknown.contains("snapshot isolation"),
            "{unknown}"
        );
    }
}
