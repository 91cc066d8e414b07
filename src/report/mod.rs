//! Shows runs to people; one file for each part of a failure's text.

mod annotation;
mod command;
mod failure;
mod finding;
mod json_lines;
mod junit;
mod layout;
mod outcomes;
mod page;
mod problems;
mod record;
mod schedules;
mod shared;
mod slowest;
mod timeline;
mod trial_report;

pub use annotation::{Annotation, Level, annotation};
pub use command::{order_flags, shell_word};
pub use failure::{Failure, failure};
pub use finding::rendered;
pub use json_lines::json_lines;
pub use junit::junit;
pub use outcomes::{across, compared, table};
pub use page::{detail, page};
pub use problems::problems_json;
pub use record::{record, record_of_states};
pub use schedules::{flags_of_first, of_passed as orders};
pub use slowest::slowest;
pub use timeline::{TimelineShow, is_named, timeline, timeline_of_states, timeline_shown};
pub use trial_report::{RunWith, TrialOutcome, TrialReport, findings_of};
