//! The code of the document that this project began with, names and calls as they stand there.

use std::sync::{Arc, Mutex};

use tidb_scenarios::handler::InitialHandler;
use tidb_scenarios::multi::{MachineFailure, SharedTestState};
use tidb_scenarios::{ConnectionConfig, SimpleMultiConnectionCoordinator, State, StateMachine};

/// Its first piece: a machine of each connection, run as a task. It registers one handler alone, and is told so
/// before anything runs.
#[tokio::test]
async fn individual_state_machines() {
    let mut state_machine = StateMachine::new();
    // Register handlers for this specific connection
    state_machine.register_handler(State::Initial, Box::new(InitialHandler));
    // ... other handlers

    let handle = tokio::spawn(async move {
        state_machine.run().await
    });

    let error = handle.await.unwrap().unwrap_err();
    assert!(matches!(
        error.failure,
        MachineFailure::NoHandler {
            state: State::Connecting,
            ..
        }
    ));
}

/// Its example of usage. The host is one that is never there: what can be run here is how it fails.
async fn example_usage() -> Result<(), Box<dyn std::error::Error>> {
    // Create coordinator
    let mut coordinator = SimpleMultiConnectionCoordinator::new();

    // Add connections
    coordinator.add_connection(ConnectionConfig {
        id: "primary".to_string(),
        host: "tidb-primary.tidbcloud.com".to_string(),
        port: 4000,
        username: "user".to_string(),
        password: "password".to_string(),
        database: Some("test".to_string()),
    });

    // Run all connections concurrently
    coordinator.run_all_connections().await?;

    // Get results
    coordinator.print_results();

    Ok(())
}

/// The same with a host where nothing listens.
#[tokio::test]
async fn a_connection_that_fails_is_named() {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    coordinator.add_connection(ConnectionConfig {
        id: "primary".to_string(),
        host: "127.0.0.1".to_string(),
        port,
        username: "user".to_string(),
        password: "password".to_string(),
        database: Some("test".to_string()),
    });
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(error.starts_with("1 of 1 connections failed: `primary` in state `connecting`"), "{error}");
    coordinator.print_results();
    let shared_state: Arc<Mutex<SharedTestState>> = coordinator.shared_state();
    assert_eq!(shared_state.lock().unwrap().connections.len(), 1);
    // It is compiled, and not run: it asks a host of somebody else's.
    drop(example_usage());
}
