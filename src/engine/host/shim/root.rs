//! A root directory of the run's own, in which nothing else of the machine
//! exists: not hidden by rules, but absent.
use super::super::record::{Measure, Order, ROOT, WORKSPACE, WORKSPACE_INSIDE};
use super::sandbox::{Owner, Walls};
use super::{sys, volumes};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const NOTHING: Option<&str> = None;
const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
const PRIVATE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

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

/// Where the run finds its files: in a root directory of its own if that could
/// be had, else where they lie on the machine.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) workspace: PathBuf,
    /// Opened while the directories above it can still be passed.
    pub(super) opened: File,
    pub(super) own_root: bool,
    pub(super) measure: Measure,
    /// Why this program cannot be executed in it, if so.
    pub(super) no_binary: Option<String>,
}

/// Gives the calling process a root directory that holds the system's programs
/// (read-only), the workspace, and private `/proc`, `/dev`, `/tmp`.
///
/// Must run in the first process of the sandbox: in the shim it would hide the
/// run directory that the shim writes to, and `/proc` shows the namespace of
/// whoever mounts it.
pub(super) fn enter(run: &Path, order: &Order, walls: &Walls, owner: Owner) -> io::Result<Place> {
    let mut no_binary = Some("the run has no root directory of its own".to_owned());
    let (workspace, measure) = match build(run, order, walls, owner, &mut no_binary) {
        Ok(()) => (
            PathBuf::from(WORKSPACE_INSIDE),
            Measure::new(
                "file system",
                true,
                "a root of its own: system programs read-only, its workspace, private /tmp, /dev and /proc; nothing else of the machine exists",
            ),
        ),
        // What the kernel forbids here it forbids always, as the probe has told.
        // Any other failure is this run's alone: it must not weaken its walls.
        // Without the directories that it was promised it must not run at all.
        Err((step, error))
            if order.volumes.is_empty() && (forbidden(&error) || !walls.own_processes) =>
        {
            let detail = format!("no root directory of its own: {step}: {error}");
            (
                run.join(WORKSPACE),
                Measure::new("file system", false, detail),
            )
        }
        Err((step, error)) => {
            let why = match order.volumes.first() {
                Some(volume) if forbidden(&error) || !walls.own_processes => format!(
                    "{} cannot be shown without a root directory of the run's own: ",
                    volume.inside.display()
                ),
                Some(_) | None => String::new(),
            };
            return Err(io::Error::other(format!("{why}{step}: {error}")));
        }
    };
    let opened = File::open(&workspace)?;
    nix::unistd::fchdir(&opened)?;
    Ok(Place {
        workspace,
        opened,
        own_root: measure.active,
        measure,
        no_binary,
    })
}

fn forbidden(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    )
}

type Step = Result<(), (String, io::Error)>;

fn step<E: Into<io::Error>>(name: &str, result: Result<(), E>) -> Step {
    result.map_err(|error| (name.to_owned(), error.into()))
}

fn build(
    run: &Path,
    order: &Order,
    walls: &Walls,
    owner: Owner,
    no_binary: &mut Option<String>,
) -> Step {
    if !walls.own_processes {
        return step(
            "mounting /proc",
            Err(io::Error::other("it would show the machine's processes")),
        );
    }
    let root = run.join(ROOT);
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let size = format!("mode=1777,size={}", order.memory_bytes);
    step("leaving the machine's mounts", leave())?;
    step(
        "mounting the root",
        mounted(&root, "tmpfs", PRIVATE, "mode=0755,size=16m"),
    )?;
    step(
        "writing /etc",
        configure(&root.join("etc"), order, owner.uid()),
    )?;
    step("making /dev", devices(&root.join("dev"), order.shm_bytes))?;
    step(
        "mounting /proc",
        made(&root.join("proc"), "proc", PRIVATE | MsFlags::MS_NOEXEC, ""),
    )?;
    step(
        "mounting /tmp",
        made(&root.join("tmp"), "tmpfs", PRIVATE, &size),
    )?;
    step(
        "showing /workspace",
        show(
            &run.join(WORKSPACE),
            &inside(Path::new(WORKSPACE_INSIDE)),
            libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        ),
    )?;
    step("making /run and /var", variable(&root))?;
    *no_binary = volumes::show_binary(run, &root)
        .err()
        .map(|error| error.to_string());
    for directory in &order.readable {
        step(
            &format!("showing {}", directory.display()),
            show(directory, &inside(directory), READ_ONLY),
        )?;
    }
    for directory in order
        .hidden
        .iter()
        .map(|directory| inside(directory))
        .filter(|directory| directory.is_dir())
    {
        step(
            "hiding the data directory",
            mounted(&directory, "tmpfs", PRIVATE | MsFlags::MS_RDONLY, "size=4k"),
        )?;
    }
    for volume in &order.volumes {
        step(
            &format!("showing {}", volume.inside.display()),
            volumes::show(&root, volume, owner.own()),
        )?;
    }
    step("changing the root", change(&root))
}

fn leave() -> io::Result<()> {
    // The limit of namespaces may be zero, which is told as a lack of space.
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| match error {
        nix::Error::ENOSPC => nix::Error::EPERM,
        other => other,
    })?;
    Ok(mount(
        NOTHING,
        "/",
        NOTHING,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        NOTHING,
    )?)
}

fn change(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    // The old root is then mounted over the new one, and taken away from it.
    nix::unistd::pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")?;
    let sealed = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | PRIVATE;
    Ok(mount(NOTHING, "/", NOTHING, sealed, NOTHING)?)
}

fn mounted(directory: &Path, kind: &str, flags: MsFlags, options: &str) -> io::Result<()> {
    Ok(mount(
        Some(kind),
        directory,
        Some(kind),
        flags,
        Some(options),
    )?)
}

fn made(directory: &Path, kind: &str, flags: MsFlags, options: &str) -> io::Result<()> {
    fs::create_dir(directory)?;
    mounted(directory, kind, flags, options)
}

/// Shows something of the machine, if it exists, with fewer rights.
fn show(original: &Path, inside: &Path, without: u64) -> io::Result<()> {
    let Ok(kind) = fs::symlink_metadata(original) else {
        return Ok(());
    };
    if let Some(parent) = inside.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_symlink() {
        return symlink(fs::read_link(original)?, inside);
    }
    if kind.is_dir() {
        fs::create_dir_all(inside)?;
    } else {
        fs::write(inside, "")?;
    }
    mount(
        Some(original),
        inside,
        NOTHING,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NOTHING,
    )?;
    sys::restrict_mount(inside, without)
}

/// An `/etc` without the machine's own secrets, in which the run's user exists.
fn configure(etc: &Path, order: &Order, user: Uid) -> io::Result<()> {
    fs::create_dir(etc)?;
    for name in CONFIGURATION {
        // Several are links to where the run cannot follow.
        let Ok(original) = Path::new("/etc").join(name).canonicalize() else {
            continue;
        };
        if original.is_dir() {
            show(&original, &etc.join(name), READ_ONLY)?;
        } else if (order.host_network || name != "resolv.conf")
            && let Ok(content) = fs::read(&original)
        {
            fs::write(etc.join(name), content)?;
        }
    }
    let users = format!(
        "root:x:0:0:root:/nonexistent:/bin/sh\njob:x:{user}:{user}:job:/workspace:/bin/sh\n"
    );
    fs::write(etc.join("passwd"), users)?;
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

fn devices(dev: &Path, shared_memory: u64) -> io::Result<()> {
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
        ("fd", "fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        symlink(Path::new("/proc/self").join(target), dev.join(link))?;
    }
    let size = format!("mode=1777,size={shared_memory}");
    made(&dev.join("shm"), "tmpfs", PRIVATE, &size)?;
    // Terminals are a convenience; some containers refuse them.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    if made(
        &dev.join("pts"),
        "devpts",
        flags,
        "newinstance,ptmxmode=0666,mode=0620",
    )
    .is_ok()
    {
        symlink("pts/ptmx", dev.join("ptmx"))?;
    }
    Ok(())
}

fn variable(root: &Path) -> io::Result<()> {
    fs::create_dir(root.join("run"))?;
    fs::create_dir(root.join("var"))?;
    symlink("../tmp", root.join("var/tmp"))
}
