//! How often an address may be written to and a password or code be guessed.
//!
//! Everything is counted for the address as it was typed, whether or not an
//! account has it, and in the database, so that a restart forgets nothing. What
//! is refused is not counted: its transaction is rolled back.
use crate::domain::account::Email;
use crate::orchestrator::Error;
use crate::store::{Conn, throttles};
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};

/// Between two mails that somebody asks for.
const COOL_DOWN: Duration = Duration::MINUTE;
const MAILS_PER_HOUR: i64 = 3;
const MAILS_PER_DAY: i64 = 10;
/// For mails asked for, codes and passwords guessed and failed sign-ins.
const WINDOW: Duration = Duration::minutes(15);
const MAILS_PER_IP: i64 = 60;
const GUESSES_PER_IP: i64 = 60;
const SIGN_INS_PER_ADDRESS: i64 = 10;

/// Whether a mail must keep its distance from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// A person who made a mistake may register again at once.
    AtOnce,
    /// Another mail of a kind that was sent before.
    CoolDown,
}

/// Counts a mail to `email` that somebody at `ip` asks for.
pub(super) async fn mail(
    conn: &mut Conn,
    email: &Email,
    ip: IpAddr,
    pace: Pace,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let email = email.as_str();
    let cool_down = format!("mail:cool-down:{email}");
    match pace {
        Pace::AtOnce => throttles::restart(conn, &cool_down, now).await?,
        Pace::CoolDown => {
            count(conn, &cool_down, 1, COOL_DOWN, now)
                .await
                .map_err(|wait| {
                    too_many(
                        wait,
                        "A mail has just been sent. Wait a minute, then ask again.",
                    )
                })?;
        }
    }
    let limits = [
        (format!("mail:hour:{email}"), MAILS_PER_HOUR, Duration::HOUR),
        (format!("mail:day:{email}"), MAILS_PER_DAY, Duration::DAY),
        (format!("mail:ip:{}", network(ip)), MAILS_PER_IP, WINDOW),
    ];
    for (name, limit, window) in limits {
        count(conn, &name, limit, window, now)
            .await
            .map_err(|wait| {
                too_many(
                    wait,
                    "Enough mails have been sent for now. Look through your mailbox and its spam \
                 folder, or try again later.",
                )
            })?;
    }
    Ok(())
}

/// Counts a guess at a code, before it is known to be wrong.
pub(super) async fn code(conn: &mut Conn, ip: IpAddr, now: OffsetDateTime) -> Result<(), Error> {
    guess(conn, &guesses(ip), GUESSES_PER_IP, now).await
}

/// Counts a sign-in, before it is known to fail.
pub(super) async fn sign_in(
    conn: &mut Conn,
    email: &Email,
    ip: IpAddr,
    now: OffsetDateTime,
) -> Result<(), Error> {
    guess(conn, &guesses(ip), GUESSES_PER_IP, now).await?;
    guess(conn, &sign_ins(email), SIGN_INS_PER_ADDRESS, now).await
}

/// The code was right.
pub(super) async fn code_was_right(conn: &mut Conn, ip: IpAddr) -> Result<(), Error> {
    Ok(throttles::give_back(conn, &guesses(ip)).await?)
}

/// The password was right.
pub(super) async fn password_was_right(
    conn: &mut Conn,
    email: &Email,
    ip: IpAddr,
) -> Result<(), Error> {
    throttles::give_back(conn, &guesses(ip)).await?;
    Ok(throttles::give_back(conn, &sign_ins(email)).await?)
}

async fn guess(conn: &mut Conn, name: &str, limit: i64, now: OffsetDateTime) -> Result<(), Error> {
    count(conn, name, limit, WINDOW, now).await.map_err(|wait| {
        too_many(
            wait,
            "Too many attempts failed. Wait a few minutes, then try again.",
        )
    })
}

/// Counts once more, or says how long to wait.
async fn count(
    conn: &mut Conn,
    name: &str,
    limit: i64,
    window: Duration,
    now: OffsetDateTime,
) -> Result<(), Wait> {
    let counted = throttles::hit(conn, name, window, now)
        .await
        .map_err(|error| Wait::Failed(error.into()))?;
    if counted.count > limit {
        return Err(Wait::Until(counted.window_start + window - now));
    }
    Ok(())
}

enum Wait {
    Until(Duration),
    Failed(Error),
}

fn too_many(wait: Wait, message: &str) -> Error {
    match wait {
        Wait::Failed(error) => error,
        Wait::Until(rest) => Error::TooMany {
            message: message.to_owned(),
            // Rounded up: who waits so long is served.
            retry_after_seconds: rest.whole_seconds() + i64::from(rest.subsec_nanoseconds() > 0),
        },
    }
}

fn guesses(ip: IpAddr) -> String {
    format!("guess:ip:{}", network(ip))
}

fn sign_ins(email: &Email) -> String {
    format!("sign-in:{}", email.as_str())
}

/// What one subscriber has: an IPv4 address, or a /64 of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_cannot_multiply_by_choosing_addresses() {
        let of = |ip: &str| network(ip.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
