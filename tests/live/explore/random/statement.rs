//! Random statements: plain ones, and those that features are about.

use std::collections::BTreeSet;

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use super::feature::Feature;
use super::scenario::{Act, State};

/// What the statements of one connection are made of.
pub struct Statements<'s> {
    pub features: &'s BTreeSet<Feature>,
    /// The two tables, as this connection writes their names.
    pub first: &'s str,
    pub second: &'s str,
    /// What stands before the names of further tables.
    pub database: &'s str,
    pub seed: u64,
}

/// A row's number: so few, and one so often, that connections meet.
fn row(random: &mut ChaCha8Rng) -> i64 {
    *[1, 1, 1, 2, 2, 3].choose(random).expect("a row")
}

impl Statements<'_> {
    /// A statement, which may be one of the connection's features.
    pub fn any(&self, random: &mut ChaCha8Rng) -> State {
        if random.random_range(0..2) == 0 {
            let own: Vec<Feature> = self.features.iter().copied().collect();
            if let Some(states) = own.choose(random).and_then(|feature| self.of(*feature, random))
                && let [one] = states.as_slice()
            {
                return one.clone();
            }
        }
        self.plain(random)
    }

    fn table(&self, random: &mut ChaCha8Rng) -> (String, Option<Feature>) {
        let second = random.random_range(0..3) == 0;
        let name = if second { self.second } else { self.first };
        let has = |feature: Feature| self.features.contains(&feature);
        if has(Feature::QualifiedNames) && random.random_range(0..3) > 0 {
            let small = name;
            let names = [
                format!("${{database}}.{small}"),
                format!("`{small}`"),
                small.to_uppercase(),
                format!("`${{database}}` . `{small}`"),
                format!("/* of */ {small}"),
            ];
            let name = names.choose(random).expect("a name").clone();
            return (name, Some(Feature::QualifiedNames));
        }
        let feature = match (second, has(Feature::QuotedNames), has(Feature::Partitions)) {
            (true, true, _) => Some(Feature::QuotedNames),
            (false, _, true) => Some(Feature::Partitions),
            _ if second && has(Feature::OtherDatabase) => Some(Feature::OtherDatabase),
            _ if second && has(Feature::FurtherDatabase) => Some(Feature::FurtherDatabase),
            _ => None,
        };
        (name.to_owned(), feature)
    }

    /// A statement of one of the two tables.
    fn plain(&self, random: &mut ChaCha8Rng) -> State {
        let (name, feature) = self.table(random);
        let (id, n) = (row(random), random.random_range(1..=9));
        let places = ["id = ID", "id = ID", "id = ID", "id >= ID", "n >= 0", "k = ID0"];
        let place = places
            .choose(random)
            .expect("a place")
            .replace("ID", &id.to_string());
        let sql = match random.random_range(0..12) {
            0..=3 => format!("update {name} set n = n + {n} where {place}"),
            4 => format!("update {name} set k = {id}0 where id = {}", row(random)),
            5 => format!("insert into {name} (id, n, k) values ({id}, {n}, {n}0)"),
            6 => format!(
                "insert ignore into {name} (id, n, k) values ({}, {n}, {id}0)",
                id + 1
            ),
            7 => format!("delete from {name} where {place}"),
            8 => format!("select n from {name} where {place} order by id for update"),
            9 => format!("select n from {name} where id = {id} for update"),
            _ => format!("select id, n from {name} where {place} order by id"),
        };
        let state = State::sql(sql);
        match feature {
            Some(feature) => state.of(feature),
            None => state,
        }
    }

    /// Statements of a feature, where it has any of its own.
    pub fn of(&self, feature: Feature, random: &mut ChaCha8Rng) -> Option<Vec<State>> {
        let (t, u, database) = (self.first, self.second, self.database);
        let (id, other) = (row(random), row(random));
        let n = random.random_range(1..=9);
        let pick = |random: &mut ChaCha8Rng, texts: &[String]| {
            let text = texts.choose(random).expect("a statement");
            State::sql(text.clone()).of(feature)
        };
        let one = match feature {
            Feature::Params => {
                let (text, params) = match random.random_range(0..4) {
                    0 => (format!("update {t} set n = n + ? where id = ?"), vec![n, id]),
                    1 => (
                        format!("insert into {u} (id, n, k) values (?, ?, 70)"),
                        vec![id, n],
                    ),
                    2 => (format!("delete from {t} where id >= ?"), vec![id]),
                    _ => (format!("select n from {t} where id = ? for update"), vec![id]),
                };
                State::new(Act::Params(text, params)).of(feature)
            }
            Feature::QuotedNames | Feature::FurtherDatabase | Feature::OtherDatabase => pick(
                random,
                &[
                    format!("update {u} set n = n + {n} where id = {id}"),
                    format!("update {u} set n = n * 2 + 1"),
                    format!("select id, n from {u} order by id"),
                    format!("delete from {u} where id = {id}"),
                ],
            ),
            Feature::QualifiedNames => pick(
                random,
                &[
                    format!("update ${{database}}.{t} set {t}.n = n + {n} where {t}.id = {id}"),
                    format!("update {t} as x set x.n = x.n + {n} where x.id >= {id}"),
                    format!("select x.id, x.n from `${{database}}`.`{u}` x order by x.id"),
                    format!("select N from {} where ID = {id} FOR UPDATE", t.to_uppercase()),
                    format!("update/* u */{u}/* t */set n = n + {n} -- {t}"),
                ],
            ),
            Feature::GeneratedColumns => pick(
                random,
                &[
                    format!("select id, g from {t} order by id"),
                    format!("select id, n from {t} where g >= {n} order by id for update"),
                    format!("update {t} set n = n + {n} where g = 0"),
                    format!("update {t} set n = {n} where id = {id}"),
                    format!("delete from {t} where g > {n}"),
                ],
            ),
            Feature::ForeignKeys => pick(
                random,
                &[
                    format!("delete from {t} where id = {id}"),
                    format!("update {t} set id = id + 10 where id = {id}"),
                    format!("insert into {database}child values ({}, {other})", id + 2),
                    format!("update {database}child set p = {other} where id = {id}"),
                    format!("delete from {database}child where p = {id}"),
                    format!("select id, p from {database}child order by id"),
                    format!("replace into {t} (id, n, k) values ({id}, {n}, {id}0)"),
                ],
            ),
            Feature::Partitions => pick(
                random,
                &[
                    format!("select id, n from {t} partition (p0) order by id"),
                    format!("select id, n from {t} partition (p1) order by id for update"),
                    format!("update {t} partition (p1) set n = n + {n}"),
                    format!("update {t} set id = id + 1 where id = {id}"),
                    format!("delete from {t} partition (p0) where n = 0"),
                    format!("update {t} set n = n + {n} where id = {id}"),
                ],
            ),
            Feature::UniqueKeys => pick(
                random,
                &[
                    format!("update {t} set k = k + 10"),
                    format!("update {t} set k = {other}0 where k = {id}0"),
                    format!("update {t} set id = {other} where id = {id}"),
                    format!("insert into {t} (id, n, k) values ({}, {n}, {other}0)", id + 2),
                    format!("select id from {t} where k = {other}0 for update"),
                    format!("delete from {t} where k = {other}0"),
                ],
            ),
            Feature::Upserts => pick(
                random,
                &[
                    format!(
                        "insert into {t} (id, n, k) values ({id}, {n}, {other}0) on duplicate key update n = n + {n}"
                    ),
                    format!(
                        "insert into {t} (id, n, k) values ({id}, {n}, {other}0), ({other}, {n}, {id}0) \
                         on duplicate key update k = k + 1"
                    ),
                    format!("replace into {t} (id, n, k) values ({id}, {n}, {other}0)"),
                    format!("replace into {u} (id, n, k) select id, n + 1, k from {t} where id = {id}"),
                    format!("insert ignore into {t} (id, n, k) values ({id}, {n}, {other}0)"),
                ],
            ),
            Feature::Nowait => {
                let state = pick(
                    random,
                    &[
                        format!("select id, n from {t} where id = {id} for update nowait"),
                        format!("select id, n from {t} order by id for update nowait"),
                        format!("select id, n from {t} where id >= {id} order by id for update skip locked"),
                        format!("select id, n from {u} where k = {id}0 for update nowait"),
                    ],
                );
                if random.random_range(0..2) == 0 {
                    state.expecting("one_of: [{count: {ge: 0}}, {error: 3572}]")
                } else {
                    state
                }
            }
            Feature::AsOf => {
                let mut time = State::new(Act::Sql(vec![
                    "do sleep(0.02)".to_owned(),
                    "select now(6) as at, sleep(0.02) as slept".to_owned(),
                ]));
                time.save = Some(("at".to_owned(), "at".to_owned()));
                let read = format!("select id, n from {t} as of timestamp '${{at}}' order by id");
                // No transaction may be open.
                let rollback = State::sql("rollback");
                return Some(vec![rollback, time, State::sql(read).of(feature)]);
            }
            Feature::SessionReads => pick(
                random,
                &[
                    "select row_count()".to_owned(),
                    "select found_rows()".to_owned(),
                    "select last_insert_id()".to_owned(),
                    format!("select last_insert_id({n})"),
                    format!("update {t} set n = last_insert_id(n + {n}) where id = {id}"),
                    format!("update {t} set n = n + 1 where id > row_count()"),
                    "select @@warning_count, @@error_count".to_owned(),
                    format!("select sleep(0), n from {t} where id = {id} for update"),
                    format!("insert into {u} (id, n, k) select {id} + 3, sleep(0), 80"),
                ],
            ),
            Feature::RowIds => pick(
                random,
                &[
                    format!("select _tidb_rowid, n from {u} order by id"),
                    format!("insert into {u} (id, n, k) values ({id}, {n}, {}0)", id + 2),
                    format!("update {u} set n = n + {n} where _tidb_rowid = 1"),
                    format!("delete from {u} where _tidb_rowid = 2"),
                ],
            ),
            Feature::AutoIncrement => pick(
                random,
                &[
                    format!("insert into {database}q (n) values ({n})"),
                    format!("insert into {database}q (n) values ({n}), ({id})"),
                    "select last_insert_id()".to_owned(),
                    format!("select id, n from {database}q order by id"),
                ],
            ),
            Feature::SessionVariables => pick(
                random,
                &[
                    format!("set @x = (select max(n) from {t})"),
                    format!("set @x = {n}"),
                    "select @x".to_owned(),
                    format!("select @x := n from {t} where id = {id}"),
                    format!("update {t} set n = ifnull(@x, 0) + {n} where id = {id}"),
                    "set tidb_txn_mode = 'optimistic'".to_owned(),
                    "set transaction_isolation = 'READ-COMMITTED'".to_owned(),
                ],
            ),
            Feature::UserLocks => {
                let name = format!("random_{}", self.seed);
                return Some(vec![
                    State::sql(format!("select get_lock('{name}', 50)")).of(feature),
                    State::sql(format!("update {t} set n = n * 2 + 1 where id = 1")),
                    State::sql(format!("do release_lock('{name}')")),
                ]);
            }
            Feature::SavedValues => {
                let mut save = State::sql(format!("select ifnull(max(n), 0) as s from {t}")).of(feature);
                save.save = Some(("s".to_owned(), "s".to_owned()));
                let texts = [
                    format!("update {t} set n = ${{s}} + {n} where id = {id}"),
                    format!("update {u} set n = ${{s}} * 2 + n"),
                    format!("insert into {u} (id, n, k) values (${{s}}, {n}, 90)"),
                ];
                return Some(vec![save, pick(random, &texts)]);
            }
            Feature::SeveralTables => pick(
                random,
                &[
                    format!("update {t} x, {u} y set x.n = x.n + y.n + 1 where x.id = y.id"),
                    format!("insert into {t} (id, n, k) select id + 10, n, k + 500 from {u} where id = {id}"),
                    format!("delete x from {t} x join {u} y on x.id = y.id where y.n > 0"),
                    format!("select x.n, y.n from {t} x join {u} y on x.id = y.id order by x.id for update"),
                    format!(
                        "select x.id, y.n from {t} x join {u} y on x.id = y.id order by x.id for update of x"
                    ),
                    format!(
                        "with w as (select sum(n) as n from {u}) select x.id, w.n from {t} x, w order by x.id"
                    ),
                    format!("update {t} set n = (select max(n) + {n} from {u}) where id = {id}"),
                    format!(
                        "with w as (select max(n) + {n} as n from {u}) update {t} x, w set x.n = w.n where x.id = {id}"
                    ),
                    format!("table {u} order by id"),
                    format!("(select id, n from {t} order by id)"),
                    format!("select id, n from {t} where id in (select id from {u} where n > 0) order by id"),
                    format!("select id from {t} union select n from {u} order by id"),
                ],
            ),
            _ => return None,
        };
        Some(vec![one])
    }
}
