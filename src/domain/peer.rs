//! Who is at the other end of a connection.
use std::net::IpAddr;

/// The client's address: the socket's, or the one that a trusted proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);
