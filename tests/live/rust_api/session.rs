use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tidb_scenarios::connection::{ConnectError, Connection, Pool};
use tidb_scenarios::handler::{StateError, handler_fn, run_handler};
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::multi::ConnectionResult;
use tidb_scenarios::policy::{BreakerPolicy, BreakerState, CircuitBreaker, RetryPolicy};
use tidb_scenarios::{
    ConnectionConfig, ConnectionOptions, Handlers, Next, SimpleMultiConnectionCoordinator, State,
    StateContext,
};

use super::Target;

const LONG: Duration = Duration::from_secs(60);

fn results(coordinator: &SimpleMultiConnectionCoordinator) -> Vec<ConnectionResult> {
    coordinator.results().into_history().connections
}

/// Two transactions that update the same two rows, each the other's first row second.
pub async fn a_deadlock_is_run_again_from_begin(target: Target) {
    target
        .run(&[
            "create table deadlock (id int primary key, n int)",
            "insert into deadlock values (1, 0), (2, 0)",
        ])
        .await;
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    for (id, first, second) in [("a", 1, 2), ("b", 2, 1)] {
        coordinator.add_connection(target.config(id));
        let other = if id == "a" { "b" } else { "a" };
        let work = handler_fn(move |context| {
            async move {
                context
                    .transaction(move |context| {
                        async move {
                            context
                                .run(&format!("update deadlock set n = n + 1 where id = {first}"))
                                .await?;
                            context.signal(&format!("{} has its first row", context.id()));
                            context
                                .wait_for(&format!("{other} has its first row"), LONG)
                                .await?;
                            context
                                .run(&format!("update deadlock set n = n + 1 where id = {second}"))
                                .await
                        }
                        .boxed()
                    })
                    .await?;
                Ok(Next::End)
            }
            .boxed()
        });
        coordinator.register_handler_for(id, State::Testing, work);
    }
    coordinator.run_all_connections().await.unwrap();
    let retries: u32 = results(&coordinator)
        .iter()
        .map(|connection| connection.retries)
        .sum();
    assert!(retries >= 1, "{:?}", results(&coordinator));
    let Outcome::Rows(set) = target.ask("select n from deadlock").await else {
        panic!("no rows");
    };
    assert_eq!(set.rows, [[SqlValue::Int(2)], [SqlValue::Int(2)]]);
}

/// Runs one transaction over one connection.
async fn transaction<F>(target: &Target, work: F) -> (ConnectionResult, String)
where
    F: for<'c> Fn(&'c mut StateContext) -> futures::future::BoxFuture<'c, Result<Next, StateError>>
        + Send
        + Sync
        + 'static,
{
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    coordinator.add_connection(target.config("one"));
    coordinator.register_handler(State::Testing, handler_fn(work));
    let error = coordinator.run_all_connections().await;
    let error = error.map_or_else(|error| error.to_string(), |()| String::new());
    (results(&coordinator).remove(0), error)
}

pub async fn what_will_not_pass_is_not_run_again(target: Target) {
    target
        .run(&[
            "create table taken (id int primary key)",
            "insert into taken values (1)",
        ])
        .await;
    let (result, error) = transaction(&target, |context| {
        async move {
            context
                .transaction(|context| {
                    async move { context.run("insert into taken values (1)").await }.boxed()
                })
                .await?;
            Ok(Next::End)
        }
        .boxed()
    })
    .await;
    assert!(
        error.contains("error 1062 (23000) from `insert into taken values (1)`"),
        "{error}"
    );
    assert_eq!(result.retries, 0);
}

/// Ends the context's session from another one.
async fn kill(context: &mut StateContext) {
    let session = context.connection().unwrap().session_id();
    let config = context.config().unwrap().clone();
    let mut control = Connection::open(&config, context.options()).await.unwrap();
    control.execute(&format!("kill {session}")).await;
    control.close().await;
    let target = Target {
        config,
        options: context.options().clone(),
    };
    // KILL returns before the session has ended.
    target.are_gone(&[session]).await;
}

pub async fn a_session_lost_before_commit_is_run_again(target: Target) {
    // Without a key: the locks of a session that was killed may live on for 20 s (their TTL), and who wants the
    // same row waits for them.
    target.run(&["create table lost (id int)"]).await;
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let (result, error) = transaction(&target, move |context| {
        let tries = Arc::clone(&counted);
        async move {
            context
                .transaction(move |context| {
                    let tries = Arc::clone(&tries);
                    async move {
                        context.run("insert into lost values (1)").await?;
                        if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                            kill(context).await;
                        }
                        context.run("insert into lost values (2)").await
                    }
                    .boxed()
                })
                .await?;
            Ok(Next::End)
        }
        .boxed()
    })
    .await;
    assert_eq!(error, "");
    assert_eq!((tries.load(Ordering::Relaxed), result.retries), (2, 1));
    let Outcome::Rows(set) = target.ask("select id from lost order by id").await else {
        panic!("no rows");
    };
    assert_eq!(set.rows, [[SqlValue::Int(1)], [SqlValue::Int(2)]], "once each");
}

pub async fn a_commit_whose_answer_is_lost_is_not_sent_again(target: Target) {
    target.run(&["create table unknown (id int primary key)"]).await;
    let (result, error) = transaction(&target, |context| {
        async move {
            context
                .transaction(|context| {
                    async move {
                        context.run("insert into unknown values (1)").await?;
                        kill(context).await;
                        Ok(())
                    }
                    .boxed()
                })
                .await?;
            Ok(Next::End)
        }
        .boxed()
    })
    .await;
    assert!(
        error.contains("lost at COMMIT, so whether the transaction took effect is unknown"),
        "{error}"
    );
    assert_eq!(result.retries, 0);
}

pub async fn a_statement_over_its_limit_is_killed_and_the_session_lives(target: Target) {
    let options = ConnectionOptions {
        statement_max: Duration::from_millis(300),
        ..target.options.clone()
    };
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    coordinator.add_connection_with(target.config("one"), options);
    coordinator.register_handler(
        State::Testing,
        handler_fn(|context| {
            async move {
                let session = context.value_as::<u64>("select connection_id()").await?;
                let outcome = context.execute("select sleep(50)").await?;
                assert_eq!(
                    outcome,
                    Outcome::TimedOut {
                        limit_ms: 300,
                        starved: false
                    }
                );
                assert_eq!(context.value_as::<u64>("select connection_id()").await?, session);
                Ok(Next::End)
            }
            .boxed()
        }),
    );
    let began = Instant::now();
    coordinator.run_all_connections().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// Its statement would run for a minute, and it has a transaction open.
pub async fn a_machine_that_is_cut_off_leaves_no_statement_behind(target: Target) {
    target.run(&["create table cut_off (id int)"]).await;
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    coordinator.add_connection(target.config("one"));
    coordinator.within(Duration::from_millis(500));
    coordinator.register_handler(
        State::Testing,
        handler_fn(|context| {
            async move {
                context.run("begin").await?;
                context.run("insert into cut_off values (1)").await?;
                context.execute("select sleep(60)").await?;
                Ok(Next::End)
            }
            .boxed()
        }),
    );
    let began = Instant::now();
    let error = coordinator.run_all_connections().await.unwrap_err().to_string();
    assert!(error.ends_with("it ran over its limit of 500 ms"), "{error}");
    target
        .are_gone(&[results(&coordinator)[0].session().unwrap()])
        .await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

pub async fn a_pool_lends_clean_sessions(target: Target) {
    let pool = Pool::new(target.config("pool"), target.options.clone(), 1);
    let mut lent = pool.lend().await.unwrap();
    let first = lent.session_id();
    assert!(!lent.execute("set @mine = 1, autocommit = 0").await.is_error());
    drop(lent);
    let mut lent = pool.lend().await.unwrap();
    let Outcome::Rows(set) = lent.execute("select @mine, @@autocommit").await else {
        panic!("no rows");
    };
    assert_eq!(set.rows, [[SqlValue::Null, SqlValue::Int(1)]]);
    assert_eq!(lent.session_id(), first, "the same session, reset");
    // In the middle of an answer it does not go back: its OK would be taken for that of the reset.
    let slow = tokio::time::timeout(Duration::from_millis(100), lent.execute("do sleep(1)"));
    assert!(slow.await.is_err());
    drop(lent);
    let mut lent = pool.lend().await.unwrap();
    assert_ne!(lent.session_id(), first);
    let Outcome::Rows(set) = lent.execute("select 1").await else {
        panic!("no rows");
    };
    assert_eq!(set.rows, [[SqlValue::Int(1)]]);
    drop(lent);
    pool.close().await;
}

/// A port at which nothing listens: it was free a moment ago.
fn dead() -> ConnectionConfig {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    ConnectionConfig {
        id: "dead".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        username: "root".to_owned(),
        password: String::new(),
        database: None,
    }
}

fn options(attempts: u32, breaker: Option<Arc<CircuitBreaker>>) -> ConnectionOptions {
    ConnectionOptions {
        retry: RetryPolicy {
            attempts,
            first_wait: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        breaker,
        ..ConnectionOptions::default()
    }
}

pub async fn connecting_is_tried_as_often_as_the_policy_says() {
    let mut coordinator = SimpleMultiConnectionCoordinator::new();
    coordinator.add_connection_with(dead(), options(3, None));
    let error = coordinator.run_all_connections().await.unwrap_err();
    assert!(
        error.to_string().contains("cannot connect to 127.0.0.1:"),
        "{error}"
    );
    assert_eq!(results(&coordinator)[0].retries, 2);
}

pub async fn a_breaker_leaves_a_dead_server_alone() {
    let breaker = CircuitBreaker::new(BreakerPolicy {
        failures: 3,
        open_for: LONG,
        trials: 1,
    });
    let options = options(10, Some(Arc::clone(&breaker)));
    let mut tries = 0;
    let error = Connection::open_retrying(&dead(), &options, |_, _| tries += 1)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::LeftAlone { .. }), "{error}");
    assert_eq!((tries, breaker.state()), (3, BreakerState::Open));
    // Clones of the options share it.
    let error = Connection::open_retrying(&dead(), &options.clone(), |_, _| ())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not tried: 3 attempts in a row have failed"),
        "{error}"
    );
}

/// As a scenario in YAML runs one: its handler by name, its connection lent and taken out again.
pub async fn a_handler_by_name_works_on_a_lent_connection(target: Target) {
    let handlers = Handlers::new().with("twice", |with| {
        with.only(&["number"])?;
        let number: u32 = with.get("number")?;
        Ok(handler_fn(move |context| {
            async move {
                assert_eq!(context.with().get::<u32>("number")?, number);
                let twice: i64 = context.value_as(&format!("select 2 * {number}")).await?;
                context.set("twice", twice);
                context.signal("done");
                Ok(Next::End)
            }
            .boxed()
        }))
    });
    let with = serde_json::json!({"number": 21});
    let handler = handlers.build("twice", &with).unwrap();
    let config = target.config("alice");
    let connection = Connection::open(&config, &target.options).await.unwrap();
    let session = connection.session_id();
    let mut context = StateContext::new("alice")
        .target(config, target.options.clone())
        .with_parameters(with);
    context.lend(connection);
    assert_eq!(run_handler(&*handler, &mut context).await.unwrap(), Next::End);
    let (connection, interrupted) = context.take().unwrap();
    assert_eq!((connection.session_id(), interrupted), (session, false));
    connection.close().await;
    let shared = context.shared_state();
    assert_eq!(shared.vars["twice"], SqlValue::Int(42));
    assert!(shared.has_event("done"));
}
