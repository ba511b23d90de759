//! Inputs, artifacts and what was collected, in the store, on every database.
use crate::harness::on_each_database;
use crate::store_jobs::{NOW, id, job, settle_down};
use junglegrid::domain::file::{FileName, JobFile, Kind};
use junglegrid::domain::id::{AccountId, ArtifactId, InputId, JobId, WorkspaceId};
use junglegrid::domain::job::{Outcome, State};
use junglegrid::random;
use junglegrid::store::artifacts::{self, Artifact, Collection};
use junglegrid::store::inputs::{self, Input, Status};
use junglegrid::store::jobs::{self, Job};
use time::Duration;

fn input((account, workspace): (AccountId, WorkspaceId), n: i64) -> Input {
    Input {
        id: random::id(NOW + Duration::seconds(n)),
        workspace,
        account,
        kind: if n % 2 == 0 {
            Kind::Input
        } else {
            Kind::Script
        },
        filename: FileName::new(&format!("file {n} é")).unwrap(),
        content_type: "text/plain".into(),
        status: Status::Pending,
        token: random::hash("token"),
        size: None,
        sha256: None,
        created_at: NOW,
        uploaded_at: None,
        upload_expires_at: NOW + Duration::minutes(15),
        expires_at: NOW + Duration::days(n + 1),
    }
}

fn artifact(job: &Job, n: i64) -> Artifact {
    Artifact {
        id: random::id(NOW + Duration::seconds(n)),
        workspace: job.workspace,
        job: job.id,
        filename: format!("a_{n}%"),
        content_type: "text/plain".into(),
        size: 3_000_000_000,
        sha256: "00".into(),
        crc32: u32::MAX,
        place: format!("{}/{n}", job.id),
        created_at: NOW,
        expires_at: NOW + Duration::days(n + 1),
    }
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn an_input_goes_from_slot_to_use_and_away() {
    on_each_database(async |store, _dir| {
        let written = store.write(|conn| {
            Box::pin(async move {
                let ada = settle_down(conn, "ada@example.org").await;
                let eve = settle_down(conn, "eve@example.org").await;
                let (one, two) = (input(ada, 0), input(ada, 1));
                for input in [&one, &two] {
                    inputs::insert(conn, input).await?;
                }
                assert_eq!(
                    inputs::find(conn, ada.1, one.id).await?.as_ref(),
                    Some(&one)
                );
                assert_eq!(inputs::find(conn, eve.1, one.id).await?, None);
                assert!(
                    !inputs::complete(conn, one.id).await?,
                    "there is nothing yet"
                );
                assert!(inputs::begin(conn, one.id).await?);
                assert!(inputs::uploaded(conn, one.id, (5_000_000_000, "ab"), NOW).await?);
                assert!(
                    !inputs::uploaded(conn, one.id, (1, "cd"), NOW).await?,
                    "once"
                );
                assert!(inputs::begin(conn, one.id).await?, "again from the start");
                let again = inputs::find(conn, ada.1, one.id).await?.unwrap();
                assert_eq!((again.status, again.size), (Status::Pending, None));
                assert!(inputs::uploaded(conn, one.id, (5_000_000_000, "ab"), NOW).await?);
                assert!(inputs::complete(conn, one.id).await?);
                assert!(inputs::complete(conn, one.id).await?);
                assert!(!inputs::begin(conn, one.id).await?, "too late");
                assert_eq!(inputs::kept(conn, ada.1).await?, 5_000_000_000);
                assert_eq!(inputs::kept(conn, eve.1).await?, 0);

                let all = inputs::Filter {
                    limit: 10,
                    ..inputs::Filter::default()
                };
                let ids =
                    |found: Vec<Input>| found.into_iter().map(|input| input.id).collect::<Vec<_>>();
                assert_eq!(
                    ids(inputs::list(conn, ada.1, &all, NOW).await?),
                    [two.id, one.id]
                );
                let older = inputs::Filter {
                    before: two.id.to_string(),
                    ..all.clone()
                };
                assert_eq!(ids(inputs::list(conn, ada.1, &older, NOW).await?), [one.id]);
                let ready = inputs::Filter {
                    status: "ready".into(),
                    kind: "input".into(),
                    ..all.clone()
                };
                assert_eq!(ids(inputs::list(conn, ada.1, &ready, NOW).await?), [one.id]);
                let (known, wild) = (one.id.to_string(), "no id".to_owned());
                assert_eq!(
                    ids(inputs::these(conn, ada.1, &[&known, &wild]).await?),
                    [one.id]
                );
                assert_eq!(
                    ids(inputs::these(conn, eve.1, &[&known]).await?),
                    [] as [InputId; 0]
                );
                assert_eq!(
                    ids(inputs::these(conn, ada.1, &[]).await?),
                    [] as [InputId; 0]
                );

                let mut work = job(ada, 0);
                jobs::insert(conn, &mut work, &[]).await?;
                let file = |input: &Input| JobFile {
                    input_id: input.id.to_string(),
                    kind: Kind::Input,
                    filename: Some(input.filename.clone()),
                    size_bytes: None,
                };
                assert!(
                    !inputs::give(conn, work.id, &[file(&two)]).await?,
                    "it is not ready"
                );
                assert!(inputs::give(conn, work.id, &[file(&one)]).await?);
                assert!(!inputs::delete(conn, one.id, NOW).await?, "it is needed");
                let later = NOW + Duration::days(9);
                inputs::expire(conn, NOW, later, &[one.id, two.id]).await?;
                assert!(
                    inputs::find(conn, ada.1, two.id).await?.is_some(),
                    "its bytes are on their way"
                );
                inputs::expire(conn, later, later, &[]).await?;
                assert!(
                    inputs::find(conn, ada.1, one.id).await?.is_some(),
                    "still needed"
                );
                assert!(inputs::find(conn, ada.1, two.id).await?.is_none());
                assert_eq!(inputs::removable(conn, 10).await?, [two.id]);
                inputs::removed(conn, one.id).await?;
                inputs::removed(conn, two.id).await?;
                assert!(
                    inputs::find(conn, ada.1, one.id).await?.is_some(),
                    "it was not hidden"
                );
                work.state = State::Ended {
                    outcome: Outcome::Cancelled,
                    since: None,
                };
                jobs::update(conn, &mut work, &[]).await?;
                inputs::expire(conn, later, later, &[]).await?;
                assert_eq!(inputs::removable(conn, 10).await?, [one.id]);
                assert_eq!(inputs::kept(conn, ada.1).await?, 0);
                Ok::<_, junglegrid::store::Error>(())
            })
        });
        written.await.unwrap();
    })
    .await;
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn artifacts_are_listed_counted_and_forgotten() {
    on_each_database(async |store, _dir| {
        let written = store.write(|conn| {
            Box::pin(async move {
                let ada = settle_down(conn, "ada@example.org").await;
                let eve = settle_down(conn, "eve@example.org").await;
                let (mut first, mut second) = (job(ada, 0), job(ada, 1));
                jobs::insert(conn, &mut first, &[]).await?;
                jobs::insert(conn, &mut second, &[]).await?;
                let files = [artifact(&first, 0), artifact(&first, 1)];
                let collection = Collection {
                    files: 2,
                    bytes: 6_000_000_000,
                    left_out: 1,
                    why: "1 link".into(),
                    missing: vec!["/workspace/artifacts/x".into()],
                };
                artifacts::collected(conn, &first, &collection, &files, NOW).await?;
                let none = Collection::default();
                artifacts::collected(conn, &second, &none, &[], NOW).await?;
                assert!(artifacts::any_of(conn, first.id).await?);
                assert!(!artifacts::any_of(conn, second.id).await?);
                let third: JobId = id();
                let known = artifacts::collections(conn, &[first.id, second.id, third]).await?;
                assert_eq!(
                    (known.len(), &known[&first.id], &known[&second.id]),
                    (2, &collection, &none)
                );
                assert!(artifacts::collections(conn, &[]).await?.is_empty());
                assert_eq!(artifacts::of_job(conn, ada.1, first.id, NOW).await?, files);
                assert!(
                    artifacts::of_job(conn, eve.1, first.id, NOW)
                        .await?
                        .is_empty()
                );
                assert_eq!(artifacts::kept(conn, ada.1).await?, 6_000_000_000);
                let ids =
                    |found: Vec<Artifact>| found.into_iter().map(|one| one.id).collect::<Vec<_>>();
                let all = artifacts::Filter {
                    limit: 10,
                    ..artifacts::Filter::default()
                };
                assert_eq!(
                    ids(artifacts::list(conn, ada.1, &all, NOW).await?),
                    [files[1].id, files[0].id]
                );
                for (text, found) in [("A_1%", 1), ("a_", 2), ("aX", 0), ("job 0 100% a_b!", 2)] {
                    let filter = artifacts::Filter {
                        text: text.into(),
                        ..all.clone()
                    };
                    assert_eq!(
                        artifacts::list(conn, ada.1, &filter, NOW).await?.len(),
                        found,
                        "{text}"
                    );
                }
                let of = artifacts::Filter {
                    job: second.id.to_string(),
                    ..all.clone()
                };
                assert!(artifacts::list(conn, ada.1, &of, NOW).await?.is_empty());
                assert!(artifacts::list(conn, eve.1, &all, NOW).await?.is_empty());
                let wanted: [ArtifactId; 2] = [files[0].id, id()];
                assert_eq!(
                    ids(artifacts::these(conn, ada.1, &wanted, NOW).await?),
                    [files[0].id]
                );
                assert!(
                    artifacts::these(conn, eve.1, &wanted, NOW)
                        .await?
                        .is_empty()
                );
                assert_eq!(artifacts::find(conn, eve.1, files[0].id, NOW).await?, None);

                let later = NOW + Duration::hours(1);
                artifacts::select(conn, ("hash", ada.1), &wanted, later).await?;
                let selected = artifacts::selected(conn, "hash", NOW).await?;
                assert_eq!(selected, Some((ada.1, wanted.to_vec())));
                assert_eq!(artifacts::selected(conn, "hash", later).await?, None);
                assert_eq!(artifacts::selected(conn, "other", NOW).await?, None);

                // Its time is over, whether anybody has swept or not.
                let tomorrow = NOW + Duration::hours(25);
                assert_eq!(
                    artifacts::find_for_link(conn, files[0].id, tomorrow).await?,
                    None
                );
                artifacts::expire(conn, tomorrow).await?;
                assert_eq!(
                    artifacts::removable(conn, 10).await?,
                    [(files[0].id.to_string(), files[0].place.clone())]
                );
                artifacts::delete(conn, files[1].id, NOW).await?;
                assert_eq!(artifacts::find(conn, ada.1, files[1].id, NOW).await?, None);
                assert_eq!(artifacts::kept(conn, ada.1).await?, 0);
                for (id, _) in artifacts::removable(conn, 10).await? {
                    artifacts::removed(conn, &id).await?;
                }
                assert!(!artifacts::any_of(conn, first.id).await?);
                Ok::<_, junglegrid::store::Error>(())
            })
        });
        written.await.unwrap();
    })
    .await;
}
