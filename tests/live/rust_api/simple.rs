use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tidb_scenarios::handler::{InitialHandler, Next, handler_fn};
use tidb_scenarios::history::{SqlValue, Status};
use tidb_scenarios::multi::{ConnectionResult, RunError};
use tidb_scenarios::{ConnectionConfig, SimpleMultiConnectionCoordinator, State, StateMachine};

use super::Target;

const LONG: Duration = Duration::from_secs(60);

fn result(coordinator: &SimpleMultiConnectionCoordinator, id: &str) -> ConnectionResult {
    let state = coordinator.shared_state();
    let state = state.lock().unwrap();
    let mut found = state
        .connections
        .iter()
        .filter(|connection| connection.name == id);
    found.next().unwrap().clone()
}

pub async fn a_failing_connection_is_named_and_the_results_of_the_others_stay(target: Target) {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    coordinator.add_connection(target.config("first"));
    coordinator.add_connection(ConnectionConfig {
        username: "nobody".to_owned(),
        ..target.config("unknown user")
    });
    coordinator.add_connection(target.config("third"));
    coordinator.add_connection(ConnectionConfig {
        database: Some("not_there".to_owned()),
        ..target.config("no database")
    });
    let error = coordinator.run_all_connections().await.unwrap_err();
    let RunError::Failed(failed) = &error else {
        panic!("{error}");
    };
    let named: Vec<(&str, Option<&str>)> = failed
        .failed
        .iter()
        .map(|failed| (failed.id.as_str(), failed.state.as_deref()))
        .collect();
    let connecting = Some("connecting");
    assert_eq!(named, [("unknown user", connecting), ("no database", connecting)]);
    let text = error.to_string();
    for part in [
        "2 of 4 connections failed",
        "`unknown user` in state `connecting`",
        "1045",
        "1049",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let results = coordinator.results();
    let order: Vec<(&str, Status)> = results
        .history()
        .connections
        .iter()
        .map(|connection| (connection.name.as_str(), connection.status))
        .collect();
    let (completed, failed) = (Status::Completed, Status::Failed);
    assert_eq!(
        order,
        [
            ("first", completed),
            ("unknown user", failed),
            ("third", completed),
            ("no database", failed)
        ]
    );
    let version = result(&coordinator, "third").server_version.unwrap();
    assert!(version.contains("TiDB"), "{version}");
    let shown = results.to_string();
    assert!(
        shown.ends_with("2 of 4 connections completed, 2 failed"),
        "{shown}"
    );
    assert!(
        shown.contains("    failed: ") && shown.contains(&version),
        "{shown}"
    );
}

pub async fn a_handler_that_panics_fails_only_its_connection(target: Target) {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    for id in ["a", "b", "c"] {
        coordinator.add_connection(target.config(id));
    }
    coordinator.register_handler_for(
        "b",
        State::Testing,
        handler_fn(|_| async { panic!("on purpose") }.boxed()),
    );
    let error = coordinator.run_all_connections().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 of 3 connections failed: `b` in state `testing`: its handler panicked: on purpose"
    );
    assert_eq!(result(&coordinator, "a").status, Status::Completed);
    assert_eq!(result(&coordinator, "c").status, Status::Completed);
}

pub async fn the_code_of_the_architecture_document_runs(target: Target) {
    let config = target.config("primary");
    let (host, port) = (config.host, config.port);

    // Create coordinator
    let mut coordinator = SimpleMultiConnectionCoordinator::new();

    // Add connections
    coordinator.add_connection(ConnectionConfig {
        id: "primary".to_string(),
        host,
        port,
        username: "root".to_string(),
        password: String::new(),
        database: Some("test".to_string()),
    });

    // Run all connections concurrently
    coordinator.run_all_connections().await.unwrap();

    // Get results
    coordinator.print_results();

    let mut state_machine = StateMachine::new();
    // Register handlers for this specific connection
    state_machine.register_handler(State::Initial, Box::new(InitialHandler));
    // ... other handlers
    state_machine.register_handler(State::Connecting, handler_fn(|_| async { Ok(Next::End) }.boxed()));
    let handle = tokio::spawn(async move { state_machine.run().await });
    let report = handle.await.unwrap().unwrap();
    assert_eq!(report.states, [State::Initial, State::Connecting]);
}

pub async fn each_status_is_passed_through(target: Target) {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    coordinator.add_connection(target.config("good"));
    coordinator.add_connection(ConnectionConfig {
        username: "nobody".to_owned(),
        ..target.config("bad")
    });
    assert_eq!(result(&coordinator, "good").status, Status::NotStarted);
    coordinator.run_all_connections().await.unwrap_err();
    let passed = |id| -> Vec<Status> {
        let statuses = result(&coordinator, id).statuses;
        assert!(statuses.is_sorted_by_key(|(at_us, _)| *at_us), "{statuses:?}");
        statuses.into_iter().map(|(_, status)| status).collect()
    };
    use Status::{Completed, Connected, Connecting, Failed, NotStarted, Testing};
    assert_eq!(
        passed("good"),
        [NotStarted, Connecting, Connected, Testing, Completed]
    );
    assert_eq!(passed("bad"), [NotStarted, Connecting, Failed]);
}

pub async fn a_wait_in_vain_ends_at_once(target: Target) {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    for id in ["ends", "waits", "waits too"] {
        coordinator.add_connection(target.config(id));
    }
    for id in ["waits", "waits too"] {
        let wait = handler_fn(move |context| {
            async move {
                context.wait_for(&format!("for {id}"), LONG).await?;
                Ok(Next::End)
            }
            .boxed()
        });
        coordinator.register_handler_for(id, State::Testing, wait);
    }
    let began = Instant::now();
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(began.elapsed() < LONG / 2, "at once: {:?}", began.elapsed());
    assert!(error.starts_with("2 of 3 connections failed"), "{error}");
    // Both were in the deadlock; the one whose limit would have come first was told so, and the other one is told
    // what became of that one.
    for part in [
        "` can never be satisfied (deadlock): ends has completed without it; waits",
        "` can never be satisfied: ends has completed without it; waits",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let shown = coordinator.results().to_string();
    for part in [
        " waits waits in `testing` for",
        " waits too waits in `testing` for",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

pub async fn variables_are_shared_and_typed(target: Target) {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    for number in 0..8 {
        coordinator.add_connection(target.config(format!("adder {number}")));
    }
    coordinator.set("name", "orders");
    coordinator.register_handler(
        State::Testing,
        handler_fn(|context| {
            async move {
                for _ in 0..50 {
                    context.add("sum", 1)?;
                    context.record("rows", context.get::<String>("name")?);
                }
                let wrong = context.get::<i64>("name").unwrap_err().to_string();
                assert_eq!(
                    wrong,
                    "variable `name`: it is 'orders', not a whole number that fits i64"
                );
                let missing = context.get::<i64>("nmae").unwrap_err().to_string();
                assert_eq!(missing, "variable `nmae`: it is not set");
                Ok(Next::End)
            }
            .boxed()
        }),
    );
    // As a task: what it gives is Send.
    let run = tokio::spawn(async move {
        coordinator.run_all_connections().await.unwrap();
        coordinator
    });
    let coordinator = run.await.unwrap();
    let state = coordinator.results().into_history();
    assert_eq!(state.vars["sum"], SqlValue::Int(400));
    assert_eq!(state.series["rows"].len(), 400);
}

pub async fn nothing_runs_that_could_not_be_told_apart() {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    assert_eq!(
        coordinator.run_all_connections().await,
        Err(RunError::NoConnections)
    );
    let config = ConnectionConfig {
        id: "a".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        username: String::new(),
        password: String::new(),
        database: None,
    };
    coordinator.add_connection(config.clone());
    let end = || handler_fn(|_| async { Ok(Next::End) }.boxed());
    coordinator.register_handler_for("b", State::Testing, end());
    let id = "b".to_owned();
    let error = coordinator.run_all_connections().await;
    assert_eq!(error, Err(RunError::NoSuchConnection { id }));
    coordinator.add_connection(config);
    let id = "a".to_owned();
    assert_eq!(
        coordinator.run_all_connections().await,
        Err(RunError::SameName { id })
    );
    assert_eq!(result(&coordinator, "a").status, Status::NotStarted);
}
