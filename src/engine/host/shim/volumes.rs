//! Directories of the machine that a run sees and writes, and this very program.
//!
//! Earlier runs have filled the directories, so nothing in them is believed: no
//! step of a path ever follows a link.
use super::super::record::{BINARY, FOLDERS, RUN_AS, USERS, Volume, WORKSPACE_INSIDE};
use super::sys;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{Uid, fchownat};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};

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

/// The running program, as a mount that can be attached later; must be taken
/// before the machine's mounts are left, which its file is part of.
pub(super) fn binary() -> io::Result<OwnedFd> {
    let here = open("/", HERE, Mode::empty())?;
    let mount = sys::clone_mount(here.as_fd(), Path::new("/proc/self/exe"))?;
    restrict_binary(mount)
}

/// The same where that is forbidden to us: by its name, if that is still the
/// program that runs. Must be called after the machine's mounts were left.
fn binary_by_name() -> io::Result<OwnedFd> {
    let name = fs::read_link("/proc/self/exe")?;
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    if identity(&name).ok() != Some(identity(Path::new("/proc/self/exe"))?) {
        return Err(io::Error::other(
            "its file has been replaced since it was started, and the kernel lets only root show the old one",
        ));
    }
    let here = open("/", HERE, Mode::empty())?;
    restrict_binary(sys::clone_mount(here.as_fd(), &name)?)
}

fn restrict_binary(mount: OwnedFd) -> io::Result<OwnedFd> {
    sys::restrict_tree(
        mount.as_fd(),
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
    )?;
    Ok(mount)
}

/// Puts the program where runs find it.
pub(super) fn show_binary(root: &Path, early: io::Result<OwnedFd>) -> io::Result<()> {
    let mount = early.or_else(|_| binary_by_name())?;
    let place = root.join(BINARY.trim_start_matches('/'));
    let place = File::create_new(place)?;
    sys::attach_mount(mount.as_fd(), place.as_fd())
}
