//! Watches the sandbox from outside until it has ended, whatever happens to the
//! server meanwhile.
use super::super::PRIVATE_PORTS;
use super::super::record::{self, Exit, How, Measure, Order, State};
use super::door::Door;
use super::groups::Groups;
use super::init::{END_ALL, Report};
use super::output::Output;
use super::sandbox::Walls;
use super::spool::Log;
use super::sys;
use crate::engine::Stream;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the shim itself listens to.
pub(super) const SIGNALS: [Signal; 4] = [
    Signal::SIGCHLD,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
];
/// The sandbox must stand by then.
const PATIENCE: Duration = Duration::from_mins(1);

/// Our ends of the pipes to the sandbox.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) report: File,
    pub(super) go: File,
    pub(super) out: File,
    pub(super) err: File,
}

/// Why we are ending the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Stop,
    TimeLimit,
    /// Something told the shim itself to end.
    Told(Signal),
    Stuck,
}

#[derive(Debug)]
pub(super) struct Watch<'a> {
    run: &'a Path,
    order: &'a Order,
    own_processes: bool,
    groups: Groups,
    first: Pid,
    signals: SignalFd,
    state: State,
    /// Why the server cannot be let in, if so.
    closed: Option<&'static str>,
    door: Option<Door>,
    /// Gives the first process leave to start the command.
    go: Option<File>,
    heard: Vec<u8>,
    /// The last word of the first process.
    result: Option<Report>,
    cause: Option<Cause>,
    /// When the time limit ends, or patience with the preparations.
    limit_at: Instant,
    kill_at: Option<Instant>,
    forced: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        run: &'a Path,
        order: &'a Order,
        walls: Walls,
        groups: Groups,
        first: Pid,
        signals: SigSet,
    ) -> io::Result<Self> {
        // Told only if it could not be brought up.
        let loopback = !walls.measures.iter().any(|told| told.name == "loopback");
        let closed = match (order.host_network, walls.own_network && loopback) {
            (true, _) => {
                Some("the run was given the machine's network, of which nothing is published")
            }
            (false, false) => Some("the kernel gives the run no network of its own"),
            (false, true) => None,
        };
        let state = State {
            shim_pid: Pid::this().as_raw(),
            init_pid: first.as_raw(),
            boot_id: record::boot_id(),
            started: None,
            groups: groups.directories.clone(),
            measures: walls.measures,
        };
        Ok(Self {
            run,
            order,
            own_processes: walls.own_processes,
            groups,
            first,
            signals: SignalFd::with_flags(
                &signals,
                SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
            )?,
            state,
            closed,
            door: None,
            go: None,
            heard: Vec::new(),
            result: None,
            cause: None,
            limit_at: Instant::now() + PATIENCE,
            kill_at: None,
            forced: false,
        })
    }

    /// Watches to the end and records it.
    pub(super) fn run(mut self, pipes: Pipes, mut control: File, mut log: Log) {
        let mut report = Some(pipes.report);
        self.go = Some(pipes.go);
        let mut outputs = [
            Output::new(pipes.out, Stream::Out),
            Output::new(pipes.err, Stream::Err),
        ];
        let mut buffer = Vec::new();
        loop {
            self.sleep(&control, report.as_ref(), &outputs, &log);
            // First what has happened, then what is asked: a command that has
            // ended by itself was not stopped.
            self.listen(&mut report, &mut log);
            for output in &mut outputs {
                output.read(&mut buffer, &mut log);
            }
            log.flush();
            while control.read(&mut [0; 64]).is_ok_and(|size| size > 0) {}
            if self.cause.is_none() && self.run.join(record::STOP).exists() {
                self.end(Cause::Stop);
            }
            if let Some(door) = &mut self.door {
                door.attend();
            }
            self.keep_time();
            if self.ended() {
                break;
            }
        }
        // Nobody attends to it any more.
        self.door = None;
        self.listen(&mut report, &mut log);
        // Nothing that could still write is left, so this ends.
        for output in &mut outputs {
            while output.read(&mut buffer, &mut log) {
                log.flush();
            }
            output.end(&mut log);
        }
        self.conclude(&mut log);
    }

    fn sleep(&self, control: &File, report: Option<&File>, outputs: &[Output], log: &Log) {
        let pipes = outputs.iter().filter_map(|output| output.pipe.as_ref());
        let mut watched: Vec<_> = [self.signals.as_fd(), control.as_fd()]
            .into_iter()
            .chain(report.into_iter().chain(pipes).map(|file| file.as_fd()))
            .chain(self.door.iter().flat_map(Door::descriptors))
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        let deadline = match (self.kill_at, self.cause) {
            (Some(kill_at), _) => Some(kill_at),
            (None, None) => Some(self.limit_at),
            (None, Some(_)) => None,
        };
        let guests = self.door.as_ref().and_then(Door::deadline);
        let deadline = deadline
            .into_iter()
            .chain(guests)
            .chain(log.deadline())
            .min();
        let timeout = deadline.map_or(PollTimeout::NONE, |at| {
            // One more, because rounding down would spin through the last one.
            let left = at.saturating_duration_since(Instant::now()).as_millis() + 1;
            PollTimeout::try_from(left.min(3_600_000)).unwrap_or(PollTimeout::MAX)
        });
        // An interruption or a lack of memory only means to look again.
        let _ = poll(&mut watched, timeout);
    }

    /// Takes what the first process reports.
    fn listen(&mut self, report: &mut Option<File>, log: &mut Log) {
        let Some(pipe) = report else { return };
        let mut chunk = [0; 4096];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => {
                    *report = None;
                    break;
                }
                Ok(size) => self.heard.extend_from_slice(&chunk[..size]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(report) => self.take(report, log),
                Err(error) => eprintln!("the first process said something odd: {error}"),
            }
        }
    }

    fn take(&mut self, report: Report, log: &mut Log) {
        match report {
            Report::Measured(measures) => {
                self.state.measures.extend(measures);
                let door = self.let_in();
                self.state.measures.push(door);
                // From here on the run counts as started, so this must be on
                // disk before the command can do anything.
                match record::write_whole(self.run, record::STATE, &self.state) {
                    Ok(()) => {
                        let _ = self.go.take().map(|mut go| go.write_all(b"g"));
                    }
                    Err(error) => {
                        self.result = Some(Report::Failed(format!(
                            "the run's state could not be written: {error}"
                        )));
                        self.go = None;
                    }
                }
            }
            Report::Started(at) => {
                self.state.started = Some(at);
                self.limit_at = Instant::now() + Duration::from_millis(self.order.time_limit_ms);
                if let Err(error) = record::write_whole(self.run, record::STATE, &self.state) {
                    eprintln!("the start could not be recorded: {error}");
                }
            }
            Report::NotStarted { ref why, .. } => {
                log.say(why);
                self.result = Some(report);
            }
            Report::Exited(_) | Report::Signaled(_) | Report::Failed(_) => {
                self.result = Some(report);
            }
        }
    }

    /// Opens the door for the server, if nobody else can come through it.
    fn let_in(&mut self) -> Measure {
        let told = |active, detail: &str| Measure::new(PRIVATE_PORTS, active, detail);
        if let Some(why) = self.closed {
            return told(false, why);
        }
        let measures = &mut self.state.measures.iter();
        if !measures.any(|measure| measure.name == "file system" && measure.active) {
            // Runs of the same user would find the doors of each other.
            return told(false, "the run has no root directory of its own");
        }
        match Door::open(self.run) {
            Ok(door) => {
                self.door = Some(door);
                told(
                    true,
                    "only the server reaches what listens in a run; no port is published",
                )
            }
            Err(error) => told(false, &format!("no socket could be made for it: {error}")),
        }
    }

    /// Asks the command to end, and sets the time for doing it by force.
    fn end(&mut self, cause: Cause) {
        if self.cause.is_some() || self.result.is_some() {
            return;
        }
        self.cause = Some(cause);
        self.kill_at = Some(Instant::now() + Duration::from_millis(self.order.grace_ms));
        let _ = kill(self.first, Signal::SIGTERM);
    }

    fn keep_time(&mut self) {
        let now = Instant::now();
        if self.cause.is_none() && now >= self.limit_at {
            self.end(if self.state.started.is_some() {
                Cause::TimeLimit
            } else {
                Cause::Stuck
            });
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            // Without a process namespace the first process has to end the
            // others, which it cannot do any more once it is killed.
            let (signal, again) = if self.own_processes || self.forced {
                (Signal::SIGKILL, None)
            } else {
                (END_ALL, Some(now + Duration::from_secs(5)))
            };
            self.forced = true;
            let _ = kill(self.first, signal);
            self.kill_at = again;
        }
    }

    /// Reads signals; `true` when the first process has ended and was reaped.
    fn ended(&mut self) -> bool {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            if let Ok(told @ (Signal::SIGTERM | Signal::SIGINT)) = Signal::try_from(number) {
                self.end(Cause::Told(told));
            }
        }
        !matches!(
            waitpid(self.first, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive)
        )
    }

    fn conclude(mut self, log: &mut Log) {
        let ended = sys::now();
        log.close();
        let exit = Exit {
            how: self.how(),
            started: self.state.started,
            ended,
        };
        // A full disk may have room again soon; without this file the run
        // would count as lost.
        for _ in 0..60 {
            match record::write_whole(self.run, record::EXIT, &exit) {
                Ok(()) => break,
                Err(error) => eprintln!("the end could not be recorded: {error}"),
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        self.groups.remove();
        let _ = std::fs::remove_dir(self.run.join(record::ROOT));
    }

    fn how(&mut self) -> How {
        match self.cause {
            Some(Cause::Stop) => return How::Stopped,
            Some(Cause::TimeLimit) => return How::TimeLimit,
            Some(Cause::Told(signal)) => {
                return How::Lost(format!(
                    "what watches the run was told to end by {signal}; the machine may be going down"
                ));
            }
            Some(Cause::Stuck) => {
                return How::Refused(format!(
                    "the sandbox was not ready after {} seconds",
                    PATIENCE.as_secs()
                ));
            }
            None => {}
        }
        let starved = self.groups.out_of_memory();
        match self.result.take() {
            Some(Report::Exited(0)) => How::Exited(0),
            Some(Report::Exited(_) | Report::Signaled(_)) | None if starved => How::OutOfMemory,
            Some(Report::Exited(code) | Report::NotStarted { code, .. }) => How::Exited(code),
            Some(Report::Signaled(signal)) => How::Signaled(signal),
            Some(Report::Failed(why)) => How::Refused(why),
            None | Some(Report::Measured(_) | Report::Started(_)) => {
                How::Lost("the first process of the sandbox was killed from outside".into())
            }
        }
    }
}
