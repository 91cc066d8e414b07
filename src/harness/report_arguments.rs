//! The flags and variables that say which reports are written, and what is shown of timelines.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// Files that take reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ReportArguments {
    /// Write the results as JUnit XML into this file.
    #[arg(long, display_order = 0, value_name = "FILE")]
    pub report_junit: Option<PathBuf>,
    /// Write the results into this file, one line of JSON for each trial.
    #[arg(long, display_order = 0, value_name = "FILE")]
    pub report_json: Option<PathBuf>,
    /// Write the results into this file as a page for a browser, with the timeline of each trial.
    #[arg(long, display_order = 0, value_name = "FILE")]
    pub report_html: Option<PathBuf>,
    /// Show only these connections in timelines, such as `alice,bob`; `worker` is also `worker.0` and the like.
    #[arg(long, display_order = 0, value_name = "CONNECTION,…", value_delimiter = ',')]
    pub timeline: Vec<String>,
    /// Print the slowest trials at the end with their times, 10 or as many as are asked for with `--slow=NUMBER`.
    #[arg(
        long,
        display_order = 0,
        value_name = "NUMBER",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10"
    )]
    pub slow: Option<usize>,
}

impl ReportArguments {
    /// The same as flags.
    #[must_use]
    pub fn to_flags(&self) -> Vec<OsString> {
        let files = [
            ("--report-junit", &self.report_junit),
            ("--report-json", &self.report_json),
            ("--report-html", &self.report_html),
        ];
        let given = files
            .into_iter()
            .filter_map(|(flag, file)| Some((flag, file.as_ref()?)));
        let only =
            (!self.timeline.is_empty()).then(|| format!("--timeline={}", self.timeline.join(",")).into());
        given
            .flat_map(|(flag, file)| [OsString::from(flag), file.clone().into_os_string()])
            .chain(only)
            .chain(self.slow.map(|number| format!("--slow={number}").into()))
            .collect()
    }

    /// What the flags leave out is taken from the environment, which reaches every target of `cargo test`.
    pub(super) fn or_environment(self, var: impl Fn(&str) -> Option<OsString>) -> Self {
        let file = |flag: Option<PathBuf>, variable: Option<OsString>| {
            flag.or_else(|| variable.filter(|file| !file.is_empty()).map(PathBuf::from))
        };
        Self {
            report_junit: file(self.report_junit, var("TIDB_SCENARIOS_REPORT_JUNIT")),
            report_json: file(self.report_json, var("TIDB_SCENARIOS_REPORT_JSON")),
            report_html: file(self.report_html, var("TIDB_SCENARIOS_REPORT_HTML")),
            timeline: self.timeline,
            slow: self.slow,
        }
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.report_junit, &self.report_json, &self.report_html]
            .into_iter()
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_stronger_than_the_environment() {
        let flags = ReportArguments {
            report_junit: Some("flag.xml".into()),
            timeline: vec!["alice".to_owned(), "bob".to_owned()],
            slow: Some(3),
            ..ReportArguments::default()
        };
        let all = flags.or_environment(|name| match name {
            "TIDB_SCENARIOS_REPORT_HTML" => Some(OsString::new()),
            name => Some(name.to_lowercase().into()),
        });
        assert_eq!(all.report_junit, Some("flag.xml".into()));
        assert_eq!(all.report_json, Some("tidb_scenarios_report_json".into()));
        assert_eq!(all.report_html, None, "an empty variable is none");
        assert_eq!(
            all.to_flags(),
            [
                "--report-junit",
                "flag.xml",
                "--report-json",
                "tidb_scenarios_report_json",
                "--timeline=alice,bob",
                "--slow=3"
            ]
        );
    }
}
