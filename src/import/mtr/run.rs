//! Goes through a test file as the tool would, and notes what is done.

use super::commands::{Fate, fate};
use super::condition::{holds, sum};
use super::event::{Event, What};
use super::lexer::{Command, Kind, parse};
use super::runner::{EVENTS_MAX, Next, Runner, Switches};
use super::variables::{Value, Variables, name_at};
use crate::import::format::{Input, Mistakes, Problem};
use crate::source::Span;

/// A file that is read by another, and so on, at most so deep.
const DEPTH_MAX: usize = 16;

/// Files that only ask what the server is, or wait for what is waited for here anyway.
const NEEDLESS: &[&str] = &[
    "have_",
    "not_",
    "no_",
    "big_test",
    "count_sessions",
    "wait_until_count_sessions",
    "wait_until_disconnected",
    "wait_condition",
    "wait_show_condition",
    "innodb_",
    "default_storage_engine",
    "maybe_",
    "have",
];

/// The comment at the top of a file, and what the file does; mistakes are added to the list.
pub(crate) fn run(
    commands: &[Command],
    input: &Input<'_>,
    problems: &mut Vec<Problem>,
) -> (Vec<String>, Vec<Event>) {
    let header = commands
        .first()
        .map(|first| first.comments.clone())
        .unwrap_or_default();
    let mut runner = Runner {
        input,
        problems,
        file: input.file.clone(),
        at: Span::at(0),
        events: Vec::new(),
        variables: Variables::new(),
        current: "default".to_owned(),
        open: vec!["default".to_owned()],
        known: vec!["default".to_owned()],
        comments: Vec::new(),
        answer: Next::default(),
        switches: Switches::default(),
        pending_send: false,
        unsure: false,
        ended: false,
        depth: 0,
    };
    runner.commands(commands, true);
    if !runner.comments.is_empty() {
        runner.event(What::Nothing, Span::at(0), None);
    }
    (header, runner.events)
}

impl Runner<'_, '_> {
    /// Does these; the comment before the first one is that of the whole file, if this is `all` of it.
    fn commands(&mut self, commands: &[Command], all: bool) {
        for (number, command) in commands.iter().enumerate() {
            if self.ended {
                return;
            }
            if !(all && number == 0) {
                self.comments.extend(command.comments.iter().cloned());
            }
            if !self.switches.parsing {
                let call = matches!(&command.what, Kind::Call { name, .. } if name == "enable_parsing");
                if !call {
                    continue;
                }
            }
            self.at = command.span;
            match &command.what {
                Kind::Nothing => {}
                Kind::Sql(sql) => self.statement(sql, command.span, false),
                Kind::Block {
                    repeat,
                    condition,
                    body,
                } => self.block(*repeat, condition, body, command.span),
                Kind::Call { name, rest } => self.call(name, rest, command.span),
            }
        }
    }

    fn block(&mut self, repeat: bool, condition: &str, body: &[Command], span: Span) {
        let mut rounds = 0;
        loop {
            match holds(condition, &self.variables) {
                Some(true) => self.commands(body, false),
                Some(false) => return,
                None => {
                    let word = if repeat { "while" } else { "if" };
                    self.left_out(format!(
                        "not taken: {word} ({condition}), which is known only when the test runs:"
                    ));
                    let lines = body.iter().flat_map(shown);
                    self.comments.extend(lines.map(|line| format!("  {line}")));
                    self.forget(body);
                    return;
                }
            }
            rounds += 1;
            if !repeat || self.ended {
                return;
            }
            if rounds > EVENTS_MAX {
                self.error(span, "this loop does not end", "its condition never becomes 0");
                return;
            }
        }
    }

    /// What is set in a block that may be run has no known value after it.
    fn forget(&mut self, body: &[Command]) {
        for command in body {
            match &command.what {
                Kind::Call { name, rest } if ["let", "inc", "dec", "expr"].contains(&name.as_str()) => {
                    let name = name_at(rest.trim_start_matches('$')).to_owned();
                    self.variables.set(&name, Value::Unknown);
                }
                Kind::Block { body, .. } => self.forget(body),
                _ => {}
            }
        }
    }

    fn call(&mut self, name: &str, rest: &str, span: Span) {
        match fate(name) {
            Some(Fate::Dropped) | None => return,
            Some(Fate::NotTaken(why)) => {
                let line = rest.lines().next().unwrap_or_default();
                self.left_out(format!("not taken: {name} {line} ({why})").replace("  ", " "));
                return;
            }
            Some(Fate::Taken) => {}
        }
        // `ONCE` is for the next statement: what is printed of it is not looked at then.
        let once = rest.trim() == "ONCE";
        match name {
            "echo" => {
                let expanded = self.variables.expand(rest);
                let echo = self.switches.result_log.then(|| expanded.printed.clone());
                let text = expanded.known().unwrap_or_else(|| rest.to_owned());
                self.event(What::Echo(text), span, echo);
            }
            "error" => {
                let expanded = self.variables.expand(rest.trim_end_matches(';'));
                let errors = expanded.known().unwrap_or(expanded.text);
                self.answer.errors = errors.split(',').map(|error| error.trim().to_owned()).collect();
                self.answer.errors.retain(|error| !error.is_empty());
                if self.answer.errors.is_empty() {
                    self.error(
                        span,
                        "`error` names no error",
                        "write its number or name, such as `--error 1205`",
                    );
                }
            }
            "sorted_result" | "partially_sorted_result" => self.answer.sorted = true,
            "replace_column" => {
                let columns = rest.split_whitespace().step_by(2);
                self.answer.replaced = columns.filter_map(|column| column.parse().ok()).collect();
            }
            "replace_result" | "replace_regex" | "replace_numeric_round" | "lowercase_result" => {
                self.answer.changed = Some("its texts are replaced before they are compared");
            }
            "query_vertical" => {
                self.answer.changed = Some("it is printed in another form");
                self.statement(rest, span, true);
            }
            "query_horizontal" | "query" => self.statement(rest, span, false),
            "vertical_results" => self.switches.vertical = true,
            "horizontal_results" => self.switches.vertical = false,
            "enable_query_log" | "disable_query_log" if !once => {
                self.switches.query_log = name.starts_with("enable")
            }
            "enable_result_log" | "disable_result_log" if !once => {
                self.switches.result_log = name.starts_with("enable");
            }
            "enable_info" | "disable_info" if !once => self.switches.info = name.starts_with("enable"),
            "enable_abort_on_error" | "disable_abort_on_error" if !once => {
                self.switches.abort_on_error = name.starts_with("enable");
            }
            "enable_parsing" => self.switches.parsing = true,
            "disable_parsing" => self.switches.parsing = false,
            "eval" | "evalp" => self.eval(rest, span),
            "send" if rest.is_empty() => self.pending_send = true,
            "send" => {
                self.pending_send = true;
                self.statement(rest, span, false);
            }
            "send_eval" => {
                self.pending_send = true;
                self.eval(rest, span);
            }
            "reap" => self.reap(span),
            "let" => self.assign(rest, span),
            "inc" | "dec" => self.count(rest, name == "inc"),
            "expr" => {
                if let Some((name, expression)) = rest.trim_start_matches('$').split_once('=') {
                    let value = sum(expression.trim_end_matches(';'), &self.variables);
                    self.variables
                        .set(name.trim(), value.map_or(Value::Unknown, Value::Known));
                }
            }
            "connect" => self.connect(rest, span),
            "connection" => self.switch(rest, span),
            "disconnect" | "dirty_close" | "send_quit" => self.disconnect(rest, span),
            "reset_connection" => self.event(What::Reset, span, None),
            "sleep" | "real_sleep" => self.sleep(rest, span),
            "source" => self.source(rest, span),
            "exit" => self.ended = true,
            "die" | "skip" => {
                self.note(format!("the test ends here: {name} {rest}"));
                self.ended = true;
            }
            _ => {}
        }
    }

    fn sleep(&mut self, rest: &str, span: Span) {
        let text = self.argument(rest);
        match text.parse::<f64>() {
            Ok(seconds) if (0.0..=3600.0).contains(&seconds) => {
                // Rounded to whole milliseconds, which fit.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let ms = (seconds * 1000.0).round() as u64;
                self.event(What::Sleep(ms), span, None);
            }
            _ => self.error(
                span,
                format!("`{text}` is no number of seconds"),
                "write such as `sleep 0.5`",
            ),
        }
    }

    fn source(&mut self, rest: &str, span: Span) {
        let name = self.argument(rest);
        let base = name.rsplit('/').next().unwrap_or_default().to_owned();
        if NEEDLESS.iter().any(|begin| base.starts_with(begin)) {
            return;
        }
        if self.depth == DEPTH_MAX {
            self.error(span, "files read each other too deep", "one of them reads itself");
            return;
        }
        let Some(file) = (self.input.include)(&name) else {
            self.left_out(format!(
                "not taken: source {name}: there is no such file beside this one"
            ));
            return;
        };
        let before = self.problems.len();
        let commands = parse(&mut Mistakes {
            file: &file,
            problems: self.problems,
        });
        if self.problems.len() > before {
            return;
        }
        let outer = std::mem::replace(&mut self.file, file);
        self.depth += 1;
        self.commands(&commands, false);
        self.depth -= 1;
        self.file = outer;
    }
}

/// A command of a block that is not taken, for a comment.
fn shown(command: &Command) -> Vec<String> {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match &command.what {
        Kind::Call { name, rest } => vec![line(&format!("{name} {rest}"))],
        Kind::Sql(sql) => vec![line(&format!("{sql};"))],
        Kind::Block {
            condition,
            body,
            repeat,
        } => {
            let word = if *repeat { "while" } else { "if" };
            let inner = body.iter().flat_map(shown).map(|line| format!("  {line}"));
            std::iter::once(format!("{word} ({condition})"))
                .chain(inner)
                .collect()
        }
        Kind::Nothing => Vec::new(),
    }
}
