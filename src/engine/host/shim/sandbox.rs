//! The walls around a run: namespaces, a root directory of its own, a user of
//! its own, resource limits. What the machine refuses is left out and told.
use super::super::record::{FOLDERS, Measure, Order, WORKSPACE};
use super::groups::Groups;
use super::sys;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Users of the system itself lie below; runs get none of them.
const FIRST_ORDINARY: u32 = 1000;

/// Who a run is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    /// A user of its own, whom the shim may become.
    Own(Uid),
    /// The user who runs the server, by the number that the run sees.
    Shared(Uid),
}

impl Owner {
    /// The user whom the order names if the shim is root and that user exists
    /// in its user namespace, else another that exists. In a namespace with
    /// root alone, root is somebody else outside, and must not be root inside.
    pub(super) fn choose(order: &Order) -> Self {
        let own = Uid::effective();
        if !own.is_root() {
            return Self::Shared(own);
        }
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        pick(&map, order.uid).map_or(Self::Shared(Uid::from_raw(FIRST_ORDINARY)), |uid| {
            Self::Own(Uid::from_raw(uid))
        })
    }

    pub(super) fn uid(self) -> Uid {
        match self {
            Self::Own(uid) | Self::Shared(uid) => uid,
        }
    }

    pub(super) fn own(self) -> Option<Uid> {
        match self {
            Self::Own(uid) => Some(uid),
            Self::Shared(_) => None,
        }
    }
}

/// An ordinary user that exists by `map`: the wanted one if it can be.
fn pick(map: &str, wanted: u32) -> Option<u32> {
    let extents: Vec<(u32, u32)> = map
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let (first, _, count) = (
                numbers.next()?.ok()?,
                numbers.next()?,
                numbers.next()?.ok()?,
            );
            let skipped = FIRST_ORDINARY.saturating_sub(first);
            let count = count.checked_sub(skipped).filter(|count| *count > 0)?;
            Some((first.max(FIRST_ORDINARY), count))
        })
        .collect();
    if extents
        .iter()
        .any(|(first, count)| wanted >= *first && wanted - first < *count)
    {
        return Some(wanted);
    }
    let (first, count) = extents.into_iter().max_by_key(|(_, count)| *count)?;
    Some(first + wanted % count)
}

/// What the shim has set up before the first process of the sandbox starts.
#[derive(Debug)]
pub(super) struct Walls {
    pub(super) measures: Vec<Measure>,
    /// The kernel ends everything in the sandbox with its first process.
    pub(super) own_processes: bool,
    pub(super) own_network: bool,
    /// How many processes there are can be limited by counting the user's.
    pub(super) own_count: bool,
}

/// Leaves the shim's namespaces; the next child is the first process of the new
/// ones. From here on no thread may be started.
pub(super) fn separate(order: &Order, owner: Owner) -> Walls {
    let mut measures = Vec::new();
    let mut own_count = true;
    if let Owner::Shared(inside) = owner {
        let (uid, gid) = (Uid::effective(), Gid::effective());
        let done = unshare(CloneFlags::CLONE_NEWUSER)
            .map_err(io::Error::from)
            .and_then(|()| map_user(inside, uid, gid));
        own_count = done.is_ok();
        measures.push(told(
            "user namespace",
            done,
            "unprivileged, mapped to the server's own user",
        ));
    }
    let mut try_one = |name: &str, flag: CloneFlags, detail: &str| {
        let done = unshare(flag).map_err(io::Error::from);
        let active = done.is_ok();
        measures.push(told(name, done, detail));
        active
    };
    let own_processes = try_one(
        "process namespace",
        CloneFlags::CLONE_NEWPID,
        "sees and signals only its own processes; all of them end with the run",
    );
    try_one(
        "ipc namespace",
        CloneFlags::CLONE_NEWIPC,
        "shared memory and queues of its own",
    );
    if try_one(
        "host name",
        CloneFlags::CLONE_NEWUTS,
        "a host name of its own",
    ) {
        let _ = nix::unistd::sethostname("junglegrid");
    }
    let mut own_network = false;
    if order.host_network {
        measures.push(Measure::new(
            "network namespace",
            false,
            "the run was given the machine's network",
        ));
    } else if try_one(
        "network namespace",
        CloneFlags::CLONE_NEWNET,
        "only a loopback of its own",
    ) {
        own_network = true;
        if let Err(error) = sys::loopback_up() {
            measures.push(Measure::new(
                "loopback",
                false,
                format!("could not be brought up: {error}"),
            ));
        }
    }
    Walls {
        measures,
        own_processes,
        own_network,
        own_count,
    }
}

fn map_user(inside: Uid, uid: Uid, gid: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{inside} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{inside} {gid} 1"))
}

fn told(name: &str, done: io::Result<()>, detail: &str) -> Measure {
    match done {
        Ok(()) => Measure::new(name, true, detail),
        Err(error) => Measure::new(name, false, format!("refused by the kernel: {error}")),
    }
}

/// Makes the workspace and the folders that the contract promises, and gives
/// the user of the run what was put there for it. No command of the run has
/// executed yet, so nothing there is hostile.
pub(super) fn furnish(run: &Path, owner: Option<Uid>) -> io::Result<()> {
    let workspace = run.join(WORKSPACE);
    for directory in
        std::iter::once(workspace.clone()).chain(FOLDERS.map(|folder| workspace.join(folder)))
    {
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    owner.map_or(Ok(()), |owner| give(workspace, owner.as_raw()))
}

fn give(workspace: PathBuf, owner: u32) -> io::Result<()> {
    let mut pending = vec![workspace];
    while let Some(path) = pending.pop() {
        let kind = fs::symlink_metadata(&path)?;
        if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if kind.nlink() > 1 {
            // Also lies elsewhere, perhaps for several runs: it is not theirs.
            continue;
        }
        std::os::unix::fs::lchown(&path, Some(owner), Some(owner))?;
    }
    Ok(())
}

/// Sets what one process, and one user, may use, standing in for control groups
/// where they are missing. `RLIMIT_AS` only does so then: it counts address
/// space, which some runtimes reserve far beyond what they use.
pub(super) fn limit(order: &Order, groups: &Groups, walls: &Walls) -> Vec<Measure> {
    let mut limits = vec![
        ("core", Resource::RLIMIT_CORE, 0),
        ("fsize", Resource::RLIMIT_FSIZE, order.disk_bytes),
        ("nofile", Resource::RLIMIT_NOFILE, 65_536),
    ];
    // Other runs of the same user would count, so it is left to the control
    // group if there is one.
    if walls.own_count && !(order.shared_user && groups.processes.active()) {
        limits.push((
            "nproc",
            Resource::RLIMIT_NPROC,
            u64::from(order.processes) + 1,
        ));
    }
    if !groups.memory.active() {
        limits.push(("as", Resource::RLIMIT_AS, order.memory_bytes));
    }
    let (mut set, mut refused) = (Vec::new(), Vec::new());
    for (name, resource, wanted) in limits {
        let done = getrlimit(resource).and_then(|(_, hard)| {
            let value = wanted.min(hard);
            setrlimit(resource, value, value).map(|()| value)
        });
        match done {
            Ok(value) => set.push(format!("{name} {value}")),
            Err(error) => refused.push(format!("{name}: {error}")),
        }
    }
    let mut measures = groups.measures();
    for measure in measures.iter_mut().filter(|measure| !measure.active) {
        match measure.name.as_str() {
            "process limit" if set.iter().any(|limit| limit.starts_with("nproc")) => {
                measure.active = true;
                measure.detail = format!(
                    "by counting the processes of the run's user, for want of a control group: {}",
                    measure.detail
                );
            }
            "memory limit" => {
                measure.detail = format!(
                    "only the address space of each single process, for want of a control group: {}",
                    measure.detail
                );
            }
            _ => {}
        }
    }
    measures.push(if refused.is_empty() {
        Measure::new("resource limits", true, set.join(", "))
    } else {
        Measure::new(
            "resource limits",
            false,
            format!("refused: {}", refused.join(", ")),
        )
    });
    measures
}

/// Becomes the user of the run for good.
pub(super) fn become_user(uid: Uid) -> nix::Result<()> {
    let gid = Gid::from_raw(uid.as_raw());
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}

#[cfg(test)]
mod tests {
    use super::pick;

    #[test]
    fn a_run_s_user_exists_and_is_no_system_user() {
        let wanted = 1_900_000_000;
        assert_eq!(
            pick("         0          0 4294967295\n", wanted),
            Some(wanted)
        );
        let picked = pick("0 1000 1\n1 100000 65536\n", wanted).expect("there are many");
        assert!((1000..=65536).contains(&picked), "{picked}");
        assert_eq!(pick("0 1000 1\n", wanted), None);
        assert_eq!(pick("", wanted), None);
    }
}
