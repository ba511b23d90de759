//! Bodies that are no jobs.
use super::{Case, post};
use crate::grid::script;
use serde_json::Value;

fn nested(levels: usize) -> String {
    let job = script("true").to_string();
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    let metadata = format!("{{\"metadata\":{{\"a\":{open}{close}}},");
    job.replacen('{', &metadata, 1)
}

fn job(field: &str, value: &str) -> String {
    let mut job = script("true");
    job[field] = Value::from("@@");
    job.to_string().replacen("\"@@\"", value, 1)
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn json() -> Vec<Case> {
    let jobs = |what, body: String, says| post(what, "/v1/jobs", body, 400, says);
    vec![
        post(
            "a file without a name",
            "/v1/job-inputs",
            "",
            400,
            "Give the file a name",
        ),
        post(
            "a file with a path",
            "/v1/job-inputs",
            "{\"filename\": \"../x\"}",
            400,
            "no slashes",
        ),
        post(
            "a file called by a number",
            "/v1/job-inputs",
            "{\"filename\": 5}",
            400,
            "cannot be read",
        ),
        post(
            "an archive of nothing",
            "/v1/artifacts/zip",
            "{}",
            400,
            "Choose 1 to",
        ),
        post(
            "an archive of words",
            "/v1/artifacts/zip",
            "{\"ids\": [\"x\"]}",
            400,
            "not all ids",
        ),
        post(
            "a confirmation of nothing",
            "/v1/job-inputs/in_1/complete",
            "",
            404,
            "nothing under this id",
        ),
        post(
            "a download of nothing",
            "/v1/jobs/job_1/artifacts/art_1/download",
            "",
            404,
            "nothing under this id",
        ),
        post(
            "an upload to nowhere",
            "/v1/job-inputs/in_1/content?token=%00",
            "x",
            404,
            "nothing under this id",
        )
        .method("PUT"),
        post(
            "a signature of nothing",
            "/v1/artifacts/art_00000000000000000000000000000000/content?expires=x&signature=y",
            "",
            400,
            "cannot be read",
        )
        .method("GET"),
        jobs("not JSON", "hello".into(), "not valid JSON"),
        jobs(
            "JSON that breaks off",
            "{\"name\": \"x\"".into(),
            "not valid JSON",
        ),
        jobs("two objects", "{}{}".into(), "not valid JSON"),
        jobs("an array", "[]".into(), "must be a JSON object"),
        jobs("text", "\"job\"".into(), "must be a JSON object"),
        jobs("null", "null".into(), "must be a JSON object"),
        jobs(
            "a lone surrogate",
            job("name", "\"\\ud800\""),
            "not valid JSON",
        ),
        jobs("too deep for the parser", nested(5_000), "not valid JSON"),
        jobs("too deep for us", nested(100), "nested too deeply"),
        jobs(
            "a number beyond all numbers",
            job("model_size_gb", "1e999"),
            "not valid JSON",
        ),
        jobs(
            "a huge number",
            job("model_size_gb", "1e308"),
            "up to 100000",
        ),
        jobs("a negative number", job("disk_gb", "-1"), "above 0"),
        jobs(
            "text for a number",
            job("memory_gb", "\"8\""),
            "must be a number",
        ),
        jobs(
            "half a second",
            job("timeout_seconds", "0.5"),
            "whole number",
        ),
        jobs(
            "a time limit of 2^64",
            job("timeout_seconds", "18446744073709551616"),
            "whole number",
        ),
        jobs(
            "an object for a name",
            job("name", "{}"),
            "This must be text",
        ),
        jobs("a name of spaces", job("name", "\"  \""), "are required"),
        jobs(
            "a name of 121",
            job("name", &format!("\"{}\"", "x".repeat(121))),
            "120 characters",
        ),
        jobs(
            "NUL in a name",
            job("name", "\"a\\u0000b\""),
            "Control characters",
        ),
        jobs(
            "bidi in a name",
            job("name", "\"a\\u202eb\""),
            "Control characters",
        ),
        jobs(
            "a line break in an image",
            job("image", "\"host\\nx\""),
            "Control characters",
        ),
        jobs(
            "an image that is a path",
            job("image", "\"../../etc\""),
            "lower-case letters",
        ),
        jobs(
            "an unknown workload",
            job("workload_type", "\"dance\""),
            "inference, training",
        ),
        jobs(
            "a number as command",
            job("command", "5"),
            "Give the command as text",
        ),
        jobs("NUL in a command", job("command", "[\"a\\u0000\"]"), "NUL"),
        jobs(
            "an empty word",
            job("command", "[\"a\", \"\"]"),
            "cannot be empty",
        ),
        jobs(
            "a command of 4097",
            job("command", &format!("\"{}\"", "x".repeat(4_097))),
            "4096",
        ),
        jobs(
            "arguments that are numbers",
            job("args", "[1]"),
            "array of text",
        ),
        jobs(
            "an array as environment",
            job("environment", "[]"),
            "as an object",
        ),
        jobs(
            "a variable with an equals sign",
            job("environment", "{\"A=B\":\"\"}"),
            "MY_VARIABLE",
        ),
        jobs(
            "NUL in a variable",
            job("environment", "{\"A\":\"\\u0000\"}"),
            "must be text",
        ),
        jobs(
            "a parent directory",
            job("expected_artifacts", "[\"/workspace/artifacts/../x\"]"),
            "absolute paths",
        ),
        jobs(
            "NUL in an artifact",
            job("expected_artifacts", "[\"/workspace/artifacts/\\u0000\"]"),
            "absolute paths",
        ),
        jobs(
            "an input that nobody has",
            job("input_files", "[{\"input_id\":\"in_12345\"}]"),
            "There is no input in_12345",
        ),
        jobs(
            "an array as metadata",
            job("metadata", "[]"),
            "as a JSON object",
        ),
        jobs(
            "an array as constraints",
            job("constraints", "[]"),
            "as a JSON object",
        ),
        jobs(
            "an unknown mode among the constraints",
            job("constraints", "{\"region_mode\":\"x\"}"),
            "prefer, strict",
        ),
        post(
            "invalid UTF-8",
            "/v1/jobs",
            b"{\"name\":\"\xff\"}".to_vec(),
            400,
            "not valid JSON",
        ),
        post(
            "a sign-in with a number",
            "/auth/signin",
            "{\"email\":5}",
            400,
            "cannot be read",
        ),
        post(
            "a sign-in with nothing",
            "/auth/signin",
            "{}",
            400,
            "INVALID_REQUEST",
        ),
        post(
            "an account id that is none",
            "/auth/otp/verify",
            "{\"email\":\"a@b.example\",\"code\":\"123456\",\"account_id\":\"x\"}",
            400,
            "cannot be read",
        ),
        post(
            "NUL in an address",
            "/auth/register",
            "{\"email\":\"a\\u0000@b.example\",\"password\":\"correct horse battery\"}",
            400,
            "email",
        ),
        post(
            "a wish to wait for -1 seconds",
            "/v1/jobs/job_0/cancel",
            "{\"wait_seconds\":-1}",
            404,
            "nothing under this id",
        ),
    ]
}
