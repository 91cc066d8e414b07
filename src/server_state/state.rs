//! A server's state: read before a trial, made again after it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::left::Left;
use super::{accounts, objects, variables};
use crate::connection::Connection;

/// What may be changed.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The global variables, in lower case; `None`: any.
    pub variables: Option<BTreeSet<String>>,
    /// Whether accounts, rights, resource groups, placement policies or global bindings are.
    pub objects: bool,
    /// The databases of others in which something is.
    pub databases: BTreeSet<String>,
    /// All names of the statements that change something, in lower case; `None`: any.
    pub names: Option<BTreeSet<String>>,
}

/// A server's state, as far as it may be changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerState {
    variables: variables::Variables,
    accounts: Vec<accounts::AccountTable>,
    objects: Vec<objects::Listing>,
    databases: Vec<objects::Listing>,
    named: BTreeSet<String>,
    names: Option<BTreeSet<String>>,
}

impl ServerState {
    /// Asks for the state of a server.
    ///
    /// # Errors
    /// What the server said where it does not tell.
    pub async fn read(session: &mut Connection, scope: &Scope) -> Result<Self, String> {
        let (mut accounts, mut objects, mut databases) = (Vec::new(), Vec::new(), Vec::new());
        if scope.objects {
            accounts = accounts::read(session).await?;
            objects = objects::read(session).await?;
        }
        if !scope.databases.is_empty() {
            databases = objects::read_databases(session, &scope.databases, scope.names.as_ref()).await?;
        }
        Ok(Self {
            variables: variables::read(session).await?,
            accounts,
            objects,
            databases,
            named: scope.databases.clone(),
            names: scope.names.clone(),
        })
    }

    /// What is written down for the next run: only what the trial can have changed, since others may have changed
    /// the rest by then.
    #[must_use]
    pub fn of_scope(&self, scope: &Scope) -> Self {
        let mut own = self.clone();
        if let Some(names) = &scope.variables {
            own.variables.retain(|name, _| names.contains(name));
        }
        own
    }

    /// Makes everything again what it was; returns what was set back, in words, and what could not be.
    pub async fn set_back(&self, session: &mut Connection) -> (Vec<String>, Vec<Left>) {
        let names = self.names.as_ref();
        let mut done = Done::default();
        done.add(
            "global variables",
            variables::set_back(session, &self.variables).await,
        );
        if !self.accounts.is_empty() {
            done.add(
                "accounts",
                accounts::set_back(session, &self.accounts, names).await,
            );
        }
        if !self.objects.is_empty() {
            let what = "resource groups, placement policies and bindings";
            match objects::read(session).await {
                Ok(now) => done.add(
                    what,
                    Ok(objects::set_back(session, &self.objects, &now, names).await),
                ),
                Err(reason) => done.add(what, Err(reason)),
            }
        }
        if !self.databases.is_empty() {
            match objects::read_databases(session, &self.named, names).await {
                Ok(now) => done.add(
                    "databases",
                    Ok(objects::set_back(session, &self.databases, &now, names).await),
                ),
                Err(reason) => done.add("databases", Err(reason)),
            }
        }
        (done.back, done.left)
    }
}

#[derive(Default)]
struct Done {
    back: Vec<String>,
    left: Vec<Left>,
}

impl Done {
    /// Adds what became of one part, or why it cannot be told.
    fn add(&mut self, what: &str, result: Result<(Vec<String>, Vec<Left>), String>) {
        match result {
            Ok((back, left)) => {
                self.back.extend(back);
                self.left.extend(left);
            }
            Err(reason) => self.left.push(Left {
                variable: None,
                message: format!(
                    "it cannot be told whether the server's {what} are what they were before the trial"
                ),
                reason,
            }),
        }
    }
}
