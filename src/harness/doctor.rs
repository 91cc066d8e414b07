//! `doctor`: what there is to run on, and why the rest is not there.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::output::{complain, print};
use crate::server::{Examination, ServerSettings, examine};

/// Prints which providers there are, and what they need. Starts, builds and pulls nothing; ends with 101 where there is
/// nothing to run on.
#[must_use]
pub fn doctor() -> ExitCode {
    let settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return complain(&error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start the runtime: {error}")),
    };
    let found = runtime.block_on(examine(&settings));
    print(text(&found, &settings).trim_end());
    let mut usable = found
        .providers
        .iter()
        .filter(|(kind, available)| available.is_ok() && settings.provider.is_none_or(|only| only == *kind));
    if usable.next().is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}

fn text(found: &Examination, settings: &ServerSettings) -> String {
    let mut text = format!("tidb-scenarios {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, words: &str| {
        let _ = writeln!(text, "{name:12} {words}");
    };
    let mut taken = false;
    for (kind, available) in &found.providers {
        let insists = settings.provider.is_some_and(|only| only != *kind);
        // A URL that is set and does not answer is no reason to take another server.
        let stops = *kind == crate::server::ProviderKind::Url && settings.url.is_some();
        let words = match available {
            Ok(what) if insists => format!("{what} (not taken: TIDB_PROVIDER insists on another one)"),
            Ok(what) if taken => what.clone(),
            Ok(what) => {
                taken = true;
                format!("{what} ← this one is taken")
            }
            Err(why) => {
                taken |= stops && !insists;
                format!("not available: {why}")
            }
        };
        line(&kind.to_string(), &words);
    }
    line(
        "go",
        found
            .go
            .as_ref()
            .map_or_else(|why| why.as_str(), |go| go.as_str()),
    );
    match &found.cache {
        Ok(folder) => {
            let size = size_of(folder);
            let free = free_at(folder)
                .map(|free| format!("; {free} free"))
                .unwrap_or_default();
            line(
                "cache",
                &format!("{} ({} MB{free})", folder.display(), size / 1_000_000),
            );
        }
        Err(why) => line("cache", &format!("not available: {why}")),
    }
    if let Some(binary) = &found.built {
        line("built", &binary.display().to_string());
    }
    let temporary = std::env::temp_dir();
    let free = free_at(&temporary)
        .map(|free| format!(" ({free} free)"))
        .unwrap_or_default();
    line("temporary", &format!("{}{free}", temporary.display()));
    text
}

/// The bytes of all files below this folder.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size_of(&entry.path()),
        Ok(_) => entry.metadata().map_or(0, |data| data.len()),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// The space that is free where this folder is, or would be; nothing where `df` does not tell.
fn free_at(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|above| above.exists())?;
    let output = Command::new("df")
        .arg("-Pk")
        .arg(there)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let free = text.lines().nth(1)?.split_whitespace().nth(3)?;
    let kilobytes: u64 = free.parse().ok()?;
    Some(format!("{} MB", kilobytes / 1_000))
}
