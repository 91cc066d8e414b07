//! The run's server: started once, when the first trial needs it, and stopped before the exit code is
//! returned.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};

use super::kept::Left;
use super::looking::Looking;
use super::undo::Undo;
use crate::server::{Choice, ProviderKind, Server, ServerSettings, ServerSpec, choose};
use crate::server_state::{Left as NotSetBack, mend};
use crate::turns::Turns;

/// The exit code after Ctrl-C.
pub(super) const INTERRUPTED: u8 = 130;
/// The exit code after SIGTERM.
pub(super) const TERMINATED: u8 = 143;
/// How long it may take to end by oneself.
const GENTLY_MAX: Duration = Duration::from_secs(20);

/// Longer than what is done after a signal may take.
const SIGNAL_MAX: Duration = Duration::from_secs(30);

/// Who ends by itself after the first Ctrl-C.
pub(super) struct Gently {
    /// Is set then.
    pub stop: Arc<AtomicBool>,
    /// What is not begun any more.
    pub what: &'static str,
    /// Says what is known so far, where it has to be ended all the same.
    pub last_words: Option<Box<dyn Fn() + Send + Sync>>,
}

pub(super) struct Servers {
    pub settings: ServerSettings,
    choice: OnceCell<Result<Choice, String>>,
    shared: Mutex<Option<Result<Arc<Server>, String>>>,
    given_up: Mutex<Vec<Arc<Server>>>,
    /// Whose turn it is.
    pub turns: Turns,
    /// To what the run's server is to be set back.
    pub undo: Mutex<Option<Undo>>,
    /// Whether a signal is ending the process.
    interrupted: AtomicBool,
    /// What is done first when a signal ends the process.
    on_signal: OnceLock<Box<dyn Fn() + Send + Sync>>,
    run: String,
    next: AtomicU64,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Servers {
    pub fn new(settings: ServerSettings) -> Self {
        let random: u32 = rand::random();
        Self {
            settings,
            choice: OnceCell::new(),
            shared: Mutex::new(None),
            given_up: Mutex::new(Vec::new()),
            turns: Turns::default(),
            undo: Mutex::new(None),
            interrupted: AtomicBool::new(false),
            on_signal: OnceLock::new(),
            run: format!("tsc_{:x}_{random:08x}", std::process::id()),
            next: AtomicU64::new(1),
        }
    }

    /// A name that no other run and no other trial has.
    pub fn database(&self) -> String {
        format!("{}_{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Which provider is taken; says so once.
    pub async fn choice(&self) -> Result<Choice, String> {
        let choice = self
            .choice
            .get_or_init(|| async {
                let choice = choose(&self.settings).await.map_err(|error| error.to_string())?;
                super::output::say(&choice.line);
                Ok(choice)
            })
            .await;
        choice.clone()
    }

    /// The run's server.
    pub async fn shared(&self) -> Result<Arc<Server>, String> {
        let choice = self.choice().await?;
        if let Some(Ok(server)) = self.current().await
            && choice.kind != ProviderKind::Url
            && !server.is_alive().await
        {
            self.give_up(&server).await;
        }
        let mut shared = self.shared.lock().await;
        if shared.is_none() {
            let result = Server::start(&self.settings, choice.kind, &ServerSpec::default()).await;
            let result = result.map(Arc::new).map_err(|error| with_causes(&error));
            if let (Ok(server), ProviderKind::Url) = (&result, choice.kind) {
                set_back_what_others_left(server).await;
            }
            *shared = Some(result);
        }
        match shared.as_ref() {
            Some(result) => result.clone(),
            None => Err("the server was stopped".to_owned()),
        }
    }

    async fn current(&self) -> Option<Result<Arc<Server>, String>> {
        self.shared.lock().await.clone()
    }

    /// Those of these that are on the run's server, which answers still.
    pub async fn on_shared(&self, left: Vec<(String, Left)>) -> Vec<(String, Left)> {
        let Some(Ok(server)) = self.current().await else {
            return Vec::new();
        };
        if server.kind() == ProviderKind::Url || !server.is_alive().await {
            return Vec::new();
        }
        left.into_iter()
            .filter(|(_, left)| left.config == *server.config())
            .collect()
    }

    /// Gives up a server that is gone: the next trial gets a new one. What the others of its trials say is
    /// theirs.
    pub async fn give_up(&self, dead: &Arc<Server>) {
        let mut shared = self.shared.lock().await;
        if dead.kind() != ProviderKind::Url
            && matches!(&*shared, Some(Ok(server)) if Arc::ptr_eq(server, dead))
        {
            super::output::say("the server is gone; the next trial starts another one");
            *shared = None;
            self.given_up.lock().await.push(Arc::clone(dead));
        }
    }

    /// Sets back what a trial has changed of the run's server, if that has not been done.
    pub async fn set_back(&self) -> (Vec<String>, Vec<NotSetBack>) {
        match self.undo.lock().await.take() {
            Some(undo) => undo.end().await,
            None => (Vec::new(), Vec::new()),
        }
    }

    /// The same for a run that is being ended.
    async fn set_back_now(&self) {
        let undo = self.undo.lock().await.take();
        let Some(undo) = undo.filter(Undo::is_of_a_server_that_stays) else {
            return;
        };
        let (back, left) = undo.end_now().await;
        if !back.is_empty() {
            super::output::say(&format!("set back: {}", back.join(", ")));
        }
        for NotSetBack { message, reason, .. } in left {
            super::output::say(&format!("warning: {message}: {reason}"));
        }
    }

    /// What is to be done first when a signal ends the process; said once.
    pub fn on_signal(&self, first: impl Fn() + Send + Sync + 'static) {
        drop(self.on_signal.set(Box::new(first)));
    }

    /// Does not return where a signal is ending the process: whoever has nothing more to do must not end it first, with
    /// another code and before the server is set back.
    pub async fn leave_to_signal(&self) {
        if self.interrupted.load(Ordering::SeqCst) {
            tokio::time::sleep(SIGNAL_MAX).await;
        }
    }

    /// Stops the run's server, and removes what is left of those that were given up.
    pub async fn stop(&self) {
        let server = self.shared.lock().await.take().and_then(Result::ok);
        let given_up = std::mem::take(&mut *self.given_up.lock().await);
        for server in given_up.into_iter().chain(server) {
            match Arc::try_unwrap(server) {
                Ok(server) => {
                    if let Err(error) = server.stop().await {
                        super::output::say(&format!("warning: {}", with_causes(&error)));
                    }
                }
                // A trial that is still running holds it; it ends with the process.
                Err(server) => drop(server),
            }
        }
    }

    /// On Ctrl-C or SIGTERM: the process ends with 130 or 143, and what ends the server with its process
    /// does its work.
    ///
    /// While somebody looks at a trial, a Ctrl-C only ends that. With `gently`, the first Ctrl-C sets its `stop`, and whoever heeds it has a while to end by itself.
    pub fn watch_for_signals(
        self: &Arc<Self>,
        runtime: &tokio::runtime::Handle,
        gently: Option<Gently>,
        looking: Option<Arc<Looking>>,
    ) {
        let servers = Arc::clone(self);
        runtime.spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            let (mut code, gently_now) = loop {
                tokio::select! {
                    _ = interrupt.recv() => {
                        if !looking.as_ref().is_some_and(|looking| looking.takes_ctrl_c()) {
                            break (INTERRUPTED, gently.as_ref());
                        }
                    }
                    _ = terminate.recv() => break (TERMINATED, None),
                }
            };
            if let Some(Gently { stop, what, .. }) = gently_now {
                stop.store(true, Ordering::Relaxed);
                super::output::say(&format!(
                    "interrupted: no more {what} are begun; once more to end at once"
                ));
                code = tokio::select! {
                    _ = interrupt.recv() => INTERRUPTED,
                    _ = terminate.recv() => TERMINATED,
                    () = tokio::time::sleep(GENTLY_MAX) => code,
                };
            }
            servers.interrupted.store(true, Ordering::SeqCst);
            if let Some(first) = servers.on_signal.get() {
                first();
            }
            super::output::say("interrupted: stopping the server");
            if let Some(last_words) = gently.and_then(|gently| gently.last_words) {
                last_words();
            }
            // What a trial has changed of a server that stays comes first.
            drop(tokio::time::timeout(Duration::from_secs(10), servers.set_back_now()).await);
            drop(tokio::time::timeout(Duration::from_secs(10), servers.stop()).await);
            std::process::exit(code.into());
        });
    }
}

/// A run that was killed may have left the server changed.
async fn set_back_what_others_left(server: &Server) {
    match mend(server.config(), server.options()).await {
        Ok(lines) => lines.iter().for_each(|line| super::output::say(line)),
        Err(reason) => super::output::say(&format!(
            "warning: it cannot be told whether a run that was killed has left this server changed: {reason}"
        )),
    }
}

/// An error with what caused it.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let why = inner.to_string();
        // Some say it themselves.
        if !text.ends_with(&why) {
            text.push_str(&format!(": {why}"));
        }
        cause = inner.source();
    }
    text
}
