//! Shows work that takes long: a spinner on a terminal, a quiet line now and then elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long work is silent where there is no terminal.
const QUIET: Duration = Duration::from_secs(30);

/// Where building and pulling are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// On standard error: a spinner if that is a terminal, otherwise a line at the start, every
    /// 30 seconds and at the end.
    #[default]
    Stderr,
    /// Nowhere.
    Silent,
}

impl Progress {
    pub(super) fn begin(self, what: impl Into<String>) -> Task {
        let what = what.into();
        let terminal = io::stderr().is_terminal();
        let bar = (self == Self::Stderr && terminal).then(|| {
            let bar = ProgressBar::new_spinner().with_message(what.clone());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let task = Task {
            lines: self == Self::Stderr && !terminal,
            shown: self == Self::Stderr,
            began: Instant::now(),
            spoke: Instant::now(),
            what,
            bar,
        };
        if task.lines {
            say(&format!("{} …", task.what));
        }
        task
    }
}

/// One piece of work that is shown until it is dropped.
pub(super) struct Task {
    what: String,
    began: Instant,
    spoke: Instant,
    lines: bool,
    shown: bool,
    bar: Option<ProgressBar>,
}

impl Task {
    /// Says how far the work is, in a few words.
    pub(super) fn update(&mut self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {detail}", self.what));
        } else if self.lines && self.spoke.elapsed() >= QUIET {
            self.spoke = Instant::now();
            say(&format!(
                "{} … {detail} ({} s)",
                self.what,
                self.began.elapsed().as_secs()
            ));
        }
    }

    /// Says that the work is done, and how long it took.
    pub(super) fn done(mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.shown {
            say(&format!(
                "{}: done in {:.1} s",
                self.what,
                self.began.elapsed().as_secs_f64()
            ));
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// One line on standard error; that nobody reads it is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
