//! Where the histories of trials are written.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// The name of a trial's files, without their ending.
pub(super) fn file_stem(trial: &str) -> String {
    trial.replace("::", "__").replace(['/', '\\'], "_")
}

/// The file of a workload's history: in the folder that was asked for, otherwise one that goes unless it is kept.
pub(super) enum HistoryFile {
    InFolder(PathBuf),
    Temporary(NamedTempFile),
}

impl HistoryFile {
    pub(super) fn create(folder: Option<&Path>, trial: &str) -> io::Result<Self> {
        let stem = file_stem(trial);
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
