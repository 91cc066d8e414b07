//! The keys of the language, each with a line on what it does and with the form of its value: what the
//! reader knows, and what the schema is made from.

/// A key, what it does, and what may stand as its value.
pub type Key = (&'static str, &'static str, Form);

/// What form a value has; what it means is the reader's to settle. The schema is made from this, so that an
/// editor knows the form, too.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Any single value, taken as text.
    Text,
    /// Text that is not a number or another single value.
    Words,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Any single value, nothing among them.
    Single,
    /// Any value at all.
    Any,
    /// `true` or `false`.
    Flag,
    /// `true`; it would be left out otherwise.
    Yes,
    /// A number.
    Number,
    /// A whole number between these two, themselves included.
    Whole(u32, u32),
    /// A number or text, to compare with.
    Bound,
    /// A number, or a variable that has one.
    Amount,
    /// A duration with its unit.
    Duration,
    /// A name: letters, digits, `_` and `-`.
    Name,
    /// The five characters of an SQLSTATE.
    Sqlstate,
    /// The status of a connection.
    Status,
    /// At least so many, in a list.
    List(usize, &'static Form),
    /// Exactly so many, in a list.
    Exactly(usize, &'static Form),
    /// One, or a list of them.
    OneOrMany(&'static Form),
    /// One of these forms.
    Either(&'static [Form]),
    /// A mapping of names to this.
    Map(&'static Form),
    /// A mapping with these keys and no others; those of the second list must be there.
    Object(&'static [Key], &'static [&'static str]),
    /// Nothing, or a mapping with these keys and no others.
    Settings(&'static [Key]),
    /// A mapping with these keys, or a list of mappings of which each holds `when` its variant runs.
    ForVariants(&'static [Key]),
    /// The connections of a scenario.
    Connections,
    /// The steps of a scenario.
    Steps,
    /// The states of a connection.
    States,
    /// What a state waits for.
    Wants,
    /// A mapping of what came of a state to the state that follows.
    Transitions,
    /// The axes of a matrix.
    Matrix,
    /// Expectations of a step, or a list of them of which each holds `when` its variant runs.
    StepExpect,
    /// The same of a state: one that runs freely is not asked whether it waits.
    StateExpect,
    /// A mapping of expectations of a result.
    Expectations,
    /// What a step saw: a value, rows, or a mapping of expectations of which the answer alone tells.
    Saw,
    /// A mapping of tables to their rows or to expectations of their rows.
    Tables,
    /// A query with expectations of its result.
    Query,
    /// The same, with how often it is asked.
    Watched,
    /// A mapping of errors to how many of them.
    ErrorCounts,
    /// An expected value: a literal or a matcher.
    Value,
    /// An expected row.
    Row,
    /// Expected rows.
    Rows,
    /// An expected whole number, or a matcher of one.
    Count,
    /// An error, by its number, its name, or parts of it.
    Error,
}

use Form::{
    Any, Connections, Count, Duration, Either, ErrorCounts, Flag, ForVariants, List, Map, Matrix, Name,
    Number, Object, OneOf, OneOrMany, Query, Saw, Settings, Single, StateExpect, States, Status, StepExpect,
    Steps, Tables, Text, Transitions, Value, Wants, Watched, Whole, Words, Yes,
};

/// At most this many connections of one name.
pub const CONNECTIONS_MAX: u32 = 10_000;

/// At most this many times, for `repeat` and for parties of a barrier.
pub const TIMES_MAX: u32 = 1_000_000;

/// The levels of isolation that TiDB has, each with its short form.
pub const ISOLATION: &[&str] = &["repeatable read", "read committed", "rr", "rc"];

/// The modes of transactions.
pub const TXN: &[&str] = &["pessimistic", "optimistic"];

/// Keys of the whole file.
pub const TOP: &[Key] = &[
    ("scenario", "one line: what this scenario shows", Text),
    (
        "setup",
        "SQL that makes the tables, run before anything else in a database of the trial's own",
        OneOrMany(&Words),
    ),
    (
        "teardown",
        "SQL that runs at the end, whatever happened; the trial's databases are dropped anyway",
        OneOrMany(&Words),
    ),
    ("vars", "names for values, used as ${name}", Map(&Any)),
    (
        "connections",
        "the connections: a list of names, or a mapping of names to their settings",
        Connections,
    ),
    (
        "steps",
        "the script: one step after another, over all connections",
        Steps,
    ),
    ("expect", "what must hold at the end", ForVariants(FINAL)),
    (
        "matrix",
        "variants: each combination of the values is a trial of its own",
        Matrix,
    ),
    ("tags", "words for finding scenarios", OneOrMany(&Text)),
    (
        "requires",
        "what the server has to have; otherwise the trial is ignored, with the reason",
        Object(REQUIRES, &[]),
    ),
    (
        "serial",
        "run alone, and set the server back afterwards: for scenarios that change more than their databases",
        Flag,
    ),
    (
        "timeout",
        "the limit of the whole trial, 60s by default",
        Duration,
    ),
    ("step_timeout", "the limit of one step, 10s by default", Duration),
    ("servers", "servers of the scenario's own", Map(&Settings(SERVER))),
    (
        "permutations",
        "run the steps in every order that keeps each connection's own, or in these, or in some of them",
        Either(&[OneOf(&["all"]), Object(PERMUTATIONS, &[])]),
    ),
    (
        "seed",
        "for everything that is left to chance, such as the pause before a retry; by default it comes from \
         the trial's name",
        Whole(0, u32::MAX),
    ),
];

/// Keys of `permutations`.
pub const PERMUTATIONS: &[Key] = &[
    (
        "list",
        "these orders, each a trial of its own: connections (\"a b a b\") or states (\"a.begin b.begin …\"), or \
         {order, outcome}",
        List(
            1,
            &Either(&[Words, List(1, &Text), Object(LISTED_ORDER, &["order", "outcome"])]),
        ),
    ),
    ("sample", "so many orders, taken at random", Whole(1, TIMES_MAX)),
    (
        "seed",
        "for the sample, or for which orders `most` leaves out; by default it comes from the scenario's title",
        Whole(0, u32::MAX),
    ),
    (
        "most",
        "at most so many orders are run, 10,000 by default, taken by the seed where there are more; the report says how \
         many were left out",
        Whole(1, TIMES_MAX),
    ),
    (
        "prune",
        "false: also run orders that differ only by steps that touch nothing in common",
        Flag,
    ),
];

/// Keys of one order of a list.
pub const LISTED_ORDER: &[Key] = &[
    (
        "order",
        "connections (\"a b a b\") or states (\"a.begin b.begin …\")",
        Either(&[Words, List(1, &Text)]),
    ),
    (
        "outcome",
        "what it comes to: a name of `outcomes`, or a list of those of which it must be one",
        Either(&[Text, List(1, &Text)]),
    ),
];

/// Keys of an outcome.
pub const OUTCOME: &[Key] = &[
    ("tables", "the rows of each table, in any order", Tables),
    ("queries", "queries and what they must give", OneOrMany(&Query)),
    (
        "errors",
        "how many of each error, over all connections",
        ErrorCounts,
    ),
    (
        "saw",
        "what steps saw, as connection.state: a value, rows, or expectations such as {affected: 1}",
        Map(&Saw),
    ),
    (
        "blocked",
        "exactly the steps that had to wait, as connection.state",
        List(0, &Text),
    ),
    (
        "states",
        "the sequence of states of each connection",
        Map(&List(0, &Text)),
    ),
    (
        "shared",
        "the state that the connections share",
        Object(SHARED_OF_ORDERS, &[]),
    ),
    ("may", "true: this outcome may be seen, and need not be", Yes),
];

/// Keys of a connection.
pub const CONNECTION: &[Key] = &[
    (
        "isolation",
        "`repeatable read` or `read committed`",
        OneOf(ISOLATION),
    ),
    ("txn", "`pessimistic` or `optimistic`", OneOf(TXN)),
    ("vars", "session variables", Map(&Single)),
    (
        "count",
        "this many connections: name.0, name.1, …; ${index} is the number",
        Whole(1, CONNECTIONS_MAX),
    ),
    ("user", "another user than the server's own", Text),
    ("password", "that user's password; never printed", Single),
    (
        "database",
        "a further database of the trial; ${database.NAME} is its real name",
        Text,
    ),
    ("server", "another server of the scenario", Text),
    (
        "states",
        "the states that it runs through by itself, beside the others; takes the place of `steps`",
        States,
    ),
    (
        "repeat",
        "how often it runs through its states; ${round} counts from 0",
        Whole(1, TIMES_MAX),
    ),
];

/// Keys of a step that say what it does.
pub const ACTION: &[Key] = &[
    (
        "sql",
        "one statement, or several that run in turn: a list, or a text with `;` between them",
        OneOrMany(&Words),
    ),
    (
        "load",
        "LOAD DATA LOCAL of rows that stand here or in a file",
        Object(LOAD, &["table"]),
    ),
    ("sleep", "wait, such as 10ms", Duration),
    (
        "kill",
        "KILL QUERY of another connection's session; {connection: name} kills the whole session",
        Either(&[Text, Object(KILL, &[])]),
    ),
    (
        "handler",
        "a handler that is written in Rust and registered under this name",
        Text,
    ),
    ("disconnect", "close the session", Yes),
    (
        "reconnect",
        "close the session if it is open, and open another",
        Yes,
    ),
];

/// Keys of a state that say what it does, beside those of [`ACTION`].
pub const STATE_ACTION: &[Key] = &[
    (
        "watch_import",
        "follow an import job, by its number or `true` for all of the trial's databases, until it ends",
        Either(&[Yes, Single]),
    ),
    (
        "watch_ddl",
        "follow a schema change, by its job's number or {table: name}, until it ends",
        Either(&[Single, Object(WATCH_DDL, &["table"])]),
    ),
];

/// Keys of `watch_ddl`.
pub const WATCH_DDL: &[Key] = &[(
    "table",
    "the newest schema change of this table, once there is one",
    Text,
)];

/// Keys of a state beside its action and its expectations.
pub const STATE: &[Key] = &[
    (
        "state",
        "the state's name; without it, the statement's verb",
        Name,
    ),
    PARAMS,
    WITH,
    (
        "wait_for",
        "an event, `connection.state`, or {event: times}; several in a list",
        Wants,
    ),
    (
        "barrier",
        "wait until all parties are here; by default those are all connections that name the barrier",
        Either(&[Name, Object(BARRIER, &["name"])]),
    ),
    (
        "signal",
        "the event, or events, that this state brings when it ends",
        OneOrMany(&Name),
    ),
    SAVE,
    SHARED_VALUES,
    SET,
    (
        "add",
        "add these numbers to variables when the state ends",
        Map(&Either(&[Number, Text])),
    ),
    (
        "record",
        "append values of each result to series: a column, row.0.1, last_insert_id or affected",
        Map(&Text),
    ),
    (
        "repeat",
        "how often the state does it; ${iteration} counts from 0",
        Whole(1, TIMES_MAX),
    ),
    (
        "until",
        "do it again and again until the first row has these values",
        Map(&Value),
    ),
    (
        "every",
        "the pause between two looks of `until` or `watch`, 20ms by default",
        Duration,
    ),
    (
        "next",
        "the state that follows, or `end`; without it, the next one of the list",
        Name,
    ),
    (
        "on",
        "what follows instead, by what came of it: an error's number or name, any, lost, timed_out, rows_empty, \
         rows_found, none_affected, some_affected",
        Transitions,
    ),
    (
        "retries",
        "how often `on` may go elsewhere after an error (10 by default), and how long it pauses before",
        Either(&[Whole(0, TIMES_MAX), Object(RETRIES, &[])]),
    ),
    WHEN,
    TIMEOUT,
    (
        "expect",
        "expectations, or a list of them of which each holds `when` its variant runs",
        StateExpect,
    ),
];

/// Keys of the long form of `barrier`.
pub const BARRIER: &[Key] = &[
    ("name", "the barrier's name", Name),
    ("parties", "how many have to be here", Whole(2, TIMES_MAX)),
];

/// Keys of the long form of `retries`.
pub const RETRIES: &[Key] = &[
    ("max", "how often, 10 by default", Whole(0, TIMES_MAX)),
    ("backoff", "the longest first pause, 10ms by default", Duration),
    (
        "factor",
        "by how much each pause may be longer than the one before, 2 by default",
        Number,
    ),
    ("limit", "the longest pause of all, 1s by default", Duration),
];

/// Keys of a step beside its action and its expectations.
pub const STEP: &[Key] = &[
    ("as", "the state's name; without it, the statement's verb", Name),
    PARAMS,
    WITH,
    SAVE,
    SHARED_VALUES,
    SET,
    WHEN,
    TIMEOUT,
    (
        "expect",
        "expectations, or a list of them of which each holds `when` its variant runs",
        StepExpect,
    ),
];

const WITH: Key = ("with", "the handler's parameters", Map(&Any));
const PARAMS: Key = (
    "params",
    "values for ?, which makes the statement a prepared one",
    List(0, &Any),
);
const SAVE: Key = (
    "save",
    "keep values of the result as the connection's own: a column, row.0.1, last_insert_id or affected",
    Map(&Text),
);
const SHARED_VALUES: Key = (
    "shared",
    "keep values of the result for all connections: a column, row.0.1, last_insert_id or affected",
    Map(&Text),
);
const SET: Key = ("set", "keep values as they stand, for all connections", Map(&Any));
const TIMEOUT: Key = ("timeout", "the limit of this step", Duration);

/// Keys of expectations about waiting.
pub const WAITING: &[Key] = &[
    (
        "blocked",
        "true: the statement must wait; what else is expected is judged when it returns",
        Flag,
    ),
    (
        "blocked_by",
        "the connection that holds what the statement waits for",
        OneOrMany(&Text),
    ),
    (
        "not_blocked",
        "true: the statement must not wait (also without this key)",
        Flag,
    ),
    (
        "unblocks",
        "the connection, or connections, whose wait must end with this step",
        OneOrMany(&Text),
    ),
];

/// Keys of the final `expect`.
pub const FINAL: &[Key] = &[
    (
        "states",
        "the sequence of states of each connection: names with ?, * or +, and ... for any run",
        Map(&List(0, &Text)),
    ),
    ("tables", "the rows of each table, in any order", Tables),
    ("queries", "queries and what they must give", OneOrMany(&Query)),
    (
        "shared",
        "the state that the connections share",
        Object(SHARED, &[]),
    ),
    (
        "errors",
        "how many of each error, over all connections",
        ErrorCounts,
    ),
    (
        "outcomes",
        "the outcomes that `permutations` may have, by names; each must be seen, and no other",
        Map(&Object(OUTCOME, &[])),
    ),
    (
        "always",
        "a statement that must be true whenever no statement runs, or a list of them; where connections run freely, after \
         each statement that may have changed something, or `every` so often",
        OneOrMany(&Either(&[Words, Watched])),
    ),
];

/// Keys of `requires`.
pub const REQUIRES: &[Key] = &[
    ("tidb", "a range of versions, such as \">=8.5\"", Text),
    ("store", "`tikv` or `unistore`", OneOf(&["tikv", "unistore"])),
    ("docker", "true: a container engine must answer", Flag),
    (
        "vars",
        "global variables and the values that they must have",
        Map(&Single),
    ),
];

/// Keys of a server.
pub const SERVER: &[Key] = &[
    (
        "store",
        "`memory` (the default) or `persistent`",
        OneOf(&["memory", "persistent"]),
    ),
    ("flags", "flags of tidb-server", Map(&Single)),
    (
        "vars",
        "global variables, set right after the start",
        Map(&Single),
    ),
    ("setup", "SQL that makes its tables", OneOrMany(&Words)),
];

/// Keys of `load`.
pub const LOAD: &[Key] = &[
    ("table", "the table", Text),
    (
        "columns",
        "its columns, in the order of the rows",
        OneOrMany(&Text),
    ),
    ("rows", "the rows", List(0, &List(0, &Any))),
    ("file", "a CSV file, by its path from the scenario's folder", Text),
    (
        "duplicates",
        "`ignore` (without it, too) or `replace`: what becomes of a row whose key is there",
        OneOf(&["ignore", "replace"]),
    ),
];

/// Keys of the long form of `kill`.
pub const KILL: &[Key] = &[
    (
        "query",
        "this connection's statement is ended, as by KILL QUERY",
        Text,
    ),
    (
        "connection",
        "this connection's whole session is ended, as by KILL",
        Text,
    ),
];

/// Keys of the shared state after an order of steps.
pub const SHARED_OF_ORDERS: &[Key] = &[
    (
        "vars",
        "variables and the values that they must have",
        Map(&Value),
    ),
    (
        "status",
        "connections and how far they must have come",
        Map(&Status),
    ),
];

/// Keys of the shared state at the end.
pub const SHARED: &[Key] = &[
    (
        "vars",
        "variables and the values that they must have",
        Map(&Value),
    ),
    (
        "status",
        "connections and how far they must have come",
        Map(&Status),
    ),
    (
        "events",
        "the events in the order in which they came, or a mapping of events to how often they came",
        Either(&[List(0, &Text), Map(&Count)]),
    ),
    (
        "series",
        "recorded series and what must hold of them",
        Map(&Object(SERIES, &[])),
    ),
    (
        "retries",
        "connections and how often they went back after an error",
        Map(&Count),
    ),
    (
        "imports",
        "import jobs by their number or table, `any` or `all`, and what they must have come to; a list says it of each, \
         in the order of their numbers",
        Map(&OneOrMany(&Object(JOB, &[]))),
    ),
    (
        "ddl",
        "schema changes by their number or table, `any` or `all`, and what they must have come to; a list says it of each, \
         in the order of their numbers",
        Map(&OneOrMany(&Object(JOB, &[]))),
    ),
];

/// What is known of a job that is watched.
pub const JOB: &[Key] = &[
    (
        "status",
        "as the server tells it, such as `finished` or `synced`",
        Value,
    ),
    (
        "phase",
        "what it does, such as `importing` or `write reorganization`",
        Value,
    ),
    ("rows", "how many rows so far", Value),
    ("size", "the size of the source", Value),
    ("elapsed", "how long it took, in seconds", Value),
    ("error", "why it failed", Value),
    ("table", "the table", Value),
];

/// Keys of what must hold of a series.
pub const SERIES: &[Key] = &[
    ("first", "its first value", Value),
    ("last", "its last value", Value),
    ("count", "how many values it has", Count),
    ("min", "its smallest value", Value),
    ("max", "its greatest value", Value),
    ("increasing", "true: no value is smaller than the one before", Yes),
    ("values", "all of its values, in order", List(0, &Value)),
];

/// The key of an expectation that holds for some variants only.
pub const WHEN: Key = (
    "when",
    "only in variants with these values",
    Map(&OneOrMany(&Single)),
);

/// Flags of tidb-server that decide where it is and what it is: the harness gives them itself.
pub const OUR_FLAGS: &[&str] = &[
    "P",
    "status",
    "host",
    "status-host",
    "advertise-address",
    "socket",
    "store",
    "path",
    "temp-dir",
    "log-slow-query",
    "log-file",
    "config-check",
];

/// The names alone.
#[must_use]
pub fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|(name, _, _)| *name).collect()
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

/// The names of everything that can stand in a state.
#[must_use]
pub fn state_names() -> Vec<&'static str> {
    [ACTION, STATE_ACTION, STATE]
        .into_iter()
        .flat_map(names)
        .chain(EXPECTATIONS.iter().copied())
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

/// The kinds of expectation that `saw` of an outcome reads: those of which the answer alone tells.
pub const SAW: &[&str] = &[
    "rows",
    "unordered",
    "row",
    "value",
    "count",
    "columns",
    "contains",
    "affected",
    "last_insert_id",
    "error",
];

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
