//! Places below the root. Every step is opened from the folder before it and no
//! symbolic link is followed, so that nothing outside can be named, whatever
//! happens to the folders meanwhile.
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// What uploads are called until they are whole; not shown.
pub(super) const PART: &str = ".junglegrid-upload-";
/// Folders that may lie in each other.
const DEEPEST: usize = 100;

/// The names from the root to something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place(pub(super) Vec<OsString>);

impl Place {
    /// What stands behind the first part of an address, as in `/files/a/b%20c`.
    pub(super) fn read(path: &str) -> Option<Self> {
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        parts.next()?;
        let rest = parts.next().unwrap_or_default();
        let names: Option<Vec<OsString>> = rest
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| Some(OsString::from_vec(decoded(part)?)).filter(|name| is_name(name)))
            .collect();
        names.filter(|names| names.len() <= DEEPEST).map(Self)
    }

    /// The address of it: `/files/a/b%20c`.
    pub(super) fn address(&self, under: &str) -> String {
        let mut address = format!("/{under}/");
        for (at, name) in self.0.iter().enumerate() {
            if at > 0 {
                address.push('/');
            }
            address.push_str(&encoded(name));
        }
        address
    }

    pub(super) fn with(&self, name: &OsStr) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// The folder that it is in, and its name there; the root is in none.
    pub(super) fn split(&self) -> Option<(Self, &OsStr)> {
        let (name, folder) = self.0.split_last()?;
        Some((Self(folder.to_vec()), name))
    }
}

/// Whether something in a folder may be called so.
pub(super) fn is_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 255
        && bytes != b"."
        && bytes != b".."
        && !bytes.contains(&b'/')
        && !bytes.contains(&0)
}

/// Whether an entry of a folder is the folder itself or the one above. Removing
/// goes by this and not by what people may type, so that no change there can make
/// it climb.
fn leads_up(name: &OsStr) -> bool {
    matches!(name.as_bytes(), b"." | b"..")
}

/// A name in an address.
pub(super) fn encoded(name: &OsStr) -> String {
    let mut text = String::new();
    for byte in name.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The name that an address has; nothing if it is not one.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let pair = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(pair).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

/// A folder that is open.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: Kind,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// Links are shown and can be removed; they are not followed.
    Link,
    Other,
}

impl Folder {
    pub(super) fn root(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(openat(AT_FDCWD, path, flags, Mode::empty())?))
    }

    /// The folder at a place below this one.
    pub(super) fn walk(&self, place: &Place) -> io::Result<Self> {
        let mut folder = Self(self.0.try_clone()?);
        for name in &place.0 {
            folder = folder.enter(name)?;
        }
        Ok(folder)
    }

    fn enter(&self, name: &OsStr) -> io::Result<Self> {
        if name.as_bytes() == b".." {
            return Err(Errno::EINVAL.into());
        }
        Ok(Self(openat(&self.0, name, FOLDER, Mode::empty())?))
    }

    /// All names, folders first, without the system's own and unfinished uploads.
    pub(super) fn names(&self) -> io::Result<Vec<(bool, OsString)>> {
        let mut names = Vec::new();
        let mut dir = self.reader()?;
        for entry in dir.iter() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if !leads_up(name) && !name.as_bytes().starts_with(PART.as_bytes()) {
                let folder = match entry.file_type() {
                    Some(kind) => kind == nix::dir::Type::Directory,
                    // Some file systems do not tell.
                    None => self.about(name).is_ok_and(|e| e.kind == Kind::Folder),
                };
                names.push((!folder, name.to_owned()));
            }
        }
        names.sort_by_cached_key(|(file, name)| {
            (*file, name.to_string_lossy().to_lowercase(), name.clone())
        });
        Ok(names)
    }

    /// All names, also those that are not shown.
    pub(super) fn everything(&self) -> io::Result<Vec<OsString>> {
        Ok(self
            .reader()?
            .iter()
            .filter_map(Result::ok)
            .map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned())
            .filter(|name| !leads_up(name))
            .collect())
    }

    /// Opened anew, because reading moves a place that duplicates share.
    fn reader(&self) -> io::Result<Dir> {
        Ok(Dir::from_fd(self.enter(OsStr::new("."))?.0)?)
    }

    /// Bytes that are free on its disk.
    pub(super) fn free(&self) -> Option<u64> {
        let about = nix::sys::statvfs::fstatvfs(&self.0).ok()?;
        Some(
            about
                .blocks_available()
                .saturating_mul(about.fragment_size()),
        )
    }

    pub(super) fn about(&self, name: &OsStr) -> io::Result<Entry> {
        let stat = fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(Entry {
            name: name.to_owned(),
            kind: kind(&stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
        })
    }

    /// A plain file, for reading. A pipe is not waited for.
    pub(super) fn open(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::other("It is not a plain file."))
        }
    }

    /// A new file, for writing; there must be none of that name.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o644);
        Ok(File::from(openat(&self.0, name, flags, mode)?))
    }

    pub(super) fn make(&self, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::from_bits_truncate(0o755))?)
    }

    /// Gives something another name, which nothing else has.
    pub(super) fn rename(&self, name: &OsStr, to: &OsStr) -> io::Result<()> {
        if self.about(to).is_ok() {
            return Err(Errno::EEXIST.into());
        }
        Ok(renameat(&self.0, name, &self.0, to)?)
    }

    /// Gives a file that was written under a temporary name its own; fails if
    /// there is something of that name, however recent.
    pub(super) fn settle(&self, part: &OsStr, name: &OsStr) -> io::Result<()> {
        match linkat(&self.0, part, &self.0, name, LinkatFlags::empty()) {
            Ok(()) => {}
            // Not every file system has hard links.
            Err(Errno::EPERM | Errno::EOPNOTSUPP) => return self.rename(part, name),
            Err(error) => return Err(error.into()),
        }
        Ok(unlinkat(&self.0, part, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes something, and everything in it.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.remove_below(name, 0)
    }

    fn remove_below(&self, name: &OsStr, depth: usize) -> io::Result<()> {
        if leads_up(name) {
            return Err(Errno::EINVAL.into());
        }
        match unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => return Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) if depth < DEEPEST => {}
            Err(error) => return Err(error.into()),
        }
        let inner = self.enter(name)?;
        for name in inner.everything()? {
            inner.remove_below(&name, depth + 1)?;
        }
        Ok(unlinkat(&self.0, name, UnlinkatFlags::RemoveDir)?)
    }
}

fn kind(stat: &FileStat) -> Kind {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Kind::Folder,
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFLNK => Kind::Link,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn addresses_name_places_below_the_root_or_nothing() {
        for (address, names) in [
            ("/files/", Some(vec![])),
            ("/files", Some(vec![])),
            ("/files/a/b%20c", Some(vec!["a", "b c"])),
            ("/files//a///b/", Some(vec!["a", "b"])),
            ("/files/%C3%A9", Some(vec!["é"])),
            ("/files/..", None),
            ("/files/a/%2e%2E/b", None),
            ("/files/.", None),
            ("/files/a%2Fb", None),
            ("/files/a%00", None),
            ("/files/%", None),
            ("/files/%zz", None),
            ("/files/%+1", None),
        ] {
            let place = Place::read(address);
            let expected = names.map(|names| Place(names.iter().map(OsString::from).collect()));
            assert_eq!(place, expected, "{address}");
            if let Some(place) = place {
                assert_eq!(Place::read(&place.address("raw")), Some(place));
            }
        }
        let name = OsString::from_vec(vec![0xff, b'%', b'?', b'<']);
        let place = Place(vec![name]);
        assert_eq!(Place::read(&place.address("files")), Some(place));
    }

    #[test]
    fn no_link_leads_out() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "x").unwrap();
        let at = |name: &str| inside.path().join(name);
        symlink(outside.path(), at("out")).unwrap();
        symlink(outside.path().join("secret"), at("secret")).unwrap();
        symlink("/", at("root")).unwrap();
        fs::create_dir(at("real")).unwrap();
        let root = Folder::root(inside.path()).unwrap();
        for path in ["/x/out", "/x/root/etc", "/x/secret", "/x/real/none"] {
            assert!(root.walk(&Place::read(path).unwrap()).is_err(), "{path}");
        }
        assert!(root.open(OsStr::new("secret")).is_err());
        assert!(root.create(OsStr::new("secret")).is_err());
        assert_eq!(root.about(OsStr::new("out")).unwrap().kind, Kind::Link);
        root.remove(OsStr::new("out")).unwrap();
        assert!(outside.path().join("secret").exists());
    }

    #[test]
    fn removing_a_folder_removes_what_is_in_it_and_nothing_that_a_link_names() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("kept"), "x").unwrap();
        fs::create_dir_all(inside.path().join("a/b/c")).unwrap();
        fs::write(inside.path().join("a/b/file"), "x").unwrap();
        symlink(outside.path(), inside.path().join("a/b/link")).unwrap();
        let root = Folder::root(inside.path()).unwrap();
        root.remove(OsStr::new("a")).unwrap();
        assert!(root.names().unwrap().is_empty());
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn nothing_is_written_over() {
        let inside = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::write(inside.path().join(name), name).unwrap();
        }
        let root = Folder::root(inside.path()).unwrap();
        assert!(root.rename(OsStr::new("a"), OsStr::new("b")).is_err());
        assert!(root.settle(OsStr::new("a"), OsStr::new("b")).is_err());
        assert_eq!(fs::read_to_string(inside.path().join("b")).unwrap(), "b");
        for up in [".", ".."] {
            assert!(root.remove(OsStr::new(up)).is_err());
            assert!(root.walk(&Place(vec!["..".into()])).is_err());
        }
        root.settle(OsStr::new("a"), OsStr::new("c")).unwrap();
        let names = root.names().unwrap();
        assert_eq!(names, [(true, "b".into()), (true, "c".into())]);
    }
}
