//! The process that removes our containers when we can't: our own executable, run again.
//!
//! It knows a run by its label, so that it also finds a container whose creation was under way when
//! we died. Its standard input is a pipe from us; the kernel ends it whatever ends us.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use testcontainers::core::client::docker_client_instance;
use tokio::time::Instant;

/// The label of all containers that this library makes; its value is the run's.
pub const LABEL: &str = "org.tidb-scenarios.run";
pub(super) const REAPER_ARG: &str = "__tidb-scenarios-reap-containers";
pub(super) const GREETING: &str = "tidb-scenarios reaper is here";
/// The words of the pipe.
pub(super) const CREATED: &[u8] = b"c";
pub(super) const DISMISSED: &[u8] = b"d";

/// How long a creation that was under way when we died may still take.
const CREATION_MAX: Duration = Duration::from_secs(20);
/// The limit for all of the removal.
const REMOVE_MAX: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(200);

/// Does the reaper's job if this process was started as the reaper, and tells the exit code to end
/// with. Every `main` whose executable stands in [`super::ServerSettings::reaper`] must call this
/// before anything else. `args` are the process's own, its name first.
#[must_use]
pub fn run_reaper_if_asked(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != REAPER_ARG {
        return None;
    }
    let run = args.next()?.into_string().ok()?;
    Some(if reap(&run) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn reap(run: &str) -> bool {
    {
        let mut out = std::io::stdout();
        if writeln!(out, "{GREETING}").and_then(|()| out.flush()).is_err() {
            // Nobody is there any more, so nobody created anything.
            return true;
        }
    }
    let mut words = Vec::new();
    // An error ends the wait as the end of the pipe does.
    let _ = std::io::stdin().read_to_end(&mut words);
    if words.ends_with(DISMISSED) {
        return true;
    }
    let wait = if words.ends_with(CREATED) {
        Duration::ZERO
    } else {
        CREATION_MAX
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return false;
    };
    runtime.block_on(async {
        match docker_client_instance().await {
            Ok(engine) => remove_all(&engine, run, wait).await,
            Err(_) => false,
        }
    })
}

/// Removes the containers of a run until there are none; looks for `wait` even if there are none, as
/// one may still come. Tells whether all are gone.
pub(super) async fn remove_all(engine: &Docker, run: &str, wait: Duration) -> bool {
    let began = Instant::now();
    let mut found_any = false;
    loop {
        let filters = HashMap::from([("label", vec![format!("{LABEL}={run}")])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        match engine.list_containers(Some(options)).await {
            // A run has one container: once it was found, no other is under way.
            Ok(found) if found.is_empty() && (found_any || began.elapsed() >= wait) => return true,
            Ok(found) => {
                for id in found.into_iter().filter_map(|container| container.id) {
                    found_any = true;
                    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                    // The next look tells whether it worked.
                    let removed = engine.remove_container(&id, Some(options)).await;
                    tracing::debug!(%id, ?removed, "removing a container");
                }
            }
            Err(error) => tracing::debug!(%error, "cannot list containers"),
        }
        if began.elapsed() >= wait + REMOVE_MAX {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_arguments_are_no_order() {
        let asked = |args: &[&str]| run_reaper_if_asked(args.iter().map(OsString::from)).is_some();
        assert!(!asked(&[]));
        assert!(!asked(&["harness"]));
        assert!(!asked(&["harness", "--list"]));
        assert!(!asked(&["harness", REAPER_ARG]));
    }
}
