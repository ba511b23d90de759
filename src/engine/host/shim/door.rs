//! Lets the server in: makes connections to ports of the run from where the run
//! is, and passes them out. No port is published, no byte is copied.
use super::super::record::DOOR;
use super::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrIn, connect,
    getsockopt, listen, sendmsg, setsockopt, socket, sockopt,
};
use nix::unistd::Uid;
use std::fs::{self, File};
use std::io::{self, IoSlice, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Who waits longer without saying a port is sent away.
const PATIENCE: Duration = Duration::from_secs(2);
/// Who may stand in the door at once; others wait before it.
const GUESTS: usize = 64;
const BACKLOG: i32 = 1024;
/// After the machine had no descriptor or memory for a guest.
const REST: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    guests: Vec<Guest>,
    rests_until: Option<Instant>,
}

/// Somebody who has not said the whole port yet.
#[derive(Debug)]
struct Guest {
    socket: UnixStream,
    heard: Vec<u8>,
    until: Instant,
}

impl Door {
    /// Must be called where the run's network is, by the shim.
    pub(super) fn open(run: &Path) -> io::Result<Self> {
        // A socket's path is at most 107 bytes long, a run's directory any length.
        let directory = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(run)?;
        let path = format!("/proc/self/fd/{}/{DOOR}", directory.as_raw_fd());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        listen(&listener, Backlog::new(BACKLOG)?)?;
        Ok(Self {
            listener,
            guests: Vec::new(),
            rests_until: None,
        })
    }

    /// What can be read when there is something to do.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let open = self.guests.len() < GUESTS && self.rests_until.is_none();
        open.then(|| self.listener.as_fd())
            .into_iter()
            .chain(self.guests.iter().map(|guest| guest.socket.as_fd()))
    }

    /// When there is something to do even if nothing can be read.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let guests = self.guests.iter().map(|guest| guest.until);
        guests.chain(self.rests_until).min()
    }

    /// Does what can be done without waiting, and not more than so much of it
    /// that the watch over the run comes too late.
    pub(super) fn attend(&mut self) {
        let now = Instant::now();
        if self.rests_until.is_some_and(|until| now >= until) {
            self.rests_until = None;
        }
        for _ in self.guests.len()..GUESTS {
            if self.rests_until.is_some() {
                break;
            }
            match self.listener.accept() {
                Ok((socket, _)) => self.receive(socket, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Gone again before we looked.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Looking again at once would find the same.
                Err(_) => self.rests_until = Some(now + REST),
            }
        }
        self.guests
            .retain_mut(|guest| !guest.served() && now < guest.until);
    }

    fn receive(&mut self, socket: UnixStream, now: Instant) {
        // The run's directory keeps everybody else out; this does so again.
        let server = getsockopt(&socket, sockopt::PeerCredentials)
            .is_ok_and(|peer| Uid::from_raw(peer.uid()) == Uid::effective());
        if server && socket.set_nonblocking(true).is_ok() {
            self.guests.push(Guest {
                socket,
                heard: Vec::with_capacity(2),
                until: now + PATIENCE,
            });
        }
    }
}

impl Guest {
    /// Whether there is nothing left to do for this one.
    fn served(&mut self) -> bool {
        let mut rest = [0; 2];
        let rest = &mut rest[self.heard.len()..];
        match self.socket.read(rest) {
            Ok(0) => return true,
            Ok(size) => self.heard.extend_from_slice(&rest[..size]),
            Err(error) => {
                return !matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                );
            }
        }
        let [high, low] = self.heard[..] else {
            return false;
        };
        let (outcome, connection) = match reach(u16::from_be_bytes([high, low])) {
            Ok((connection, outcome)) => (outcome, Some(connection)),
            Err(error) => (error, None),
        };
        let _ = pass(&self.socket, outcome, connection.as_ref());
        true
    }
}

/// A connection that is there, or under way: whoever gets it can wait.
fn reach(port: u16) -> nix::Result<(OwnedFd, nix::Error)> {
    let connection = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&connection, sockopt::TcpNoDelay, &true)?;
    let address = SockaddrIn::new(127, 0, 0, 1, port);
    match connect(connection.as_raw_fd(), &address) {
        Ok(()) => return Ok((connection, nix::Error::from_raw(0))),
        Err(nix::Error::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    // On a loopback the answer is there at once, except for a program that is
    // behind with accepting.
    let mut asked = [PollFd::new(connection.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut asked, PollTimeout::ZERO)? == 0 {
        return Ok((connection, nix::Error::EINPROGRESS));
    }
    match getsockopt(&connection, sockopt::SocketError)? {
        0 => Ok((connection, nix::Error::from_raw(0))),
        error => Err(nix::Error::from_raw(error)),
    }
}

fn pass(guest: &UnixStream, outcome: nix::Error, connection: Option<&OwnedFd>) -> nix::Result<()> {
    let word = (outcome as i32).to_le_bytes();
    let descriptors: Vec<_> = connection.iter().map(|open| open.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let rights = if connection.is_some() {
        &rights[..]
    } else {
        &[]
    };
    sendmsg::<()>(
        guest.as_raw_fd(),
        &[IoSlice::new(&word)],
        rights,
        MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// The server's half of [`pass`]: how connecting went, as an error number, and
/// the connection unless it failed. Never waits.
pub(in super::super) fn receive(shim: BorrowedFd<'_>) -> io::Result<(i32, Option<OwnedFd>)> {
    let mut word = [0; 4];
    let (size, connection) = sys::receive(shim, &mut word)?;
    if size < word.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((i32::from_le_bytes(word), connection))
}
