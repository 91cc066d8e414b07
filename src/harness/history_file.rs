//! Where the histories of trials are written.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// The name of the files of a trial's try, without their ending; the first try has that of the trial.
pub(super) fn file_stem(trial: &str, number: u64) -> String {
    let stem = trial.replace("::", "__").replace(['/', '\\'], "_");
    match number {
        1 => stem,
        _ => format!("{stem}.try-{number}"),
    }
}

/// The file of a workload's history: in the folder that was asked for, otherwise one that goes unless it is kept.
pub(super) enum HistoryFile {
    InFolder(PathBuf),
    Temporary(NamedTempFile),
}

impl HistoryFile {
    pub(super) fn create(folder: Option<&Path>, trial: &str, number: u64) -> io::Result<Self> {
        let stem = file_stem(trial, number);
        match folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                Ok(Self::InFolder(folder.join(format!("{stem}.jsonl"))))
            }
            None => {
                let prefix = format!("tidb-scenarios-{stem}-");
                let file = Builder::new().prefix(&prefix).suffix(".jsonl").tempfile()?;
                Ok(Self::Temporary(file))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::InFolder(path) => path,
            Self::Temporary(file) => file.path(),
        }
    }

    /// Keeps it, for a failure that names it.
    pub(super) fn keep(self) -> io::Result<()> {
        if let Self::Temporary(file) = self {
            file.keep()?;
        }
        Ok(())
    }
}
