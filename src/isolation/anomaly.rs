//! The anomalies, by the names of the papers that defined them.

use std::fmt;

/// What edges a cycle needs beyond those of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// Data only.
    Plain,
    /// The order of the transactions of one process.
    Process,
    /// What returned before another one began.
    Realtime,
    /// What committed, by the database's timestamps, before another one's snapshot.
    Start,
}

/// The shape of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shape {
    /// Writes only (dirty write).
    G0,
    /// Writes and reads (circular information flow).
    G1c,
    /// One anti-dependency (read skew).
    GSingle,
    /// Anti-dependencies, no two of them adjacent.
    GNonadjacent,
    /// Anti-dependencies, two of them adjacent (as in write skew).
    G2,
}

/// An anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anomaly {
    /// A value was read that nobody wrote.
    GarbageRead,
    /// A list has an element twice.
    Duplicate,
    /// Two reads of a list cannot come from one order of its versions.
    IncompatibleOrder,
    /// G1a: a committed transaction read what a failed one had written.
    AbortedRead,
    /// G1b: a committed transaction read what its writer overwrote later.
    IntermediateRead,
    /// A committed write stands upon a failed one.
    DirtyUpdate,
    /// A transaction that was reported as failed is there for all who began later.
    PhantomCommit,
    /// A transaction did not see its own earlier write.
    OwnWriteMissed,
    /// A transaction saw its own later write.
    FutureRead,
    /// A transaction's reads of one key do not agree with each other and its own writes.
    Internal,
    /// Observed transaction vanishes: after a part of a transaction was seen, another part of it was not.
    ObservedTransactionVanishes,
    /// A part of a transaction was seen, and another part was not.
    FracturedRead,
    /// What causally preceded a transaction was not seen by it.
    CausalityViolation,
    /// Two transactions read the same version and both replaced it.
    LostUpdate,
    /// Two readers saw two writes in opposite orders.
    LongFork,
    /// Two transactions each read what the other one replaced.
    WriteSkew,
    /// An acknowledged write is in no read of its key, though one began after it.
    LostWrite,
    /// A transaction that read all accounts saw another total.
    WrongTotal,
    /// A read is not the newest version at its timestamp.
    Timestamp,
    /// A cycle: its shape, whether it needs a predicate's anti-dependency, its form.
    Cycle(Shape, bool, Form),
}

const SHAPES: [Shape; 5] = [
    Shape::G0,
    Shape::G1c,
    Shape::GSingle,
    Shape::GNonadjacent,
    Shape::G2,
];
const FORMS: [Form; 4] = [Form::Plain, Form::Process, Form::Realtime, Form::Start];
const NAMED: [(Anomaly, &str, &str); 19] = [
    (
        Anomaly::GarbageRead,
        "garbage-read",
        "a value that nobody wrote was read",
    ),
    (Anomaly::Duplicate, "duplicate", "a list has an element twice"),
    (
        Anomaly::IncompatibleOrder,
        "incompatible-order",
        "two reads cannot come from one order of versions",
    ),
    (Anomaly::AbortedRead, "G1a", "aborted read"),
    (Anomaly::IntermediateRead, "G1b", "intermediate read"),
    (
        Anomaly::DirtyUpdate,
        "dirty-update",
        "a committed write stands upon a failed one",
    ),
    (
        Anomaly::PhantomCommit,
        "phantom-commit",
        "a transaction that was reported as failed took effect",
    ),
    (
        Anomaly::OwnWriteMissed,
        "own-write-missed",
        "a transaction did not see its own write",
    ),
    (
        Anomaly::FutureRead,
        "future-read",
        "a transaction saw its own later write",
    ),
    (
        Anomaly::Internal,
        "internal",
        "a transaction's reads of one key do not agree",
    ),
    (
        Anomaly::ObservedTransactionVanishes,
        "OTV",
        "observed transaction vanishes",
    ),
    (Anomaly::FracturedRead, "fractured-read", "fractured read"),
    (
        Anomaly::CausalityViolation,
        "causality-violation",
        "what causally came before was not seen",
    ),
    (Anomaly::LostUpdate, "lost-update", "lost update"),
    (Anomaly::LongFork, "long-fork", "long fork"),
    (Anomaly::WriteSkew, "write-skew", "write skew"),
    (Anomaly::LostWrite, "lost-write", "an acknowledged write was lost"),
    (
        Anomaly::WrongTotal,
        "wrong-total",
        "the accounts do not add up to the total",
    ),
    (
        Anomaly::Timestamp,
        "timestamp-mismatch",
        "a read is not the newest version at its timestamp",
    ),
];

impl Anomaly {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let named = NAMED.iter().map(|(anomaly, ..)| *anomaly);
        let cycles = SHAPES.iter().flat_map(|shape| {
            [false, true].into_iter().flat_map(move |predicate| {
                FORMS
                    .iter()
                    .map(move |form| Self::Cycle(*shape, predicate, *form))
            })
        });
        named.chain(cycles.filter(|anomaly| !matches!(anomaly, Self::Cycle(Shape::G0 | Shape::G1c, true, _))))
    }

    fn index(self) -> u32 {
        match self {
            Self::Cycle(shape, predicate, form) => {
                let at = 19 + (shape as u32 * 2 + u32::from(predicate)) * 4 + form as u32;
                debug_assert!(at < 64);
                at
            }
            named => NAMED
                .iter()
                .position(|(anomaly, ..)| *anomaly == named)
                .and_then(|at| u32::try_from(at).ok())
                .expect("each has its row"),
        }
    }

    /// The anomaly of a name, as `G-single`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|anomaly| anomaly.to_string().eq_ignore_ascii_case(name))
    }

    /// What it is, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Cycle(Shape::G0, ..) => "write cycle (dirty write)",
            Self::Cycle(Shape::G1c, ..) => "circular information flow",
            Self::Cycle(Shape::GSingle, ..) => "read skew",
            Self::Cycle(Shape::GNonadjacent, ..) => "cycle with anti-dependencies, none adjacent",
            Self::Cycle(Shape::G2, ..) => "anti-dependency cycle",
            named => NAMED
                .iter()
                .find(|(anomaly, ..)| *anomaly == named)
                .map_or("", |(_, _, words)| words),
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Cycle(shape, predicate, form) = self else {
            let named = NAMED.iter().find(|(anomaly, ..)| anomaly == self);
            return f.write_str(named.map_or("", |(_, name, _)| name));
        };
        f.write_str(match (shape, predicate) {
            (Shape::G0, _) => "G0",
            (Shape::G1c, _) => "G1c",
            (Shape::GSingle, false) => "G-single",
            (Shape::GSingle, true) => "G-single-predicate",
            (Shape::GNonadjacent, false) => "G-nonadjacent",
            (Shape::GNonadjacent, true) => "G-nonadjacent-predicate",
            (Shape::G2, false) => "G2-item",
            (Shape::G2, true) => "G2",
        })?;
        f.write_str(match form {
            Form::Plain => "",
            Form::Process => "-process",
            Form::Realtime => "-realtime",
            Form::Start => "-start",
        })
    }
}

/// A set of anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnomalySet(u64);

impl AnomalySet {
    /// The set of these.
    pub fn of(anomalies: impl IntoIterator<Item = Anomaly>) -> Self {
        anomalies.into_iter().fold(Self(0), |mut set, anomaly| {
            set.insert(anomaly);
            set
        })
    }

    /// Adds one.
    pub fn insert(&mut self, anomaly: Anomaly) {
        self.0 |= 1 << anomaly.index();
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & (1 << anomaly.index()) != 0
    }

    /// Those of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::all().filter(move |anomaly| self.contains(*anomaly))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_anomaly_has_its_own_name_and_bit() {
        let all: Vec<Anomaly> = Anomaly::all().collect();
        for (at, anomaly) in all.iter().enumerate() {
            assert_eq!(Anomaly::by_name(&anomaly.to_string()), Some(*anomaly));
            assert!(!anomaly.words().is_empty(), "{anomaly}");
            let set = AnomalySet::of([*anomaly]);
            assert_eq!(set.iter().collect::<Vec<_>>(), [*anomaly]);
            assert!(all[..at].iter().all(|other| !set.contains(*other)));
        }
    }
}
