//! libtest's arguments, with those that libtest-mimic does not have.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use libtest_mimic::Arguments;

use crate::source::nearest;

/// The arguments.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// Those that libtest-mimic knows; the filter is in `filters`.
    pub mimic: Arguments,
    /// Any number of filters.
    pub filters: Vec<String>,
    /// Show the timeline of trials that passed, too.
    pub show_output: bool,
}

/// Reads arguments, the program's name first.
///
/// # Errors
/// The exit code to end with, after the parser has said what is wrong (or printed its help).
pub fn parse_arguments(args: Vec<OsString>) -> Result<Parsed, ExitCode> {
    let mut plain = Vec::new();
    let mut filters = Vec::new();
    let mut takes_value = false;
    let mut only_names = false;
    for (number, arg) in args.into_iter().enumerate() {
        let text = arg.to_string_lossy().into_owned();
        if number > 0 && !takes_value && !only_names && text == "--" {
            only_names = true;
            continue;
        }
        let is_filter = number > 0 && !takes_value && (only_names || !text.starts_with('-'));
        takes_value = !only_names
            && [
                "--skip",
                "--test-threads",
                "--logfile",
                "--color",
                "--format",
                "-Z",
            ]
            .contains(&text.as_str());
        if is_filter {
            filters.push(text);
        } else if text == "--no-capture" {
            plain.push("--nocapture".into());
        } else {
            plain.push(arg);
        }
    }
    match Arguments::try_parse_from(plain) {
        Ok(mimic) => Ok(Parsed {
            show_output: mimic.show_output,
            mimic,
            filters,
        }),
        Err(error) => {
            let code = error.exit_code();
            // The parser's own print goes to the right stream.
            drop(error.print());
            Err(ExitCode::from(u8::try_from(code).unwrap_or(2)))
        }
    }
}

/// The arguments for libtest-mimic, which takes one filter: with several, what they leave out is skipped by
/// its exact name, so that its count of trials that were filtered out is right.
///
/// # Errors
/// An exact name that no trial has: it would otherwise pass without having run anything.
pub fn select(parsed: Parsed, names: &[String]) -> Result<Arguments, String> {
    let Parsed {
        mut mimic, filters, ..
    } = parsed;
    if mimic.exact {
        for filter in &filters {
            if !names.contains(filter) {
                let near = nearest(filter, names.iter().map(String::as_str));
                let near = near
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                return Err(format!(
                    "no trial is called `{filter}`{near} (`--list` shows them all)"
                ));
            }
        }
    }
    if filters.len() <= 1 {
        mimic.filter = filters.into_iter().next();
        if let Some(filter) = mimic.filter.as_ref().filter(|_| !mimic.exact && !mimic.list)
            && !names.iter().any(|name| name.contains(filter.as_str()))
        {
            super::say(&format!(
                "warning: no trial's name contains `{filter}` (`--list` shows them all)"
            ));
        }
        return Ok(mimic);
    }
    let keep = |name: &String| {
        let kept = filters.iter().any(|filter| {
            if mimic.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        });
        let skipped = mimic.skip.iter().any(|skip| {
            if mimic.exact {
                name == skip
            } else {
                name.contains(skip.as_str())
            }
        });
        kept && !skipped
    };
    let skip = names.iter().filter(|name| !keep(name)).cloned().collect();
    Ok(Arguments {
        filter: None,
        exact: true,
        skip,
        ..mimic
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Parsed {
        let args = std::iter::once("harness")
            .chain(args.split_whitespace())
            .map(OsString::from)
            .collect();
        parse_arguments(args).expect("arguments")
    }

    #[test]
    fn several_filters_and_what_cargo_passes() {
        let parsed = parse("a b --test-threads 2 --no-capture --skip c");
        assert_eq!(parsed.filters, ["a", "b"]);
        assert!(parsed.mimic.nocapture);
        let names = ["a1", "b1", "bc", "d"].map(str::to_owned);
        let selected = select(parsed, &names).expect("a selection");
        assert_eq!(selected.skip, ["bc", "d"]);
        assert!(select(parse("--exact nope"), &names).is_err());
    }
}
