//! The API's description: whole, true and small.
use crate::grid::Grid;
use crate::harness::TestApi;
use crate::server::openapi::{Seen, document, faults, operation};
use http::{Method, Request};
use junglegrid::api::openapi::TWINS;
use junglegrid::api::{self, Access};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every operation of the tables and every twin, as in the description.
fn expected() -> BTreeSet<String> {
    let named = |method: &Method, path: &str| format!("{} {path}", method.as_str().to_lowercase());
    let tables = api::ALL.iter().chain(api::RAW);
    let mut all: BTreeSet<String> = tables
        .map(|(method, path, _)| named(method, path))
        .collect();
    for (method, path) in TWINS {
        all.insert(named(method, &path.replacen("/v1/", "/v1/mcp/", 1)));
    }
    all
}

fn operations() -> impl Iterator<Item = (String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

#[test]
fn every_operation_is_described() {
    let described: BTreeSet<String> = operations().map(|(name, _)| name).collect();
    let expected = expected();
    let missing: Vec<_> = expected.difference(&described).collect();
    assert!(
        missing.is_empty(),
        "say in api/openapi/raw.rs what these answer: {missing:?}"
    );
    let surplus: Vec<_> = described.difference(&expected).collect();
    assert!(surplus.is_empty(), "there is no {surplus:?}");
    let mut ids = BTreeSet::new();
    for (name, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} is there twice");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{name}"
        );
        let parameters = operation["parameters"].as_array();
        let names: Vec<_> = parameters
            .into_iter()
            .flatten()
            .map(|one| &one["name"])
            .collect();
        for place in name
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
        {
            assert!(names.contains(&&json!(place)), "{name} lacks {place}");
        }
    }
}

#[test]
fn who_may_call_is_said() {
    for (method, path, access) in api::ALL.iter().chain(api::RAW) {
        let security = &operation(&method.as_str().to_lowercase(), path).unwrap()["security"];
        let expected = match access {
            Access::Public => json!([]),
            Access::Session | Access::Operator => json!([{ "session": [] }]),
            Access::Scopes(scopes) => {
                let mut all = vec![json!({ "session": [] })];
                all.extend(
                    scopes
                        .iter()
                        .map(|scope| json!({ "apiKey": [scope.name()] })),
                );
                all.into()
            }
        };
        assert_eq!(security, &expected, "{method} {path}");
    }
}

/// Everything that `document` points to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(at) if name == "$ref" => {
                        found.insert(at.clone());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn nothing_in_it_leads_nowhere_or_lies_about() {
    let document = document();
    let mut used = BTreeSet::new();
    references(document, &mut used);
    for at in &used {
        let place = at.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{at} leads nowhere");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        assert!(
            used.contains(&format!("#/components/schemas/{name}")),
            "{name} is not used"
        );
        let base = name
            .trim_end_matches("Input")
            .trim_end_matches(|c: char| c.is_ascii_digit());
        assert!(
            name.trim_end_matches("Input") == base || !schemas.contains_key(base),
            "two types are called {base}: give one `#[schemars(rename = \"…{base}\")]`"
        );
    }
}

/// Routes that bypassed the tables would be in no description.
#[test]
fn routes_come_from_the_tables_alone() {
    let mut left = vec![std::path::PathBuf::from("src/orchestrator")];
    while let Some(at) = left.pop() {
        if at.is_dir() {
            left.extend(
                std::fs::read_dir(at)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = std::fs::read_to_string(&at).unwrap();
        let routed = text.contains(".route(\"") || text.contains(".route(api::");
        assert!(!routed, "{}: use `on`, `public` or `raw`", at.display());
    }
}

#[test]
fn it_is_small() {
    let text = document().to_string();
    let packed = zstd::bulk::compress(text.as_bytes(), 6).unwrap();
    println!("{} bytes, {} compressed", text.len(), packed.len());
    assert!(text.len() < 400_000, "{} bytes", text.len());
    assert!(packed.len() < 32_000, "{} bytes compressed", packed.len());
}

#[tokio::test]
async fn it_is_served_to_anybody_and_only_once() {
    let grid = Grid::start();
    let ask = |name: &'static str, value: String| {
        let request = grid
            .request(Method::GET, "/v1/openapi.json")
            .header(name, value);
        async move { request.send().await.unwrap() }
    };
    let answer = ask("accept-encoding", "gzip".into()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert!(answer.bytes().await.unwrap().len() < 40_000);
    let plain = ask("accept-encoding", "identity".into()).await;
    let served: Value = serde_json::from_slice(&plain.bytes().await.unwrap()).unwrap();
    assert_eq!(&served, document());
    for known in [etag.clone(), format!("\"x\", {etag}"), "*".into()] {
        let again = ask("if-none-match", known).await;
        assert_eq!(again.status(), 304);
        assert!(again.bytes().await.unwrap().is_empty());
    }
    assert_eq!(ask("if-none-match", "W/\"x\"".into()).await.status(), 200);
}

/// What holds all other tests' answers against the description can say no.
#[tokio::test]
async fn a_wrong_answer_is_noticed() {
    let api = TestApi::start().await;
    let token = api.sign_up("ada@example.org").await;
    let balance = api.get("/v1/billing/balance", &token).await.body;
    let schema = &document()["components"]["schemas"]["Balance"];
    assert_eq!(faults(schema, &balance), Vec::<String>::new());
    let with = |field: &str, value: Value| {
        let mut other = balance.clone();
        other[field] = value;
        faults(schema, &other)
    };
    assert_eq!(with("more", json!(1)), ["/more is not described"]);
    assert_eq!(with("held_usd", json!("0")).len(), 1);
    assert_eq!(with("held_usd", Value::Null).len(), 1);
    let mut less = balance.clone();
    less.as_object_mut().unwrap().remove("held_usd");
    assert_eq!(faults(schema, &less), ["/held_usd is missing"]);

    let text = balance.to_string();
    let seen = Seen {
        method: "GET",
        path: "/v1/billing/balance?x=1",
        status: 200,
        kind: "application/json",
        body: text.as_bytes(),
    };
    assert_eq!(seen.faults(), Vec::<String>::new());
    for wrong in [
        Seen {
            status: 201,
            ..seen
        },
        Seen {
            status: 402,
            ..seen
        },
        Seen {
            status: 404,
            ..seen
        },
        Seen {
            kind: "text/html",
            ..seen
        },
        Seen { body: b"{", ..seen },
        Seen {
            method: "POST",
            ..seen
        },
        Seen {
            path: "/v1/billing",
            ..seen
        },
        Seen {
            path: "/v1/overview",
            ..seen
        },
    ] {
        assert!(!wrong.faults().is_empty(), "{wrong:?}");
    }
    // Nothing of the API's.
    assert!(
        Seen {
            path: "/portal",
            kind: "text/html",
            ..seen
        }
        .faults()
        .is_empty()
    );

    let job = &document()["components"]["schemas"]["JobEvent"];
    let event = json!({
        "id": "x:1", "type": "job.queued", "title": "a", "message": "b", "source": "user",
        "level": "info", "created_at": "2026-11-23T12:00:00Z", "sequence": 1,
    });
    assert_eq!(faults(job, &event), Vec::<String>::new());
    for (field, value) in [
        ("phase", Value::Null),
        ("phase", json!("dancing")),
        ("created_at", json!("2026-11-23 12:00")),
        ("created_at", json!("2026-11-23T12:00:00+01:00")),
        ("sequence", json!(1.5)),
    ] {
        let mut other = event.clone();
        other[field] = value;
        assert!(!faults(job, &other).is_empty(), "{other}");
    }
    let text = json!("job_00000000000000000000000000000000");
    let id = &document()["components"]["schemas"]["JobId"];
    assert!(faults(id, &text).is_empty());
    assert!(!faults(id, &json!("job_1")).is_empty());
}

/// Every field that the description of a job names is one that the server reads.
#[tokio::test]
async fn what_a_job_may_say_is_read() {
    let api = TestApi::start().await;
    let token = api.sign_up("ada@example.org").await;
    let schemas = &document()["components"]["schemas"];
    let mut fields = schemas["JobContent"]["properties"]
        .as_object()
        .unwrap()
        .clone();
    let more = schemas["JobConstraints"]["properties"].as_object().unwrap();
    fields.extend(more.clone());
    // Taken and not looked at.
    for field in ["notes", "template"] {
        fields.remove(field).unwrap();
    }
    // Whatever they are, they are not used.
    for field in ["registry_credential_id", "huggingface_credential_id"] {
        fields.remove(field).unwrap();
    }
    for (field, schema) in fields {
        let text = schema.to_string();
        let nested = ["constraints", "callback"];
        let object = text.contains("\"object\"") || nested.contains(&&*field);
        let wrong = if object {
            json!(5)
        } else {
            json!({ "no": {} })
        };
        let body = json!({ field.clone(): wrong });
        let request = Request::builder().method(Method::POST).uri("/v1/jobs");
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = api
            .send(request.body(body.to_string().into()).unwrap())
            .await;
        assert!(
            answer.fault(&field).is_some(),
            "{field} is not read: {}",
            answer.body
        );
    }
}

/// Contract 3.1, row by row.
const CONTENT: &str = "name workload_type image command args model_size_gb disk_gb environment \
    input_files script_files script_file expected_artifacts optimize_for constraints template \
    notes metadata registry_credential_id huggingface_credential_id callback_url \
    callback_auth_token callback_metadata callback webhook_url batch_size precision gpu_required \
    requires_gpu gpu_count gpu_type gpu_class min_vram_gb max_price_per_hour \
    preferred_gpu_family avoid_gpu_families region_preference region_mode latency_priority \
    cost_priority priority timeout_seconds";
const CONSTRAINTS: &str = "max_price_per_hour preferred_gpu_family avoid_gpu_families gpu_type \
    gpu_class region_preference region_mode latency_priority cost_priority";

#[test]
fn all_that_a_job_may_say_is_described() {
    let schemas = &document()["components"]["schemas"];
    for (name, fields) in [("JobContent", CONTENT), ("JobConstraints", CONSTRAINTS)] {
        for field in fields.split_whitespace() {
            let described = schemas[name]["properties"].get(field);
            assert!(described.is_some(), "{name} lacks {field}");
        }
    }
    let nested = &schemas["JobCallback"]["properties"];
    for field in ["url", "auth_token", "metadata"] {
        assert!(nested.get(field).is_some(), "the callback lacks {field}");
    }
}
