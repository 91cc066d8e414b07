//! Files of PostgreSQL's isolationtester: its specs, and what it prints.

mod lexer;
mod model;
mod outcome;
mod output;
mod parse;
mod sql;

pub(super) use model::{Permutation, Session, Spec, SpecStep};
pub(super) use outcome::{OutcomeNames, holds, state_names};
pub(super) use output::{Ran, read_output};
pub(super) use parse::parse;
pub(super) use sql::{Translator, block_statements, schema};
