//! The one order that somebody asks for, rather than the file.

use super::orders::{order_label, steps_of, wrong_number};
use super::{ConnectionPlan, Mode, OrderChoice, TrialPlan, step_name};
use crate::source::nearest;

/// One order, as `--order` and `--without` have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenOrder {
    /// Connections, or steps such as `alice.select`, parted by spaces: each connection once for each of its steps that
    /// is not left out.
    pub order: String,
    /// The steps that are left out, as outcomes name them, such as `alice.select.2`, parted by spaces.
    pub without: String,
}

impl TrialPlan {
    /// Whether its steps are run in one order out of those that there are: one of a list, or of `--order`.
    #[must_use]
    pub fn has_one_order(&self) -> bool {
        matches!(self.order_choice(), Some(OrderChoice::One(_)))
    }

    /// Runs the steps in this order only. A trial that was one order of a list gets this order's name.
    ///
    /// # Errors
    /// A line on what is wrong with it, with the flag.
    pub fn set_order(&mut self, chosen: &ChosenOrder) -> Result<(), String> {
        let (picks, without) = self.chosen(chosen)?;
        let label = order_label(&picks, &self.connections);
        let Mode::Explored(own) = &mut self.mode else {
            return Err(format!("`{}` has no `permutations`", self.name));
        };
        let orders = &mut own.orders;
        let choice = OrderChoice::One(picks);
        if !orders.listed.is_empty() && (orders.choice != choice || !without.is_empty()) {
            // What the list says of its order it does not say of this one.
            orders.outcomes.clear();
            if let Some((base, _)) = self.name.rsplit_once("::order=") {
                self.name = format!("{base}::order={label}");
            }
        }
        orders.choice = choice;
        orders.without = without;
        Ok(())
    }

    /// Whether it is this order of those that the file lists.
    ///
    /// # Errors
    /// A line on what is wrong with it, with the flag.
    pub fn is_order(&self, chosen: &ChosenOrder) -> Result<bool, String> {
        let (picks, without) = self.chosen(chosen)?;
        Ok(without.is_empty() && matches!(self.order_choice(), Some(OrderChoice::One(own)) if *own == picks))
    }

    /// An order by the names of its connections, as `--order` takes it.
    #[must_use]
    pub fn order_in_words(&self, order: &[usize]) -> String {
        let name = |number: &usize| self.connections.get(*number).map_or("?", |own| own.name.as_str());
        order.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    /// An order as `--order` takes it: after what happened, the steps that connections did not come to since they
    /// had got an error.
    #[must_use]
    pub fn whole_order(&self, happened: &[usize], without: &[usize]) -> Vec<usize> {
        let mut order = happened.to_vec();
        for (number, own) in self.connections.iter().enumerate() {
            let wanted = self.steps_of(own, without).len();
            let named = happened.iter().filter(|pick| **pick == number).count();
            order.extend(vec![number; wanted.saturating_sub(named)]);
        }
        order
    }

    /// The connections and the steps that are left out, by their numbers.
    fn chosen(&self, chosen: &ChosenOrder) -> Result<(Vec<usize>, Vec<usize>), String> {
        let without = self.steps_named(&chosen.without)?;
        let picks = self.picks(&chosen.order, &without);
        let variant = match self.variant.as_slice() {
            [] => String::new(),
            _ => format!(" (in `{}`)", self.name),
        };
        let picks = picks.map_err(|problem| format!("--order: {problem}{variant}"))?;
        Ok((picks, without))
    }

    fn step_name(&self, step: usize) -> String {
        step_name(step, &self.connections, &self.steps)
    }

    /// The steps of a connection that are not left out.
    fn steps_of(&self, own: &ConnectionPlan, without: &[usize]) -> Vec<usize> {
        own.states
            .clone()
            .filter(|step| !without.contains(step))
            .collect()
    }

    fn unknown_connection(&self, word: &str) -> String {
        let names: Vec<&str> = self.connections.iter().map(|own| own.name.as_str()).collect();
        let near = nearest(word, names.iter().copied());
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        format!(
            "`{}` has no connection `{word}`; it has {}{near}",
            self.name,
            names.join(", ")
        )
    }

    fn steps_named(&self, text: &str) -> Result<Vec<usize>, String> {
        let names: Vec<String> = (0..self.steps.len()).map(|step| self.step_name(step)).collect();
        let mut found = Vec::new();
        for word in text.split_whitespace() {
            let Some(number) = names.iter().position(|name| name == word) else {
                let names = names.join(", ");
                return Err(format!(
                    "--without: `{}` has no step `{word}`; it has {names}",
                    self.name
                ));
            };
            found.push(number);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn picks(&self, order: &str, without: &[usize]) -> Result<Vec<usize>, String> {
        let mut picks = Vec::new();
        let mut left: Vec<Vec<usize>> = self
            .connections
            .iter()
            .map(|own| self.steps_of(own, without))
            .collect();
        for word in order.split_whitespace() {
            let by_name = self.connections.iter().position(|own| own.name == word);
            let by_step = (0..self.steps.len()).find(|step| self.step_name(*step) == word);
            let number = match (by_name, by_step) {
                (Some(number), _) => number,
                (None, Some(step)) => {
                    let number = self.steps[step].connection;
                    let own = &self.connections[number].name;
                    // Without its number a name is that of the next step of this name, as in a list.
                    let is_next = left[number].first().is_some_and(|next| {
                        *next == step || word == format!("{own}.{}", self.steps[*next].state)
                    });
                    if !is_next {
                        return Err(match left[number].first() {
                            Some(next) => {
                                format!("the next step is `{}`, not `{word}`", self.step_name(*next))
                            }
                            None => format!("`{word}` is there again, or left out"),
                        });
                    }
                    number
                }
                (None, None) => return Err(self.unknown_connection(word)),
            };
            if !left[number].is_empty() {
                left[number].remove(0);
            }
            picks.push(number);
        }
        for (number, own) in self.connections.iter().enumerate() {
            let wanted = self.steps_of(own, without).len();
            let named = picks.iter().filter(|pick| **pick == number).count();
            if named != wanted {
                let left_out = match own.states.len() - wanted {
                    0 => String::new(),
                    some => format!(" ({} left out)", steps_of(some)),
                };
                return Err(format!("{}{left_out}", wrong_number(&own.name, wanted, named)));
            }
        }
        Ok(picks)
    }
}
