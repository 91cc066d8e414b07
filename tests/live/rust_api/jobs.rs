//! Schema changes that another connection makes.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tidb_scenarios::handler::{DdlMonitor, handler_fn};
use tidb_scenarios::multi::{Message, Received};
use tidb_scenarios::{MultiConnectionCoordinator, Next, State};

use super::Target;

const LONG: Duration = Duration::from_secs(60);

fn coordinator(target: &Target, change: &'static str, table: &str) -> MultiConnectionCoordinator {
    let mut coordinator = MultiConnectionCoordinator::new();
    for id in ["changes", "monitor"] {
        coordinator.add_connection_with(target.config(id), target.options.clone());
    }
    let work = handler_fn(move |context| {
        async move {
            context.wait_for("looked", LONG).await?;
            // How it ends is for the monitor to say.
            context.execute(change).await?;
            Ok(Next::End)
        }
        .boxed()
    });
    coordinator.register_handler_for("changes", State::Testing, work);
    let monitor = DdlMonitor::of_table(table)
        .every(Duration::from_millis(2))
        .within(LONG);
    coordinator.register_handler_for("monitor", State::Testing, Box::new(monitor));
    coordinator
}

/// Lets the change begin once the monitor looks: what ended before is not what it waits for.
async fn run(coordinator: &mut MultiConnectionCoordinator) -> Result<(), String> {
    let operator = coordinator.member("operator");
    let mut messages = operator.subscribe(10_000);
    let start = tokio::spawn(async move {
        while let Some(received) = messages.receive().await {
            let Received::Message(envelope) = received else {
                continue;
            };
            if envelope.from == "monitor"
                && matches!(envelope.message, Message::StateEntered { ref state } if state == "testing")
            {
                // Its first look takes a few milliseconds.
                tokio::time::sleep(Duration::from_millis(200)).await;
                operator.signal("looked");
                return;
            }
        }
    });
    let ended = coordinator.run_all_connections().await;
    start.abort();
    ended.map_err(|error| error.to_string())
}

pub async fn a_schema_change_is_followed_across_connections(target: Target) {
    target
        .run(&[
            "create table followed (id int primary key, n int)",
            "insert into followed values (1, 1), (2, 2)",
        ])
        .await;
    let mut coordinator = coordinator(&target, "alter table followed add index by_n (n)", "followed");
    run(&mut coordinator).await.unwrap();
    let state = coordinator.state();
    let [job] = state.jobs.as_slice() else {
        panic!("{:?}", state.jobs);
    };
    assert_eq!(
        (job.status(), job.table(), job.ended),
        ("synced", "followed", true)
    );
    assert!(state.has_event("ddl.synced"));
    assert!(state.has_event(&format!("ddl.{}.synced", job.id)));
    let shown = coordinator.results().to_string();
    assert!(
        shown.contains(&format!("ddl job {}, table followed: synced", job.id)),
        "{shown}"
    );
}

pub async fn a_schema_change_that_fails_fails_its_monitor(target: Target) {
    target
        .run(&[
            "create table refused (id int primary key, n int)",
            "insert into refused values (1, 7), (2, 7)",
        ])
        .await;
    let change = "alter table refused add unique index by_n (n)";
    let mut coordinator = coordinator(&target, change, "test.refused");
    let error = run(&mut coordinator).await.unwrap_err();
    assert!(
        error.starts_with("1 of 2 connections failed: `monitor` in state `testing`: schema change "),
        "{error}"
    );
    assert!(
        error.contains(" rollback done: ") && error.contains("Duplicate entry '7'"),
        "{error}"
    );
}

pub async fn a_schema_change_that_never_comes_is_told_with_the_last_one(target: Target) {
    target.run(&["create table quiet (id int primary key)"]).await;
    let mut coordinator = MultiConnectionCoordinator::new();
    coordinator.add_connection_with(target.config("monitor"), target.options.clone());
    let monitor = DdlMonitor::of_table("quiet")
        .every(Duration::from_millis(2))
        .within(Duration::from_millis(50));
    coordinator.register_handler(State::Testing, Box::new(monitor));
    let began = Instant::now();
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(began.elapsed() < LONG / 2);
    assert!(error.contains("`quiet` had no schema change after "), "{error}");
    assert!(
        error.ends_with(", which had ended before (synced), within 50 ms"),
        "{error}"
    );
}
