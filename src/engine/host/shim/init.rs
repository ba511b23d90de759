//! The first process of the sandbox: builds it from the inside, starts the
//! command, reaps orphans, and takes the whole sandbox with it when it ends.
use super::super::record::{BINARY, Measure, Order};
use super::groups::Groups;
use super::root::{self, Place};
use super::sandbox::{self, Owner, Walls};
use super::{rules, sys};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, execve};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What the first process tells the shim, one JSON value per line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Measured(Vec<Measure>),
    /// Unix microseconds at which the command was executing.
    Started(i64),
    NotStarted {
        code: i32,
        why: String,
    },
    Exited(i32),
    Signaled(i32),
    Failed(String),
}

/// The ends of the pipes that belong to the first process.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) report: OwnedFd,
    /// Gives one byte when the shim has recorded what it must; ends without
    /// one if the shim died before.
    pub(super) go: OwnedFd,
    pub(super) out: OwnedFd,
    pub(super) err: OwnedFd,
}

/// Signals that the command gets when the shim or an operator sends them here.
/// The first process of a namespace has no default actions, so that it must
/// take them itself.
const FORWARDED: [Signal; 5] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
/// Sent by the shim where no process namespace would end everything.
pub(super) const END_ALL: Signal = Signal::SIGQUIT;

/// What the shim hands to the first process by forking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) run: &'a Path,
    pub(super) order: &'a Order,
    pub(super) walls: &'a Walls,
    pub(super) owner: Owner,
}

pub(super) fn main(job: Job<'_>, groups: &mut Groups, ends: Ends) -> ! {
    let mut report = File::from(ends.report);
    let mut tell = |what: Report| {
        let mut line = serde_json::to_vec(&what).unwrap_or_default();
        line.push(b'\n');
        // If the shim is gone, so are we in a moment.
        let _ = report.write_all(&line);
    };
    let Job { order, walls, .. } = job;
    let place = match confine(job, groups, &mut tell) {
        Ok(place) => place,
        Err(error) => {
            tell(Report::Failed(format!(
                "the sandbox could not be built: {error}"
            )));
            sys::exit(1)
        }
    };
    let mut go = [0];
    if File::from(ends.go).read_exact(&mut go).is_err() {
        sys::exit(1);
    }
    match start(order, &place, walls, (&ends.out, &ends.err)) {
        Ok((command, at)) => {
            tell(Report::Started(at));
            drop((ends.out, ends.err));
            tell(attend(command, walls));
        }
        Err((code, why)) => tell(Report::NotStarted { code, why }),
    }
    sys::exit(0)
}

/// What the first process takes by waiting for it; the shim blocks them before
/// it forks, so that none is lost.
pub(super) fn signals() -> SigSet {
    let mut signals = SigSet::from_iter(FORWARDED);
    signals.extend([Signal::SIGCHLD, END_ALL]);
    signals
}

/// Everything that must be so before the command runs.
fn confine(job: Job<'_>, groups: &mut Groups, tell: &mut impl FnMut(Report)) -> io::Result<Place> {
    let Job {
        run,
        order,
        walls,
        owner,
    } = job;
    groups.join();
    // Only hides the group's path; a machine without it loses nothing.
    let _ = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP);
    let place = root::enter(run, order, walls, owner)?;
    let mut measures = vec![place.measure.clone()];
    measures.extend(sandbox::limit(order, groups, walls));
    measures.push(match owner {
        // Whatever else is missing, a run is never root.
        Owner::Own(user) => {
            sandbox::become_user(user)?;
            Measure::new(
                "user",
                true,
                format!("its own user {user}, without any capability"),
            )
        }
        Owner::Shared(user) if Uid::effective() == user => Measure::new(
            "user",
            false,
            "the server is not root, so the run has the server's user",
        ),
        Owner::Shared(_) => return Err(io::Error::other("there is no user but root to run it as")),
    });
    // After the change of user, which would clear it: a run must not survive
    // the shim that watches it. Killing this process ends all others only if it
    // is the first of a namespace; otherwise it is told to do so itself.
    prctl::set_pdeathsig(if walls.own_processes {
        Signal::SIGKILL
    } else {
        END_ALL
    })?;
    // The command must not read or trace this process, which has its user.
    prctl::set_dumpable(false)?;
    if !walls.own_processes {
        prctl::set_child_subreaper(true)?;
    }
    prctl::set_no_new_privs()?;
    measures.push(Measure::new(
        "no new privileges",
        true,
        "set-user-id programs and file capabilities give nothing",
    ));
    measures.push(rules::restrict(order, walls, &place));
    tell(Report::Measured(measures));
    Ok(place)
}

/// Starts the command and waits until it executes.
fn start(
    order: &Order,
    place: &Place,
    walls: &Walls,
    (out, err): (&OwnedFd, &OwnedFd),
) -> Result<(Pid, i64), (i32, String)> {
    let failed = |error: io::Error| (126, format!("the command could not be started: {error}"));
    let (mut reader, writer) = io::pipe().map_err(failed)?;
    let Some(command) = sys::fork().map_err(|error| failed(error.into()))? else {
        drop(reader);
        let (code, why) = execute(order, place, walls, out, err);
        let mut writer = File::from(OwnedFd::from(writer));
        let _ = writer.write_all(&code.to_le_bytes());
        let _ = writer.write_all(why.as_bytes());
        sys::exit(code)
    };
    drop(writer);
    // Ends without a byte when exec has closed the other end.
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).map_err(failed)?;
    let at = sys::now();
    match answer.split_first_chunk::<4>() {
        None => Ok((command, at)),
        Some((code, why)) => Err((
            i32::from_le_bytes(*code),
            String::from_utf8_lossy(why).into_owned(),
        )),
    }
}

/// Becomes the command; comes back only if that is not possible.
fn execute(
    order: &Order,
    place: &Place,
    walls: &Walls,
    out: &OwnedFd,
    err: &OwnedFd,
) -> (i32, String) {
    let prepared = || -> io::Result<()> {
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
        nix::unistd::dup2_stdout(out)?;
        nix::unistd::dup2_stderr(err)?;
        sys::seal_descriptors();
        sys::default_signals();
        SigSet::all().thread_unblock()?;
        if !walls.own_processes {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
        }
        Ok(())
    };
    if let Err(error) = prepared() {
        return (126, format!("the command could not be started: {error}"));
    }
    // The kernel should take the command, not what watches it, when memory ends.
    // The file belongs to root as long as this process may not be traced.
    let _ = prctl::set_dumpable(true);
    let _ = fs::write("/proc/self/oom_score_adj", "500");
    let name = &order.argv[0];
    if let (BINARY, Some(why)) = (name.as_str(), &place.no_binary) {
        return (127, format!("{name} cannot be executed here: {why}"));
    }
    let environment = environment(order, place);
    let text = |text: &String| CString::new(text.as_str());
    let (Ok(argv), Ok(env)) = (
        order.argv.iter().map(text).collect::<Result<Vec<_>, _>>(),
        environment
            .iter()
            .map(|(key, value)| CString::new(format!("{key}={value}")))
            .collect::<Result<Vec<_>, _>>(),
    ) else {
        return (
            126,
            "the command or its environment contains a zero byte".into(),
        );
    };
    let mut refusal = nix::Error::ENOENT;
    for path in candidates(name, &environment) {
        let Ok(path) = CString::new(path) else {
            continue;
        };
        let Err(error) = execve(&path, &argv, &env);
        if !matches!(error, nix::Error::ENOENT | nix::Error::ENOTDIR) {
            refusal = error;
        }
    }
    match refusal {
        nix::Error::ENOENT => (
            127,
            format!("{name}: no such command, or the interpreter that it names does not exist"),
        ),
        error => (126, format!("{name}: cannot be executed: {}", error.desc())),
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the run finds in its environment; nothing of the server's.
fn environment(order: &Order, place: &Place) -> Vec<(String, String)> {
    let home = place.workspace.display().to_string();
    let ours = [
        ("PATH", PATH),
        ("HOME", &home),
        ("LANG", "C.UTF-8"),
        ("USER", "job"),
        ("LOGNAME", "job"),
    ];
    let given = |name: &str| order.env.iter().any(|(key, _)| key == name);
    let ours = ours
        .into_iter()
        .filter(|(name, _)| !given(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    ours.chain(order.env.iter().cloned()).collect()
}

fn candidates(name: &str, environment: &[(String, String)]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let path = environment
        .iter()
        .find(|(key, _)| key == "PATH")
        .map_or(PATH, |(_, value)| value);
    path.split(':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| format!("{directory}/{name}"))
        .collect()
}

/// Passes signals on and reaps until the command has ended.
fn attend(command: Pid, walls: &Walls) -> Report {
    let signals = signals();
    loop {
        let ended = match signals.wait() {
            Ok(Signal::SIGCHLD) => reap(command),
            Ok(END_ALL) => {
                let _ = killpg(command, Signal::SIGKILL);
                end_descendants();
                Some(Report::Signaled(Signal::SIGKILL as i32))
            }
            Ok(signal) => {
                let _ = killpg(command, signal);
                None
            }
            Err(_) => None,
        };
        if let Some(report) = ended {
            if !walls.own_processes {
                end_descendants();
            }
            return report;
        }
    }
}

fn reap(command: Pid) -> Option<Report> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == command => {
                ended = Some(Report::Exited(code));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => {
                ended = Some(Report::Signaled(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}

/// Without a process namespace: kills every child, and its children as they are
/// handed down to us, until none is left.
fn end_descendants() {
    let own = std::process::id().to_string();
    for _ in 0..10_000 {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // The command's name may contain anything, even brackets.
            let parent = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            if parent == Some(own.as_str()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        if waitpid(None, None) == Err(nix::Error::ECHILD) {
            return;
        }
    }
}
