//! The system calls that have no safe form. Everything `unsafe` is here; the
//! shim is single-threaded, which is what most of it rests on.
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::{ForkResult, Pid};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::time::SystemTime;

/// Unix microseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the shim has no server whose clock it could ask"
)]
pub(super) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Forks; `None` in the child.
#[expect(
    unsafe_code,
    reason = "fork; this process has one thread, so the child may do anything"
)]
pub(super) fn fork() -> nix::Result<Option<Pid>> {
    // SAFETY: no other thread exists whose locks the child could inherit.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Ends at once, without the cleanup that belongs to the parent.
#[expect(unsafe_code, reason = "_exit")]
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: always sound.
    unsafe { libc::_exit(code) }
}

/// Gives the command the signal behavior that every program expects at its
/// start: Rust programs ignore SIGPIPE, and an ignored signal survives exec.
#[expect(unsafe_code, reason = "signal")]
pub(super) fn default_signals() {
    for signal in 1..=31 {
        // SAFETY: sets no handler; fails harmlessly for KILL and STOP.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Marks everything above the standard streams to be closed by exec.
#[expect(unsafe_code, reason = "close_range")]
pub(super) fn seal_descriptors() {
    // SAFETY: only sets a flag on descriptors.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// Brings the loopback interface of a new network namespace up.
#[expect(unsafe_code, reason = "an interface ioctl")]
pub(super) fn loopback_up() -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags =
        i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("small flags");
    // SAFETY: the request outlives the call and is of the type that the call reads.
    Errno::result(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    })?;
    Ok(())
}

/// Takes rights from a mount and all mounts below it.
pub(super) fn restrict_mount(path: &Path, attributes: u64) -> io::Result<()> {
    let flags = libc::AT_RECURSIVE;
    set_attributes(libc::AT_FDCWD, path, flags, attributes)
}

/// Takes rights from a mount that [`clone_mount`] has made.
pub(super) fn restrict_tree(mount: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH;
    set_attributes(mount.as_raw_fd(), Path::new(""), flags, attributes)
}

#[expect(unsafe_code, reason = "mount_setattr")]
fn set_attributes(from: RawFd, path: &Path, flags: i32, attributes: u64) -> io::Result<()> {
    let path = text(path)?;
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the pointers and the size describe live values.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            from,
            path.as_ptr(),
            flags,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

/// A mount of one directory or file, without what is mounted below it, that is
/// nowhere yet. An empty path means `from` itself.
#[expect(unsafe_code, reason = "open_tree")]
pub(super) fn clone_mount(from: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let path = text(path)?;
    let empty = libc::c_uint::try_from(libc::AT_EMPTY_PATH).expect("a flag");
    // SAFETY: the path is a live string that ends with a zero byte.
    let mount = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_open_tree,
            from.as_raw_fd(),
            path.as_ptr(),
            libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | empty,
        )
    })?;
    let mount = RawFd::try_from(mount).expect("descriptors are small");
    // SAFETY: the call has just made it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(mount) })
}

/// Puts a mount that [`clone_mount`] has made over a directory or file.
#[expect(unsafe_code, reason = "move_mount")]
pub(super) fn attach_mount(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both paths are live, empty strings.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            place.as_raw_fd(),
            c"".as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH,
        )
    })?;
    Ok(())
}

fn text(path: &Path) -> io::Result<std::ffi::CString> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(std::ffi::CString::new(path.as_os_str().as_bytes())?)
}

/// Reads bytes and the descriptor that came with them, without waiting.
#[expect(unsafe_code, reason = "received descriptors have no owner yet")]
pub(super) fn receive(
    from: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = nix::cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(from.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut received = None;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            for descriptor in descriptors {
                // SAFETY: the kernel has just made it for us. One that is replaced
                // is closed.
                received = Some(unsafe { OwnedFd::from_raw_fd(descriptor) });
            }
        }
    }
    Ok((message.bytes, received))
}
