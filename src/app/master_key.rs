//! The key that everything secret in the database is encrypted under. It is a
//! file next to the database and not in it, so that a copy of the one is
//! useless without the other.
use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroizing};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const NAME: &str = "master.key";

/// 32 random bytes; never shown.
pub struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the key file {path} can be read by others (mode {mode:03o}). Make it yours alone: chmod 600 {path}"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the key file {path} belongs to user {owner}, but this process runs as user {us}")]
    NotOurs { path: PathBuf, owner: u32, us: u32 },
    #[error(
        "the key file {path} is damaged: it must hold 64 hexadecimal digits. Restore it from a backup"
    )]
    Damaged { path: PathBuf },
    #[error("cannot use the key file {path}: {source}")]
    Unusable { path: PathBuf, source: io::Error },
}

/// Reads the key in the directory `data`, which must be locked; makes one
/// (mode 0600, on disk when this returns) if there is none.
///
/// # Errors
///
/// If the file is not a regular one of ours that only we can read, or does not hold a key.
pub fn load_or_create(data: &Path) -> Result<MasterKey, Error> {
    let path = data.join(NAME);
    let unusable = |source| Error::Unusable {
        path: path.clone(),
        source,
    };
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(data, &path).map_err(unusable)?;
        }
        Err(error) => return Err(unusable(error)),
        Ok(_) => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(unusable)?;
    // Asked of the open file: what is checked is what is read.
    let metadata = file.metadata().map_err(unusable)?;
    let us = nix::unistd::geteuid().as_raw();
    if metadata.uid() != us {
        return Err(Error::NotOurs {
            path,
            owner: metadata.uid(),
            us,
        });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed { path, mode });
    }
    if !metadata.is_file() || metadata.len() > 66 {
        return Err(Error::Damaged { path });
    }
    let text = io::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(unusable)?;
    decode(text.trim()).ok_or(Error::Damaged { path })
}

fn create(data: &Path, path: &Path) -> io::Result<()> {
    let key = Zeroizing::new(rand::random::<[u8; 32]>());
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in *key {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    // Whole or not at all: a power cut must not leave half a key.
    let new = data.join(format!("{NAME}.new"));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(data)?.sync_all()
}

fn decode(text: &str) -> Option<MasterKey> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = SecretBox::new(Box::new([0; 32]));
    for (at, byte) in secrecy::ExposeSecretMut::expose_secret_mut(&mut key)
        .iter_mut()
        .enumerate()
    {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(MasterKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_key_is_made_once() {
        let data = tempfile::tempdir().unwrap();
        let first = load_or_create(data.path()).unwrap();
        let second = load_or_create(data.path()).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert_ne!(first.expose(), &[0; 32]);
        let mode = data
            .path()
            .join(NAME)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(
            load_or_create(other.path()).unwrap().expose(),
            first.expose()
        );
        assert_eq!(format!("{first:?}"), "MasterKey(…)");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let data = tempfile::tempdir().unwrap();
        load_or_create(data.path()).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o610] {
            let path = data.path().join(NAME);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load_or_create(data.path()).unwrap_err().to_string();
            assert!(
                error.contains("chmod 600") && error.contains(&format!("{mode:o}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(NAME);
        for text in [
            "",
            "00",
            &"x".repeat(64),
            &"0".repeat(63),
            &"0".repeat(80),
            &"+1".repeat(32),
        ] {
            load_or_create(data.path()).ok();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            fs::write(&path, text).unwrap();
            assert!(
                matches!(load_or_create(data.path()), Err(Error::Damaged { .. })),
                "{text}"
            );
        }
        fs::remove_file(&path).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(matches!(
            load_or_create(data.path()),
            Err(Error::Unusable { .. })
        ));
    }
}
