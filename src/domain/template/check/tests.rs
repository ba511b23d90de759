use super::super::*;
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "slug": "an-app", "name": "An app", "mark": "AA", "summary": "It is one.", "version": "1.0",
        "image": format!("ghcr.io/org/app:1.2@sha256:{}", "0a".repeat(32)), "image_size_gb": 2.5,
        "licence": { "spdx": "MIT", "source_url": "https://example.org/app" },
        "services": [
            { "id": "main", "label": "Main", "port": 8080, "primary": true,
              "readiness": { "path": "/healthz" },
              "auth": { "header": "authorization", "value": "{basic:me:SECRET}" } },
            { "id": "side", "label": "Side", "port": 8081,
              "readiness": { "path": "/x?y=1", "method": "POST", "body": "{}" },
              "auth": { "header": "authorization", "value": "Bearer {SECRET}" } },
        ],
        "env": [
            { "name": "SECRET", "generated": true },
            { "name": "ORIGIN", "value": "{origin:main},{origin:side}" },
        ],
        "volumes": [{ "name": "work", "mount": "/workspace", "min_gb": 5.0 }],
        "phases": { "image": [10, 20], "start": [1, 2], "services": [5, 60] },
        "start_timeout_seconds": 120, "idle_stop_minutes": 60,
    })
}

fn host() -> Value {
    with(
        good(),
        &[
            ("/image", json!("host")),
            ("/image_size_gb", json!(0)),
            ("/phases/image", json!([0, 0])),
            ("/command", json!(["/run/junglegrid"])),
        ],
    )
}

/// `value` with other values at some places; `null` removes.
fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (path, new) in changes {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = value.pointer_mut(parent).unwrap();
        match (parent, new) {
            (Value::Object(fields), Value::Null) => {
                fields.remove(name);
            }
            (Value::Object(fields), new) => {
                fields.insert(name.into(), new.clone());
            }
            (Value::Array(items), new) => items[name.parse::<usize>().unwrap()] = new.clone(),
            (other, _) => panic!("{other} has no {name}"),
        }
    }
    value
}

fn fields(value: Value) -> Vec<String> {
    let manifest: Manifest = serde_json::from_value(value).expect("a manifest");
    manifest
        .check()
        .into_iter()
        .map(|(field, _)| field)
        .collect()
}

#[test]
fn what_is_right_is_left_alone() {
    assert_eq!(fields(good()), [""; 0]);
    assert_eq!(fields(host()), [""; 0]);
    let unpinned = with(
        good(),
        &[
            ("/image", json!("ghcr.io/org/app:1.2")),
            ("/unpinned", json!("It is not published yet.")),
        ],
    );
    assert_eq!(fields(unpinned), [""; 0]);
    let port = with(
        good(),
        &[(
            "/image",
            json!(format!(
                "registry.example:5000/app@sha256:{}",
                "f".repeat(64)
            )),
        )],
    );
    assert_eq!(fields(port), [""; 0]);
    let asked = json!([
        { "name": "SECRET", "secret": true, "required": true, "label": "Password", "hint": "Any." },
        { "name": "TOKEN", "secret": true },
        { "name": "MODEL", "default": "small" },
        { "name": "NOTE", "default": "" },
    ]);
    assert_eq!(fields(with(good(), &[("/env", asked)])), [""; 0]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn each_flaw_is_found_and_named() {
    let long = "x".repeat(1_025);
    let table: Vec<(&str, Value, &str)> = vec![
        ("/slug", json!("An-App"), "slug"),
        ("/slug", json!("-app"), "slug"),
        ("/slug", json!("../etc"), "slug"),
        ("/slug", json!(""), "slug"),
        ("/slug", json!("a".repeat(41)), "slug"),
        ("/name", json!("  "), "name"),
        ("/name", json!("a\u{202e}b"), "name"),
        ("/summary", json!("two\nlines"), "summary"),
        ("/mark", json!("abc"), "mark"),
        ("/mark", json!("<a"), "mark"),
        ("/version", json!("v1"), "version"),
        ("/version", json!("1..2"), "version"),
        ("/image", json!("ghcr.io/org/app:latest"), "image"),
        ("/image", json!("ghcr.io/org/app@sha256:12"), "image"),
        ("/image", json!("GHCR.io/org/app"), "image"),
        ("/image", json!("--privileged"), "image"),
        ("/unpinned", json!("but it is"), "unpinned"),
        ("/image_size_gb", json!(0), "image_size_gb"),
        ("/image_size_gb", json!(-1), "image_size_gb"),
        ("/command", json!([""]), "command"),
        ("/command", json!(["a\0"]), "command"),
        ("/licence/spdx", json!(""), "licence.spdx"),
        (
            "/licence/source_url",
            json!("javascript:alert(1)"),
            "licence.source_url",
        ),
        (
            "/licence/source_url",
            json!("https://a b.example"),
            "licence.source_url",
        ),
        ("/notes", json!([long]), "notes[0]"),
        (
            "/env/1",
            json!({ "name": "A", "secret": true, "value": "hf_x" }),
            "env[1].value",
        ),
        (
            "/env/1",
            json!({ "name": "A", "secret": true, "default": "hf_x" }),
            "env[1].default",
        ),
        (
            "/env/1",
            json!({ "name": "A", "required": true, "default": "x" }),
            "env[1].default",
        ),
        (
            "/env/1",
            json!({ "name": "A", "default": "a\u{7}" }),
            "env[1].default",
        ),
        (
            "/env/1",
            json!({ "name": "A", "generated": true, "required": true }),
            "env[1].generated",
        ),
        (
            "/env/1",
            json!({ "name": "A", "value": "x", "label": "A" }),
            "env[1].label",
        ),
        (
            "/env/1",
            json!({ "name": "A", "required": true, "hint": "two\nlines" }),
            "env[1].hint",
        ),
        // It may be missing, and then nobody signs in.
        (
            "/env/0",
            json!({ "name": "SECRET", "secret": true }),
            "services[0].auth.value",
        ),
        ("/services", json!([]), "services"),
        ("/services/0/primary", json!(false), "services"),
        ("/services/1/primary", json!(true), "services"),
        ("/services/0/id", json!("Main"), "services[0].id"),
        ("/services/1/port", json!(0), "services[1].port"),
        ("/services/1/port", json!(8080), "services[1].port"),
        ("/services/1/label", json!(""), "services[1].label"),
        (
            "/services/0/readiness/path",
            json!("healthz"),
            "services[0].readiness.path",
        ),
        (
            "/services/0/readiness/path",
            json!("//evil.example"),
            "services[0].readiness.path",
        ),
        (
            "/services/0/readiness/path",
            json!("/a b"),
            "services[0].readiness.path",
        ),
        // What no request can ask for.
        (
            "/services/0/readiness/path",
            json!("/<health>"),
            "services[0].readiness.path",
        ),
        (
            "/services/0/readiness/method",
            json!("HEAD"),
            "services[0].readiness.method",
        ),
        (
            "/services/0/readiness/body",
            json!("{}"),
            "services[0].readiness.body",
        ),
        (
            "/services/1/readiness/body",
            json!("{"),
            "services[1].readiness.body",
        ),
        (
            "/services/0/readiness/successes",
            json!(0),
            "services[0].readiness.successes",
        ),
        (
            "/services/0/readiness/status",
            json!(99),
            "services[0].readiness.status",
        ),
        (
            "/services/0/readiness/interval_seconds",
            json!(0),
            "services[0].readiness.interval_seconds",
        ),
        (
            "/services/0/readiness/timeout_seconds",
            json!(61),
            "services[0].readiness.timeout_seconds",
        ),
        (
            "/services/0/readiness/body_contains",
            json!(""),
            "services[0].readiness.body_contains",
        ),
        (
            "/services/0/auth/header",
            json!("host"),
            "services[0].auth.header",
        ),
        (
            "/services/0/auth/header",
            json!("x-forwarded-for"),
            "services[0].auth.header",
        ),
        (
            "/services/0/auth/header",
            json!("a b"),
            "services[0].auth.header",
        ),
        (
            "/services/0/auth/value",
            json!("Bearer abc"),
            "services[0].auth.value",
        ),
        (
            "/services/0/auth/value",
            json!("{NOBODY}"),
            "services[0].auth.value",
        ),
        (
            "/services/0/auth/value",
            json!("{basic:SECRET}"),
            "services[0].auth.value",
        ),
        (
            "/services/0/auth/value",
            json!("{SECRET"),
            "services[0].auth.value",
        ),
        (
            "/services/0/auth/value",
            json!("a\r\nb: {SECRET}"),
            "services[0].auth.value",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/" }),
            "services[0].base_path.path",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "lab" }),
            "services[0].base_path.path",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "//evil.example" }),
            "services[0].base_path.path",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/a/../b" }),
            "services[0].base_path.path",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/a b" }),
            "services[0].base_path.path",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/_jg/launch" }),
            "services[0].base_path.path",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/a", "env": "1A" }),
            "services[0].base_path.env",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/a", "env": "SECRET" }),
            "services[0].base_path.env",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/a", "flag": "--root-path" }),
            "services[0].base_path.flag",
        ),
        (
            "/services/0/base_path",
            json!({ "path": "/a", "flag": "root-path", "env": "A" }),
            "services[0].base_path.flag",
        ),
        ("/env/0/name", json!("1A"), "env[0].name"),
        ("/env/0/value", json!("given"), "env[0].value"),
        ("/env/1/value", json!("{origin:nobody}"), "env[1].value"),
        ("/env/1/value", json!("{SECRET}"), "env[1].value"),
        ("/env/1/value", json!("}{"), "env[1].value"),
        ("/volumes/0/name", json!("a/b"), "volumes[0].name"),
        ("/volumes/0/mount", json!("workspace"), "volumes[0].mount"),
        ("/volumes/0/mount", json!("/"), "volumes[0].mount"),
        ("/volumes/0/mount", json!("/a/../etc"), "volumes[0].mount"),
        ("/volumes/0/mount", json!("/proc/x"), "volumes[0].mount"),
        ("/volumes/0/mount", json!("/run"), "volumes[0].mount"),
        ("/volumes/0/min_gb", json!(-1), "volumes[0].min_gb"),
        ("/needs", json!({ "cpus": 2_000 }), "needs.cpus"),
        ("/needs", json!({ "memory_gb": -1 }), "needs.memory_gb"),
        (
            "/needs",
            json!({ "memory_gb": 1, "shm_gb": 2 }),
            "needs.shm_gb",
        ),
        (
            "/needs",
            json!({ "min_vram_gb": 8, "recommended_vram_gb": 4 }),
            "needs.recommended_vram_gb",
        ),
        ("/needs", json!({ "min_driver": "new" }), "needs.min_driver"),
        ("/phases/start", json!([3, 2]), "phases.start"),
        ("/phases/image", json!([0, 86_401]), "phases.image"),
        ("/start_timeout_seconds", json!(4), "start_timeout_seconds"),
        ("/start_timeout_seconds", json!(59), "start_timeout_seconds"),
        ("/idle_stop_minutes", json!(4), "idle_stop_minutes"),
    ];
    for (path, value, field) in table {
        let found = fields(with(good(), &[(path, value.clone())]));
        assert!(
            found.iter().any(|f| f == field),
            "{path} = {value}: {found:?}"
        );
    }
}

#[test]
fn an_app_of_the_machine_itself_has_a_command_and_nothing_to_pull() {
    let table: [(&str, Value, &str); 4] = [
        ("/command", json!([]), "command"),
        ("/image_size_gb", json!(1), "image_size_gb"),
        ("/unpinned", json!("why"), "unpinned"),
        ("/phases/image", json!([0, 1]), "phases.image"),
    ];
    for (path, value, field) in table {
        assert_eq!(fields(with(host(), &[(path, value)])), [field]);
    }
}

#[test]
fn a_port_is_shared_by_services_with_base_paths_of_their_own() {
    let shared = |first: Value, second: Value| {
        let mut changes = vec![("/services/1/port", json!(8080))];
        changes.extend([
            ("/services/0/base_path", first),
            ("/services/1/base_path", second),
        ]);
        with(good(), &changes)
    };
    let at = |path: &str| json!({ "path": path });
    for (first, second) in [
        (Value::Null, at("/side")),
        (at("/side/"), Value::Null),
        (at("/a"), at("/a/b")),
    ] {
        assert_eq!(fields(shared(first, second)), [""; 0]);
    }
    for (first, second) in [(Value::Null, Value::Null), (at("/a"), at("/a/"))] {
        assert_eq!(fields(shared(first, second)), ["services[1].port"]);
    }
    let mixed = shared(at("/a"), at("/b"));
    let mixed = with(mixed, &[("/services/1/scheme", json!("https"))]);
    assert_eq!(fields(mixed), ["services[1].scheme"]);
    let told = shared(
        json!({ "path": "/a", "env": "BASE" }),
        json!({ "path": "/b", "env": "BASE" }),
    );
    assert_eq!(fields(told), ["services[1].base_path.env"]);
}

#[test]
fn services_are_told_where_they_are() {
    let told = with(
        host(),
        &[
            (
                "/services/0/base_path",
                json!({ "path": "/a", "flag": "--root-path" }),
            ),
            (
                "/services/1/base_path",
                json!({ "path": "/b/", "flag": "--Base.url=" }),
            ),
        ],
    );
    assert_eq!(fields(told.clone()), [""; 0]);
    let told: Manifest = serde_json::from_value(told).unwrap();
    let argv = ["/run/junglegrid", "--root-path", "/a", "--Base.url=/b/"];
    assert_eq!(told.argv(), argv);
    assert_eq!(told.service("side").unwrap().landing(), "/b/");
    let flag = json!({ "path": "/a", "flag": "--root-path" });
    let lost = with(
        host(),
        &[
            ("/command", json!(["/bin/sh", "-c", "exec app"])),
            ("/services/0/base_path", flag),
        ],
    );
    assert_eq!(fields(lost), ["services[0].base_path.flag"]);
    let env = json!({ "path": "/a", "env": "BASE" });
    let told = with(host(), &[("/services/0/base_path", env)]);
    let told: Manifest = serde_json::from_value(told).unwrap();
    let variables: Vec<_> = told.base_path_variables().collect();
    assert_eq!(variables, [("BASE".to_owned(), "/a".to_owned())]);
    assert_eq!(told.argv(), ["/run/junglegrid"]);
}

/// Sessions of before have them like this in their rows.
#[test]
fn manifests_of_before_mean_what_they_meant() {
    let old: Manifest = serde_json::from_value(good()).unwrap();
    let service = old.primary();
    assert_eq!(service.scheme, Scheme::Http);
    assert_eq!(service.host_policy, HostPolicy::Public);
    assert_eq!((&service.base_path, service.landing()), (&None, "/"));
    assert!(old.volumes[0].persist);
    let again = serde_json::to_value(&old).unwrap();
    assert_eq!(serde_json::from_value::<Manifest>(again).unwrap(), old);
}

#[test]
fn everything_is_said_at_once() {
    let bad = with(
        good(),
        &[
            ("/slug", json!("A")),
            ("/services/0/port", json!(0)),
            ("/volumes/0/mount", json!("x")),
            ("/start_timeout_seconds", json!(0)),
        ],
    );
    let found = fields(bad);
    for field in [
        "slug",
        "services[0].port",
        "volumes[0].mount",
        "start_timeout_seconds",
    ] {
        assert!(found.iter().any(|f| f == field), "{found:?}");
    }
}

#[test]
fn names_are_unique() {
    let twice = with(
        good(),
        &[
            ("/services/1/id", json!("main")),
            ("/env/1/name", json!("SECRET")),
            ("/env/1/value", json!("x")),
            (
                "/volumes",
                json!([
                    { "name": "work", "mount": "/workspace" },
                    { "name": "work", "mount": "/workspace/sub" },
                ]),
            ),
        ],
    );
    assert_eq!(
        fields(twice),
        [
            "services[1].id",
            "env[1].name",
            "volumes[1].name",
            "volumes[1].mount"
        ]
    );
}
