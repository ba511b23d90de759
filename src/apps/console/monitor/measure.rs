//! Reads `/proc`. In a sandbox it holds the processes of the sandbox alone.
use crate::domain::text::is_invisible_order;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Ticks per second in `/proc/…/stat`, which Linux keeps the same everywhere.
const TICKS: u128 = 100;
const PAGE: u64 = 4096;

/// CPU ticks of each process so far.
pub(super) type Meter = HashMap<(u32, u64), u64>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// Tenths of a percent of one core.
    pub(super) cpu: Option<u64>,
    pub(super) memory: u64,
    /// Free and total, of the whole machine.
    pub(super) machine: Option<(u64, u64)>,
    pub(super) disk: Option<(u64, u64)>,
    /// The busiest first.
    pub(super) processes: Vec<Process>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) cpu: Option<u64>,
    pub(super) memory: u64,
}

/// One line of `/proc/<id>/stat`, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    ticks: u64,
    /// With its id this names a process for ever; ids are used again.
    started: u64,
    memory: u64,
}

pub(super) fn measure(root: &Path, before: Option<&(Instant, Meter)>) -> (Meter, Picture) {
    let mut meter = Meter::new();
    let mut processes = Vec::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let Some(id) = entry.file_name().to_str().and_then(|id| id.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).ok();
        let Some(stat) = stat.as_deref().and_then(read) else {
            continue;
        };
        let known = before.map(|(at, meter)| {
            let ticks = meter.get(&(id, stat.started)).copied().unwrap_or(0);
            share(stat.ticks.saturating_sub(ticks), at.elapsed().as_millis())
        });
        meter.insert((id, stat.started), stat.ticks);
        processes.push(Process {
            id,
            name: stat.name,
            cpu: known,
            memory: stat.memory,
        });
    }
    processes.sort_by_key(|process| (Reverse(process.cpu), Reverse(process.memory), process.id));
    let picture = Picture {
        cpu: before.map(|_| processes.iter().filter_map(|p| p.cpu).sum()),
        memory: processes.iter().map(|p| p.memory).sum(),
        machine: fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| memory(&text)),
        disk: disk(root),
        processes,
    };
    (meter, picture)
}

/// Tenths of a percent of one core.
fn share(ticks: u64, millis: u128) -> u64 {
    let tenths = u128::from(ticks) * 1_000 * 1_000 / TICKS / millis.max(1);
    u64::try_from(tenths).unwrap_or(u64::MAX)
}

fn read(stat: &str) -> Option<Stat> {
    // The name may hold spaces and brackets; the last bracket ends it.
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        name: name.chars().filter(|c| !is_invisible_order(*c)).collect(),
        ticks: number(11)? + number(12)?,
        started: number(19)?,
        memory: number(21)?.saturating_mul(PAGE),
    })
}

/// Free and total.
fn memory(meminfo: &str) -> Option<(u64, u64)> {
    let kilobytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let number = line.trim_start_matches(':').trim().split(' ').next()?;
        Some(number.parse::<u64>().ok()? * 1024)
    };
    Some((kilobytes("MemAvailable")?, kilobytes("MemTotal")?))
}

fn disk(root: &Path) -> Option<(u64, u64)> {
    let about = nix::sys::statvfs::statvfs(root).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(about.fragment_size());
    Some((bytes(about.blocks_available()), bytes(about.blocks())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let rest =
            "S 1 7 7 0 -1 4194560 0 0 0 0 30 12 0 0 20 0 1 0 777 1000000 50 18446744073709551615";
        for name in ["sh", "a b", "x) S (y", ""] {
            let stat = read(&format!("7 ({name}) {rest}")).unwrap();
            let expected = Stat {
                name: name.into(),
                ticks: 42,
                started: 777,
                memory: 50 * 4096,
            };
            assert_eq!(stat, expected);
        }
        assert_eq!(read("7 (sh) S 1"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn a_core_that_is_busy_all_the_time_is_a_hundred_percent() {
        assert_eq!(share(200, 2_000), 1_000);
        assert_eq!(share(1, 2_000), 5);
        assert_eq!(share(5, 0), 50_000);
    }

    #[test]
    fn this_process_is_seen() {
        let (meter, first) = measure(Path::new("/"), None);
        assert_eq!(first.cpu, None);
        assert!(first.memory > 0 && first.disk.is_some());
        let (_, second) = measure(Path::new("/"), Some(&(Instant::now(), meter)));
        let own = std::process::id();
        assert!(second.cpu.is_some() && second.processes.iter().any(|p| p.id == own));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "MemTotal:       8000 kB\nMemFree:  10 kB\nMemAvailable:    4000 kB\n";
        assert_eq!(memory(text), Some((4_096_000, 8_192_000)));
        assert_eq!(memory("MemTotal: 1 kB\n"), None);
    }
}
