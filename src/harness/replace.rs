//! Puts another text in a file's place.

use std::io::Write as _;
use std::path::Path;

/// Puts `after` in the place of `before` as a whole: whoever reads the file meanwhile finds one of them. The file keeps
/// its rights.
///
/// # Errors
/// The file is not `before` any more, or cannot be written.
pub(crate) fn replace(path: &Path, before: &str, after: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    // Beside the file itself, not beside a link to it.
    let real = path.canonicalize().map_err(failed)?;
    let folder = real.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".tidb-scenarios-")
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(after.as_bytes()).map_err(failed)?;
    let rights = std::fs::metadata(&real).map_err(failed)?.permissions();
    file.as_file().set_permissions(rights).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    // Looked at last, so that what somebody has changed meanwhile stays.
    if std::fs::read(&real).map_err(failed)? != before.as_bytes() {
        return Err(format!(
            "{}: it was changed since it was read, and nothing was written",
            path.display()
        ));
    }
    file.persist(&real).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, "one").expect("a file");
        let error = replace(&path, "other", "two").expect_err("it was changed");
        assert!(error.contains("it was changed since it was read"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "one");
        replace(&path, "one", "two").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "two");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }
}
