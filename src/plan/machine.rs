//! What a state has to do with the other connections and with the states after it.

use std::ops::Range;
use std::time::Duration;

use super::{Action, SaveSource, Step, TrialPlan, Value};
pub use crate::coordinator::{Effects, Wanted};
use crate::expect::{Template, ValuePattern};
use crate::history::{JobKind, Outcome, Vars, describe, show};
use crate::source::Span;

/// How often a state goes elsewhere after an error, where `retries` does not say.
pub const RETRIES_MAX: u32 = 10;
/// The pause between two looks, where `every` does not say.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What stands beside a state's action; for a step of a script nothing.
#[derive(Debug, Default)]
pub struct Coordination {
    /// What has to come first, in the order of the file.
    pub wait_for: Vec<Want>,
    /// The number of the barrier in [`TrialPlan::barriers`].
    pub barrier: Option<(usize, Span)>,
    /// Events that it brings when it ends.
    pub signal: Vec<String>,
    /// Numbers to add to variables when it ends.
    pub add: Vec<(String, Value, Span)>,
    /// Values to append to series.
    pub record: Vec<(String, SaveSource, Span)>,
    /// How often it does what it does.
    pub repetition: Repetition,
    /// What follows.
    pub next: Next,
    /// What follows instead, by what came of it; the first that fits.
    pub on: Vec<(Trigger, Next)>,
    /// How often `on` may be followed after an error.
    pub retries: Retries,
}

/// Something to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Where the file says so.
    pub span: Span,
    /// What: an event or a state. A state's number is that in [`TrialPlan::steps`].
    pub what: Wanted,
}

/// How often a state does what it does.
#[derive(Debug, Default)]
pub enum Repetition {
    /// Once.
    #[default]
    Once,
    /// So often.
    Times(u32),
    /// Until all of this holds; a watch, which ends by itself, has nothing here.
    Until {
        /// Columns of the first row and the values that they must have.
        until: Vec<(String, Span, ValuePattern)>,
        /// The pause between two looks.
        every: Duration,
        /// How long it may take as a whole.
        within: Duration,
        /// Where the limit stands; the state, where it is the default.
        span: Span,
    },
}

/// Whether the first row has these values.
///
/// # Errors
/// The first column that has not, with a line on what it has.
pub fn is_there(
    until: &[(String, Span, ValuePattern)],
    outcome: &Outcome,
    vars: &Vars,
) -> Result<(), (Span, String)> {
    for (name, span, pattern) in until {
        let Outcome::Rows(set) = outcome else {
            return Err((*span, describe(outcome)));
        };
        let column = set
            .columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name));
        let Some(column) = column else {
            return Err((*span, format!("the result has no column `{name}`")));
        };
        match set.rows.first().and_then(|row| row.get(column)) {
            Some(value) if pattern.matches(value, vars) => {}
            Some(value) => {
                let wanted = pattern.shown_with(vars);
                return Err((*span, format!("expected {name} {wanted}, got {}", show(value))));
            }
            None => return Err((*span, "the result has no rows".to_owned())),
        }
    }
    Ok(())
}

/// What follows a state. The end is not a state, so it cannot lack an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Next {
    /// This state, by its number in [`TrialPlan::steps`].
    State(usize),
    /// The connection has done all it has to do, or begins its next round.
    #[default]
    End,
}

/// What can come of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The server's error of this number.
    Error(u16),
    /// Any error of the server, and a lost connection.
    AnyError,
    /// The connection was lost.
    Lost,
    /// The state was over its limit.
    TimedOut,
    /// A result without rows.
    RowsEmpty,
    /// A result with rows.
    RowsFound,
    /// No row was changed.
    NoneAffected,
    /// Rows were changed.
    SomeAffected,
}

/// The words for triggers, beside errors.
pub(super) const TRIGGERS: &[(&str, Trigger)] = &[
    ("any", Trigger::AnyError),
    ("lost", Trigger::Lost),
    ("timed_out", Trigger::TimedOut),
    ("rows_empty", Trigger::RowsEmpty),
    ("rows_found", Trigger::RowsFound),
    ("none_affected", Trigger::NoneAffected),
    ("some_affected", Trigger::SomeAffected),
];

impl Trigger {
    /// Whether this outcome is it.
    #[must_use]
    pub fn fits(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Error(code), outcome) => outcome.error().is_some_and(|error| error.code == code),
            (Self::AnyError, outcome) => outcome.answer().is_some(),
            (Self::Lost, Outcome::Lost { .. }) | (Self::TimedOut, Outcome::TimedOut { .. }) => true,
            (Self::RowsEmpty, Outcome::Rows(set)) => set.rows.is_empty(),
            (Self::RowsFound, Outcome::Rows(set)) => !set.rows.is_empty(),
            (Self::NoneAffected, Outcome::Done(done)) => done.affected == 0,
            (Self::SomeAffected, Outcome::Done(done)) => done.affected > 0,
            _ => false,
        }
    }

    /// Whether it is an error, so that going elsewhere is a retry.
    #[must_use]
    pub fn is_error(self) -> bool {
        match self {
            Self::Error(_) | Self::AnyError | Self::Lost | Self::TimedOut => true,
            Self::RowsEmpty | Self::RowsFound | Self::NoneAffected | Self::SomeAffected => false,
        }
    }
}

/// How often, and after which pause, `on` is followed after an error: exponential backoff with full jitter,
/// each pause between nothing and `backoff · factor^n`, which is at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retries {
    /// How often in a row.
    pub max: u32,
    /// The longest first pause.
    pub backoff: Duration,
    /// By how much each pause may be longer.
    pub factor: f64,
    /// The longest pause of all.
    pub limit: Duration,
    /// Whether the file says so itself: then going on to a later state after an error is a retry, too.
    pub said: bool,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max: RETRIES_MAX,
            backoff: Duration::from_millis(10),
            factor: 2.0,
            limit: Duration::from_secs(1),
            said: false,
        }
    }
}

impl Retries {
    /// The longest pause before this retry, counted from 0.
    #[must_use]
    pub fn longest_pause(&self, retry: u32) -> Duration {
        let exponent = i32::try_from(retry).unwrap_or(i32::MAX);
        let seconds = self.backoff.as_secs_f64() * self.factor.powi(exponent);
        Duration::try_from_secs_f64(seconds).map_or(self.limit, |pause| pause.min(self.limit))
    }
}

/// A place where connections wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarrierPlan {
    /// Its name.
    pub name: String,
    /// How many have to be there.
    pub parties: u32,
    /// Where it is first named.
    pub span: Span,
}

/// What is watched until it ends.
#[derive(Debug, Clone)]
pub enum Watch {
    /// An import job of this number.
    Import(Value),
    /// All import jobs into the trial's databases.
    AllImports,
    /// The schema change of this number.
    Ddl(Value),
    /// The newest schema change of this table.
    DdlOf(Template),
}

impl Watch {
    /// What kind of job it is.
    #[must_use]
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Import(_) | Self::AllImports => JobKind::Import,
            Self::Ddl(_) | Self::DdlOf(_) => JobKind::Ddl,
        }
    }
}

impl Step {
    /// What a state does for others itself: the events when it ends, the barrier before it acts.
    #[must_use]
    pub fn effects(&self) -> Effects {
        let mut effects = Effects {
            events: self.coordination.signal.iter().cloned().collect(),
            ..Effects::default()
        };
        effects
            .barriers
            .extend(self.coordination.barrier.map(|(number, _)| number));
        if let Action::Watch(watch) = &self.action {
            effects.jobs.insert(watch.kind());
        }
        effects.anything = matches!(self.action, Action::Handler(_));
        effects
    }

    /// All states that can follow it, of those that its connection has: a handler may lead to any of them.
    pub fn followers(&self, own: &Range<usize>) -> impl Iterator<Item = Next> {
        let on = self.coordination.on.iter().map(|(_, next)| *next);
        let any = matches!(self.action, Action::Handler(_));
        let led = own.clone().filter(move |_| any).map(Next::State);
        on.chain([self.coordination.next]).chain(led)
    }
}

impl TrialPlan {
    /// What a step does, for the report, before its variables are filled in.
    #[must_use]
    pub fn describe(&self, step: &Step) -> String {
        if !matches!(step.action, Action::Nothing) {
            return describe_action(&step.action, self);
        }
        let own = &step.coordination;
        let wants = own.wait_for.iter().map(|want| match &want.what {
            Wanted::Event { name, times: 1 } => name.clone(),
            Wanted::Event { name, times } => format!("{name} ×{times}"),
            Wanted::State { connection, state } => {
                let connection = self
                    .connections
                    .get(*connection)
                    .map_or("?", |own| own.name.as_str());
                let state = self.steps.get(*state).map_or("?", |step| step.state.as_str());
                format!("{connection}.{state}")
            }
            Wanted::Barrier(number) => {
                let barrier = self.barriers().get(*number);
                barrier.map_or_else(|| "?".to_owned(), |barrier| barrier.name.clone())
            }
            Wanted::AllConnected => "all connections".to_owned(),
            Wanted::Message => "a message".to_owned(),
        });
        let wants = wants.collect::<Vec<_>>().join(", ");
        let barrier = own.barrier.and_then(|(number, _)| self.barriers().get(number));
        let mut parts = Vec::new();
        if !wants.is_empty() {
            parts.push(format!("waited for {wants}"));
        }
        parts.extend(barrier.map(|barrier| format!("was at barrier {}", barrier.name)));
        if !own.signal.is_empty() {
            parts.push(format!("signals {}", own.signal.join(", ")));
        }
        if parts.is_empty() {
            describe_action(&step.action, self)
        } else {
            parts.join(", ")
        }
    }

    /// What may come after each of these states, in the same round: a fixpoint over the transitions.
    #[must_use]
    pub fn effects_after(&self, states: &Range<usize>) -> Vec<Effects> {
        effects_after(&self.steps, states)
    }
}

pub(super) fn effects_after(steps: &[Step], states: &Range<usize>) -> Vec<Effects> {
    let mut after = vec![Effects::default(); states.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for at in states.clone().rev() {
            let Some(step) = steps.get(at) else { continue };
            let mut effects = Effects::default();
            for next in step.followers(states) {
                let Next::State(next) = next else { continue };
                let Some(follower) = steps.get(next) else { continue };
                effects.union(&follower.effects());
                effects.states.insert(next);
                if let Some(later) = after.get(next - states.start) {
                    effects.union(&later.clone());
                }
            }
            if after[at - states.start] != effects {
                after[at - states.start] = effects;
                changed = true;
            }
        }
    }
    after
}

/// What a step does, for the report, before its variables are filled in.
#[must_use]
pub fn describe_action(action: &Action, plan: &TrialPlan) -> String {
    match action {
        Action::Sql(statements) => statements
            .iter()
            .map(|one| one.text.source())
            .collect::<Vec<_>>()
            .join("; "),
        Action::Prepared(statement, _) | Action::Load { statement, .. } => statement.text.source().to_owned(),
        Action::Sleep(duration) => format!("sleep {duration:?}"),
        Action::Kill { target, connection } => {
            let name = plan.connections.get(*target).map_or("?", |one| one.name.as_str());
            if *connection {
                format!("kill connection {name}")
            } else {
                format!("kill query {name}")
            }
        }
        Action::Disconnect => "disconnect".to_owned(),
        Action::Reconnect => "reconnect".to_owned(),
        Action::Set => "set".to_owned(),
        Action::Nothing => "nothing".to_owned(),
        Action::Handler(own) => format!("handler {}", own.name),
        Action::Watch(Watch::Import(_) | Watch::AllImports) => "watches imports".to_owned(),
        Action::Watch(Watch::Ddl(_) | Watch::DdlOf(_)) => "watches schema changes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        let retries = Retries {
            max: 5,
            backoff: Duration::from_millis(10),
            factor: 2.0,
            limit: Duration::from_millis(50),
            said: true,
        };
        let pauses: Vec<u128> = [0, 1, 2, 3, 4, u32::MAX]
            .map(|retry| retries.longest_pause(retry).as_millis())
            .to_vec();
        assert_eq!(pauses, [10, 20, 40, 50, 50, 50]);
    }
}
