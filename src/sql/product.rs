//! Which server answers, as far as that decides how it is asked.

use serde::{Deserialize, Serialize};

/// The servers that speak the protocol and can be told apart by `VERSION()`.
///
/// Scenarios are about TiDB; the others are there to be compared with. Each is asked in its own way who waits,
/// and some session variables have another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Product {
    /// TiDB: its version has `-TiDB-` in it.
    #[default]
    #[serde(rename = "TiDB")]
    TiDb,
    /// MariaDB with InnoDB: its version has `MariaDB` in it.
    #[serde(rename = "MariaDB")]
    MariaDb,
    /// MySQL with InnoDB: all the rest.
    #[serde(rename = "MySQL")]
    MySql,
}

/// The variable that TiDB alone has for the mode of transactions.
pub(crate) const TXN_MODE: &str = "tidb_txn_mode";

impl Product {
    /// Told from what `SELECT VERSION()` answers.
    #[must_use]
    pub fn of_version(version: &str) -> Self {
        if version.contains("-TiDB-") {
            Self::TiDb
        } else if version.contains("MariaDB") {
            Self::MariaDb
        } else {
            Self::MySql
        }
    }

    /// Its name as people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TiDb => "TiDB",
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        }
    }

    /// The session variables with the names that they have here, and without `tidb_txn_mode = 'pessimistic'`,
    /// which is the only mode elsewhere. The values are SQL.
    #[must_use]
    pub fn session_vars(self, vars: &[(String, String)]) -> Vec<(String, String)> {
        if self == Self::TiDb {
            return vars.to_vec();
        }
        vars.iter()
            .filter(|(name, value)| !is_pessimistic(name, value))
            .map(|(name, value)| match (self, name.as_str()) {
                // MariaDB has MySQL's name for it from 11.1 on, and still this one.
                (Self::MariaDb, "transaction_isolation") => ("tx_isolation".to_owned(), value.clone()),
                _ => (name.clone(), value.clone()),
            })
            .collect()
    }

    /// The first of these session variables that only TiDB has, if this is not TiDB.
    #[must_use]
    pub fn lacks(self, vars: &[(String, String)]) -> Option<&(String, String)> {
        let mut vars = vars.iter().filter(|_| self != Self::TiDb);
        vars.find(|(name, value)| name.starts_with("tidb_") && !is_pessimistic(name, value))
    }
}

fn is_pessimistic(name: &str, value: &str) -> bool {
    name == TXN_MODE && value == "'pessimistic'"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn servers_are_told_by_their_versions() {
        for (version, product) in [
            ("8.0.11-TiDB-v8.5.4", Product::TiDb),
            ("8.0.11-TiDB-None", Product::TiDb),
            ("10.11.19-MariaDB-0+deb12u1", Product::MariaDb),
            ("5.5.5-10.6.1-MariaDB", Product::MariaDb),
            ("8.4.2", Product::MySql),
            ("5.7.44-log", Product::MySql),
        ] {
            assert_eq!(Product::of_version(version), product, "{version}");
        }
    }

    #[test]
    fn session_variables_have_the_names_of_the_server() {
        let vars = [
            var("transaction_isolation", "'READ-COMMITTED'"),
            var("tidb_txn_mode", "'pessimistic'"),
        ];
        assert_eq!(Product::TiDb.session_vars(&vars), vars);
        assert_eq!(Product::TiDb.lacks(&vars), None);
        let maria = Product::MariaDb.session_vars(&vars);
        assert_eq!(maria, [var("tx_isolation", "'READ-COMMITTED'")]);
        assert_eq!(Product::MySql.session_vars(&vars), vars[..1]);
        assert_eq!(Product::MySql.lacks(&vars), None);
        let optimistic = [var("tidb_txn_mode", "'optimistic'")];
        assert_eq!(Product::MariaDb.lacks(&optimistic), optimistic.first());
        assert_eq!(Product::TiDb.lacks(&optimistic), None);
    }
}
