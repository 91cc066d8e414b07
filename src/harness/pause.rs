//! `--pause`: shows a trial that has failed as it is, and waits until somebody has looked at it.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::kept::{Left, client, url};
use super::looking::Looking;
use super::output::say;
use crate::history::History;
use crate::plan::{Mode, TrialPlan};
use crate::report::{rendered, timeline};
use crate::run::{Held, Holder};
use crate::source::RenderStyle;
use crate::sql::redact;
use crate::verdict::{Verdict, judge, so_far};

/// Holds the trials of a run, one at a time.
#[derive(Debug)]
pub(super) struct Pause {
    style: RenderStyle,
    looking: Arc<Looking>,
    /// One for each line of standard input, from when it is first asked for.
    lines: Mutex<Option<mpsc::UnboundedReceiver<()>>>,
}

impl Pause {
    pub fn new(style: RenderStyle, looking: Arc<Looking>) -> Self {
        Self {
            style,
            looking,
            lines: Mutex::new(None),
        }
    }

    /// Leaves the run's server as it is for whoever wants to look at what failed trials left on it.
    pub async fn stay(&self, left: &[(String, Left)]) {
        let mut lines = self.lines.lock().await;
        say("\n--keep-db: the run's server stays for a look at it, and ends with this process.");
        for (name, left) in left {
            say(&format!("{name}: {}", left.databases.join(", ")));
        }
        if let Some((_, left)) = left.first() {
            say(&format!("{}\n  {}", client(&left.config), url(&left.config)));
        }
        self.wait(&mut lines, "ends it").await;
    }

    /// Waits for Enter or Ctrl-C.
    async fn wait(&self, lines: &mut Option<mpsc::UnboundedReceiver<()>>, what: &str) {
        let lines = lines.get_or_insert_with(lines_of_input);
        // What was typed before is no answer to this.
        let mut open = true;
        while open {
            match lines.try_recv() {
                Ok(()) => {}
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => open = false,
            }
        }
        self.looking.begin();
        say(&if open {
            format!("Enter or Ctrl-C {what}")
        } else {
            format!("Ctrl-C {what} (standard input has ended)")
        });
        loop {
            tokio::select! {
                () = self.looking.ctrl_c() => break,
                line = lines.recv(), if open => match line {
                    Some(()) => break,
                    None => {
                        open = false;
                        say(&format!("standard input has ended: Ctrl-C {what}"));
                    }
                },
            }
        }
        self.looking.end();
    }
}

/// Whether somebody can be asked: what runs without a terminal must not wait for one.
pub(super) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

#[async_trait]
impl Holder for Pause {
    fn failure(&self, plan: &TrialPlan, history: &History, ended: bool) -> Option<String> {
        let findings = if ended {
            match judge(plan, history) {
                Verdict::Passed => return None,
                Verdict::Failed(findings) => findings,
            }
        } else {
            so_far(plan, history)
        };
        if findings.is_empty() {
            return None;
        }
        let findings = findings.iter().map(|finding| rendered(plan, finding, self.style));
        let mut parts: Vec<String> = findings.collect();
        parts.push(timeline(plan, history));
        Some(redact(&parts.join("\n\n"), &plan.secrets))
    }

    async fn hold(&self, plan: &TrialPlan, held: Held) {
        // One at a time: there is one keyboard.
        let mut lines = self.lines.lock().await;
        say(&redact(&text(plan, &held), &plan.secrets));
        self.wait(&mut lines, "goes on").await;
        say(&format!("{}: goes on", plan.name));
    }
}

/// Reads standard input in a thread of its own: a read cannot be given up.
fn lines_of_input() -> mpsc::UnboundedReceiver<()> {
    let (lines, heard) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) && lines.send(()).is_ok() {
            line.clear();
        }
    });
    heard
}

/// How a trial that is held is shown.
fn text(plan: &TrialPlan, held: &Held) -> String {
    let mut text = format!("{}\n\n{} is held as it is.\n", held.failure, plan.name);
    let database = held.databases.first().map_or("", String::as_str);
    for (number, (name, config)) in held.servers.iter().enumerate() {
        let of = name
            .as_ref()
            .map(|name| format!(" (server `{name}`)"))
            .unwrap_or_default();
        // The trial's own tables are on the first one; what connections of others use is there.
        let database = if number == 0 {
            format!(" {database}")
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "look at it{of}: {}{database}\n  {}",
            client(config),
            url(config)
        );
    }
    let _ = writeln!(text, "databases: {}", held.databases.join(", "));
    if held.connections.is_empty() {
        let why = match plan.mode {
            Mode::Concurrent(_) => "its connections run by themselves, and have ended",
            Mode::Scripted | Mode::Explored(_) => "its steps have ended",
            Mode::Workload(_) => "its transactions have ended",
        };
        let _ = writeln!(
            text,
            "sessions: none any more: {why}. The tables are as the final checks saw them."
        );
        return text;
    }
    for own in &held.connections {
        let session = match own.session {
            Some(session) => format!("connection id {session}"),
            None => "no session".to_owned(),
        };
        let _ = writeln!(text, "{}: {session}; {}", own.name, own.doing);
        for one in &own.holds {
            let _ = writeln!(text, "  holds {one}");
        }
    }
    if held.connections.iter().any(|own| own.doing.starts_with("runs")) {
        let seconds = held.lock_wait_seconds.as_deref().unwrap_or("?");
        let _ = writeln!(
            text,
            "A statement that waits for a row's lock is ended by the server after innodb_lock_wait_timeout ({seconds} s, \
             unless its session has set another)."
        );
    }
    text.push_str(
        "All locks of a row are not listed by TiDB: information_schema.data_lock_waits shows those that somebody waits for.\n",
    );
    text
}
