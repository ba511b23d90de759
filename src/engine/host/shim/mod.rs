//! The shim: one small process per run that outlives the server. It builds the
//! sandbox, starts the command in it, gathers its output, keeps its time limit,
//! and leaves the end where every later server finds it.
//!
//! It is single-threaded throughout: a process that has left its process
//! namespace can start no thread.
mod door;
mod groups;
mod init;
mod output;
mod root;
mod rules;
mod sandbox;
mod spool;
mod sys;
mod volumes;
mod watch;

pub(super) use door::receive;

use super::record::{self, Exit, How, Order};
use groups::Groups;
use init::{Ends, Job};
use nix::fcntl::OFlag;
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use sandbox::Owner;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::ExitCode;
use watch::{Pipes, Watch};

/// Runs the shim for one run. Its standard input is the order, its standard
/// output the locked lock file, and `run` the run's directory.
///
/// Must be called before any thread is started.
#[must_use]
pub fn main(run: &Path) -> ExitCode {
    // Not the server's session: its terminal must not end our runs.
    let _ = nix::unistd::setsid();
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    // The first process of the sandbox leaves the directory that it is in.
    let run = match run.canonicalize() {
        Ok(run) => run,
        Err(error) => {
            eprintln!("no run at {}: {error}", run.display());
            return ExitCode::FAILURE;
        }
    };
    let order = match order() {
        Ok(order) => order,
        Err(error) => {
            // The server has gone while it was telling us; nothing was started.
            eprintln!("no usable order: {error}");
            return ExitCode::FAILURE;
        }
    };
    match watch(&run, &order) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let ended = sys::now();
            let how = How::Refused(format!("the run could not be prepared: {error}"));
            eprintln!("{how:?}");
            let _ = record::write_whole(
                &run,
                record::EXIT,
                &Exit {
                    how,
                    started: None,
                    ended,
                },
            );
            ExitCode::FAILURE
        }
    }
}

fn order() -> io::Result<Order> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(serde_json::from_slice(&text)?)
}

fn watch(run: &Path, order: &Order) -> io::Result<()> {
    let control = control(run)?;
    let log = spool::Log::new(run, order.log)?;
    if run.join(record::STOP).exists() {
        return record::write_whole(
            run,
            record::EXIT,
            &Exit {
                how: How::Stopped,
                started: None,
                ended: sys::now(),
            },
        );
    }
    match fs::DirBuilder::new()
        .mode(0o700)
        .create(run.join(record::ROOT))
    {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let owner = Owner::choose(order);
    if owner.uid().is_root() {
        return Err(io::Error::other("a run is never root"));
    }
    sandbox::furnish(run, owner.own())?;

    let mut signals = init::signals();
    signals.thread_block()?;
    signals = SigSet::empty();
    signals.extend(watch::SIGNALS);
    let mut groups = Groups::create(order);
    let walls = sandbox::separate(order, owner);
    let (pipes, ends) = pipes()?;
    let Some(first) = sys::fork()? else {
        drop((pipes, control, log));
        init::main(
            Job {
                run,
                order,
                walls: &walls,
                owner,
            },
            &mut groups,
            ends,
        )
    };
    drop(ends);
    Watch::new(run, order, walls, groups, first, signals)?.run(pipes, control, log);
    Ok(())
}

/// Opened for both directions, so that it neither blocks nor ever ends.
fn control(run: &Path) -> io::Result<File> {
    let path = run.join(record::CONTROL);
    match nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)) {
        Ok(()) | Err(nix::Error::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
}

fn pipes() -> io::Result<(Pipes, Ends)> {
    let (report, to_report) = pipe()?;
    let (out, to_out) = pipe()?;
    let (err, to_err) = pipe()?;
    let (from_go, go) = io::pipe()?;
    let ends = Ends {
        report: to_report,
        go: from_go.into(),
        out: to_out,
        err: to_err,
    };
    Ok((
        Pipes {
            report,
            go: OwnedFd::from(go).into(),
            out,
            err,
        },
        ends,
    ))
}

/// A pipe of which reading does not block.
fn pipe() -> io::Result<(File, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let flags = nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_GETFL)?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETFL(flags))?;
    Ok((read.into(), write))
}
