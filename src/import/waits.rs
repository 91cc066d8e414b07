//! Who waits for whom in a script, where the other tool says only that a statement is not waited for.

use std::ops::Range;

use super::draft::{Action, Step, Value};
use super::origin::Origin;
use crate::sql::{Kind, LOCK_WAIT_TIMEOUT, QUERY_TIMEOUT, classify};

const DEADLOCK: &str = "1213";

/// A statement that is sent, and whose answer is taken later.
#[derive(Debug, Clone)]
pub(super) struct Waiter {
    /// The number of its step.
    pub step: usize,
    /// The number of the first step before which its answer is there.
    pub end: usize,
    /// The number of the step that ends its wait, where the file says so.
    pub ender: Option<usize>,
    /// Whether the file says that it waits.
    pub sure: bool,
    /// Where the file has it.
    pub origin: Origin,
}

/// Writes `blocked`, `blocked_by` and `unblocks` into the steps.
pub(super) fn resolve(steps: &mut [Step], waiters: &[Waiter]) {
    // Waits that were found: whose they are, where they begin, and where they end.
    let mut waits: Vec<(String, Range<usize>)> = Vec::new();
    for waiter in waiters {
        let Some(own) = steps.get(waiter.step).map(|step| step.connection.clone()) else {
            continue;
        };
        // What its connection does next comes after its answer.
        let mut after = steps.iter().enumerate().skip(waiter.step + 1);
        let next = after.find(|(_, step)| step.connection == own);
        let end = next.map_or(waiter.end, |(next, _)| waiter.end.min(next));
        let end = end.min(steps.len());
        // A KILL says by itself whose wait it ends.
        let is_kill = |step: &Step| matches!(&step.action, Action::Kill { target, .. } if *target == own);
        let killed = (waiter.step + 1..end).find(|number| is_kill(&steps[*number]));
        let end = killed.unwrap_or(end);
        let holders = holders(steps, waiter.step, &own);
        if ends_by_itself(&steps[waiter.step]) {
            block(steps, waiter.step, &holders, None);
            continue;
        }
        let ender = waiter
            .ender
            .filter(|ender| *ender < end)
            .or_else(|| ender(steps, waiter.step + 1..end, &own, &holders));
        match ender {
            Some(ender) => {
                // One that waits itself may end this wait without being what it waits for.
                let by = steps[ender].connection.clone();
                let waits_too =
                    |(name, wait): &(String, Range<usize>)| *name == by && wait.contains(&waiter.step);
                let by = (!waits.iter().any(waits_too)).then_some(by);
                block(steps, waiter.step, &holders, by.as_deref());
                unblock(&mut steps[ender], &own);
                waits.push((own, waiter.step..ender));
            }
            None if killed.is_some() => block(steps, waiter.step, &holders, None),
            None if waiter.sure => {
                steps[waiter.step].comments.push(waiter.origin.note(
                    "it is said to wait, and no step after it ends a transaction: say which one has `unblocks`",
                ));
                block(steps, waiter.step, &holders, None);
            }
            None => {}
        }
    }
}

/// Whether the wait ends by its own limit, so that no step ends it.
fn ends_by_itself(step: &Step) -> bool {
    let limit = |value: &Value| match value {
        Value::Number(text) | Value::Text(text) => {
            let code = text
                .parse()
                .ok()
                .or_else(|| crate::sql::by_name(text).map(|entry| entry.code));
            code.is_some_and(|code: u16| [LOCK_WAIT_TIMEOUT, QUERY_TIMEOUT].contains(&code))
        }
        Value::Null | Value::Flag(_) | Value::List(_) | Value::Map(_) => false,
    };
    step.expected("error").is_some_and(limit)
}

/// The connections that have a transaction open that may hold locks, before this step.
fn holders(steps: &[Step], before: usize, own: &str) -> Vec<String> {
    let open = transactions(steps, before).into_iter();
    let holding = open.filter(|(name, locks)| *locks && name != own);
    holding.map(|(name, _)| name).collect()
}

/// The connections that have a transaction open before this step, and whether it may hold locks.
pub(super) fn transactions(steps: &[Step], before: usize) -> Vec<(String, bool)> {
    let mut open: Vec<(String, bool)> = Vec::new();
    for step in steps.iter().take(before) {
        let name = &step.connection;
        if matches!(step.action, Action::Disconnect | Action::Reconnect) || is_deadlock(step) {
            open.retain(|(other, _)| other != name);
            continue;
        }
        for sql in step.statements() {
            let statement = classify(sql);
            let begins = matches!(statement.kind, Kind::Begin(_))
                || matches!(&statement.kind, Kind::Set(targets) if targets.autocommit == Some(false));
            if begins {
                open.retain(|(other, _)| other != name);
                open.push((name.clone(), false));
            } else if statement.ends_transaction() {
                open.retain(|(other, _)| other != name);
            } else if statement.can_lock_rows()
                && let Some((_, locks)) = open.iter_mut().find(|(other, _)| other == name)
            {
                *locks = true;
            }
        }
    }
    open
}

fn is_deadlock(step: &Step) -> bool {
    matches!(step.expected("error"), Some(Value::Number(code)) if code == DEADLOCK)
        || matches!(step.expected("error"), Some(Value::Text(name)) if name == "ER_LOCK_DEADLOCK")
}

/// The first step between it and its answer that ends another's transaction: one that holds locks,
/// where one is known.
fn ender(steps: &[Step], between: Range<usize>, own: &str, holders: &[String]) -> Option<usize> {
    let ends = |step: &Step| {
        let kills = step
            .statements()
            .iter()
            .any(|sql| classify(sql).ends_transaction());
        kills || is_deadlock(step) || matches!(step.action, Action::Disconnect)
    };
    let candidates: Vec<usize> = between
        .filter(|number| steps[*number].connection != own && ends(&steps[*number]))
        .collect();
    let holding = candidates
        .iter()
        .find(|number| holders.contains(&steps[**number].connection));
    holding.or(candidates.first()).copied()
}

fn block(steps: &mut [Step], number: usize, holders: &[String], ender: Option<&str>) {
    let step = &mut steps[number];
    step.expect
        .retain(|(key, _)| !["blocked", "blocked_by"].contains(key));
    let by = match (holders, ender) {
        ([one], _) => Some(one.as_str()),
        (holders, Some(ender)) if holders.iter().any(|holder| holder == ender) => Some(ender),
        _ => None,
    };
    let entry = match by {
        Some(by) => ("blocked_by", Value::text(by)),
        None => ("blocked", Value::Flag(true)),
    };
    step.expect.insert(0, entry);
}

fn unblock(step: &mut Step, who: &str) {
    let at = step.expect.iter().position(|(key, _)| *key == "unblocks");
    let Some(at) = at else {
        step.expect.push(("unblocks", Value::text(who)));
        return;
    };
    let entry = &mut step.expect[at].1;
    let mut names = match &*entry {
        Value::List(names) => names.clone(),
        one => vec![one.clone()],
    };
    if !names.contains(&Value::text(who)) {
        names.push(Value::text(who));
    }
    *entry = if names.len() == 1 {
        names.remove(0)
    } else {
        Value::List(names)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(script: &str) -> Vec<Step> {
        let lines = script.lines().filter_map(|line| line.trim().split_once(": "));
        lines
            .map(|(name, sql)| Step::sql(name, vec![sql.to_owned()]))
            .collect()
    }

    fn waiter(step: usize, end: usize) -> Waiter {
        Waiter {
            step,
            end,
            ender: None,
            sure: false,
            origin: Origin::default(),
        }
    }

    #[test]
    fn the_holder_and_the_end_of_a_wait_are_found() {
        let mut script =
            steps("a: begin\na: update t set v = 1\nb: update t set v = 2\nc: commit\na: commit");
        resolve(&mut script, &[waiter(2, 5)]);
        assert_eq!(script[2].expect, [("blocked_by", Value::text("a"))]);
        assert_eq!(script[4].expect, [("unblocks", Value::text("b"))]);
        assert!(script[3].expect.is_empty());
    }

    #[test]
    fn a_wait_with_a_limit_of_its_own_is_ended_by_nobody() {
        let mut script = steps("a: begin\na: update t set v = 1\nb: update t set v = 2\na: commit");
        script[2].expect.push(("error", Value::Number("1205".to_owned())));
        resolve(&mut script, &[waiter(2, 4)]);
        assert_eq!(script[2].expect[0], ("blocked_by", Value::text("a")));
        assert!(script[3].expect.is_empty());
    }

    #[test]
    fn what_nothing_can_end_did_not_wait() {
        let mut script = steps("a: select 1\nb: update t set v = 2\na: select 2");
        resolve(&mut script, &[waiter(1, 3)]);
        assert!(script[1].expect.is_empty());
    }

    #[test]
    fn a_wait_ends_before_its_connection_goes_on() {
        let mut script = steps(
            "a: begin\na: update t set v = 1\nb: update t set v = 2\na: select 1\nb: select 2\na: commit",
        );
        resolve(&mut script, &[waiter(2, usize::MAX)]);
        assert!(script.iter().all(|step| step.expect.is_empty()));
    }

    #[test]
    fn who_waits_too_may_not_be_what_another_waits_for() {
        let mut script = steps(
            "a: begin\na: update t set v = 1\nb: begin\nb: update t set v = 2\nc: update t set v = 3\n\
             a: commit\nb: commit\nc: select 1",
        );
        resolve(
            &mut script,
            &[
                waiter(3, 6),
                Waiter {
                    ender: Some(6),
                    ..waiter(4, 7)
                },
            ],
        );
        assert_eq!(script[3].expect, [("blocked_by", Value::text("a"))]);
        assert_eq!(script[4].expect, [("blocked", Value::Flag(true))]);
        assert_eq!(script[6].expect, [("unblocks", Value::text("c"))]);
    }

    #[test]
    fn who_kills_a_waiter_ends_its_wait() {
        let mut script =
            steps("a: begin\na: update t set v = 1\nb: update t set v = 2\nc: do 0\na: commit\nb: select 2");
        script[3].action = Action::Kill {
            target: "b".to_owned(),
            whole: false,
        };
        resolve(&mut script, &[waiter(2, 5)]);
        assert_eq!(script[2].expect, [("blocked_by", Value::text("a"))]);
        assert!(script[3..].iter().all(|step| step.expect.is_empty()));
    }
}
