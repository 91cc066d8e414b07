//! Commands that open connections, choose one, and close them.

use super::event::What;
use super::runner::Runner;
use crate::source::{Span, nearest};

impl Runner<'_, '_> {
    pub(super) fn connect(&mut self, rest: &str, span: Span) {
        let rest = self.argument(rest);
        let inner = rest
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
            .unwrap_or(&rest)
            .to_owned();
        let mut arguments = inner.split(',').map(str::trim);
        let name = arguments.next().unwrap_or_default().to_owned();
        if name.is_empty() {
            self.error(
                span,
                "`connect` names no connection",
                "write `connect (con1,localhost,root,,)`",
            );
            return;
        }
        if self.open.contains(&name) {
            let message = format!("the connection `{name}` is open already");
            self.error(span, message, "close it first, or give this one another name");
            return;
        }
        let mut next = || {
            arguments
                .next()
                .unwrap_or_default()
                .trim_matches(['"', '\''])
                .to_owned()
        };
        let (_, user, password, database) = (next(), next(), next(), next());
        let again = self.known.contains(&name);
        self.open.push(name.clone());
        self.known.push(name.clone());
        self.current = name;
        let what = What::Connect {
            user,
            password,
            again,
            database,
        };
        self.event(what, span, Some(format!("connect {inner};")));
    }

    pub(super) fn switch(&mut self, rest: &str, span: Span) {
        let name = self.argument(rest);
        if !self.open.contains(&name) {
            let near = nearest(&name, self.open.iter().map(String::as_str));
            let label = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write `connect ({name},localhost,root,,)` before"),
            };
            self.error(span, format!("there is no open connection `{name}`"), label);
            return;
        }
        self.current.clone_from(&name);
        self.event(What::Switch, span, Some(format!("connection {name};")));
    }

    pub(super) fn disconnect(&mut self, rest: &str, span: Span) {
        let name = self.argument(rest);
        if !self.open.contains(&name) {
            let message = format!("there is no open connection `{name}`");
            self.error(span, message, "it was closed, or never opened");
            return;
        }
        self.open.retain(|other| *other != name);
        let before = std::mem::replace(&mut self.current, name.clone());
        self.event(What::Disconnect, span, Some(format!("disconnect {name};")));
        // mysql-tester goes back to the first one; mysqltest has none until it is told.
        self.current = if before == name {
            "default".to_owned()
        } else {
            before
        };
    }
}
