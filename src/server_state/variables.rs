//! Global variables, as they are and as they were.

use std::collections::BTreeMap;

use super::answers::{ask, text};
use super::left::Left;
use crate::connection::Connection;
use crate::history::{Outcome, SqlValue};
use crate::sql::Product;

/// So often all are looked at again: one may be held back by another one that is set back after it.
const ROUNDS: usize = 3;

/// Global variables by their names, in lower case.
pub type Variables = BTreeMap<String, String>;

/// All global variables of a server.
pub(super) async fn read(session: &mut Connection) -> Result<Variables, String> {
    let rows = ask(session, "show global variables").await?;
    let pairs = rows.into_iter().filter_map(|row| {
        let [name, value] = <[SqlValue; 2]>::try_from(row).ok()?;
        Some((text(&name).to_lowercase(), text(&value)))
    });
    Ok(pairs.collect())
}

/// A variable that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Changed {
    name: String,
    was: String,
    is: String,
}

async fn changed(session: &mut Connection, before: &Variables) -> Result<Vec<Changed>, String> {
    let now = read(session).await?;
    let changed = before.iter().filter_map(|(name, was)| {
        let is = now.get(name).filter(|is| *is != was)?;
        Some(Changed {
            name: name.clone(),
            was: was.clone(),
            is: is.clone(),
        })
    });
    Ok(changed.collect())
}

/// Sets back what is not as it was; returns what was set back, in words, and what could not be.
pub(super) async fn set_back(
    session: &mut Connection,
    before: &Variables,
) -> Result<(Vec<String>, Vec<Left>), String> {
    let first = changed(session, before).await?;
    let mut reasons = BTreeMap::new();
    let mut still = first.clone();
    for _ in 0..ROUNDS {
        for one in &still {
            match set(session, &one.name, &one.was).await {
                Ok(()) => drop(reasons.remove(&one.name)),
                Err(reason) => drop(reasons.insert(one.name.clone(), reason)),
            }
        }
        // What the server says counts, not what the statements were answered.
        let left = if still.is_empty() {
            Vec::new()
        } else {
            changed(session, before).await?
        };
        let same = left == still;
        still = left;
        if still.is_empty() || same {
            break;
        }
    }
    let back = first
        .iter()
        .filter(|one| !still.iter().any(|other| other.name == one.name));
    let back = back.map(|one| format!("`{}` from {} to {}", one.name, shown(&one.is), shown(&one.was)));
    let left = still.iter().map(|one| Left {
        variable: Some(one.name.clone()),
        message: format!(
            "the global variable `{}` is {} after the trial, and was {} before",
            one.name,
            shown(&one.is),
            shown(&one.was)
        ),
        reason: reasons
            .remove(&one.name)
            .unwrap_or_else(|| "the server took it and did nothing".to_owned()),
    });
    Ok((back.collect(), left.collect()))
}

fn shown(value: &str) -> String {
    format!("'{value}'")
}

async fn set(session: &mut Connection, name: &str, value: &str) -> Result<(), String> {
    let quoted = format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"));
    // MySQL and MariaDB take no text for a number.
    let number = session.product() != Product::TiDb && value.parse::<f64>().is_ok();
    let value = if number { value } else { &quoted };
    match session.execute(&format!("set global `{name}` = {value}")).await {
        Outcome::Done(_) | Outcome::Rows(_) => Ok(()),
        other => Err(crate::history::describe(&other)),
    }
}
