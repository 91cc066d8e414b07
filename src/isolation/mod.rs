//! Says which isolation levels a history of transactions holds, and shows why it does not hold others.
//!
//! A history comes from a file ([`read_history`]) or from a recorder, which fills a [`Transaction`] and adds it to a
//! [`HistoryBuilder`] or writes it as a line ([`JsonLinesWriter`]). [`check`] holds it to a [`Level`]; [`analyze`] finds
//! all kinds of anomalies at once. A [`Report`] is shown by [`render_text`], a [`Finding`] drawn by [`render_svg`].
//!
//! ```
//! use tidb_scenarios::isolation::{Action, HistoryBuilder, Level, Model, Transaction, Value, check};
//!
//! let mut builder = HistoryBuilder::new();
//! let mut transaction = Transaction::default();
//! let value = |integer| Value::integer(integer).expect("a small one");
//! // Two transactions that each read what the other one replaced: write skew.
//! for (process, reads, writes) in [(1, 10, 20), (2, 20, 10)] {
//!     transaction.clear();
//!     transaction.process = value(process);
//!     transaction.read_list(value(reads), []);
//!     transaction.push(Action::Append(value(writes), value(1)));
//!     builder.add(&transaction).expect("a history");
//! }
//! let history = builder.finish();
//! let holds = |model| check(&history, Level::Model(model)).expect("a report").holds();
//! assert!(holds(Model::SnapshotIsolation) && !holds(Model::Serializable));
//! ```
//!
//! The way: `versions` (who wrote what was read) → `reads` (what each transaction saw) → `graph` (who depends on whom)
//! → `scc` (whether there is a cycle) → `cycles` (the shortest one) → `explain` (why each edge is there); `visibility` for
//! levels below snapshot isolation, `timestamps` beside them. What is not decided stands in `docs/histories.md`.

mod analysis;
mod analyze;
mod anomaly;
mod branches;
mod builder;
mod by_timestamp;
mod chains;
mod check;
mod commit_times;
mod cycles;
mod data;
mod dependencies;
mod edn;
mod explain;
mod finding;
mod flaw;
mod graph;
mod history;
mod inferred;
mod jsonl;
mod lists;
mod models;
mod read;
mod read_error;
mod reads;
mod scc;
mod steps;
mod story;
mod svg;
mod text;
mod timestamps;
mod transaction;
mod value;
mod versions;
mod visibility;

pub use analysis::Analysis;
pub use analyze::analyze;
pub use anomaly::{Anomaly, AnomalySet, Form, Shape};
pub use builder::{HistoryBuilder, Unusable};
pub use check::{CheckError, Report, check};
pub use finding::{Finding, ShownEdge, ShownTransaction};
pub use history::{Header, History, IsolationSetting, ReadLock, Status, TransactionMode};
pub use jsonl::JsonLinesWriter;
pub use models::{Level, Model};
pub use read::{Format, read_history};
pub use read_error::ReadError;
pub use svg::render_svg;
pub use text::{render_finding, render_text};
pub use transaction::{Action, Operation, Transaction};
pub use value::{Names, Value};
