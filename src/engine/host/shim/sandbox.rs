//! The walls around a run: namespaces, a root directory of its own, a user of
//! its own, resource limits. What the machine refuses is left out and told.
use super::super::record::{FOLDERS, Measure, Order, ROOT, WORKSPACE};
use super::sys;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

const NOTHING: Option<&str> = None;

/// The host's devices that a run gets; each may be opened by everyone anyway.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// What programs need of `/etc` to find users, hosts, libraries, certificates.
const CONFIGURATION: [&str; 24] = [
    "OpenCL",
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "gai.conf",
    "host.conf",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "nvidia",
    "perl",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
    "terminfo",
    "vulkan",
];

/// What the shim has set up before the first process of the sandbox starts.
#[derive(Debug)]
pub(super) struct Walls {
    pub(super) measures: Vec<Measure>,
    /// The kernel ends everything in the sandbox with its first process.
    pub(super) own_processes: bool,
    pub(super) own_network: bool,
    /// The shim is root of the machine and can give the run another user.
    pub(super) root: bool,
}

/// Leaves the shim's namespaces; the next child is the first process of the new
/// ones. From here on no thread may be started.
pub(super) fn separate(order: &Order) -> Walls {
    let root = Uid::effective().is_root();
    let mut measures = Vec::new();
    if !root {
        let (uid, gid) = (Uid::effective(), Gid::effective());
        let done = unshare(CloneFlags::CLONE_NEWUSER)
            .map_err(io::Error::from)
            .and_then(|()| map_user(uid, gid));
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
        root,
    }
}

fn map_user(uid: Uid, gid: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn told(name: &str, done: io::Result<()>, detail: &str) -> Measure {
    match done {
        Ok(()) => Measure::new(name, true, detail),
        Err(error) => Measure::new(name, false, format!("refused by the kernel: {error}")),
    }
}

/// Makes the workspace and the folders that the contract promises, for the user
/// of the run.
pub(super) fn furnish(run: &Path, owner: Option<Uid>) -> io::Result<()> {
    let workspace = run.join(WORKSPACE);
    for directory in
        std::iter::once(workspace.clone()).chain(FOLDERS.map(|folder| workspace.join(folder)))
    {
        // Never through a link that an earlier shim's command may have left.
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if let Some(owner) = owner {
            std::os::unix::fs::lchown(&directory, Some(owner.as_raw()), Some(owner.as_raw()))?;
        }
    }
    Ok(())
}

/// Where the run finds its files: in a root directory of its own if that could
/// be had, else where they lie on the machine.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) workspace: PathBuf,
    pub(super) temporary: Option<PathBuf>,
    pub(super) own_root: bool,
    pub(super) measure: Measure,
}

/// Gives the calling process a root directory that holds the system's programs
/// (read-only), the workspace, and private `/proc`, `/dev`, `/tmp`.
///
/// Must run in the first process of the sandbox: in the shim it would hide the
/// run directory that the shim writes to, and `/proc` shows the namespace of
/// whoever mounts it.
pub(super) fn enter_root(run: &Path, order: &Order, walls: &Walls, user: Uid) -> Place {
    match build_root(run, order, walls, user) {
        Ok(()) => Place {
            workspace: PathBuf::from("/workspace"),
            temporary: Some(PathBuf::from("/tmp")),
            own_root: true,
            measure: Measure::new(
                "file system",
                true,
                "a root of its own: system programs read-only, its workspace, private /tmp, /dev and /proc; nothing else of the machine exists",
            ),
        },
        Err((step, error)) => Place {
            workspace: run.join(WORKSPACE),
            temporary: None,
            own_root: false,
            measure: Measure::new(
                "file system",
                false,
                format!("no root directory of its own: {step}: {error}"),
            ),
        },
    }
}

type Step<T> = Result<T, (String, io::Error)>;

fn at<T, E: Into<io::Error>>(step: impl Into<String>, result: Result<T, E>) -> Step<T> {
    result.map_err(|error| (step.into(), error.into()))
}

fn build_root(run: &Path, order: &Order, walls: &Walls, user: Uid) -> Step<()> {
    if !walls.own_processes {
        return Err((
            "mounting /proc".into(),
            io::Error::other("it would show the machine's processes"),
        ));
    }
    at("unshare", unshare(CloneFlags::CLONE_NEWNS))?;
    at(
        "making mounts private",
        mount(
            NOTHING,
            "/",
            NOTHING,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            NOTHING,
        ),
    )?;
    let root = run.join(ROOT);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    at(
        "mounting the root",
        mount(
            Some("tmpfs"),
            &root,
            Some("tmpfs"),
            flags,
            Some("mode=0755,size=16m"),
        ),
    )?;
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    for directory in &order.readable {
        at(
            format!("showing {}", directory.display()),
            show(directory, &root, libc::MOUNT_ATTR_RDONLY),
        )?;
    }
    for directory in order
        .hidden
        .iter()
        .filter(|hidden| order.readable.iter().any(|shown| hidden.starts_with(shown)))
    {
        let covered = root.join(directory.strip_prefix("/").unwrap_or(directory));
        at(
            "hiding the data directory",
            mount(
                Some("tmpfs"),
                &covered,
                Some("tmpfs"),
                flags | MsFlags::MS_RDONLY,
                Some("mode=0755,size=4k"),
            ),
        )?;
    }
    at("writing /etc", configure(&inside("/etc"), order, user))?;
    at("making /dev", devices(&inside("/dev"), order))?;
    at("making /proc", fs::create_dir(inside("/proc")))?;
    at(
        "mounting /proc",
        mount(
            Some("proc"),
            &inside("/proc"),
            Some("proc"),
            flags | MsFlags::MS_NOEXEC,
            NOTHING,
        ),
    )?;
    let size = format!("mode=1777,size={}", order.memory_bytes);
    at("making /tmp", fs::create_dir(inside("/tmp")))?;
    at(
        "mounting /tmp",
        mount(
            Some("tmpfs"),
            &inside("/tmp"),
            Some("tmpfs"),
            flags,
            Some(size.as_str()),
        ),
    )?;
    at("making /workspace", fs::create_dir(inside("/workspace")))?;
    let here = MsFlags::MS_BIND;
    at(
        "mounting /workspace",
        mount(
            Some(&run.join(WORKSPACE)),
            &inside("/workspace"),
            NOTHING,
            here,
            NOTHING,
        ),
    )?;
    at(
        "restricting /workspace",
        sys::restrict_mount(
            &inside("/workspace"),
            libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        ),
    )?;
    for (folder, target) in [("run", None), ("var", None), ("var/tmp", Some("../tmp"))] {
        at(
            "making /run and /var",
            match target {
                None => fs::create_dir(inside(folder)),
                Some(target) => symlink(target, inside(folder)),
            },
        )?;
    }
    at("entering the root", nix::unistd::chdir(&root))?;
    at("changing the root", nix::unistd::pivot_root(".", "."))?;
    at(
        "leaving the machine's root",
        umount2(".", MntFlags::MNT_DETACH),
    )?;
    at("entering the new root", nix::unistd::chdir("/"))?;
    let sealed = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | flags;
    at(
        "sealing the root",
        mount(NOTHING, "/", NOTHING, sealed, NOTHING),
    )
}

/// Shows a directory of the machine at the same path below `root`.
fn show(directory: &Path, root: &Path, attributes: u64) -> io::Result<()> {
    let Ok(kind) = fs::symlink_metadata(directory) else {
        return Ok(());
    };
    let inside = root.join(directory.strip_prefix("/").unwrap_or(directory));
    if let Some(parent) = inside.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_symlink() {
        return symlink(fs::read_link(directory)?, inside);
    }
    if kind.is_dir() {
        fs::create_dir(&inside)?;
    } else {
        fs::write(&inside, "")?;
    }
    mount(
        Some(directory),
        &inside,
        NOTHING,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NOTHING,
    )?;
    sys::restrict_mount(&inside, attributes | libc::MOUNT_ATTR_NOSUID)
}

/// An `/etc` without the machine's own secrets, in which the run's user exists.
fn configure(etc: &Path, order: &Order, user: Uid) -> io::Result<()> {
    fs::create_dir(etc)?;
    for name in CONFIGURATION {
        let original = Path::new("/etc").join(name);
        let Ok(kind) = fs::metadata(&original) else {
            continue;
        };
        if kind.is_dir() {
            let shown = etc.join(name);
            fs::create_dir(&shown)?;
            mount(
                Some(&original),
                &shown,
                NOTHING,
                MsFlags::MS_BIND | MsFlags::MS_REC,
                NOTHING,
            )?;
            sys::restrict_mount(&shown, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID)?;
        } else if kind.is_file() && (order.host_network || name != "resolv.conf") {
            // A copy, because several are links to where the run cannot follow.
            if let Ok(content) = fs::read(&original) {
                fs::write(etc.join(name), content)?;
            }
        }
    }
    fs::write(
        etc.join("passwd"),
        format!(
            "root:x:0:0:root:/nonexistent:/bin/sh\njob:x:{user}:{user}:job:/workspace:/bin/sh\n"
        ),
    )?;
    fs::write(etc.join("group"), format!("root:x:0:\njob:x:{user}:\n"))?;
    fs::write(etc.join("hostname"), "junglegrid\n")?;
    match fs::read("/etc/hosts") {
        Ok(hosts) if order.host_network => fs::write(etc.join("hosts"), hosts),
        Ok(_) | Err(_) => fs::write(
            etc.join("hosts"),
            "127.0.0.1 localhost junglegrid\n::1 localhost\n",
        ),
    }
}

fn devices(dev: &Path, order: &Order) -> io::Result<()> {
    fs::create_dir(dev)?;
    for name in DEVICES {
        let node = dev.join(name);
        fs::write(&node, "")?;
        mount(
            Some(&Path::new("/dev").join(name)),
            &node,
            NOTHING,
            MsFlags::MS_BIND,
            NOTHING,
        )?;
    }
    for (link, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(link))?;
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    fs::create_dir(dev.join("shm"))?;
    let size = format!("mode=1777,size={}", order.memory_bytes);
    mount(
        Some("tmpfs"),
        &dev.join("shm"),
        Some("tmpfs"),
        flags,
        Some(size.as_str()),
    )?;
    // Terminals are a convenience; some containers refuse them.
    fs::create_dir(dev.join("pts"))?;
    if mount(
        Some("devpts"),
        &dev.join("pts"),
        Some("devpts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some("newinstance,ptmxmode=0666,mode=0620"),
    )
    .is_ok()
    {
        symlink("pts/ptmx", dev.join("ptmx"))?;
    }
    Ok(())
}

/// Sets what one process, and one user, may use. `RLIMIT_AS` stands in for a
/// missing memory group only: it counts address space, which some runtimes
/// reserve far beyond what they use.
pub(super) fn limit(order: &Order, memory_grouped: bool, own_user: bool) -> Measure {
    let mut limits = vec![
        ("core", Resource::RLIMIT_CORE, 0),
        ("fsize", Resource::RLIMIT_FSIZE, order.disk_bytes),
        ("nofile", Resource::RLIMIT_NOFILE, 65_536),
    ];
    if own_user {
        limits.push((
            "nproc",
            Resource::RLIMIT_NPROC,
            u64::from(order.processes) + 1,
        ));
    }
    if !memory_grouped {
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
    if refused.is_empty() {
        Measure::new("resource limits", true, set.join(", "))
    } else {
        Measure::new(
            "resource limits",
            false,
            format!("refused: {}", refused.join(", ")),
        )
    }
}

/// Becomes the user of the run for good.
pub(super) fn become_user(uid: Uid) -> nix::Result<()> {
    let gid = Gid::from_raw(uid.as_raw());
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}
