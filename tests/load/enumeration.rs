//! Whether answers tell by their time who has an account. `just timing` runs it,
//! `just timing code` only the routes with that word in their name.
//!
//! Against the program itself over loopback: for each route pairs of requests, one
//! about an address that is known and one about an address that is not, in random
//! order, each address and each client new, so that no limit is reached. Prints
//! microseconds and the difference of the medians with the interval that holds it
//! in 95 of 100 resamplings; asserts only that both get the same status.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
#[expect(dead_code, reason = "tests need more of it")]
#[path = "../support/server.rs"]
mod server;

use argon2::{Argon2, PasswordHasher as _};
use junglegrid::clock::Clock;
use junglegrid::domain::account::Role;
use junglegrid::domain::id::{AccountId, ChallengeId};
use junglegrid::random;
use junglegrid::store::Store;
use junglegrid::store::accounts::{self, Account, Status};
use junglegrid::store::challenges::{self, Challenge, Purpose};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use serde_json::{Value, json};
use server::{DEADLINE, Server};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Pairs that count, and pairs before them that do not.
const PAIRS: usize = 500;
const WARM_UP: usize = 20;
const RESAMPLINGS: usize = 1_000;
/// What a request leaves to be done after its answer, such as a mail, must not
/// fall into the next one's time.
const PAUSE: Duration = Duration::from_millis(8);
/// For everything, however slow the machine is.
const WHOLE: Duration = Duration::from_mins(12);

/// Who is known to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Has an account.
    Active,
    /// Has registered and got a code.
    Registered,
    /// Has an account, and a code with which to choose a new password.
    Forgetful,
}

struct Route {
    what: &'static str,
    path: &'static str,
    status: &'static str,
    known: Known,
    body: fn(&str) -> Value,
}

const ROUTES: [Route; 9] = [
    Route {
        what: "sign-in, wrong password",
        path: "/auth/signin",
        status: "401",
        known: Known::Active,
        body: sign_in,
    },
    Route {
        what: "sign-in, wrong password, not verified",
        path: "/auth/signin",
        status: "401",
        known: Known::Registered,
        body: sign_in,
    },
    Route {
        what: "register",
        path: "/auth/register",
        status: "201",
        known: Known::Active,
        body: |email| json!({"email": email, "password": server::PASSWORD, "name": "Ada"}),
    },
    Route {
        what: "register, not verified",
        path: "/auth/register",
        status: "201",
        known: Known::Registered,
        body: |email| json!({"email": email, "password": server::PASSWORD, "name": "Ada"}),
    },
    Route {
        what: "forgotten password",
        path: "/auth/password/forgot",
        status: "202",
        known: Known::Active,
        body: |email| json!({ "email": email }),
    },
    Route {
        what: "another code",
        path: "/auth/otp/resend",
        status: "202",
        known: Known::Active,
        body: |email| json!({ "email": email }),
    },
    Route {
        what: "another code, not verified",
        path: "/auth/otp/resend",
        status: "202",
        known: Known::Registered,
        body: |email| json!({ "email": email }),
    },
    Route {
        what: "verify, wrong code",
        path: "/auth/otp/verify",
        status: "400",
        known: Known::Registered,
        body: |email| json!({"email": email, "code": "000000"}),
    },
    Route {
        what: "new password, wrong code",
        path: "/auth/password/reset",
        status: "400",
        known: Known::Forgetful,
        body: |email| json!({"email": email, "code": "000000", "password": server::PASSWORD}),
    },
];

fn sign_in(email: &str) -> Value {
    json!({"email": email, "password": "not the password"})
}

fn main() {
    let end = Instant::now() + WHOLE;
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    // The line that says where it listens, and none about requests.
    let log = "error,junglegrid::app=info,junglegrid::app::guard=error";
    let server = Server::start(&["--trusted-proxies", "127.0.0.1", "--log", log]);
    println!("{PAIRS} pairs each, microseconds: quartiles, and the difference of the medians");
    for (number, route) in ROUTES.iter().enumerate() {
        if !route.what.contains(&wanted) {
            continue;
        }
        let known: Vec<String> = (0..WARM_UP + PAIRS).map(|_| address()).collect();
        fill(&server, &known, route.known);
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (turn, known) in known.iter().enumerate() {
            assert!(Instant::now() < end, "this machine is too slow for that");
            let unknown = address();
            let mut pair = [(known, true), (&unknown, false)];
            pair.shuffle(&mut rand::rng());
            for (email, is_known) in pair {
                let client = client(number, turn, is_known);
                let took = ask(&server, route, email, &client);
                if turn >= WARM_UP {
                    if is_known { &mut with } else { &mut without }.push(took);
                }
                std::thread::sleep(PAUSE);
            }
        }
        report(route.what, with, without);
    }
}

/// As long as any other, and as likely.
fn address() -> String {
    format!("{}@example.org", &random::token("")[..20])
}

/// An address of a client that no other request has.
fn client(route: usize, turn: usize, known: bool) -> String {
    let (high, low) = (turn / 250, turn % 250);
    format!("10.{}.{high}.{low}", route * 2 + usize::from(known))
}

/// Makes accounts in the server's database, without the mails of signing up,
/// which would count against the limits.
fn fill(server: &Server, emails: &[String], known: Known) {
    let password_hash = Argon2::default()
        .hash_password(server::PASSWORD.as_bytes())
        .unwrap()
        .to_string();
    let now = Clock::default().now();
    let accounts: Vec<Account> = emails
        .iter()
        .map(|email| Account {
            id: random::id(now),
            email: email.clone(),
            name: None,
            password_hash: password_hash.clone(),
            status: Status::Unverified,
            roles: vec![Role::User],
            operator: false,
            created_at: now,
        })
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = runtime.block_on(async {
        let file = server.data().join("junglegrid.db");
        let store = Store::open_file(&file).await.unwrap();
        store
            .write(move |conn| {
                Box::pin(async move {
                    for account in &accounts {
                        accounts::insert_unverified(conn, account).await?;
                        if known != Known::Registered {
                            accounts::activate(conn, account.id, false, now).await?;
                        }
                        if let Some(challenge) = challenge(known, account.id, now) {
                            challenges::replace(conn, &challenge).await?;
                        }
                    }
                    Ok::<_, junglegrid::store::Error>(())
                })
            })
            .await
    });
    done.unwrap();
}

fn challenge(known: Known, account: AccountId, now: time::OffsetDateTime) -> Option<Challenge> {
    let purpose = match known {
        Known::Active => return None,
        Known::Registered => Purpose::Verify,
        Known::Forgetful => Purpose::Reset,
    };
    Some(Challenge {
        id: random::id::<ChallengeId>(now),
        account,
        purpose,
        code_mac: random::token(""),
        created_at: now,
        expires_at: now + time::Duration::minutes(10),
    })
}

/// From the last byte of the question to the last of the answer.
fn ask(server: &Server, route: &Route, email: &str, client: &str) -> Duration {
    let body = (route.body)(email).to_string();
    let (path, host, length) = (route.path, server.address, body.len());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Forwarded-For: {client}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answer = Vec::with_capacity(4_096);
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    let took = begun.elapsed();
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(
        answer.split(' ').nth(1),
        Some(route.status),
        "{path}: {answer}"
    );
    took
}

fn report(what: &str, known: Vec<Duration>, unknown: Vec<Duration>) {
    let [known, unknown] = [known, unknown].map(|took| {
        let mut took: Vec<f64> = took.iter().map(|one| one.as_secs_f64() * 1e6).collect();
        took.sort_unstable_by(f64::total_cmp);
        took
    });
    println!("{what}");
    for (who, took) in [("known", &known), ("unknown", &unknown)] {
        let [low, middle, high] = [1, 2, 3].map(|quarter| took[took.len() * quarter / 4]);
        println!("  {who:8} {low:>8.0} {middle:>8.0} {high:>8.0}");
    }
    let mut differences: Vec<f64> = (0..RESAMPLINGS)
        .map(|_| median(resampled(&known)) - median(resampled(&unknown)))
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    let [low, high] = [25, 975].map(|of| differences[RESAMPLINGS * of / 1_000]);
    println!(
        "  known - unknown {:+.0}, from {low:+.0} to {high:+.0}; a known one takes longer in {:.0} of 100",
        median(known.clone()) - median(unknown.clone()),
        100.0 * longer(&known, &unknown)
    );
}

fn resampled(took: &[f64]) -> Vec<f64> {
    let mut rng = rand::rng();
    (0..took.len())
        .map(|_| *took.choose(&mut rng).unwrap())
        .collect()
}

fn median(mut took: Vec<f64>) -> f64 {
    let middle = took.len() / 2;
    *took.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// How often one of `some` is more than one of `others`: 0.5 tells nothing.
fn longer(some: &[f64], others: &[f64]) -> f64 {
    let more = |one: &&f64| others.partition_point(|other| other < *one);
    let pairs: usize = some.iter().map(|one| more(&one)).sum();
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let share = pairs as f64 / (some.len() * others.len()) as f64;
    share
}
