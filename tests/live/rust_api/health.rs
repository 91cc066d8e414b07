//! Sessions that are lost while their connections run no statement.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tidb_scenarios::handler::handler_fn;
use tidb_scenarios::multi::{ALL_CONNECTIONS_READY, Message, Received, session_lost};
use tidb_scenarios::{MultiConnectionCoordinator, Next, State};

use super::Target;

const LONG: Duration = Duration::from_secs(60);
/// What the documentation promises.
const NOTICED: Duration = Duration::from_secs(1);

/// One connection rests, another one kills its session.
pub async fn a_session_that_is_killed_while_it_rests_is_told_within_a_second(target: Target) {
    let mut coordinator = MultiConnectionCoordinator::new();
    for id in ["rests", "kills", "hears"] {
        coordinator.add_connection_with(target.config(id), target.options.clone());
    }
    let rests = handler_fn(|context| {
        async move {
            let session: u64 = context.value_as("select connection_id()").await?;
            context.set("session", session);
            context.wait_for(ALL_CONNECTIONS_READY, LONG).await?;
            context.signal("rests");
            while context.is_connected() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Another session is one that lives.
            context.connect().await?;
            assert!(context.is_connected());
            context.value("select 1").await?;
            Ok(Next::End)
        }
        .boxed()
    });
    let kills = handler_fn(|context| {
        async move {
            context.wait_for("rests", LONG).await?;
            let session: u64 = context.get("session")?;
            // Time in which it is there, so that it is seen.
            tokio::time::sleep(Duration::from_millis(300)).await;
            context.run(&format!("kill {session}")).await?;
            context.signal("killed");
            Ok(Next::End)
        }
        .boxed()
    });
    let hears = handler_fn(|context| {
        async move {
            context.wait_for("killed", LONG).await?;
            context.wait_for(&session_lost("rests"), 2 * NOTICED).await?;
            assert!(context.is_connected(), "nobody else is lost");
            Ok(Next::End)
        }
        .boxed()
    });
    coordinator.register_handler_for("rests", State::Testing, rests);
    coordinator.register_handler_for("kills", State::Testing, kills);
    coordinator.register_handler_for("hears", State::Testing, hears);
    let mut messages = coordinator.subscribe("log", 5_000);
    coordinator.run_all_connections().await.unwrap();
    coordinator.close();
    let mut lost = Vec::new();
    while let Some(Received::Message(envelope)) = messages.try_receive() {
        if let Message::SessionLost { session } = envelope.message {
            lost.push((envelope.from, session));
        }
    }
    let state = coordinator.state();
    let rests = state.connection("rests").unwrap();
    assert_eq!(lost, [("rests".to_owned(), rests.sessions[0])]);
    assert_eq!(rests.sessions.len(), 2, "{rests:?}");
    let at = |name: &str| {
        state
            .events
            .iter()
            .find(|event| event.name == name)
            .unwrap()
            .at_us
    };
    let noticed = Duration::from_micros(at(&session_lost("rests")) - at("killed"));
    assert!(noticed < NOTICED, "{noticed:?}");
    assert!(rests.gone_us.is_none(), "the new session lives");
}

pub async fn sessions_that_live_are_never_called_lost(target: Target) {
    let mut coordinator = MultiConnectionCoordinator::new();
    for number in 0..5 {
        coordinator.add_connection_with(target.config(format!("c{number}")), target.options.clone());
    }
    let rests = handler_fn(|context| {
        async move {
            let end = Instant::now() + Duration::from_millis(1_500);
            while Instant::now() < end {
                assert!(context.is_connected());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // One that ended its session itself has not lost it.
            context.disconnect().await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert!(!context.is_connected());
            Ok(Next::End)
        }
        .boxed()
    });
    coordinator.register_handler(State::Testing, rests);
    coordinator.run_all_connections().await.unwrap();
    let lost = coordinator.state().events.into_iter();
    let lost: Vec<_> = lost
        .filter(|event| event.name.starts_with("session_lost"))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}
