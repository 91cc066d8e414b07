//! What connections share: barriers, messages, and what is kept of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tidb_scenarios::handler::{Incoming, SendError, StateError, StateHandler, WaitError, handler_fn};
use tidb_scenarios::history::{History, Outcome, WaitFailure, Went};
use tidb_scenarios::multi::{Message, Received};
use tidb_scenarios::{ConnectionConfig, MultiConnectionCoordinator, Next, State, StateContext, StateMachine};

use super::Target;

const LONG: Duration = Duration::from_secs(60);

type Work = for<'c> fn(&'c mut StateContext) -> futures::future::BoxFuture<'c, Result<(), StateError>>;

fn handler(work: Work) -> Box<dyn StateHandler> {
    handler_fn(move |context| {
        async move {
            work(context).await?;
            Ok(Next::End)
        }
        .boxed()
    })
}

fn coordinator(target: &Target, work: &[(&str, Work)]) -> MultiConnectionCoordinator {
    let mut coordinator = MultiConnectionCoordinator::new();
    for (id, work) in work {
        coordinator.add_connection_with(target.config(*id), target.options.clone());
        coordinator.register_handler_for(id, State::Testing, handler(*work));
    }
    coordinator
}

/// Each connection adds to a number before the barrier, so behind it the number is that of all.
pub async fn a_barrier_lets_all_go_on_together_again_and_again(target: Target) {
    let mut coordinator = MultiConnectionCoordinator::new();
    for number in 0..4 {
        coordinator.add_connection(target.config(format!("c{number}")));
    }
    let meet = handler(|context| {
        async move {
            for round in 1..=20 {
                context.value("select 1").await?;
                context.add("count", 1)?;
                context.barrier("meet", 4, LONG).await?;
                assert_eq!(context.get::<i64>("count")?, 4 * round);
                context.barrier("part", 4, LONG).await?;
            }
            Ok(())
        }
        .boxed()
    });
    coordinator.register_handler(State::Testing, meet);
    coordinator.run_all_connections().await.unwrap();
}

pub async fn a_barrier_that_cannot_fill_is_told_at_once(target: Target) {
    let meet: Work = |context| async move { context.barrier("meet", 3, LONG).await }.boxed();
    let leave: Work = |_| async { Ok(()) }.boxed();
    let mut coordinator = coordinator(&target, &[("a", meet), ("b", meet), ("leaves", leave)]);
    let began = Instant::now();
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(began.elapsed() < LONG / 2, "at once: {:?}", began.elapsed());
    assert!(
        error.starts_with("2 of 3 connections failed: `a` in state `testing`"),
        "{error}"
    );
    for part in [
        " of 3 are there) can never be satisfied: ",
        "leaves has completed without it",
    ] {
        assert_eq!(error.matches(part).count(), 2, "{error}");
    }
}

pub async fn a_barrier_is_for_one_number_of_connections(target: Target) {
    let first: Work = |context| {
        async move {
            context.signal("there");
            context.barrier("meet", 2, LONG).await
        }
        .boxed()
    };
    let second: Work = |context| {
        async move {
            context.wait_for("there", LONG).await?;
            let none = context.barrier("nobody", 0, LONG).await.unwrap_err();
            assert_eq!(
                none.to_string(),
                "barrier `nobody` is for 0 connections; it needs one at least"
            );
            // The other one may come to it first, or not.
            let wrong = context
                .barrier("meet", 3, Duration::from_millis(1))
                .await
                .unwrap_err();
            if let StateError::Barrier(message) = &wrong {
                assert_eq!(
                    message,
                    "barrier `meet` is for 2 connections, and is used here for 3"
                );
            } else {
                return Err(wrong);
            }
            context.barrier("meet", 2, LONG).await
        }
        .boxed()
    };
    coordinator(&target, &[("a", first), ("b", second)])
        .run_all_connections()
        .await
        .unwrap();
}

pub async fn a_message_goes_to_one_or_to_all(target: Target) {
    let alice: Work = |context| {
        async move {
            context.send("bob", "order", serde_json::json!({"rows": 3}))?;
            let Incoming {
                from,
                topic,
                payload,
                to_all,
            } = context.receive(LONG).await?;
            assert_eq!((from.as_str(), topic.as_str(), to_all), ("bob", "done", false));
            assert_eq!(payload, serde_json::json!(3));
            context.broadcast("all done", true);
            context.send("operator", "report", "well")?;
            Ok(())
        }
        .boxed()
    };
    let bob: Work = |context| {
        async move {
            let order = context.receive(LONG).await?;
            context.send(&order.from, "done", order.payload["rows"].clone())?;
            let all = context.receive(LONG).await?;
            assert_eq!((all.topic.as_str(), all.to_all), ("all done", true));
            Ok(())
        }
        .boxed()
    };
    let carol: Work = |context| {
        async move {
            // What was for bob alone does not come here.
            assert_eq!(context.receive(LONG).await?.topic, "all done");
            Ok(())
        }
        .boxed()
    };
    let mut coordinator = coordinator(&target, &[("alice", alice), ("bob", bob), ("carol", carol)]);
    let mut operator = coordinator.subscribe("operator", 1_000);
    let mut log = coordinator.subscribe("log", 1_000);
    coordinator.run_all_connections().await.unwrap();
    coordinator.close();
    let mut direct = Vec::new();
    let mut all = Vec::new();
    for messages in [&mut operator, &mut log] {
        while let Some(Received::Message(envelope)) = messages.try_receive() {
            match envelope.message {
                Message::Direct { topic, .. } => direct.push((envelope.from, topic)),
                Message::Broadcast { topic, .. } => all.push((envelope.from, topic)),
                _ => {}
            }
        }
    }
    let of_alice = |topic: &str| ("alice".to_owned(), topic.to_owned());
    assert_eq!(direct, [of_alice("report")], "one gets what is for one");
    assert_eq!(all, [of_alice("all done"), of_alice("all done")]);
}

pub async fn a_message_that_nobody_reads_is_refused(target: Target) {
    let sends: Work = |context| {
        async move {
            let nobody = context.send("bbo", "hello", 1).unwrap_err();
            assert_eq!(
                nobody.to_string(),
                "no connection or member is named `bbo`; there are `sends`, `bob`, `ends`, `operator`"
            );
            context.wait_for("ended", LONG).await?;
            // It signals before its session is closed.
            let refused = loop {
                match context.send("ends", "hello", 1) {
                    Ok(()) => {}
                    Err(StateError::Send(SendError::Full { .. })) => tokio::task::yield_now().await,
                    Err(other) => break other,
                }
            };
            assert_eq!(refused.to_string(), "`ends` has ended and reads no more messages");
            context.send("bob", "one", 1)?;
            context.broadcast("two", 2);
            let full = context.send("bob", "three", 3).unwrap_err();
            assert_eq!(
                full.to_string(),
                "the inbox of `bob` is full: 1 messages have not been read"
            );
            context.signal("sent");
            Ok(())
        }
        .boxed()
    };
    let bob: Work = |context| {
        async move {
            context.wait_for("sent", LONG).await?;
            assert_eq!(context.receive(LONG).await?.topic, "one");
            let missed = context.receive(LONG).await.unwrap_err();
            assert!(matches!(missed, StateError::Missed { count: 1 }), "{missed}");
            let began = Instant::now();
            let none = context.receive(Duration::from_millis(20)).await.unwrap_err();
            assert!(began.elapsed() < LONG / 2);
            let StateError::Wait(WaitError::OverTime { wanted, .. }) = &none else {
                panic!("{none}");
            };
            assert_eq!(wanted, "a message");
            Ok(())
        }
        .boxed()
    };
    let ends: Work = |context| {
        async move {
            context.signal("ended");
            Ok(())
        }
        .boxed()
    };
    let mut coordinator = coordinator(&target, &[("sends", sends), ("bob", bob), ("ends", ends)]);
    coordinator.messages(1);
    let operator = coordinator.member("operator");
    let _subscription = operator.subscribe(10);
    coordinator.run_all_connections().await.unwrap();
}

pub async fn a_message_that_nobody_can_send_any_more_is_not_waited_for(target: Target) {
    let ends: Work = |_| async { Ok(()) }.boxed();
    let reads: Work = |context| async move { context.receive(LONG).await.map(drop) }.boxed();
    let mut coordinator = coordinator(&target, &[("ends", ends), ("reads", reads)]);
    let began = Instant::now();
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(began.elapsed() < LONG / 2, "at once: {:?}", began.elapsed());
    assert_eq!(
        error,
        "1 of 2 connections failed: `reads` in state `testing`: the wait for a message can never be satisfied: ends \
         has completed without it"
    );
}

pub async fn a_handler_hears_what_happens_to_others(target: Target) {
    let works: Work = |context| {
        async move {
            context.wait_for("go", LONG).await?;
            context.set("result", 7);
            Ok(())
        }
        .boxed()
    };
    let hears: Work = |context| {
        async move {
            let mut messages = context.subscribe(1_000);
            context.signal("go");
            loop {
                match messages.receive().await {
                    Some(Received::Message(envelope)) => {
                        if let Message::VariableSet { name, .. } = envelope.message {
                            assert_eq!((envelope.from.as_str(), name.as_str()), ("works", "result"));
                            return Ok(());
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        .boxed()
    };
    coordinator(&target, &[("works", works), ("hears", hears)])
        .run_all_connections()
        .await
        .unwrap();
}

/// Three handlers of which each waits for what another one would signal later.
pub async fn a_deadlock_of_handlers_is_drawn(target: Target) {
    let waits = |event: &'static str, signals: &'static str| {
        handler_fn(move |context| {
            async move {
                context.wait_for(event, LONG).await?;
                context.signal(signals);
                Ok(Next::End)
            }
            .boxed()
        })
    };
    let mut coordinator = MultiConnectionCoordinator::new();
    for (id, event, signals) in [
        ("a", "of b", "of a"),
        ("b", "of c", "of b"),
        ("c", "of a", "of c"),
    ] {
        coordinator.add_connection(target.config(id));
        coordinator.register_handler_for(id, State::Testing, waits(event, signals));
    }
    let began = Instant::now();
    coordinator.run_all_connections().await.unwrap_err();
    assert!(began.elapsed() < LONG / 2, "at once: {:?}", began.elapsed());
    let results = coordinator.results();
    let unsatisfied: Vec<&Went> = results.history().steps.iter().map(|step| &step.went).collect();
    let first = unsatisfied.iter().find_map(|went| match went {
        Went::Unsatisfied { failure, cycle, .. } if !cycle.is_empty() => Some((failure, cycle)),
        _ => None,
    });
    let (failure, cycle) = first.unwrap_or_else(|| panic!("{unsatisfied:?}"));
    assert_eq!(
        (*failure, cycle.len()),
        (WaitFailure::Unsatisfiable, 3),
        "{cycle:?}"
    );
    let shown = results.to_string();
    assert!(
        shown.contains("  ┌▶ ") && shown.contains("  └─ and back to the first one"),
        "{shown}"
    );
    // The one that had to give way comes first, the others fail for it.
    assert!(
        results.timeline().contains("✗ unsatisfiable"),
        "{}",
        results.timeline()
    );
}

/// A handler gives its wait a short limit, and then does what the other one waits for: that is no deadlock.
pub async fn a_short_limit_is_no_deadlock_for_the_others(target: Target) {
    let short: Work = |context| {
        async move {
            let limit = Duration::from_millis(300);
            let why = context.wait_for("never", limit).await.unwrap_err();
            assert!(matches!(why, StateError::Wait(_)), "{why}");
            context.signal("late");
            Ok(())
        }
        .boxed()
    };
    let long: Work = |context| {
        async move {
            context.wait_for("late", LONG).await?;
            context.value("select 'after the wait'").await?;
            Ok(())
        }
        .boxed()
    };
    let mut coordinator = coordinator(&target, &[("short", short), ("long", long)]);
    coordinator.run_all_connections().await.unwrap();
    let history = coordinator.history();
    let after = history
        .steps
        .iter()
        .find(|step| step.text == "select 'after the wait'");
    let waited = Duration::from_micros(after.unwrap().waited_us);
    assert!(waited > Duration::ZERO && waited < LONG / 2, "{waited:?}");
}

pub async fn a_run_is_history_a_timeline_and_json(target: Target) {
    target
        .run(&[
            "create table kept (id int primary key)",
            "create user 'kept'@'%' identified by 's3cret-of-kept'",
            "grant all on test.* to 'kept'@'%'",
        ])
        .await;
    let work: Work = |context| {
        async move {
            context.run("insert into kept values (1)").await?;
            let again = context.execute("insert into kept values (1)").await?;
            assert!(matches!(again, Outcome::Refused(_)));
            context.value("select 's3cret-of-kept'").await?;
            context.set("done", true);
            context.record("rows", 1);
            context.signal("ready");
            Ok(())
        }
        .boxed()
    };
    let mut coordinator = coordinator(&target, &[]);
    coordinator.add_connection(ConnectionConfig {
        username: "kept".to_owned(),
        password: "s3cret-of-kept".to_owned(),
        ..target.config("alice")
    });
    coordinator.register_handler_for("alice", State::Testing, handler(work));
    coordinator.run_all_connections().await.unwrap();
    let results = coordinator.results();
    assert!(results.passed());
    let history = results.history();
    let testing = results.states().iter().position(|state| state == "testing");
    let of_test: Vec<&str> = history
        .steps
        .iter()
        .filter(|step| Some(step.step) == testing)
        .map(|step| step.text.as_str())
        .collect();
    let insert = "insert into kept values (1)";
    assert_eq!(of_test, [insert, insert, "select 's3cret-of-kept'"]);
    assert!(history.steps.iter().all(|step| step.end.is_some()));
    let events: Vec<&str> = history.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["all_connections_ready", "ready"]);
    assert_eq!(history.series["rows"].len(), 1);
    assert!(
        history.server.contains("TiDB") && history.took_us > 0,
        "{history:?}"
    );

    let timeline = results.timeline();
    for part in [
        "testing: insert into kept values (1)",
        "→ error 1062 (23000, ER_DUP_ENTRY)",
        "│ alice",
    ] {
        assert!(timeline.contains(part), "{part}: {timeline}");
    }
    let json = results.json();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["verdict"], "passed");
    assert_eq!(value["history"]["connections"][0]["status"], "completed");
    let read: History = serde_json::from_value(value["history"].clone()).unwrap();
    assert_eq!(read.events, history.events);
    for shown in [&timeline, &json, &results.to_string()] {
        assert!(!shown.contains("s3cret-of-kept"), "{shown}");
    }
}

pub async fn more_statements_than_are_kept_are_counted(target: Target) {
    let work: Work = |context| {
        async move {
            for _ in 0..10 {
                context.value("select 1").await?;
            }
            Ok(())
        }
        .boxed()
    };
    let mut coordinator = coordinator(&target, &[("one", work)]);
    coordinator.record_at_most(4);
    coordinator.run_all_connections().await.unwrap();
    let history = coordinator.history();
    // The way to the test asks for the database and the version.
    assert_eq!((history.steps.len(), history.unrecorded), (4, 8));
    let timeline = coordinator.results().timeline();
    assert!(
        timeline.ends_with("8 more statements were not recorded"),
        "{timeline}"
    );
}

/// What the first run left is not taken for the second one's.
pub async fn a_coordinator_runs_again(target: Target) {
    let work: Work = |context| {
        async move {
            context.add("runs", 1)?;
            context.signal("here");
            context.barrier("meet", 2, LONG).await
        }
        .boxed()
    };
    let mut coordinator = coordinator(&target, &[("a", work), ("b", work)]);
    let state = coordinator.shared_state();
    for run in 1..=3 {
        coordinator.run_all_connections().await.unwrap();
        let state = state.lock().unwrap();
        assert_eq!(state.vars["runs"], (2 * run).into());
        let here = state.events.iter().filter(|event| event.name == "here");
        assert_eq!(here.count(), 2, "of this run alone");
        assert_eq!(state.connections[0].sessions.len(), 1);
    }
}

pub async fn a_machine_by_itself_keeps_its_history(target: Target) {
    use tidb_scenarios::handler::{ConnectingHandler, InitialHandler};
    let ran = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&ran);
    let mut state_machine = StateMachine::new();
    state_machine.connect_to(target.config("alone"), target.options.clone());
    state_machine.register_handler(State::Initial, Box::new(InitialHandler));
    state_machine.register_handler(State::Connecting, Box::new(ConnectingHandler));
    let work = handler_fn(move |context| {
        let ran = Arc::clone(&counted);
        async move {
            context.value("select 1").await?;
            ran.fetch_add(1, Ordering::Relaxed);
            // Nobody else is there.
            context.wait_for("go", LONG).await?;
            Ok(Next::End)
        }
        .boxed()
    });
    state_machine.register_handler(State::Connected, work);
    let observer = state_machine.member("observer");
    observer.signal("go");
    state_machine.run().await.unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    let results = observer.results();
    assert_eq!(results.history().steps.len(), 1);
    assert!(
        results.timeline().contains("connected: select 1"),
        "{}",
        results.timeline()
    );
}
