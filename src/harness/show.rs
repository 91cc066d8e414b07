//! `show`: what a file was understood as.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::collect::plan_file;
use super::environment::no_color;
use super::output::{complain, print, say};
use crate::expect::Expectation;
use crate::handler::Handlers;
use crate::plan::{
    Mode, Next, OrderChoice, Query, Repetition, Statement, Step, TrialPlan, Trigger, WorkloadLength,
    describe_action, number_of_orders,
};
use crate::source::{RenderStyle, render_all};
use crate::sql::redact;

/// Prints what each trial of the files was understood as. Starts nothing.
#[must_use]
pub fn show(paths: &[PathBuf]) -> ExitCode {
    let env = std::env::vars().collect();
    let color = std::io::stderr().is_terminal() && !no_color();
    let style = RenderStyle { color, unicode: true };
    let mut code = ExitCode::SUCCESS;
    for path in paths {
        if !path.is_file() {
            return complain(&format!("{}: there is no such file", path.display()));
        }
        let root = path.parent().unwrap_or(Path::new(""));
        let planned = plan_file(root, path, &env, &Handlers::new(), false);
        if !planned.problems.is_empty() {
            say(&render_all(&planned.file, &planned.problems, style));
        }
        if planned.is_broken() {
            code = ExitCode::from(1);
        }
        for plan in &planned.trials {
            print(&redact(&text(plan), &plan.secrets));
        }
    }
    code
}

fn text(plan: &TrialPlan) -> String {
    let mut text = format!("{} ({})\n", plan.name, plan.title);
    let mut line = |words: String| {
        let _ = writeln!(text, "  {words}");
    };
    for (axis, value) in &plan.variant {
        line(format!("variant: {axis} = {value}"));
    }
    if !plan.tags.is_empty() {
        line(format!("tags: {}", plan.tags.join(", ")));
    }
    if plan.serial || plan.runs_alone() {
        line("runs alone: no other trial runs at the same time".to_owned());
    }
    line(format!("limit: {:?}", plan.timeout));
    if let Some(seed) = plan.seed_in_use() {
        line(format!("seed: {seed}"));
    }
    for own in &plan.servers {
        let store = if own.persistent { "persistent" } else { "in memory" };
        line(format!("a server of its own: {} ({store})", own.name));
    }
    for name in &plan.databases {
        line(format!("a further database: {name}"));
    }
    for (name, value) in &plan.vars {
        if !name.starts_with("env.") {
            line(format!("variable {name} = {}", crate::history::show(value)));
        }
    }
    statements(&mut line, "setup", &plan.setup);
    line(in_words(plan));
    connections(&mut line, plan);
    for (number, own) in plan.finals.iter().enumerate() {
        let of = if number == 0 {
            "at the end"
        } else {
            "at the end, too"
        };
        let place = |query: &Query| plan.file.place(query.span.start).line;
        for query in own.tables.iter().chain(&own.queries) {
            line(format!("{of}: {} (line {})", query.label, place(query)));
        }
        for query in &own.always {
            line(format!("always: {} (line {})", query.label, place(query)));
        }
        let more = [
            (own.states.len(), "the states of a connection"),
            (own.vars.len(), "a shared variable"),
            (own.series.len(), "a series"),
            (own.retries.len(), "a number of retries"),
            (own.jobs.len(), "a job"),
            (own.status.len(), "how a connection ended"),
            (
                own.errors.len() + usize::from(own.no_errors.is_some()),
                "a number of errors",
            ),
            (usize::from(own.events.is_some()), "the events"),
        ];
        for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
            line(format!(
                "{of}: {what}, {count} time{}",
                if count == 1 { "" } else { "s" }
            ));
        }
    }
    for outcome in plan.outcomes() {
        let may = if outcome.may { "may occur" } else { "must occur" };
        line(format!("outcome `{}`: {may}", outcome.name));
    }
    statements(&mut line, "teardown", &plan.teardown);
    text
}

fn statements(line: &mut impl FnMut(String), what: &str, all: &[Statement]) {
    for one in all {
        line(format!("{what}: {}", one_line(one.text.source())));
    }
}

/// How its steps are run.
fn in_words(plan: &TrialPlan) -> String {
    match &plan.mode {
        Mode::Scripted => {
            "steps in the order of the file: each begins when the one before it has returned or is blocked"
                .to_owned()
        }
        Mode::Concurrent(_) => "concurrent connections: each runs through its states by itself".to_owned(),
        Mode::Workload(own) => {
            let length = match own.length {
                WorkloadLength::Transactions(count) => format!("{count} transactions"),
                WorkloadLength::Duration(duration) => format!("transactions for {duration:?}"),
            };
            format!(
                "a workload: {} connections run {length} of {} keys, seed {}",
                own.connections, own.keys, own.seed
            )
        }
        Mode::Explored(own) => {
            let all = number_of_orders(&plan.connections);
            let prune = if own.orders.prune {
                "; those that cannot differ run once"
            } else {
                ""
            };
            match &own.orders.choice {
                OrderChoice::All => format!("every interleaving: {all}, at most {}{prune}", own.orders.most),
                OrderChoice::Sample { count, .. } => format!("{count} interleavings at random of {all}"),
                OrderChoice::One(order) => format!("one interleaving: {}", plan.order_in_words(order)),
            }
        }
    }
}

fn connections(line: &mut impl FnMut(String), plan: &TrialPlan) {
    let mut shown = BTreeSet::new();
    for own in &plan.connections {
        let mut words = format!("connection {}", own.name);
        for (name, value) in &own.vars {
            let _ = write!(words, ", {name} = {value}");
        }
        if let Some((user, _)) = &own.user {
            let _ = write!(words, ", user {user}");
        }
        if let Some(name) = &own.database {
            let _ = write!(words, ", database {name}");
        }
        if let Some(server) = own.server.and_then(|number| plan.servers.get(number)) {
            let _ = write!(words, ", server {}", server.name);
        }
        if own.rounds > 1 {
            let _ = write!(words, ", {} rounds", own.rounds);
        }
        line(words);
        // Connections of one name have the same states.
        if own.states.is_empty() || !shown.insert(own.states.start) {
            continue;
        }
        for step in &plan.steps[own.states.clone()] {
            line(format!("  {}", described(plan, step)));
        }
    }
    if matches!(plan.mode, Mode::Scripted) {
        for step in &plan.steps {
            line(described(plan, step));
        }
    }
}

fn described(plan: &TrialPlan, step: &Step) -> String {
    let name = |number: &usize| plan.connections.get(*number).map_or("?", |own| own.name.as_str());
    let place = plan.file.place(step.span.start);
    let mut words = format!(
        "line {}: {}, state {}: {}",
        place.line,
        name(&step.connection),
        step.state,
        one_line(&describe_action(&step.action, plan))
    );
    if let Some(blocked) = &step.blocked {
        let by: Vec<&str> = blocked.by.iter().map(|(number, _)| name(number)).collect();
        words.push_str(&match by.as_slice() {
            [] => "; must be blocked".to_owned(),
            by => format!("; must be blocked by {}", by.join(", ")),
        });
    }
    if !step.unblocks.is_empty() {
        let names: Vec<&str> = step.unblocks.iter().map(|(number, _)| name(number)).collect();
        let _ = write!(words, "; must unblock {}", names.join(", "));
    }
    if !step.expectations.is_empty() {
        let _ = write!(words, "; {}", expected(plan, &step.expectations));
    }
    coordinated(&mut words, plan, step);
    for save in &step.save {
        let _ = write!(words, "; saves ${{{}}}", save.name);
    }
    words
}

/// What a state has to do with others.
fn coordinated(words: &mut String, plan: &TrialPlan, step: &Step) {
    let own = &step.coordination;
    for want in &own.wait_for {
        let _ = write!(words, "; waits for {}", one_line(plan.file.slice(want.span)));
    }
    if let Some((_, span)) = own.barrier {
        let _ = write!(
            words,
            "; waits at the barrier {}",
            one_line(plan.file.slice(span))
        );
    }
    if !own.signal.is_empty() {
        let _ = write!(words, "; signals {}", own.signal.join(", "));
    }
    for (name, ..) in &own.add {
        let _ = write!(words, "; adds to {name}");
    }
    for (name, ..) in &own.record {
        let _ = write!(words, "; records {name}");
    }
    match &own.repetition {
        Repetition::Once => {}
        Repetition::Times(times) => {
            let _ = write!(words, "; {times} times");
        }
        Repetition::Until { every, within, .. } => {
            let _ = write!(
                words,
                "; again every {every:?} until it holds, for {within:?} at most"
            );
        }
    }
    for (trigger, next) in &own.on {
        let trigger = match trigger {
            Trigger::Error(number) => format!("error {number}"),
            Trigger::AnyError => "any error".to_owned(),
            Trigger::Lost => "a lost connection".to_owned(),
            Trigger::TimedOut => "its limit".to_owned(),
            Trigger::RowsEmpty => "no rows".to_owned(),
            Trigger::RowsFound => "rows".to_owned(),
            Trigger::NoneAffected => "no row changed".to_owned(),
            Trigger::SomeAffected => "rows changed".to_owned(),
        };
        let next = match next {
            Next::State(number) => plan.steps.get(*number).map_or("?", |step| step.state.as_str()),
            Next::End => "the end",
        };
        let _ = write!(words, "; after {trigger} goes to {next}");
    }
}

/// The keys of expectations, with their places.
fn expected(plan: &TrialPlan, all: &[Expectation]) -> String {
    let one = |own: &Expectation| {
        let place = plan.file.place(own.span.start);
        format!("{} (line {})", own.key, place.line)
    };
    let all: Vec<String> = all.iter().map(one).collect();
    format!("expects {}", all.join(", "))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
