//! `serve`: a server to look at and to run scenarios on, until Ctrl-C.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::kept::{client, url};
use super::output::{complain, say};
use super::server_log::LOG_LINES;
use super::servers::{INTERRUPTED, TERMINATED, with_causes};
use crate::server::{ProviderKind, Server, ServerSettings, ServerSpec, choose};

/// How often it is looked whether the server still runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Starts a server as a run would, prints where it is, and stops it at Ctrl-C or SIGTERM.
#[must_use]
pub fn serve() -> ExitCode {
    super::environment::init_tracing();
    let mut settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return complain(&error.to_string()),
    };
    settings.reaper = std::env::current_exe().ok();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start the runtime: {error}")),
    };
    let code = runtime.block_on(async {
        match Signals::new() {
            Ok(mut signals) => served(&settings, &mut signals).await,
            Err(error) => complain(&format!("cannot listen for signals: {error}")),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    code
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPTED,
            _ = self.terminate.recv() => TERMINATED,
        }
    }
}

async fn served(settings: &ServerSettings, signals: &mut Signals) -> ExitCode {
    let started = tokio::select! {
        started = start(settings) => started,
        // What was begun ends with its future, and with this process.
        code = signals.next() => return ExitCode::from(code),
    };
    let server = match started {
        Ok(server) => server,
        Err(message) => return complain(&message),
    };
    let shown = format!("TIDB_URL={}\n{}\n", url(server.config()), client(server.config()));
    let mut out = std::io::stdout();
    if let Err(error) = out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
        say(&format!("warning: cannot print where it is: {error}\n{shown}"));
    }
    if server.kind() == ProviderKind::Url {
        say("this server runs already, and is not ours to stop");
        return ExitCode::SUCCESS;
    }
    say(&format!(
        "{} answers. Ctrl-C stops it, and its data end with it",
        server.title()
    ));
    let ended = loop {
        tokio::select! {
            // To stop it is what was wanted.
            _ = signals.next() => break ExitCode::SUCCESS,
            () = tokio::time::sleep(LOOK_EVERY) => if !server.is_alive().await {
                let log = server.log_tail(LOG_LINES).await.unwrap_or_default();
                break complain(&format!("the server has ended by itself; the end of its log:\n{log}"));
            },
        }
    };
    match server.stop().await {
        Ok(()) => ended,
        Err(error) => complain(&with_causes(&error)),
    }
}

async fn start(settings: &ServerSettings) -> Result<Server, String> {
    let choice = choose(settings).await.map_err(|error| error.to_string())?;
    say(&choice.line);
    let server = Server::start(settings, choice.kind, &ServerSpec::default()).await;
    server.map_err(|error| with_causes(&error))
}
