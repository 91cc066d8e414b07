//! Real servers: they come up, they answer, and whatever ends their owner, nothing of them is left.
//!
//! The tests run this executable again as the owner of a server (`CHILD` says what it does), because
//! only another process can be killed. It is also the reaper of its containers, as a harness is.

mod build;
mod common;
mod container;
mod embedded;
mod owner;
mod refused;
mod url;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use testcontainers::bollard::query_parameters::RemoveImageOptions;
use testcontainers::core::client::docker_client_instance;
use tidb_scenarios::server::{engine_answers, run_reaper_if_asked};

use common::{CHILD, IMAGE, runtime};

fn main() -> ExitCode {
    if let Some(code) = run_reaper_if_asked(std::env::args_os()) {
        return code;
    }
    if let Ok(job) = std::env::var(CHILD) {
        return owner::child(&job);
    }
    let engine = runtime().block_on(engine_answers());
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    };
    let with_engine = |name: &str, test: fn()| trial(name, test).with_ignored_flag(!engine);
    let args = Arguments::from_args();
    let listing = args.list;
    let conclusion = libtest_mimic::run(
        &args,
        vec![
            trial(
                "a_provider_that_is_none_is_an_error",
                refused::a_provider_that_is_none_is_an_error,
            ),
            trial(
                "no_server_at_all_is_an_error",
                refused::no_server_at_all_is_an_error,
            ),
            trial(
                "an_unreachable_url_is_an_error",
                refused::an_unreachable_url_is_an_error,
            ),
            trial(
                "an_image_that_is_missing_is_found_out_fast",
                refused::an_image_that_is_missing_is_found_out_fast,
            ),
            trial(
                "a_failing_build_shows_its_end",
                build::a_failing_build_shows_its_end,
            ),
            trial(
                "a_store_that_cannot_be_had_is_an_error",
                build::a_store_that_cannot_be_had_is_an_error,
            ),
            trial("two_processes_build_once", build::two_processes_build_once),
            trial(
                "a_killed_build_leaves_no_process",
                build::a_killed_build_leaves_no_process,
            ),
            trial(
                "embedded_with_a_bad_flag_shows_its_log",
                embedded::embedded_with_a_bad_flag_shows_its_log,
            ),
            trial(
                "embedded_with_a_bad_variable_is_an_error",
                embedded::embedded_with_a_bad_variable_is_an_error,
            ),
            trial("embedded_answers_and_goes", embedded::embedded_answers_and_goes),
            trial(
                "embedded_on_files_with_variables",
                embedded::embedded_on_files_with_variables,
            ),
            trial(
                "embedded_keeps_the_rows_of_old_snapshots",
                embedded::embedded_keeps_the_rows_of_old_snapshots,
            ),
            trial(
                "url_reaches_a_server_and_leaves_it",
                url::url_reaches_a_server_and_leaves_it,
            ),
            trial(
                "embedded_that_dies_is_noticed",
                embedded::embedded_that_dies_is_noticed,
            ),
            trial(
                "embedded_goes_when_its_owner_is_killed",
                embedded::embedded_goes_when_its_owner_is_killed,
            ),
            trial(
                "embedded_goes_when_its_owner_is_interrupted",
                embedded::embedded_goes_when_its_owner_is_interrupted,
            ),
            trial(
                "embedded_goes_when_its_owner_panics",
                embedded::embedded_goes_when_its_owner_panics,
            ),
            trial(
                "embedded_goes_when_its_owner_is_killed_early",
                embedded::embedded_goes_when_its_owner_is_killed_early,
            ),
            with_engine("container_whole", container::container_whole),
        ],
    );
    if engine && !listing {
        runtime().block_on(async {
            if let Ok(engine) = docker_client_instance().await {
                // It is not there if its trial did not run.
                let _ = engine.remove_image(IMAGE, None::<RemoveImageOptions>, None).await;
            }
        });
    }
    conclusion.exit_code()
}
