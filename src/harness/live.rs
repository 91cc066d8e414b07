//! The status of connections that run freely, while they do: a line for each trial on a terminal, a quiet line
//! now and then elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::output::say;
use crate::history::Status;
use crate::run::{Live, LiveStatus};

/// A trial that is over sooner is not shown at all.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// How long a trial is silent where there is no terminal.
const QUIET: Duration = Duration::from_secs(15);
/// At most this many names of each kind stand in the line.
const NAMES_MAX: usize = 4;

/// What is shown of the trials that run.
#[derive(Debug)]
pub(super) struct View {
    bars: MultiProgress,
    terminal: bool,
    trials: Mutex<BTreeMap<String, Shown>>,
}

#[derive(Debug)]
struct Shown {
    began: Instant,
    spoke: Instant,
    bar: Option<ProgressBar>,
}

impl View {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            bars: MultiProgress::new(),
            terminal: std::io::stderr().is_terminal(),
            trials: Mutex::default(),
        })
    }

    /// Shows on this view what a run tells.
    pub fn live(self: &Arc<Self>) -> Live {
        let view = Arc::clone(self);
        Live::new(move |status| view.show(status))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, status: &LiveStatus) {
        let mut trials = self.lock();
        if status.ended {
            if let Some(bar) = trials.remove(&status.trial).and_then(|shown| shown.bar) {
                bar.finish_and_clear();
            }
            return;
        }
        let shown = trials.entry(status.trial.clone()).or_insert_with(|| Shown {
            began: Instant::now(),
            spoke: Instant::now(),
            bar: None,
        });
        if shown.began.elapsed() < SHOWN_AFTER {
            return;
        }
        if self.terminal {
            let bar = shown.bar.get_or_insert_with(|| self.bars.add(bar()));
            bar.set_message(line(status));
            bar.tick();
        } else if shown.spoke.elapsed() >= QUIET {
            shown.spoke = Instant::now();
            say(&format!(
                "running for {} s: {}",
                shown.began.elapsed().as_secs(),
                line(status)
            ));
        }
    }

    /// Makes room for a line of results; what still runs is drawn again below it.
    pub fn make_room(&self) {
        let _trials = self.lock();
        if self.terminal {
            // A terminal that cannot be cleared shows one line too many.
            drop(self.bars.clear());
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    match ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The status in one line, what matters most first.
fn line(status: &LiveStatus) -> String {
    let all = status.connections.len();
    let with = |wanted: Status| status.connections.iter().filter(move |own| own.status == wanted);
    let mut parts = vec![format!("{} of {all} completed", with(Status::Completed).count())];
    let list = |names: Vec<String>| {
        let more = names.len().saturating_sub(NAMES_MAX);
        let mut listed: Vec<String> = names.into_iter().take(NAMES_MAX).collect();
        if more > 0 {
            listed.push(format!("{more} more"));
        }
        listed.join(", ")
    };
    let names = |of: &mut dyn Iterator<Item = String>| of.collect::<Vec<String>>();
    let failed = names(&mut with(Status::Failed).map(|own| own.name.clone()));
    let blocked = status.connections.iter().filter(|own| own.blocked);
    let blocked = names(&mut blocked.map(|own| own.name.clone()));
    let gone = status.connections.iter().filter(|own| own.gone);
    let gone = names(&mut gone.map(|own| own.name.clone()));
    let at = with(Status::Testing).filter(|own| !own.blocked && !own.gone);
    let at = names(&mut at.map(|own| format!("{} in {}", own.name, own.state)));
    for (word, names) in [
        ("failed: ", failed),
        ("blocked: ", blocked),
        ("session gone: ", gone),
        ("", at),
    ] {
        if !names.is_empty() {
            parts.push(format!("{word}{}", list(names)));
        }
    }
    let mut events: Vec<(&str, usize)> = Vec::new();
    for event in &status.events {
        match events.iter_mut().find(|(name, _)| name == event) {
            Some((_, times)) => *times += 1,
            None => events.push((event, 1)),
        }
    }
    if !events.is_empty() {
        let newest = events.iter().rev().map(|(name, times)| match times {
            1 => (*name).to_owned(),
            times => format!("{name} ×{times}"),
        });
        parts.push(format!("events: {}", list(newest.collect())));
    }
    format!("{}: {}", status.trial, parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::LiveConnection;

    #[test]
    fn the_line_says_who_is_where() {
        let connection = |name: &str, status, state: &str, blocked| LiveConnection {
            name: name.to_owned(),
            status,
            state: state.to_owned(),
            blocked,
            gone: false,
        };
        let status = LiveStatus {
            trial: "a::b".to_owned(),
            ended: false,
            connections: vec![
                connection("one", Status::Completed, "completed", false),
                connection("two", Status::Testing, "update", true),
                connection("three", Status::Testing, "watch", false),
                connection("four", Status::Failed, "failed", false),
            ],
            events: ["go", "done", "done"].map(str::to_owned).to_vec(),
        };
        assert_eq!(
            line(&status),
            "a::b: 1 of 4 completed; failed: four; blocked: two; three in watch; events: done ×2, go"
        );
    }
}
