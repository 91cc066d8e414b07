//! Files of mysqltest and of TiDB's mysql-tester: their commands, what running them would do, and what was printed.

mod assigning;
mod commands;
mod condition;
mod connecting;
mod event;
mod lexer;
mod output;
mod result;
mod run;
mod runner;
mod sending;
mod variables;

pub(super) use event::{Answer, Event, What};
pub(super) use lexer::parse;
pub(super) use output::Output;
pub(super) use result::{Found, outputs};
pub(super) use run::run;
