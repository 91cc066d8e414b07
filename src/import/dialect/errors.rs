//! Errors of other databases as TiDB's numbers.

/// What an error's text says, as parts that must all be in it, with TiDB's number for the same.
const MESSAGES: &[(&[&str], u16)] = &[
    (&["deadlock"], 1213),
    (&["could not serialize access"], 9007),
    (&["write conflict"], 9007),
    (&["duplicate key"], 1062),
    (&["duplicate entry"], 1062),
    (&["unique constraint"], 1062),
    (&["could not obtain lock"], 3572),
    (&["lock timeout"], 1205),
    (&["lock wait timeout"], 1205),
    (&["statement timeout"], 3024),
    (&["user request"], 1317),
    (&["insert or update", "violates foreign key"], 1452),
    (&["update or delete", "violates foreign key"], 1451),
    (&["not-null constraint"], 1048),
    (&["cannot be null"], 1048),
    (&["check constraint"], 3819),
    (&["relation", "does not exist"], 1146),
    (&["table", "doesn't exist"], 1146),
    (&["no such table"], 1146),
    (&["column", "does not exist"], 1054),
    (&["unknown column"], 1054),
    (&["no such column"], 1054),
    (&["already exists"], 1050),
    (&["syntax error"], 1064),
    (&["error in your sql syntax"], 1064),
];

/// TiDB's number for what an error's text says; none where the text does not tell.
pub(crate) fn code_of_message(message: &str) -> Option<u16> {
    let lower = message.to_lowercase();
    MESSAGES
        .iter()
        .find(|(parts, _)| parts.iter().all(|part| lower.contains(part)))
        .map(|(_, code)| *code)
}

/// What to know where another database has an error of this number.
pub(crate) fn note_on_error(code: u16) -> Option<&'static str> {
    (code == 9007).then_some(
        "9007 is TiDB's write conflict, which only optimistic transactions have: a pessimistic one writes upon what \
         is committed by then",
    )
}

/// TiDB's number for an SQLSTATE of PostgreSQL's.
pub(crate) fn code_of_sqlstate(state: &str) -> Option<u16> {
    Some(match state {
        "40P01" => 1213,
        "40001" => 9007,
        "23505" => 1062,
        "55P03" => 3572,
        "57014" => 1317,
        "23503" => 1452,
        "23502" => 1048,
        "23514" => 3819,
        "42P01" => 1146,
        "42703" => 1054,
        "42P07" => 1050,
        "42601" => 1064,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_three_databases() {
        for (message, code) in [
            ("ERROR:  deadlock detected", Some(1213)),
            ("could not serialize access due to concurrent update", Some(9007)),
            (
                "insert or update on table \"b\" violates foreign key constraint \"f\"",
                Some(1452),
            ),
            (
                "ERROR 1213 (40001): Deadlock found when trying to get lock",
                Some(1213),
            ),
            ("Transaction was deadlocked on lock resources", Some(1213)),
            ("something else", None),
        ] {
            assert_eq!(code_of_message(message), code, "{message}");
        }
    }
}
