//! Reaches a port of a run: the shim makes the connection where the run is, and
//! passes it out through a socket in the run's directory.
use super::logs::blocking;
use super::record::{self, State};
use super::runs::Runs;
use super::{PRIVATE_PORTS, shim};
use crate::engine::{Connection, Error, Handle, Outcome, Result, Status};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UnixStream};

/// For the shim to answer, and for the program in the run to accept.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts at a door with too many before it.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug)]
enum Failure {
    /// There is no talking to the shim.
    Door(io::Error),
    /// The shim tried, and this came of it.
    Port(io::Error),
}

pub(super) async fn connect(
    runs: &Runs,
    handle: &Handle,
    port: u16,
) -> Result<Box<dyn Connection>> {
    if port == 0 {
        return Err(Error::Refused("0 is not a port".into()));
    }
    let run = runs.path(handle)?;
    let failure = match tokio::time::timeout(PATIENCE, reach(&run, port)).await {
        Ok(Ok(connection)) => return Ok(Box::new(connection)),
        Ok(Err(failure)) => failure,
        Err(_) => Failure::Port(io::ErrorKind::TimedOut.into()),
    };
    match failure {
        Failure::Port(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err(Error::Unavailable("connection refused".into()))
        }
        Failure::Port(error) => Err(Error::Unavailable(format!(
            "port {port} does not answer: {error}"
        ))),
        Failure::Door(error) => {
            let (runs, handle) = (runs.clone(), handle.clone());
            blocking(move || Err(reason(&runs, &handle, &run, &error))).await
        }
    }
}

async fn reach(run: &Path, port: u16) -> std::result::Result<TcpStream, Failure> {
    let mut shim = knock(run).await.map_err(Failure::Door)?;
    shim.write_all(&port.to_be_bytes())
        .await
        .map_err(Failure::Door)?;
    let (outcome, connection) = shim
        .async_io(Interest::READABLE, || shim::receive(shim.as_fd()))
        .await
        .map_err(Failure::Door)?;
    let Some(connection) = connection else {
        return Err(Failure::Port(io::Error::from_raw_os_error(outcome)));
    };
    let connected = async || {
        let connection = std::net::TcpStream::from(connection);
        connection.set_nonblocking(true)?;
        let connection = TcpStream::from_std(connection)?;
        if outcome != 0 {
            connection.writable().await?;
            if let Some(error) = connection.take_error()? {
                return Err(error);
            }
        }
        connection.set_nodelay(true)?;
        Ok(connection)
    };
    connected().await.map_err(Failure::Port)
}

async fn knock(run: &Path) -> io::Result<UnixStream> {
    // A socket's path is at most 107 bytes long, a run's directory any length.
    let directory = File::options()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(run)?;
    let door = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), record::DOOR);
    loop {
        match UnixStream::connect(&door).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Why nobody opened.
fn reason(runs: &Runs, handle: &Handle, run: &Path, error: &io::Error) -> Error {
    match runs.status(handle) {
        Err(error) => return error,
        Ok(Status::Ended(end)) => {
            return match end.outcome {
                Outcome::Lost(why) => Error::Unavailable(why),
                Outcome::Exited(_)
                | Outcome::Signaled(_)
                | Outcome::OutOfMemory
                | Outcome::TimeLimit
                | Outcome::Stopped
                | Outcome::NoImage(_)
                | Outcome::Refused(_) => Error::NotFound,
            };
        }
        Ok(Status::Queued { .. } | Status::Preparing { .. } | Status::Unknown { .. }) => {}
        Ok(Status::Running { .. } | Status::Stopping { .. }) => {
            let state = record::read_whole::<State>(run, record::STATE);
            let measures = state.ok().flatten().map(|state| state.measures);
            if let Some(missing) = measures
                .into_iter()
                .flatten()
                .find(|measure| measure.name == PRIVATE_PORTS && !measure.active)
            {
                return Error::Refused(format!(
                    "the ports of this run cannot be reached: {}",
                    missing.detail
                ));
            }
        }
    }
    Error::Unavailable(format!("the run lets nobody in: {error}"))
}
