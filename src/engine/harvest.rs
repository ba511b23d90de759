//! Takes what a run has left out of its workspace. A stranger has filled that, so
//! nothing in it is believed: no link is followed, nothing but plain files is opened,
//! and there is an end to everything.
mod room;

pub use room::Room;

use crate::domain::file::{ArtifactName, DEEPEST};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The folder of a workspace that is looked through.
const FOLDER: &str = "artifacts";
/// So many names are looked at; whoever leaves more has most of them left out.
const LOOKED_AT: u64 = 200_000;
/// So many names of one folder are held at once.
const OF_ONE_FOLDER: usize = 20_000;
/// A file is copied in pieces of this size.
const PIECE: usize = 256 * 1024;
/// Enough to tell what is in a file.
const HEAD: usize = crate::domain::sniff::LOOKED_AT;

const FOLDERS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);
const FILES: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// How much is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of one file.
    pub largest: u64,
    /// Most files.
    pub files: usize,
}

/// One file, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub name: ArtifactName,
    /// Its copy is called so.
    pub number: usize,
    /// Bytes.
    pub size: u64,
    pub sha256: [u8; 32],
    pub crc32: u32,
    /// What it begins with: 8 KiB at most.
    pub head: Vec<u8>,
}

/// Files that were not taken, by the reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Larger than one may be.
    pub large: u64,
    /// There was no room left for them.
    pub room: u64,
    /// More than there may be.
    pub many: u64,
    /// Links, also hard ones, sockets, pipes, devices.
    pub special: u64,
    /// Too deep in folders, or with too long a path.
    pub deep: u64,
    pub unreadable: u64,
    /// There are more that nobody has counted.
    pub uncounted: bool,
}

impl LeftOut {
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.large + self.room + self.many + self.special + self.deep + self.unreadable
    }
}

#[derive(Debug, Clone, Default)]
pub struct Harvest {
    pub found: Vec<Found>,
    pub left_out: LeftOut,
}

/// Whether a run has left anything at all.
#[must_use]
pub fn anything(workspace: &Path) -> bool {
    let Ok(Some(folder)) = folder(workspace) else {
        return false;
    };
    let Ok(mut folder) = Dir::from_fd(folder) else {
        return false;
    };
    folder
        .iter()
        .flatten()
        .any(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))
}

/// Copies what a run has left into the empty directory `into`, those at the paths
/// `first` (below the folder, with slashes) before the others. Stops, with an error,
/// when told to.
///
/// # Errors
///
/// If `into` cannot be written to, or `room` fails. What cannot be read is left out.
pub fn harvest(
    workspace: &Path,
    into: &Path,
    (limits, first): (Limits, &[String]),
    room: &mut dyn Room,
    stop: &AtomicBool,
) -> io::Result<Harvest> {
    let mut basket = Basket {
        into,
        limits,
        stop,
        room,
        taken: HashSet::new(),
        harvest: Harvest::default(),
        buffer: vec![0; PIECE],
    };
    let Some(top) = folder(workspace)? else {
        return Ok(basket.harvest);
    };
    for path in first {
        basket.named(&top, path)?;
    }
    basket.rest(top)?;
    // What is told of afterwards must be there after a power cut.
    let directory = File::open(into)?;
    nix::unistd::syncfs(&directory)?;
    Ok(basket.harvest)
}

/// The folder, if the run has left it as one.
fn folder(workspace: &Path) -> io::Result<Option<OwnedFd>> {
    let workspace = match open(workspace, FOLDERS, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
        opened => opened?,
    };
    Ok(openat(&workspace, FOLDER, FOLDERS, Mode::empty()).ok())
}

/// A folder that is being looked through.
struct Level {
    folder: OwnedFd,
    /// Names still to be looked at, the last first.
    names: Vec<Vec<u8>>,
}

struct Basket<'a> {
    into: &'a Path,
    limits: Limits,
    stop: &'a AtomicBool,
    room: &'a mut dyn Room,
    /// Paths that need no second look.
    taken: HashSet<Vec<Vec<u8>>>,
    harvest: Harvest,
    buffer: Vec<u8>,
}

impl Basket<'_> {
    /// Takes the file at one path, if there is one.
    fn named(&mut self, top: &OwnedFd, path: &str) -> io::Result<()> {
        let parts: Vec<Vec<u8>> = path
            .split('/')
            .map(|part| part.as_bytes().to_vec())
            .collect();
        let Some((file, folders)) = parts.split_last() else {
            return Ok(());
        };
        if self.taken.contains(&parts) {
            return Ok(());
        }
        let mut here = top.try_clone()?;
        for folder in folders {
            match openat(&here, name(folder), FOLDERS, Mode::empty()) {
                Ok(inner) => here = inner,
                Err(_) => return Ok(()),
            }
        }
        match fstatat(&here, name(file), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) if kind(&found) == SFlag::S_IFREG => self.take(&here, &parts),
            _ => Ok(()),
        }
    }

    /// Takes everything else, in the order of names, folder after folder.
    fn rest(&mut self, top: OwnedFd) -> io::Result<()> {
        let mut seen = 0;
        let names = self.names(&top, &mut seen)?;
        let mut levels = vec![Level { folder: top, names }];
        let mut path: Vec<Vec<u8>> = Vec::new();
        while let Some(level) = levels.last_mut() {
            self.go_on()?;
            let Some(entry) = level.names.pop() else {
                levels.pop();
                path.pop();
                continue;
            };
            let left_out = &mut self.harvest.left_out;
            let Ok(found) = fstatat(&level.folder, name(&entry), AtFlags::AT_SYMLINK_NOFOLLOW)
            else {
                left_out.unreadable += 1;
                continue;
            };
            path.push(entry);
            if kind(&found) == SFlag::S_IFDIR {
                let last = path.last().map_or(&[][..], Vec::as_slice);
                if path.len() >= DEEPEST {
                    left_out.deep += 1;
                    left_out.uncounted = true;
                } else if let Ok(folder) = openat(&level.folder, name(last), FOLDERS, Mode::empty())
                {
                    let names = self.names(&folder, &mut seen)?;
                    levels.push(Level { folder, names });
                    // Its name stays on the path.
                    continue;
                } else {
                    left_out.unreadable += 1;
                    left_out.uncounted = true;
                }
            } else if kind(&found) != SFlag::S_IFREG {
                left_out.special += 1;
            } else if !self.taken.contains(&path) {
                let (at, path) = (level.folder.try_clone()?, path.clone());
                self.take(&at, &path)?;
            }
            path.pop();
        }
        Ok(())
    }

    /// What is in a folder, the last name first. Of very many some are not looked at.
    fn names(&mut self, folder: &OwnedFd, seen: &mut u64) -> io::Result<Vec<Vec<u8>>> {
        let Ok(mut folder) = Dir::from_fd(folder.try_clone()?) else {
            self.harvest.left_out.unreadable += 1;
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in folder.iter() {
            self.go_on()?;
            let Ok(entry) = entry else {
                self.harvest.left_out.uncounted = true;
                break;
            };
            let entry = entry.file_name().to_bytes();
            if matches!(entry, b"." | b"..") {
                continue;
            }
            if *seen >= LOOKED_AT {
                self.harvest.left_out.many += 1;
                self.harvest.left_out.uncounted = true;
                break;
            }
            *seen += 1;
            if names.len() < OF_ONE_FOLDER {
                names.push(entry.to_vec());
            } else {
                self.harvest.left_out.many += 1;
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(names)
    }

    /// Copies one file, if it is plain and fits.
    fn take(&mut self, folder: &OwnedFd, path: &[Vec<u8>]) -> io::Result<()> {
        let left_out = &mut self.harvest.left_out;
        let Some(shown) = ArtifactName::of(path) else {
            left_out.deep += 1;
            return Ok(());
        };
        if self.harvest.found.len() >= self.limits.files {
            left_out.many += 1;
            return Ok(());
        }
        let last = path.last().map_or(&[][..], Vec::as_slice);
        let Ok(file) = openat(folder, name(last), FILES, Mode::empty()) else {
            left_out.unreadable += 1;
            return Ok(());
        };
        // What the name stands for may be another by now; from here on it is this one.
        let Ok(found) = fstat(&file) else {
            left_out.unreadable += 1;
            return Ok(());
        };
        let size = u64::try_from(found.st_size).unwrap_or(u64::MAX);
        if kind(&found) != SFlag::S_IFREG || found.st_nlink != 1 {
            left_out.special += 1;
            return Ok(());
        }
        if size > self.limits.largest {
            left_out.large += 1;
            return Ok(());
        }
        if !self.room.set_aside(size)? {
            left_out.room += 1;
            return Ok(());
        }
        let mut aside = size;
        let copied = self.copy(File::from(file), shown, &mut aside);
        let kept = match &copied {
            Ok(Copied::All(found)) => found.size,
            _ => 0,
        };
        self.room.give_back(aside - kept);
        match copied? {
            Copied::All(found) => {
                self.taken.insert(path.to_vec());
                self.harvest.found.push(found);
            }
            Copied::TooLarge => self.harvest.left_out.large += 1,
            Copied::NoRoom => self.harvest.left_out.room += 1,
            Copied::Broken => self.harvest.left_out.unreadable += 1,
        }
        Ok(())
    }

    /// `aside` is how many bytes have been set aside for it, before and after.
    fn copy(&mut self, mut from: File, name: ArtifactName, aside: &mut u64) -> io::Result<Copied> {
        let number = self.harvest.found.len();
        let copy = self.into.join(number.to_string());
        let mut to = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&copy)?;
        let (mut hash, mut crc) = (Sha256::new(), crc32fast::Hasher::new());
        let (mut size, mut head) = (0_u64, Vec::new());
        let bad = loop {
            self.go_on()?;
            let piece = match from.read(&mut self.buffer) {
                Ok(0) => break None,
                Ok(read) => &self.buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break Some(Copied::Broken),
            };
            size += piece.len() as u64;
            // It has become larger while it was read.
            if size > self.limits.largest {
                break Some(Copied::TooLarge);
            }
            if size > *aside {
                if !self.room.set_aside(size - *aside)? {
                    break Some(Copied::NoRoom);
                }
                *aside = size;
            }
            hash.update(piece);
            crc.update(piece);
            let missing = HEAD.saturating_sub(head.len()).min(piece.len());
            head.extend_from_slice(&piece[..missing]);
            match to.write_all(piece) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    break Some(Copied::NoRoom);
                }
                written => written?,
            }
        };
        if let Some(bad) = bad {
            drop(to);
            fs::remove_file(&copy)?;
            return Ok(bad);
        }
        Ok(Copied::All(Found {
            name,
            number,
            size,
            sha256: hash.finalize().into(),
            crc32: crc.finalize(),
            head,
        }))
    }

    fn go_on(&self) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        Ok(())
    }
}

enum Copied {
    All(Found),
    TooLarge,
    NoRoom,
    Broken,
}

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT
}

fn name(bytes: &[u8]) -> &std::ffi::OsStr {
    std::ffi::OsStr::from_bytes(bytes)
}
