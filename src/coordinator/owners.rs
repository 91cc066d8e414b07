//! Whose a variable is. What a connection saves is its own; what `shared`, `set` and `add` give is everybody's.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{SqlValue, Vars};

/// What stands before the name of a variable that is everybody's, to tell it from a connection's own.
const SHARED: &str = "shared";

/// Whose the variables of a trial are.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// The connections' names.
    connections: Vec<String>,
    /// The connections that save a name.
    saved: BTreeMap<String, BTreeSet<usize>>,
    /// Names that steps give for all connections.
    shared: BTreeSet<String>,
    /// Names that steps add to; they have a first value.
    added: BTreeSet<String>,
    /// Names with their connection before them, as texts have them: `alice.balance`.
    named: BTreeSet<String>,
}

/// The variable that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// A connection's own.
    Own(usize, String),
    /// Everybody's.
    Shared(String),
    /// One of several: those of these connections, and everybody's where that is said.
    OneOf(Vec<usize>, bool),
}

impl Owners {
    pub(crate) fn new(connections: Vec<String>) -> Self {
        Self {
            connections,
            ..Self::default()
        }
    }

    /// A connection saves a name.
    pub(crate) fn save(&mut self, connection: usize, name: &str) {
        self.saved.entry(name.to_owned()).or_default().insert(connection);
    }

    /// A step gives a name for all connections.
    pub(crate) fn share(&mut self, name: &str) {
        self.shared.insert(name.to_owned());
    }

    /// A step adds to a name, for all connections.
    pub(crate) fn add(&mut self, name: &str) {
        self.added.insert(name.to_owned());
    }

    /// A text has this name with its connection before it.
    pub(crate) fn name(&mut self, name: &str) {
        self.named.insert(name.to_owned());
    }

    /// Takes in what nobody gives here and somebody does there.
    pub(crate) fn take_in_unknown(&mut self, other: &Self) {
        for (name, owners) in &other.saved {
            if !self.shared.contains(name) {
                self.saved.entry(name.clone()).or_insert_with(|| owners.clone());
            }
        }
        for name in &other.shared {
            if !self.saved.contains_key(name) {
                self.shared.insert(name.clone());
            }
        }
    }

    /// All that connections save.
    pub(crate) fn all_saved(&self) -> impl Iterator<Item = (usize, String)> {
        let of = |(name, owners): (&String, &BTreeSet<usize>)| {
            let name = name.clone();
            owners.clone().into_iter().map(move |owner| (owner, name.clone()))
        };
        self.saved.iter().flat_map(of)
    }

    /// All names that steps give for all connections.
    pub(crate) fn all_shared(&self) -> impl Iterator<Item = String> {
        self.shared.iter().cloned()
    }

    pub(crate) fn is_shared(&self, name: &str) -> bool {
        self.shared.contains(name) || self.added.contains(name)
    }

    /// Whether a connection saves this name, so that the variable is its own.
    #[must_use]
    pub fn is_own(&self, connection: usize, name: &str) -> bool {
        self.saved
            .get(name)
            .is_some_and(|owners| owners.contains(&connection))
    }

    /// The connections that save a name.
    pub(crate) fn owners_of(&self, name: &str) -> impl Iterator<Item = usize> {
        self.saved.get(name).into_iter().flatten().copied()
    }

    pub(crate) fn connection(&self, number: usize) -> &str {
        self.connections.get(number).map_or("?", String::as_str)
    }

    /// A name with a connection before it: its number, or none for `shared`.
    pub(crate) fn parted<'n>(&self, name: &'n str) -> Option<(Option<usize>, &'n str)> {
        let (who, name) = name.rsplit_once('.')?;
        match self.connections.iter().position(|own| own == who) {
            Some(number) => Some((Some(number), name)),
            None => (who == SHARED).then_some((None, name)),
        }
    }

    /// What a name stands for, to a connection or to whoever is none.
    pub(crate) fn variable(&self, name: &str, reader: Option<usize>) -> Variable {
        match self.parted(name) {
            Some((Some(number), name)) => return Variable::Own(number, name.to_owned()),
            Some((None, name)) => return Variable::Shared(name.to_owned()),
            None => {}
        }
        if let Some(reader) = reader.filter(|reader| self.is_own(*reader, name)) {
            return Variable::Own(reader, name.to_owned());
        }
        let owners: Vec<usize> = self.owners_of(name).collect();
        match owners.as_slice() {
            [] => Variable::Shared(name.to_owned()),
            [only] if !self.is_shared(name) => Variable::Own(*only, name.to_owned()),
            _ => Variable::OneOf(owners, self.is_shared(name)),
        }
    }

    /// The name that a variable has in a history: `alice.balance` of a connection's own.
    #[must_use]
    pub fn key(&self, name: &str, reader: Option<usize>) -> String {
        match self.variable(name, reader) {
            Variable::Own(number, name) => self.key_of(number, &name),
            Variable::Shared(name) => name,
            Variable::OneOf(..) => name.to_owned(),
        }
    }

    /// The name that a connection's own variable has in a history.
    #[must_use]
    pub fn key_of(&self, connection: usize, name: &str) -> String {
        format!("{}.{name}", self.connection(connection))
    }

    /// The names that a history has for all that a final expectation means by a name: of several connections that save it,
    /// or of a group of connections, each one's.
    #[must_use]
    pub fn keys(&self, name: &str) -> Vec<String> {
        let group = name.rsplit_once('.').filter(|_| self.parted(name).is_none());
        if let Some((who, own)) = group {
            let copy = |other: &str| {
                let number = other.strip_prefix(who).and_then(|rest| rest.strip_prefix('.'));
                number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
            };
            let owners = self.owners_of(own).filter(|owner| copy(self.connection(*owner)));
            let keys: Vec<String> = owners.map(|owner| self.key_of(owner, own)).collect();
            if !keys.is_empty() {
                return keys;
            }
        }
        match self.variable(name, None) {
            Variable::OneOf(owners, shared) => {
                let own = owners.iter().map(|owner| self.key_of(*owner, name));
                own.chain(shared.then(|| name.to_owned())).collect()
            }
            Variable::Own(..) | Variable::Shared(_) => vec![self.key(name, None)],
        }
    }

    /// The value that a history has under one of its names; before a connection has saved one, the first one of `vars`.
    #[must_use]
    pub fn value<'v>(&self, key: &str, vars: &'v Vars) -> Option<&'v SqlValue> {
        let first = |key| match self.parted(key) {
            Some((Some(_), name)) => vars.get(name),
            _ => None,
        };
        vars.get(key).or_else(|| first(key))
    }

    /// How files name what a history has under this name: without its connection where that says enough.
    #[must_use]
    pub fn shown<'k>(&self, key: &'k str) -> &'k str {
        match self.parted(key) {
            Some((Some(_), name)) if self.key(name, None) == key => name,
            _ => key,
        }
    }

    /// Whether a step gives what a history has under this name.
    #[must_use]
    pub fn is_given(&self, key: &str) -> bool {
        match self.parted(key) {
            Some((Some(number), name)) => self.is_own(number, name),
            _ => self.is_shared(key),
        }
    }

    /// The variables as a connection sees them, or whoever is none, by the names that texts have for them. Whoever has
    /// not saved a value yet sees the first one, of `vars`.
    #[must_use]
    pub fn view(
        &self,
        reader: Option<usize>,
        shared: &Vars,
        own: impl Fn(usize, &str) -> Option<SqlValue>,
    ) -> Vars {
        let mut seen = shared.clone();
        let names = self.saved.keys().chain(&self.named);
        for name in names {
            let value = match self.variable(name, reader) {
                Variable::Own(number, name) => own(number, &name).or_else(|| shared.get(&name).cloned()),
                Variable::Shared(name) => shared.get(&name).cloned(),
                Variable::OneOf(..) => None,
            };
            if let Some(value) = value {
                seen.insert(name.clone(), value);
            }
        }
        seen
    }

    /// One variable as a connection sees it. A name of which several connections have one of their own is none of theirs.
    #[must_use]
    pub fn find(
        &self,
        name: &str,
        reader: usize,
        shared: &Vars,
        own: impl Fn(usize, &str) -> Option<SqlValue>,
    ) -> Option<SqlValue> {
        match self.variable(name, Some(reader)) {
            Variable::Own(number, name) => own(number, &name).or_else(|| shared.get(&name).cloned()),
            Variable::Shared(name) => shared.get(&name).cloned(),
            Variable::OneOf(..) => shared.get(name).cloned(),
        }
    }

    /// The same for whoever is no connection, from the variables of a history.
    #[must_use]
    pub fn view_of_history(&self, vars: &Vars) -> Vars {
        self.view(None, vars, |number, name| {
            vars.get(&self.key_of(number, name)).cloned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// alice and bob save `n`, alice alone `m`; `k` is shared, and alice saves one as well.
    fn owners() -> Owners {
        let mut owners = Owners::new(vec!["alice".to_owned(), "bob".to_owned(), "worker.0".to_owned()]);
        owners.save(0, "n");
        owners.save(1, "n");
        owners.save(0, "m");
        owners.save(0, "k");
        owners.share("k");
        owners
    }

    #[test]
    fn a_name_is_ones_own_first_and_then_the_only_one() {
        use Variable::{OneOf, Own, Shared};
        let own = |number, name: &str| Own(number, name.to_owned());
        for (name, reader, wanted) in [
            ("n", Some(0), own(0, "n")),
            ("n", Some(1), own(1, "n")),
            ("n", Some(2), OneOf(vec![0, 1], false)),
            ("alice.n", Some(1), own(0, "n")),
            ("m", Some(1), own(0, "m")),
            ("m", None, own(0, "m")),
            ("k", Some(0), own(0, "k")),
            ("k", Some(1), OneOf(vec![0], true)),
            ("shared.k", Some(0), Shared("k".to_owned())),
            ("x", Some(0), Shared("x".to_owned())),
            ("worker.0.n", None, own(2, "n")),
        ] {
            assert_eq!(owners().variable(name, reader), wanted, "{name} for {reader:?}");
        }
        assert_eq!(owners().keys("n"), ["alice.n", "bob.n"]);
        assert_eq!(owners().keys("k"), ["alice.k", "k"]);
        assert_eq!(owners().keys("m"), ["alice.m"]);
        assert_eq!(owners().shown("alice.m"), "m");
        assert_eq!(owners().shown("alice.n"), "alice.n");
    }

    #[test]
    fn each_sees_its_own_value_and_before_it_the_first_one() {
        let mut owners = owners();
        owners.name("alice.n");
        let shared = Vars::from([("n".to_owned(), SqlValue::Int(0))]);
        let own = |number: usize, name: &str| (number == 1 && name == "n").then_some(SqlValue::Int(7));
        let seen = |reader, name: &str| owners.view(reader, &shared, own).get(name).cloned();
        assert_eq!(seen(Some(1), "n"), Some(SqlValue::Int(7)));
        assert_eq!(seen(Some(0), "n"), Some(SqlValue::Int(0)));
        assert_eq!(seen(Some(1), "alice.n"), Some(SqlValue::Int(0)));
        assert_eq!(seen(None, "m"), None);
    }
}
