//! Specs of PostgreSQL's isolationtester, as scenarios with `permutations`.

use super::dialect::{Schema, note_on_error, split_postgres};
use super::draft::{Action, Connection, Draft, Order, Orders, Outcome, Statement, Step, Value};
use super::format::{Format, Input, Mistakes, Problem, Results, stem};
use super::names::{Names, Use};
use super::origin::Origin;
use super::spec::{
    OutcomeNames, Permutation, Ran, Session, Spec, SpecStep, Translator, block_statements, holds, parse,
    read_output, schema, state_names,
};
use super::title::title_of;
use crate::source::{SourceFile, Span};

/// The format.
pub(super) struct Isolation;

impl Format for Isolation {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn tool(&self) -> &'static str {
        "PostgreSQL's isolationtester"
    }

    fn fits(&self, name: &str, text: &str) -> bool {
        let begins = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
        name.ends_with(".spec") || begins("session ") && begins("step ")
    }

    fn results(&self) -> Option<Results> {
        Some(Results {
            extension: "out",
            folders: ("specs", "expected"),
        })
    }

    fn read(&self, input: &Input<'_>, problems: &mut Vec<Problem>) -> Vec<Draft> {
        let before = problems.len();
        let spec = parse(&mut Mistakes {
            file: input.file,
            problems,
        });
        if problems.len() > before {
            return Vec::new();
        }
        let ran = input.results.map(|file| read_output(file.text(), &spec));
        let converter = Converter {
            file: input.file,
            results: input.results,
            spec: &spec,
            ran: ran.as_deref(),
            stem: stem(input.file),
            schema: schema(&spec),
        };
        converter.drafts()
    }
}

/// The steps that each session takes, by their names, and the permutations in which it takes just these.
struct Group<'s> {
    sequences: Vec<Vec<&'s SpecStep>>,
    permutations: Vec<&'s Permutation>,
}

struct Converter<'s> {
    file: &'s SourceFile,
    results: Option<&'s SourceFile>,
    spec: &'s Spec,
    ran: Option<&'s [Ran]>,
    stem: String,
    schema: Schema,
}

impl Converter<'_> {
    fn drafts(&self) -> Vec<Draft> {
        let groups = self.groups();
        let count = groups.len();
        let mut drafts: Vec<Draft> = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            let mut draft = self.draft(group);
            if count > 1 {
                draft.name = format!("{}_{}", self.stem, number + 1);
                let order = match group.permutations.as_slice() {
                    [one] => one.steps.join(" "),
                    _ => format!("{} of {count}", number + 1),
                };
                draft.title = format!("{} ({order})", draft.title);
            }
            drafts.push(draft);
        }
        if let Some(last) = drafts.last_mut() {
            last.trailer.extend(self.spec.trailer.clone());
            last.trailer.extend(self.unused());
        }
        drafts
    }

    /// Permutations that take other steps, or a session's in another order, are scenarios of their own.
    fn groups(&self) -> Vec<Group<'_>> {
        let spec = self.spec;
        if spec.permutations.is_empty() {
            let all = |session: &'_ Session| -> Vec<usize> { (0..session.steps.len()).collect() };
            let sequences = spec.sessions.iter().map(|session| {
                let steps = all(session).into_iter();
                steps.filter_map(|at| session.steps.get(at)).collect()
            });
            return vec![Group {
                sequences: sequences.collect(),
                permutations: Vec::new(),
            }];
        }
        let mut groups: Vec<Group<'_>> = Vec::new();
        for permutation in &spec.permutations {
            let sequences: Vec<Vec<&SpecStep>> = spec
                .sessions
                .iter()
                .map(|session| {
                    let names = permutation.steps.iter();
                    names
                        .filter_map(|name| session.steps.iter().find(|step| step.name == *name))
                        .collect()
                })
                .collect();
            let names = |sequences: &[Vec<&SpecStep>]| -> Vec<Vec<String>> {
                let names = |steps: &Vec<&SpecStep>| steps.iter().map(|step| step.name.clone()).collect();
                sequences.iter().map(names).collect()
            };
            let wanted = names(&sequences);
            match groups.iter_mut().find(|group| names(&group.sequences) == wanted) {
                Some(group) => group.permutations.push(permutation),
                None => groups.push(Group {
                    sequences,
                    permutations: vec![permutation],
                }),
            }
        }
        groups
    }

    /// Steps that no permutation takes.
    fn unused(&self) -> Vec<String> {
        if self.spec.permutations.is_empty() {
            return Vec::new();
        }
        let used = |name: &str| {
            let mut all = self.spec.permutations.iter().flat_map(|one| &one.steps);
            all.any(|step| step == name)
        };
        let sessions = self.spec.sessions.iter();
        let unused = sessions.flat_map(|session| {
            let steps = session.steps.iter().filter(|step| !used(&step.name));
            steps.map(|step| {
                let sql = step.block.text.split_whitespace().collect::<Vec<_>>().join(" ");
                Origin::of(self.file, step.span).note(format!(
                    "{}.{} is in no permutation: {sql}",
                    session.name, step.name
                ))
            })
        });
        unused.collect()
    }

    fn draft(&self, group: &Group<'_>) -> Draft {
        let (title, comments) = title_of(&self.spec.header, &self.stem);
        let mut draft = Draft {
            name: self.stem.clone(),
            title,
            comments,
            setup: self.setup(),
            ..Draft::default()
        };
        let mut names = Names::new(Use::Connection);
        let names: Vec<String> = self
            .spec
            .sessions
            .iter()
            .map(|session| names.get(&session.name))
            .collect();
        // The step of each state, and whether the session's setup is a state before them.
        let mut has_setup = Vec::new();
        let mut used = Vec::new();
        // Steps keep their names before setups get theirs.
        let mut state_names = state_names(&group.sequences);
        for ((session, steps), name) in self.spec.sessions.iter().zip(&group.sequences).zip(&names) {
            let (connection, setup) = self.connection(session, steps, name, &mut state_names);
            has_setup.push(setup);
            used.push(!connection.states.is_empty());
            if connection.states.is_empty() {
                continue;
            }
            draft.connections.push(connection);
        }
        self.teardown(&mut draft);
        let first: Vec<String> = names
            .iter()
            .zip(&has_setup)
            .filter(|(_, setup)| **setup)
            .map(|(name, _)| name.clone())
            .collect();
        if group.permutations.is_empty() {
            draft.orders = Some(Orders::All);
            if !first.is_empty() {
                draft.comments.push(Origin::whole(self.file).note(
                    "in isolationtester all setups of sessions come before the first step; here each is a step",
                ));
            }
        } else {
            if group.permutations.iter().any(|one| one.marked) {
                draft.comments.push(Origin::whole(self.file).note(
                    "markers such as (*) say when isolationtester reports a step; here the server tells who waits",
                ));
            }
            let orders = group
                .permutations
                .iter()
                .map(|one| self.order(one, &names, &first));
            draft.orders = Some(Orders::List(without_doubles(orders.collect())));
        }
        self.outcomes(&mut draft, group, &names);
        draft
    }

    /// A session as a connection that takes these steps, and whether its first state is the session's setup.
    fn connection(
        &self,
        session: &Session,
        steps: &[&SpecStep],
        name: &str,
        names: &mut Names,
    ) -> (Connection, bool) {
        let translator = Translator::of(session, self.file, &self.schema);
        let mut connection = Connection {
            name: name.to_owned(),
            comments: session.comments.clone(),
            isolation: Some(translator.level.on_tidb()),
            ..Connection::default()
        };
        let mut setup = Step::default();
        if let Some(block) = &session.setup {
            setup = translator.step(block);
        }
        // BEGIN takes its snapshot at once here, and there with the first statement.
        let only_begins = setup.statements().iter().all(|sql| {
            let verb = crate::sql::verb(sql).unwrap_or_default();
            ["begin", "set"].contains(&verb.as_str())
        });
        for (number, step) in steps.iter().enumerate() {
            let mut state = translator.step(&step.block);
            if number == 0 && only_begins {
                let mut statements = setup.statements().to_vec();
                statements.extend(state.statements().iter().cloned());
                state.action = Action::Sql(statements);
                setup.comments.append(&mut state.comments);
                state.comments = std::mem::take(&mut setup.comments);
            }
            if state.is_empty() {
                state.comments.push(
                    Origin::of(self.file, step.span)
                        .note("nothing is left of this step, but it has its place in the order"),
                );
                state.action = Action::Sql(vec!["do 0".to_owned()]);
            }
            state.name = Some(names.get(&step.name));
            connection.states.push(state);
        }
        let has_setup = !only_begins;
        if has_setup {
            setup.name = Some(names.another("setup"));
            connection.states.insert(0, setup);
        }
        (connection, has_setup)
    }

    fn setup(&self) -> Vec<Statement> {
        let mut found = Vec::new();
        for block in &self.spec.setups {
            found.extend(block_statements(block, self.file, &self.schema));
        }
        found
    }

    /// What the teardowns do that does not happen anyway.
    fn teardown(&self, draft: &mut Draft) {
        let blocks = self.spec.teardown.iter();
        let blocks = blocks.chain(
            self.spec
                .sessions
                .iter()
                .filter_map(|session| session.teardown.as_ref()),
        );
        for block in blocks {
            for (sql, at) in split_postgres(&block.text) {
                let verb = crate::sql::verb(sql).unwrap_or_default();
                // Databases are dropped at the end, and what is open then is rolled back.
                if !["drop", "commit", "rollback", "end", "abort"].contains(&verb.as_str()) {
                    let origin = Origin::of(self.file, Span::at(block.at + at));
                    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
                    draft
                        .trailer
                        .push(origin.note(format!("a teardown that is not taken: {sql}")));
                }
            }
        }
    }

    fn order(&self, permutation: &Permutation, names: &[String], first: &[String]) -> Order {
        let picks = permutation.steps.iter().filter_map(|step| {
            let has = |session: &Session| session.steps.iter().any(|own| own.name == *step);
            names.get(self.spec.sessions.iter().position(has)?).cloned()
        });
        Order {
            comments: permutation.comments.clone(),
            picks: first.iter().cloned().chain(picks).collect(),
            words: permutation.words.clone(),
            origin: Origin::of(self.file, permutation.span),
            outcome: None,
        }
    }

    /// What PostgreSQL came to, by its expected output.
    fn outcomes(&self, draft: &mut Draft, group: &Group<'_>, names: &[String]) {
        let Some(ran) = self.ran else { return };
        let of_steps = |steps: &[String]| {
            let words = steps.join(" ");
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            ran.iter().find(|ran| ran.steps == words)
        };
        let mut found: Vec<Outcome> = Vec::new();
        let mut outcome_names = OutcomeNames::default();
        let mut add = |ran: &Ran| -> String {
            let holds = holds(ran, self.spec, &group.sequences, names, &self.schema);
            if let Some(same) = found.iter().find(|outcome| outcome.holds == holds) {
                return same.name.clone();
            }
            let name = outcome_names.of(&holds);
            found.push(Outcome {
                name: name.clone(),
                comments: self.notes_on_errors(&holds),
                holds,
            });
            name
        };
        match &mut draft.orders {
            Some(Orders::List(orders)) => {
                for order in orders {
                    let steps: Vec<&Permutation> = group
                        .permutations
                        .iter()
                        .copied()
                        .filter(|one| one.words == order.words)
                        .collect();
                    let ran = steps.first().and_then(|one| of_steps(&one.steps));
                    match ran.filter(|ran| !ran.invalid) {
                        Some(ran) => order.outcome = Some(add(ran)),
                        None => order
                            .comments
                            .push(order.origin.note("the expected output says nothing of this one")),
                    }
                }
            }
            Some(Orders::All) => {
                for ran in ran.iter().filter(|ran| !ran.invalid) {
                    add(ran);
                }
            }
            None => {}
        }
        // Where an order has no outcome, any of them will do, and that one may be none of them.
        draft.outcomes = found;
    }

    /// What to know of the errors of an outcome.
    fn notes_on_errors(&self, holds: &[(&'static str, Value)]) -> Vec<String> {
        let errors = holds.iter().filter_map(|(key, value)| match value {
            Value::Map(errors) if *key == "errors" => Some(errors),
            _ => None,
        });
        let codes = errors.flatten().filter_map(|(code, _)| code.parse().ok());
        Origin::whole(self.results.unwrap_or(self.file))
            .notes(codes.filter_map(note_on_error))
            .collect()
    }
}

/// An order that is there twice is one: isolationtester takes it twice, and here a trial has one name.
fn without_doubles(orders: Vec<Order>) -> Vec<Order> {
    let mut kept: Vec<Order> = Vec::new();
    for mut order in orders {
        match kept.iter_mut().find(|other| other.picks == order.picks) {
            Some(other) => {
                other.comments.append(&mut order.comments);
                other
                    .comments
                    .push(order.origin.note(format!("{} is the same order", order.words)));
            }
            None => kept.push(order),
        }
    }
    kept
}
