//! Ids, queries and versions that lead nowhere.
use super::{Case, get, post};
use crate::grid::script;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn jobs(id: &str, cursor: &str) -> Vec<Case> {
    let zeros = "0".repeat(32);
    let of = |rest: &str| format!("/v1/jobs/{id}{rest}");
    vec![
        get(
            "an id without its prefix",
            format!("/v1/jobs/{zeros}"),
            404,
            "nothing under this id",
        ),
        get(
            "an id that is too short",
            "/v1/jobs/job_1",
            404,
            "nothing under this id",
        ),
        get(
            "an id in capitals",
            of("").to_uppercase().replace("/V1/JOBS", "/v1/jobs"),
            404,
            "nothing under this id",
        ),
        get(
            "a draft's id",
            format!("/v1/jobs/draft_{zeros}"),
            404,
            "nothing under this id",
        ),
        get(
            "an id that nobody has",
            format!("/v1/jobs/job_{zeros}"),
            404,
            "no job",
        ),
        get(
            "an id with a slash in it",
            "/v1/jobs/job%2F1",
            404,
            "NOT_FOUND",
        ),
        get("an id of bad UTF-8", "/v1/jobs/%ff%fe", 404, "NOT_FOUND"),
        get(
            "a stream of bad UTF-8",
            "/v1/jobs/%ff/logs/live",
            404,
            "nothing under this id",
        ),
        get(
            "an id with SQL in it",
            "/v1/jobs/job_'%20OR%201=1--",
            404,
            "nothing under this id",
        ),
        get(
            "a path that leads upwards",
            "/v1/jobs/%2e%2e/nodes",
            400,
            "leads upwards",
        ),
        get("a broken escape", "/v1/jobs/%zz", 400, "broken escape"),
        get("NUL in a path", "/v1/jobs/%00", 400, "control character"),
        get("two slashes", "//v1/jobs", 400, "one slash"),
        get(
            "a path of 9,000",
            format!("/v1/jobs/{}", "x".repeat(9_000)),
            414,
            "8,192",
        ),
        get(
            "a limit in words",
            "/v1/jobs?limit=many",
            400,
            "cannot be read",
        ),
        get(
            "a limit of 2^64",
            "/v1/jobs?limit=18446744073709551616",
            200,
            "\"limit\":100",
        ),
        get(
            "a limit of less than nothing",
            "/v1/jobs?limit=-1",
            200,
            "\"limit\":1",
        ),
        get(
            "an unknown status",
            "/v1/jobs?status=succeeded",
            400,
            "pending, queued",
        ),
        get(
            "an unknown type",
            "/v1/jobs?workload_type=dance",
            400,
            "inference",
        ),
        get(
            "a cursor that is none",
            "/v1/jobs?cursor=next",
            400,
            "no cursor of this list",
        ),
        get(
            "a cursor with another's id",
            format!("/v1/jobs?cursor=ff-draft_{zeros}"),
            400,
            "no cursor of this list",
        ),
        get(
            "a cursor before all time",
            format!("/v1/jobs?cursor=-{cursor}"),
            400,
            "no cursor of this list",
        ),
        get(
            "NUL in a search",
            "/v1/jobs?q=%00",
            400,
            "Control characters",
        ),
        get(
            "a search for 201",
            format!("/v1/jobs?q={}", "x".repeat(201)),
            400,
            "200 characters",
        ),
        get(
            "a log cursor that is none",
            of("/logs?cursor=1e3"),
            400,
            "no cursor of this list",
        ),
        get(
            "a log cursor below zero",
            of("/logs?cursor=-1"),
            400,
            "no cursor of this list",
        ),
        get(
            "a stream that is none",
            of("/logs?stream=stdin"),
            400,
            "stdout, stderr, system or all",
        ),
        get(
            "a tail in words",
            of("/logs?tail=all"),
            400,
            "cannot be read",
        ),
        get(
            "an event cursor that is none",
            of("/events?cursor=x"),
            400,
            "no cursor of this list",
        ),
        get(
            "a live cursor that is none",
            of("/live?after_event=x"),
            400,
            "cannot be read",
        ),
        get(
            "a last event that is none",
            of("/logs/live"),
            400,
            "no cursor of this list",
        )
        .with("last-event-id", "x"),
        get(
            "both fields twice",
            "/v1/jobs?limit=1&limit=2",
            400,
            "cannot be read",
        ),
        post(
            "a wait in words",
            &of("/cancel"),
            "{\"wait_seconds\":\"long\"}",
            400,
            "cannot be read",
        ),
        post(
            "a key with a space",
            "/v1/jobs",
            script("true").to_string(),
            400,
            "Idempotency-Key",
        )
        .with("idempotency-key", "a b"),
        post(
            "an empty key",
            "/v1/jobs",
            script("true").to_string(),
            400,
            "Idempotency-Key",
        )
        .with("idempotency-key", ""),
        post(
            "a key of 256",
            "/v1/jobs",
            script("true").to_string(),
            400,
            "Idempotency-Key",
        )
        .with("idempotency-key", "k".repeat(256)),
    ]
}

pub(super) fn drafts(draft: &str) -> Vec<Case> {
    let zeros = "0".repeat(32);
    let of = |rest: &str| format!("/v1/job-drafts/{draft}{rest}");
    let seen = |version: &str| format!("{{\"estimate_id\":\"est_{zeros}\",\"version\":{version}}}");
    vec![
        get(
            "a draft that nobody has",
            format!("/v1/job-drafts/draft_{zeros}"),
            404,
            "no draft",
        ),
        post(
            "a draft of a job that nobody has",
            "/v1/job-drafts",
            format!("{{\"from_job\":\"job_{zeros}\"}}"),
            404,
            "no job",
        ),
        post(
            "a draft of nonsense",
            "/v1/job-drafts",
            "{\"content\":[]}",
            400,
            "cannot be read",
        ),
        post(
            "a draft with a wrong field",
            "/v1/job-drafts",
            "{\"content\":{\"timeout_seconds\":\"x\"}}",
            400,
            "whole number",
        ),
        post(
            "a draft that is too large",
            "/v1/job-drafts",
            format!("{{\"content\":{{\"x\":\"{}\"}}}}", "y".repeat(262_144)),
            400,
            "262,144",
        ),
        post(
            "an estimate of half a job",
            &of("/estimate"),
            "",
            400,
            "are required",
        ),
        post(
            "an acknowledgement of nothing",
            &of("/acknowledge"),
            "{}",
            400,
            "estimate_id",
        ),
        post(
            "an acknowledgement without a body",
            &of("/acknowledge"),
            "",
            400,
            "is required",
        ),
        post(
            "an acknowledgement of a word",
            &of("/acknowledge"),
            "{\"estimate_id\":\"x\",\"version\":1}",
            400,
            "cannot be read",
        ),
        post(
            "a stale acknowledgement",
            &of("/acknowledge"),
            seen("7"),
            409,
            "ESTIMATE_OUTDATED",
        ),
        post(
            "a version of 2^70",
            &of("/acknowledge"),
            seen("1180591620717411303424"),
            400,
            "cannot be read",
        ),
        post(
            "a submission without a look",
            &of("/submit"),
            "{}",
            409,
            "ESTIMATE_NOT_ACKNOWLEDGED",
        ),
        post(
            "a patch in place of a post",
            &of("/submit"),
            "{}",
            405,
            "METHOD_NOT_ALLOWED",
        )
        .method("PATCH"),
    ]
}
