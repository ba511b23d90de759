//! Many who follow jobs through a client in the same process.
use crate::grid::{DEADLINE, script};
use crate::stub::Machine;
use futures_util::{FutureExt as _, StreamExt as _};
use http::Method;
use junglegrid::client::Client;

/// More than there are connections to the database for reading.
const FOLLOWERS: usize = 12;

/// Each page that is open follows its job, and asks other things now and then: what it
/// follows must not stand in the way of the answer, wherever it was left.
#[tokio::test]
async fn who_follows_a_job_and_asks_something_else_is_answered() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let submitted = api.call(Method::POST, "/v1/jobs", &ada, script("true"));
    let job = submitted.await.text("/job_id").parse().unwrap();
    let client = Client::in_process(api.router()).acting_for(&ada);
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        followers.push(Box::pin(client.follow_job(job, 0, 0).await.unwrap()));
    }
    // Looked at once: by now each is in the middle of looking something up.
    followers.retain_mut(|follower| follower.next().now_or_never().is_none());
    let asked = tokio::time::timeout(DEADLINE, client.job(job)).await;
    assert_eq!(asked.expect("an answer").unwrap().job_id, job);
    for follower in &mut followers {
        let change = tokio::time::timeout(DEADLINE, follower.next()).await;
        assert!(change.expect("what is followed").unwrap().is_ok());
    }
}
