//! One process per data directory.
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The data directory is ours for as long as this lives. The system lets go
/// of it even if the process is killed, and processes started by us do not
/// hold it.
#[derive(Debug)]
#[must_use = "the directory is free again when this is dropped"]
pub struct DataLock {
    _file: File,
}

/// Why the data directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the data directory {data} is in use by another junglegrid (process {process}). \
         Stop it, or choose another with --data"
    )]
    InUse { data: PathBuf, process: String },
    #[error("cannot use the data directory {data}: {source}")]
    Unusable { data: PathBuf, source: io::Error },
}

/// Makes the directory `data`, for nobody else to read, if there is none, and takes it.
///
/// # Errors
///
/// If another process has it, or it cannot be made or written to.
pub fn take(data: &Path) -> Result<DataLock, Error> {
    let unusable = |source| Error::Unusable {
        data: data.into(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(unusable)?;
    let mut options = OpenOptions::new();
    let options = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = options.open(data.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // It may just be starting, and not have written it yet.
            let _ = file.take(20).read_to_string(&mut process);
            let process = process.trim();
            let process = if process.is_empty() {
                "unknown"
            } else {
                process
            };
            return Err(Error::InUse {
                data: data.into(),
                process: process.into(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(unusable)?;
    Ok(DataLock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("new/data");
        let held = take(&data).unwrap();
        assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let error = take(&data).unwrap_err().to_string();
        let process = format!("(process {})", std::process::id());
        assert!(
            error.contains(&process) && error.contains("--data"),
            "{error}"
        );
        drop(held);
        drop(take(&data).unwrap());
    }

    #[test]
    fn what_cannot_be_a_directory_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = take(file.path()).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
