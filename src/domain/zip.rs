//! Archives of files as they are (ZIP, method 0): what stands between their bytes. All
//! of it is known beforehand, so that an archive can be sent while it is made, with its
//! length.
use time::OffsetDateTime;

const FIT_IN_32: u64 = u32::MAX as u64;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
/// The first version that knows sizes of 64 bits; who reads none is not bothered by it.
const VERSION: u16 = 45;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, with slashes, at most 65,535 bytes.
    pub name: String,
    /// In bytes.
    pub size: u64,
    pub crc32: u32,
    pub at: OffsetDateTime,
}

/// The order of what is sent, for entries one after the other.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    /// What follows the last file.
    directory: Vec<u8>,
    entries: u64,
    /// Bytes before what comes next.
    at: u64,
}

impl Archive {
    /// What stands before the bytes of the next file.
    pub fn next(&mut self, entry: &Entry) -> Vec<u8> {
        let head = local(entry);
        let offset = self.at;
        self.directory.extend(central(entry, offset));
        self.entries += 1;
        self.at += head.len() as u64 + entry.size;
        head
    }

    /// What stands behind the bytes of the last file.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        let (size, offset) = (self.directory.len() as u64, self.at);
        let mut end = self.directory;
        let large = self.entries >= u64::from(u16::MAX) || size >= FIT_IN_32 || offset >= FIT_IN_32;
        if large {
            let record = offset + size;
            end.extend(b"PK\x06\x06");
            end.extend(44_u64.to_le_bytes());
            for _ in 0..2 {
                end.extend(VERSION.to_le_bytes());
            }
            end.extend([0; 8]);
            for number in [self.entries, self.entries, size, offset] {
                end.extend(number.to_le_bytes());
            }
            end.extend(b"PK\x06\x07");
            end.extend([0; 4]);
            end.extend(record.to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        end.extend(b"PK\x05\x06");
        end.extend([0; 4]);
        end.extend(entries.to_le_bytes());
        end.extend(entries.to_le_bytes());
        end.extend(short(size).to_le_bytes());
        end.extend(short(offset).to_le_bytes());
        end.extend([0; 2]);
        end
    }
}

/// How many bytes an archive of these files has.
#[must_use]
pub fn length(entries: &[Entry]) -> u64 {
    let mut archive = Archive::default();
    for entry in entries {
        archive.next(entry);
    }
    let at = archive.at;
    at + archive.end().len() as u64
}

/// As it is if it fits, else what says that it stands elsewhere.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What the two descriptions of a file have in common.
fn common(entry: &Entry, extra: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(UTF8.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(moment(entry.at).to_le_bytes());
    bytes.extend(entry.crc32.to_le_bytes());
    for _ in 0..2 {
        bytes.extend(short(entry.size).to_le_bytes());
    }
    bytes.extend(
        u16::try_from(entry.name.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes(),
    );
    bytes.extend(u16::try_from(extra.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes
}

fn extra(numbers: &[u64]) -> Vec<u8> {
    if numbers.is_empty() {
        return Vec::new();
    }
    let mut extra = 1_u16.to_le_bytes().to_vec();
    extra.extend(u16::try_from(numbers.len() * 8).unwrap_or(0).to_le_bytes());
    for number in numbers {
        extra.extend(number.to_le_bytes());
    }
    extra
}

fn local(entry: &Entry) -> Vec<u8> {
    let extra = if entry.size >= FIT_IN_32 {
        extra(&[entry.size, entry.size])
    } else {
        Vec::new()
    };
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend(common(entry, &extra));
    bytes.extend(entry.name.as_bytes());
    bytes.extend(extra);
    bytes
}

fn central(entry: &Entry, offset: u64) -> Vec<u8> {
    let mut numbers = Vec::new();
    if entry.size >= FIT_IN_32 {
        numbers.extend([entry.size, entry.size]);
    }
    if offset >= FIT_IN_32 {
        numbers.push(offset);
    }
    let extra = extra(&numbers);
    let mut bytes = b"PK\x01\x02".to_vec();
    // Made where files have the rights of Unix.
    bytes.extend((VERSION | (3 << 8)).to_le_bytes());
    bytes.extend(common(entry, &extra));
    bytes.extend([0; 6]);
    bytes.extend((0o100_644_u32 << 16).to_le_bytes());
    bytes.extend(short(offset).to_le_bytes());
    bytes.extend(entry.name.as_bytes());
    bytes.extend(extra);
    bytes
}

/// Two seconds are as exact as it gets, and time begins in 1980.
fn moment(at: OffsetDateTime) -> u32 {
    let year = u32::try_from(at.year().clamp(1980, 2107) - 1980).unwrap_or(0);
    let (month, day) = (u32::from(u8::from(at.month())), u32::from(at.day()));
    let (hour, minute) = (u32::from(at.hour()), u32::from(at.minute()));
    let date = (year << 9) | (month << 5) | day;
    let time = (hour << 11) | (minute << 5) | (u32::from(at.second()) / 2);
    (date << 16) | time
}

/// The name as every system can write it: what means something to one of them (a drive,
/// a device, a stream) becomes `_`.
#[must_use]
pub fn portable(name: &str) -> String {
    let parts = name.split('/').map(|part| {
        let mut part = part.replace(['<', '>', ':', '"', '\\', '|', '?', '*'], "_");
        if part.ends_with(['.', ' ']) {
            part.pop();
            part.push('_');
        }
        let stem = part.split('.').next().unwrap_or_default().trim_end();
        let device = |stem: &str| match stem.to_ascii_uppercase().as_str() {
            "CON" | "PRN" | "AUX" | "NUL" => true,
            stem => {
                let number = stem.strip_prefix("COM").or(stem.strip_prefix("LPT"));
                number.is_some_and(|number| number.len() == 1 && number != "0")
            }
        };
        if device(stem) {
            format!("_{part}")
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The same name, if none of these has it yet in whatever case, else with a number before
/// its ending.
#[must_use]
pub fn unused<S: std::hash::BuildHasher>(
    name: &str,
    taken: &mut std::collections::HashSet<String, S>,
) -> String {
    let (folder, file) = name
        .rsplit_once('/')
        .map_or(("", name), |(folder, file)| (&name[..=folder.len()], file));
    let (stem, ending) = match file.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (file, String::new()),
    };
    let mut candidate = name.to_owned();
    let mut number = 2_u32;
    while !taken.insert(candidate.to_lowercase()) {
        candidate = format!("{folder}{stem} ({number}){ending}");
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use time::macros::datetime;

    fn entry(name: &str, size: u64) -> Entry {
        Entry {
            name: name.into(),
            size,
            crc32: 0x1234_5678,
            at: datetime!(2026-11-23 12:00:05 UTC),
        }
    }

    fn number(bytes: &[u8], at: usize, wide: usize) -> u64 {
        bytes[at..at + wide]
            .iter()
            .rev()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }

    #[test]
    fn its_length_is_known_beforehand_and_its_directory_is_where_it_says() {
        let files = [entry("a/é.txt", 5), entry("b", 0)];
        let mut archive = Archive::default();
        let mut bytes = archive.next(&files[0]);
        bytes.extend(b"hello");
        bytes.extend(archive.next(&files[1]));
        let directory = bytes.len() as u64;
        bytes.extend(archive.end());
        assert_eq!(bytes.len() as u64, length(&files));
        let end = bytes.len() - 22;
        assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
        assert_eq!(number(&bytes, end + 10, 2), 2);
        assert_eq!(number(&bytes, end + 16, 4), directory);
        let at = usize::try_from(directory).unwrap();
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        assert_eq!(number(&bytes, at + 24, 4), 5);
    }

    #[test]
    fn what_does_not_fit_in_32_bits_stands_in_64() {
        let files = [entry("big", 5 << 30), entry("after", 7)];
        let mut archive = Archive::default();
        let head = archive.next(&files[0]);
        assert_eq!(number(&head, 18, 4), FIT_IN_32);
        assert_eq!(number(&head, head.len() - 8, 8), 5 << 30);
        archive.next(&files[1]);
        let before = archive.at;
        let end = archive.end();
        assert_eq!(before + end.len() as u64, length(&files));
        let tail = end.len() - 22 - 20 - 56;
        assert_eq!(&end[tail..tail + 4], b"PK\x06\x06");
        assert_eq!(number(&end, tail + 48, 8), before);
        assert_eq!(&end[tail + 56..tail + 60], b"PK\x06\x07");
        assert_eq!(number(&end, tail + 64, 8), before + tail as u64);
    }

    #[test]
    fn a_name_is_good_on_every_system() {
        for (name, portable) in [
            ("out/model.bin", "out/model.bin"),
            ("C:evil", "C_evil"),
            ("a/con", "a/_con"),
            ("NUL.txt", "_NUL.txt"),
            ("com1 .x", "_com1 .x"),
            ("COM10", "COM10"),
            ("...", ".._"),
            (" ", "_"),
            ("a?b*/c|d. ", "a_b_/c_d._"),
            ("x:stream", "x_stream"),
            ("données.csv", "données.csv"),
        ] {
            assert_eq!(super::portable(name), portable);
        }
    }

    #[test]
    fn two_files_never_have_one_name() {
        let mut taken = HashSet::new();
        let names = [
            "a/b.txt",
            "a/b.txt",
            "a/b.txt",
            "a/b (2).txt",
            ".x",
            ".x",
            "c",
            "c",
            "C",
        ];
        let unused: Vec<_> = names.iter().map(|name| unused(name, &mut taken)).collect();
        assert_eq!(
            unused,
            [
                "a/b.txt",
                "a/b (2).txt",
                "a/b (3).txt",
                "a/b (2) (2).txt",
                ".x",
                ".x (2)",
                "c",
                "c (2)",
                "C (3)"
            ]
        );
    }
}
