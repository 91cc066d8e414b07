//! A random scenario, and how it is written down.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::feature::Feature;

/// What a state does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Sql(Vec<String>),
    Params(String, Vec<i64>),
    /// So many milliseconds.
    Sleep(u32),
    Reconnect,
    Disconnect,
}

/// A state of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub act: Act,
    /// What is expected of it, as it is written.
    pub expects: Option<String>,
    /// The variable and the column that it saves.
    pub save: Option<(String, String)>,
    /// Which features it is there for.
    pub features: BTreeSet<Feature>,
}

impl State {
    pub fn new(act: Act) -> Self {
        Self {
            act,
            expects: None,
            save: None,
            features: BTreeSet::new(),
        }
    }

    pub fn sql(text: impl Into<String>) -> Self {
        Self::new(Act::Sql(vec![text.into()]))
    }

    pub fn of(mut self, feature: Feature) -> Self {
        self.features.insert(feature);
        self
    }

    pub fn expecting(mut self, expects: impl Into<String>) -> Self {
        self.expects = Some(expects.into());
        self
    }

    /// Its statement, if it is just one.
    pub fn one(&self) -> Option<&str> {
        match &self.act {
            Act::Sql(statements) => match statements.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            _ => None,
        }
    }

    fn yaml(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut text = match &self.act {
            Act::Sql(statements) => match statements.as_slice() {
                [one] => format!("sql: {}", quoted(one)),
                more => {
                    let list: Vec<String> = more.iter().map(|one| quoted(one)).collect();
                    format!("sql: [{}]", list.join(", "))
                }
            },
            Act::Params(sql, params) => format!("sql: {}, params: {params:?}", quoted(sql)),
            Act::Sleep(ms) => format!("sleep: {ms}ms"),
            Act::Reconnect => "reconnect: true".to_owned(),
            Act::Disconnect => "disconnect: true".to_owned(),
        };
        if let Some((name, column)) = &self.save {
            let _ = write!(text, ", save: {{{name}: {column}}}");
        }
        if let Some(expects) = &self.expects {
            let _ = write!(text, ", {expects}");
        }
        format!("{{{text}}}")
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub name: &'static str,
    /// As they are written: `txn: optimistic`.
    pub settings: Vec<String>,
    pub states: Vec<State>,
}

/// The tables that scenarios have; the one whose name is quoted begins with `a`.
const TABLES: &[&str] = &["t", "u", "a", "child", "q", "x"];

/// Whether a statement names a table, and has one of these words.
fn names(text: &str, table: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase().replace(['`', ';'], " ");
    let mut names = text.split([' ', '.']);
    names.any(|name| name == table) && words.iter().any(|word| text.contains(word))
}

impl Connection {
    fn texts(&self) -> Vec<String> {
        let texts = self.states.iter().flat_map(|state| match &state.act {
            Act::Sql(statements) => statements.clone(),
            Act::Params(text, _) => vec![text.clone()],
            Act::Sleep(_) | Act::Reconnect | Act::Disconnect => Vec::new(),
        });
        texts.collect()
    }
}

/// A scenario, without its title and `permutations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    pub features: BTreeSet<Feature>,
    pub step_timeout_ms: u32,
    pub vars: Vec<String>,
    pub setup: Vec<String>,
    pub teardown: Vec<String>,
    pub connections: Vec<Connection>,
}

impl Scenario {
    /// How many orders there are that keep each connection's own.
    pub fn orders(&self) -> u128 {
        let (mut orders, mut sum) = (1, 0_u128);
        for own in &self.connections {
            for at in 1..=own.states.len() as u128 {
                sum += 1;
                orders = orders * sum / at;
            }
        }
        orders
    }

    /// Whether each feature is seen in some state.
    pub fn has_all(&self) -> bool {
        let states = || self.connections.iter().flat_map(|own| &own.states);
        let mut features = self.features.iter();
        features.all(|feature| states().any(|state| state.features.contains(feature)))
    }

    /// Whether two connections have to do with the same table, and one of them changes something: otherwise nothing
    /// depends on the order.
    pub fn meets(&self) -> bool {
        TABLES.iter().any(|table| {
            let count = |words: &[&str]| {
                let uses = |own: &&Connection| own.texts().iter().any(|text| names(text, table, words));
                self.connections.iter().filter(uses).count()
            };
            count(&[""]) > 1
                && count(&["update ", "insert ", "delete ", "replace ", "truncate ", "alter "]) > 0
        })
    }

    /// Whether what it comes to is not left to chance: TiDB commits to several tables of an optimistic transaction at
    /// once, so that which comes first is chance, a duplicate in one (1062) or a conflict in the other (9007).
    pub fn is_certain(&self) -> bool {
        self.connections.iter().all(|own| {
            let texts = own.texts();
            let has = |word: &str| texts.iter().any(|text| text.contains(word));
            let optimistic = has("optimistic") || own.settings.iter().any(|one| one == "txn: optimistic");
            let tables = TABLES.iter().filter(|table| {
                let written =
                    |text: &String| names(text, table, &["update ", "insert ", "delete ", "replace "]);
                texts.iter().any(written)
            });
            !optimistic || !has("insert into") || tables.count() < 2
        })
    }

    /// The state of a step by its number in the plan.
    pub fn state(&self, step: usize) -> &State {
        let mut states = self.connections.iter().flat_map(|own| &own.states);
        states.nth(step).expect("a step of the plan")
    }

    /// What it has in it, in words.
    pub fn has(&self) -> String {
        let names: Vec<&str> = self.features.iter().map(|feature| feature.name()).collect();
        names.join(", ")
    }

    pub fn yaml(&self) -> String {
        let mut text = format!("timeout: 600s\nstep_timeout: {}ms\n", self.step_timeout_ms);
        if !self.vars.is_empty() {
            let _ = writeln!(text, "vars: {{{}}}", self.vars.join(", "));
        }
        for (what, statements) in [("setup", &self.setup), ("teardown", &self.teardown)] {
            if !statements.is_empty() {
                let _ = writeln!(text, "{what}: |\n  {};", statements.join(";\n  "));
            }
        }
        text.push_str("connections:\n");
        for own in &self.connections {
            let mut keys = own.settings.clone();
            let states: Vec<String> = own.states.iter().map(State::yaml).collect();
            keys.push(format!("states: [{}]", states.join(", ")));
            let _ = writeln!(text, "  {}: {{{}}}", own.name, keys.join(", "));
        }
        text
    }
}
