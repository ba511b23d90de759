//! The files that a job names.
use super::reader::Reader;
use crate::domain::file::{JobFile, Kind};
use serde_json::Value;

/// Most files of one job.
const MOST: usize = 100;
/// No id of ours is longer, nor of any client.
const LONGEST_ID: usize = 256;

/// Inputs, then the script. Whether they exist is not asked here.
pub(super) fn files(from: &mut Reader<'_>) -> Vec<JobFile> {
    let mut files = named(from, "input_files", Kind::Input);
    let mut scripts = named(from, "script_files", Kind::Script);
    if let Some(script) = from.text("script_file", LONGEST_ID) {
        add(&mut scripts, script, Kind::Script);
    }
    if scripts.len() > 1 {
        from.complain("script_files", "Only one script is supported.");
    }
    files.append(&mut scripts);
    if files.len() > MOST {
        from.complain("input_files", "A job can be given 100 files at most.");
    }
    files
}

/// Objects with an id, or ids alone.
fn named(from: &mut Reader<'_>, field: &str, kind: Kind) -> Vec<JobFile> {
    let items = match from.get(field) {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            from.complain(field, "Give an array of {\"input_id\": …}.");
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for item in items {
        let id = match item {
            Value::String(id) => Some(id),
            Value::Object(fields) => match fields.get("input_id") {
                Some(Value::String(id)) => Some(id),
                _ => None,
            },
            _ => None,
        };
        match id.map(|id| id.trim()) {
            Some(id) if !id.is_empty() && id.len() <= LONGEST_ID && !id.contains('\0') => {
                add(&mut files, id.to_owned(), kind);
            }
            _ => from.complain(field, "Give an array of {\"input_id\": …}."),
        }
    }
    files
}

/// Who names a file twice means it once.
fn add(files: &mut Vec<JobFile>, input_id: String, kind: Kind) {
    if files.iter().all(|file| file.input_id != input_id) {
        files.push(JobFile {
            input_id,
            kind,
            filename: None,
            size_bytes: None,
        });
    }
}
