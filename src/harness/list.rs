//! `list`: the trials of files, and whether they would run.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::collect::collect;
use super::output::{complain, print};
use super::requires::Foreseen;
use crate::handler::Handlers;
use crate::server::{ServerSettings, engine_answers};

/// Prints each trial with its file, and whether a server that may be taken has what it requires. Starts nothing.
#[must_use]
pub fn list(paths: &[PathBuf]) -> ExitCode {
    let env = std::env::vars().collect();
    let collected = match collect(paths, &env, &Handlers::new()) {
        Ok(collected) => collected,
        Err(message) => return complain(&message),
    };
    let settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return complain(&error.to_string()),
    };
    let mut plans = collected.files.iter().flat_map(|file| &file.trials);
    let has_engine = plans.any(|plan| plan.requires.docker) && {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(engine_answers()),
            Err(error) => return complain(&format!("cannot start the runtime: {error}")),
        }
    };
    let foreseen = Foreseen::new(&settings, has_engine);
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut broken = false;
    for file in &collected.files {
        let path = file.file.name().to_owned();
        if file.is_broken() {
            broken = true;
            let mistakes = file.problems.iter().filter(|problem| problem.is_error()).count();
            let what = format!("{mistakes} mistake{}", if mistakes == 1 { "" } else { "s" });
            rows.push([file.name.clone(), path, what]);
            continue;
        }
        for plan in &file.trials {
            rows.push([plan.name.clone(), path.clone(), foreseen.in_words(plan)]);
        }
    }
    print(table(&rows).trim_end());
    if broken {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

fn table(rows: &[[String; 3]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let (names, files) = (width(0), width(1));
    let mut text = String::new();
    for [name, file, what] in rows {
        let _ = writeln!(text, "{name:names$}  {file:files$}  {what}");
    }
    text
}
