//! The outcomes of all schedules, for people.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::explore::{Explored, LeftOut, OrderOutcome, OutcomeClass, counted};
use crate::plan::TrialPlan;

/// How many schedules there are, how many were run and how many are equivalent to those, in a few lines.
pub(super) fn summary(explored: &Explored) -> String {
    let outcomes = counted(explored.outcomes.len() as u128, "outcome");
    let (covered, all) = (explored.trace_size, explored.schedules);
    let mut text = format!("{outcomes} in {}", counted(covered, "interleaving"));
    if explored.distinct as u128 != covered {
        let run = match explored.distinct {
            1 => "1 was run".to_owned(),
            more => format!("{more} were run"),
        };
        text.push_str(&format!(
            " ({run}; the others differ only in the order of independent steps; `prune: false` runs them all)"
        ));
    }
    let left = all.saturating_sub(covered);
    match explored.left_out {
        Some(left_out) => {
            let why = match left_out {
                LeftOut::Most(most) => format!("left out: `most` is {most}"),
                LeftOut::Time(limit) => format!("left out: the limit of {limit:?} was reached"),
                LeftOut::Stopped => "left out: you stopped it".to_owned(),
                LeftOut::Asked => "not asked for".to_owned(),
            };
            text.push_str(&format!("; up to {left} of {all} were {why}"));
        }
        None if covered < all => text.push_str(&format!(
            "; {all} interleavings exist, and the others are infeasible: a blocked or aborted connection would have \
             to run"
        )),
        None => {}
    }
    if explored.dropped > 0 {
        text.push_str(&format!(
            "; {} were dropped: the server blocked other connections on replay",
            counted(explored.dropped as u128, "prefix")
        ));
    }
    text
}

/// The outcomes, each with what differs between them, how many schedules have it and the simplest of those.
#[must_use]
pub fn table(plan: &TrialPlan, explored: &Explored) -> String {
    let facts = facts(
        &explored
            .outcomes
            .iter()
            .map(|class| &class.outcome)
            .collect::<Vec<_>>(),
    );
    let same = |what: &str| {
        let values: Vec<Option<&String>> = facts
            .iter()
            .map(|facts| facts.iter().find(|(name, _)| name == what).map(|(_, how)| how))
            .collect();
        values.windows(2).all(|pair| pair[0] == pair[1])
    };
    let mut lines = vec![summary(explored)];
    for (number, (class, facts)) in explored.outcomes.iter().zip(&facts).enumerate() {
        lines.push(String::new());
        lines.push(heading(plan, class, number));
        let width = facts
            .iter()
            .map(|(what, _)| what.chars().count())
            .max()
            .unwrap_or(0);
        for (what, how) in facts {
            if explored.outcomes.len() == 1 || !same(what) {
                lines.push(format!("   {what:<width$}  {how}"));
            }
        }
    }
    if let (true, Some(facts)) = (explored.outcomes.len() > 1, facts.first()) {
        let shared: Vec<&(String, String)> = facts.iter().filter(|(what, _)| same(what)).collect();
        if !shared.is_empty() {
            lines.push(String::new());
            lines.push("the same in all:".to_owned());
            let width = shared
                .iter()
                .map(|(what, _)| what.chars().count())
                .max()
                .unwrap_or(0);
            lines.extend(
                shared
                    .iter()
                    .map(|(what, how)| format!("   {what:<width$}  {how}")),
            );
        }
    }
    lines.join("\n")
}

/// What can be said of each, of a table that is there in some of them only also that it is not.
fn facts(all: &[&OrderOutcome]) -> Vec<Vec<(String, String)>> {
    let tables: BTreeSet<&String> = all
        .iter()
        .flat_map(|outcome| &outcome.tables)
        .map(|(name, _)| name)
        .collect();
    let facts = all.iter().map(|outcome| {
        let own: Vec<&String> = outcome.tables.iter().map(|(name, _)| name).collect();
        let looked = outcome.stopped.is_none();
        let missing = tables.iter().filter(|name| looked && !own.contains(name));
        let mut facts = outcome.facts();
        for (number, name) in missing.enumerate() {
            facts.insert(
                own.len() + number,
                (format!("table {name}"), "does not exist".to_owned()),
            );
        }
        facts
    });
    facts.collect()
}

fn heading(plan: &TrialPlan, class: &OutcomeClass, number: usize) -> String {
    let name = match class.names.as_slice() {
        [] => String::new(),
        names => format!(" {}:", names.join(" and ")),
    };
    let order = class.example(plan);
    format!(
        "{}.{name} {}, such as {order}",
        number + 1,
        counted(class.trace_size, "interleaving")
    )
}

/// How many schedules of each variant have which outcome: where levels of isolation, say, differ.
#[must_use]
pub fn across(variants: &[(Arc<TrialPlan>, Explored)]) -> String {
    let mut all: Vec<&OrderOutcome> = Vec::new();
    for class in variants.iter().flat_map(|(_, explored)| &explored.outcomes) {
        if !all.contains(&&class.outcome) {
            all.push(&class.outcome);
        }
    }
    let facts = facts(&all);
    let names: Vec<String> = variants
        .iter()
        .map(|(plan, _)| {
            // An order of a list is told by its name, too.
            let label = plan
                .name
                .rsplit_once("::order=")
                .map(|(_, label)| format!("order={label}"));
            let values = plan.variant.iter().map(|(axis, value)| format!("{axis}={value}"));
            values.chain(label).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let mut lines = vec!["outcomes by variant, each with its number of interleavings:".to_owned()];
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(6);
    let header: Vec<String> = names.iter().map(|name| format!("{name:>width$}")).collect();
    lines.push(format!("     {}", header.join("  ")));
    for (number, (outcome, own)) in all.iter().zip(&facts).enumerate() {
        let counts = variants.iter().map(|(_, explored)| {
            let mut classes = explored.outcomes.iter();
            let class = classes.find(|class| class.outcome == **outcome);
            let count = class.map_or("–".to_owned(), |class| class.trace_size.to_string());
            format!("{count:>width$}")
        });
        let differing: Vec<String> = own
            .iter()
            .filter(|(what, how)| {
                let mut others = facts.iter();
                others.any(|other| other.iter().any(|(name, value)| name == what && value != how))
            })
            .map(|(what, how)| format!("{what}: {how}"))
            .collect();
        let classes = variants.iter().flat_map(|(_, explored)| &explored.outcomes);
        let names: BTreeSet<&str> = classes
            .filter(|class| class.outcome == **outcome)
            .flat_map(|class| class.names.iter().map(String::as_str))
            .collect();
        let names = names.into_iter().collect::<Vec<_>>().join(" and ");
        let row = format!(
            "{:>3}. {}  {names}",
            number + 1,
            counts.collect::<Vec<_>>().join("  ")
        );
        lines.push(row.trim_end().to_owned());
        lines.push(format!("     {}", differing.join("; ")));
    }
    lines.join("\n")
}

/// Which outcomes only one of two servers has, for the same schedules.
#[must_use]
pub fn compared(plan: &TrialPlan, one: (&str, &Explored), other: (&str, &Explored)) -> String {
    let mut lines = vec![
        format!("{}: {}", one.0, summary(one.1)),
        format!("{}: {}", other.0, summary(other.1)),
    ];
    let mut differences = 0;
    for (server, here, there) in [(one.0, one.1, other.1), (other.0, other.1, one.1)] {
        for (number, class) in here.outcomes.iter().enumerate() {
            if there
                .outcomes
                .iter()
                .any(|theirs| theirs.outcome == class.outcome)
            {
                continue;
            }
            differences += 1;
            lines.push(String::new());
            lines.push(format!("only on {server}: {}", heading(plan, class, number)));
            for (what, how) in class.outcome.facts() {
                lines.push(format!("   {what}  {how}"));
            }
        }
    }
    lines.push(String::new());
    lines.push(match differences {
        0 => "both have the same outcomes".to_owned(),
        1 => "1 outcome occurs on one of them only".to_owned(),
        more => format!("{more} outcomes occur on one of them only"),
    });
    lines.join("\n")
}
