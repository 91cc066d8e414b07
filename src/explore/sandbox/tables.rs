//! The tables of a sandbox: which there are, what they hold, and how their rows are put back.

use std::time::Instant;

use super::changes::makes_databases;
use crate::history::{CheckId, CheckRecord, History, Outcome, RowSet, SqlValue};
use crate::plan::TrialPlan;
use crate::run::{Control, TrialError, databases};
use crate::sql::Product;

/// More rows than this are not kept here to be put back: the setup is run again for them.
const ROWS_KEPT_MAX: usize = 2_000;
/// So many rows are put back by one INSERT.
const ROWS_AT_ONCE: usize = 200;

/// A table that is looked at after each schedule.
#[derive(Debug, Clone)]
struct Table {
    /// As a scenario names it: `t`, or `${database.shop}.t` of a further database.
    name: String,
    /// As the final expectations read it, too.
    select: String,
}

/// A table as the setup left it.
#[derive(Debug, Clone)]
struct Snapshot {
    name: String,
    /// The columns that can be written.
    columns: Vec<String>,
    /// Their values.
    rows: Vec<Vec<SqlValue>>,
    /// All columns, in the order in which they are read: that, too, is part of what the setup left.
    whole: Vec<Vec<SqlValue>>,
}

/// The tables of a trial's databases.
#[derive(Debug)]
pub(super) struct Tables {
    /// The real names of the databases, the trial's own first.
    databases: Vec<String>,
    /// The names of the further ones in the scenario.
    further: Vec<String>,
    /// Whether statements can reach no other server and no other database.
    alone: bool,
    /// In the order of their databases and names.
    tables: Vec<Table>,
    /// Whether a foreign key ties tables to each other.
    tied: bool,
    /// Tables that take the time into their rows by themselves.
    timed: Vec<String>,
    /// Whether there are no views and sequences.
    only_tables: bool,
    /// The tables as the setup left them, where they can be put back.
    snapshot: Option<Vec<Snapshot>>,
    /// What each table holds now, where that is known.
    now: Vec<Option<Vec<Vec<SqlValue>>>>,
}

impl Tables {
    /// Nothing is known of them yet.
    pub fn new(plan: &TrialPlan, database: &str) -> Self {
        Self {
            databases: databases(plan, database),
            further: plan.databases.clone(),
            alone: plan.servers.is_empty() && plan.databases.is_empty() && !makes_databases(plan),
            tables: Vec::new(),
            tied: false,
            timed: Vec::new(),
            only_tables: false,
            snapshot: None,
            now: Vec::new(),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// Whether they are all that statements can touch.
    pub fn are_all(&self) -> bool {
        self.alone && self.only_tables
    }

    pub fn are_tied(&self) -> bool {
        self.tied
    }

    /// Tables that take the time into their rows by themselves: a column's default, or ON UPDATE.
    pub fn timed(&self) -> &[String] {
        &self.timed
    }

    /// Whether rows can be put back.
    pub fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    pub fn drop_snapshot(&mut self) {
        self.snapshot = None;
    }

    /// Whether it is known what all of them hold now.
    pub fn are_known(&self) -> bool {
        self.now.iter().all(Option::is_some)
    }

    /// What they hold is not known any more.
    pub fn forget(&mut self) {
        self.now = vec![None; self.tables.len()];
    }

    /// Finds the tables of the trial's databases; tells whether each is one whose rows can be put back exactly.
    pub async fn find(&mut self, control: &mut Control) -> Result<bool, TrialError> {
        let listed = self.databases.iter().map(|name| format!("'{}'", escaped(name)));
        let listed = listed.collect::<Vec<_>>().join(", ");
        let no_auto_random = match control.connection.product() {
            Product::TiDb => "and tidb_row_id_sharding_info not like 'PK_AUTO_RANDOM%'",
            Product::MariaDb | Product::MySql => "",
        };
        let set = ask(
            control,
            &format!(
                "select table_schema, table_name, \
                 table_type = 'BASE TABLE' and auto_increment is null {no_auto_random}, table_type \
                 from information_schema.tables where table_schema in ({listed}) order by table_schema, table_name"
            ),
        )
        .await?;
        let mut plain = true;
        self.tables.clear();
        self.only_tables = true;
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
                if kind != "SEQUENCE" {
                    let table = self.table(schema, name);
                    self.tables.push(table);
                }
            }
        }
        self.forget();
        Ok(plain)
    }

    fn table(&self, schema: &str, name: &str) -> Table {
        // The trial's own database is the first.
        let mut further = self.databases.iter().skip(1).zip(&self.further);
        match further.find(|(real, _)| real.eq_ignore_ascii_case(schema)) {
            None => Table {
                name: name.to_owned(),
                select: select_all(name),
            },
            Some((_, own)) => Table {
                name: format!("${{database.{own}}}.{name}"),
                select: format!("select * from {}.{}", quoted(schema), quoted(name)),
            },
        }
    }

    /// Finds the tables, and keeps what they hold where `keep` asks for it and it can be put back.
    pub async fn look(&mut self, control: &mut Control, keep: bool) -> Result<(), TrialError> {
        let plain = self.find(control).await?;
        let ties = ask(
            control,
            &format!(
                "select count(*) from information_schema.referential_constraints where constraint_schema = '{}'",
                self.databases[0]
            ),
        )
        .await?;
        self.tied = ties.rows.iter().flatten().any(|cell| *cell != SqlValue::Int(0));
        let timed = ask(
            control,
            &format!(
                "select distinct table_name from information_schema.columns where table_schema = '{}' and \
                 (lower(extra) like '%on update%' or lower(column_default) like '%current_timestamp%' or \
                 lower(column_default) like '%now(%' or lower(column_default) like '%uuid%' or \
                 lower(column_default) like '%date%')",
                self.databases[0]
            ),
        )
        .await?;
        self.timed = timed
            .rows
            .into_iter()
            .flatten()
            .filter_map(|cell| match cell {
                SqlValue::Text(name) => Some(name),
                _ => None,
            })
            .collect();
        self.snapshot = None;
        if plain && self.alone && keep {
            self.keep_rows(control).await?;
        }
        Ok(())
    }

    /// Keeps what the tables hold, to put it back.
    async fn keep_rows(&mut self, control: &mut Control) -> Result<(), TrialError> {
        let mut snapshot = Vec::new();
        let mut count = 0;
        for (table, now) in self.tables.iter().zip(&mut self.now) {
            let name = &table.name;
            let columns = ask(
                control,
                &format!(
                    "select column_name from information_schema.columns where table_schema = '{}' \
                     and table_name = '{}' and extra not like '%GENERATED%' order by ordinal_position",
                    self.databases[0],
                    escaped(name)
                ),
            )
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
            let select = format!("select {} from {}", columns.join(", "), quoted(name));
            let rows = ask(control, &select).await?.rows;
            let whole = ask(control, &table.select).await?.rows;
            count += rows.len();
            *now = Some(whole.clone());
            snapshot.push(Snapshot {
                name: name.clone(),
                columns,
                rows,
                whole: whole.clone(),
            });
        }
        self.snapshot = Some(snapshot).filter(|_| count <= ROWS_KEPT_MAX);
        Ok(())
    }

    /// What all tables hold at the end.
    pub async fn read(&mut self, control: &mut Control, history: &mut History) {
        for (number, (table, now)) in self.tables.iter().zip(&mut self.now).enumerate() {
            history.tables.push(table.name.clone());
            let started = Instant::now();
            let outcome = control.execute(&table.select).await;
            *now = match &outcome {
                Outcome::Rows(set) => Some(set.rows.clone()),
                _ => None,
            };
            history.asked.push((table.select.clone(), history.checks.len()));
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
    pub async fn put_back(&mut self, control: &mut Control) -> Result<bool, TrialError> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(false);
        };
        let differ: Vec<usize> = (0..snapshot.len())
            .filter(|number| self.now[*number].as_ref() != Some(&snapshot[*number].whole))
            .collect();
        if differ.is_empty() {
            return Ok(true);
        }
        if self.tied {
            control.execute("set foreign_key_checks = 0").await;
        }
        for number in &differ {
            snapshot[*number].put_back(control).await;
        }
        if self.tied {
            control.execute("set foreign_key_checks = 1").await;
        }
        for number in differ {
            let rows = ask(control, &select_all(&snapshot[number].name)).await?.rows;
            self.now[number] = Some(rows.clone());
        }
        Ok((0..snapshot.len()).all(|number| self.now[number].as_ref() == Some(&snapshot[number].whole)))
    }
}

impl Snapshot {
    /// Makes the table hold what it held.
    async fn put_back(&self, control: &mut Control) {
        let name = quoted(&self.name);
        control.execute(&format!("delete from {name}")).await;
        for rows in self.rows.chunks(ROWS_AT_ONCE) {
            let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
            let sql = format!(
                "insert into {name} ({}) values {}",
                self.columns.join(", "),
                vec![row; rows.len()].join(", ")
            );
            let values: Vec<SqlValue> = rows.iter().flatten().cloned().collect();
            control.connection.execute_prepared(&sql, &values).await;
        }
    }
}

async fn ask(control: &mut Control, sql: &str) -> Result<RowSet, TrialError> {
    match control.execute(sql).await {
        Outcome::Rows(set) => Ok(set),
        other => {
            let got = crate::history::describe(&other);
            Err(TrialError::new(format!("`{sql}` gave {got}")))
        }
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
