//! What can be shown of a file, judged by what is in it.
use super::content::{broken, open};
use super::{artifacts, links};
use crate::api::PreviewArtifact;
use crate::api::artifacts::{Preview, PreviewKind};
use crate::domain::picture;
use crate::domain::sniff::{self, Content, LOOKED_AT};
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};
use crate::store::artifacts::Artifact;
use tokio::io::AsyncReadExt as _;

/// So much text is shown.
const TEXT: usize = 64 * 1024;
const ROWS: usize = 50;
const COLUMNS: usize = 20;
const CELL: usize = 200;
/// Larger pictures are not shown: so many bytes are much to fetch for a look.
const PICTURE: i64 = 20_000_000;
/// Nor are those of more pixels, each of which takes a browser four bytes and more.
const PIXELS: u64 = 64_000_000;
/// Some cameras write much before they say how large a picture is.
const SAID_WITHIN: u64 = 2 << 20;

pub(super) async fn preview(cx: Cx, call: Call<PreviewArtifact>) -> Result<Preview, Error> {
    let artifact = artifacts::find(&cx, &mut *cx.store().read().await?, call.path.0).await?;
    let mut file = open(cx.disk().artifact(&artifact.place)).await?;
    let mut head = Vec::new();
    (&mut file)
        .take(TEXT as u64)
        .read_to_end(&mut head)
        .await
        .map_err(broken)?;
    let whole = i64::try_from(head.len()).is_ok_and(|read| read >= artifact.size);
    let looked_at = &head[..head.len().min(LOOKED_AT)];
    let content = Content::of(looked_at, whole && looked_at.len() == head.len());
    if !content.is_picture() {
        return Ok(words(&artifact, content, &head, whole));
    }
    if picture::measures(content, &head).is_none() && content == Content::Jpeg {
        file.take(SAID_WITHIN)
            .read_to_end(&mut head)
            .await
            .map_err(broken)?;
    }
    Ok(drawn(&cx, &artifact, picture::measures(content, &head)))
}

fn nothing(artifact: &Artifact, message: String) -> Preview {
    Preview {
        artifact_id: artifact.id,
        kind: PreviewKind::None,
        text: None,
        rows: Vec::new(),
        image_url: None,
        truncated: artifact.size > 0,
        message,
    }
}

fn drawn(cx: &Cx, artifact: &Artifact, measures: Option<(u32, u32)>) -> Preview {
    let size = super::said(artifact.size.unsigned_abs());
    if artifact.size > PICTURE {
        let message = format!("A picture of {size} is too large to be shown here. Download it.");
        return nothing(artifact, message);
    }
    let Some((width, height)) = measures else {
        let message = "It begins like a picture, but does not say how large it is. Download it.";
        return nothing(artifact, message.to_owned());
    };
    if u64::from(width) * u64::from(height) > PIXELS {
        let message = format!(
            "A picture of {width} × {height} pixels is too large to be shown here. Download it."
        );
        return nothing(artifact, message);
    }
    let (url, _) = links::address(cx, artifact.id, links::Use::Shown);
    let message = format!("A picture of {width} × {height} pixels, {size}.");
    Preview {
        kind: PreviewKind::Image,
        image_url: Some(url),
        truncated: false,
        ..nothing(artifact, message)
    }
}

fn words(artifact: &Artifact, content: Content, head: &[u8], whole: bool) -> Preview {
    let size = super::said(artifact.size.unsigned_abs());
    let text = match content {
        Content::Json | Content::Csv | Content::Text => sniff::text(head, whole),
        _ => None,
    };
    let Some(text) = text else {
        let message = format!("{size} that are neither text nor a picture. Download the file.");
        return nothing(artifact, message);
    };
    let (mut preview, more) = match content {
        Content::Csv => table(artifact, text, whole),
        Content::Json => json(artifact, text, whole),
        _ => {
            let plain = Preview {
                kind: PreviewKind::Text,
                text: Some(text.to_owned()),
                ..nothing(artifact, String::new())
            };
            (plain, !whole)
        }
    };
    preview.truncated = more;
    preview.message = if more {
        format!("The beginning of {size}.")
    } else {
        format!("All of it: {size}.")
    };
    preview
}

/// Indented if it is all there and stays short.
fn json(artifact: &Artifact, text: &str, whole: bool) -> (Preview, bool) {
    let indented = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .filter(|_| whole)
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .filter(|indented| indented.len() <= TEXT);
    let shown = Preview {
        kind: PreviewKind::Json,
        text: Some(indented.unwrap_or_else(|| text.to_owned())),
        ..nothing(artifact, String::new())
    };
    (shown, !whole)
}

fn table(artifact: &Artifact, text: &str, whole: bool) -> (Preview, bool) {
    let separator = sniff::separator(text, whole).unwrap_or(',');
    let mut rows: Vec<Vec<String>> = sniff::rows(text, separator).take(ROWS + 1).collect();
    // The last row may be cut in the middle.
    if !whole && rows.len() <= ROWS && rows.len() > 1 {
        rows.pop();
    }
    let mut more = !whole || rows.len() > ROWS;
    rows.truncate(ROWS);
    for row in &mut rows {
        more |= row.len() > COLUMNS;
        row.truncate(COLUMNS);
        for cell in row {
            if let Some((at, _)) = cell.char_indices().nth(CELL) {
                cell.truncate(at);
                cell.push('…');
                more = true;
            }
        }
    }
    let shown = Preview {
        kind: PreviewKind::Csv,
        rows,
        ..nothing(artifact, String::new())
    };
    (shown, more)
}
