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
    /// The same of a state: it is not asked whether a concurrent one is blocked.
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
        "SQL that creates the tables; it runs first, in a new database of the trial",
        OneOrMany(&Words),
    ),
    (
        "teardown",
        "SQL that runs at the end in any case; the trial's databases are dropped automatically",
        OneOrMany(&Words),
    ),
    ("vars", "variables and their values, used as ${name}", Map(&Any)),
    (
        "connections",
        "the connections: a list of names, or a mapping of names to their settings",
        Connections,
    ),
    ("steps", "the steps of all connections, one after another", Steps),
    ("expect", "what must hold at the end", ForVariants(FINAL)),
    (
        "matrix",
        "variants: each combination of the values is a separate trial",
        Matrix,
    ),
    ("tags", "words for finding scenarios", OneOrMany(&Text)),
    (
        "requires",
        "what the server must have; otherwise the trial is ignored, with the reason",
        Object(REQUIRES, &[]),
    ),
    (
        "serial",
        "true: run alone, and restore the server afterwards; for scenarios that change more than their databases",
        Flag,
    ),
    (
        "timeout",
        "the limit of the whole trial, 60s by default",
        Duration,
    ),
    ("step_timeout", "the limit of one step, 10s by default", Duration),
    (
        "servers",
        "own servers of the scenario, by name; `main` replaces the run's server",
        Map(&Settings(SERVER)),
    ),
    (
        "permutations",
        "run every interleaving of the connections' steps (`all`), or some of them",
        Either(&[OneOf(&["all"]), Object(PERMUTATIONS, &[])]),
    ),
    (
        "workload",
        "transactions of one kind on all connections, in place of `connections` and `steps`; their history is checked",
        Object(WORKLOAD, &["kind"]),
    ),
    (
        "seed",
        "the seed of what is random: the pauses before retries (by default it comes from the trial's name), and the \
         choice of `sample` and `most` (by default it comes from the text of `scenario`)",
        Whole(0, u32::MAX),
    ),
];

/// At most this many connections of a workload.
pub const WORKLOAD_CONNECTIONS_MAX: u32 = 1_000;

/// At most this many keys of a workload.
pub const WORKLOAD_KEYS_MAX: u32 = 10_000;

/// At most this many operations of one transaction of a workload.
pub const WORKLOAD_OPS_MAX: u32 = 100;

/// The kinds of workloads.
pub const WORKLOAD_KINDS: &[&str] = &[
    "list_append",
    "rw_register",
    "register",
    "bank",
    "write_skew",
    "set",
    "long_fork",
    "monotonic",
    "sequential",
];

/// How the transactions of a workload read.
pub const READ_LOCKS: &[&str] = &["plain", "for_update"];

/// How a workload chooses keys.
pub const DISTRIBUTIONS: &[&str] = &["uniform", "zipf", "hot"];

/// Keys of `workload`.
pub const WORKLOAD: &[Key] = &[
    (
        "kind",
        "what the transactions do, such as `list_append` or `bank`",
        OneOf(WORKLOAD_KINDS),
    ),
    (
        "connections",
        "the number of connections, 8 by default; each runs one transaction after another",
        Whole(1, WORKLOAD_CONNECTIONS_MAX),
    ),
    (
        "transactions",
        "the number of transactions of all connections together, 1,000 by default",
        Whole(1, TIMES_MAX),
    ),
    (
        "duration",
        "the time for which transactions begin, in place of their number",
        Duration,
    ),
    ("txn", "`pessimistic` (the default) or `optimistic`", OneOf(TXN)),
    (
        "isolation",
        "`repeatable read` (the default) or `read committed`",
        OneOf(ISOLATION),
    ),
    (
        "read_lock",
        "`plain` (the default), or `for_update`: each read is SELECT … FOR UPDATE",
        OneOf(READ_LOCKS),
    ),
    (
        "seed",
        "the seed of what is random; by default it comes from the trial's name",
        Whole(0, u32::MAX),
    ),
    (
        "retries",
        "how many times a transaction that failed for a conflict is tried again, 0 by default",
        Whole(0, TIMES_MAX),
    ),
    (
        "timestamps",
        "false: do not ask TiDB for the timestamps of transactions, which costs throughput",
        Flag,
    ),
    (
        "keys",
        "the number of keys that are in use at a time: lists, registers, accounts, pairs",
        Whole(1, WORKLOAD_KEYS_MAX),
    ),
    (
        "ops",
        "the largest number of operations of one transaction, 4 by default",
        Whole(1, WORKLOAD_OPS_MAX),
    ),
    (
        "reads",
        "how many of 100 operations (or transactions) read, 50 by default",
        Whole(0, 100),
    ),
    (
        "distribution",
        "how keys are chosen: `uniform` (the default), `zipf`, or `hot`: every second time the first key",
        OneOf(DISTRIBUTIONS),
    ),
    (
        "writes_per_key",
        "the number of writes after which a key is replaced by a new one, 64 by default",
        Whole(1, TIMES_MAX),
    ),
];

/// Keys of `anomalies`.
pub const ANOMALIES: &[Key] = &[
    (
        "allowed",
        "the only anomalies that may be found, such as G2-item; `[]`: none",
        List(0, &Words),
    ),
    (
        "present",
        "anomalies of which each must be found",
        List(1, &Words),
    ),
];

/// Keys of the `at_least` of a workload.
pub const AT_LEAST: &[Key] = &[
    (
        "ok",
        "the least number of transactions that commit; by default a tenth of `transactions`",
        Whole(1, TIMES_MAX),
    ),
    (
        "conflicts",
        "the least number of transactions that met another one at a key; by default 1 where connections share keys",
        Whole(0, TIMES_MAX),
    ),
    (
        "reads",
        "the least number of reads in transactions that commit; by default 1",
        Whole(0, TIMES_MAX),
    ),
];

/// Keys of `permutations`.
pub const PERMUTATIONS: &[Key] = &[
    (
        "list",
        "these interleavings, each a separate trial: connections (\"a b a b\") or steps (\"a.begin b.begin …\"), or \
         {order, outcome}",
        List(
            1,
            &Either(&[Words, List(1, &Text), Object(LISTED_ORDER, &["order", "outcome"])]),
        ),
    ),
    (
        "sample",
        "this many interleavings, chosen at random",
        Whole(1, TIMES_MAX),
    ),
    (
        "seed",
        "the seed for `sample` and `most`; by default it comes from the text of `scenario`",
        Whole(0, u32::MAX),
    ),
    (
        "most",
        "the largest number of interleavings that run, 10,000 by default; the seed chooses them, and the report says how \
         many were left out",
        Whole(1, TIMES_MAX),
    ),
    (
        "prune",
        "false: also run interleavings that differ only in the order of independent steps",
        Flag,
    ),
];

/// Keys of one order of a list.
pub const LISTED_ORDER: &[Key] = &[
    (
        "order",
        "connections (\"a b a b\") or steps (\"a.begin b.begin …\")",
        Either(&[Words, List(1, &Text)]),
    ),
    (
        "outcome",
        "its outcome: a name of `outcomes`, or a list of names of which one must match",
        Either(&[Text, List(1, &Text)]),
    ),
];

/// Keys of an outcome.
pub const OUTCOME: &[Key] = &[
    ("tables", "the rows of each table, in any order", Tables),
    ("queries", "queries and their expected results", OneOrMany(&Query)),
    (
        "errors",
        "the number of each error, over all connections",
        ErrorCounts,
    ),
    (
        "saw",
        "the results of steps, as connection.state: a value, rows, or expectations such as {affected: 1}",
        Map(&Saw),
    ),
    (
        "blocked",
        "exactly the steps that were blocked, as connection.state",
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
    ("may", "true: this outcome may occur, but need not", Yes),
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
        "the number of connections: name.0, name.1, …; ${index} is the number of each",
        Whole(1, CONNECTIONS_MAX),
    ),
    (
        "user",
        "the user to connect as, in place of the server's default; `setup` creates it, if the server does not have it",
        Text,
    ),
    (
        "password",
        "the password of this user; it is never printed",
        Single,
    ),
    (
        "database",
        "a further database of the trial, in which this connection begins; ${database.NAME} is its real name",
        Text,
    ),
    ("server", "one of the scenario's `servers`", Text),
    (
        "states",
        "the states of a concurrent connection, in place of `steps`",
        States,
    ),
    (
        "repeat",
        "how many times it runs through its states; ${round} counts from 0",
        Whole(1, TIMES_MAX),
    ),
];

/// Keys of a step that say what it does.
pub const ACTION: &[Key] = &[
    (
        "sql",
        "one statement, or several that run one after another: a list, or a text with `;` between them",
        OneOrMany(&Words),
    ),
    (
        "load",
        "LOAD DATA LOCAL of rows from here or from a file",
        Object(LOAD, &["table"]),
    ),
    ("sleep", "pause for this time, such as 10ms", Duration),
    (
        "kill",
        "KILL QUERY of another connection's statement; {connection: name} kills its session",
        Either(&[Text, Object(KILL, &[])]),
    ),
    (
        "handler",
        "run the handler that is written in Rust and registered under this name",
        Text,
    ),
    ("disconnect", "close the session", Yes),
    (
        "reconnect",
        "close the session if it is open, and open a new one",
        Yes,
    ),
];

/// Keys of a state that say what it does, beside those of [`ACTION`].
pub const STATE_ACTION: &[Key] = &[
    (
        "watch_import",
        "follow an import job until it ends, by its number; `true` follows all jobs of the trial's databases",
        Either(&[Yes, Single]),
    ),
    (
        "watch_ddl",
        "follow a schema change until it ends, by its job's number or {table: name}",
        Either(&[Single, Object(WATCH_DDL, &["table"])]),
    ),
];

/// Keys of `watch_ddl`.
pub const WATCH_DDL: &[Key] = &[(
    "table",
    "the next schema change of this table since the trial began",
    Text,
)];

/// Keys of a state beside its action and its expectations.
pub const STATE: &[Key] = &[
    (
        "state",
        "the state's name; by default, the statement's verb",
        Name,
    ),
    PARAMS,
    WITH,
    (
        "wait_for",
        "wait for an event, `connection.state`, or {event: times}, or a list of these",
        Wants,
    ),
    (
        "barrier",
        "wait until all parties have arrived; by default, all connections that name the barrier",
        Either(&[Name, Object(BARRIER, &["name"])]),
    ),
    (
        "signal",
        "the event, or events, that this state signals when it ends",
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
        "how many times the action runs; ${iteration} counts from 0",
        Whole(1, TIMES_MAX),
    ),
    (
        "until",
        "repeat the action until the first row has these values",
        Map(&Value),
    ),
    (
        "every",
        "the pause between two polls of `until` or of a watch, 20ms by default",
        Duration,
    ),
    (
        "next",
        "the next state, or `end`; by default, the next one of the list",
        Name,
    ),
    (
        "on",
        "the next state by the result: an error's number or name, any, lost, timed_out, rows_empty, rows_found, \
         none_affected, some_affected",
        Transitions,
    ),
    (
        "retries",
        "the largest number of retries in a row after an error (10 by default), and the pauses before them",
        Either(&[Whole(0, TIMES_MAX), Object(RETRIES, &[])]),
    ),
    WHEN,
    TIMEOUT,
    (
        "expect",
        "expectations, or a list of them, each with `when` for some variants",
        StateExpect,
    ),
];

/// Keys of the long form of `barrier`.
pub const BARRIER: &[Key] = &[
    ("name", "the barrier's name", Name),
    ("parties", "how many connections must arrive", Whole(2, TIMES_MAX)),
];

/// Keys of the long form of `retries`.
pub const RETRIES: &[Key] = &[
    (
        "max",
        "the largest number of retries in a row, 10 by default",
        Whole(0, TIMES_MAX),
    ),
    (
        "backoff",
        "the upper bound of the first pause, 10ms by default",
        Duration,
    ),
    (
        "factor",
        "the factor by which the upper bound grows with each retry, 2 by default",
        Number,
    ),
    ("limit", "the largest upper bound, 1s by default", Duration),
];

/// Keys of a step beside its action and its expectations.
pub const STEP: &[Key] = &[
    ("as", "the state's name; by default, the statement's verb", Name),
    PARAMS,
    WITH,
    SAVE,
    SHARED_VALUES,
    SET,
    WHEN,
    TIMEOUT,
    (
        "expect",
        "expectations, or a list of them, each with `when` for some variants",
        StepExpect,
    ),
];

const WITH: Key = ("with", "the handler's parameters", Map(&Any));
const PARAMS: Key = (
    "params",
    "values for each ?; the statement is then a prepared one",
    List(0, &Any),
);
const SAVE: Key = (
    "save",
    "save values of the result in variables of this connection: a column, row.0.1, last_insert_id or affected",
    Map(&Text),
);
const SHARED_VALUES: Key = (
    "shared",
    "save values of the result in variables of all connections: a column, row.0.1, last_insert_id or affected",
    Map(&Text),
);
const SET: Key = (
    "set",
    "set variables of all connections to these values",
    Map(&Any),
);
const TIMEOUT: Key = ("timeout", "the limit of this step", Duration);

/// Keys of expectations about waiting.
pub const WAITING: &[Key] = &[
    (
        "blocked",
        "true: the statement must be blocked; other expectations are judged when it returns",
        Flag,
    ),
    (
        "blocked_by",
        "the connection that holds the lock for which the statement waits; of a list, each must hold it",
        OneOrMany(&Text),
    ),
    (
        "not_blocked",
        "true: the statement must not be blocked (the default)",
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
        "the sequence of states of each connection: names with ?, * or +, and ... for any number of states",
        Map(&List(0, &Text)),
    ),
    ("tables", "the rows of each table, in any order", Tables),
    ("queries", "queries and their expected results", OneOrMany(&Query)),
    (
        "shared",
        "the state that the connections share",
        Object(SHARED, &[]),
    ),
    (
        "errors",
        "the number of each error, over all connections",
        ErrorCounts,
    ),
    (
        "outcomes",
        "the allowed outcomes of the interleavings, by name; each must occur, and no other",
        Map(&Object(OUTCOME, &[])),
    ),
    (
        "always",
        "SQL that must be true whenever no statement runs, or a list of it; with concurrent connections it is checked \
         after each statement that may have changed something, or at the interval `every`",
        OneOrMany(&Either(&[Words, Watched])),
    ),
    ISOLATION_LEVEL,
    ANOMALIES_FOUND,
    AT_LEAST_COUNTS,
];

/// Keys of the final `expect` of a workload; they are the last ones of [`FINAL`], too.
pub const FINAL_OF_WORKLOAD: &[Key] = &[ISOLATION_LEVEL, ANOMALIES_FOUND, AT_LEAST_COUNTS];

const ISOLATION_LEVEL: Key = (
    "isolation",
    "of a workload: the level that its history must satisfy, such as `snapshot` or `serializable`; by default `promised`, \
     what TiDB promises in this mode",
    Words,
);
const ANOMALIES_FOUND: Key = (
    "anomalies",
    "of a workload: the anomalies that may be found, and those that must be",
    Object(ANOMALIES, &[]),
);
const AT_LEAST_COUNTS: Key = (
    "at_least",
    "of a workload: how much must have happened for the run to say anything",
    Object(AT_LEAST, &[]),
);

/// Keys of `requires`.
pub const REQUIRES: &[Key] = &[
    ("tidb", "a range of versions, such as \">=8.5\"", Text),
    ("store", "`tikv` or `unistore`", OneOf(&["tikv", "unistore"])),
    ("docker", "true: a container engine must answer", Flag),
    ("vars", "global variables and their required values", Map(&Single)),
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
    ("setup", "SQL that creates its tables", OneOrMany(&Words)),
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
        "what happens to a row whose key exists: `ignore` (the default) skips it, `replace` replaces the old row",
        OneOf(&["ignore", "replace"]),
    ),
];

/// Keys of the long form of `kill`.
pub const KILL: &[Key] = &[
    ("query", "kill this connection's statement, with KILL QUERY", Text),
    ("connection", "kill this connection's session, with KILL", Text),
];

/// Keys of the shared state after an order of steps.
pub const SHARED_OF_ORDERS: &[Key] = &[
    ("vars", "variables and their expected values", Map(&Value)),
    ("status", "connections and their expected status", Map(&Status)),
];

/// Keys of the shared state at the end.
pub const SHARED: &[Key] = &[
    ("vars", "variables and their expected values", Map(&Value)),
    ("status", "connections and their expected status", Map(&Status)),
    (
        "events",
        "the events in their order, or a mapping of events to the number of times",
        Either(&[List(0, &Text), Map(&Count)]),
    ),
    (
        "series",
        "recorded series and their expected values",
        Map(&Object(SERIES, &[])),
    ),
    ("retries", "connections and their number of retries", Map(&Count)),
    (
        "imports",
        "import jobs by number or table, `any` or `all`, and their expected result; a list has one entry for each job, \
         in the order of their numbers",
        Map(&OneOrMany(&Object(JOB, &[]))),
    ),
    (
        "ddl",
        "schema changes by number or table, `any` or `all`, and their expected result; a list has one entry for each \
         job, in the order of their numbers",
        Map(&OneOrMany(&Object(JOB, &[]))),
    ),
];

/// What is known of a job that is watched.
pub const JOB: &[Key] = &[
    (
        "status",
        "the status that the server reports, such as `finished` or `synced`",
        Value,
    ),
    (
        "phase",
        "the current phase, such as `importing` or `write reorganization`",
        Value,
    ),
    ("rows", "the number of rows so far", Value),
    ("size", "the size of the source", Value),
    ("elapsed", "the elapsed time in seconds", Value),
    ("error", "the reason of the failure", Value),
    ("table", "the table", Value),
];

/// Keys of what must hold of a series.
pub const SERIES: &[Key] = &[
    ("first", "the first value", Value),
    ("last", "the last value", Value),
    ("count", "the number of values", Count),
    ("min", "the smallest value", Value),
    ("max", "the largest value", Value),
    ("increasing", "true: no value is smaller than the one before", Yes),
    ("values", "all values, in order", List(0, &Value)),
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
