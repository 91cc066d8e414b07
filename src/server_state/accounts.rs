//! Accounts and their rights, as rows of the tables that TiDB keeps them in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::answers::{ask, text};
use super::left::Left;
use crate::connection::Connection;
use crate::history::{Outcome, SqlValue};
use crate::sql::{ACCOUNT_TABLES, Product};

/// One table of `mysql`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountTable {
    name: String,
    columns: Vec<String>,
    /// The places of the columns that tell rows apart.
    key: Vec<usize>,
    rows: Vec<Vec<SqlValue>>,
}

/// The tables of accounts; none where the server is not TiDB.
pub(super) async fn read(session: &mut Connection) -> Result<Vec<AccountTable>, String> {
    let mut tables = Vec::new();
    if session.product() != Product::TiDb {
        return Ok(tables);
    }
    for name in ACCOUNT_TABLES {
        let columns = ask(
            session,
            &format!(
                "select column_name, column_key = 'PRI' from information_schema.columns \
                 where table_schema = 'mysql' and table_name = '{name}' order by ordinal_position"
            ),
        )
        .await?;
        let mut table = AccountTable {
            name: (*name).to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            rows: Vec::new(),
        };
        for (number, row) in columns.iter().enumerate() {
            table.columns.extend(row.first().map(text));
            if row.get(1) == Some(&SqlValue::Int(1)) {
                table.key.push(number);
            }
        }
        // Another version has another set of them.
        if table.columns.is_empty() || table.key.is_empty() {
            continue;
        }
        table.rows = ask(session, &format!("select * from mysql.`{name}`")).await?;
        tables.push(table);
    }
    Ok(tables)
}

impl AccountTable {
    fn key_of<'r>(&self, row: &'r [SqlValue]) -> Vec<&'r SqlValue> {
        self.key.iter().filter_map(|at| row.get(*at)).collect()
    }

    /// Whether a row is about one of these, which are in lower case.
    fn is_about(&self, row: &[SqlValue], names: &BTreeSet<String>) -> bool {
        let of_user = self
            .columns
            .iter()
            .zip(row)
            .filter(|(name, _)| name.to_lowercase().contains("user"));
        let mut texts = of_user.filter_map(|(_, value)| match value {
            SqlValue::Text(text) => Some(text.to_lowercase()),
            _ => None,
        });
        texts.any(|text| names.contains(&text))
    }

    fn account_of(&self, row: &[SqlValue]) -> String {
        let find = |wanted: &str| {
            let at = self
                .columns
                .iter()
                .position(|name| name.to_lowercase().ends_with(wanted))?;
            row.get(at).map(text)
        };
        format!(
            "{}@{}",
            find("user").unwrap_or_default(),
            find("host").unwrap_or_default()
        )
    }
}

/// Makes the rows again what they were, as far as they are about these names.
pub(super) async fn set_back(
    session: &mut Connection,
    before: &[AccountTable],
    names: Option<&BTreeSet<String>>,
) -> Result<(Vec<String>, Vec<Left>), String> {
    let now = read(session).await?;
    let mut accounts = BTreeSet::new();
    let mut left = Vec::new();
    for was in before {
        let Some(is) = now
            .iter()
            .find(|table| table.name == was.name && table.columns == was.columns)
        else {
            return Err(format!("`mysql.{}` cannot be read any more", was.name));
        };
        let ours = |row: &&Vec<SqlValue>| names.is_none_or(|names| was.is_about(row, names));
        let gone = is.rows.iter().filter(|row| !was.rows.contains(row)).filter(ours);
        let back = was.rows.iter().filter(|row| !is.rows.contains(row)).filter(ours);
        let delete = gone.map(|row| {
            let key = was.key.iter().zip(was.key_of(row));
            let equal = key.map(|(at, value)| format!("`{}` = {}", was.columns[*at], literal(value)));
            let equal: Vec<String> = equal.collect();
            (
                row,
                format!("delete from mysql.`{}` where {}", was.name, equal.join(" and ")),
            )
        });
        let insert = back.map(|row| {
            let columns: Vec<String> = was.columns.iter().map(|name| format!("`{name}`")).collect();
            let values: Vec<String> = row.iter().map(literal).collect();
            let sql = format!(
                "replace into mysql.`{}` ({}) values ({})",
                was.name,
                columns.join(", "),
                values.join(", ")
            );
            (row, sql)
        });
        for (row, sql) in delete.chain(insert) {
            let account = was.account_of(row);
            match session.execute(&sql).await {
                Outcome::Done(_) => drop(accounts.insert(account)),
                other => left.push(Left {
                    variable: None,
                    message: format!(
                        "the rights of the account {account} are not what they were before the trial"
                    ),
                    reason: crate::history::describe(&other),
                }),
            }
        }
    }
    if !accounts.is_empty() {
        match session.execute("flush privileges").await {
            Outcome::Done(_) => {}
            other => left.push(Left {
                variable: None,
                message: "accounts were set back, and the server has not heard of it".to_owned(),
                reason: crate::history::describe(&other),
            }),
        }
    }
    let back = accounts
        .into_iter()
        .map(|account| format!("the account {account}"));
    Ok((back.collect(), left))
}

fn literal(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "null".to_owned(),
        SqlValue::Int(number) => number.to_string(),
        SqlValue::Float(number) => number.to_string(),
        SqlValue::Decimal(number) => number.clone(),
        SqlValue::Text(text) | SqlValue::Time(text) => quoted(text),
        SqlValue::Bytes(bytes) if bytes.is_empty() => "''".to_owned(),
        SqlValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        SqlValue::Json(json) => quoted(&json.to_string()),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
