//! Commands that send statements, and take their answers.

use super::event::What;
use super::runner::Runner;
use super::variables::Value;
use crate::import::sql_text::literal;
use crate::source::Span;

impl Runner<'_, '_> {
    pub(super) fn eval(&mut self, text: &str, span: Span) {
        let expanded = self.variables.expand(text);
        for name in &expanded.unknown {
            if !matches!(self.variables.get(name), Some(Value::Session(_))) {
                self.note(format!("${name} has no value that is known here"));
                self.answer.changed = Some("it has a value that is not known here");
            }
        }
        // KILL of a session whose number was asked for before.
        if let Some((target, whole)) = self.kill(text) {
            let echo = self.switches.query_log.then(|| expanded.printed.clone());
            self.event(What::Kill { target, whole }, span, echo);
            self.answered();
            return;
        }
        self.sql(&expanded.text, &expanded.printed, span, false);
    }

    /// Whose session `KILL [QUERY] $id` ends.
    fn kill(&self, text: &str) -> Option<(String, bool)> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (verb, words) = words.split_first()?;
        let id = words.last()?.strip_prefix('$')?;
        let whole = !words.iter().any(|word| word.eq_ignore_ascii_case("query"));
        match self.variables.get(id)? {
            Value::Session(connection)
                if verb.eq_ignore_ascii_case("kill") && *connection != self.current =>
            {
                Some((connection.clone(), whole))
            }
            _ => None,
        }
    }

    pub(super) fn statement(&mut self, text: &str, span: Span, vertical: bool) {
        if text.trim().is_empty() {
            self.error(span, "there is no statement here", "write it behind the command");
            return;
        }
        let sql = literal(text);
        self.sql(&sql, text, span, vertical);
    }

    fn sql(&mut self, sql: &str, echo: &str, span: Span, vertical: bool) {
        let sent = std::mem::take(&mut self.pending_send);
        let echo = self.switches.query_log.then(|| echo.to_owned());
        let what = What::Statement {
            sql: sql.to_owned(),
            sent,
            save: Vec::new(),
        };
        if vertical || self.switches.vertical {
            self.answer.changed = Some("it is printed in another form");
        }
        self.event(what, span, echo);
        if !sent {
            self.answered();
        }
    }

    pub(super) fn reap(&mut self, span: Span) {
        let mut own = self
            .events
            .iter()
            .rev()
            .filter(|event| event.connection == self.current);
        let sent = own.find_map(|event| match &event.what {
            What::Statement { sent, .. } => Some(*sent),
            What::Reap => Some(false),
            _ => None,
        });
        if sent != Some(true) {
            let message = format!(
                "nothing was sent by `{}` whose answer could be taken",
                self.current
            );
            self.error(span, message, "write `send` before the statement");
            return;
        }
        self.event(What::Reap, span, None);
        self.answered();
    }
}
