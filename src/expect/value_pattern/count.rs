//! Expected whole numbers: rows, affected rows, warnings.

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive as _};

use super::compare::number;
use super::pattern::{Bound, Relation, Shape, ValuePattern};
use super::reading::{MATCHERS, OTHER_NAMES, is_matcher};
use crate::expect::kind::Reading;
use crate::expect::template::Template;
use crate::history::SqlValue;
use crate::scenario::keys;
use crate::source::{Diagnostic, Entry, Node, NodeKind, shortened, unknown_key};

impl ValuePattern {
    /// Reads a value that has to be a whole number, or a matcher of numbers, or a variable.
    pub(crate) fn read_number(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let fits = match &node.kind {
            NodeKind::Int(number) => *number >= 0,
            NodeKind::Map(_) => true,
            NodeKind::Str(text) => {
                Template::read(text).is_ok_and(|template| template.variables().next().is_some())
            }
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Decimal(_) | NodeKind::Hex(_) => false,
            NodeKind::Binary(_) | NodeKind::Seq(_) => false,
        };
        if !fits {
            let negative = matches!(node.kind, NodeKind::Int(_));
            let message = match node
                .text()
                .filter(|text| !node.is_null() && !text.trim().is_empty())
            {
                Some(text) if negative => format!("this must be a number of 0 or more, not `{text}`"),
                Some(text) => format!("this must be a whole number, not `{}`", shortened(&text)),
                None => format!("this must be a whole number, not {}", node.describe()),
            };
            let label = match negative {
                true => "it cannot be negative",
                false => "such as `1` or `{gt: 0}`",
            };
            reading.error(node, message, label);
            return None;
        }
        let unknown = |entry: &&Entry| {
            let key = entry.key.text().unwrap_or_default();
            !is_matcher(&key) || key == "json"
        };
        let entries = node.as_map().unwrap_or_default();
        for entry in entries.iter().filter(unknown) {
            let key = entry.key.text().unwrap_or_default();
            let problem = match OTHER_NAMES.iter().find(|(name, _)| *name == key) {
                Some((_, here)) => Diagnostic::error(entry.key.span, format!("unknown key `{key}`"))
                    .label(entry.key.span, format!("here this is written {here}")),
                None => {
                    let matchers = keys::names(MATCHERS);
                    unknown_key(&entry.key, &key, "a number matcher", &matchers)
                }
            };
            reading.problems.push(problem);
        }
        if entries.iter().any(|entry| unknown(&entry)) {
            return None;
        }
        let pattern = Self::read(node, reading)?;
        if let Shape::Compare(relations) = &pattern.shape {
            let zero = BigDecimal::from(0);
            let below = relations.iter().any(|(relation, bound)| match (relation, bound) {
                (_, Bound::Variable(_)) => false,
                (relation, Bound::Plain(bound)) => match (relation, number(bound)) {
                    (Relation::Lt, Some(bound)) => bound <= zero,
                    (Relation::Le, Some(bound)) => bound < zero,
                    (Relation::Gt | Relation::Ge, Some(_)) => false,
                    (_, None) => true,
                },
            });
            if below {
                reading.error(node, "no number satisfies this", "this is a count: 0 or more");
            }
        }
        Some(pattern)
    }

    /// At least and at most this many, where it counts.
    pub(crate) fn range(&self) -> (Option<u64>, Option<u64>) {
        let relations = match &self.shape {
            Shape::Literal(SqlValue::Int(number), _) => {
                let number = u64::try_from(*number).ok();
                return (number, number);
            }
            Shape::Compare(relations) => relations.as_slice(),
            _ => &[],
        };
        let (mut least, mut most) = (None, None);
        for (relation, bound) in relations {
            let Bound::Plain(bound) = bound else { continue };
            let Some(bound) = number(bound) else { continue };
            let whole = |mode| bound.with_scale_round(0, mode).to_u64();
            let (low, high) = match relation {
                Relation::Gt => (
                    whole(RoundingMode::Floor).map(|bound| bound.saturating_add(1)),
                    None,
                ),
                Relation::Ge => (whole(RoundingMode::Ceiling), None),
                Relation::Lt => (
                    None,
                    whole(RoundingMode::Ceiling).map(|bound| bound.saturating_sub(1)),
                ),
                Relation::Le => (None, whole(RoundingMode::Floor)),
            };
            least = least.max(low);
            most = [most, high].into_iter().flatten().min();
        }
        (least, most)
    }
}
