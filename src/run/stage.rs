//! Databases, sessions and a control connection on which the same steps are run again and again, each time in
//! another order.
//!
//! Between two orders the rows are as the setup left them: where the steps change rows only, by DELETE and
//! INSERT of those tables that differ, and what stands there then is looked at; in new databases otherwise.
//! Sessions stay where a ROLLBACK makes them as good as new, and are opened anew otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::control::Control;
use super::known::Known;
use super::order::{Chooser, Taken};
use super::script::{Script, Seat};
use super::trial::{
    RunSettings, TrialError, connect, control_statement, databases, drop_on, final_checks, global_variables,
    main_control, prepare, restore_globals, vars_with_names,
};
use crate::coordinator::Coordinator;
use crate::coordinator::transactions::Transaction;
use crate::history::{CheckId, CheckRecord, History, Outcome, RowSet, SqlValue, Vars};
use crate::machine::{Command, Report};
use crate::plan::{Action, TrialPlan};
use crate::server::Server;
use crate::sql::{Kind, Product, TransactionMode, classify};

/// More rows than this are not kept here to be put back: the setup is run again for them.
const ROWS_KEPT_MAX: usize = 2_000;
/// So many rows are put back by one INSERT.
const ROWS_AT_ONCE: usize = 200;

/// A table that is looked at after each order.
#[derive(Debug, Clone)]
struct Table {
    /// As a scenario names it: `t`, or `${database.shop}.t` of a further database.
    name: String,
    /// As the final expectations read it, too.
    select: String,
}

/// A table as the setup left it.
#[derive(Debug, Clone)]
struct Kept {
    name: String,
    /// The columns that can be written.
    columns: Vec<String>,
    /// Their values.
    rows: Vec<Vec<SqlValue>>,
    /// All columns, as they are read.
    whole: Vec<Vec<SqlValue>>,
}

/// One run of the steps in an order.
#[derive(Debug)]
pub struct Ran {
    /// The steps as they were started.
    pub taken: Vec<Taken>,
    /// Whether it was run to its end.
    pub complete: bool,
    /// Whether somebody was believed to wait who cannot have waited, so that another connection may have been kept
    /// from going on: it is to be run again.
    pub doubtful: bool,
    /// What happened.
    pub history: History,
}

/// Where orders are run one after another.
pub struct Stage {
    plan: Arc<TrialPlan>,
    settings: RunSettings,
    controls: Vec<Control>,
    coordinator: Arc<Coordinator>,
    seats: Vec<Seat>,
    inbox: Option<mpsc::UnboundedReceiver<Report>>,
    vars: Vars,
    /// The tables, in the order of their databases and names.
    tables: Vec<Table>,
    /// Whether steps may make tables and drop them, so that each order may leave others.
    tables_change: bool,
    /// Whether a foreign key ties tables to each other.
    tied: bool,
    only_tables: bool,
    /// The tables as the setup left them, where they can be put back.
    kept: Option<Vec<Kept>>,
    /// What each table holds now, where that is known.
    now: Vec<Option<Vec<Vec<SqlValue>>>>,
    reopen: bool,
    fresh: bool,
    server_name: (String, Product),
    /// The server's variables before the setup, where the trial may change them.
    globals: Option<Vec<(String, SqlValue)>>,
    /// What orders have shown of who waits.
    known: Arc<Known>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("database", &self.settings.database)
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Makes the databases, runs the setup and opens the sessions.
    ///
    /// # Errors
    /// [`TrialError`] where one of that does not work; nothing is left behind then.
    pub async fn open(
        plan: Arc<TrialPlan>,
        server: &Server,
        own: &[Server],
        settings: RunSettings,
    ) -> Result<Self, TrialError> {
        let mut controls = vec![Control::open(server).await?];
        for server in own {
            controls.push(Control::open(server).await?);
        }
        let coordinator = coordinator(&plan, Vars::new());
        let server_name = (server.title(), server.product());
        let mut stage = Self {
            reopen: !sessions_stay(&plan),
            tables_change: !changes_rows_only(&plan),
            plan,
            settings,
            controls,
            coordinator,
            seats: Vec::new(),
            inbox: None,
            vars: Vars::new(),
            tables: Vec::new(),
            tied: false,
            only_tables: false,
            kept: None,
            now: Vec::new(),
            fresh: true,
            server_name,
            globals: None,
            known: Arc::default(),
        };
        match stage.begin().await {
            Ok(()) => Ok(stage),
            Err(error) => {
                stage.close().await;
                Err(error)
            }
        }
    }

    /// Shares with other stages of the same plan what their orders show of who waits.
    pub(crate) fn share(&mut self, known: &Arc<Known>) {
        self.known = Arc::clone(known);
    }

    /// The names of the tables that the setup has made, in the trial's database and in those of further ones.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// Whether the tables of one database are all that statements can touch: no views, no sequences, nothing of
    /// another database or server.
    #[must_use]
    pub fn has_only_tables(&self) -> bool {
        self.only_tables
    }

    /// Whether a foreign key ties tables to each other, so that a statement touches more than it names.
    #[must_use]
    pub fn is_tied(&self) -> bool {
        self.tied
    }

    /// What the server begins transactions with, where that is known.
    pub(crate) fn txn_mode(&self) -> Option<TransactionMode> {
        self.controls.first().and_then(|control| control.txn_mode)
    }

    /// Whether rows are put back between two orders, rather than databases made anew.
    #[must_use]
    pub fn puts_back(&self) -> bool {
        self.kept.is_some()
    }

    fn main(&mut self) -> &mut Control {
        let main = main_control(&self.plan);
        &mut self.controls[main]
    }

    async fn begin(&mut self) -> Result<(), TrialError> {
        if self.plan.serial {
            self.globals = Some(global_variables(self.main()).await);
        }
        self.vars = prepare(&self.plan, &mut self.controls, &self.settings).await?;
        self.look_at_tables().await?;
        for control in &mut self.controls {
            control.ask_txn_mode().await;
            control.ask_patience().await;
        }
        self.sit_down().await
    }

    async fn ask(&mut self, sql: &str) -> Result<RowSet, TrialError> {
        match self.main().execute(sql).await {
            Outcome::Rows(set) => Ok(set),
            other => {
                let got = crate::expect::describe(&other);
                Err(TrialError::new(format!("`{sql}` gave {got}")))
            }
        }
    }

    /// Finds the tables of the trial's databases; tells whether each is one whose rows can be put back exactly.
    async fn find_tables(&mut self) -> Result<bool, TrialError> {
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

    async fn look_at_tables(&mut self) -> Result<(), TrialError> {
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
    async fn keep_rows(&mut self) -> Result<(), TrialError> {
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

    /// Opens the sessions.
    async fn sit_down(&mut self) -> Result<(), TrialError> {
        self.coordinator = coordinator(&self.plan, self.vars.clone());
        let machines = connect(&self.plan, &self.coordinator, &self.controls, &self.settings).await?;
        let (reports, inbox) = mpsc::unbounded_channel::<Report>();
        let mut script = Script::new(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            inbox,
        );
        for machine in machines {
            script.start_machine(machine, reports.clone());
        }
        let (_, inbox, seats) = script.put_down();
        (self.inbox, self.seats) = (Some(inbox), seats);
        Ok(())
    }

    /// Runs the steps once more, in the order that the chooser says, without those in `skip`.
    ///
    /// # Errors
    /// [`TrialError`] where the stage cannot be made ready for it.
    pub async fn run(&mut self, chooser: &mut dyn Chooser, skip: &[usize]) -> Result<Ran, TrialError> {
        if !self.fresh {
            self.make_ready().await?;
        }
        self.fresh = false;
        self.coordinator.begin_again(self.vars.clone());
        let began = Instant::now();
        let Some(inbox) = self.inbox.take() else {
            return Err(TrialError::new("the stage has no connections"));
        };
        let seats = std::mem::take(&mut self.seats);
        let mut script = Script::take_up(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            inbox,
            seats,
            Arc::clone(&self.known),
        );
        let limit = self.plan.timeout;
        let followed = tokio::time::timeout(limit, script.follow_order(chooser, skip)).await;
        let (taken, complete) = followed.unwrap_or_else(|_| {
            script.over_time(limit);
            (Vec::new(), true)
        });
        let doubtful = script.is_doubtful();
        let (history, inbox, seats) = script.put_down();
        (self.inbox, self.seats) = (Some(inbox), seats);
        let mut history = history;
        (history.server, history.product) = self.server_name.clone();
        history.database.clone_from(&self.settings.database);
        // What was cut short has been read by nobody.
        self.now = vec![None; self.tables.len()];
        if complete && history.stopped.is_none() {
            self.refresh_sessions().await;
            if self.tables_change && self.find_tables().await.is_err() {
                tracing::warn!("the tables that an order left could not be found");
            }
            self.read_tables(&mut history).await;
            let main = main_control(&self.plan);
            let plan = Arc::clone(&self.plan);
            final_checks(&plan, &mut self.controls[main], &mut history).await;
        }
        history.took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(Ran {
            taken,
            complete,
            doubtful,
            history,
        })
    }

    /// What all tables hold at the end.
    async fn read_tables(&mut self, history: &mut History) {
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

    /// Ends the transactions that are open, so that what they did not commit is gone.
    async fn refresh_sessions(&mut self) -> bool {
        let mut told = Vec::new();
        let mut asked = 0;
        for seat in &mut self.seats {
            // Where nothing is open there is nothing to roll back; whoever failed has rolled back already, and is
            // asked again, since its session may be gone.
            let nothing = seat.transaction.is_closed() && seat.failed.is_none() && !self.reopen;
            seat.busy = None;
            seat.failed = None;
            seat.transaction = Transaction::default();
            if nothing {
                continue;
            }
            asked += 1;
            let (done, ready) = tokio::sync::oneshot::channel();
            let reopen = self.reopen;
            if seat.commands.send(Command::Refresh { reopen, done }).is_ok() {
                told.push(ready);
            }
        }
        let mut all = told.len() == asked;
        for ready in told {
            all &= ready.await.unwrap_or(false);
        }
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let own = self.plan.connections.get(number);
            seat.transaction = Transaction::of_session(own.map_or(&[][..], |own| own.vars.as_slice()));
        }
        all
    }

    /// Makes everything as it was after the setup.
    async fn make_ready(&mut self) -> Result<(), TrialError> {
        let busy = self.seats.iter().any(|seat| seat.busy.is_some());
        let ended = self.seats.iter().any(|seat| seat.task.is_finished());
        let unknown = self.now.iter().any(Option::is_none);
        if busy || ended {
            // What is still under way on these sessions must not reach into the next order.
            self.stand_up().await;
            return self.begin_anew().await;
        }
        if self.kept.is_none() || unknown {
            self.refresh_sessions().await;
            if self.kept.is_none() {
                self.stand_up().await;
                return self.begin_anew().await;
            }
            let mut history = History::default();
            self.read_tables(&mut history).await;
        }
        if self.put_back().await? {
            return Ok(());
        }
        tracing::debug!("the rows that were put back are not the same: new databases from now on");
        self.kept = None;
        self.stand_up().await;
        self.begin_anew().await
    }

    /// Puts back the rows of tables that differ; tells whether all is as it was.
    async fn put_back(&mut self) -> Result<bool, TrialError> {
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

    async fn begin_anew(&mut self) -> Result<(), TrialError> {
        self.restore_globals().await;
        for control in &mut self.controls {
            drop_on(control, &self.plan, &self.settings).await;
        }
        let puts_back = self.kept.is_some();
        self.vars = prepare(&self.plan, &mut self.controls, &self.settings).await?;
        if puts_back {
            self.look_at_tables().await?;
        } else {
            self.now = vec![None; self.tables.len()];
        }
        self.sit_down().await
    }

    async fn restore_globals(&mut self) {
        if let Some(before) = self.globals.clone() {
            restore_globals(self.main(), &before).await;
        }
    }

    /// Closes the sessions. What still waits is ended by KILL QUERY.
    async fn stand_up(&mut self) {
        let Some(inbox) = self.inbox.take() else { return };
        let seats = std::mem::take(&mut self.seats);
        let mut script = Script::take_up(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            inbox,
            seats,
            Arc::clone(&self.known),
        );
        script.finish().await;
    }

    /// Runs the teardown and drops the databases, unless they are to be left.
    pub async fn close(mut self) {
        self.stand_up().await;
        let main = main_control(&self.plan);
        let vars = vars_with_names(&self.plan, &self.settings);
        for statement in &self.plan.teardown {
            if let Err(error) = control_statement(&mut self.controls[main], statement, &vars).await {
                tracing::warn!(error = error.message, "teardown");
            }
        }
        self.restore_globals().await;
        if !self.settings.keep_databases {
            drop_on(&mut self.controls[0], &self.plan, &self.settings).await;
        }
        for control in self.controls {
            control.connection.close().await;
        }
    }
}

fn coordinator(plan: &TrialPlan, vars: Vars) -> Arc<Coordinator> {
    let names = plan.connections.iter().map(|connection| connection.name.as_str());
    Arc::new(Coordinator::new(names, vars))
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

/// The texts of all statements of the steps, as far as they are known before a run.
fn texts(plan: &TrialPlan) -> Vec<Option<String>> {
    let mut texts = Vec::new();
    for step in &plan.steps {
        match &step.action {
            Action::Sql(statements) => {
                texts.extend(statements.iter().map(|one| one.text.fill(&plan.vars).ok()));
            }
            Action::Prepared(one, _) | Action::Load { statement: one, .. } => {
                texts.push(one.text.fill(&plan.vars).ok());
            }
            _ => {}
        }
    }
    // One whose variables are filled in later is still told by its verb.
    let sources = plan.steps.iter().flat_map(|step| match &step.action {
        Action::Sql(statements) => statements
            .iter()
            .map(|one| one.text.source().to_owned())
            .collect(),
        Action::Prepared(one, _) | Action::Load { statement: one, .. } => {
            vec![one.text.source().to_owned()]
        }
        _ => Vec::new(),
    });
    texts
        .into_iter()
        .zip(sources)
        .map(|(filled, source)| {
            filled.or(Some(source).filter(|source| !source.trim_start().starts_with('$')))
        })
        .collect()
}

/// Whether the steps change nothing but rows, so that rows are all that has to be put back.
fn changes_rows_only(plan: &TrialPlan) -> bool {
    // What a handler does, its code alone says.
    let known = !plan
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::Handler(_)));
    known
        && texts(plan).into_iter().all(|text| {
            text.is_some_and(|text| {
                let statement = classify(&text);
                !statement.changes_whole_server()
                    && !matches!(
                        statement.kind,
                        Kind::Ddl | Kind::Execute | Kind::Other | Kind::LockTables
                    )
            })
        })
}

/// Whether a ROLLBACK makes the sessions as good as new: the steps change nothing of the session itself.
fn sessions_stay(plan: &TrialPlan) -> bool {
    let acts = plan.steps.iter().all(|step| {
        !matches!(
            step.action,
            Action::Kill { .. } | Action::Disconnect | Action::Reconnect
        )
    });
    acts && texts(plan).into_iter().all(|text| {
        text.is_some_and(|text| {
            let statement = classify(&text);
            let plain = matches!(
                statement.kind,
                Kind::Begin(_)
                    | Kind::Commit
                    | Kind::Rollback
                    | Kind::RollbackToSavepoint
                    | Kind::Savepoint
                    | Kind::ReleaseSavepoint
                    | Kind::Select { .. }
                    | Kind::Dml
                    | Kind::Sleep
            );
            // User variables and LAST_INSERT_ID outlive a transaction.
            plain && !statement.takes_user_lock() && !text.contains('@') && !mentions_last_insert_id(&text)
        })
    })
}

fn mentions_last_insert_id(text: &str) -> bool {
    text.to_ascii_lowercase().contains("last_insert_id")
}

/// The tables that a text names, of those that there are.
#[must_use]
pub fn named_tables<'t>(text: &str, tables: &'t [String]) -> BTreeSet<&'t str> {
    let words: BTreeSet<String> = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .map(str::to_lowercase)
        .collect();
    tables
        .iter()
        .map(String::as_str)
        .filter(|name| {
            // A name with other characters is looked for as it stands.
            let lower = name.to_lowercase();
            words.contains(&lower)
                || (!lower.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
                    && text.to_lowercase().contains(&lower))
        })
        .collect()
}
