//! Which module may know which, and what no source may hold.
use std::fs;
use std::path::{Path, PathBuf};

/// From `design.md`, section 2. Everyone may know the clock and the source of
/// randomness; `app` and `main` know everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("api", &["domain"]),
    ("client", &["api", "domain"]),
    ("store", &["domain", "clock", "random"]),
    ("engine", &["domain", "clock", "random"]),
    ("egress", &["domain", "clock", "random"]),
    (
        "orchestrator",
        &[
            "api", "domain", "store", "engine", "egress", "clock", "random",
        ],
    ),
    (
        "proxy",
        &["api", "orchestrator", "engine", "domain", "clock", "random"],
    ),
    // They run inside sandboxes and know nothing of the grid.
    ("apps", &["domain", "random"]),
    ("web", &["api", "client", "domain", "clock", "random"]),
    ("clock", &[]),
    ("random", &["domain"]),
    ("settings", &["apps", "domain"]),
    ("telemetry", &[]),
];

#[test]
fn modules_know_only_what_is_below_them() {
    for (module, allowed) in MAY_USE {
        let sources = sources_of(module);
        assert!(!sources.is_empty(), "there is no module {module}");
        for (file, text) in sources {
            for rest in text.split("crate::").skip(1) {
                let used: String = rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let fine = used.is_empty() || used == *module || allowed.contains(&used.as_str());
                assert!(fine, "{} must not know `{used}`", file.display());
            }
        }
    }
}

#[test]
fn every_module_is_ruled() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    for line in lib.lines() {
        let Some(module) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        let ruled = module == "app" || MAY_USE.iter().any(|(name, _)| *name == module);
        assert!(ruled, "say in MAY_USE what `{module}` may know");
    }
}

#[test]
fn only_the_shim_is_unsafe() {
    for (file, text) in files(Path::new("src")) {
        let inside = file.starts_with("src/engine/host/shim");
        assert!(
            inside || !text.contains("unsafe "),
            "{} is unsafe",
            file.display()
        );
    }
}

#[test]
fn markup_is_escaped_everywhere_but_where_it_must_not_be() {
    // Files that are known, each with why it cannot be otherwise.
    const MAY: &[&str] = &[
        // The stylesheet goes into `<style>`, where escaping would change it.
        "src/web/shell.rs",
    ];
    for (file, text) in files(Path::new("src")) {
        let allowed = MAY.iter().any(|known| file == Path::new(known));
        assert!(
            allowed || !text.contains("PreEscaped"),
            "{} escapes nothing",
            file.display()
        );
    }
}

/// What was written so for htmx 2 and means nothing, or something else, now.
pub(crate) const HTMX_2: &[&str] = &[
    "hx-ext=",
    "sse-connect",
    "sse-swap",
    "hx-disabled-elt",
    "hx-vars",
    "hx-params",
    "hx-inherit",
    "hx-disinherit",
    "hx-request=",
    "hx-history=",
    "hx-on",
    "show:window",
];

#[test]
fn no_spelling_of_htmx_2_is_left() {
    let of_scripts = ["htmx:afterSwap", "htmx:beforeRequest", "hx-vals=\"js:"];
    for (file, text) in files(Path::new("src/web")) {
        for dead in HTMX_2.iter().chain(&of_scripts) {
            assert!(!text.contains(dead), "{} says {dead}", file.display());
        }
    }
}

fn sources_of(module: &str) -> Vec<(PathBuf, String)> {
    let mut found = files(&Path::new("src").join(module));
    let file = Path::new("src").join(format!("{module}.rs"));
    if let Ok(text) = fs::read_to_string(&file) {
        found.push((file, text));
    }
    found
}

/// Every source below `dir`, with its text.
fn files(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}
