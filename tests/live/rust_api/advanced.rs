use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tidb_scenarios::handler::{ImportMonitor, handler_fn};
use tidb_scenarios::history::{JobKind, Status};
use tidb_scenarios::multi::{ALL_CONNECTIONS_READY, Envelope, Message, Received, Subscription};
use tidb_scenarios::{MultiConnectionCoordinator, Next, State};

use super::Target;

const LONG: Duration = Duration::from_secs(60);

/// All that a subscription gives: the messages, and how many it missed.
fn read(subscription: &mut Subscription) -> (Vec<Envelope>, u64) {
    let (mut messages, mut missed) = (Vec::new(), 0);
    while let Some(received) = subscription.try_receive() {
        match received {
            Received::Message(envelope) => messages.push(envelope),
            Received::Missed(count) => missed += count,
        }
    }
    (messages, missed)
}

async fn until(subscription: &mut Subscription, mut found: impl FnMut(&Envelope) -> bool) {
    let search = async {
        loop {
            match subscription.receive().await {
                Some(Received::Message(envelope)) if found(&envelope) => return,
                Some(_) => {}
                None => panic!("it did not come"),
            }
        }
    };
    tokio::time::timeout(LONG, search).await.expect("it comes");
}

pub async fn fifty_connections_tell_of_themselves(target: Target) {
    let mut coordinator = MultiConnectionCoordinator::new();
    for number in 0..50 {
        coordinator.add_connection(target.config(format!("c{number}")));
    }
    // All are open at once.
    let meet = handler_fn(|context| {
        async move {
            context.wait_for(ALL_CONNECTIONS_READY, LONG).await?;
            context.value("select 1").await?;
            Ok(Next::End)
        }
        .boxed()
    });
    coordinator.register_handler(State::Testing, meet);
    let mut all = coordinator.subscribe("log", 5_000);
    let mut own = coordinator.subscribe("c7", 5_000);
    let mut slow = coordinator.subscribe("slow", 4);
    coordinator.run_all_connections().await.unwrap();
    coordinator.close();

    let (messages, missed) = read(&mut all);
    assert_eq!(missed, 0);
    let count = |wanted: fn(&Message) -> bool| messages.iter().filter(|sent| wanted(&sent.message)).count();
    assert_eq!(
        count(|message| matches!(message, Message::ConnectionEstablished { .. })),
        50
    );
    assert_eq!(count(|message| *message == Message::AllConnectionsReady), 1);
    assert_eq!(count(|message| *message == Message::TestCompleted), 50);
    let last = Message::AllEnded {
        completed: 50,
        failed: 0,
    };
    assert_eq!(messages.last().map(|sent| &sent.message), Some(&last));
    assert!(messages.is_sorted_by_key(|sent| sent.number), "one order for all");
    let sessions: BTreeSet<Option<u64>> = coordinator
        .state()
        .connections
        .iter()
        .map(|connection| connection.session())
        .collect();
    assert_eq!(sessions.len(), 50, "a session each");

    let (others, missed) = read(&mut own);
    assert_eq!(missed, 0);
    assert!(
        others.iter().all(|sent| sent.from != "c7"),
        "nothing comes back to its sender"
    );
    let of_c7 = messages.iter().filter(|sent| sent.from == "c7").count();
    assert_eq!(others.len() + of_c7, messages.len());

    let (few, missed) = read(&mut slow);
    assert_eq!(few, messages[..4], "what came first is there");
    assert_eq!(
        few.len() + usize::try_from(missed).unwrap(),
        messages.len(),
        "the rest is told"
    );
}

pub async fn a_shutdown_ends_every_machine_in_order(target: Target) {
    let mut coordinator = MultiConnectionCoordinator::new();
    for number in 0..5 {
        coordinator.add_connection(target.config(format!("c{number}")));
    }
    let round = handler_fn(|context| {
        async move {
            context.value("select sleep(0.005)").await?;
            Ok(Next::State(State::Testing))
        }
        .boxed()
    });
    coordinator.register_handler(State::Testing, round);
    let wait = handler_fn(|context| {
        async move {
            context.wait_for("never", LONG).await?;
            Ok(Next::End)
        }
        .boxed()
    });
    coordinator.register_handler_for("c4", State::Testing, wait);
    let operator = coordinator.member("operator");
    let mut messages = operator.subscribe(5_000);
    let mut log = coordinator.subscribe("log", 5_000);
    let watch = tokio::spawn(async move {
        let mut testing = BTreeSet::new();
        until(&mut messages, |sent| {
            if sent.message
                == (Message::StateEntered {
                    state: "testing".to_owned(),
                })
            {
                testing.insert(sent.from.clone());
            }
            testing.len() == 5
        })
        .await;
        operator.shut_down();
        until(&mut messages, |sent| {
            matches!(sent.message, Message::AllEnded { .. })
        })
        .await;
        (operator, messages)
    });
    let began = Instant::now();
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    assert!(error.starts_with("5 of 5 connections failed"), "{error}");
    assert!(
        error.contains("`c0` in state `testing`: the coordinator shut down before its end"),
        "{error}"
    );
    assert!(
        error.contains("stopped waiting for event `never`: the coordinator shuts down"),
        "{error}"
    );
    let (operator, mut messages) = watch.await.unwrap();
    drop(operator);
    coordinator.close();
    assert_eq!(messages.receive().await, None, "subscriptions end");
    let (told, _) = read(&mut log);
    assert!(
        told.iter()
            .any(|sent| sent.from == "operator" && sent.message == Message::Shutdown)
    );

    let state = coordinator.state();
    let sessions: Vec<u64> = state
        .connections
        .iter()
        .filter_map(|connection| connection.session())
        .collect();
    assert_eq!(sessions.len(), 5);
    target.are_gone(&sessions).await;
}

pub async fn a_member_asks_for_the_global_state(target: Target) {
    let mut coordinator = MultiConnectionCoordinator::new();
    coordinator.add_connection(target.config("one"));
    let (asks, hears) = (coordinator.member("asks"), coordinator.member("hears"));
    let (mut answers, mut heard) = (asks.subscribe(100), hears.subscribe(100));
    asks.broadcast("news", serde_json::json!({"rows": 3}));
    asks.request_state();
    let Some(Received::Message(Envelope {
        from,
        message: Message::StateAnswer(state),
        ..
    })) = answers.receive().await
    else {
        panic!("an answer, and nothing of its own before it");
    };
    assert_eq!(
        (from.as_str(), state.connections[0].status),
        ("coordinator", Status::NotStarted)
    );
    let (messages, _) = read(&mut heard);
    let messages: Vec<Message> = messages.into_iter().map(|sent| sent.message).collect();
    let topic = "news".to_owned();
    let payload = serde_json::json!({"rows": 3});
    assert_eq!(
        messages,
        [Message::Broadcast { topic, payload }, Message::StateRequest]
    );

    // What comes before the run is there in it.
    hears.signal("go");
    let wait = handler_fn(|context| {
        async move {
            context.wait_for("go", LONG).await?;
            Ok(Next::End)
        }
        .boxed()
    });
    coordinator.register_handler(State::Testing, wait);
    coordinator.run_all_connections().await.unwrap();
    asks.request_state();
    let (answers, _) = read(&mut answers);
    let Some(Message::StateAnswer(state)) = answers.last().map(|sent| &sent.message) else {
        panic!("{answers:?}");
    };
    assert_eq!(**state, coordinator.state());
    assert_eq!(state.connections[0].status, Status::Completed);
}

const JOB: &str = "insert into mysql.tidb_import_jobs (id, table_schema, table_name, table_id, created_by, \
                   parameters, source_file_size, status, step, summary) values";

/// One connection leads a job through its life, two others watch it, and each change is told once.
pub async fn an_import_is_followed_across_connections(target: Target) {
    let mut coordinator = MultiConnectionCoordinator::new();
    for id in ["loader", "monitor 1", "monitor 2"] {
        coordinator.add_connection(target.config(id));
    }
    let load = handler_fn(|context| {
        async move {
            context
                .run(&format!(
                    "{JOB} (7001, 'shop', 'orders', 9, 'root@%', '{{\"file-location\": \"s3://b/o.csv\", \
                     \"format\": \"csv\"}}', 1000, 'pending', '', null)"
                ))
                .await?;
            context.wait_for("import.7001.pending", LONG).await?;
            context
                .run(
                    "update mysql.tidb_import_jobs set status = 'running', step = 'importing', \
                     start_time = now(6), summary = '{\"imported-rows\": 10}' where id = 7001",
                )
                .await?;
            context.wait_for("import.7001.running", LONG).await?;
            context
                .run(
                    "update mysql.tidb_import_jobs set status = 'finished', step = '', end_time = now(6), \
                     summary = '{\"imported-rows\": 30}' where id = 7001",
                )
                .await?;
            Ok(Next::End)
        }
        .boxed()
    });
    coordinator.register_handler_for("loader", State::Testing, load);
    for id in ["monitor 1", "monitor 2"] {
        let monitor = ImportMonitor::of_job(7001)
            .every(Duration::from_millis(2))
            .within(LONG);
        coordinator.register_handler_for(id, State::Testing, Box::new(monitor));
    }
    let mut messages = coordinator.subscribe("log", 5_000);
    coordinator.run_all_connections().await.unwrap();
    let changes: Vec<(&str, String, Option<i128>)> = read(&mut messages)
        .0
        .into_iter()
        .filter_map(|sent| match sent.message {
            Message::JobAdded(job) => Some(("added", job)),
            Message::JobUpdated(job) => Some(("updated", job)),
            Message::JobCompleted(job) => Some(("completed", job)),
            _ => None,
        })
        .map(|(what, job)| (what, job.status().to_owned(), job.rows()))
        .collect();
    let told: Vec<(&str, &str)> = changes
        .iter()
        .map(|(what, status, _)| (*what, status.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("added", "pending"),
            ("updated", "running"),
            ("completed", "finished")
        ]
    );
    let state = coordinator.state();
    let job = state.job(JobKind::Import, 7001).unwrap();
    assert_eq!((job.table(), job.rows()), ("orders", Some(30)));
}

pub async fn an_import_that_fails_fails_its_monitor(target: Target) {
    let job = format!(
        "{JOB} (7002, 'shop', 'orders', 9, 'root@%', '{{\"file-location\": \"s3://b/o.csv\", \"format\": \
         \"csv\"}}', 1000, 'failed', '', null)"
    );
    target
        .run(&[
            &job,
            "update mysql.tidb_import_jobs set error_message = 'no such bucket' where id = 7002",
        ])
        .await;
    let mut coordinator = MultiConnectionCoordinator::new();
    coordinator.add_connection(target.config("monitor"));
    let monitor = ImportMonitor::of_job(7002).within(LONG);
    coordinator.register_handler(State::Testing, Box::new(monitor));
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(
        error.ends_with("import job 7002 failed: no such bucket"),
        "{error}"
    );
}
