//! Passwords, hashed by argon2id (19 MiB, two passes).
use crate::orchestrator::Error;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many hashes are made at once: each takes 19 MiB and 15 ms of a core.
const AT_ONCE: usize = 2;
/// How many may wait or run; more would wait for longer than anybody does.
const IN_LINE: usize = 64;

/// A hash of a password that nobody knows: what an unknown address is checked
/// against, so that it takes as long as a known one.
pub(super) const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$YCCfreQKeaGElOmUeDfPLA$x5Ku3vUYjHoUKVdHDgu0hNUwTYQTmUYCvTSq0jr8qgs";

/// Keeps password hashing from eating the machine.
#[derive(Debug)]
pub(in crate::orchestrator) struct Hashing {
    line: Arc<Semaphore>,
    desks: Arc<Semaphore>,
}

impl Hashing {
    pub(in crate::orchestrator) fn new() -> Self {
        Self {
            line: Arc::new(Semaphore::new(IN_LINE)),
            desks: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// A place in the line. Take it before counting anything against a person,
    /// so that a full line costs them nothing.
    pub(super) fn stand_in_line(&self) -> Result<Turn, Error> {
        let place = Arc::clone(&self.line).try_acquire_owned().map_err(|_| {
            Error::Unavailable(
                "Too many people are signing in at this moment. Please try again in a few seconds."
                    .into(),
            )
        })?;
        Ok(Turn {
            place,
            desks: Arc::clone(&self.desks),
        })
    }
}

/// The right to hash or verify one password.
#[derive(Debug)]
pub(super) struct Turn {
    place: OwnedSemaphorePermit,
    desks: Arc<Semaphore>,
}

impl Turn {
    /// The PHC string of a password, with a salt of its own.
    pub(super) async fn hash(self, password: String) -> Result<String, Error> {
        self.run(move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| {
            Error::Internal(anyhow::anyhow!("a password could not be hashed: {error}"))
        })
    }

    /// Whether a password is the one with this hash.
    pub(super) async fn verify(self, password: String, hash: String) -> Result<bool, Error> {
        self.run(move || Argon2::default().verify_password(password.as_bytes(), hash.as_str()))
            .await
            .map(|verified| verified.is_ok())
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let Self { place, desks } = self;
        let desk = desks
            .acquire_owned()
            .await
            .map_err(|error| Error::Internal(error.into()))?;
        // The permits go along: a client who leaves does not free the core.
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop((desk, place));
            done
        })
        .await
        .map_err(|error| Error::Internal(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_line_is_refused_with_words() {
        let hashing = Hashing::new();
        let line: Vec<_> = (0..IN_LINE)
            .map(|_| hashing.stand_in_line().unwrap())
            .collect();
        assert!(matches!(
            hashing.stand_in_line(),
            Err(Error::Unavailable(_))
        ));
        drop(line);
        let turn = hashing.stand_in_line().unwrap();
        let hash = turn.hash("correct horse".into()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        for (password, right) in [("correct horse", true), ("battery staple", false)] {
            let turn = hashing.stand_in_line().unwrap();
            assert_eq!(
                turn.verify(password.into(), hash.clone()).await.unwrap(),
                right
            );
        }
    }

    #[tokio::test]
    async fn nobody_has_a_hash_that_costs_as_much_as_anybody_s() {
        use argon2::password_hash::phc::PasswordHash;
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let somebody = Argon2::default().hash_password(b"somebody").unwrap();
        assert_eq!(nobody.params, somebody.params);
        assert!(nobody.hash.is_some());
    }
}
