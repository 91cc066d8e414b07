//! Handlers in a scenario file: they share the trial's barriers, events and messages.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tidb_scenarios::engine::SourceFile;
use tidb_scenarios::engine::{PlanInput, TrialPlan, plan};
use tidb_scenarios::engine::{RunSettings, run};
use tidb_scenarios::engine::{Verdict, judge};
use tidb_scenarios::history::{History, WaitFailure, Went};
use tidb_scenarios::server::Server;
use tidb_scenarios::{Handlers, Next};

const LONG: Duration = Duration::from_secs(60);

fn handlers() -> Handlers {
    Handlers::new()
        .with("meet", |_| {
            Ok(tidb_scenarios::handler::handler_fn(|context| {
                async move {
                    context.barrier("meet", 3, LONG).await?;
                    context.value("select 1").await?;
                    Ok(Next::End)
                }
                .boxed()
            }))
        })
        .with("tell", |with| {
            let to: String = with.get("to")?;
            Ok(tidb_scenarios::handler::handler_fn(move |context| {
                let to = to.clone();
                async move {
                    context.send(&to, "from", context.id())?;
                    let message = context.receive(LONG).await?;
                    context.set(&format!("heard_by_{}", context.id()), message.from);
                    Ok(Next::End)
                }
                .boxed()
            }))
        })
}

fn planned(text: &str) -> Result<TrialPlan, Vec<String>> {
    let input = PlanInput {
        name: "handlers".to_owned(),
        handlers: handlers(),
        ..PlanInput::default()
    };
    let mut planned = plan(Arc::new(SourceFile::new("handlers.yaml", text)), &input);
    let problems = planned.problems.into_iter().map(|problem| problem.message);
    planned.trials.pop().ok_or_else(|| problems.collect())
}

async fn run_text(server: &Server, database: &str, text: &str) -> (Arc<TrialPlan>, History) {
    let plan = Arc::new(planned(text).unwrap());
    let settings = RunSettings {
        database: database.to_owned(),
        keep_databases: false,
        live: None,
        hold: None,
        timestamps: false,
    };
    let history = run(Arc::clone(&plan), server, &[], &settings).await.unwrap();
    (plan, history)
}

pub async fn a_handler_comes_to_a_barrier_of_the_file(server: &Server) {
    let text = "scenario: x\nconnections:\n  a: {states: [{barrier: {name: meet, parties: 3}}]}\n  b: {states: \
                [{handler: meet}]}\n  c: {states: [{handler: meet}]}\n";
    let (plan, history) = run_text(server, "handlers_meet", text).await;
    assert_eq!(judge(&plan, &history), Verdict::Passed);
    // One more than can come is a mistake in the file.
    let problems = planned(&text.replace("parties: 3", "parties: 4")).unwrap_err();
    assert_eq!(problems, ["barrier `meet` can never open"]);
}

/// The third one ends before: those who wait are told, the handler and the state.
pub async fn a_barrier_of_the_file_that_cannot_fill_is_told_to_both(server: &Server) {
    let text = "scenario: x\nconnections:\n  a: {states: [{barrier: {name: meet, parties: 3}}]}\n  b: {states: \
                [{handler: meet}]}\n  c: {states: [{sql: select 1}, {sql: selec 1}, {handler: meet}]}\n";
    let (plan, history) = run_text(server, "handlers_meet_not", text).await;
    let Verdict::Failed(findings) = judge(&plan, &history) else {
        panic!("it fails");
    };
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    let never = "can never be satisfied";
    assert!(
        messages.iter().any(
            |message| message.starts_with("a: the wait for barrier `meet` (") && message.ends_with(never)
        ),
        "{messages:?}"
    );
    assert!(
        messages
            .iter()
            .any(|message| message.starts_with("b: ") && message.contains(never)),
        "{messages:?}"
    );
    let failures = history.steps.iter().filter_map(|step| match &step.went {
        Went::Unsatisfied { failure, .. } => Some(*failure),
        _ => None,
    });
    assert_eq!(failures.collect::<Vec<_>>(), [WaitFailure::Unsatisfiable]);
}

pub async fn handlers_of_a_file_send_messages(server: &Server) {
    let text = "scenario: x\nvars: {heard_by_a: none, heard_by_b: none}\nconnections:\n  a: {states: [{handler: tell, with: {to: b}}]}\n  b: {states: [{handler: \
                tell, with: {to: a}}]}\nexpect: {shared: {vars: {heard_by_a: b, heard_by_b: a}}}\n";
    let (plan, history) = run_text(server, "handlers_tell", text).await;
    assert_eq!(judge(&plan, &history), Verdict::Passed);
    // A handler's statements are its own; the step is what the file has.
    assert_eq!(history.steps.len(), 2);
}
