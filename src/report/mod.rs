//! Shows runs to people; one file for each part of a failure's text.

mod command;
mod failure;
mod finding;
mod outcomes;
mod record;
mod redact;
mod schedules;
mod shared;
mod timeline;

pub use command::{order_flags, shell_word};
pub use failure::{Failure, failure};
pub use finding::rendered;
pub use outcomes::{across, compared, table};
pub use record::{record, record_of_states};
pub use redact::redact;
pub use schedules::{flags_of_first, of_passed as orders};
pub use timeline::{timeline, timeline_of_states};
