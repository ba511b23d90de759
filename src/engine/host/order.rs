//! What a run is asked to be, turned into what its shim is told; whatever could
//! never work, or must not, is refused here.
use super::Config;
use super::record::{Order, RUN_AS, SCRATCH, USERS, Volume};
use crate::engine::{Error, Handle, Mount, Network, Result, RunSpec};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Where the system itself lies inside a run; a directory there would hide it.
const SYSTEM: [&str; 14] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run",
    "/sbin", "/sys", "/usr", "/var/tmp",
];
/// These hold parts of the system, but directories may be shown in them.
const SHARED: [&str; 3] = ["/", "/tmp", "/var"];
/// More directories than any run has use for.
const MOST: usize = 64;

pub(super) fn order(config: &Config, handle: &Handle, spec: &RunSpec) -> Result<Order> {
    let refuse = |why: &str| Err(Error::Refused(why.to_owned()));
    if spec.argv.first().is_none_or(String::is_empty) {
        return refuse("there is no command to run");
    }
    if spec
        .argv
        .iter()
        .chain(spec.env.keys())
        .chain(spec.env.values())
        .any(|text| text.contains('\0'))
    {
        return refuse("the command or its environment contains a zero byte");
    }
    if spec
        .env
        .keys()
        .any(|name| name.is_empty() || name.contains('='))
    {
        return refuse("an environment variable has no usable name");
    }
    // The same in every process, and different in every installation.
    let place = hash(&format!("{}/{}", config.runs_dir.display(), handle.0));
    // Goes with the installation when its directory is moved: its files do too.
    let user = spec
        .user_key
        .as_ref()
        .map_or(place, |key| hash(&format!("{}\0{key}", config.instance)));
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Order {
        argv: spec.argv.clone(),
        env: spec
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        uid: RUN_AS + u32::try_from(user % u64::from(USERS)).expect("below the number of users"),
        shared_user: spec.user_key.is_some(),
        cpus: spec.cpus,
        memory_bytes: spec.memory_bytes,
        processes: spec.processes,
        disk_bytes: spec.disk_bytes,
        // A year is for ever, and can be added to any point in time.
        time_limit_ms: millis(spec.time_limit).min(365 * 24 * 3_600_000),
        grace_ms: millis(spec.grace).min(24 * 3_600_000),
        host_network: spec.network == Network::Host,
        volumes: volumes(config, handle, spec)?,
        // Zero would be no limit at all.
        shm_bytes: spec.shm_bytes.max(4096),
        log: spec.log,
        readable: config.readable.clone(),
        hidden: config.hidden.clone(),
        group: format!("{place:016x}"),
    })
}

/// FNV-1a; nobody who could choose what goes in gains by a collision.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn volumes(config: &Config, handle: &Handle, spec: &RunSpec) -> Result<Vec<Volume>> {
    if spec.mounts.len() + spec.scratch.len() > MOST {
        return Err(Error::Refused(format!(
            "a run is shown {MOST} directories at most"
        )));
    }
    let given = spec.mounts.iter().map(|Mount { host, inside }| {
        let host = original(config, host)?;
        Ok((host, inside))
    });
    let own = config.runs_dir.join(&handle.0).join(SCRATCH);
    let own = spec.scratch.iter().enumerate().map(|(number, inside)| {
        let host = own.join(number.to_string());
        Ok((host, inside))
    });
    let mut volumes = Vec::<Volume>::new();
    for directory in given.chain(own) {
        let (host, seen) = directory?;
        let inside = inside(config, seen)?;
        if volumes.iter().any(|other| other.inside == inside) {
            return Err(Error::Refused(format!(
                "two directories cannot both be shown at {}",
                inside.display()
            )));
        }
        volumes.push(Volume { host, inside });
    }
    // What lies in another one comes after it.
    volumes.sort_by_key(|volume| volume.inside.components().count());
    Ok(volumes)
}

/// A directory of the machine that a run may get to write to.
fn original(config: &Config, path: &Path) -> Result<PathBuf> {
    let mut path = plain(path)?;
    // Somebody who runs the server may have put its directory behind a link;
    // nothing below it may lie behind one.
    if let Ok(rest) = path.strip_prefix(&config.data_given) {
        path = config.data.join(rest);
    }
    let around = |path: &Path, other: &Path| other.starts_with(path);
    let within = |path: &Path, other: &Path| path.starts_with(other);
    let system = SYSTEM
        .iter()
        .any(|system| within(&path, Path::new(system)) && !ours(config, &path))
        || config
            .readable
            .iter()
            .any(|shown| around(&path, shown) || within(&path, shown) && !ours(config, &path))
        || path.parent().is_none();
    let inner = within(&path, &config.runs_dir)
        || around(&path, &config.runs_dir)
        || config.hidden.iter().any(|hidden| around(&path, hidden));
    if system || inner {
        let whose = if inner {
            "the installation"
        } else {
            "the system"
        };
        return Err(Error::Refused(format!(
            "{} belongs to {whose} and is not shown to runs",
            path.display()
        )));
    }
    Ok(path)
}

/// Whether it is the installation's, which may lie where the system does.
fn ours(config: &Config, path: &Path) -> bool {
    config.data.parent().is_some() && path.starts_with(&config.data)
}

/// Where a run may see a directory.
fn inside(config: &Config, path: &Path) -> Result<PathBuf> {
    let path = plain(path)?;
    let taken = SYSTEM.iter().any(|system| path.starts_with(system))
        || SHARED.iter().any(|shared| path == Path::new(shared))
        || config
            .readable
            .iter()
            .any(|shown| path.starts_with(shown) || shown.starts_with(&path));
    if taken {
        return Err(Error::Refused(format!(
            "no directory can be shown at {}, which belongs to the system",
            path.display()
        )));
    }
    Ok(path)
}

/// A path that means the same however it is read.
fn plain(path: &Path) -> Result<PathBuf> {
    let refuse = |why| {
        let path = path.display();
        Err(Error::Refused(format!("the directory {path} {why}")))
    };
    if !path.is_absolute() {
        return refuse("is not given by an absolute path");
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return refuse("has a zero byte in its path");
    }
    let steps = path.components();
    if steps
        .clone()
        .any(|step| !matches!(step, Component::RootDir | Component::Normal(_)))
    {
        return refuse("has `..` in its path");
    }
    Ok(steps.collect())
}
