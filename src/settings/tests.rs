//! Where values come from, what is refused, what is shown.
use super::*;
use std::io::Write as _;

fn layer(source: Source, values: &[(&str, &str)]) -> (Source, BTreeMap<String, String>) {
    (
        source,
        values
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    )
}

fn with(values: &[(&str, &str)]) -> Result<Settings, Invalid> {
    Settings::resolve(vec![layer(Source::Flag, values)])
}

fn from_line(line: &[&str]) -> Result<Settings, Error> {
    let line = ["junglegrid"].into_iter().chain(line.iter().copied());
    Settings::load(&parse(line).unwrap().1)
}

fn file_with(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn source_of(settings: &Settings, name: &str) -> Source {
    settings
        .effective
        .iter()
        .find(|one| one.name == name)
        .unwrap()
        .source
        .clone()
}

#[test]
fn everything_has_a_default() {
    let settings = from_line(&[]).unwrap();
    assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(
        settings.database.expose_secret(),
        "sqlite://./junglegrid-data/junglegrid.db"
    );
    assert_eq!(
        (settings.welcome_credit, settings.hourly_rate),
        (5_000_000, 120_000)
    );
    assert_eq!(settings.default_run, Duration::from_hours(1));
    assert!(settings.host_slots >= 1);
    assert_eq!(
        (settings.streams_per_sign_in, settings.streams_per_account),
        (6, 20)
    );
    assert!(settings.warnings().is_empty() && !settings.refuses_host_engine());
}

#[test]
fn the_flag_wins_over_the_variable_over_the_file_over_the_default() {
    let all = [
        layer(Source::Flag, &[("listen", "127.0.0.1:1")]),
        layer(
            Source::Variable,
            &[("listen", "127.0.0.1:2"), ("engine", "host")],
        ),
        layer(
            Source::File,
            &[
                ("listen", "127.0.0.1:3"),
                ("engine", "auto"),
                ("hourly_rate", "1.5"),
            ],
        ),
    ];
    let settings = Settings::resolve(all.to_vec()).unwrap();
    assert_eq!(settings.listen.port(), 1);
    assert_eq!(settings.engine, Engine::Host);
    assert_eq!(settings.hourly_rate, 1_500_000);
    let sources = ["listen", "engine", "hourly_rate", "log"].map(|name| source_of(&settings, name));
    assert_eq!(
        sources,
        [
            Source::Flag,
            Source::Variable,
            Source::File,
            Source::Default
        ]
    );
}

#[test]
fn flags_stand_before_or_after_the_command() {
    for line in [
        ["--listen", "127.0.0.1:1", "settings"],
        ["settings", "--listen", "127.0.0.1:1"],
        ["settings", "--no-portal", "--listen=127.0.0.1:1"],
    ] {
        let line = ["junglegrid"].into_iter().chain(line);
        let (command, matches) = parse(line).unwrap();
        assert_eq!(command, Command::Settings);
        let settings = Settings::load(&matches).unwrap();
        assert_eq!(settings.listen.port(), 1);
        assert_eq!(source_of(&settings, "listen"), Source::Flag);
    }
    assert_eq!(parse(["junglegrid"]).unwrap().0, Command::Serve);
    let (shim, _) = parse(["junglegrid", "shim", "--x", "y"]).unwrap();
    assert_eq!(
        shim,
        Command::Shim {
            args: vec!["--x".into(), "y".into()]
        }
    );
}

#[test]
fn variables_are_read_and_known_as_such() {
    // Cargo sets this one for tests, which cannot change their environment safely.
    let command = cli::command().mut_arg("data", |arg| arg.env("CARGO_MANIFEST_DIR"));
    let matches = command.get_matches_from(["junglegrid", "settings"]);
    let settings = Settings::load(&matches).unwrap();
    assert_eq!(settings.data, Path::new(env!("CARGO_MANIFEST_DIR")));
    assert_eq!(source_of(&settings, "data"), Source::Variable);
}

#[test]
fn a_file_sets_what_it_names() {
    let file = file_with(
        "listen = '127.0.0.1:9'\nwelcome_credit = 0.1\nmax_run_hours = 2\nno_portal = true\n\
         operators = ['Ada@Example.com', 'bob@example.com']\ntrusted_proxies = ['10.0.0.0/8', '::1']\n",
    );
    let settings = from_line(&[
        "--config",
        file.path().to_str().unwrap(),
        "--max-run-hours",
        "3",
    ])
    .unwrap();
    assert_eq!(settings.listen.port(), 9);
    assert_eq!(settings.welcome_credit, 100_000);
    assert_eq!(settings.max_run, Duration::from_hours(3));
    assert!(settings.no_portal);
    assert_eq!(settings.operators, ["ada@example.com", "bob@example.com"]);
    assert_eq!(settings.trusted_proxies.len(), 2);
    assert_eq!(source_of(&settings, "listen"), Source::File);
    assert_eq!(source_of(&settings, "max_run_hours"), Source::Flag);
}

#[test]
fn a_file_with_a_mistake_says_which() {
    for (text, words) in [
        (
            "public-url = 'x'",
            ["`public-url`", "did you mean `public_url`"],
        ),
        (
            "colour = 'x'",
            ["unknown setting `colour`", "settings file"],
        ),
        ("config = 'x'", ["unknown setting `config`", ""]),
        ("listen = ", ["is not TOML", ""]),
        ("listen = { a = 1 }", ["`listen`", "a string"]),
        ("operators = [1]", ["`operators`", "list of strings"]),
    ] {
        let file = file_with(text);
        let error = from_line(&["--config", file.path().to_str().unwrap()])
            .unwrap_err()
            .to_string();
        assert!(
            words.iter().all(|word| error.contains(word)),
            "{text}: {error}"
        );
    }
    let error = from_line(&["--config", "/nowhere/at/all.toml"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/at/all.toml"), "{error}");
}

#[test]
fn what_is_not_allowed_is_named() {
    for (name, value, allowed) in [
        ("listen", "8080", "an address and a port"),
        (
            "public_url",
            "https://x.example/portal",
            "without user, path",
        ),
        ("public_url", "ftp://x.example", "a URL"),
        ("apps_domain", "https://x", "a domain"),
        ("apps_domain", "-x.example", "a domain"),
        ("trusted_proxies", "10.0.0.0/33", "ranges"),
        ("insecure_http", "maybe", "true or false"),
        ("connections_per_address", "0", "from 1 to 8192"),
        ("streams_per_sign_in", "0", "from 1 to 4096"),
        ("streams_per_account", "4097", "from 1 to 4096"),
        ("database", "mysql://x/y", "postgres://"),
        ("engine", "docker", "auto or host"),
        ("host_images", "some", "host or any"),
        ("host_network", "all", "none or host"),
        ("host_slots", "0", "from 1 to 1024"),
        ("default_run_minutes", "1.5", "from 1 to 1440"),
        ("max_run_hours", "25", "from 1 to 24"),
        ("hourly_rate", "-1", "US dollars"),
        ("welcome_credit", "five", "US dollars"),
        ("operators", "ada", "e-mail"),
        ("smtp", "mail.example.com", "smtps://"),
        ("mail_from", "nobody", "a sender"),
        ("log", "junglegrid=loud", "directives"),
    ] {
        let error = with(&[(name, value)]).unwrap_err().to_string();
        let shown = if name == "smtp" { "***" } else { value };
        for word in [format!("`{name}`"), format!("`{shown}`"), allowed.into()] {
            assert!(error.contains(&word), "{name}={value}: {error}");
        }
    }
    assert!(with(&[("max_run_hours", "1"), ("default_run_minutes", "61")]).is_err());
    assert!(
        with(&[
            ("orchestrator", "http://127.0.0.1:1"),
            ("no_portal", "true")
        ])
        .is_err()
    );
}

#[test]
fn no_password_is_ever_shown() {
    let settings = with(&[
        ("database", "postgres://ada:hunter2@db.example/grid"),
        ("smtp", "smtps://ada:hunter2@mail.example.com:465"),
    ])
    .unwrap();
    let table = settings.table();
    assert!(
        table.contains("postgres://ada:***@db.example/grid"),
        "{table}"
    );
    assert!(
        table.contains("smtps://ada:***@mail.example.com:465"),
        "{table}"
    );
    assert!(!format!("{table}{settings:?}").contains("hunter2"));
    for (text, shown) in [
        (
            "postgres://db/grid?password=hunter2&x=1",
            "postgres://db/grid?***",
        ),
        (
            "postgres://db/grid?sslmode=require",
            "postgres://db/grid?sslmode=require",
        ),
        ("sqlite://./x/y@z.db", "sqlite://./x/y@z.db"),
        ("hunter2", "***"),
        ("", ""),
    ] {
        assert_eq!(without_password(text), shown);
    }
    for name in ["database", "smtp", "public_url", "orchestrator"] {
        let error = with(&[(name, "gopher://ada:hunter2@x.example")])
            .unwrap_err()
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
        let error = with(&[(name, "ada:hunter2@x.example")])
            .unwrap_err()
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_public_listener_is_warned_about() {
    let settings = with(&[("listen", "0.0.0.0:80")]).unwrap();
    assert_eq!(settings.warnings().len(), 2, "{:?}", settings.warnings());
    assert!(settings.refuses_host_engine());
    let settings = with(&[
        ("listen", "0.0.0.0:80"),
        ("public_url", "https://grid.example.com"),
        ("trusted_proxies", "10.0.0.1"),
        ("allow_public_host_engine", "true"),
    ])
    .unwrap();
    assert!(settings.warnings().is_empty() && !settings.refuses_host_engine());
}

#[test]
fn every_setting_is_a_documented_flag_and_variable() {
    let command = cli::command();
    let flags: Vec<_> = command
        .get_arguments()
        .filter(|arg| arg.get_id() != "config")
        .collect();
    let mut names: Vec<_> = flags.iter().map(|arg| arg.get_id().as_str()).collect();
    let mut keys: Vec<_> = KEYS.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    keys.sort_unstable();
    assert_eq!(names, keys);
    for arg in flags {
        let name = arg.get_id().as_str();
        let (_, default, _) = KEYS.iter().find(|(key, ..)| *key == name).unwrap();
        let help = arg.get_help().unwrap().to_string();
        let variable = format!("JUNGLEGRID_{}", name.to_uppercase());
        assert_eq!(arg.get_env().unwrap().to_str(), Some(variable.as_str()));
        assert_eq!(arg.get_long(), Some(name.replace('_', "-").as_str()));
        assert!(
            help.contains("Default") && help.contains(default),
            "{name}: {help}"
        );
    }
    let help = cli::command().render_long_help().to_string();
    assert!(help.contains("--public-url") && !help.contains("shim"));
}

#[test]
fn tls_needs_two_files_and_changes_the_public_url() {
    let both = [
        ("tls_certificate", "certificate.pem"),
        ("tls_key", "key.pem"),
        ("listen", "0.0.0.0:0"),
    ];
    let mut settings = with(&both).unwrap();
    assert_eq!(settings.public_url.scheme(), "https");
    settings.bound_to("192.0.2.1:8443".parse().unwrap());
    assert_eq!(settings.public_url.as_str(), "https://192.0.2.1:8443/");
    assert!(settings.warnings().iter().all(|said| !said.contains("TLS")));
    for one in [both[0], both[1]] {
        assert!(with(&[one]).is_err());
    }
    for (name, value) in [
        ("public_url", "http://grid.example.com"),
        ("insecure_http", "true"),
    ] {
        assert!(with(&[both[0], both[1], (name, value)]).is_err(), "{name}");
    }
}

#[test]
fn what_callbacks_reach_is_hosts_and_ranges_or_none() {
    let allow = |text| with(&[("callback_allow", text)]).map(|settings| settings.callback_allow);
    assert_eq!(allow(""), Ok(None));
    assert_eq!(allow("none"), Ok(Some(Allow::NOTHING)));
    let some = allow("hooks.internal, 10.1.0.0/16").unwrap().unwrap();
    assert_eq!(some.to_string(), "hooks.internal,10.1.0.0/16");
    for wrong in ["10.0.0.0/99", "*.internal", "https://a.example"] {
        assert!(allow(wrong).is_err(), "{wrong}");
    }
}
