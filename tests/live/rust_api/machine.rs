use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::json;
use tidb_scenarios::async_trait;
use tidb_scenarios::handler::{ConnectingHandler, InitialHandler, StateError, handler_fn};
use tidb_scenarios::multi::MachineFailure;
use tidb_scenarios::{Handlers, Next, State, StateContext, StateHandler, StateMachine};

pub async fn a_state_without_a_handler_is_known_at_the_start() {
    let error = StateMachine::new().run().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "connection `connection`: no handler is registered for state `initial`, where the machine begins; \
         registered are: none"
    );
    let mut state_machine = StateMachine::new();
    state_machine.register_handler(State::Initial, Box::new(InitialHandler));
    state_machine.register_handler(State::Connecting, Box::new(ConnectingHandler));
    let error = state_machine.run().await.unwrap_err();
    assert_eq!(
        error.failure.to_string(),
        "no handler is registered for state `connected`, to which `connecting` leads; registered are: `initial`, \
         `connecting`"
    );
    assert!(error.report.states.is_empty(), "nothing has run");
}

pub async fn a_state_that_only_its_handler_knows_is_an_error_when_it_comes() {
    let mut state_machine = StateMachine::new();
    let leads = handler_fn(|_| async { Ok(Next::State(State::named("loading"))) }.boxed());
    state_machine.register_handler(State::Initial, leads);
    let error = state_machine.run().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("for state `loading`, to which `initial` leads"),
        "{error}"
    );
    assert_eq!(error.report.states, [State::Initial]);
}

struct Counted {
    fails_in: &'static str,
    ran: Arc<[AtomicU32; 3]>,
}

impl Counted {
    fn step(&self, number: usize, name: &str) -> Result<(), StateError> {
        self.ran[number].fetch_add(1, Ordering::Relaxed);
        if self.fails_in == name {
            return Err(StateError::failed(format!("{name} failed")));
        }
        Ok(())
    }
}

#[async_trait]
impl StateHandler for Counted {
    async fn enter(&self, _: &mut StateContext) -> Result<(), StateError> {
        self.step(0, "enter")
    }

    async fn execute(&self, _: &mut StateContext) -> Result<Next, StateError> {
        self.step(1, "execute").map(|()| Next::End)
    }

    async fn exit(&self, _: &mut StateContext) -> Result<(), StateError> {
        self.step(2, "exit")
    }
}

pub async fn exit_runs_after_a_failure_too() {
    for (fails_in, want) in [
        ("", [1, 1, 1]),
        ("enter", [1, 0, 0]),
        ("execute", [1, 1, 1]),
        ("exit", [1, 1, 1]),
    ] {
        let ran = Arc::<[AtomicU32; 3]>::default();
        let mut state_machine = StateMachine::new();
        let counted = Counted {
            fails_in,
            ran: Arc::clone(&ran),
        };
        state_machine.register_handler(State::Initial, Box::new(counted));
        let result = state_machine.run().await;
        assert_eq!(result.is_err(), !fails_in.is_empty());
        assert_eq!(
            ran.each_ref().map(|count| count.load(Ordering::Relaxed)),
            want,
            "{fails_in}"
        );
        if let Err(error) = result {
            assert!(
                error.to_string().ends_with(&format!("{fails_in} failed")),
                "{error}"
            );
        }
    }
}

pub async fn a_machine_ends_at_its_limit() {
    let mut state_machine = StateMachine::new();
    state_machine.within(Duration::from_millis(20));
    state_machine.register_handler(State::Initial, handler_fn(|_| std::future::pending().boxed()));
    let error = state_machine.run().await.unwrap_err();
    assert!(
        matches!(error.failure, MachineFailure::OverTime { limit_ms: 20 }),
        "{error}"
    );
}

pub async fn handlers_are_built_by_name_and_checked_before() {
    let handlers = Handlers::new();
    let error = |name: &str, with| handlers.check(name, &with).unwrap_err().to_string();
    assert_eq!(
        error("import_montor", json!(null)),
        "no handler is registered as `import_montor`; did you mean `import_monitor`?"
    );
    assert_eq!(
        error("import_monitor", json!({"job": "seven"})),
        "with.job: it must be i64, not string \"seven\""
    );
    assert_eq!(
        error("import_monitor", json!({"jobb": 7})),
        "with.jobb: unknown key `jobb`; did you mean `job`?"
    );
    assert_eq!(
        error("import_monitor", json!([7])),
        "with: it must be a mapping of keys"
    );
    assert!(
        handlers
            .check("import_monitor", &json!({"job": 7, "every_ms": 5}))
            .is_ok()
    );
    assert!(handlers.check("testing_connection", &json!(null)).is_ok());
}
