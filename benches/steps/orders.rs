//! Every order of three connections' steps, by the engine and by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tidb_scenarios::connection::ConnectionConfig;
use tidb_scenarios::explore::{ExploreSettings, Explored, explore};
use tidb_scenarios::plan::TrialPlan;
use tidb_scenarios::run::RunSettings;
use tidb_scenarios::server::Server;

use super::plain::connect;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

const CONNECTIONS: usize = 3;
const STEPS: usize = 3;

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
            database,
            keep_databases: false,
        },
        stages,
        shrink_max: Duration::ZERO,
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

/// All orders, each as one would write it by hand: the statements in turn, the table read at the end, its rows put
/// back. Nobody may have to wait.
pub async fn plain(server: ConnectionConfig, database: String, stages: usize) -> Result<Duration, Trouble> {
    let began = Instant::now();
    let mut orders = Vec::new();
    let mut order = Vec::new();
    all(&mut [STEPS; CONNECTIONS], &mut order, &mut orders);
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
            let mut conns = Vec::new();
            for _ in 0..CONNECTIONS {
                conns.push(connect(&server, Some(&database)).await?);
            }
            for order in orders.iter().skip(stage).step_by(stages) {
                one(order, &mut control, &mut conns).await?;
            }
            control.query_drop(format!("drop database {database}")).await?;
            for conn in conns.into_iter().chain([control]) {
                conn.disconnect().await?;
            }
            Ok::<(), Trouble>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(began.elapsed())
}

async fn one(order: &[usize], control: &mut Conn, conns: &mut [Conn]) -> Result<(), Trouble> {
    let mut done = [0; CONNECTIONS];
    for own in order {
        let [begin, update, commit] = statements(*own, false);
        let sql = [begin, update, commit][done[*own]].clone();
        conns[*own].query_drop(sql).await?;
        done[*own] += 1;
    }
    let rows: Vec<(i64, i64)> = control.query("select * from t").await?;
    if rows != [(0, 1), (1, 1), (2, 1)] {
        return Err(format!("expected other rows than {rows:?}").into());
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

fn all(left: &mut [usize; CONNECTIONS], order: &mut Vec<usize>, orders: &mut Vec<Vec<usize>>) {
    if left.iter().all(|left| *left == 0) {
        orders.push(order.clone());
        return;
    }
    for own in 0..CONNECTIONS {
        if left[own] == 0 {
            continue;
        }
        left[own] -= 1;
        order.push(own);
        all(left, order, orders);
        order.pop();
        left[own] += 1;
    }
}
