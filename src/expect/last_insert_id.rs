//! `last_insert_id`: the first value that AUTO_INCREMENT gave.

use super::value_pattern::ValuePattern;
use super::{Check, Mismatch, Reading, Seen};
use crate::history::{Outcome, SqlValue, describe};
use crate::source::{Node, Span};

#[derive(Debug)]
struct LastInsertId {
    pattern: ValuePattern,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let pattern = ValuePattern::read_number(node, reading)?;
    Some(Box::new(LastInsertId { pattern }))
}

impl Check for LastInsertId {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let wanted = self.pattern.shown_with(seen.vars);
        let Outcome::Done(done) = seen.outcome else {
            let got = describe(seen.outcome);
            return Err(Mismatch::new(format!(
                "expected last insert id {wanted}, got {got}"
            )));
        };
        let id = SqlValue::Int(done.last_insert_id.into());
        if self.pattern.matches(&id, seen.vars) {
            return Ok(());
        }
        let doubt = self.pattern.doubt(&id, seen.vars);
        let message = format!(
            "expected last insert id {wanted}, got {}{doubt}",
            done.last_insert_id
        );
        Err(Mismatch::new(message).at(self.pattern.span))
    }

    fn variables(&self) -> Vec<(String, Span)> {
        self.pattern.variables()
    }
}
