//! Case files of Troc: a table, two transactions, and the order in which their statements are sent.

use super::dialect::Level;
use super::draft::{Connection, Draft, Order, Orders, Statement, Step};
use super::format::{Format, Input, Mistakes, Problem, stem};
use super::lines::{Line, lines};
use super::origin::Origin;
use super::sql_text::literal;
use crate::source::Span;

/// The format.
pub(super) struct Troc;

/// The levels by the names that Troc gives them.
const LEVELS: [(&str, Level); 4] = [
    ("RU", Level::ReadUncommitted),
    ("RC", Level::ReadCommitted),
    ("RR", Level::RepeatableRead),
    ("SER", Level::Serializable),
];

impl Format for Troc {
    fn name(&self) -> &'static str {
        "troc"
    }

    fn tool(&self) -> &'static str {
        "Troc"
    }

    fn fits(&self, _name: &str, text: &str) -> bool {
        let levels = text.lines().filter(|line| level(line.trim()).is_some()).count();
        let creates = text
            .lines()
            .any(|line| line.trim().to_ascii_lowercase().starts_with("create table"));
        levels >= 2 && creates
    }

    fn read(&self, input: &Input<'_>, problems: &mut Vec<Problem>) -> Vec<Draft> {
        let before = problems.len();
        let mut reader = Reader {
            lines: lines(input.file.text()),
            at: 0,
            mistakes: Mistakes {
                file: input.file,
                problems,
            },
        };
        let mut cases = Vec::new();
        let mut about = reader.talk();
        while reader.at < reader.lines.len() {
            let mut case = reader.case();
            case.comments = std::mem::take(&mut about);
            case.trailer = reader.talk();
            cases.push(case);
        }
        if cases.is_empty() && reader.mistakes.problems.len() == before {
            reader.mistakes.whole(
                "there is no case in this file",
                "a case begins with CREATE TABLE, followed by INSERT INTO, an empty line, and two transactions",
            );
        }
        if problems.len() > before {
            return Vec::new();
        }
        let count = cases.len();
        let name = stem(input.file);
        let title = name.replace(['_', '-'], " ");
        let numbered = cases.into_iter().enumerate().map(|(number, case)| {
            let mut draft = case.draft();
            (draft.name, draft.title) = match count {
                1 => (name.clone(), title.clone()),
                _ => (
                    format!("{name}_{}", number + 1),
                    format!("{title} ({} of {count})", number + 1),
                ),
            };
            draft
        });
        numbered.collect()
    }
}

fn level(alias: &str) -> Option<Level> {
    LEVELS
        .iter()
        .find(|(known, _)| *known == alias)
        .map(|(_, level)| *level)
}

struct Case {
    comments: Vec<String>,
    setup: Vec<String>,
    transactions: Vec<(Level, Origin, Vec<String>)>,
    /// Where it begins.
    origin: Origin,
    /// The transactions by their numbers from 0; none where all orders are meant.
    schedule: Option<(String, Vec<usize>)>,
    trailer: Vec<String>,
}

struct Reader<'m, 'a> {
    lines: Vec<Line<'a>>,
    at: usize,
    mistakes: Mistakes<'m>,
}

impl<'a> Reader<'_, 'a> {
    fn peek(&self) -> Option<Line<'a>> {
        self.lines.get(self.at).copied()
    }

    fn end(&self) -> Span {
        self.lines
            .last()
            .map_or(Span::at(0), |line| Span::at(line.span().end))
    }

    /// The line that was read last.
    fn before(&self) -> Span {
        let line = self.at.checked_sub(1).and_then(|at| self.lines.get(at));
        line.map_or(Span::at(0), Line::span)
    }

    /// What stands between two cases: what was found with them.
    fn talk(&mut self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        while let Some(line) = self.peek() {
            let begins = line
                .trimmed()
                .get(..6)
                .is_some_and(|word| word.eq_ignore_ascii_case("create"));
            if begins {
                break;
            }
            if !line.is_blank() {
                found.push(line.trimmed().to_owned());
            }
            self.at += 1;
        }
        found
    }

    /// The lines up to an empty one or END, which is passed over; whether it was END.
    fn paragraph(&mut self) -> (Vec<Line<'a>>, bool) {
        let mut found = Vec::new();
        while let Some(line) = self.peek() {
            self.at += 1;
            if line.trimmed() == "END" {
                return (found, true);
            }
            if line.is_blank() {
                break;
            }
            found.push(line);
        }
        (found, false)
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.is_blank()) {
            self.at += 1;
        }
    }

    /// A case; its mistakes are noted, and what can be read is read all the same.
    fn case(&mut self) -> Case {
        let begin = self.peek().map_or_else(|| self.end(), |line| line.span());
        let origin = Origin::of(self.mistakes.file, begin);
        let (setup, mut ended) = self.paragraph();
        let statement = |line: &Line<'a>| line.trimmed().trim_end_matches(';').trim().to_owned();
        let mut case = Case {
            comments: Vec::new(),
            setup: setup.iter().map(statement).collect(),
            transactions: Vec::new(),
            origin,
            schedule: None,
            trailer: Vec::new(),
        };
        for which in ["first", "second"] {
            if !ended {
                self.skip_blank();
            }
            let head = self.peek().filter(|line| !ended && line.trimmed() != "END");
            let Some(head) = head else {
                let end = if ended { self.before() } else { self.end() };
                self.mistakes.error(
                    end,
                    format!("the {which} transaction is missing"),
                    "write its level (RU, RC, RR or SER) and its statements before, each on a line of its own",
                );
                return case;
            };
            let level = level(head.trimmed());
            if level.is_none() {
                self.mistakes.error(
                    head.span(),
                    format!("`{}` is no level of isolation", head.trimmed()),
                    format!("the {which} transaction begins with RU, RC, RR or SER"),
                );
            }
            self.at += 1;
            let (lines, last) = self.paragraph();
            ended = last;
            if lines.is_empty() {
                self.mistakes.error(
                    head.span(),
                    format!("the {which} transaction has no statements"),
                    "write them below its level, each on a line of its own",
                );
            }
            let level = level.unwrap_or(Level::RepeatableRead);
            case.transactions.push((
                level,
                Origin::of(self.mistakes.file, head.span()),
                lines.iter().map(statement).collect(),
            ));
        }
        if !ended {
            self.schedule(&mut case);
        }
        case
    }

    fn schedule(&mut self, case: &mut Case) {
        self.skip_blank();
        let Some(line) = self.peek().filter(|line| line.trimmed() != "END") else {
            self.at += 1;
            return;
        };
        if !line.trimmed().starts_with(|c: char| c.is_ascii_digit()) {
            // What was found with a case that is to be taken in all orders.
            return;
        }
        self.at += 1;
        let mut picks = Vec::new();
        let from_zero = line.text.contains('0');
        let mut sent = [0_usize; 2];
        for part in line.trimmed().split('-') {
            let number = match (part.trim(), from_zero) {
                ("1", false) | ("0", true) => 0,
                ("2", false) | ("1", true) => 1,
                _ => {
                    let numbers = if from_zero { "0 or 1" } else { "1 or 2" };
                    self.mistakes.error(
                        line.span_of(part),
                        format!("`{}` is no transaction", part.trim()),
                        format!("a schedule is made of {numbers}, with `-` between, such as 1-1-2-2-1"),
                    );
                    continue;
                }
            };
            let count = case
                .transactions
                .get(number)
                .map_or(0, |(_, _, statements)| statements.len());
            if sent[number] == count {
                self.mistakes.error(
                    line.span_of(part),
                    format!("transaction {} has only {count} statements", part.trim()),
                    "one too many: name it once for each of its statements",
                );
                return;
            }
            sent[number] += 1;
            picks.push(number);
        }
        for (transaction, sent) in case.transactions.iter_mut().zip(sent) {
            transaction.2.truncate(sent.max(1));
        }
        case.schedule = Some((line.trimmed().to_owned(), picks));
        // END, and what follows it.
        self.skip_blank();
        if self.peek().is_some_and(|line| line.trimmed() == "END") {
            self.at += 1;
        }
    }
}

impl Case {
    fn draft(self) -> Draft {
        let mut draft = Draft {
            comments: self.comments,
            setup: self
                .setup
                .iter()
                .map(|sql| Statement {
                    comments: Vec::new(),
                    text: literal(sql),
                })
                .collect(),
            trailer: self.trailer,
            ..Draft::default()
        };
        draft.comments.push(self.origin.note(
            "Troc compares it with an oracle of its own; `tidb-scenarios explore --bless FILE` writes down what it \
             comes to on TiDB",
        ));
        let names = ["tx1", "tx2"];
        for ((level, origin, statements), name) in self.transactions.iter().zip(names) {
            let states = statements.iter().map(|sql| Step::sql(name, vec![literal(sql)]));
            draft.connections.push(Connection {
                name: name.to_owned(),
                comments: origin.notes(level.note()).collect(),
                isolation: Some(level.on_tidb()),
                states: states.collect(),
                ..Connection::default()
            });
        }
        draft.orders = Some(match self.schedule {
            None => Orders::All,
            Some((words, picks)) => Orders::List(vec![Order {
                picks: picks.iter().map(|pick| names[*pick].to_owned()).collect(),
                words,
                ..Order::default()
            }]),
        });
        draft
    }
}
