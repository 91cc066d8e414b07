//! Four tellers book on the same accounts at once, over four connections that share a simple coordinator.
//!
//! `cargo run --example simple_multi_connection` starts a TiDB of its own; with
//! `TIDB_URL=mysql://user:password@host:4000/` it runs on yours, in a database that it makes and drops.

use std::error::Error;
use std::time::Duration;

use tidb_scenarios::connection::Connection;
use tidb_scenarios::handler::{Next, StateContext, StateError, StateHandler};
use tidb_scenarios::history::Outcome;
use tidb_scenarios::history::show;
use tidb_scenarios::server::{ProviderKind, Server, ServerSettings, ServerSpec};
use tidb_scenarios::{ConnectionConfig, SimpleMultiConnectionCoordinator, State, async_trait};

const DATABASE: &str = "tidb_scenarios_simple_example";
const TELLERS: [&str; 4] = ["anna", "ben", "carla", "dan"];
const BOOKINGS: u32 = 25;
/// How long they wait for each other.
const LIMIT: Duration = Duration::from_secs(30);

/// Once all tellers are there, moves money from one account to the other, each time in a transaction that is run again
/// where another teller was in its way.
struct Book;

#[async_trait]
impl StateHandler for Book {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let tellers = u32::try_from(TELLERS.len()).unwrap_or(u32::MAX);
        context.barrier("opening", tellers, LIMIT).await?;
        for _ in 0..BOOKINGS {
            context
                .transaction(|context| {
                    Box::pin(async move {
                        let balance: i64 = context
                            .value_as("select balance from account where id = 1")
                            .await?;
                        context
                            .run(&format!(
                                "update account set balance = {} where id = 1",
                                balance - 1
                            ))
                            .await?;
                        context
                            .run("update account set balance = balance + 1 where id = 2")
                            .await
                    })
                })
                .await?;
            context.add("bookings", 1)?;
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
        "drop table if exists account".to_owned(),
        "create table account (id int primary key, balance int not null)".to_owned(),
        "insert into account values (1, 1000), (2, 0)".to_owned(),
    ] {
        StateError::of_outcome(&sql, setup.execute(&sql).await)?;
    }

    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    for teller in TELLERS {
        let mut options = server.options().clone();
        // Optimistic transactions find out at COMMIT that another one was first.
        let optimistic = ("tidb_txn_mode".to_owned(), "'optimistic'".to_owned());
        options.session_vars.push(optimistic);
        options.retry.attempts = 100;
        let config = ConnectionConfig {
            id: teller.to_owned(),
            database: Some(DATABASE.to_owned()),
            ..server.config().clone()
        };
        coordinator.add_connection_with(config, options);
    }
    coordinator.register_handler(State::Testing, Box::new(Book));
    let ended = coordinator.run_all_connections().await;
    coordinator.print_results();
    let history = coordinator.history();
    let refused = history.steps.iter().filter_map(|step| step.end.as_ref());
    let refused = refused.filter(|end| end.outcome.is_error()).count();
    println!(
        "{} statements were run, {refused} of them refused",
        history.steps.len()
    );

    let sql = "select id, balance from account order by id";
    if let Outcome::Rows(set) = StateError::of_outcome(sql, setup.execute(sql).await)? {
        for row in &set.rows {
            let cells: Vec<String> = row.iter().map(show).collect();
            println!("account {} has {}", cells[0], cells[1]);
        }
    }
    setup.execute(&format!("drop database {DATABASE}")).await;
    setup.close().await;
    Ok(ended?)
}
