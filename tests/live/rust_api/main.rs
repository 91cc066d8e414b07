//! Machines, handlers and coordinators from Rust, as a package outside of this one uses them: on a real TiDB.

mod advanced;
mod health;
mod jobs;
mod machine;
mod scenario;
mod scripted;
mod session;
mod settings;
mod shared;
mod simple;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use tidb_scenarios::connection::Connection;
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::{Server, ServerSettings, ServerSpec, choose, run_reaper_if_asked};
use tidb_scenarios::{ConnectionConfig, ConnectionOptions};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// Where the tests' server is, and how to connect to it.
#[derive(Debug, Clone)]
struct Target {
    config: ConnectionConfig,
    options: ConnectionOptions,
}

impl Target {
    /// A connection of this name.
    fn config(&self, id: impl Into<String>) -> ConnectionConfig {
        ConnectionConfig {
            id: id.into(),
            database: Some("test".to_owned()),
            ..self.config.clone()
        }
    }

    /// Runs statements over a session of its own.
    async fn run(&self, statements: &[&str]) {
        let mut connection = Connection::open(&self.config("setup"), &self.options)
            .await
            .unwrap();
        for sql in statements {
            let outcome = connection.execute(sql).await;
            assert!(!outcome.is_error(), "{sql}: {outcome:?}");
        }
        connection.close().await;
    }

    async fn ask(&self, sql: &str) -> Outcome {
        let mut connection = Connection::open(&self.config("ask"), &self.options)
            .await
            .unwrap();
        let outcome = connection.execute(sql).await;
        connection.close().await;
        outcome
    }

    /// Waits until the server has none of these sessions any more.
    async fn are_gone(&self, sessions: &[u64]) {
        let ids: Vec<String> = sessions.iter().map(u64::to_string).collect();
        let list = format!(
            "select count(*) from information_schema.processlist where id in ({})",
            ids.join(", ")
        );
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match self.ask(&list).await {
                Outcome::Rows(set) if set.rows == [[SqlValue::Int(0)]] => break,
                _ => assert!(Instant::now() < end, "sessions are left: {ids:?}"),
            }
        }
    }
}

struct World {
    runtime: Runtime,
    server: OnceCell<Server>,
}

impl World {
    /// The server, started when the first test needs it.
    async fn server(&self) -> &Server {
        let start = || async {
            let settings = ServerSettings {
                reaper: std::env::current_exe().ok(),
                ..ServerSettings::from_vars(|name| std::env::var(name).ok()).unwrap()
            };
            let choice = choose(&settings).await.unwrap();
            Server::start(&settings, choice.kind, &ServerSpec::default())
                .await
                .unwrap()
        };
        self.server.get_or_init(start).await
    }

    async fn target(&self) -> Target {
        let server = self.server().await;
        Target {
            config: server.config().clone(),
            options: server.options().clone(),
        }
    }
}

fn main() -> ExitCode {
    if let Some(code) = run_reaper_if_asked(std::env::args_os()) {
        return code;
    }
    let world = Arc::new(World {
        runtime: Runtime::new().unwrap(),
        server: OnceCell::new(),
    });
    let mut trials = Vec::new();
    macro_rules! on_server {
        ($($module:ident::$test:ident),* $(,)?) => {$({
            let world = Arc::clone(&world);
            let name = concat!(stringify!($module), "::", stringify!($test));
            trials.push(Trial::test(name, move || {
                world.runtime.block_on(async { $module::$test(world.target().await).await });
                Ok::<(), Failed>(())
            }));
        })*};
    }
    macro_rules! by_server {
        ($($module:ident::$test:ident),* $(,)?) => {$({
            let world = Arc::clone(&world);
            let name = concat!(stringify!($module), "::", stringify!($test));
            trials.push(Trial::test(name, move || {
                world.runtime.block_on(async { $module::$test(world.server().await).await });
                Ok::<(), Failed>(())
            }));
        })*};
    }
    macro_rules! without_server {
        ($($module:ident::$test:ident),* $(,)?) => {$({
            let world = Arc::clone(&world);
            let name = concat!(stringify!($module), "::", stringify!($test));
            trials.push(Trial::test(name, move || {
                world.runtime.block_on($module::$test());
                Ok::<(), Failed>(())
            }));
        })*};
    }
    on_server![
        simple::a_failing_connection_is_named_and_the_results_of_the_others_stay,
        simple::a_handler_that_panics_fails_only_its_connection,
        simple::the_code_of_the_architecture_document_runs,
        simple::each_status_is_passed_through,
        simple::a_wait_in_vain_ends_at_once,
        simple::variables_are_shared_and_typed,
        session::a_deadlock_is_run_again_from_begin,
        session::what_will_not_pass_is_not_run_again,
        session::a_session_lost_before_commit_is_run_again,
        session::a_commit_whose_answer_is_lost_is_not_sent_again,
        session::a_statement_over_its_limit_is_killed_and_the_session_lives,
        session::a_machine_that_is_cut_off_leaves_no_statement_behind,
        session::a_pool_lends_clean_sessions,
        session::a_handler_by_name_works_on_a_lent_connection,
        advanced::fifty_connections_tell_of_themselves,
        advanced::a_shutdown_ends_every_machine_in_order,
        advanced::a_member_asks_for_the_global_state,
        advanced::an_import_is_followed_across_connections,
        advanced::an_import_that_fails_fails_its_monitor,
        shared::a_barrier_lets_all_go_on_together_again_and_again,
        shared::a_barrier_that_cannot_fill_is_told_at_once,
        shared::a_barrier_is_for_one_number_of_connections,
        shared::a_message_goes_to_one_or_to_all,
        shared::a_message_that_nobody_reads_is_refused,
        shared::a_message_that_nobody_can_send_any_more_is_not_waited_for,
        shared::a_handler_hears_what_happens_to_others,
        shared::a_deadlock_of_handlers_is_drawn,
        shared::a_short_limit_is_no_deadlock_for_the_others,
        shared::a_run_is_history_a_timeline_and_json,
        shared::more_statements_than_are_kept_are_counted,
        shared::a_coordinator_runs_again,
        shared::a_machine_by_itself_keeps_its_history,
        health::a_session_that_is_killed_while_it_rests_is_told_within_a_second,
        health::sessions_that_live_are_never_called_lost,
        jobs::a_schema_change_is_followed_across_connections,
        jobs::a_schema_change_that_fails_fails_its_monitor,
        jobs::a_schema_change_that_never_comes_is_told_with_the_last_one,
    ];
    by_server![
        scenario::a_handler_comes_to_a_barrier_of_the_file,
        scenario::a_barrier_of_the_file_that_cannot_fill_is_told_to_both,
        scenario::handlers_of_a_file_send_messages,
    ];
    without_server![
        simple::nothing_runs_that_could_not_be_told_apart,
        session::connecting_is_tried_as_often_as_the_policy_says,
        session::a_breaker_leaves_a_dead_server_alone,
        machine::a_state_without_a_handler_is_known_at_the_start,
        machine::a_state_that_only_its_handler_knows_is_an_error_when_it_comes,
        machine::exit_runs_after_a_failure_too,
        machine::a_machine_ends_at_its_limit,
        machine::handlers_are_built_by_name_and_checked_before,
        settings::layers_lie_upon_each_other,
        settings::files_have_common_and_own_keys,
        settings::mistakes_name_their_place,
        settings::no_password_is_shown,
        scripted::a_handler_is_tested_without_a_server,
        scripted::errors_and_lost_sessions_are_answers_too,
        scripted::what_the_script_does_not_expect_is_told,
        scripted::what_connections_share_works_as_in_a_run,
    ];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    let code = conclusion.exit_code();
    let world = Arc::into_inner(world).expect("all tests have ended");
    if let Some(server) = world.server.into_inner() {
        world.runtime.block_on(server.stop()).expect("the server goes");
    }
    code
}
