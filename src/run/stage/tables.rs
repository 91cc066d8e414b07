//! The tables of a stage: which there are, what they hold, and how their rows are put back.

use std::time::Instant;

use super::Stage;
use crate::history::{CheckId, CheckRecord, History, Outcome, SqlValue};
use crate::run::error::TrialError;
use crate::run::trial::databases;
use crate::sql::Product;

/// More rows than this are not kept here to be put back: the setup is run again for them.
const ROWS_KEPT_MAX: usize = 2_000;
/// So many rows are put back by one INSERT.
const ROWS_AT_ONCE: usize = 200;

/// A table that is looked at after each order.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// As a scenario names it: `t`, or `${database.shop}.t` of a further database.
    pub name: String,
    /// As the final expectations read it, too.
    select: String,
}

/// A table as the setup left it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    name: String,
    /// The columns that can be written.
    columns: Vec<String>,
    /// Their values.
    rows: Vec<Vec<SqlValue>>,
    /// All columns, as they are read.
    whole: Vec<Vec<SqlValue>>,
}

impl Stage {
    /// Finds the tables of the trial's databases; tells whether each is one whose rows can be put back exactly.
    pub(super) async fn find_tables(&mut self) -> Result<bool, TrialError> {
        let real = databases(&self.plan, &self.settings.database);
        let listed = real.iter().map(|name| format!("'{}'", escaped(name)));
        let listed = listed.collect::<Vec<_>>().join(", ");
        let no_auto_random = match self.server_name.1 {
            Product::TiDb => "and tidb_row_id_sharding_info not like 'PK_AUTO_RANDOM%'",
            Product::MariaDb | Product::MySql => "",
        };
        let set = self
            .ask(&format!(
                "select table_schema, table_name, \
                 table_type = 'BASE TABLE' and auto_increment is null {no_auto_random}, table_type \
                 from information_schema.tables where table_schema in ({listed}) order by table_schema, table_name"
            ))
            .await?;
        let mut plain = true;
        self.tables.clear();
        self.only_tables = self.plan.servers.is_empty() && self.plan.databases.is_empty();
        for row in set.rows {
            if let [
                SqlValue::Text(schema),
                SqlValue::Text(name),
                is_plain,
                SqlValue::Text(kind),
            ] = row.as_slice()
            {
                plain &= *is_plain == SqlValue::Int(1);
                self.only_tables &= kind == "BASE TABLE";
                // A sequence has no rows to read.
                if kind == "SEQUENCE" {
                    continue;
                }
                // The trial's own database is the first.
                let further = real
                    .iter()
                    .skip(1)
                    .position(|real| real.eq_ignore_ascii_case(schema));
                let further = further.and_then(|number| self.plan.databases.get(number));
                self.tables.push(match further {
                    None => Table {
                        name: name.clone(),
                        select: select_all(name),
                    },
                    Some(own) => Table {
                        name: format!("${{database.{own}}}.{name}"),
                        select: format!("select * from {}.{}", quoted(schema), quoted(name)),
                    },
                });
            }
        }
        self.now = vec![None; self.tables.len()];
        Ok(plain)
    }

    pub(super) async fn look_at_tables(&mut self) -> Result<(), TrialError> {
        let plain = self.find_tables().await?;
        let ties = self
            .ask(&format!(
                "select count(*) from information_schema.referential_constraints where constraint_schema = '{}'",
                self.settings.database
            ))
            .await?;
        self.tied = ties.rows.iter().flatten().any(|cell| *cell != SqlValue::Int(0));
        let one_server = self.plan.servers.is_empty() && self.plan.databases.is_empty();
        self.kept = None;
        if plain && one_server && !self.tables_change {
            self.keep_rows().await?;
        }
        Ok(())
    }

    /// Keeps what the tables hold, to put it back.
    pub(super) async fn keep_rows(&mut self) -> Result<(), TrialError> {
        let mut kept = Vec::new();
        let mut count = 0;
        for (number, table) in self.tables.clone().into_iter().enumerate() {
            let name = table.name;
            let columns = self
                .ask(&format!(
                    "select column_name from information_schema.columns where table_schema = '{}' \
                     and table_name = '{}' and extra not like '%GENERATED%' order by ordinal_position",
                    self.settings.database,
                    escaped(&name)
                ))
                .await?;
            let columns: Vec<String> = columns
                .rows
                .into_iter()
                .flatten()
                .filter_map(|cell| match cell {
                    SqlValue::Text(name) => Some(quoted(&name)),
                    _ => None,
                })
                .collect();
            let rows = self
                .ask(&format!("select {} from {}", columns.join(", "), quoted(&name)))
                .await?
                .rows;
            let whole = self.ask(&table.select).await?.rows;
            count += rows.len();
            self.now[number] = Some(sorted(&whole));
            kept.push(Kept {
                name,
                columns,
                rows,
                whole: sorted(&whole),
            });
        }
        self.kept = Some(kept).filter(|_| count <= ROWS_KEPT_MAX);
        Ok(())
    }

    /// What all tables hold at the end.
    pub(super) async fn read_tables(&mut self, history: &mut History) {
        for number in 0..self.tables.len() {
            let Table { name, select: sql } = self.tables[number].clone();
            history.tables.push(name);
            let started = Instant::now();
            let outcome = self.main().execute(&sql).await;
            self.now[number] = match &outcome {
                Outcome::Rows(set) => Some(sorted(&set.rows)),
                _ => None,
            };
            history.asked.push((sql.clone(), history.checks.len()));
            history.checks.push(CheckRecord {
                check: CheckId::Rows(number),
                outcome,
                took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
                warnings: None,
                plan: None,
            });
        }
    }

    /// Puts back the rows of tables that differ; tells whether all is as it was.
    pub(super) async fn put_back(&mut self) -> Result<bool, TrialError> {
        let Some(kept) = self.kept.clone() else {
            return Ok(false);
        };
        let differ: Vec<usize> = (0..kept.len())
            .filter(|number| self.now[*number].as_ref() != Some(&kept[*number].whole))
            .collect();
        if differ.is_empty() {
            return Ok(true);
        }
        if self.tied {
            self.main().execute("set foreign_key_checks = 0").await;
        }
        for number in &differ {
            let table = &kept[*number];
            let name = quoted(&table.name);
            self.main().execute(&format!("delete from {name}")).await;
            for rows in table.rows.chunks(ROWS_AT_ONCE) {
                let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
                let sql = format!(
                    "insert into {name} ({}) values {}",
                    table.columns.join(", "),
                    vec![row; rows.len()].join(", ")
                );
                let values: Vec<SqlValue> = rows.iter().flatten().cloned().collect();
                self.main().connection.execute_prepared(&sql, &values).await;
            }
        }
        if self.tied {
            self.main().execute("set foreign_key_checks = 1").await;
        }
        for number in differ {
            let rows = self.ask(&select_all(&kept[number].name)).await?.rows;
            self.now[number] = Some(sorted(&rows));
        }
        Ok((0..kept.len()).all(|number| self.now[number].as_ref() == Some(&kept[number].whole)))
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Text inside quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "''")
}

/// As the final expectations read a table, too.
fn select_all(name: &str) -> String {
    format!("select * from {}", quoted(name))
}

fn sorted(rows: &[Vec<SqlValue>]) -> Vec<Vec<SqlValue>> {
    let mut keyed: Vec<(String, &Vec<SqlValue>)> = rows.iter().map(|row| (format!("{row:?}"), row)).collect();
    keyed.sort_by(|one, other| one.0.cmp(&other.0));
    keyed.into_iter().map(|(_, row)| row.clone()).collect()
}
