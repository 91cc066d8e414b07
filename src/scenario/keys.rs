//! The keys of the language, each with a line on what it does: what the reader knows, and what the
//! schema is made from.

/// A key and what it does.
pub type Key = (&'static str, &'static str);

/// Keys of the whole file.
pub const TOP: &[Key] = &[
    ("scenario", "one line: what this scenario shows"),
    (
        "setup",
        "SQL that makes the tables, run before anything else in a database of the trial's own",
    ),
    (
        "teardown",
        "SQL that runs at the end, whatever happened; the trial's databases are dropped anyway",
    ),
    ("vars", "names for values, used as ${name}"),
    (
        "connections",
        "the connections: a list of names, or a mapping of names to their settings",
    ),
    (
        "steps",
        "the script: one step after another, over all connections",
    ),
    ("expect", "what must hold at the end"),
    (
        "matrix",
        "variants: each combination of the values is a trial of its own",
    ),
    ("tags", "words for finding scenarios"),
    (
        "requires",
        "what the server has to have; otherwise the trial is ignored, with the reason",
    ),
    ("serial", "run alone: for scenarios that change the whole server"),
    ("timeout", "the limit of the whole trial, 60s by default"),
    ("step_timeout", "the limit of one step, 10s by default"),
    ("servers", "servers of the scenario's own"),
];

/// Keys of a connection.
pub const CONNECTION: &[Key] = &[
    ("isolation", "`repeatable read` or `read committed`"),
    ("txn", "`pessimistic` or `optimistic`"),
    ("vars", "session variables"),
    (
        "count",
        "this many connections: name.0, name.1, …; ${index} is the number",
    ),
    ("user", "another user than the server's own"),
    ("password", "that user's password; never printed"),
    (
        "database",
        "a further database of the trial; ${database.NAME} is its real name",
    ),
    ("server", "another server of the scenario"),
];

/// Keys of a step that say what it does.
pub const ACTION: &[Key] = &[
    ("sql", "one statement, or a list of them that run in turn"),
    ("load", "LOAD DATA LOCAL of rows that stand here or in a file"),
    ("sleep", "wait, such as 10ms"),
    (
        "kill",
        "KILL QUERY of another connection's session; {connection: name} kills the whole session",
    ),
    ("disconnect", "close the session"),
    ("reconnect", "close the session if it is open, and open another"),
];

/// Keys of a step beside its action and its expectations.
pub const STEP: &[Key] = &[
    ("as", "the state's name; without it, the statement's verb"),
    ("params", "values for ?, which makes the statement a prepared one"),
    (
        "save",
        "keep values of the result: a column, row.0.1, last_insert_id or affected",
    ),
    ("set", "keep values as they stand"),
    ("when", "only in variants with these values"),
    ("timeout", "the limit of this step"),
    (
        "expect",
        "expectations, or a list of them of which each holds `when` its variant runs",
    ),
];

/// Keys of expectations about waiting.
pub const WAITING: &[Key] = &[
    (
        "blocked",
        "true: the statement must wait; what else is expected is judged when it returns",
    ),
    (
        "blocked_by",
        "the connection that holds what the statement waits for",
    ),
    (
        "not_blocked",
        "true: the statement must not wait (also without this key)",
    ),
    (
        "unblocks",
        "the connection, or connections, whose wait must end with this step",
    ),
];

/// Keys of the final `expect`.
pub const FINAL: &[Key] = &[
    (
        "states",
        "the sequence of states of each connection: names with ?, * or +, and ... for any run",
    ),
    ("tables", "the rows of each table, in any order"),
    ("queries", "queries and what they must give"),
    ("shared", "the shared state: vars and status"),
    ("errors", "how many of each error, over all connections"),
    ("always", "SQL that must be true whenever no statement runs"),
];

/// Keys of `requires`.
pub const REQUIRES: &[Key] = &[
    ("tidb", "a range of versions, such as \">=8.5\""),
    ("store", "`tikv` or `unistore`"),
    ("docker", "true: a container engine must answer"),
    ("vars", "global variables and the values that they must have"),
];

/// Keys of a server.
pub const SERVER: &[Key] = &[
    ("store", "`memory` (the default) or `persistent`"),
    ("flags", "flags of tidb-server"),
    ("vars", "global variables, set right after the start"),
    ("setup", "SQL that makes its tables"),
];

/// Keys of `load`.
pub const LOAD: &[Key] = &[
    ("table", "the table"),
    ("columns", "its columns, in the order of the rows"),
    ("rows", "the rows"),
    ("file", "a CSV file, by its path from the scenario's folder"),
    (
        "duplicates",
        "`ignore` (without it, too) or `replace`: what becomes of a row whose key is there",
    ),
];

/// The names alone.
#[must_use]
pub fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|(name, _)| *name).collect()
}

/// The names of everything that can stand in a step.
#[must_use]
pub fn step_names() -> Vec<&'static str> {
    [ACTION, STEP]
        .into_iter()
        .flat_map(names)
        .chain(expectation_names())
        .collect()
}

/// The names of everything that can stand in a step's `expect`.
#[must_use]
pub fn expectation_names() -> Vec<&'static str> {
    names(WAITING)
        .into_iter()
        .chain(EXPECTATIONS.iter().copied())
        .collect()
}

/// The kinds of expectation, which `expect` reads; a test holds the two lists together.
pub const EXPECTATIONS: &[&str] = &[
    "rows",
    "unordered",
    "row",
    "value",
    "count",
    "columns",
    "contains",
    "affected",
    "last_insert_id",
    "warnings",
    "error",
    "one_of",
    "within",
    "at_least",
    "plan",
];
