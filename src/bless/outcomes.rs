//! Writes the outcomes that were seen as the `outcomes` of a file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::literal::{key, literal, rows, scalar};
use crate::expect::TIMED_OUT;
use crate::explore::{Explored, LeftOut, OutcomeClass, counted};
use crate::history::{CheckId, Outcome, SERVER_LOST};
use crate::plan::{TrialPlan, step_name};
use crate::sql::NO_SUCH_TABLE;

/// Why a file cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlessError {
    /// There are `outcomes` already.
    #[error("`outcomes` is there already, and nothing was written: delete it to have it written anew")]
    There,
    /// Orders were left out that nobody chose to leave out.
    #[error(
        "not all interleavings were run (the scenario's `timeout`, or Ctrl-C), and nothing was written: the others may \
         have other outcomes"
    )]
    LeftOut,
    /// An order was not run to its end.
    #[error("an interleaving was not run to its end ({0}), and nothing was written")]
    Stopped(String),
    /// A table cannot be named.
    #[error(
        "the table `{0}` has a dot in its name, which a scenario takes for `database.table`, and nothing was written"
    )]
    Table(String),
    /// `expect` is not a block to which lines can be added.
    #[error(
        "`expect` is not a block of keys or of items, one a line: make it one, and put this into it:\n{0}"
    )]
    OneLine(String),
    /// The file lists several orders.
    #[error(
        "several orders are listed, and nothing was written: `--bless` writes the outcomes of `all` interleavings, of \
         a sample, or of one"
    )]
    Listed,
}

/// A file with outcomes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blessed {
    /// Its text.
    pub text: String,
    /// What was added: the outcomes of each variant.
    pub added: Vec<String>,
    /// How many outcomes were written, those of all variants together.
    pub outcomes: usize,
}

/// The file's text with the outcomes in it. Where the variants come to different ones, each has its own, below a
/// `when`.
///
/// # Errors
/// [`BlessError`].
pub fn blessed(text: &str, found: &[(Arc<TrialPlan>, Explored)]) -> Result<Blessed, BlessError> {
    if found.iter().any(|(plan, _)| !plan.outcomes().is_empty()) {
        return Err(BlessError::There);
    }
    let cut = |left_out| matches!(left_out, Some(LeftOut::Time(_) | LeftOut::Stopped));
    if found.iter().any(|(_, explored)| cut(explored.left_out)) {
        return Err(BlessError::LeftOut);
    }
    let mut classes = found.iter().flat_map(|(_, explored)| &explored.outcomes);
    if let Some(why) = classes.find_map(|class| class.outcome.stopped.clone()) {
        return Err(BlessError::Stopped(why));
    }
    let mut tables = found.iter().flat_map(|(_, explored)| all_tables(explored));
    let dotted = |name: &&String| {
        name.rsplit('}')
            .next()
            .is_some_and(|own| own.trim_start_matches('.').contains('.'))
    };
    if let Some(name) = tables.find(dotted) {
        return Err(BlessError::Table(name.clone()));
    }
    // Of several orders each comes to an outcome of its own.
    let mut variants: Vec<_> = found.iter().map(|(plan, _)| &plan.variant).collect();
    variants.sort();
    variants.dedup();
    if variants.len() < found.len() {
        return Err(BlessError::Listed);
    }
    let parts = parts(found);
    let lines: Vec<&str> = text.lines().collect();
    let top = |key: &str| {
        lines
            .iter()
            .position(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    };
    let mut written: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    match top("expect") {
        Some(at) => expect_with(&mut written, at, &parts)?,
        None => {
            if written.last().is_some_and(|line| !line.trim().is_empty()) {
                written.push(String::new());
            }
            written.push("expect:".to_owned());
            match parts.as_slice() {
                [(None, outcomes)] => written.push(outcomes.trim_end().to_owned()),
                parts => written.extend(items(parts, INDENT)),
            }
        }
    }
    if top("permutations").is_none() {
        let at = written
            .iter()
            .position(|line| line.starts_with("expect:"))
            .unwrap_or(written.len());
        written.insert(at, "permutations: all\n".to_owned());
    }
    let mut text_after = written.join("\n") + "\n";
    if text.contains("\r\n") {
        text_after = text_after.replace('\n', "\r\n");
    }
    let added: Vec<String> = parts.into_iter().map(|(_, outcomes)| outcomes).collect();
    Ok(Blessed {
        text: text_after,
        outcomes: added
            .iter()
            .flat_map(|outcomes| outcomes.lines())
            .filter(|line| line.starts_with(NAME))
            .count(),
        added,
    })
}

/// The outcomes of each variant below its `when`, or once without one where all have the same.
fn parts(found: &[(Arc<TrialPlan>, Explored)]) -> Vec<Part> {
    let texts: Vec<String> = found
        .iter()
        .map(|(plan, explored)| outcomes(plan, explored))
        .collect();
    // How many orders came to each may differ; that is said in comments only.
    let plain = |text: &String| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let same = texts.windows(2).all(|pair| plain(&pair[0]) == plain(&pair[1]));
    let whens = found.iter().map(|(plan, _)| {
        let values = plan.variant.iter();
        let values: Vec<String> = values
            .map(|(axis, value)| format!("{}: {}", key(axis), scalar(value)))
            .collect();
        format!("when: {{{}}}", values.join(", "))
    });
    match texts.first() {
        Some(first) if same => vec![(None, first.clone())],
        _ => whens.map(Some).zip(texts).collect(),
    }
}

/// A `when` and the outcomes below it.
type Part = (Option<String>, String);

/// Adds them to the `expect` that stands in this line.
fn expect_with(written: &mut Vec<String>, at: usize, parts: &[Part]) -> Result<(), BlessError> {
    let rest = written[at].trim_start_matches("expect:").trim();
    let is_content = |line: &&String| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let below = written[at + 1..]
        .iter()
        .find(is_content)
        .cloned()
        .unwrap_or_default();
    let inner = below.trim_start();
    let spaces = below.len() - inner.len();
    let is_list = inner.starts_with("- ");
    let block = rest.is_empty() || rest.starts_with('#');
    if !block || inner.starts_with(['{', '[']) || (inner.starts_with('-') && !is_list) {
        let text = match parts {
            [(None, outcomes)] => outcomes.clone(),
            parts => items(parts, INDENT).join("\n"),
        };
        return Err(BlessError::OneLine(text));
    }
    // Where the next key of the file begins, and before the comment that is its.
    let own = |line: &String| {
        line.trim().is_empty()
            || line.starts_with([' ', '#'])
            || (is_list && spaces == 0 && line.starts_with("- "))
    };
    let mut end = at + 1 + written[at + 1..].iter().take_while(|line| own(line)).count();
    while end > at + 1 && (written[end - 1].trim().is_empty() || written[end - 1].starts_with('#')) {
        end -= 1;
    }
    // As far to the right as what is there.
    let indent = if spaces == 0 && !is_list { INDENT } else { spaces };
    match parts {
        [(None, outcomes)] if !is_list => {
            let own = outcomes.trim_end().lines();
            let own = own.map(|line| format!("{}{}", " ".repeat(indent), &line[INDENT..]));
            written.insert(at + 1, own.collect::<Vec<_>>().join("\n"));
        }
        parts => {
            if !is_list {
                // What holds in all variants is the first of a list then.
                let mut first = true;
                for line in written.iter_mut().take(end).skip(at + 1) {
                    if first && is_content(&&*line) {
                        *line = format!("{}- {}", " ".repeat(indent), line.trim_start());
                        first = false;
                    } else if !line.trim().is_empty() {
                        line.insert_str(0, "  ");
                    }
                }
            }
            written.splice(end..end, items(parts, indent));
        }
    }
    Ok(())
}

/// The items of a list, so far to the right.
fn items(parts: &[Part], indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (when, outcomes) in parts {
        let own = outcomes.trim_end().lines().map(|line| line[INDENT..].to_owned());
        let own = when.iter().cloned().chain(own);
        for (number, line) in own.enumerate() {
            let mark = if number == 0 { "- " } else { "  " };
            lines.push(format!("{}{mark}{line}", " ".repeat(indent)));
        }
    }
    lines
}

/// Before the number of an outcome.
const NAME: &str = "    outcome ";
/// How far the key `outcomes` stands to the right.
const INDENT: usize = 2;

/// The key `outcomes` with all that tells the outcomes apart. What the language cannot tell apart, such as tables
/// that could not be read, is one outcome.
fn outcomes(plan: &TrialPlan, explored: &Explored) -> String {
    let mut found: Vec<(String, u128, String)> = Vec::new();
    for class in &explored.outcomes {
        let body = body(plan, explored, class);
        match found.iter_mut().find(|(other, ..)| *other == body) {
            Some((_, orders, _)) => *orders = orders.saturating_add(class.trace_size),
            None => found.push((body, class.trace_size, class.example(plan))),
        }
    }
    let mut text = "  outcomes:\n".to_owned();
    for (number, (body, orders, order)) in found.iter().enumerate() {
        let _ = writeln!(
            text,
            "    # {}, such as {order}",
            counted(*orders, "interleaving")
        );
        let _ = writeln!(text, "{NAME}{}:", number + 1);
        text.push_str(body);
    }
    text
}

/// What one outcome is.
fn body(plan: &TrialPlan, explored: &Explored, class: &OutcomeClass) -> String {
    let differs = |what: &str| {
        let fact = |class: &OutcomeClass| {
            let facts = class.outcome.facts();
            facts
                .into_iter()
                .find(|(name, _)| name == what)
                .map(|(_, how)| how)
        };
        let mut all = explored.outcomes.iter().map(fact);
        let first = all.next();
        all.any(|other| Some(other) != first)
    };
    let mut text = String::new();
    let tables: Vec<String> = all_tables(explored)
        .into_iter()
        .filter_map(|name| {
            let Some(at) = class.history.tables.iter().position(|own| own == name) else {
                return Some(format!("{}: {{error: {NO_SUCH_TABLE}}}", key(name)));
            };
            let mut checks = class.history.checks.iter();
            let record = checks.find(|one| one.check == CheckId::Rows(at))?;
            match &record.outcome {
                Outcome::Rows(set) => Some(format!("{}: {}", key(name), rows(set))),
                other => Some(format!("{}: {{error: {}}}", key(name), other.error()?.code)),
            }
        })
        .collect();
    if !tables.is_empty() {
        let _ = writeln!(text, "      tables: {{{}}}", tables.join(", "));
    }
    let errors: Vec<String> = class
        .outcome
        .errors()
        .into_iter()
        .map(|(code, count)| format!("{code}: {count}"))
        .collect();
    let _ = writeln!(text, "      errors: {{{}}}", errors.join(", "));
    // In the order of the file, which does not depend on the order of the steps.
    let saw: Vec<String> = (0..plan.steps.len())
        .filter_map(|step| {
            let record = class.history.steps.iter().find(|record| record.step == step)?;
            let name = step_name(step, &plan.connections, &plan.steps);
            let outcome = &record.end.as_ref()?.outcome;
            // What is over its limit has to be named.
            if !differs(&name) && !matches!(outcome, Outcome::TimedOut { .. }) {
                return None;
            }
            let value = match outcome {
                Outcome::Rows(set) => match set.rows.as_slice() {
                    [row] if row.len() == 1 => literal(&row[0]),
                    _ => rows(set),
                },
                Outcome::Done(done) => format!("{{affected: {}}}", done.affected),
                Outcome::Refused(error) => format!("{{error: {}}}", error.code),
                Outcome::TimedOut { .. } => format!("{{error: {TIMED_OUT}}}"),
                Outcome::Lost { .. } => format!("{{error: {SERVER_LOST}}}"),
                // No outcome that is named has it.
                Outcome::Unanswered { .. } => return None,
            };
            Some(format!("{}: {value}", key(&name)))
        })
        .collect();
    if !saw.is_empty() {
        let _ = writeln!(text, "      saw: {{{}}}", saw.join(", "));
    }
    let blocked: Vec<String> = class.outcome.blocked.iter().map(|name| key(name)).collect();
    let _ = writeln!(text, "      blocked: [{}]", blocked.join(", "));
    let vars = class
        .outcome
        .vars
        .iter()
        .filter(|(name, _)| differs(&format!("var {name}")));
    let seen = plan.owners.view_of_history(&class.history.vars);
    let vars: Vec<String> = vars
        .filter_map(|(name, _)| Some(format!("{}: {}", key(name), literal(seen.get(name)?))))
        .collect();
    if !vars.is_empty() {
        let _ = writeln!(text, "      shared: {{vars: {{{}}}}}", vars.join(", "));
    }
    text
}

/// The tables that were there at the end of any order.
fn all_tables(explored: &Explored) -> BTreeSet<&String> {
    let classes = explored.outcomes.iter();
    classes.flat_map(|class| &class.history.tables).collect()
}
