//! Global variables: of a server that other trials use, too, a serial trial sets them back.

use super::control::Control;
use crate::history::{Outcome, SqlValue};
use crate::server::Server;

/// All global variables with their values.
pub(crate) async fn global_variables(control: &mut Control) -> Vec<(String, SqlValue)> {
    let Outcome::Rows(set) = control.execute("show global variables").await else {
        return Vec::new();
    };
    set.rows
        .into_iter()
        .filter_map(|row| match <[SqlValue; 2]>::try_from(row) {
            Ok([SqlValue::Text(name), value]) => Some((name, value)),
            _ => None,
        })
        .collect()
}

/// Sets back what a serial trial changed, for the trials after it.
pub(crate) async fn restore_globals(control: &mut Control, before: &[(String, SqlValue)]) {
    let after = global_variables(control).await;
    for (name, value) in before {
        let changed = after.iter().any(|(other, now)| other == name && now != value);
        if let (true, SqlValue::Text(text)) = (changed, value) {
            let text = text.replace('\\', "\\\\").replace('\'', "''");
            let outcome = control.execute(&format!("set global `{name}` = '{text}'")).await;
            tracing::debug!(
                name,
                outcome = crate::history::describe(&outcome),
                "sets a global variable back"
            );
        }
    }
}

/// The value of a global variable, as text.
pub(crate) async fn global_variable(server: &Server, name: &str) -> Option<String> {
    let mut control = Control::open(server).await.ok()?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let outcome = if plain {
        control.execute(&format!("select @@global.{name}")).await
    } else {
        return None;
    };
    control.connection.close().await;
    let Outcome::Rows(set) = outcome else { return None };
    match set.rows.first().and_then(|row| row.first())? {
        SqlValue::Text(text) => Some(text.clone()),
        other => Some(crate::history::show(other)),
    }
}
