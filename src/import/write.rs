//! Writes a draft as the text of a scenario file.

use super::draft::{Action, Alone, Connection, Draft, Order, Orders, Outcome, Statement, Step, Value};
use super::sql_text::{broken, tidy};
use super::yaml::{WIDTH, entry, fits_block, flow, key, line};

/// The text of the file; `origin` says where it comes from, `schema` is the path of the schema as the file sees it.
pub(super) fn write(draft: &Draft, origin: &str, schema: Option<&str>) -> String {
    let mut out = Lines::default();
    if let Some(schema) = schema {
        out.push(0, &format!("# yaml-language-server: $schema={schema}"));
    }
    out.comment(0, &[origin.to_owned()]);
    out.comment(0, &draft.comments);
    out.push(0, &format!("scenario: {}", line(&draft.title)));
    let alone = match draft.alone() {
        Alone::No => None,
        Alone::Serial => Some("serial: true"),
        Alone::OwnServer => Some("servers: {main: {}}"),
    };
    if let Some(alone) = alone {
        out.blank();
        out.push(0, alone);
    }
    out.setup(&draft.setup);
    out.connections(&draft.connections);
    out.orders(draft.orders.as_ref());
    if !draft.steps.is_empty() {
        out.blank();
        out.push(0, "steps:");
        for step in &draft.steps {
            out.step(step);
        }
    }
    out.outcomes(&draft.outcomes);
    if !draft.trailer.is_empty() {
        out.blank();
        out.comment(0, &draft.trailer);
    }
    out.text
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn push(&mut self, indent: usize, line: &str) {
        if !line.is_empty() {
            self.text.push_str(&" ".repeat(indent));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.push(0, "");
    }

    fn comment(&mut self, indent: usize, lines: &[String]) {
        for line in lines {
            // A comment is one line, and shows what cannot be shown as what it is.
            for part in line.split('\n') {
                let shown: String = part.trim_end().chars().map(visible).collect();
                self.push(indent, format!("# {shown}").trim_end());
            }
        }
    }

    fn setup(&mut self, setup: &[Statement]) {
        if setup.is_empty() {
            return;
        }
        self.blank();
        if !setup.iter().any(|statement| !statement.text.is_empty()) {
            self.comment(
                0,
                &setup
                    .iter()
                    .flat_map(|one| one.comments.clone())
                    .collect::<Vec<_>>(),
            );
            return;
        }
        let texts: Vec<String> = setup
            .iter()
            .filter(|statement| !statement.text.is_empty())
            .map(|statement| tidy(&statement.text))
            .collect();
        if texts.iter().any(|text| !fits_block(text)) {
            self.push(0, "setup:");
            for statement in setup {
                self.comment(2, &statement.comments);
                if !statement.text.is_empty() {
                    self.push(2, &format!("- {}", line(&tidy(&statement.text))));
                }
            }
            return;
        }
        // A block may not begin with what is no part of it: the comment before all statements stands above.
        let first = setup.first().map(|statement| statement.comments.as_slice());
        self.comment(0, first.unwrap_or_default());
        self.push(0, "setup: |");
        for (number, statement) in setup.iter().enumerate() {
            if number > 0 {
                self.comment(2, &statement.comments);
            }
            if !statement.text.is_empty() {
                for line in broken(&format!("{};", tidy(&statement.text)), WIDTH - 2) {
                    self.push(2, &line);
                }
            }
        }
    }

    fn connections(&mut self, connections: &[Connection]) {
        self.blank();
        let plain = |own: &Connection| {
            own.comments.is_empty() && own.isolation.is_none() && own.user.is_none() && own.states.is_empty()
        };
        if connections.iter().all(plain) {
            let names = connections.iter().map(|own| Value::text(own.name.clone()));
            let names = flow(&Value::List(names.collect()));
            self.push(0, &format!("connections: {names}"));
            return;
        }
        self.push(0, "connections:");
        for own in connections {
            self.comment(2, &own.comments);
            let mut settings = Vec::new();
            settings.extend(
                own.isolation
                    .map(|level| ("isolation".to_owned(), Value::text(level))),
            );
            settings.extend(
                own.user
                    .clone()
                    .map(|user| ("user".to_owned(), Value::Text(user))),
            );
            settings.extend(
                own.password
                    .clone()
                    .map(|password| ("password".to_owned(), Value::Text(password))),
            );
            let name = key(&own.name);
            if own.states.is_empty() {
                self.push(2, &format!("{name}: {}", flow(&Value::Map(settings))));
                continue;
            }
            self.push(2, &format!("{name}:"));
            for (name, value) in &settings {
                self.push(4, &format!("{name}: {}", flow(value)));
            }
            self.push(4, "states:");
            for state in &own.states {
                self.state(state);
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.comment(2, &step.comments);
        let name = key(&step.connection);
        match &step.action {
            Action::Sql(statements) => match statements.as_slice() {
                [] => return,
                [one] => self.sql(2, &format!("- {name}:"), one, 6),
                several => {
                    self.push(2, &format!("- {name}:"));
                    for statement in several {
                        self.sql(6, "-", statement, 8);
                    }
                }
            },
            Action::Sleep(ms) => self.push(2, &format!("- {name}: {{sleep: {ms}ms}}")),
            Action::Kill { target, whole } => {
                let target = kill_target(target, *whole);
                self.push(2, &format!("- {name}: {{kill: {target}}}"));
            }
            Action::Disconnect => self.push(2, &format!("- {name}: {{disconnect: true}}")),
            Action::Reconnect => self.push(2, &format!("- {name}: {{reconnect: true}}")),
        }
        if let Some(state) = &step.name {
            self.push(4, &format!("as: {}", key(state)));
        }
        self.rest(4, step);
    }

    fn state(&mut self, state: &Step) {
        self.comment(6, &state.comments);
        if state.is_empty() {
            return;
        }
        let mut head = "- ";
        if let Some(name) = &state.name {
            self.push(6, &format!("- state: {}", key(name)));
            head = "";
        }
        let indent = if head.is_empty() { 8 } else { 6 };
        match &state.action {
            Action::Sql(statements) => match statements.as_slice() {
                [one] => self.sql(indent, &format!("{head}sql:"), one, 10),
                several => {
                    self.push(indent, &format!("{head}sql:"));
                    for statement in several {
                        self.sql(10, "-", statement, 12);
                    }
                }
            },
            Action::Sleep(ms) => self.push(indent, &format!("{head}sleep: {ms}ms")),
            Action::Kill { target, whole } => {
                self.push(indent, &format!("{head}kill: {}", kill_target(target, *whole)));
            }
            Action::Disconnect => self.push(indent, &format!("{head}disconnect: true")),
            Action::Reconnect => self.push(indent, &format!("{head}reconnect: true")),
        }
        self.rest(8, state);
    }

    /// What stands beside the action.
    fn rest(&mut self, indent: usize, step: &Step) {
        if !step.save.is_empty() {
            let save = step.save.iter();
            let save = save.map(|(name, from)| (name.clone(), Value::text(from.clone())));
            self.entry(indent, "save", &Value::Map(save.collect()));
        }
        if let Some(timeout) = &step.timeout {
            self.push(indent, &format!("timeout: {timeout}"));
        }
        for (name, value) in &step.expect {
            self.entry(indent, name, value);
        }
    }

    fn entry(&mut self, indent: usize, name: &str, value: &Value) {
        for line in entry(name, value, indent) {
            self.push(indent, &line);
        }
    }

    /// A statement behind `head`: on its line, or as a block that is indented by `inner`.
    fn sql(&mut self, indent: usize, head: &str, statement: &str, inner: usize) {
        let statement = tidy(statement);
        let short = format!("{head} {}", line(&statement));
        let one_line = !statement.contains('\n');
        if one_line && indent + short.chars().count() <= WIDTH || !fits_block(&statement) {
            self.push(indent, &short);
            return;
        }
        self.push(indent, &format!("{head} |"));
        for line in broken(&statement, WIDTH - inner) {
            self.push(inner, &line);
        }
    }

    fn orders(&mut self, orders: Option<&Orders>) {
        let list = match orders {
            None => return,
            Some(Orders::All) => {
                self.blank();
                self.push(0, "permutations: all");
                return;
            }
            Some(Orders::List(list)) => list,
        };
        self.blank();
        self.push(0, "permutations:");
        self.push(2, "list:");
        for order in list {
            self.order(order);
        }
    }

    fn order(&mut self, order: &Order) {
        self.comment(4, &order.comments);
        let words = if order.words.is_empty() {
            String::new()
        } else {
            format!("  # {}", order.words)
        };
        let picks = line(&order.picks.join(" "));
        match &order.outcome {
            None => self.push(4, &format!("- {picks}{words}")),
            Some(outcome) => {
                self.push(4, &format!("- order: {picks}{words}"));
                self.push(6, &format!("outcome: {}", line(outcome)));
            }
        }
    }

    fn outcomes(&mut self, outcomes: &[Outcome]) {
        if outcomes.is_empty() {
            return;
        }
        self.blank();
        self.push(0, "expect:");
        self.push(2, "outcomes:");
        for outcome in outcomes {
            self.comment(4, &outcome.comments);
            self.push(4, &format!("{}:", key(&outcome.name)));
            for (name, value) in &outcome.holds {
                self.entry(6, name, value);
            }
        }
    }
}

/// Whom KILL ends.
fn kill_target(target: &str, whole: bool) -> String {
    if whole {
        flow(&Value::one("connection", Value::text(target)))
    } else {
        key(target)
    }
}

/// A character that a comment of YAML may have.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => '\u{fffd}',
        c => c,
    }
}
