//! Variables and series.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;

use super::Coordinator;
use super::message::Message;
use crate::history::{SqlValue, Vars, show};

impl Coordinator {
    /// The variables as a connection sees them, or whoever is none, by the names that texts have for them.
    #[must_use]
    pub fn vars_of(&self, connection: Option<usize>) -> Vars {
        let shared = self.lock();
        let own = |number, name: &str| shared.own(number, name);
        self.owners.view(connection, &shared.vars, own)
    }

    /// A variable as a connection sees it, if it is set.
    #[must_use]
    pub fn var_of(&self, connection: usize, name: &str) -> Option<SqlValue> {
        let shared = self.lock();
        let own = |number, name: &str| shared.own(number, name);
        self.owners.find(name, connection, &shared.vars, own)
    }

    /// Sets a variable that a plan or a program gives at the start.
    pub fn preset_var(&self, name: &str, value: SqlValue) {
        self.lock().vars.insert(name.to_owned(), value);
    }

    /// Sets a variable: the connection's own where the plan has it save one of this name, otherwise that of all.
    pub fn set_var(&self, connection: usize, name: &str, value: SqlValue) {
        let new = Vars::from([(name.to_owned(), value)]);
        let (own, shared) = match self.owners.is_own(connection, name) {
            true => (new, Vars::new()),
            false => (Vars::new(), new),
        };
        self.keep(connection, own, shared);
    }

    /// Adds or replaces variables, of one connection and of all, in one go.
    pub fn keep(&self, connection: usize, own: Vars, shared: Vars) {
        let mut state = self.lock();
        let from = state.connections.get(connection);
        let from = from.map_or(String::new(), |record| record.name.clone());
        for (name, value) in own.iter().chain(&shared) {
            self.bus.publish(&from, || Message::VariableSet {
                name: name.clone(),
                value: value.clone(),
            });
        }
        if let Some(vars) = state.own.get_mut(connection) {
            vars.extend(own);
        }
        state.vars.extend(shared);
    }

    /// Replaces a variable by what comes of its value, in one go.
    fn change_var<E>(
        &self,
        connection: usize,
        name: &str,
        change: impl FnOnce(Option<&SqlValue>) -> Result<SqlValue, E>,
    ) -> Result<SqlValue, E> {
        let mut shared = self.lock();
        let value = change(shared.vars.get(name))?;
        shared.vars.insert(name.to_owned(), value.clone());
        let from = shared.connections.get(connection);
        let from = from.map_or("", |record| record.name.as_str());
        self.bus.publish(from, || Message::VariableSet {
            name: name.to_owned(),
            value: value.clone(),
        });
        Ok(value)
    }

    /// Adds a number to a variable, and returns the sum.
    ///
    /// # Errors
    /// A line on what is no number.
    pub fn add_number(&self, connection: usize, name: &str, number: &SqlValue) -> Result<SqlValue, String> {
        self.change_var(connection, name, |before| {
            let before = before.unwrap_or(&SqlValue::Null);
            sum(before, number)
                .ok_or_else(|| format!("`{name}`: {} cannot be added to {}", show(number), show(before)))
        })
    }

    /// Adds to a whole number, and returns the sum; a variable that is not set, or NULL, counts as 0.
    ///
    /// # Errors
    /// What the variable is instead, where it is no whole number.
    pub fn add_whole(&self, connection: usize, name: &str, number: i128) -> Result<i128, String> {
        let mut total = 0;
        self.change_var(connection, name, |before| {
            let before = match before {
                None | Some(SqlValue::Null) => 0,
                Some(SqlValue::Int(before)) => *before,
                Some(other) => return Err(format!("it is {}, no whole number", show(other))),
            };
            total = before
                .checked_add(number)
                .ok_or_else(|| format!("{before} and {number} are more than fits"))?;
            Ok(SqlValue::Int(total))
        })?;
        Ok(total)
    }

    /// Appends a value to a series.
    pub fn record(&self, series: &str, value: SqlValue) {
        let at_us = self.now_us();
        let mut shared = self.lock();
        let values = shared.series.entry(series.to_owned()).or_default();
        values.push((at_us, value));
    }
}

fn sum(before: &SqlValue, number: &SqlValue) -> Option<SqlValue> {
    if let (SqlValue::Int(one), SqlValue::Int(other)) = (before, number) {
        return one.checked_add(*other).map(SqlValue::Int);
    }
    if matches!(before, SqlValue::Float(_)) || matches!(number, SqlValue::Float(_)) {
        return Some(SqlValue::Float(float(before)? + float(number)?));
    }
    let sum = decimal(before)? + decimal(number)?;
    Some(SqlValue::Decimal(sum.to_plain_string()))
}

fn float(value: &SqlValue) -> Option<f64> {
    match value {
        SqlValue::Float(number) => Some(*number),
        other => decimal(other)?.to_string().parse().ok(),
    }
}

fn decimal(value: &SqlValue) -> Option<BigDecimal> {
    match value {
        SqlValue::Int(number) => Some(BigDecimal::from(*number)),
        SqlValue::Decimal(text) => BigDecimal::from_str(text).ok(),
        SqlValue::Null
        | SqlValue::Float(_)
        | SqlValue::Text(_)
        | SqlValue::Bytes(_)
        | SqlValue::Time(_)
        | SqlValue::Json(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_type_are_added_and_nothing_else() {
        let decimal = |text: &str| SqlValue::Decimal(text.to_owned());
        for (before, number, wanted) in [
            (SqlValue::Int(1), SqlValue::Int(-3), Some(SqlValue::Int(-2))),
            (SqlValue::Int(1), decimal("0.10"), Some(decimal("1.10"))),
            (SqlValue::Float(0.5), SqlValue::Int(1), Some(SqlValue::Float(1.5))),
            (SqlValue::Text("1".to_owned()), SqlValue::Int(1), None),
            (SqlValue::Null, SqlValue::Int(1), None),
            (SqlValue::Int(i128::MAX), SqlValue::Int(1), None),
        ] {
            assert_eq!(sum(&before, &number), wanted, "{before:?} + {number:?}");
        }
    }
}
