//! Patterns of state sequences: a name, with `?`, `*` or `+`; `...` for any run.

use std::fmt;

/// States that the harness itself enters; a pattern that names none of them says nothing of them.
pub const LIFECYCLE: &[&str] = &["initial", "connecting", "connected", "completed", "failed"];
/// Entered and left while the server says that a statement waits.
pub const BLOCKED: &str = "blocked";

/// One item of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternItem {
    /// The state's name; `None` for any.
    pub name: Option<String>,
    /// At least this often.
    pub min: usize,
    /// Whether it may come more often.
    pub many: bool,
}

/// A sequence of states with room for variation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePattern {
    /// Its items in order.
    pub items: Vec<PatternItem>,
}

impl PatternItem {
    /// Reads `name`, `name?`, `name*`, `name+` or `...`.
    #[must_use]
    pub fn read(text: &str) -> Self {
        if text == "..." {
            return Self {
                name: None,
                min: 0,
                many: true,
            };
        }
        let (name, min, many) = match text.chars().next_back() {
            Some('?') => (&text[..text.len() - 1], 0, false),
            Some('*') => (&text[..text.len() - 1], 0, true),
            Some('+') => (&text[..text.len() - 1], 1, true),
            _ => (text, 1, false),
        };
        Self {
            name: Some(name.to_owned()),
            min,
            many,
        }
    }

    fn fits(&self, state: &str) -> bool {
        self.name.as_ref().is_none_or(|name| name == state)
    }
}

impl StatePattern {
    /// The states that the pattern speaks of: lifecycle states only where it names one.
    #[must_use]
    pub fn relevant<'s>(&self, states: &'s [(u64, String)]) -> Vec<&'s str> {
        let names_lifecycle = self.items.iter().any(|item| {
            item.name
                .as_ref()
                .is_some_and(|name| LIFECYCLE.contains(&name.as_str()))
        });
        let all = states.iter().map(|(_, state)| state.as_str());
        all.filter(|state| names_lifecycle || !LIFECYCLE.contains(state))
            .collect()
    }

    /// Whether the whole sequence fits.
    #[must_use]
    pub fn matches(&self, states: &[&str]) -> bool {
        // Positions in the pattern that can have been reached, as in a Thompson automaton; each item
        // becomes `min` obligatory places and, for `many` or `?`, an optional one.
        let mut places: Vec<(&PatternItem, bool, bool)> = Vec::new();
        for item in &self.items {
            for _ in 0..item.min {
                places.push((item, false, false));
            }
            if item.many || item.min == 0 {
                places.push((item, true, item.many));
            }
        }
        let close = |mut reached: Vec<bool>| {
            for at in 0..places.len() {
                if reached[at] && places[at].1 {
                    reached[at + 1] = true;
                }
            }
            reached
        };
        let mut start = vec![false; places.len() + 1];
        start[0] = true;
        let mut reached = close(start);
        for state in states {
            let mut next = vec![false; places.len() + 1];
            for (at, (item, _, many)) in places.iter().enumerate() {
                if reached[at] && item.fits(state) {
                    next[at + 1] = true;
                    next[at] |= *many;
                }
            }
            reached = close(next);
        }
        reached[places.len()]
    }
}

impl fmt::Display for StatePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self
            .items
            .iter()
            .map(|item| match (&item.name, item.min, item.many) {
                (None, _, _) => "...".to_owned(),
                (Some(name), 0, false) => format!("{name}?"),
                (Some(name), 0, true) => format!("{name}*"),
                (Some(name), _, true) => format!("{name}+"),
                (Some(name), _, false) => name.clone(),
            });
        write!(f, "[{}]", items.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, states: &str) -> bool {
        let pattern = StatePattern {
            items: pattern.split_whitespace().map(PatternItem::read).collect(),
        };
        pattern.matches(&states.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn patterns_say_what_they_mean() {
        for (pattern, states, expected) in [
            ("a b", "a b", true),
            ("a b", "a b b", false),
            ("a b", "a", false),
            ("a b+", "a b b", true),
            ("a b+", "a", false),
            ("a b*", "a", true),
            ("a b? c", "a c", true),
            ("a b? c", "a b b c", false),
            ("... c", "a b c", true),
            ("... c", "c", true),
            ("... c ...", "a b", false),
            ("a ... a", "a", false),
            ("", "", true),
            ("", "a", false),
            ("a* a", "a a a", true),
        ] {
            assert_eq!(fits(pattern, states), expected, "{pattern:?} against {states:?}");
        }
    }

    #[test]
    fn lifecycle_states_count_only_where_named() {
        let states: Vec<(u64, String)> = ["initial", "connected", "begin", "completed"]
            .map(|s| (0, s.to_owned()))
            .to_vec();
        let plain = StatePattern {
            items: vec![PatternItem::read("begin")],
        };
        assert_eq!(plain.relevant(&states), ["begin"]);
        let named = StatePattern {
            items: vec![PatternItem::read("begin"), PatternItem::read("completed")],
        };
        assert_eq!(
            named.relevant(&states),
            ["initial", "connected", "begin", "completed"]
        );
    }
}
