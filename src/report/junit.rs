//! Trials as JUnit XML.

use std::time::{Duration, SystemTime};

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::trial_report::{TrialOutcome, TrialReport};

/// The text of the XML file. `suite` is the name of the only suite; `whole` is how long the run took.
#[must_use]
pub fn junit(suite: &str, trials: &[TrialReport], whole: Duration, interrupted: bool) -> String {
    let mut cases = TestSuite::new(suite);
    cases.set_time(whole);
    if interrupted {
        cases.add_property(Property::new("interrupted", "true"));
    }
    let servers: std::collections::BTreeSet<&str> =
        trials.iter().filter_map(|one| one.server.as_deref()).collect();
    for server in servers {
        cases.add_property(Property::new("server", server));
    }
    let began: Option<SystemTime> = trials.iter().filter_map(|one| one.started).min();
    for trial in trials {
        cases.add_test_case(case(trial));
    }
    let mut report = Report::new("tidb-scenarios");
    report.set_time(whole);
    if let Some(began) = began {
        let seconds = began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        cases
            .extra
            .insert("started_unix_ms".into(), seconds.as_millis().to_string().into());
    }
    report.add_test_suite(cases);
    // It is written into memory; what cannot be in XML has been taken out by the library.
    report.to_string().unwrap_or_default()
}

fn case(trial: &TrialReport) -> TestCase {
    let (line, column) = trial.place();
    let mut status = match trial.outcome {
        TrialOutcome::Passed => TestCaseStatus::success(),
        TrialOutcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        TrialOutcome::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        TrialOutcome::Ignored | TrialOutcome::NotRun => TestCaseStatus::skipped(),
    };
    match trial.outcome {
        TrialOutcome::Passed => {}
        TrialOutcome::Failed | TrialOutcome::Error => {
            let kind = match trial.outcome {
                TrialOutcome::Failed => "expectation",
                _ => "error",
            };
            status.set_type(kind).set_message(trial.headline());
            status.set_description(format!(
                "{}:{line}:{column}\n{}",
                trial.file,
                trial.failure.as_deref().unwrap_or_default()
            ));
        }
        TrialOutcome::Ignored | TrialOutcome::NotRun => {
            status.set_message(trial.reason.as_deref().unwrap_or_default());
        }
    }
    let mut case = TestCase::new(trial.name.as_str(), status);
    // Those who show trees split at the class: the folders, for `locking::second_writer_waits`.
    let class = trial.name.rsplit_once("::").map_or("", |(folders, _)| folders);
    case.set_classname(if class.is_empty() { "scenarios" } else { class });
    case.set_time(trial.took());
    case.extra.insert("file".into(), trial.file.as_str().into());
    case.extra.insert("line".into(), line.to_string().into());
    case
}

#[cfg(test)]
mod tests {
    use super::super::trial_report::samples::{NASTY, nasty};
    use super::*;

    #[test]
    fn what_no_xml_can_hold_is_escaped_or_taken_out() {
        let trials: Vec<TrialReport> = TrialOutcome::ALL.into_iter().map(nasty).collect();
        let text = junit(NASTY, &trials, Duration::from_secs(2), true);
        // A reader that knows nothing of who wrote it, and is not lenient.
        let report = Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!((report.tests, report.failures, report.errors), (5, 1, 1));
        let suite = &report.test_suites[0];
        assert_eq!(text.matches("<skipped").count(), 2, "{text}");
        for raw in ["]]>", "</script>", "\u{1b}", "\u{0}", "\u{8}", "[31m"] {
            assert!(!text.contains(raw), "{raw:?} is left in:\n{text}");
        }
        let failed = suite.test_cases.iter().find(|case| {
            matches!(
                case.status,
                TestCaseStatus::NonSuccess {
                    kind: NonSuccessKind::Failure,
                    ..
                }
            )
        });
        let TestCaseStatus::NonSuccess { description, .. } = &failed.expect("a failure").status else {
            panic!("a failure");
        };
        let description = description.as_ref().expect("its text").as_str();
        assert!(description.starts_with("a/b, c:d.yaml:3:5\n"), "{description}");
        assert!(description.contains("]]> </script>"), "{description}");
        let attributes = &failed.expect("a failure").extra;
        assert_eq!(attributes["line"].as_str(), "3");
        assert_eq!(attributes["file"].as_str(), "a/b, c:d.yaml");
        assert_eq!(failed.expect("a failure").time, Some(Duration::from_millis(250)));
    }

    #[test]
    fn the_class_is_the_folder() {
        let mut trial = nasty(TrialOutcome::Passed);
        for (name, class) in [
            ("locking::waits", "locking"),
            ("a::b::c", "a::b"),
            ("waits", "scenarios"),
        ] {
            trial.name = name.to_owned();
            let case = case(&trial);
            assert_eq!(case.classname.expect("a class").as_str(), class);
        }
    }
}
