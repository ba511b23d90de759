//! Directories of the machine that a run sees and writes, and this very program.
//!
//! Earlier runs have filled the directories, so nothing in them is believed: no
//! step of a path ever follows a link.
use super::super::record::{BINARY, FOLDERS, PROGRAM, RUN_AS, USERS, Volume, WORKSPACE_INSIDE};
use super::sys;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{Uid, fchownat};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path};

const RUNNING: &str = "/proc/self/exe";
/// Only for a name to start from.
const HERE: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Shows one directory in the new root, made and given to the run's user first
/// if need be.
pub(super) fn show(root: &Path, volume: &Volume, user: Option<Uid>) -> io::Result<()> {
    let original = descend(Path::new("/"), &volume.host, 0o700)?;
    if let Some(user) = user {
        own(&original, user)?;
    }
    let mount = sys::clone_mount(original.as_fd(), Path::new(""))?;
    sys::restrict_tree(
        mount.as_fd(),
        libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
    )?;
    let place = descend(root, &volume.inside, 0o755)?;
    sys::attach_mount(mount.as_fd(), place.as_fd())?;
    if volume.inside == Path::new(WORKSPACE_INSIDE) {
        for folder in FOLDERS {
            furnish(&mount, folder, user)?;
        }
    }
    Ok(())
}

/// Goes down from `top`, making what is missing.
fn descend(top: &Path, path: &Path, mode: u32) -> io::Result<OwnedFd> {
    let mut here = open(top, HERE, Mode::empty())?;
    for step in path.components() {
        let Component::Normal(name) = step else {
            continue;
        };
        match mkdirat(&here, name, Mode::from_bits_truncate(mode)) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(told(path, &error.desc())),
        }
        here = openat(&here, name, HERE, Mode::empty()).map_err(|error| match error {
            nix::Error::ENOTDIR | nix::Error::ELOOP => told(
                path,
                &format!(
                    "{} is a link or no directory, and is not followed",
                    Path::new(name).display()
                ),
            ),
            error => told(path, &error.desc()),
        })?;
    }
    Ok(here)
}

fn told(path: &Path, why: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {why}", path.display()))
}

/// Gives the directory itself to the user; what is in it has been theirs since
/// it was written.
fn own(directory: &OwnedFd, user: Uid) -> io::Result<()> {
    let owner = fstat(directory)?.st_uid;
    if owner == user.as_raw() {
        return Ok(());
    }
    if (RUN_AS..RUN_AS + USERS).contains(&owner) {
        return Err(io::Error::other(
            "the directory belongs to the user of other runs",
        ));
    }
    let group = nix::unistd::Gid::from_raw(user.as_raw());
    Ok(fchownat(
        directory,
        "",
        Some(user),
        Some(group),
        AtFlags::AT_EMPTY_PATH,
    )?)
}

/// One of the folders that every workspace has. Whatever an earlier run has put
/// in its place is left to the run.
fn furnish(workspace: &OwnedFd, folder: &str, user: Option<Uid>) -> io::Result<()> {
    match mkdirat(workspace, folder, Mode::from_bits_truncate(0o700)) {
        Ok(()) => {}
        Err(nix::Error::EEXIST) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let Some(user) = user else { return Ok(()) };
    own(&openat(workspace, folder, HERE, Mode::empty())?, user)
}

/// Shows the program that runs, whatever its file is by now.
pub(super) fn show_binary(run: &Path, root: &Path) -> io::Result<()> {
    let mount = named().or_else(|_| copied(run))?;
    sys::restrict_tree(
        mount.as_fd(),
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
    )?;
    let place = File::create_new(root.join(BINARY.trim_start_matches('/')))?;
    sys::attach_mount(mount.as_fd(), place.as_fd())
}

/// Its file, if that has not been replaced since.
fn named() -> io::Result<OwnedFd> {
    let running = fs::metadata(RUNNING)?;
    let mount = mount(&fs::read_link(RUNNING)?)?;
    let found = fstat(&mount)?;
    if (found.st_dev, found.st_ino) == (running.dev(), running.ino()) {
        Ok(mount)
    } else {
        Err(io::Error::other("the file has been replaced"))
    }
}

/// What is executed after its file has gone: no mount can show what has no name.
fn copied(run: &Path) -> io::Result<OwnedFd> {
    let copy = run.join(PROGRAM);
    fs::copy(RUNNING, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o555))?;
    mount(&copy)
}

fn mount(file: &Path) -> io::Result<OwnedFd> {
    let here = open("/", HERE, Mode::empty())?;
    sys::clone_mount(here.as_fd(), file)
}
