//! Makes random scenarios: the same ones for the same seeds.

use std::collections::BTreeSet;

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::feature::{Feature, some};
use super::scenario::{Act, Connection, Scenario, State};
use super::statement::Statements;

/// A full exploration of more orders takes too long.
const ORDERS_MAX: u128 = 900;
/// So many scenarios of the same features are drawn at the most.
const DRAWS_MAX: usize = 200;
/// Whoever waits longer than its limit is ended. It is longer than any step takes that does not wait, on a busy machine
/// too, and than a commit that waits may be late.
const STEP_TIMEOUT_MS: u32 = 5_000;
/// The same where there are schema changes.
const SCHEMA_CHANGE_MS: u32 = 20_000;
/// Longer than `innodb_lock_wait_timeout: 1`, on a busy machine as well.
const SLEEP_MS: u32 = 2_500;

/// The scenario of a seed.
pub fn scenario(seed: u64) -> Scenario {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    loop {
        let features = some(&mut random);
        let most = features.iter().map(|feature| feature.orders_max()).min();
        let most = most.unwrap_or(ORDERS_MAX);
        // Some have too many orders together, however they are drawn.
        for _ in 0..DRAWS_MAX {
            let made = Maker {
                random: &mut random,
                features: &features,
                seed,
            }
            .scenario();
            // One order is no choice.
            let fits = (2..=most).contains(&made.orders());
            if fits && made.has_all() && made.meets() && made.is_certain() {
                return made;
            }
        }
    }
}

struct Maker<'m> {
    random: &'m mut ChaCha8Rng,
    features: &'m BTreeSet<Feature>,
    seed: u64,
}

impl Maker<'_> {
    fn chance(&mut self, one_of: u32) -> bool {
        self.random.random_range(0..one_of) == 0
    }

    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    fn scenario(mut self) -> Scenario {
        let for_two = [Feature::LockLimits, Feature::UserLocks];
        let three = self.chance(3) && !for_two.iter().any(|one| self.has(*one));
        let names = &["a", "b", "c"][..if three { 3 } else { 2 }];
        let (setup, teardown) = self.tables();
        // Each feature is somebody's at the least, and others' as it comes.
        let mut owned: Vec<BTreeSet<Feature>> = vec![BTreeSet::new(); names.len()];
        for feature in self.features {
            let owner = self.random.random_range(0..names.len());
            for (number, own) in owned.iter_mut().enumerate() {
                if number == owner || self.random.random_range(0..2) == 0 {
                    own.insert(*feature);
                }
            }
        }
        let connections = names.iter().zip(owned).enumerate();
        let connections = connections
            .map(|(number, (name, own))| self.connection(number, name, &own, three))
            .collect();
        let mut vars = Vec::new();
        if self.has(Feature::SavedValues) {
            vars.push("s: 1".to_owned());
        }
        Scenario {
            features: self.features.clone(),
            step_timeout_ms: if self.has(Feature::SchemaChanges) {
                SCHEMA_CHANGE_MS
            } else {
                STEP_TIMEOUT_MS
            },
            vars,
            setup,
            teardown,
            connections,
        }
    }

    /// What makes the tables, and what drops those that are not in the trial's databases.
    fn tables(&mut self) -> (Vec<String>, Vec<String>) {
        let (mut setup, mut teardown) = (Vec::new(), Vec::new());
        let second = self.second();
        if self.has(Feature::OtherDatabase) {
            setup.push("drop database if exists ${database}_o".to_owned());
            setup.push("create database ${database}_o".to_owned());
            teardown.push("drop database if exists ${database}_o".to_owned());
        }
        for name in ["t", second] {
            let key = if name == second && self.has(Feature::RowIds) {
                "id int"
            } else {
                "id int primary key"
            };
            let partitioned = self.has(Feature::Partitions) && (name == "t" || self.chance(2));
            // A unique key of a partitioned table would have to hold what it is partitioned by.
            let unique = if partitioned { "key (k)" } else { "unique key (k)" };
            let mut columns = format!("{key}, n int, k int, {unique}");
            if self.has(Feature::GeneratedColumns) {
                columns.push_str(if self.chance(2) {
                    ", g int as (n * 2) stored, key (g)"
                } else {
                    ", g int as (n + k) virtual, unique key (g)"
                });
            }
            let parts = match (partitioned, self.chance(2)) {
                (false, _) => "",
                (true, false) => " partition by hash (id) partitions 2",
                (true, true) => {
                    " partition by range (id) (partition p0 values less than (2), partition p1 values less than maxvalue)"
                }
            };
            setup.push(format!("create table {name} ({columns}){parts}"));
            setup.push(format!(
                "insert into {name} (id, n, k) values (1, 0, 10), (2, 0, 20)"
            ));
        }
        if self.has(Feature::ForeignKeys) {
            let how = ["cascade", "set null", "restrict"];
            let (delete, update) = (how.choose(self.random), how.choose(self.random));
            let (delete, update) = (delete.expect("a way"), update.expect("a way"));
            setup.push(format!(
                "create table child (id int primary key, p int, foreign key (p) references t (id) \
                 on delete {delete} on update {update})"
            ));
            setup.push("insert into child values (1, 1), (2, 2)".to_owned());
        }
        if self.has(Feature::SchemaChanges) {
            setup.push("create table x (id int primary key, n int)".to_owned());
            setup.push("insert into x values (1, 1)".to_owned());
        }
        if self.has(Feature::AutoIncrement) {
            setup.push("create table q (id int auto_increment primary key, n int)".to_owned());
        }
        (setup, teardown)
    }

    fn second(&self) -> &'static str {
        if self.has(Feature::QuotedNames) {
            "`a``b`"
        } else if self.has(Feature::FurtherDatabase) {
            "${database.far}.u"
        } else if self.has(Feature::OtherDatabase) {
            "${database}_o.u"
        } else {
            "u"
        }
    }

    /// One connection, with what it has of the features.
    fn connection(
        &mut self,
        number: usize,
        name: &'static str,
        own: &BTreeSet<Feature>,
        three: bool,
    ) -> Connection {
        let mut settings = Vec::new();
        let mut vars = Vec::new();
        let optimistic = self.chance(5);
        if optimistic || self.chance(4) {
            let mode = if optimistic { "optimistic" } else { "pessimistic" };
            settings.push(format!("txn: {mode}"));
        }
        if self.chance(6) {
            settings.push("isolation: read committed".to_owned());
        }
        // Only a database that some connection uses is one of the trial's.
        let far = self.has(Feature::FurtherDatabase) && (number == 0 || self.chance(2));
        if far {
            settings.push("database: far".to_owned());
        }
        let limited = self.has(Feature::LockLimits) && number == 1;
        if limited {
            vars.push("innodb_lock_wait_timeout: 1".to_owned());
        }
        let mut states = self.transaction(own, far, three, limited);
        if own.contains(&Feature::Autocommit) && self.chance(2) {
            // Each statement outside a transaction begins one.
            vars.push("autocommit: 0".to_owned());
            states.retain(|state| !state.one().is_some_and(|sql| sql.starts_with("begin")));
            if let Some(state) = states.first_mut() {
                state.features.insert(Feature::Autocommit);
            }
        }
        if !vars.is_empty() {
            settings.push(format!("vars: {{{}}}", vars.join(", ")));
        }
        Connection {
            name,
            settings,
            states,
        }
    }

    fn transaction(&mut self, own: &BTreeSet<Feature>, far: bool, three: bool, limited: bool) -> Vec<State> {
        let second = self.second();
        let statements = Statements {
            features: own,
            // In a further database the trial's own is named, and the other way round.
            first: if far { "${database}.t" } else { "t" },
            second: if far { "u" } else { second },
            database: if far { "${database}." } else { "" },
            seed: self.seed,
        };
        let (least, most) = if self.has(Feature::LockLimits) {
            (0, 1)
        } else if own.contains(&Feature::UserLocks) {
            (0, 0)
        } else {
            (1, if three { 2 } else { 4 })
        };
        let count = self.random.random_range(least..=most);
        let mut inner: Vec<State> = (0..count).map(|_| statements.any(self.random)).collect();
        // A feature that is somebody's is seen in one of its statements.
        for feature in own {
            if !inner.iter().any(|state| state.features.contains(feature))
                && let Some(states) = statements.of(*feature, self.random)
            {
                let at = self.random.random_range(0..=inner.len());
                inner.splice(at..at, states);
            }
        }
        if limited {
            let (sql, otherwise) = if self.chance(3) {
                ("select n from T where id = 1 for update wait 1", "count: {ge: 0}")
            } else {
                ("update T set n = n + 10 where id = 1", "affected: {ge: 0}")
            };
            let state = State::sql(sql.replace('T', statements.first)).of(Feature::LockLimits);
            let either = format!("one_of: [{{{otherwise}}}, {{error: 1205}}]");
            inner.insert(0, state.expecting(either));
        } else if self.has(Feature::LockLimits) {
            let update = format!("update {} set n = n + 1 where id = 1", statements.first);
            inner.insert(0, State::sql(update));
            // With the lock that the other one asks for.
            let at = self.random.random_range(1..=inner.len());
            let act = if self.chance(3) {
                Act::Sql(vec![format!("select sleep({SLEEP_MS} / 1000)")])
            } else {
                Act::Sleep(SLEEP_MS)
            };
            inner.insert(at, State::new(act));
        }
        let auto = !self.has(Feature::LockLimits) && (self.chance(7) || self.has(Feature::UserLocks));
        let mut states = Vec::new();
        if !auto {
            let begin = match self.random.random_range(0..8) {
                _ if self.has(Feature::LockLimits) => "begin pessimistic",
                0 | 1 => "begin",
                2 => "begin optimistic",
                3 => "start transaction",
                4 if self.chance(2) => "begin /*T! optimistic */",
                _ => "begin pessimistic",
            };
            states.push(State::sql(begin));
        }
        states.extend(inner);
        if !auto {
            let end = if self.chance(6) { "rollback" } else { "commit" };
            states.push(State::sql(end));
        }
        for feature in own {
            self.put_in(*feature, &mut states);
        }
        states
    }

    /// Changes a connection's states so that they have a feature that is not a statement of its own.
    fn put_in(&mut self, feature: Feature, states: &mut Vec<State>) {
        let inside = |random: &mut ChaCha8Rng, states: &[State]| {
            random.random_range(1.min(states.len())..=states.len().saturating_sub(1).max(1).min(states.len()))
        };
        let put = |states: &mut Vec<State>, at: usize, sql: &str| {
            states.insert(at, State::sql(sql).of(feature));
        };
        match feature {
            Feature::ExpectedErrors => self.expect_errors(states),
            Feature::Lists => {
                for _ in 0..2 {
                    self.join(states, feature);
                }
            }
            Feature::Prepared => self.prepare(states, feature, false),
            Feature::PreparedEnds => self.prepare(states, feature, true),
            Feature::Savepoints => self.savepoints(states),
            Feature::Reconnects => {
                let act = if self.chance(4) {
                    // Nothing is done after that.
                    states.pop();
                    Act::Disconnect
                } else {
                    Act::Reconnect
                };
                let at = match act {
                    Act::Disconnect => states.len(),
                    _ => inside(self.random, states),
                };
                states.insert(at, State::new(act).of(feature));
            }
            Feature::SchemaChanges => {
                let at = inside(self.random, states);
                let changes = [
                    "truncate table x",
                    "alter table x add column m int default 5",
                    "create table y (id int primary key)",
                    "drop table if exists x",
                    "create index i on x (n)",
                ];
                let change = changes.choose(self.random).expect("a change");
                put(states, at, change);
            }
            Feature::UnlockTables => {
                let ends = [
                    "unlock tables",
                    "unlock tables",
                    "flush tables",
                    "lock tables t write",
                ];
                let end = ends.choose(self.random).expect("a statement");
                put(states, inside(self.random, states), end);
            }
            Feature::Autocommit => {
                let begin = states
                    .iter()
                    .position(|state| state.one().is_some_and(|sql| sql.starts_with("begin")));
                match begin {
                    Some(at) if self.chance(2) => {
                        states[at] = State::sql("set autocommit = 0").of(feature);
                        if self.chance(2) {
                            let last = states.len() - 1;
                            states[last] = State::sql("set autocommit = 1").of(feature);
                        }
                    }
                    _ => {
                        let value = self.random.random_range(0..2);
                        put(
                            states,
                            inside(self.random, states),
                            &format!("set autocommit = {value}"),
                        );
                    }
                }
            }
            Feature::BeginInside => {
                let begins = [
                    "begin",
                    "begin pessimistic",
                    "begin optimistic",
                    "start transaction",
                ];
                let at = inside(self.random, states);
                put(states, at, begins.choose(self.random).expect("a begin"));
            }
            Feature::Chain => {
                let at = inside(self.random, states);
                let ends = ["commit and chain", "rollback and chain", "commit and no chain"];
                put(states, at, ends.choose(self.random).expect("an end"));
            }
            Feature::OpenEnds => {
                let ends = |state: &State| {
                    state
                        .one()
                        .is_some_and(|sql| ["commit", "rollback"].contains(&sql))
                };
                states.retain(|state| !ends(state));
                if let Some(state) = states.last_mut() {
                    state.features.insert(feature);
                }
            }
            _ => {}
        }
    }

    /// Says of statements that they may be refused, sometimes with another error than they get.
    fn expect_errors(&mut self, states: &mut [State]) {
        for state in states {
            let Some(sql) = state.one() else { continue };
            let word = sql.split(' ').next().unwrap_or_default();
            let (codes, otherwise): (&[u16], &str) = match word {
                "commit" => (&[9007, 1062], "affected: 0"),
                "update" | "insert" | "delete" | "replace" => {
                    (&[1062, 1213, 1213, 9007], "affected: {ge: 0}")
                }
                "select" if sql.contains("for update") => (&[1213, 3572], "count: {ge: 0}"),
                _ => continue,
            };
            if state.expects.is_some() || self.random.random_range(0..4) == 0 {
                continue;
            }
            let code = codes.choose(self.random).expect("a code");
            let any = self.random.random_range(0..6) == 0;
            let error = if any { "any".to_owned() } else { code.to_string() };
            state.expects = Some(format!("one_of: [{{{otherwise}}}, {{error: {error}}}]"));
            state.features.insert(Feature::ExpectedErrors);
        }
    }

    /// Makes a list of two states that follow each other.
    fn join(&mut self, states: &mut Vec<State>, feature: Feature) {
        let plain = |state: &State| matches!(state.act, Act::Sql(_)) && state.save.is_none();
        let pairs: Vec<usize> = (1..states.len())
            .filter(|at| {
                // What the first one expects would be asked of both.
                plain(&states[at - 1]) && plain(&states[*at]) && states[at - 1].expects.is_none()
            })
            .collect();
        let Some(at) = pairs.choose(self.random).copied() else {
            return;
        };
        let second = states.remove(at);
        let first = &mut states[at - 1];
        if let (Act::Sql(statements), Act::Sql(more)) = (&mut first.act, second.act) {
            statements.extend(more);
        }
        first.expects = second.expects;
        first.features.extend(second.features);
        first.features.insert(feature);
    }

    /// Prepares a statement, or the begin or the end of a transaction, and executes it in its place.
    fn prepare(&mut self, states: &mut Vec<State>, feature: Feature, ends: bool) {
        let fits = |state: &State| {
            state.one().is_some_and(|sql| {
                let word = sql.split(' ').next().unwrap_or_default();
                if ends {
                    ["begin", "commit", "rollback"].contains(&word) && !sql.contains(" to ")
                } else {
                    ["select", "update", "insert", "delete", "replace"].contains(&word)
                }
            })
        };
        let those: Vec<usize> = (0..states.len()).filter(|at| fits(&states[*at])).collect();
        let Some(at) = those.choose(self.random).copied() else {
            return;
        };
        let sql = states[at].one().unwrap_or_default().replace('\'', "''");
        let name = if ends { "e" } else { "p" };
        let prepare = format!("prepare {name} from '{sql}'");
        let execute = format!("execute {name}");
        states[at].features.insert(feature);
        if self.chance(2) {
            states[at].act = Act::Sql(vec![prepare, execute]);
        } else {
            states[at].act = Act::Sql(vec![execute]);
            let before = self.random.random_range(0..=at);
            states.insert(before, State::sql(prepare));
        }
    }

    /// Puts savepoints into a transaction, and goes back to one of them or releases it.
    fn savepoints(&mut self, states: &mut Vec<State>) {
        // Before the end of the transaction, mostly.
        let ends = |state: &State| {
            state
                .one()
                .is_some_and(|sql| ["commit", "rollback"].contains(&sql))
        };
        let after = self.chance(8) || !states.last().is_some_and(ends);
        let mut last = states.len() - usize::from(!after);
        let first = self.random.random_range(1.min(last)..=last);
        let mut names = vec!["s"];
        let mut at = vec![first];
        if self.chance(2) {
            names.push(if self.chance(3) { "s" } else { "r" });
            at.push(self.random.random_range(first..=last) + 1);
        }
        for (at, name) in at.iter().zip(&names) {
            last += 1;
            states.insert(
                *at,
                State::sql(format!("savepoint {name}")).of(Feature::Savepoints),
            );
        }
        let low = at.last().copied().unwrap_or(first) + 1;
        let end = self.random.random_range(low.min(last)..=last);
        let name = names.choose(self.random).expect("a savepoint");
        let sql = match self.random.random_range(0..4) {
            0 => format!("release savepoint {name}"),
            1 => format!("rollback to savepoint {name}"),
            _ => format!("rollback to {name}"),
        };
        states.insert(end, State::sql(sql).of(Feature::Savepoints));
    }
}
