//! A runner for a command that is no run of libtest.

use std::process::ExitCode;
use std::sync::Arc;

use super::output::complain;
use super::runner::Runner;
use super::servers::Gently;
use crate::connection::UrlTarget;
use crate::server::{ProviderKind, ServerSettings};

/// A runner for this process's server, and one for another server by its URL.
pub(super) fn with_runner(
    with: Option<&str>,
    gently: bool,
    work: impl AsyncFnOnce(&Runner, Option<&Runner>) -> ExitCode,
) -> ExitCode {
    super::environment::init_tracing();
    let mut settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return complain(&error.to_string()),
    };
    settings.reaper = std::env::current_exe().ok();
    if let Some(Err(error)) = with.map(|url| UrlTarget::parse(url, None)) {
        return complain(&format!("--with: {error}"));
    }
    let other = with.map(|url| {
        Runner::new(ServerSettings {
            provider: Some(ProviderKind::Url),
            url: Some(url.to_owned()),
            ..settings.clone()
        })
    });
    let runner = Runner::new(settings);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start the runtime: {error}")),
    };
    let gently = gently.then(|| Gently {
        stop: Arc::clone(&runner.stop),
        what: "orders",
        last_words: None,
    });
    runner.servers.watch_for_signals(runtime.handle(), gently, None);
    let code = runtime.block_on(work(&runner, other.as_ref()));
    runtime.block_on(runner.stop());
    if let Some(other) = other {
        runtime.block_on(other.stop());
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    code
}
