//! Reads a spec: setup, sessions with their steps, permutations.

use super::lexer::{Placed, Word, words};
use super::model::{Block, Permutation, Session, Spec, SpecStep};
use crate::import::format::Mistakes;
use crate::source::{Diagnostic, Span, nearest};

/// A step of a permutation, as it was read.
struct Listed {
    name: String,
    span: Span,
    /// Steps that its markers name.
    markers: Vec<(String, Span)>,
}

const KEYWORDS: [&str; 5] = ["setup", "teardown", "session", "step", "permutation"];

/// Reads a spec; mistakes are added to the list.
pub(crate) fn parse(mistakes: &mut Mistakes<'_>) -> Spec {
    let text = mistakes.file.text().to_owned();
    let mut reader = Reader {
        words: words(&text),
        at: 0,
        comments: Vec::new(),
        spec: Spec::default(),
        listed: Vec::new(),
        begun: false,
        mistakes,
    };
    reader.spec();
    reader.check();
    reader.spec
}

struct Reader<'m, 'a> {
    words: Vec<Placed>,
    at: usize,
    /// Lines of comments that belong to what comes next.
    comments: Vec<String>,
    spec: Spec,
    listed: Vec<Vec<Listed>>,
    /// Whether anything but comments was there.
    begun: bool,
    mistakes: &'m mut Mistakes<'a>,
}

impl Reader<'_, '_> {
    /// The next word that is no comment; comments are kept for what follows.
    fn peek(&mut self) -> Option<Placed> {
        loop {
            let placed = self.words.get(self.at)?.clone();
            match placed.word {
                Word::Comment(text) => self
                    .comments
                    .push(text.trim_end().trim_start_matches(' ').to_owned()),
                Word::BlankLine => {
                    // The comment at the top stands apart from what follows it.
                    if !self.begun && !self.comments.is_empty() {
                        if !self.spec.header.is_empty() {
                            self.spec.header.push(String::new());
                        }
                        self.spec.header.append(&mut self.comments);
                    }
                }
                _ => return Some(placed),
            }
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<Placed> {
        let placed = self.peek();
        self.at += usize::from(placed.is_some());
        placed
    }

    fn end(&self) -> Span {
        Span::at(self.mistakes.file.text().trim_end().len())
    }

    fn spec(&mut self) {
        while let Some(placed) = self.next() {
            let mut comments = std::mem::take(&mut self.comments);
            if !self.begun && self.spec.header.is_empty() {
                self.spec.header.append(&mut comments);
            }
            self.begun = true;
            match &placed.word {
                Word::Plain(word) if word == "setup" => self.setup(comments),
                Word::Plain(word) if word == "teardown" => self.teardown(comments, placed.span),
                Word::Plain(word) if word == "session" => self.session(comments),
                Word::Plain(word) if word == "step" => self.step(comments, placed.span),
                Word::Plain(word) if word == "permutation" => self.permutation(comments, placed.span),
                _ => self.unexpected(&placed, "one of setup, teardown, session, step, permutation"),
            }
        }
        self.spec.trailer = std::mem::take(&mut self.comments);
    }

    /// A word that has no place here, and what was expected; what follows up to the next keyword goes with it.
    fn unexpected(&mut self, placed: &Placed, wanted: &str) {
        match &placed.word {
            Word::Unclosed('{') => self.mistakes.error(
                placed.span,
                "this block of SQL is never closed",
                "write `}` behind its last statement",
            ),
            Word::Unclosed(_) => {
                self.mistakes
                    .error(placed.span, "this name is never closed", "write `\"` behind it");
            }
            Word::Plain(word) => {
                let near = nearest(word, KEYWORDS);
                let label = match near {
                    Some(near) if near != word => format!("did you mean `{near}`?"),
                    _ => format!("expected {wanted}"),
                };
                self.mistakes
                    .error(placed.span, format!("`{word}` has no place here"), label);
            }
            word => {
                let shown = match word {
                    Word::Quoted(name) => format!("the name \"{name}\""),
                    Word::Block(_) => "a block of SQL".to_owned(),
                    Word::Sign(c) | Word::Other(c) | Word::Unclosed(c) => format!("`{c}`"),
                    Word::Plain(_) | Word::Comment(_) | Word::BlankLine => "this".to_owned(),
                };
                let message = format!("{shown} has no place here");
                self.mistakes
                    .error(placed.span, message, format!("expected {wanted}"));
            }
        }
        while let Some(next) = self.peek() {
            if matches!(&next.word, Word::Plain(word) if KEYWORDS.contains(&word.as_str())) {
                break;
            }
            self.at += 1;
        }
    }

    fn block(&mut self, comments: Vec<String>, what: &str) -> Option<Block> {
        match self.peek() {
            Some(Placed {
                word: Word::Block(text),
                span,
            }) => {
                self.at += 1;
                Some(Block {
                    comments,
                    text,
                    at: span.start,
                })
            }
            Some(other) => {
                // A keyword begins what comes next.
                if !matches!(&other.word, Word::Plain(word) if KEYWORDS.contains(&word.as_str())) {
                    self.at += 1;
                }
                self.unexpected(&other, &format!("the SQL of {what}, in {{ }}"));
                None
            }
            None => {
                let end = self.end();
                self.mistakes
                    .error(end, format!("{what} has no SQL"), "write it in { }");
                None
            }
        }
    }

    fn setup(&mut self, comments: Vec<String>) {
        let block = self.block(comments, "setup");
        match self.spec.sessions.last_mut() {
            None => self.spec.setups.extend(block),
            Some(session) => session.setup = block.or(session.setup.take()),
        }
    }

    fn teardown(&mut self, comments: Vec<String>, span: Span) {
        let block = self.block(comments, "teardown");
        let place = match self.spec.sessions.last_mut() {
            None => &mut self.spec.teardown,
            Some(session) => &mut session.teardown,
        };
        if place.is_some() && block.is_some() {
            self.mistakes
                .error(span, "there are two teardowns here", "put both into one block");
        }
        *place = block.or(place.take());
    }

    fn name(&mut self, what: &str) -> Option<(String, Span)> {
        match self.peek() {
            Some(Placed {
                word: Word::Plain(name),
                span,
            }) if !KEYWORDS.contains(&name.as_str()) => {
                self.at += 1;
                Some((name, span))
            }
            Some(Placed {
                word: Word::Quoted(name),
                span,
            }) => {
                self.at += 1;
                Some((name, span))
            }
            Some(other) => {
                if !matches!(&other.word, Word::Plain(word) if KEYWORDS.contains(&word.as_str())) {
                    self.at += 1;
                }
                self.unexpected(
                    &other,
                    &format!("the name of {what}; a keyword as a name stands in quotes"),
                );
                None
            }
            None => {
                let end = self.end();
                self.mistakes
                    .error(end, format!("{what} has no name"), "write it here");
                None
            }
        }
    }

    fn session(&mut self, comments: Vec<String>) {
        let Some((name, span)) = self.name("the session") else {
            return;
        };
        if let Some(other) = self.spec.sessions.iter().find(|other| other.name == name) {
            let problem = Diagnostic::error(span, format!("there are two sessions `{name}`"))
                .label(span, "give this one another name")
                .label(other.span, "the first one");
            self.mistakes.push(problem);
        }
        self.spec.sessions.push(Session {
            comments,
            name,
            setup: None,
            steps: Vec::new(),
            teardown: None,
            span,
        });
    }

    fn step(&mut self, comments: Vec<String>, span: Span) {
        let Some((name, name_span)) = self.name("the step") else {
            return;
        };
        let Some(block) = self.block(comments, "the step") else {
            return;
        };
        let steps = self.spec.sessions.iter().flat_map(|session| &session.steps);
        if let Some(other) = steps.clone().find(|other| other.name == name) {
            let problem = Diagnostic::error(name_span, format!("there are two steps `{name}`"))
                .label(
                    name_span,
                    "give this one another name: a permutation names it alone",
                )
                .label(other.span, "the first one");
            self.mistakes.push(problem);
        }
        let Some(session) = self.spec.sessions.last_mut() else {
            self.mistakes.error(
                span,
                "this step belongs to no session",
                "write `session NAME` before it",
            );
            return;
        };
        session.steps.push(SpecStep {
            name,
            block,
            span: name_span,
        });
    }

    fn permutation(&mut self, comments: Vec<String>, span: Span) {
        let mut listed: Vec<Listed> = Vec::new();
        let mut end = span.end;
        while let Some(placed) = self.peek() {
            match placed.word {
                Word::Plain(ref word) if KEYWORDS.contains(&word.as_str()) => break,
                Word::Plain(name) | Word::Quoted(name) => {
                    self.at += 1;
                    end = placed.span.end;
                    listed.push(Listed {
                        name,
                        span: placed.span,
                        markers: Vec::new(),
                    });
                }
                Word::Sign('(') if !listed.is_empty() => {
                    self.at += 1;
                    end = self.markers(&mut listed, placed.span);
                }
                _ => {
                    self.at += 1;
                    self.unexpected(&placed, "the name of a step, or `(` with its markers");
                    break;
                }
            }
            // Comments here belong to what follows the line.
        }
        if listed.is_empty() {
            self.mistakes.error(
                span,
                "this permutation has no steps",
                "name them behind it, in their order",
            );
            return;
        }
        let line = self.mistakes.file.slice(Span::new(span.end, end)).to_owned();
        let words: Vec<&str> = line
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .flat_map(str::split_whitespace)
            .collect();
        self.spec.permutations.push(Permutation {
            comments,
            steps: listed.iter().map(|one| one.name.clone()).collect(),
            words: words.join(" "),
            span,
            marked: line.contains('('),
        });
        self.listed.push(listed);
    }

    /// The markers of the last step that was listed, behind their `(`; the byte behind their `)`.
    fn markers(&mut self, listed: &mut [Listed], open: Span) -> usize {
        let mut names = Vec::new();
        let mut end = open.end;
        loop {
            let Some(placed) = self.peek() else {
                self.mistakes.error(
                    open,
                    "these markers are never closed",
                    "write `)` behind the last one",
                );
                break;
            };
            match placed.word {
                Word::Plain(ref word) if KEYWORDS.contains(&word.as_str()) => {
                    self.mistakes.error(
                        open,
                        "these markers are never closed",
                        "write `)` behind the last one",
                    );
                    break;
                }
                Word::Sign(')') => {
                    self.at += 1;
                    end = placed.span.end;
                    break;
                }
                Word::Plain(ref word) if word == "notices" => self.at += 1,
                Word::Plain(ref word) if word.bytes().all(|byte| byte.is_ascii_digit()) => self.at += 1,
                Word::Plain(name) | Word::Quoted(name) => {
                    self.at += 1;
                    names.push((name, placed.span));
                }
                Word::Sign('*' | ',') => self.at += 1,
                _ => {
                    self.at += 1;
                    self.unexpected(&placed, "`*`, the name of a step, or `)`");
                    break;
                }
            }
        }
        if let Some(last) = listed.last_mut() {
            last.markers = names;
        }
        end
    }

    /// Names that lead nowhere, and what is missing.
    fn check(&mut self) {
        if self.spec.sessions.is_empty() {
            let found_any = !self.mistakes.problems.is_empty();
            if !found_any {
                self.mistakes.whole(
                    "this spec has no session",
                    "write `session NAME` with `step NAME { SQL }` below it",
                );
            }
            return;
        }
        for session in &self.spec.sessions {
            if session.steps.is_empty() {
                let message = format!("the session `{}` has no steps", session.name);
                self.mistakes
                    .error(session.span, message, "write `step NAME { SQL }` below it");
            }
        }
        let known: Vec<(&str, &str)> = self
            .spec
            .sessions
            .iter()
            .flat_map(|session| {
                session
                    .steps
                    .iter()
                    .map(|step| (step.name.as_str(), session.name.as_str()))
            })
            .collect();
        let owner = |name: &str| {
            known
                .iter()
                .find(|(step, _)| *step == name)
                .map(|(_, session)| *session)
        };
        let unknown = |mistakes: &mut Mistakes<'_>, name: &str, span: Span| {
            let near = nearest(name, known.iter().map(|(step, _)| *step));
            let label = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `step NAME { SQL }` in a session first".to_owned(),
            };
            mistakes.error(span, format!("there is no step `{name}`"), label);
        };
        for listed in &self.listed {
            for one in listed {
                if owner(&one.name).is_none() {
                    unknown(self.mistakes, &one.name, one.span);
                }
                for (name, span) in &one.markers {
                    if owner(name).is_none() {
                        unknown(self.mistakes, name, *span);
                    } else if owner(name) == owner(&one.name) {
                        let message =
                            format!("`{}` cannot wait for `{name}`: they are of one session", one.name);
                        self.mistakes
                            .error(*span, message, "name a step of another session");
                    } else if !listed.iter().any(|other| other.name == *name) {
                        let message = format!("`{name}` is not in this permutation");
                        self.mistakes.error(*span, message, "name a step that is");
                    }
                }
            }
        }
    }
}
