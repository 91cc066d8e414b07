//! What the steps of a plan change, told by their texts: rows only, or more; and what they leave in their sessions.

use crate::plan::{Action, TrialPlan};
use crate::sql::{Kind, calls, classify, names};

/// The texts of all statements of the steps, as far as they are known before a run.
fn texts(plan: &TrialPlan) -> impl Iterator<Item = Option<String>> {
    plan.statements().map(|one| {
        // One whose variables are filled in later is still told by its verb.
        let source = || one.text.source().to_owned();
        let told = |source: &String| !source.trim_start().starts_with('$');
        one.text
            .fill(&plan.vars)
            .ok()
            .or_else(|| Some(source()).filter(told))
    })
}

/// Whether the steps change nothing but rows, so that rows are all that has to be put back.
pub(super) fn changes_rows_only(plan: &TrialPlan) -> bool {
    // What a handler does, its code alone says.
    let known = !plan
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::Handler(_)));
    known
        && texts(plan).all(|text| {
            text.is_some_and(|text| {
                let statement = classify(&text);
                !statement.changes_whole_server()
                    && !matches!(
                        statement.kind,
                        Kind::Ddl | Kind::Execute | Kind::Other | Kind::LockTables
                    )
            })
        })
}

/// Whether a ROLLBACK makes the sessions as good as new: the steps change nothing of the session itself.
pub(super) fn sessions_stay(plan: &TrialPlan) -> bool {
    let acts = plan.steps.iter().all(|step| {
        !matches!(
            step.action,
            Action::Kill { .. } | Action::Disconnect | Action::Reconnect
        )
    });
    acts && texts(plan).all(|text| {
        text.is_some_and(|text| {
            let statement = classify(&text);
            let plain = matches!(
                statement.kind,
                Kind::Begin(_)
                    | Kind::Commit
                    | Kind::Rollback
                    | Kind::RollbackToSavepoint
                    | Kind::Savepoint
                    | Kind::ReleaseSavepoint
                    | Kind::Select { .. }
                    | Kind::Dml
                    | Kind::Sleep
            );
            // User variables outlive a transaction, and so does what some functions tell: ROW_COUNT(), FOUND_ROWS(),
            // LAST_INSERT_ID(), LASTVAL(). What is not known may be one of them.
            let harmless = |name: &String| HARMLESS.contains(&name.as_str()) || name.starts_with("json_");
            plain && !statement.takes_user_lock() && !text.contains('@') && calls(&text).iter().all(harmless)
        })
    })
}

/// Functions that tell nothing of what the session did before, and words that stand before a parenthesis.
const HARMLESS: &[&str] = &[
    "abs",
    "all",
    "and",
    "any",
    "as",
    "avg",
    "between",
    "by",
    "case",
    "cast",
    "ceil",
    "ceiling",
    "char",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "convert",
    "count",
    "current_timestamp",
    "date_add",
    "date_sub",
    "decimal",
    "distinct",
    "do",
    "else",
    "except",
    "exists",
    "field",
    "floor",
    "format",
    "from",
    "greatest",
    "group_concat",
    "having",
    "hex",
    "if",
    "ifnull",
    "in",
    "index",
    "instr",
    "intersect",
    "interval",
    "is",
    "isnull",
    "join",
    "key",
    "lateral",
    "least",
    "left",
    "length",
    "like",
    "limit",
    "lower",
    "lpad",
    "max",
    "md5",
    "min",
    "mod",
    "not",
    "now",
    "nullif",
    "of",
    "on",
    "or",
    "order",
    "over",
    "partition",
    "power",
    "repeat",
    "replace",
    "right",
    "round",
    "row",
    "row_number",
    "rpad",
    "select",
    "set",
    "sha1",
    "sha2",
    "sign",
    "sleep",
    "some",
    "space",
    "substr",
    "substring",
    "sum",
    "then",
    "trim",
    "truncate",
    "union",
    "unix_timestamp",
    "upper",
    "using",
    "value",
    "values",
    "when",
    "where",
    "with",
    "xor",
];

/// Whether something names the hidden numbers of rows, which rows that are put back have anew.
pub(super) fn names_row_ids(plan: &TrialPlan) -> bool {
    let queries = plan.all_finals().flat_map(|one| &one.queries);
    let sources = queries.map(|query| query.sql.source().to_owned());
    let mut all = texts(plan).flatten().chain(sources);
    all.any(|text| names(&text).contains("_tidb_rowid"))
}

/// Whether the setup or a step may make a database: its tables are not among those that are known.
pub(super) fn makes_databases(plan: &TrialPlan) -> bool {
    let setup = plan.setup.iter().map(|one| one.text.source().to_owned());
    let mut all = setup.chain(texts(plan).flatten());
    all.any(|text| {
        let names = names(&text);
        names.contains("create") && (names.contains("database") || names.contains("schema"))
    })
}

/// Whether something reads rows as they were some time ago: rows of the schedule before must not be among them.
pub(super) fn reads_the_past(plan: &TrialPlan) -> bool {
    const SETTINGS: [&str; 5] = [
        "tidb_read_staleness",
        "tidb_snapshot",
        "tidb_external_ts",
        "tidb_enable_external_ts_read",
        "tx_read_ts",
    ];
    let is_setting = |name: &str| SETTINGS.contains(&name.to_ascii_lowercase().as_str());
    let mut of_sessions = plan.connections.iter().flat_map(|own| &own.vars);
    of_sessions.any(|(name, _)| is_setting(name))
        || texts(plan).flatten().any(|text| {
            let names = names(&text);
            names.iter().any(|name| is_setting(name)) || (names.contains("as") && names.contains("of"))
        })
}
