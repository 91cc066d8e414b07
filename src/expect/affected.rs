//! `affected`: rows that were changed. TiDB counts an UPDATE that changes nothing as 0.

use super::value_pattern::ValuePattern;
use super::{Check, Mismatch, Reading, Seen};
use crate::history::{Outcome, SqlValue, describe};
use crate::source::{Node, Span};

#[derive(Debug)]
struct Affected {
    pattern: ValuePattern,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let pattern = ValuePattern::read_number(node, reading)?;
    Some(Box::new(Affected { pattern }))
}

impl Check for Affected {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let wanted = match self.pattern.shown_with(seen.vars) {
            one if one == "1" => "1 affected row".to_owned(),
            more => format!("{more} affected rows"),
        };
        let Outcome::Done(done) = seen.outcome else {
            let got = describe(seen.outcome);
            return Err(Mismatch::new(format!("expected {wanted}, got {got}")));
        };
        let affected = SqlValue::Int(done.affected.into());
        if self.pattern.matches(&affected, seen.vars) {
            return Ok(());
        }
        let doubt = self.pattern.doubt(&affected, seen.vars);
        let message = format!("expected {wanted}, got {}{doubt}", done.affected);
        Err(Mismatch::new(message).at(self.pattern.span))
    }

    fn variables(&self) -> Vec<(String, Span)> {
        self.pattern.variables()
    }
}
