//! One shell, which everybody who looks shares, and what it has said lately.
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// Bytes of output that are kept for those who come later.
const KEPT: usize = 256 * 1024;
/// Lines that may wait for a shell that does not read.
const WAITING: usize = 64;

/// What to do with the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    Type(String),
    Interrupt,
    /// The end of its input.
    End,
}

/// Where it is and what it is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct News {
    /// Counts the shells; 0 before the first.
    pub(super) shell: u64,
    /// Bytes that this shell has said.
    pub(super) said: u64,
    /// Whether it has a terminal, which repeats what is typed.
    pub(super) terminal: bool,
    pub(super) ended: Option<i32>,
}

#[derive(Debug)]
pub(super) struct Shell {
    root: PathBuf,
    /// The output of the present shell, as much as is kept.
    kept: Mutex<VecDeque<u8>>,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    news: watch::Sender<News>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shell {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            kept: Mutex::default(),
            orders: Mutex::default(),
            news: watch::channel(News::default()).0,
        }
    }

    pub(super) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    /// What was said after the first `from` bytes of this shell: where it begins,
    /// later than asked if that is not kept any more, and at most `most` bytes.
    pub(super) fn said(&self, from: u64, most: usize) -> (u64, Vec<u8>) {
        let kept = lock(&self.kept);
        let said = self.news.borrow().said;
        let first = said - kept.len() as u64;
        let from = from.clamp(first, said);
        let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
        (from, kept.iter().skip(skip).take(most).copied().collect())
    }

    pub(super) fn orders(&self) -> Option<mpsc::Sender<Order>> {
        lock(&self.orders).clone()
    }

    /// Starts a shell unless one runs.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut orders = lock(&self.orders);
        if orders.is_some() {
            return Ok(());
        }
        let (started, input, outputs, terminal) = spawn(&self.root)?;
        let (order, ordered) = mpsc::channel(WAITING);
        *orders = Some(order);
        drop(orders);
        lock(&self.kept).clear();
        self.news.send_modify(|news| {
            *news = News {
                shell: news.shell + 1,
                terminal,
                ..News::default()
            };
        });
        let group = i32::try_from(started.id()).map_or(None, |pid| Some(Pid::from_raw(pid)));
        // The disk of a shell can stand still; threads of its own wait for it.
        std::thread::spawn(move || listen(ordered, input, group, terminal));
        let shell = Arc::clone(self);
        std::thread::spawn(move || shell.follow(started, outputs));
        Ok(())
    }

    /// Reads until the shell has ended and nobody holds its output.
    fn follow(&self, mut child: Child, outputs: Vec<File>) {
        std::thread::scope(|scope| {
            for output in outputs {
                scope.spawn(|| self.read(output));
            }
            let code = child
                .wait()
                .map_or(-1, |status| status.code().unwrap_or(-1));
            // Before the readers: what a shell leaves running may hold them for ever.
            *lock(&self.orders) = None;
            self.news.send_modify(|news| news.ended = Some(code));
        });
    }

    fn read(&self, mut output: File) {
        let shell = self.news.borrow().shell;
        let mut chunk = vec![0; 16 * 1024];
        // A terminal whose last program has ended gives an error, not an end.
        while let Ok(count @ 1..) = output.read(&mut chunk) {
            let mut kept = lock(&self.kept);
            if self.news.borrow().shell != shell {
                // Left over from an earlier shell; nobody looks at that any more.
                return;
            }
            kept.extend(&chunk[..count]);
            let over = kept.len().saturating_sub(KEPT);
            kept.drain(..over);
            self.news.send_modify(|news| news.said += count as u64);
        }
    }
}

/// Passes on what is typed, until the shell takes no more.
fn listen(mut orders: mpsc::Receiver<Order>, input: File, group: Option<Pid>, terminal: bool) {
    let mut input = Some(input);
    while let Some(order) = orders.blocking_recv() {
        let written = match (order, &mut input) {
            (_, None) => Ok(()),
            (Order::Type(text), Some(input)) => input.write_all(text.as_bytes()),
            (Order::Interrupt, Some(input)) if terminal => input.write_all(b"\x03"),
            (Order::Interrupt, Some(_)) => {
                // Interactive shells take no notice; what they run does.
                group.map_or(Ok(()), |group| {
                    killpg(group, Signal::SIGINT).map_err(Into::into)
                })
            }
            (Order::End, Some(input)) if terminal => input.write_all(b"\x04"),
            (Order::End, input) => {
                *input = None;
                Ok(())
            }
        };
        if written.is_err() {
            return;
        }
    }
}

/// A shell, its input, its outputs, and whether it has a terminal. Without one,
/// because the sandbox may have none, it is given pipes.
fn spawn(root: &Path) -> io::Result<(Child, File, Vec<File>, bool)> {
    if let Ok((child, terminal)) = with_terminal(root) {
        let input = terminal.try_clone()?;
        return Ok((child, input, vec![terminal], true));
    }
    let mut command = shell(&[], root);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn()?;
    let missing = || io::Error::other("a pipe of the shell is missing");
    let input = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
    let out = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
    let err = OwnedFd::from(child.stderr.take().ok_or_else(missing)?);
    let outputs = vec![File::from(out), File::from(err)];
    Ok((child, File::from(input), outputs, false))
}

fn with_terminal(root: &Path) -> io::Result<(Child, File)> {
    let size = Winsize {
        ws_row: 40,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pair = openpty(Some(&size), None)?;
    let slave = File::from(pair.slave);
    // `setsid -c` makes the terminal the shell's own, so that Ctrl-C reaches what it runs.
    let mut command = shell(&["setsid", "-c"], root);
    let child = command
        .stdin(slave.try_clone()?)
        .stdout(slave.try_clone()?)
        .stderr(slave)
        .spawn()?;
    Ok((child, File::from(pair.master)))
}

fn shell(before: &[&str], root: &Path) -> Command {
    let mut words: Vec<&str> = before.to_vec();
    if Path::new("/bin/bash").exists() {
        // Its own editing of lines wants a terminal that can do more.
        words.extend(["/bin/bash", "--noediting", "-i"]);
    } else {
        words.extend(["/bin/sh", "-i"]);
    }
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir(root)
        .env("HOME", root)
        .env("TERM", "dumb")
        .env("PAGER", "cat")
        .env("PS1", "$PWD $ ");
    command
}
