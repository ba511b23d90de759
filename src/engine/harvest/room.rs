//! Where what is taken goes.
use std::io;

/// What is kept has to go somewhere, which others want to fill as well.
pub trait Room {
    /// Sets so many bytes aside, before the first of them is copied. `false` if there is
    /// no room for them.
    ///
    /// # Errors
    ///
    /// If nobody can say.
    fn set_aside(&mut self, bytes: u64) -> io::Result<bool>;

    /// So many of those are not needed after all.
    fn give_back(&mut self, bytes: u64);
}

/// Bytes that nobody else wants.
impl Room for u64 {
    fn set_aside(&mut self, bytes: u64) -> io::Result<bool> {
        let left = self.checked_sub(bytes);
        *self = left.unwrap_or(*self);
        Ok(left.is_some())
    }

    fn give_back(&mut self, bytes: u64) {
        *self += bytes;
    }
}
