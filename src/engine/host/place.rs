//! Puts the files that a run is given into its workspace, before anything runs there.
use super::record;
use crate::domain::file::FileName;
use crate::engine::{Error, Result, RunFile};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Refuses what could end up anywhere else.
pub(super) fn check(files: &[RunFile]) -> Result<()> {
    for file in files {
        let folder = record::FOLDERS[1..].contains(&file.folder.as_str());
        if !folder || FileName::new(&file.name).is_err() {
            let (folder, name) = (&file.folder, &file.name);
            let why = format!("{folder}/{name} is no place for a file of a run");
            return Err(Error::Refused(why));
        }
    }
    Ok(())
}

/// Copies them, over what an interrupted attempt has left. They become the run's own.
pub(super) fn place(run: &Path, files: &[RunFile]) -> Result<()> {
    let workspace = run.join(record::WORKSPACE);
    for file in files {
        let folder = workspace.join(&file.folder);
        let done = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .and_then(|()| copy(&file.from, &folder.join(&file.name), file.executable));
        done.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Refused(format!("{} is not there", file.name)),
            _ => Error::Unavailable(format!("{} could not be copied: {error}", file.name)),
        })?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, executable: bool) -> io::Result<()> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut from = File::open(from)?;
    let mut to = File::options()
        .write(true)
        .create_new(true)
        .mode(if executable { 0o700 } else { 0o600 })
        .open(to)?;
    // The kernel copies, and shares the blocks where the file system can.
    io::copy(&mut from, &mut to)?;
    Ok(())
}
