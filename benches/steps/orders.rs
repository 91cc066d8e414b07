//! Every order of three connections' steps, by the engine and by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tidb_scenarios::connection::ConnectionConfig;
use tidb_scenarios::engine::RunSettings;
use tidb_scenarios::engine::TrialPlan;
use tidb_scenarios::engine::{ExploreSettings, Explored, explore};
use tidb_scenarios::server::Server;
use tokio::task::JoinHandle;

use super::plain::{POLL, connect};

type Trouble = Box<dyn std::error::Error + Send + Sync>;

const CONNECTIONS: usize = 3;
const STEPS: usize = 3;
/// The most that a wait by hand may take to show, or to end.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A scenario whose steps lock a row each; the same row where they shall wait for each other.
pub fn text(same_row: bool, prune: bool) -> String {
    let mut text = "scenario: every order\n\
        setup: create table t (id int primary key, v int not null); insert into t values (0, 0), (1, 0), (2, 0)\n\
        timeout: 10m\nconnections:\n"
        .to_owned();
    for own in 0..CONNECTIONS {
        let [begin, update, commit] = statements(own, same_row);
        text.push_str(&format!(
            "  c{own}: {{txn: pessimistic, states: [{{sql: {begin}}}, {{sql: {update}}}, {{sql: {commit}}}]}}\n"
        ));
    }
    let sum = if same_row {
        "[[0, 3], [1, 0], [2, 0]]"
    } else {
        "[[0, 1], [1, 1], [2, 1]]"
    };
    text.push_str(&format!(
        "permutations: {{prune: {prune}}}\nexpect: {{tables: {{t: {sum}}}, errors: {{}}}}\n"
    ));
    text
}

fn statements(own: usize, same_row: bool) -> [String; STEPS] {
    let row = if same_row { 0 } else { own };
    [
        "begin".to_owned(),
        format!("update t set v = v + 1 where id = {row}"),
        "commit".to_owned(),
    ]
}

/// All orders by the engine.
pub async fn engine(
    server: Arc<Server>,
    plan: Arc<TrialPlan>,
    database: String,
    stages: usize,
) -> Result<Explored, Trouble> {
    let settings = ExploreSettings {
        run: RunSettings {
            live: None,
            hold: None,
            timestamps: false,
            database,
            keep_databases: false,
        },
        sandboxes: stages,
        shrink_max: Duration::ZERO,
        stop: std::sync::Arc::default(),
    };
    let explored = explore(&plan, &server, &[], &settings).await?;
    if let Some(failing) = explored.failing.first() {
        return Err(format!("an order fails: {:?}", failing.findings).into());
    }
    if let Some(finding) = explored.findings.first() {
        return Err(finding.message.clone().into());
    }
    Ok(explored)
}

/// All orders that can happen, each as one would write it by hand: the statements in turn, the table read at the
/// end, its rows put back. Who has to wait is known by [`all`] before anything is sent.
pub async fn plain(
    server: ConnectionConfig,
    database: String,
    stages: usize,
    same_row: bool,
) -> Result<Plain, Trouble> {
    let began = Instant::now();
    let mut orders = Vec::new();
    all(&Rows::new(same_row), &mut Vec::new(), &mut orders);
    let runs = orders.len();
    let orders = Arc::new(orders);
    let mut tasks = Vec::new();
    for stage in 0..stages {
        let (server, orders) = (server.clone(), Arc::clone(&orders));
        let database = format!("{database}_{stage}");
        tasks.push(tokio::spawn(async move {
            let mut control = connect(&server, None).await?;
            control.query_drop(format!("create database {database}")).await?;
            control.query_drop(format!("use {database}")).await?;
            control
                .query_drop("create table t (id int primary key, v int not null)")
                .await?;
            control
                .query_drop("insert into t values (0, 0), (1, 0), (2, 0)")
                .await?;
            let mut seats = Vec::new();
            for _ in 0..CONNECTIONS {
                let mut conn = connect(&server, Some(&database)).await?;
                let session: u64 = conn.query_first("select connection_id()").await?.ok_or("no id")?;
                seats.push(Seat::new(conn, session));
            }
            for order in orders.iter().skip(stage).step_by(stages) {
                one(order, same_row, &mut control, &mut seats).await?;
            }
            control.query_drop(format!("drop database {database}")).await?;
            for seat in seats {
                seat.conn.ok_or("somebody still waits")?.disconnect().await?;
            }
            control.disconnect().await?;
            Ok::<(), Trouble>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(Plain {
        runs,
        took: began.elapsed(),
    })
}

/// What all orders by hand took.
pub struct Plain {
    pub runs: usize,
    pub took: Duration,
}

/// A connection by hand.
struct Seat {
    /// Not here while its statement waits.
    conn: Option<Conn>,
    waits: Option<JoinHandle<Result<Conn, Trouble>>>,
    /// What asks for the state of its transaction.
    look: String,
}

impl Seat {
    fn new(conn: Conn, session: u64) -> Self {
        Self {
            conn: Some(conn),
            waits: None,
            look: format!("select state from information_schema.tidb_trx where session_id = {session}"),
        }
    }

    /// Sends a statement that has to wait, and looks each millisecond until it does; one sight is believed.
    async fn send(&mut self, sql: String, control: &mut Conn) -> Result<(), Trouble> {
        let mut conn = self.conn.take().ok_or("it waits already")?;
        self.waits = Some(tokio::spawn(async move {
            conn.query_drop(sql).await?;
            Ok(conn)
        }));
        let until = Instant::now() + WAIT_MAX;
        loop {
            let state: Option<String> = control.query_first(&self.look).await?;
            if state.as_deref() == Some("LockWaiting") {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err("it does not wait".into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Awaits the statement that waited.
    async fn returned(&mut self) -> Result<(), Trouble> {
        let waits = self.waits.take().ok_or("it does not wait")?;
        self.conn = Some(tokio::time::timeout(WAIT_MAX, waits).await???);
        Ok(())
    }
}

/// Who holds the row of each connection's update, and who waits for it.
#[derive(Clone)]
struct Rows {
    same_row: bool,
    left: [usize; CONNECTIONS],
    holder: Option<usize>,
    waiting: Vec<usize>,
    /// The connections in the order of their BEGIN: a lock goes to the oldest transaction that waits for it.
    begun: Vec<usize>,
}

impl Rows {
    fn new(same_row: bool) -> Self {
        Self {
            same_row,
            left: [STEPS; CONNECTIONS],
            holder: None,
            waiting: Vec::new(),
            begun: Vec::new(),
        }
    }

    fn able(&self, own: usize) -> bool {
        self.left[own] > 0 && !self.waiting.contains(&own)
    }

    /// Takes a connection's next step; tells which it was and what came of it.
    fn take(&mut self, own: usize) -> (usize, Then) {
        let step = STEPS - self.left[own];
        self.left[own] -= 1;
        let mut then = Then::Goes;
        match step {
            0 => self.begun.push(own),
            1 if self.holder.is_none() => self.holder = Some(own).filter(|_| self.same_row),
            1 => {
                self.waiting.push(own);
                then = Then::Waits;
            }
            _ if self.holder == Some(own) => {
                self.holder = self.begun.iter().copied().find(|one| self.waiting.contains(one));
                self.waiting.retain(|one| Some(*one) != self.holder);
                if let Some(next) = self.holder {
                    then = Then::LetsGo(next);
                }
            }
            _ => {}
        }
        (step, then)
    }
}

/// What comes of a step.
enum Then {
    Goes,
    /// It waits.
    Waits,
    /// This one's statement comes back after it.
    LetsGo(usize),
}

async fn one(order: &[usize], same_row: bool, control: &mut Conn, seats: &mut [Seat]) -> Result<(), Trouble> {
    let mut rows = Rows::new(same_row);
    for own in order {
        let (step, then) = rows.take(*own);
        let sql = statements(*own, same_row)[step].clone();
        if matches!(then, Then::Waits) {
            seats[*own].send(sql, control).await?;
            continue;
        }
        let conn = seats[*own].conn.as_mut().ok_or("it waits")?;
        conn.query_drop(sql).await?;
        if let Then::LetsGo(next) = then {
            seats[next].returned().await?;
        }
    }
    let found: Vec<(i64, i64)> = control.query("select * from t").await?;
    let wanted = if same_row {
        [(0, 3), (1, 0), (2, 0)]
    } else {
        [(0, 1), (1, 1), (2, 1)]
    };
    if found != wanted {
        return Err(format!("expected other rows than {found:?}").into());
    }
    control.query_drop("delete from t").await?;
    control
        .exec_drop(
            "insert into t (id, v) values (?, ?), (?, ?), (?, ?)",
            (0, 0, 1, 0, 2, 0),
        )
        .await?;
    let rows: Vec<(i64, i64)> = control.query("select * from t").await?;
    if rows != [(0, 0), (1, 0), (2, 0)] {
        return Err("the rows are not as they were".into());
    }
    Ok(())
}

/// All orders in which nobody takes a step who waits.
fn all(rows: &Rows, order: &mut Vec<usize>, orders: &mut Vec<Vec<usize>>) {
    if rows.left.iter().all(|left| *left == 0) {
        orders.push(order.clone());
        return;
    }
    for own in 0..CONNECTIONS {
        if rows.able(own) {
            let mut next = rows.clone();
            next.take(own);
            order.push(own);
            all(&next, order, orders);
            order.pop();
        }
    }
}
