//! How often a code, a mail or a password can be tried.
use super::{ADA, count, forgot, other, register, resend, sign_in, verify};
use crate::harness::{PASSWORD, TestApi};
use time::Duration;

#[tokio::test]
async fn a_code_can_be_tried_five_times() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    let code = api.code(ADA).await;
    for _ in 0..5 {
        let wrong = verify(&api, ADA, &other(&code)).await;
        assert_eq!(wrong.status, 400);
        assert!(wrong.fault("code").unwrap().contains("ask for another"));
    }
    assert_eq!(verify(&api, ADA, &code).await.status, 400);
    // Another code has attempts of its own.
    api.clock.advance(Duration::MINUTE);
    assert_eq!(resend(&api, ADA).await.status, 202);
    for _ in 0..4 {
        let code = api.code(ADA).await;
        assert_eq!(verify(&api, ADA, &other(&code)).await.status, 400);
    }
    assert_eq!(verify(&api, ADA, &api.code(ADA).await).await.status, 200);
}

#[tokio::test]
async fn guessing_in_parallel_gives_no_sixth_attempt() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    let wrong = other(&api.code(ADA).await);
    futures_util::future::join_all((0..12).map(|_| verify(&api, ADA, &wrong))).await;
    let tried = "SELECT CAST(attempts AS BIGINT) FROM challenges";
    assert_eq!(count(&api, tried).await, 5);
}

#[tokio::test]
async fn a_code_lives_ten_minutes() {
    let api = TestApi::start().await;
    for (wait, status) in [(599, 200), (600, 400)] {
        let email = format!("after{wait}@example.org");
        register(&api, &email, PASSWORD).await;
        let code = api.code(&email).await;
        api.clock.advance(Duration::seconds(wait));
        assert_eq!(verify(&api, &email, &code).await.status, status, "{wait}");
    }
}

#[tokio::test]
async fn a_new_code_closes_the_one_before() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    let old = api.code(ADA).await;
    api.clock.advance(Duration::MINUTE);
    assert_eq!(resend(&api, ADA).await.status, 202);
    let new = api.code(ADA).await;
    assert_ne!(old, new, "one time in a million");
    assert_eq!(verify(&api, ADA, &old).await.status, 400);
    assert_eq!(verify(&api, ADA, &new).await.status, 200);
}

#[tokio::test]
async fn mails_keep_their_distance_and_their_number() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    for email in [ADA, "nobody@example.org"] {
        if email != ADA {
            assert_eq!(forgot(&api, email).await.status, 202);
        }
        api.clock.advance(Duration::seconds(30));
        let early = resend(&api, email).await;
        assert_eq!(
            (early.status.as_u16(), &*early.text("/code")),
            (429, "RATE_LIMITED")
        );
        assert_eq!(early.headers["retry-after"], "30");
        assert_eq!(forgot(&api, email).await.status, 429);
        api.clock.advance(Duration::seconds(30));
        assert_eq!(resend(&api, email).await.status, 202);
        api.clock.advance(Duration::MINUTE);
        assert_eq!(resend(&api, email).await.status, 202);
        // Three in an hour; registering counts as well.
        api.clock.advance(Duration::MINUTE);
        let fourth = resend(&api, email).await;
        assert_eq!(fourth.status, 429);
        assert_eq!(fourth.headers["retry-after"], "3420");
        assert_eq!(register(&api, email, PASSWORD).await.status, 429);
    }
    // Ten in a day.
    let mails = api.mails().await.len();
    for _ in 0..9 {
        api.clock.advance(Duration::HOUR);
        resend(&api, ADA).await;
    }
    assert_eq!(api.mails().await.len() - mails, 7);
    api.clock.advance(Duration::DAY);
    assert_eq!(resend(&api, ADA).await.status, 202);
}

#[tokio::test]
async fn one_address_on_the_internet_cannot_mail_everybody() {
    let api = TestApi::start().await;
    for n in 0..60 {
        assert_eq!(forgot(&api, &format!("p{n}@example.org")).await.status, 202);
    }
    assert_eq!(forgot(&api, ADA).await.status, 429);
    assert_eq!(forgot(&api.from("192.0.2.2"), ADA).await.status, 202);
}

#[tokio::test]
async fn passwords_can_be_guessed_ten_times_per_address() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    for email in [ADA, "nobody@example.org"] {
        for n in 0..10 {
            // Neither capitals nor another network begin a new count.
            let api = api.from(&format!("198.51.100.{n}"));
            let wrong = sign_in(&api, &email.to_uppercase(), "not the password").await;
            assert_eq!(wrong.status, 401);
            assert_eq!(wrong.text("/code"), "INVALID_CREDENTIALS");
            assert_eq!(
                wrong.text("/message"),
                "That e-mail and password do not match."
            );
        }
        let refused = sign_in(&api, email, PASSWORD).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.headers["retry-after"], "900");
    }
    api.clock.advance(Duration::minutes(15));
    assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 200);
    // Signing in costs nothing.
    for _ in 0..12 {
        assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn one_network_can_guess_sixty_times() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    for n in 0..60 {
        let api = api.from(&format!("2001:db8::{n:x}"));
        let email = format!("p{n}@example.org");
        let status = match n % 2 {
            0 => sign_in(&api, &email, PASSWORD).await.status.as_u16(),
            _ => verify(&api, &email, "123456").await.status.as_u16(),
        };
        assert_eq!(status, if n % 2 == 0 { 401 } else { 400 });
    }
    let neighbour = api.from("2001:db8::ffff");
    assert_eq!(sign_in(&neighbour, ADA, PASSWORD).await.status, 429);
    assert_eq!(verify(&neighbour, ADA, "123456").await.status, 429);
    assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 200);
}
