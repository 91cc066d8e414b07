//! Resource groups, placement policies, global bindings, databases of others: what is there, and what was.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::answers::{ask, text};
use super::left::Left;
use super::{contents, contents::literal, contents::quoted};
use crate::connection::Connection;
use crate::history::Outcome;
use crate::sql::Product;

/// What there is of one kind: each by its name, with all that is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    kind: Kind,
    found: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    ResourceGroup,
    PlacementPolicy,
    Binding,
    Database,
    Table,
    View,
    Sequence,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::ResourceGroup => "resource group",
            Self::PlacementPolicy => "placement policy",
            Self::Binding => "global binding",
            Self::Database => "database",
            Self::Table => "table",
            Self::View => "view",
            Self::Sequence => "sequence",
        }
    }

    /// Drops one of this name.
    fn drop(self, name: &str) -> String {
        match self {
            Self::Binding => format!("drop global binding for sql digest '{name}'"),
            Self::ResourceGroup | Self::PlacementPolicy | Self::Database => {
                format!("drop {} if exists {}", self.words(), quoted(name))
            }
            Self::Table | Self::View | Self::Sequence => {
                let (database, name) = name.split_once('.').unwrap_or_default();
                format!(
                    "drop {} if exists {}.{}",
                    self.words(),
                    quoted(database),
                    quoted(name)
                )
            }
        }
    }

    /// What a statement that makes one must name.
    fn named(self, name: &str) -> Option<String> {
        match self {
            // A binding has a digest, which no statement names.
            Self::Binding => None,
            Self::ResourceGroup | Self::PlacementPolicy | Self::Database => Some(name.to_lowercase()),
            Self::Table | Self::View | Self::Sequence => {
                name.split_once('.').map(|(_, name)| name.to_lowercase())
            }
        }
    }
}

async fn list(session: &mut Connection, kind: Kind, sql: &str) -> Result<Listing, String> {
    let rows = ask(session, sql).await?;
    let found = rows.into_iter().filter_map(|row| {
        let mut cells = row.iter().map(text);
        Some((cells.next()?, cells.collect::<Vec<_>>().join(" ")))
    });
    Ok(Listing {
        kind,
        found: found.collect(),
    })
}

/// Resource groups, placement policies and global bindings.
pub(super) async fn read(session: &mut Connection) -> Result<Vec<Listing>, String> {
    if session.product() != Product::TiDb {
        return Ok(Vec::new());
    }
    Ok(vec![
        list(
            session,
            Kind::ResourceGroup,
            "select * from information_schema.resource_groups",
        )
        .await?,
        list(
            session,
            Kind::PlacementPolicy,
            "select policy_name, placement_policies.* from information_schema.placement_policies",
        )
        .await?,
        list(
            session,
            Kind::Binding,
            "select sql_digest, bind_sql, default_db, status from mysql.bind_info \
             where status <> 'deleted' and source <> 'builtin'",
        )
        .await?,
    ])
}

/// The databases of a server, and what stands in those that are named; of what a statement names also its definition
/// and its rows. Those of trials are others' business.
pub(super) async fn read_databases(
    session: &mut Connection,
    named: &BTreeSet<String>,
    names: Option<&BTreeSet<String>>,
) -> Result<Vec<Listing>, String> {
    let mut found = vec![
        list(
            session,
            Kind::Database,
            "select schema_name, default_character_set_name, default_collation_name \
             from information_schema.schemata where schema_name not like 'tsc\\_%'",
        )
        .await?,
    ];
    if named.is_empty() {
        return Ok(found);
    }
    let databases: Vec<String> = named.iter().map(|name| literal(&name.to_lowercase())).collect();
    for (kind, of_type) in [
        (Kind::Table, "BASE TABLE"),
        (Kind::View, "VIEW"),
        (Kind::Sequence, "SEQUENCE"),
    ] {
        let sql = format!(
            "select table_schema, table_name from information_schema.tables \
             where lower(table_schema) in ({}) and table_type = '{of_type}'",
            databases.join(", ")
        );
        let mut all = BTreeMap::new();
        for row in ask(session, &sql).await? {
            let [database, name] = row.as_slice() else {
                continue;
            };
            let (database, name) = (text(database), text(name));
            let is_named = names.is_none_or(|names| names.contains(&name.to_lowercase()));
            let told = match is_named {
                true => contents::tell(session, &database, &name, kind == Kind::Table).await?,
                false => String::new(),
            };
            all.insert(format!("{database}.{name}"), told);
        }
        found.push(Listing { kind, found: all });
    }
    Ok(found)
}

/// Drops what was not there before and is named by the trial; tells of what is gone or has become something else.
pub(super) async fn set_back(
    session: &mut Connection,
    before: &[Listing],
    now: &[Listing],
    names: Option<&BTreeSet<String>>,
) -> (Vec<String>, Vec<Left>) {
    let (mut back, mut left) = (Vec::new(), Vec::new());
    for was in before {
        let Some(is) = now.iter().find(|listing| listing.kind == was.kind) else {
            continue;
        };
        let what = |name: &str| format!("the {} `{name}`", was.kind.words());
        let ours = |name: &&String| match (names, was.kind.named(name)) {
            (Some(names), Some(wanted)) => names.contains(&wanted),
            (None, _) | (_, None) => true,
        };
        for name in is
            .found
            .keys()
            .filter(|name| !was.found.contains_key(*name))
            .filter(ours)
        {
            match session.execute(&was.kind.drop(name)).await {
                Outcome::Done(_) => back.push(format!("{} (dropped)", what(name))),
                other => left.push(Left {
                    variable: None,
                    message: format!(
                        "{} was not there before the trial, and cannot be dropped",
                        what(name)
                    ),
                    reason: crate::history::describe(&other),
                }),
            }
        }
        for (name, told) in was.found.iter().filter(|(name, _)| ours(name)) {
            let message = match is.found.get(name) {
                Some(now) if now == told => continue,
                Some(_) => format!("{} is not what it was before the trial", what(name)),
                None => format!("{} was there before the trial, and is gone", what(name)),
            };
            left.push(Left {
                variable: None,
                message,
                reason: "only the trial's own statements can set this back: do so in its `teardown`"
                    .to_owned(),
            });
        }
    }
    (back, left)
}
