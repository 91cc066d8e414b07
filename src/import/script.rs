//! The beginning and the end of a script: what makes tables is the setup, and what clears up happens anyway.

use super::draft::{Action, Draft, Statement, Step};
use super::waits::transactions;
use crate::sql::{Kind, classify, verb};

/// Makes the setup of the statements at the beginning that only make tables and rows, if something is left then.
pub(super) fn into_setup(draft: &mut Draft) {
    let first = draft.steps.first().map(|step| step.connection.clone());
    let plain = |step: &&Step| {
        Some(&step.connection) == first.as_ref()
            && step.expect.is_empty()
            && step.save.is_empty()
            && step.timeout.is_none()
            && makes_tables(step)
    };
    let mut count = draft.steps.iter().take_while(plain).count();
    // What the session keeps of its last statement is asked for in the session that has sent it.
    if draft.steps.get(count).is_some_and(asks_of_the_last) {
        count = count.saturating_sub(1);
    }
    let rest: Vec<Step> = draft.steps.split_off(count);
    let begin = std::mem::replace(&mut draft.steps, rest);
    if draft.steps.is_empty() {
        draft.steps = begin;
    } else {
        for step in begin {
            let drops = verb(&step.statements().join(" ")).as_deref() == Some("drop");
            let mut comments = step.comments.clone();
            for sql in step.statements() {
                draft.setup.push(Statement {
                    comments: std::mem::take(&mut comments),
                    // The trial's database is empty.
                    text: if drops { String::new() } else { sql.clone() },
                });
            }
        }
        draft
            .setup
            .retain(|statement| !statement.text.is_empty() || !statement.comments.is_empty());
    }
    let used = |name: &str| {
        draft.steps.iter().any(|step| {
            step.connection == name || matches!(&step.action, Action::Kill { target, .. } if target == name)
        })
    };
    draft.connections.retain(|own| used(&own.name));
}

/// Whether it shows what the statement before it has left: warnings, the number of rows or of the last one.
fn asks_of_the_last(step: &Step) -> bool {
    const WORDS: [&str; 7] = [
        "show warnings",
        "show errors",
        "warning_count",
        "error_count",
        "row_count(",
        "last_insert_id(",
        "@@last_",
    ];
    step.statements().iter().any(|sql| {
        let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.to_ascii_lowercase();
        WORDS.iter().any(|word| words.contains(word))
    })
}

fn makes_tables(step: &Step) -> bool {
    let statements = step.statements();
    !statements.is_empty()
        && statements.iter().all(|sql| {
            // An account, or a setting of the server's, is something else.
            let statement = classify(sql);
            let plain = matches!(statement.kind, Kind::Ddl | Kind::Dml) && !statement.changes_whole_server();
            plain
                && matches!(
                    verb(sql).as_deref(),
                    Some("create" | "insert" | "replace" | "update" | "delete" | "alter" | "drop")
                )
        })
}

/// Takes away what closes sessions and drops tables at the end: that happens anyway.
pub(super) fn without_cleanup(draft: &mut Draft) {
    let later = |after: &[Step], name: &str| after.iter().any(|other| other.connection == name);
    let open = |steps: &[Step], number: usize| {
        let mut open = transactions(steps, number).into_iter();
        open.any(|(name, _)| name == steps[number].connection)
    };
    // A session that does nothing any more, and holds nothing.
    let mut number = 0;
    while let Some(step) = draft.steps.get(number) {
        let idle = matches!(step.action, Action::Disconnect)
            && step.expect.is_empty()
            && !later(&draft.steps[number + 1..], &step.connection)
            && !open(&draft.steps, number);
        if !idle {
            number += 1;
            continue;
        }
        let comments = draft.steps.remove(number).comments;
        match draft.steps.get_mut(number) {
            Some(next) => {
                next.comments.splice(0..0, comments);
            }
            None => draft.trailer.splice(0..0, comments).for_each(drop),
        }
    }
    while let Some(last) = draft.steps.last() {
        let drops = last.expect.is_empty()
            && last.statements().len() == 1
            && last.statements().iter().all(|sql| {
                let words: Vec<String> = sql
                    .split_whitespace()
                    .take(2)
                    .map(str::to_ascii_lowercase)
                    .collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                matches!(words.as_slice(), ["drop", "table" | "tables" | "view"])
            });
        let closes = matches!(last.action, Action::Disconnect);
        if !(drops || closes) || draft.steps.len() == 1 {
            break;
        }
        let mut comments = draft.steps.pop().map(|step| step.comments).unwrap_or_default();
        comments.append(&mut draft.trailer);
        draft.trailer = comments;
    }
}
