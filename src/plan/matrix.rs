//! The variants of a scenario: all combinations of the matrix's values.

use super::context::{Variant, isolation, label, txn};
use super::{PLAN_SIZE_MAX, VARIANTS_MAX};
use crate::scenario::Scenario;
use crate::source::{Diagnostic, Node};

/// All combinations, in the order of the file.
pub(super) fn variants<'s>(scenario: &'s Scenario, problems: &mut Vec<Diagnostic>) -> Vec<Variant<'s>> {
    let connections = scenario
        .connections
        .iter()
        .map(|one| one.count.as_ref().map_or(1, |count| count.value));
    let size = scenario.all_steps().count() + connections.sum::<usize>();
    let mut all = vec![Variant::default()];
    for axis in &scenario.matrix {
        let name = axis.name.value.as_str();
        let mut labels: Vec<(String, &Node)> = Vec::new();
        for node in &axis.values {
            let known = match (name, node.text()) {
                (_, None) => Err("a value of the matrix must be a single value"),
                (_, Some(text)) if text.contains("${") => Err("a value of the matrix cannot use variables"),
                ("isolation", Some(text)) if isolation(&text).is_none() => {
                    Err("TiDB has `repeatable read` and `read committed` (others are error 8048)")
                }
                ("txn", Some(text)) if txn(&text).is_none() => Err("`pessimistic` or `optimistic`"),
                _ => Ok(()),
            };
            if let Err(help) = known {
                let problem = Diagnostic::error(node.span, format!("not a value for `{name}`"));
                problems.push(problem.label(node.span, help));
            }
            let label = label(name, node);
            if let Some((_, earlier)) = labels.iter().find(|(other, _)| *other == label) {
                let message = format!("two values of `{name}` are called `{label}` in the trials' names");
                let problem = Diagnostic::error(node.span, message).label(node.span, "again here");
                problems.push(problem.label(earlier.span, "first here"));
            }
            labels.push((label, node));
        }
        all = all
            .into_iter()
            .flat_map(|variant| {
                axis.values.iter().map(move |node| {
                    let mut values = variant.values.clone();
                    values.push((name, node));
                    Variant { values }
                })
            })
            .collect();
        let size = size.saturating_mul(all.len());
        let message = if all.len() > VARIANTS_MAX {
            format!("this matrix has more than {VARIANTS_MAX} variants")
        } else if size > PLAN_SIZE_MAX {
            format!("all variants together have more than {PLAN_SIZE_MAX} steps and connections")
        } else {
            continue;
        };
        let problem = Diagnostic::error(axis.name.span, message);
        problems.push(problem.label(axis.name.span, "with the values of this name"));
        all.truncate(1);
        break;
    }
    all
}
