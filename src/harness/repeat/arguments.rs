//! The flags for several tries, and their twins in the environment.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use crate::source::read::duration_of;

/// The flags for several tries of each trial.
#[derive(Debug, Clone, Default, Args)]
pub struct RepeatArguments {
    /// Run each trial so often, and say how many of its tries failed.
    #[arg(long, display_order = 0, value_name = "N")]
    repeat: Option<NonZeroU32>,
    /// Run each trial again until a try fails.
    #[arg(long, display_order = 0)]
    until_fail: bool,
    /// Run each trial again for so long, such as 90s or 10m; the time of each begins with its first try.
    #[arg(long, display_order = 0, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Run a trial that fails again, so many times at most; one that passes then is told as flaky.
    #[arg(long, display_order = 0, value_name = "N", conflicts_with_all = ["repeat", "until_fail", "duration"])]
    retries: Option<u32>,
    /// A flaky trial is a failed one.
    #[arg(long, display_order = 0)]
    fail_flaky: bool,
    /// The seed of workloads, of sampled orders and of pauses before retries, in place of the file's; each further try has the
    /// next one.
    #[arg(long, display_order = 0, value_name = "NUMBER")]
    seed: Option<u64>,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match duration_of(text) {
        Ok(duration) if duration.is_zero() => Err("it must be longer than 0".to_owned()),
        Ok(duration) => Ok(duration),
        Err(problem) => Err(format!("{problem}; units: us, ms, s, m, h")),
    }
}

/// How a run tries each trial.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tries {
    pub mode: Mode,
    /// In place of the seeds of the files.
    pub seed: Option<u64>,
}

/// When a trial is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Never.
    #[default]
    Once,
    /// Whatever comes of it, until one of these is reached.
    Repeat {
        times: Option<NonZeroU32>,
        duration: Option<Duration>,
        until_fail: bool,
    },
    /// After a failure, so many times at most.
    Retries { most: u32, fail_flaky: bool },
}

impl RepeatArguments {
    /// The same flags as a command line has them.
    #[must_use]
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                args.extend([OsString::from(name), OsString::from(value)]);
            }
        };
        flag("--repeat", self.repeat.map(|times| times.to_string()));
        flag(
            "--duration",
            self.duration.map(|time| format!("{}us", time.as_micros())),
        );
        flag("--retries", self.retries.map(|most| most.to_string()));
        flag("--seed", self.seed.map(|seed| seed.to_string()));
        args.extend(self.until_fail.then(|| OsString::from("--until-fail")));
        args.extend(self.fail_flaky.then(|| OsString::from("--fail-flaky")));
        args
    }

    /// Whether the seed is asked for by its flag.
    pub(crate) fn names_a_seed(&self) -> bool {
        self.seed.is_some()
    }

    /// What the flags say, and where they say nothing the environment. A flag for when to try again takes the place of
    /// all variables for that.
    ///
    /// # Errors
    /// A variable that has no sense, or two things that exclude each other.
    pub(crate) fn with_env(&self, get: impl Fn(&str) -> Option<String>) -> Result<Tries, String> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let on = |value: String| value != "0";
        let mut own = self.clone();
        let silent =
            own.repeat.is_none() && !own.until_fail && own.duration.is_none() && own.retries.is_none();
        if silent {
            own.repeat = number(
                "TIDB_SCENARIOS_REPEAT",
                get("TIDB_SCENARIOS_REPEAT"),
                "a number from 1 on",
            )?;
            own.until_fail = get("TIDB_SCENARIOS_UNTIL_FAIL").is_some_and(on);
            own.duration = match get("TIDB_SCENARIOS_DURATION") {
                Some(text) => Some(
                    parse_duration(&text)
                        .map_err(|problem| format!("TIDB_SCENARIOS_DURATION is `{text}`: {problem}"))?,
                ),
                None => None,
            };
            own.retries = number(
                "TIDB_SCENARIOS_RETRIES",
                get("TIDB_SCENARIOS_RETRIES"),
                "a number",
            )?;
        }
        own.fail_flaky |= get("TIDB_SCENARIOS_FAIL_FLAKY").is_some_and(on) && own.retries.is_some();
        if own.seed.is_none() {
            own.seed = number("TIDB_SCENARIOS_SEED", get("TIDB_SCENARIOS_SEED"), "a number")?;
        }
        let repeats = own.repeat.is_some() || own.until_fail || own.duration.is_some();
        let mode = match own.retries {
            Some(_) if repeats => {
                return Err(
                    "TIDB_SCENARIOS_RETRIES cannot be used with TIDB_SCENARIOS_REPEAT, TIDB_SCENARIOS_UNTIL_FAIL or \
                     TIDB_SCENARIOS_DURATION: unset one of them"
                        .to_owned(),
                );
            }
            None if own.fail_flaky => {
                return Err("--fail-flaky needs --retries: without it no trial is tried again".to_owned());
            }
            Some(most) => Mode::Retries {
                most,
                fail_flaky: own.fail_flaky,
            },
            None if repeats => Mode::Repeat {
                times: own.repeat,
                duration: own.duration,
                until_fail: own.until_fail,
            },
            None => Mode::Once,
        };
        Ok(Tries { mode, seed: own.seed })
    }
}

fn number<T: std::str::FromStr>(name: &str, text: Option<String>, wanted: &str) -> Result<Option<T>, String> {
    match text {
        Some(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{name} is `{text}`; it must be {wanted}")),
        },
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        own: RepeatArguments,
    }

    fn read(args: &str, env: &[(&str, &str)]) -> Result<Tries, String> {
        let args = std::iter::once("x").chain(args.split_whitespace());
        let line = Line::try_parse_from(args).map_err(|error| error.to_string())?;
        // What `run` hands on is read as the same.
        let again = std::iter::once(OsString::from("x")).chain(line.own.to_args());
        let again = Line::try_parse_from(again).map_err(|error| error.to_string())?;
        assert_eq!(format!("{:?}", line.own), format!("{:?}", again.own));
        line.own.with_env(|name| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_excludes_each_other_and_what_has_no_sense_is_refused() {
        for (args, env, wanted) in [
            ("--repeat 0", &[][..], "number would be zero"),
            ("--duration 10", &[], "units: us, ms, s, m, h"),
            ("--duration 0s", &[], "longer than 0"),
            ("--retries 2 --until-fail", &[], "cannot be used with"),
            ("--fail-flaky", &[], "needs --retries"),
            (
                "",
                &[("TIDB_SCENARIOS_REPEAT", "0")],
                "TIDB_SCENARIOS_REPEAT is `0`; it must be a number from 1 on",
            ),
            (
                "",
                &[("TIDB_SCENARIOS_DURATION", "5")],
                "TIDB_SCENARIOS_DURATION is `5`",
            ),
            (
                "",
                &[("TIDB_SCENARIOS_SEED", "-1")],
                "TIDB_SCENARIOS_SEED is `-1`; it must be a number",
            ),
            (
                "",
                &[("TIDB_SCENARIOS_RETRIES", "1"), ("TIDB_SCENARIOS_REPEAT", "2")],
                "cannot be used with TIDB_SCENARIOS_REPEAT",
            ),
        ] {
            let error = read(args, env).expect_err(args);
            assert!(error.contains(wanted), "{args}: {error}");
        }
    }

    #[test]
    fn a_flag_takes_the_place_of_the_environment() {
        let repeat = |times, minutes: Option<u64>, until_fail| Mode::Repeat {
            times: NonZeroU32::new(times),
            duration: minutes.map(Duration::from_mins),
            until_fail,
        };
        let env = [
            ("TIDB_SCENARIOS_RETRIES", "3"),
            ("TIDB_SCENARIOS_SEED", "7"),
            ("TIDB_SCENARIOS_FAIL_FLAKY", "1"),
        ];
        let tries = read("--repeat 5 --duration 10m", &env).expect("flags");
        assert_eq!((tries.mode, tries.seed), (repeat(5, Some(10), false), Some(7)));
        let tries = read("--seed 9", &env).expect("flags");
        let retries = Mode::Retries {
            most: 3,
            fail_flaky: true,
        };
        assert_eq!((tries.mode, tries.seed), (retries, Some(9)));
        let tries = read("", &[("TIDB_SCENARIOS_UNTIL_FAIL", "1")]).expect("variables");
        assert_eq!(tries.mode, repeat(0, None, true));
        let tries = read(
            "",
            &[("TIDB_SCENARIOS_UNTIL_FAIL", "0"), ("TIDB_SCENARIOS_REPEAT", "")],
        )
        .expect("variables");
        assert_eq!(tries.mode, Mode::Once);
    }
}
