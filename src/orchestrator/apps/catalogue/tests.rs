use super::*;
use std::os::unix::fs::symlink;

const OWN: &str = r#"
slug = "own-app"
name = "Own app"
mark = "OA"
summary = "The operator's."
version = "1"
image = "host"
command = ["/bin/true"]
start_timeout_seconds = 30

[licence]
spdx = "MIT"
source_url = "https://example.org"

[phases]
image = [0, 0]
start = [1, 2]
services = [1, 2]

[[services]]
id = "main"
label = "Main"
port = 8080
primary = true
readiness = { path = "/" }
"#;

/// What is said about a folder with this one file.
fn said(name: &str, text: &str) -> Vec<Flaw> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    Catalogue::load(Some(folder.path()))
        .err()
        .unwrap_or_default()
}

#[test]
fn ours_are_right() {
    let catalogue = Catalogue::load(None).unwrap_or_else(|flaws| panic!("{flaws:#?}"));
    let slugs: Vec<&str> = catalogue.all().map(|m| m.slug.as_str()).collect();
    for slug in [
        "code-server",
        "comfyui",
        "jupyterlab",
        "lora-pilot",
        "onetrainer",
        "open-webui",
        "swarmui",
        "vllm",
        "workspace-console",
        "workspace-files",
    ] {
        assert!(slugs.contains(&slug), "{slug} is missing from {slugs:?}");
    }
    // Two at least need nothing but the machine.
    assert!(catalogue.all().filter(|m| m.runs_on_host()).count() >= 2);
    for manifest in catalogue.all() {
        assert!(manifest.primary().primary);
        assert!(
            manifest.runs_on_host()
                || manifest.unpinned.is_some()
                || manifest.image.contains("@sha256:")
        );
    }
}

#[test]
fn the_operators_own_are_added_and_replace_ours() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("own-app.toml"), OWN).unwrap();
    fs::create_dir(at("vllm")).unwrap();
    fs::write(at("vllm/template.toml"), OWN.replace("own-app", "vllm")).unwrap();
    fs::write(at("README.md"), "not a template").unwrap();
    fs::write(at(".own-app.toml.swp"), "nor this").unwrap();
    let catalogue = Catalogue::load(Some(folder.path())).unwrap();
    assert_eq!(catalogue.get("own-app").unwrap().name, "Own app");
    assert_eq!(catalogue.get("vllm").unwrap().name, "Own app");
    assert_ne!(catalogue.get("comfyui").unwrap().name, "Own app");
}

#[test]
fn a_folder_that_is_not_there_is_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::load(Some(&folder.path().join("templates")));
    assert!(catalogue.unwrap().get("workspace-files").is_some());
}

#[test]
fn flaws_name_the_file_the_field_and_the_line() {
    let readiness = "readiness = { path = \"/\" }";
    let table = [
        (
            "a typo",
            OWN.replace("label =", "lable ="),
            "services[0].lable",
            "line 22",
        ),
        (
            "a type",
            OWN.replace("port = 8080", "port = \"8080\""),
            "services[0].port",
            "line 23",
        ),
        (
            "too much",
            OWN.replace("port = 8080", "port = 70000"),
            "services[0].port",
            "line 23",
        ),
        (
            "missing",
            OWN.replace("mark = \"OA\"\n", ""),
            "mark",
            "line",
        ),
        (
            "missing below",
            OWN.replace("spdx = \"MIT\"\n", ""),
            "licence.spdx",
            "line 11",
        ),
        (
            "inside a line",
            OWN.replace(readiness, "readiness = { path = \"/\", pth = 1 }"),
            "services[0].readiness.pth",
            "line 25",
        ),
        (
            "a type inside a line",
            OWN.replace(readiness, "readiness = { path = \"/\", status = \"x\" }"),
            "services[0].readiness.status",
            "line 25",
        ),
        (
            "missing inside a line",
            OWN.replace(readiness, "readiness = { status = 200 }"),
            "services[0].readiness.path",
            "line 25",
        ),
        (
            "missing in one of several",
            OWN.replace("port = 8080\n", ""),
            "services[0].port",
            "line",
        ),
        (
            "syntax",
            OWN.replace("version = \"1\"", "version = \"1"),
            "syntax",
            "line 6",
        ),
        (
            "twice",
            OWN.replace("version = \"1\"", "version = \"1\"\nversion = \"1\""),
            "syntax",
            "line 7",
        ),
        (
            "checked",
            OWN.replace("port = 8080", "port = 0"),
            "services[0].port",
            "65535",
        ),
    ];
    for (what, text, field, message) in table {
        let flaws = said("own-app.toml", &text);
        assert_eq!(flaws.len(), 1, "{what}: {flaws:#?}");
        assert!(
            flaws[0].file.ends_with("/own-app.toml"),
            "{what}: {}",
            flaws[0]
        );
        assert_eq!(flaws[0].field, field, "{what}: {}", flaws[0]);
        assert!(flaws[0].message.contains(message), "{what}: {}", flaws[0]);
    }
    let other = said("other.toml", OWN);
    assert_eq!(other[0].field, "slug");
    assert!(other[0].message.contains("\"other\""), "{}", other[0]);
}

#[test]
fn what_services_and_volumes_cannot_be_is_named() {
    for (what, text, field, message) in [
        (
            "another scheme",
            OWN.replace("port = 8080", "port = 8080\nscheme = \"ftp\""),
            "services[0].scheme",
            "`http` or `https`",
        ),
        (
            "another host",
            OWN.replace("port = 8080", "port = 8080\nhost_policy = \"127.0.0.1\""),
            "services[0].host_policy",
            "`public` or `localhost`",
        ),
        (
            "a base path without one",
            OWN.replace("port = 8080", "port = 8080\nbase_path = { env = \"A\" }"),
            "services[0].base_path.path",
            "line 24",
        ),
        (
            "a volume that is half kept",
            format!("{OWN}\n[[volumes]]\nname = \"v\"\nmount = \"/v\"\npersist = \"no\""),
            "volumes[0].persist",
            "line 30",
        ),
    ] {
        let flaws = said("own-app.toml", &text);
        assert_eq!(flaws.len(), 1, "{what}: {flaws:#?}");
        assert_eq!(flaws[0].field, field, "{what}: {}", flaws[0]);
        assert!(flaws[0].message.contains(message), "{what}: {}", flaws[0]);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("own-app.toml"),
        OWN.replace("\"/\"", "\"x\"").replace("8080", "0"),
    )
    .unwrap();
    fs::write(at("broken.toml"), "slug =").unwrap();
    fs::write(at("huge.toml"), vec![b'#'; 256 * 1024 + 1]).unwrap();
    fs::write(at("latin.toml"), b"# caf\xe9").unwrap();
    symlink(at("own-app.toml"), at("link.toml")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir(at("folder.toml")).unwrap();
    let flaws = Catalogue::load(Some(folder.path())).unwrap_err();
    let said: Vec<String> = flaws.iter().map(ToString::to_string).collect();
    for (file, words) in [
        ("/own-app.toml", "services[0].port"),
        ("/own-app.toml", "services[0].readiness.path"),
        ("/broken.toml", "line 1"),
        ("/huge.toml", "larger than 256 KiB"),
        ("/latin.toml", "not UTF-8"),
        ("/link.toml", "symbolic link"),
        ("/empty", "no template.toml"),
        ("/folder.toml", "no template.toml"),
    ] {
        let found = said.iter().any(|s| s.contains(file) && s.contains(words));
        assert!(found, "{file}: {words} is not in {said:#?}");
    }
}

#[test]
fn a_pipe_does_not_keep_the_server_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.toml");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let flaws = Catalogue::load(Some(folder.path())).unwrap_err();
    assert_eq!(flaws[0].message, "It is not a plain file.");
}

#[test]
fn two_of_the_same_name_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("own-app.toml"), OWN).unwrap();
    fs::create_dir(at("own-app")).unwrap();
    fs::write(at("own-app/template.toml"), OWN).unwrap();
    let flaws = Catalogue::load(Some(folder.path())).unwrap_err();
    assert!(
        flaws[0].message.contains("another template own-app"),
        "{flaws:?}"
    );
}
