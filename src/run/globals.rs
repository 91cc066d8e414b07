//! What the server's global variables are.

use super::control::Control;
use crate::history::{Outcome, SqlValue};
use crate::server::Server;

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
