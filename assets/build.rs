//! Turns this folder into what the binary serves: one script, one small
//! stylesheet, names that change with the content, and every file compressed
//! beforehand as far as each coding goes. Writes a table for `web::assets`.
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

mod minify;

/// Joined in this order: the extension registers itself with htmx, and ours
/// listens to both. Apart, they would race (htmx may start in between).
const SCRIPTS: [&str; 2] = [
    "vendor/htmx-4.0.1/htmx.min.js",
    "vendor/htmx-4.0.1/hx-sse.min.js",
];
const IMAGES: [&str; 3] = ["canopy.svg", "icons.svg", "mark.svg"];

struct Made {
    name: &'static str,
    path: String,
    hash: String,
    bytes: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=assets");
    // A build script runs in its package's folder.
    let assets = Path::new("assets");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let read = |name: &str| {
        fs::read_to_string(assets.join(name)).map_err(|e| format!("assets/{name}: {e}"))
    };

    let mut made = Vec::new();
    for name in IMAGES {
        made.push(make(name, read(name)?.trim_end().into()));
    }

    let mut style = minify::css(&read("jungle.css")?);
    for image in &made {
        style = style.replace(
            &format!("url({})", image.name),
            &format!("url({})", image.path),
        );
    }
    if style.contains("</") {
        return Err("jungle.css cannot be put inside a page: it contains `</`".into());
    }
    let csp = format!("'sha256-{}'", base64(&Sha256::digest(&style)));
    made.push(make("jungle.css", style));

    // What only some pages need is no part of a first visit.
    made.push(make("portal.css", minify::css(&read("portal.css")?)));
    made.push(make("logs.css", minify::css(&read("logs.css")?)));
    made.push(make("jobs.css", minify::css(&read("jobs.css")?)));
    made.push(make("logs.js", minify::js(&read("logs.js")?)));
    made.push(make("upload.js", minify::js(&read("upload.js")?)));

    let mut script = String::new();
    for name in SCRIPTS {
        script.push_str(read(name)?.trim_end());
        script.push('\n');
    }
    script.push_str(&minify::js(&read("app.js")?));
    made.push(make("app.js", script));

    let mut table = String::from("static FILES: &[File] = &[\n");
    for file in &made {
        write_file(&mut table, &out, file)?;
    }
    writeln!(
        table,
        "];\n/// What allows the text of [`stylesheet`] inside a page: a source for `style-src`."
    )?;
    writeln!(table, "pub const STYLE_CSP_HASH: &str = {csp:?};")?;
    fs::write(out.join("assets.rs"), table)?;
    templates(&assets.join("templates"), &out)
}

/// A table of the manifests of apps: `<slug>.toml` or `<slug>/template.toml`.
fn templates(folder: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let inner = path.join("template.toml");
        if inner.is_file() {
            found.push(inner);
        } else if path.extension().is_some_and(|kind| kind == "toml") {
            found.push(path);
        }
    }
    found.sort();
    let mut table = String::from("pub(super) static TEMPLATES: &[(&str, &str)] = &[\n");
    for path in found {
        let text = |path: PathBuf| path.into_os_string().into_string();
        let (Ok(name), Ok(whole)) = (text(path.clone()), text(path.canonicalize()?)) else {
            return Err("the name of a template is not text".into());
        };
        writeln!(table, "({name:?}, include_str!({whole:?})),")?;
    }
    table.push_str("];\n");
    fs::write(out.join("templates.rs"), table)?;
    Ok(())
}

fn make(name: &'static str, text: String) -> Made {
    let bytes = text.into_bytes();
    let hash = Sha256::digest(&bytes)
        .iter()
        .take(8)
        .fold(String::new(), |mut hash, byte| {
            let _ = write!(hash, "{byte:02x}");
            hash
        });
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let path = format!("/assets/{stem}.{}.{extension}", &hash[..8]);
    Made {
        name,
        path,
        hash,
        bytes,
    }
}

fn write_file(table: &mut String, out: &Path, made: &Made) -> Result<(), Box<dyn Error>> {
    let kind = match made.name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return Err(format!("{}: no content type known", made.name).into()),
    };
    writeln!(
        table,
        "File {{ name: {:?}, path: {:?}, kind: {kind:?}, codings: [",
        made.name, made.path
    )?;
    for (coding, bytes) in [
        ("br", brotli(&made.bytes)?),
        ("zstd", zstd::bulk::compress(&made.bytes, 19)?),
        ("gzip", gzip(&made.bytes)?),
        ("identity", made.bytes.clone()),
    ] {
        let file = format!("/{}.{coding}", made.name);
        fs::write(out.join(&file[1..]), bytes)?;
        writeln!(
            table,
            "Coded {{ coding: {coding:?}, etag: {:?}, bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), {file:?})) }},",
            format!("\"{}-{coding}\"", made.hash),
        )?;
    }
    writeln!(table, "] }},")?;
    Ok(())
}

fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: 11,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut out, &params)?;
    Ok(out)
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word = chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            (0..4).map(move |at| {
                if at > chunk.len() {
                    '='
                } else {
                    char::from(ALPHABET[(word >> (18 - 6 * at)) as usize & 63])
                }
            })
        })
        .collect()
}
