//! Control groups: limits on memory, processes and CPU time, in the unified
//! hierarchy where it is delegated to us, else in the version 1 hierarchies.
use super::super::record::{self, Measure, Order};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The groups of one run.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) directories: Vec<PathBuf>,
    /// Where the kernel counts processes that it killed for want of memory.
    memory_events: Option<PathBuf>,
    pub(super) memory: Limit,
    pub(super) processes: Limit,
    cpu: Limit,
}

/// Whether a limit is in force, and the reason if not.
#[derive(Debug)]
pub(super) enum Limit {
    Active(String),
    Missing(String),
}

impl Default for Limit {
    fn default() -> Self {
        Self::Missing("no control group of this kind can be made".into())
    }
}

impl Limit {
    pub(super) fn active(&self) -> bool {
        matches!(self, Self::Active(_))
    }
}

impl Groups {
    /// Makes the groups that can be made and sets their limits.
    pub(super) fn create(order: &Order) -> Self {
        let mut groups = Self::default();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        for controller in CONTROLLERS {
            let limit = match place(&mounts, &own, controller, &order.group) {
                Ok(place) => groups.limit(controller, &place, order),
                Err(why) => Limit::Missing(why),
            };
            match controller {
                "memory" => groups.memory = limit,
                "pids" => groups.processes = limit,
                _ => groups.cpu = limit,
            }
        }
        groups
    }

    fn limit(&mut self, controller: &str, place: &Place, order: &Order) -> Limit {
        let directory = &place.directory;
        if !self.directories.contains(directory) {
            self.directories.push(directory.clone());
        }
        // A thousandth of a core is the least that the kernel takes.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped first"
        )]
        let quota = (order.cpus.clamp(0.01, 100_000.0) * 100_000.0) as u64;
        // The first process of the sandbox counts too.
        let processes = u64::from(order.processes) + 1;
        let (file, value) = match (controller, place.unified) {
            ("memory", true) => ("memory.max", order.memory_bytes.to_string()),
            ("memory", false) => ("memory.limit_in_bytes", order.memory_bytes.to_string()),
            ("pids", _) => ("pids.max", processes.to_string()),
            (_, true) => ("cpu.max", format!("{quota} 100000")),
            (_, false) => ("cpu.cfs_quota_us", quota.to_string()),
        };
        if let Err(error) = fs::write(directory.join(file), &value) {
            return Limit::Missing(format!("writing {file} failed: {error}"));
        }
        if controller == "memory" {
            // Otherwise the run would go on in swap; not every kernel has these.
            let _ = fs::write(directory.join("memory.memsw.limit_in_bytes"), &value);
            let _ = fs::write(directory.join("memory.swap.max"), "0");
            let events = if place.unified {
                "memory.events"
            } else {
                "memory.oom_control"
            };
            self.memory_events = Some(directory.join(events));
        }
        let version = if place.unified { 2 } else { 1 };
        Limit::Active(format!("control group version {version}, {file} = {value}"))
    }

    /// Puts the calling process, and all that it will start, under the limits.
    pub(super) fn join(&mut self) {
        for directory in &self.directories {
            if let Err(error) = fs::write(directory.join("cgroup.procs"), "0") {
                let why = format!("joining {} failed: {error}", directory.display());
                for limit in [&mut self.memory, &mut self.processes, &mut self.cpu] {
                    *limit = Limit::Missing(why.clone());
                }
            }
        }
    }

    /// How many processes of the run died for want of memory.
    pub(super) fn out_of_memory(&self) -> bool {
        let Some(path) = &self.memory_events else {
            return false;
        };
        let events = fs::read_to_string(path).unwrap_or_default();
        events
            .lines()
            .filter_map(|line| line.strip_prefix("oom_kill "))
            .any(|count| count.trim() != "0")
    }

    pub(super) fn remove(&self) {
        for directory in &self.directories {
            record::remove_group(directory);
        }
    }

    pub(super) fn measures(&self) -> Vec<Measure> {
        [
            ("memory limit", &self.memory),
            ("process limit", &self.processes),
            ("cpu limit", &self.cpu),
        ]
        .into_iter()
        .map(|(name, limit)| match limit {
            Limit::Active(detail) => Measure::new(name, true, detail),
            Limit::Missing(why) => Measure::new(name, false, why),
        })
        .collect()
    }
}

#[derive(Debug)]
struct Place {
    directory: PathBuf,
    unified: bool,
}

/// Makes a group for one controller below our own group, or as near to it as
/// the hierarchy lets us.
fn place(mounts: &str, own: &str, controller: &str, group: &str) -> Result<Place, String> {
    let mut refusals = Vec::new();
    for mount in mounts.lines() {
        let fields: Vec<&str> = mount.split(' ').collect();
        let [_, at, kind, options, ..] = fields[..] else {
            continue;
        };
        let unified = kind == "cgroup2";
        if !(unified || kind == "cgroup" && options.split(',').any(|option| option == controller)) {
            continue;
        }
        for parent in parents(Path::new(at), own, if unified { "" } else { controller }) {
            match make(&parent, controller, group, unified) {
                Ok(directory) => return Ok(Place { directory, unified }),
                Err(why) => refusals.push(format!("{}: {why}", parent.display())),
            }
        }
    }
    if refusals.is_empty() {
        refusals.push("no control group hierarchy is mounted".into());
    }
    Err(refusals.join("; "))
}

/// Our own group in a hierarchy, the one above it, and the top.
fn parents(mount: &Path, own: &str, controllers: &str) -> Vec<PathBuf> {
    let mine = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let named = parts.next()?.split(',').any(|name| name == controllers);
        named.then(|| parts.next()).flatten()
    });
    let mut parents = Vec::new();
    if let Some(mine) = mine.map(|path| path.trim_start_matches('/')) {
        let mine = mount.join(mine);
        if mine.is_dir() {
            parents.extend(
                [
                    Some(mine.as_path()),
                    mine.parent().filter(|above| above.starts_with(mount)),
                ]
                .into_iter()
                .flatten()
                .map(Path::to_owned),
            );
        }
    }
    parents.push(mount.to_owned());
    parents.dedup();
    parents
}

fn make(parent: &Path, controller: &str, group: &str, unified: bool) -> Result<PathBuf, String> {
    let directory = parent.join(format!("junglegrid-{group}"));
    if unified {
        let available = fs::read_to_string(parent.join("cgroup.controllers"))
            .map_err(|error| error.to_string())?;
        if !available.split_whitespace().any(|name| name == controller) {
            return Err(format!(
                "no {controller} controller in the unified hierarchy"
            ));
        }
        let enabled = fs::read_to_string(parent.join("cgroup.subtree_control")).unwrap_or_default();
        if !enabled.split_whitespace().any(|name| name == controller) {
            fs::write(
                parent.join("cgroup.subtree_control"),
                format!("+{controller}"),
            )
            .map_err(|error| format!("{controller} is not delegated: {error}"))?;
        }
    }
    match fs::create_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.to_string()),
        Ok(()) | Err(_) => Ok(directory),
    }
}
