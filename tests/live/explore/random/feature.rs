//! What a random scenario may have in it beside plain transactions.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tidb_scenarios::engine::Explored;
use tidb_scenarios::engine::TrialPlan;

use super::scenario::Scenario;

macro_rules! features {
    ($($name:ident, $text:literal, $weight:literal, $orders:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Feature {
            $($name,)*
        }

        impl Feature {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// How often it is taken, in comparison with others.
            fn weight(self) -> u32 {
                match self {
                    $(Self::$name => $weight,)*
                }
            }

            /// More orders than these take too long: where each needs new databases, or somebody's limit is waited for.
            pub fn orders_max(self) -> u128 {
                match self {
                    $(Self::$name => $orders,)*
                }
            }
        }
    };
}

features! {
    ExpectedErrors, "expected errors", 8, 900;
    Lists, "lists of statements", 6, 900;
    Prepared, "prepared statements", 5, 70;
    PreparedEnds, "prepared begin, commit and rollback", 4, 70;
    Params, "params", 4, 900;
    QuotedNames, "quoted names", 4, 900;
    QualifiedNames, "qualified names", 4, 900;
    FurtherDatabase, "a further database", 3, 70;
    OtherDatabase, "a database of the setup's own", 3, 70;
    Savepoints, "savepoints", 5, 900;
    Reconnects, "reconnects", 5, 300;
    SchemaChanges, "schema changes that commit", 3, 25;
    UnlockTables, "unlock tables and its like", 4, 70;
    Autocommit, "autocommit", 5, 300;
    BeginInside, "begin in a transaction", 4, 900;
    Chain, "and chain", 3, 900;
    GeneratedColumns, "generated columns", 4, 900;
    ForeignKeys, "foreign keys", 6, 900;
    Partitions, "partitions", 4, 900;
    UniqueKeys, "unique keys", 4, 900;
    Upserts, "upserts", 5, 900;
    Nowait, "nowait and skip locked", 4, 900;
    LockLimits, "limits of lock waits", 3, 70;
    AsOf, "as of a saved time", 2, 200;
    SessionReads, "functions of the session, and sleep", 4, 300;
    RowIds, "_tidb_rowid", 3, 300;
    AutoIncrement, "auto_increment", 2, 40;
    SessionVariables, "session variables", 4, 300;
    UserLocks, "user-level locks", 2, 70;
    SavedValues, "saved values", 4, 900;
    SeveralTables, "statements of several tables", 5, 900;
    OpenEnds, "transactions that are left open", 3, 40;
}

/// Which cannot be in one scenario: both say what the second table is, or both need time.
const APART: &[&[Feature]] = &[
    &[
        Feature::QuotedNames,
        Feature::FurtherDatabase,
        Feature::OtherDatabase,
        Feature::RowIds,
    ],
    &[
        Feature::FurtherDatabase,
        Feature::OtherDatabase,
        Feature::QualifiedNames,
    ],
    &[
        Feature::LockLimits,
        Feature::AsOf,
        Feature::UserLocks,
        Feature::OpenEnds,
        Feature::SchemaChanges,
    ],
    // Foreign keys refer to a unique column, and a partitioned table has none of those.
    &[Feature::ForeignKeys, Feature::Partitions],
    // Whoever gives up keeps a lock of its session, for which the others wait longer than a test may.
    &[Feature::UserLocks, Feature::ExpectedErrors, Feature::OpenEnds],
];

/// One to three of them, each as often as its weight says.
pub fn some(random: &mut ChaCha8Rng) -> BTreeSet<Feature> {
    let wanted = random.random_range(1..=3);
    let mut features = BTreeSet::new();
    while features.len() < wanted {
        let sum: u32 = Feature::ALL.iter().map(|one| one.weight()).sum();
        let mut at = random.random_range(0..sum);
        let drawn = Feature::ALL.iter().copied().find(|one| {
            let here = at < one.weight();
            at = at.saturating_sub(one.weight());
            here
        });
        let drawn = drawn.expect("one of all");
        let apart = APART.iter().any(|group| {
            group.contains(&drawn)
                && features
                    .iter()
                    .any(|other| *other != drawn && group.contains(other))
        });
        if !apart {
            features.insert(drawn);
        }
    }
    features
}

/// How often each feature was there, and how often something came of it.
#[derive(Debug, Default)]
pub struct Tally {
    of: BTreeMap<Feature, (usize, usize)>,
}

impl Tally {
    /// Counts the features of a scenario, and whether a step of each was really done in some order.
    pub fn add(&mut self, scenario: &Scenario, plan: &TrialPlan, explored: &Explored) {
        for feature in &scenario.features {
            let done = (0..plan.steps.len()).any(|step| {
                let state = scenario.state(step);
                state.features.contains(feature)
                    && explored.outcomes.iter().any(|class| {
                        let answer = class.outcome.answers[step].1.as_str();
                        match feature {
                            Feature::ExpectedErrors => answer.starts_with("error "),
                            Feature::LockLimits => answer == "error 1205",
                            _ => answer != "not run" && !answer.starts_with("error "),
                        }
                    })
            });
            let (there, exercised) = self.of.entry(*feature).or_default();
            *there += 1;
            *exercised += usize::from(done);
        }
    }

    /// Those of which nothing came.
    pub fn missing(&self) -> Vec<&'static str> {
        let done = |feature: &Feature| self.of.get(feature).is_some_and(|(_, done)| *done > 0);
        let all = Feature::ALL.iter().filter(|feature| !done(feature));
        all.map(|feature| feature.name()).collect()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for feature in Feature::ALL {
            let (there, done) = self.of.get(feature).copied().unwrap_or_default();
            writeln!(
                f,
                "{:<36} in {there:>3} scenarios, done in {done:>3}",
                feature.name()
            )?;
        }
        Ok(())
    }
}
