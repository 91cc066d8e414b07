//! The commands of mysqltest, and which of them mean nothing here.

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is understood.
    Taken,
    /// It says how results are printed, or the like: nothing is lost without it.
    Dropped,
    /// It cannot be taken, for this reason.
    NotTaken(&'static str),
}

use Fate::{Dropped, NotTaken, Taken};

const FILES: Fate = NotTaken("files are not touched");
const SHELL: Fate = NotTaken("nothing is run beside the server");
const REPLICATION: Fate = NotTaken("replication");

/// All commands, by their names.
const COMMANDS: &[(&str, Fate)] = &[
    ("append_file", FILES),
    ("assert", NotTaken("write what must hold as an expectation")),
    (
        "begin_concurrent",
        NotTaken("the statements up to end_concurrent follow one after another here; see `states`"),
    ),
    ("cat_file", FILES),
    (
        "change_user",
        NotTaken("a session keeps its user: write `user` at a connection of its own"),
    ),
    ("character_set", Dropped),
    ("chmod", FILES),
    ("connect", Taken),
    ("connection", Taken),
    ("copy_file", FILES),
    ("copy_files_wildcard", FILES),
    ("dec", Taken),
    ("delimiter", Taken),
    ("die", Taken),
    ("diff_files", FILES),
    ("dirty_close", Taken),
    ("disable_abort_on_error", Taken),
    ("disable_connect_log", Taken),
    ("disable_info", Taken),
    ("disable_parsing", Taken),
    ("disable_query_log", Taken),
    ("disable_result_log", Taken),
    ("disable_warnings", Taken),
    ("disconnect", Taken),
    ("echo", Taken),
    ("enable_abort_on_error", Taken),
    ("enable_connect_log", Taken),
    ("enable_info", Taken),
    ("enable_parsing", Taken),
    ("enable_query_log", Taken),
    ("enable_result_log", Taken),
    ("enable_warnings", Taken),
    ("end", Taken),
    ("end_concurrent", Dropped),
    ("end_timer", Dropped),
    ("error", Taken),
    ("eval", Taken),
    ("evalp", Taken),
    ("exec", SHELL),
    ("exec_in_background", SHELL),
    ("execw", SHELL),
    ("exit", Taken),
    ("expr", Taken),
    ("file_exists", FILES),
    ("force-cpdir", FILES),
    ("force-rmdir", FILES),
    ("horizontal_results", Taken),
    ("if", Taken),
    ("inc", Taken),
    ("let", Taken),
    ("list_files", FILES),
    ("list_files_append_file", FILES),
    ("list_files_write_file", FILES),
    ("lowercase_result", Taken),
    ("mkdir", FILES),
    ("move_file", FILES),
    ("optimizer_trace", Dropped),
    ("output", FILES),
    ("partially_sorted_result", Taken),
    ("perl", SHELL),
    ("ping", Dropped),
    ("query", Taken),
    ("query_horizontal", Taken),
    ("query_vertical", Taken),
    ("real_sleep", Taken),
    ("reap", Taken),
    ("remove_file", FILES),
    ("remove_files_wildcard", FILES),
    ("replace_column", Taken),
    ("replace_numeric_round", Taken),
    ("replace_regex", Taken),
    ("replace_result", Taken),
    ("require", NotTaken("see `requires`")),
    ("reset_connection", Taken),
    ("result", Dropped),
    ("result_format", Dropped),
    ("rmdir", FILES),
    ("save_master_pos", REPLICATION),
    ("send", Taken),
    ("send_eval", Taken),
    ("send_quit", Taken),
    ("send_shutdown", NotTaken("the server goes on")),
    ("shutdown_server", NotTaken("the server goes on")),
    ("single_query", Dropped),
    ("skip", Taken),
    ("sleep", Taken),
    ("sorted_result", Taken),
    ("source", Taken),
    ("start_timer", Dropped),
    ("sync_slave_with_master", REPLICATION),
    ("sync_with_master", REPLICATION),
    ("system", SHELL),
    ("vertical_results", Taken),
    ("wait_for_slave_to_stop", REPLICATION),
    (
        "wait_tiflash_replica_ready",
        NotTaken("write a step with `until`, in `states`"),
    ),
    ("while", Taken),
    ("write_file", FILES),
];

/// What becomes of the command of this name, in any case; none where there is no such command.
pub(super) fn fate(name: &str) -> Option<Fate> {
    let name = name.to_ascii_lowercase();
    // Protocols, metadata, reconnects and the like: there are many, and all say how something is printed.
    let switch = name.starts_with("enable_") || name.starts_with("disable_");
    let known = COMMANDS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, fate)| *fate);
    known.or(switch.then_some(Dropped))
}

/// The names of all commands.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_in_any_case() {
        assert_eq!(fate("ECHO"), Some(Taken));
        assert_eq!(fate("disable_ps2_protocol"), Some(Dropped));
        assert_eq!(fate("select"), None);
        assert!(COMMANDS.is_sorted_by(|one, other| one.0 < other.0));
    }
}
