//! What a trial changes of a server that others use as well: it is noted before the trial and set back after it, by
//! this run or, where this one is killed, by the next.

mod accounts;
mod answers;
mod contents;
mod journal;
mod left;
mod objects;
mod state;
mod variables;

pub use journal::{Journal, mend};
pub use left::Left;
pub use state::{Scope, ServerState};
