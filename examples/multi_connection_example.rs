//! Twelve workers, a foreman to whom they report, an import, a schema change, and monitors of both: they meet, work,
//! and tell of themselves by messages, which are shown as they come.
//!
//! `cargo run --example multi_connection_example` starts a TiDB of its own; with
//! `TIDB_URL=mysql://user:password@host:4000/` it runs on yours, in a database that it makes and drops, and
//! without the import, which is played by rows of `mysql.tidb_import_jobs`, and without the schema change, which
//! only a user with the privilege SUPER can follow.

use std::error::Error;
use std::time::Duration;

use tidb_scenarios::connection::Connection;
use tidb_scenarios::handler::{DdlMonitor, ImportMonitor, Next, StateContext, StateError, StateHandler};
use tidb_scenarios::history::JobRecord;
use tidb_scenarios::multi::{ALL_CONNECTIONS_READY, Message, Received, Subscription};
use tidb_scenarios::server::{ProviderKind, Server, ServerSettings, ServerSpec};
use tidb_scenarios::{ConnectionConfig, MultiConnectionCoordinator, State, async_trait};

const DATABASE: &str = "tidb_scenarios_multi_example";
const WORKERS: u32 = 12;
const JOB: i64 = 4711;
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until all workers are there, puts its rows into the table, and reports to the foreman.
struct Work;

#[async_trait]
impl StateHandler for Work {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        context.barrier("workers", WORKERS, LIMIT).await?;
        let mut rows = 0;
        for _ in 0..5 {
            let done = context
                .run("insert into done (worker) values (connection_id())")
                .await?;
            rows += done.affected;
        }
        context.send("foreman", "done", rows)?;
        Ok(Next::End)
    }
}

/// Adds up what the workers report, and looks whether it is so.
struct Foreman;

#[async_trait]
impl StateHandler for Foreman {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let (mut reports, mut reported) = (0, 0);
        while reports < WORKERS {
            let message = context.receive(LIMIT).await?;
            // The operator's greeting comes here, too.
            if message.topic == "done" {
                reports += 1;
                reported += message.payload.as_u64().unwrap_or_default();
            }
        }
        let counted: u64 = context.value_as("select count(*) from done").await?;
        if counted != reported {
            let message = format!("the workers reported {reported} rows, and there are {counted}");
            return Err(StateError::failed(message));
        }
        context.set("rows", counted);
        Ok(Next::End)
    }
}

/// Changes the table in the middle of the work.
struct Index;

#[async_trait]
impl StateHandler for Index {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        context.wait_for(ALL_CONNECTIONS_READY, LIMIT).await?;
        context
            .run("alter table done add index by_worker (worker)")
            .await?;
        Ok(Next::End)
    }
}

/// Leads an import job through its life, as the server would: each state once the monitors have seen the one before.
struct Import;

#[async_trait]
impl StateHandler for Import {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        context.wait_for(ALL_CONNECTIONS_READY, LIMIT).await?;
        context
            .run(&format!(
                r#"insert into mysql.tidb_import_jobs (id, table_schema, table_name, table_id, created_by,
                   parameters, source_file_size, status, step) values ({JOB}, '{DATABASE}', 'done', 1, 'root@%',
                   '{{"file-location": "s3://bucket/done.csv", "format": "csv"}}', 1048576, 'pending', '')"#
            ))
            .await?;
        for (before, status, step, rows) in [
            ("pending", "running", "importing", 4_000),
            ("running", "finished", "", 10_000),
        ] {
            context.wait_for(&format!("import.{JOB}.{before}"), LIMIT).await?;
            context
                .run(&format!(
                    r#"update mysql.tidb_import_jobs set status = '{status}', step = '{step}', start_time = now(6),
                       summary = '{{"imported-rows": {rows}}}' where id = {JOB}"#
                ))
                .await?;
        }
        Ok(Next::End)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = ServerSettings::from_vars(|name| std::env::var(name).ok())?;
    let kind = if settings.url.is_some() {
        ProviderKind::Url
    } else {
        ProviderKind::Embedded
    };
    let server = Server::start(&settings, kind, &ServerSpec::default()).await?;
    let result = run(&server).await;
    server.stop().await?;
    result
}

async fn run(server: &Server) -> Result<(), Box<dyn Error>> {
    let mut setup = Connection::open(server.config(), server.options()).await?;
    for sql in [
        format!("create database if not exists {DATABASE}"),
        format!("use {DATABASE}"),
        "create table if not exists done (id bigint primary key auto_increment, worker bigint)".to_owned(),
    ] {
        StateError::of_outcome(&sql, setup.execute(&sql).await)?;
    }

    let mut coordinator = MultiConnectionCoordinator::new();
    let add = |coordinator: &mut MultiConnectionCoordinator, id: &str, handler: Box<dyn StateHandler>| {
        let config = ConnectionConfig {
            id: id.to_owned(),
            database: Some(DATABASE.to_owned()),
            ..server.config().clone()
        };
        coordinator.add_connection_with(config, server.options().clone());
        coordinator.register_handler_for(id, State::Testing, handler);
    };
    for number in 1..=WORKERS {
        add(&mut coordinator, &format!("worker {number}"), Box::new(Work));
    }
    add(&mut coordinator, "foreman", Box::new(Foreman));
    if server.kind() == ProviderKind::Embedded {
        add(&mut coordinator, "index", Box::new(Index));
        let monitor = DdlMonitor::of_table("done")
            .every(Duration::from_millis(10))
            .within(LIMIT);
        add(&mut coordinator, "index monitor", Box::new(monitor));
        add(&mut coordinator, "import", Box::new(Import));
        for id in ["monitor 1", "monitor 2"] {
            let monitor = ImportMonitor::of_job(JOB)
                .every(Duration::from_millis(10))
                .within(LIMIT);
            add(&mut coordinator, id, Box::new(monitor));
        }
    }

    let operator = coordinator.member("operator");
    let screen = tokio::spawn(show(operator.subscribe(1_000)));
    operator.broadcast("greeting", "the connections are about to start");
    let ended = coordinator.run_all_connections().await;
    operator.request_state();
    coordinator.close();
    screen.await?;
    coordinator.print_results();

    setup.execute(&format!("drop database {DATABASE}")).await;
    setup.close().await;
    Ok(ended?)
}

/// Shows messages as they come. Were it too slow, it would be told how many it missed.
async fn show(mut messages: Subscription) {
    while let Some(received) = messages.receive().await {
        let envelope = match received {
            Received::Message(envelope) => envelope,
            Received::Missed(count) => {
                println!("… {count} messages were missed");
                continue;
            }
        };
        let from = &envelope.from;
        match envelope.message {
            Message::ConnectionEstablished { session, .. } => println!("{from}: session {session}"),
            Message::ConnectionFailed { reason, .. } => println!("{from}: failed: {reason}"),
            Message::AllConnectionsReady => println!("all are ready"),
            Message::JobAdded(job) | Message::JobUpdated(job) => println!("{from}: {}", told(&job)),
            Message::JobCompleted(job) => println!("{from}: {}, which is its end", told(&job)),
            Message::SessionLost { session } => println!("{from}: its session {session} is gone"),
            Message::TestCompleted => println!("{from}: completed"),
            Message::AllEnded { completed, failed } => println!("{completed} completed, {failed} failed"),
            Message::StateAnswer(state) => {
                println!("the global state has {} connections\n", state.connections.len())
            }
            _ => {}
        }
    }
}

fn told(job: &JobRecord) -> String {
    let rows = job
        .rows()
        .map_or_else(String::new, |rows| format!(", {rows} rows"));
    let phases = [job.status(), job.phase()].join(" ");
    format!("{} job {}: {}{rows}", job.kind.word(), job.id, phases.trim())
}
