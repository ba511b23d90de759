//! Files on their way in: written as they arrive, under a name that is not shown,
//! and only called what they are once they are whole.
use super::place::{self, Folder, PART, Place};
use super::{Error, Root, beside};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, State};
use axum::response::Response;
use http::Uri;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, OnceLock};

/// Collected before it is written, so that a large file is not a million writes.
const CHUNK: usize = 1024 * 1024;

pub(super) async fn upload(
    State(root): Root,
    uri: Uri,
    mut form: Multipart,
) -> Result<Response, Error> {
    let place = super::place(&uri)?;
    match take(&root, &place, &mut form).await {
        Ok(0) => Err(Error::Bad("Choose a file first.".into())),
        Ok(_) => Ok(super::done(&place, "uploaded")),
        Err(error) => {
            // Browsers listen only once they have said everything.
            while let Ok(Some(_)) = form.next_field().await {}
            Err(error)
        }
    }
}

/// How many files came.
async fn take(root: &Arc<Folder>, place: &Place, form: &mut Multipart) -> Result<u32, Error> {
    let mut count = 0;
    while let Some(field) = form.next_field().await.map_err(cut_off)? {
        let Some(given) = field.file_name().map(str::to_owned) else {
            continue;
        };
        if given.is_empty() {
            continue;
        }
        let name = super::typed(last_part(&given))?;
        receive(root, place, name, field).await?;
        count += 1;
    }
    Ok(count)
}

fn cut_off(error: MultipartError) -> Error {
    Error::Bad(format!(
        "The upload did not arrive whole: {}.",
        error.body_text()
    ))
}

/// Some browsers send the path that a file has at home.
fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

async fn receive(
    root: &Arc<Folder>,
    place: &Place,
    name: OsString,
    mut field: Field<'_>,
) -> Result<(), Error> {
    let (root, place) = (Arc::clone(root), place.clone());
    let mut part = beside(move || {
        let folder = root.walk(&place)?;
        let name = OsString::from(crate::random::token(&run()));
        let file = folder.create(&name)?;
        Ok(Partial {
            folder,
            name: Some(name),
            file,
        })
    })
    .await?;
    let mut waiting = Vec::new();
    loop {
        let chunk = field.chunk().await.map_err(cut_off)?;
        let over = chunk.is_none();
        waiting.extend_from_slice(&chunk.unwrap_or_default());
        if waiting.len() >= CHUNK || (over && !waiting.is_empty()) {
            let bytes = std::mem::take(&mut waiting);
            part = beside(move || {
                part.file.write_all(&bytes)?;
                Ok(part)
            })
            .await?;
        }
        if over {
            return beside(move || Ok(part.settle(&name)?)).await;
        }
    }
}

/// A file that is not whole yet; it goes when nobody wants it any more.
struct Partial {
    folder: Folder,
    name: Option<OsString>,
    file: std::fs::File,
}

impl Partial {
    /// Calls it `name`, or `name (2)` and so on if that is taken.
    fn settle(mut self, name: &OsStr) -> io::Result<()> {
        self.file.sync_all()?;
        let Some(part) = self.name.clone() else {
            return Ok(());
        };
        for attempt in 1..1_000 {
            match self.folder.settle(&part, &numbered(name, attempt)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Ok(()) => {
                    self.name = None;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = self.folder.remove(name);
        }
    }
}

/// `photo.jpg`, `photo (2).jpg`, `photo (3).jpg`.
fn numbered(name: &OsStr, attempt: u32) -> OsString {
    if attempt == 1 {
        return name.to_owned();
    }
    let text = name.to_string_lossy();
    let (stem, extension) = match text.rfind('.') {
        Some(dot) if dot > 0 => text.split_at(dot),
        _ => (&*text, ""),
    };
    OsString::from(format!("{stem} ({attempt}){extension}"))
}

/// What uploads of this process are called until they are whole.
fn run() -> String {
    static RUN: OnceLock<String> = OnceLock::new();
    let run = RUN.get_or_init(|| crate::random::token(PART)[..PART.len() + 16].to_owned());
    format!("{run}-")
}

/// Removes what uploads left behind that were cut off with an earlier session.
/// In a thread of its own: a volume may hold more than a start should wait for.
pub(super) fn tidy(root: &Arc<Folder>) {
    let root = Arc::clone(root);
    std::thread::spawn(move || tidy_below(&root, 0));
}

fn tidy_below(folder: &Folder, depth: usize) {
    let Ok(names) = folder.everything() else {
        return;
    };
    for name in names {
        if name.as_bytes().starts_with(PART.as_bytes()) {
            if !name.as_bytes().starts_with(run().as_bytes()) {
                let _ = folder.remove(&name);
            }
        } else if depth < 8
            && folder
                .about(&name)
                .is_ok_and(|about| about.kind == place::Kind::Folder)
            && let Ok(inner) = folder.walk(&Place(vec![name]))
        {
            tidy_below(&inner, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        for (name, second) in [
            ("a.txt", "a (2).txt"),
            ("a", "a (2)"),
            (".bashrc", ".bashrc (2)"),
            ("a.tar.gz", "a.tar (2).gz"),
        ] {
            assert_eq!(numbered(OsStr::new(name), 1), name);
            assert_eq!(numbered(OsStr::new(name), 2), second);
        }
        assert_eq!(last_part("C:\\photos\\a.jpg"), "a.jpg");
        assert_eq!(last_part("../../etc/passwd"), "passwd");
    }
}
