//! Handlers over a scripted server: no TiDB is there.

use futures::FutureExt as _;
use tidb_scenarios::connection::testing::{ScriptedServer, affected, error, lost, rows, timed_out};
use tidb_scenarios::handler::{GettingVersionHandler, StateError, handler_fn, run_handler};
use tidb_scenarios::history::Outcome;
use tidb_scenarios::{Next, State, StateContext, StateHandler, async_trait};

struct Book;

#[async_trait]
impl StateHandler for Book {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let left: i64 = context
            .transaction(|context| {
                async move {
                    let left: i64 = context
                        .value_as("select seats from show where id = 1 for update")
                        .await?;
                    if left > 0 {
                        context
                            .run("update show set seats = seats - 1 where id = 1")
                            .await?;
                    }
                    Ok(left)
                }
                .boxed()
            })
            .await?;
        if left == 0 {
            return Ok(Next::State(State::named("sold_out")));
        }
        context.add("booked", 1)?;
        Ok(Next::End)
    }
}

const SEATS: &str = "select seats from show where id = 1 for update";
const BOOK: &str = "update show set seats = seats - 1 where id = 1";

fn seats(number: i64) -> Outcome {
    rows(["seats"], [[number.into()]])
}

pub async fn a_handler_is_tested_without_a_server() {
    let server = ScriptedServer::new()
        .expect("begin", affected(0))
        .expect(SEATS, seats(3))
        .expect(BOOK, affected(1))
        .expect("commit", affected(0));
    let mut context = StateContext::scripted("alice", &server);
    assert_eq!(run_handler(&Book, &mut context).await.unwrap(), Next::End);
    assert_eq!(context.get::<i64>("booked").unwrap(), 1);
    server.verify().unwrap();

    let server = ScriptedServer::new()
        .expect("begin", affected(0))
        .expect(SEATS, seats(0))
        .expect("commit", affected(0));
    let mut context = StateContext::scripted("alice", &server);
    let next = run_handler(&Book, &mut context).await.unwrap();
    assert_eq!(next, Next::State(State::named("sold_out")));
    server.verify().unwrap();
}

pub async fn errors_and_lost_sessions_are_answers_too() {
    let server = ScriptedServer::new()
        .expect("begin", affected(0))
        .expect(SEATS, seats(3))
        .expect(BOOK, error(1213, "Deadlock found when trying to get lock"))
        .expect("rollback", affected(0))
        .expect("begin", affected(0))
        .expect(SEATS, lost("reset by peer"))
        // Over another session.
        .expect("begin", affected(0))
        .expect(SEATS, seats(2))
        .expect(BOOK, affected(1))
        .expect("commit", lost("reset by peer"));
    let mut context = StateContext::scripted("alice", &server);
    let failed = run_handler(&Book, &mut context).await.unwrap_err();
    assert!(matches!(failed, StateError::CommitUnknown { .. }), "{failed}");
    let record = context.shared_state().connections[0].clone();
    assert_eq!((record.retries, record.sessions), (2, vec![1, 2]));
    assert!(!context.is_connected());
    server.verify().unwrap();

    let server = ScriptedServer::new().expect("begin", timed_out(500));
    let mut context = StateContext::scripted("alice", &server);
    let failed = run_handler(&Book, &mut context).await.unwrap_err();
    assert_eq!(failed.to_string(), "`begin` did not return within 500 ms");
    server.verify().unwrap();
}

pub async fn what_the_script_does_not_expect_is_told() {
    let server = ScriptedServer::new()
        .expect("begin", affected(0))
        .expect("select seats from show where id = 2 for update", seats(3))
        .expect("commit", affected(0));
    let mut context = StateContext::scripted("alice", &server);
    let failed = run_handler(&Book, &mut context).await.unwrap_err().to_string();
    let wrong = "unexpected statement `select seats from show where id = 1 for update`; statement 2 of 3 is expected \
                 here: `select seats from show where id = 2 for update`";
    assert!(failed.ends_with(wrong), "{failed}");
    let told = server.verify().unwrap_err().problems;
    // Its roll-back came out of turn as well.
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[0], wrong);
    assert!(told[1].starts_with("unexpected statement `rollback`"), "{told:?}");
    assert_eq!(
        told[2..],
        [
            "expected statement that was never run: `select seats from show where id = 2 for update`",
            "expected statement that was never run: `commit`"
        ]
    );

    // A handler that takes every error for data can hide it from its caller, and not from the script.
    let server = ScriptedServer::new().expect("select 1", affected(0));
    let mut context = StateContext::scripted("alice", &server);
    let careless = handler_fn(|context| {
        async move {
            context.execute("select 2").await?;
            Ok(Next::End)
        }
        .boxed()
    });
    assert_eq!(run_handler(&*careless, &mut context).await.unwrap(), Next::End);
    assert_eq!(server.verify().unwrap_err().problems.len(), 2);
}

pub async fn what_connections_share_works_as_in_a_run() {
    let server = ScriptedServer::new().version("9.9.9-TiDB-v9.9.9").expect(
        "select version()",
        rows(["version()"], [["9.9.9-TiDB-v9.9.9".into()]]),
    );
    let mut context = StateContext::scripted("alice", &server);
    assert_eq!(context.server_version(), Some("9.9.9-TiDB-v9.9.9"));
    let next = run_handler(&GettingVersionHandler, &mut context).await.unwrap();
    assert_eq!(next, Next::State(State::Testing));
    // Nobody else is there who could signal it, or come.
    let limit = std::time::Duration::from_secs(60);
    let alone = context.wait_for("go", limit).await.unwrap_err().to_string();
    assert_eq!(
        alone,
        "the wait for event `go` can never be satisfied: no other connection signals it"
    );
    let alone = context.barrier("meet", 2, limit).await.unwrap_err().to_string();
    assert_eq!(
        alone,
        "the wait for barrier `meet` (1 of 2 are there) can never be satisfied: no other connection comes to it"
    );
    context.signal("go");
    context.wait_for("go", limit).await.unwrap();
    server.verify().unwrap();
}
