//! What the operator may choose: by flag, by `JUNGLEGRID_…` variable, in one
//! TOML file, or not at all. Every setting has a default that works on
//! loopback, and knows where its value came from.
mod cli;
mod kinds;

pub use cli::{Cli, Command, Flags, parse};
pub use kinds::{Engine, HostImages, HostNetwork, Invalid};

use crate::domain::logs::Limits;
use crate::domain::peer::Net;
use crate::domain::reach::Allow;
use clap::ArgMatches;
use clap::parser::ValueSource;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Where a value came from, strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Flag,
    /// A variable of the environment.
    Variable,
    /// The file of `--config`.
    File,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Variable => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// How a setting is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Plainly,
    /// A URL whose password is hidden.
    WithoutPassword,
}

/// Every setting: its name, its default, how it is shown. An empty default
/// means that it depends on others or may be absent.
const KEYS: &[(&str, &str, Shown)] = {
    use Shown::{Plainly, WithoutPassword};
    &[
        ("listen", "127.0.0.1:8080", Plainly),
        ("data", "./junglegrid-data", Plainly),
        ("public_url", "", Plainly),
        ("tls_certificate", "", Plainly),
        ("tls_key", "", Plainly),
        ("apps_domain", "apps.localhost", Plainly),
        ("trusted_proxies", "", Plainly),
        ("insecure_http", "false", Plainly),
        ("connections_per_address", "64", Plainly),
        ("streams_per_sign_in", "6", Plainly),
        ("streams_per_account", "20", Plainly),
        ("no_portal", "false", Plainly),
        ("orchestrator", "", WithoutPassword),
        ("database", "", WithoutPassword),
        ("engine", "auto", Plainly),
        ("allow_public_host_engine", "false", Plainly),
        ("host_images", "host", Plainly),
        ("host_network", "none", Plainly),
        ("host_slots", "", Plainly),
        ("default_run_minutes", "60", Plainly),
        ("max_run_hours", "24", Plainly),
        ("hourly_rate", "0.12", Plainly),
        ("welcome_credit", "5.00", Plainly),
        ("operators", "", Plainly),
        ("session_idle_hours", "24", Plainly),
        ("session_absolute_days", "30", Plainly),
        ("operator_idle_hours", "8", Plainly),
        ("operator_absolute_days", "7", Plainly),
        ("output_head_mb", "20", Plainly),
        ("output_tail_mb", "80", Plainly),
        ("output_rate_mb", "8", Plainly),
        ("output_days", "90", Plainly),
        ("file_mb", "5000", Plainly),
        ("storage_mb", "20000", Plainly),
        ("artifact_files", "1000", Plainly),
        ("artifact_days", "30", Plainly),
        ("input_days", "30", Plainly),
        ("download_minutes", "15", Plainly),
        ("callback_allow", "", Plainly),
        ("ca_certificates", "", Plainly),
        ("smtp", "", WithoutPassword),
        ("mail_from", "Jungle Grid <junglegrid@localhost>", Plainly),
        ("log", "info,sqlx=warn", Plainly),
    ]
};

/// The settings in effect, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    pub data: PathBuf,
    /// Without a path; `http(s)://<listen>` unless set.
    pub public_url: Url,
    /// Two PEM files; with them the listener speaks HTTPS and nothing else.
    pub tls: Option<Tls>,
    /// In lower case, without a leading dot.
    pub apps_domain: String,
    pub trusted_proxies: Vec<Net>,
    pub insecure_http: bool,
    /// Open connections from one address.
    pub connections_per_address: usize,
    /// Live streams of apps that one sign-in may have open.
    pub streams_per_sign_in: usize,
    /// The same for one account, however often it has signed in.
    pub streams_per_account: usize,
    pub no_portal: bool,
    /// Another orchestrator, for which this process is only the portal.
    pub orchestrator: Option<Url>,
    /// `postgres://…`, or `sqlite://…` in the data directory. May hold a password.
    pub database: SecretString,
    pub engine: Engine,
    pub allow_public_host_engine: bool,
    pub host_images: HostImages,
    pub host_network: HostNetwork,
    /// Jobs at once on this machine.
    pub host_slots: u32,
    /// A job's time limit unless it asks for one.
    pub default_run: Duration,
    /// The longest time limit that a job may ask for.
    pub max_run: Duration,
    /// What an hour on this machine costs, in micro-dollars.
    pub hourly_rate: i64,
    /// What a new workspace starts with, in micro-dollars.
    pub welcome_credit: i64,
    /// E-mail addresses, in lower case.
    pub operators: Vec<String>,
    /// A session ends when it has not been used for so long.
    pub session_idle: Duration,
    /// A session ends so long after sign-in, used or not.
    pub session_absolute: Duration,
    /// The same two for operators.
    pub operator_idle: Duration,
    pub operator_absolute: Duration,
    /// How much output of a job is kept.
    pub output: Limits,
    /// Output is kept for so long after its job's end.
    pub output_kept: Duration,
    pub files: Files,
    /// What callbacks reach besides the internet; `None` if nothing was said.
    pub callback_allow: Option<Allow>,
    /// A PEM file of authorities that are trusted besides those that the machine trusts.
    pub ca_certificates: Option<PathBuf>,
    /// `smtp://…` or `smtps://…`, with a password; without it, mails are files in `outbox/`.
    pub smtp: Option<SecretString>,
    pub mail_from: String,
    pub log: String,
    effective: Vec<Effective>,
}

/// How much is kept of what people bring and jobs leave, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    /// Most bytes of one file.
    pub largest: u64,
    /// Most bytes of all files of a workspace.
    pub quota: u64,
    /// Most files that are kept of one job.
    pub per_job: usize,
    pub artifacts_kept: Duration,
    pub inputs_kept: Duration,
    /// Addresses for fetching files work for so long.
    pub links: Duration,
}

/// The files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate first, then what leads to its issuer.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// One setting as `junglegrid settings` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Effective {
    name: &'static str,
    shown: String,
    source: Source,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the settings file {path}: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the settings file {path} is not TOML: {source}")]
    NotToml {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("the settings file {path} has an unknown setting `{key}`{hint}")]
    Unknown {
        path: PathBuf,
        key: String,
        hint: String,
    },
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Values by name, all from the same source, weakest layer last.
struct Layers(Vec<(Source, BTreeMap<String, String>)>);

impl Layers {
    fn get(&self, name: &str) -> Option<(&str, Source)> {
        let found = |(source, values): &(Source, BTreeMap<String, String>)| {
            values.contains_key(name).then(|| source.clone())
        };
        let source = self.0.iter().find_map(found)?;
        let (_, values) = self.0.iter().find(|(layer, _)| *layer == source)?;
        Some((values.get(name)?, source))
    }
}

impl Settings {
    /// What the command line, the environment and the file of `--config` say.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds something unknown, or a value is
    /// not allowed; the message names the setting, the value and what is allowed.
    pub fn load(matches: &ArgMatches) -> Result<Self, Error> {
        let from = |wanted: ValueSource| -> BTreeMap<String, String> {
            let named = KEYS
                .iter()
                .filter(|(name, ..)| matches.value_source(name) == Some(wanted));
            named
                .filter_map(|(name, ..)| {
                    Some(((*name).to_owned(), matches.get_one::<String>(name)?.clone()))
                })
                .collect()
        };
        let mut layers = vec![
            (Source::Flag, from(ValueSource::CommandLine)),
            (Source::Variable, from(ValueSource::EnvVariable)),
        ];
        if let Some(path) = matches.get_one::<String>("config") {
            layers.push((Source::File, file(Path::new(path))?));
        }
        Ok(Self::resolve(layers)?)
    }

    fn resolve(mut layers: Vec<(Source, BTreeMap<String, String>)>) -> Result<Self, Invalid> {
        let defaults = KEYS.iter().filter(|(_, default, _)| !default.is_empty());
        let defaults =
            defaults.map(|(name, default, _)| ((*name).to_owned(), (*default).to_owned()));
        layers.push((Source::Default, defaults.collect()));
        // An empty value is none: unsetting is possible without knowing the default.
        for (_, values) in &mut layers {
            values.retain(|_, value| !value.trim().is_empty());
        }
        let layers = Layers(layers);
        let get = |name: &'static str| kinds::Value {
            name,
            text: layers.get(name).map_or("", |(text, _)| text.trim()),
        };

        let listen = get("listen").address()?;
        let data = PathBuf::from(get("data").text);
        let engine = get("engine").choice(&[("auto", Engine::Auto), ("host", Engine::Host)])?;
        let default_run = get("default_run_minutes").whole(1, 24 * 60)?;
        let max_run = get("max_run_hours").whole(1, 24)?;
        let tls = match [get("tls_certificate"), get("tls_key")] {
            [certificate, key] if certificate.text.is_empty() == key.text.is_empty() => {
                (!key.text.is_empty()).then(|| Tls {
                    certificate: certificate.text.into(),
                    key: key.text.into(),
                })
            }
            [certificate, key] if certificate.text.is_empty() => {
                return Err(key.invalid("given together with `tls_certificate`"));
            }
            [certificate, _] => {
                return Err(certificate.invalid("given together with `tls_key`"));
            }
        };
        let own_url = own_url(listen, tls.is_some())?;
        let mut settings = Self {
            public_url: get("public_url").origin()?.unwrap_or(own_url),
            tls,
            apps_domain: get("apps_domain").domain()?,
            trusted_proxies: get("trusted_proxies").nets()?,
            insecure_http: get("insecure_http").switch()?,
            connections_per_address: get("connections_per_address").count(8192)?,
            streams_per_sign_in: get("streams_per_sign_in").count(4096)?,
            streams_per_account: get("streams_per_account").count(4096)?,
            no_portal: get("no_portal").switch()?,
            orchestrator: get("orchestrator").origin()?,
            database: get("database").database(&data)?,
            engine,
            allow_public_host_engine: get("allow_public_host_engine").switch()?,
            host_images: get("host_images")
                .choice(&[("host", HostImages::Host), ("any", HostImages::Any)])?,
            host_network: get("host_network")
                .choice(&[("none", HostNetwork::None), ("host", HostNetwork::Host)])?,
            host_slots: get("host_slots").slots()?,
            default_run: Duration::from_mins(default_run.into()),
            max_run: Duration::from_hours(max_run.into()),
            hourly_rate: get("hourly_rate").micro_dollars()?,
            welcome_credit: get("welcome_credit").micro_dollars()?,
            operators: get("operators").emails()?,
            session_idle: Duration::from_hours(get("session_idle_hours").whole(1, 720)?.into()),
            session_absolute: Duration::from_hours(
                24 * u64::from(get("session_absolute_days").whole(1, 365)?),
            ),
            operator_idle: Duration::from_hours(get("operator_idle_hours").whole(1, 720)?.into()),
            operator_absolute: Duration::from_hours(
                24 * u64::from(get("operator_absolute_days").whole(1, 365)?),
            ),
            output: Limits {
                head: megabytes(get("output_head_mb").whole(1, 1_000)?),
                tail: megabytes(get("output_tail_mb").whole(0, 10_000)?),
                rate: megabytes(get("output_rate_mb").whole(1, 1_000)?),
            },
            output_kept: Duration::from_hours(24 * u64::from(get("output_days").whole(1, 3_650)?)),
            files: files(&get)?,
            callback_allow: get("callback_allow").reach()?,
            ca_certificates: Some(get("ca_certificates").text)
                .filter(|text| !text.is_empty())
                .map(PathBuf::from),
            smtp: get("smtp").smtp()?,
            mail_from: get("mail_from").mailbox()?,
            log: get("log").log_filter()?,
            listen,
            data,
            effective: Vec::new(),
        };
        if settings.default_run > settings.max_run {
            return Err(get("default_run_minutes").invalid("at most max_run_hours"));
        }
        if settings.tls.is_some() && settings.public_url.scheme() != "https" {
            return Err(
                get("public_url").invalid("an https:// URL, because `tls_certificate` is set")
            );
        }
        if settings.tls.is_some() && settings.insecure_http {
            return Err(get("insecure_http").invalid("false, because `tls_certificate` is set"));
        }
        if settings.orchestrator.is_some() && settings.no_portal {
            return Err(get("no_portal")
                .invalid("false, because `orchestrator` makes this process a portal only"));
        }
        settings.effective = settings.effective(&layers);
        Ok(settings)
    }

    fn effective(&self, layers: &Layers) -> Vec<Effective> {
        let one = |(name, _, shown): &(&'static str, &str, Shown)| {
            let (text, source) = layers.get(name).unwrap_or(("", Source::Default));
            let text = match *name {
                "public_url" => self.public_url.as_str().trim_end_matches('/').to_owned(),
                "database" => self.database.expose_secret().to_owned(),
                "host_slots" => self.host_slots.to_string(),
                _ => text.trim().to_owned(),
            };
            let shown = if *shown == Shown::WithoutPassword {
                without_password(&text)
            } else {
                text
            };
            Effective {
                name,
                shown,
                source,
            }
        };
        KEYS.iter().map(one).collect()
    }

    /// One line for each setting: its name, its value without passwords, its source.
    #[must_use]
    pub fn table(&self) -> String {
        let wide = |of: fn(&Effective) -> usize| self.effective.iter().map(of).max().unwrap_or(0);
        let (names, values) = (
            wide(|one| one.name.len()),
            wide(|one| one.shown.chars().count()).min(48),
        );
        self.effective.iter().fold(String::new(), |mut table, one| {
            let shown = if one.shown.is_empty() {
                "-"
            } else {
                &one.shown
            };
            let _ = writeln!(
                table,
                "{:names$}  {shown:values$}  {}",
                one.name, one.source
            );
            table
        })
    }

    /// What the operator should know before anyone else finds out.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.listen.ip().is_loopback() {
            if self.tls.is_none() && self.trusted_proxies.is_empty() {
                warnings.push(format!(
                    "listening on {} without TLS: passwords and tokens cross the network in the clear. \
                     Set `tls_certificate` and `tls_key`, put a proxy with TLS in front and name it in \
                     `trusted_proxies`, or listen on 127.0.0.1",
                    self.listen
                ));
            }
            if self
                .public_url
                .host_str()
                .is_none_or(|host| host == "0.0.0.0" || host == "[::]")
            {
                warnings.push(
                    "no `public_url`: requests from other machines will be refused, because their Host is not known"
                        .into(),
                );
            }
        }
        if self.insecure_http {
            warnings.push("`insecure_http` is on: session cookies are sent without TLS".into());
        }
        warnings
    }

    /// Says which address was really bound: with port 0 that is news, and the
    /// public URL follows unless it was set.
    pub fn bound_to(&mut self, address: SocketAddr) {
        let secure = self.tls.is_some();
        let followed = own_url(self.listen, secure).is_ok_and(|own| own == self.public_url);
        if followed && let Ok(own) = own_url(address, secure) {
            self.public_url = own;
        }
        self.listen = address;
    }

    /// Whether the host engine must not be used: strangers can reach this
    /// listener, and nobody said that they may run processes here.
    #[must_use]
    pub fn refuses_host_engine(&self) -> bool {
        !self.listen.ip().is_loopback() && !self.allow_public_host_engine
    }
}

fn files<'a>(get: &impl Fn(&'static str) -> kinds::Value<'a>) -> Result<Files, Invalid> {
    Ok(Files {
        largest: megabytes(get("file_mb").whole(1, 1_000_000)?),
        quota: megabytes(get("storage_mb").whole(1, 100_000_000)?),
        per_job: get("artifact_files").count(10_000)?,
        artifacts_kept: days(get("artifact_days").whole(1, 3_650)?),
        inputs_kept: days(get("input_days").whole(1, 3_650)?),
        links: Duration::from_mins(get("download_minutes").whole(1, 1_440)?.into()),
    })
}

fn days(number: u32) -> Duration {
    Duration::from_hours(24 * u64::from(number))
}

fn megabytes(number: u32) -> u64 {
    u64::from(number) * 1_000_000
}

fn own_url(listen: SocketAddr, secure: bool) -> Result<Url, Invalid> {
    let scheme = if secure { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{listen}"))
        .map_err(|_| Invalid::new("listen", &listen.to_string(), "an address"))
}

/// `text` with its password, if it is a URL that has one, as `***`. What has
/// or may have a secret elsewhere is hidden more thoroughly.
fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return if text.is_empty() {
            String::new()
        } else {
            "***".into()
        };
    };
    let in_query = url.query().is_some_and(|query| query.contains("pass"));
    if in_query {
        url.set_query(Some("***"));
    }
    if url.password().is_some() {
        return url
            .set_password(Some("***"))
            .map_or("***".into(), |()| url.to_string());
    }
    // `user:password@host` reads as a URL whose scheme is `user`.
    if !url.has_host() && text.contains('@') {
        return "***".into();
    }
    if in_query {
        url.to_string()
    } else {
        text.to_owned()
    }
}

fn file(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.into(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|source| Error::NotToml {
        path: path.into(),
        source: Box::new(source),
    })?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let Some((name, ..)) = KEYS.iter().find(|(name, ..)| *name == key) else {
            let hint = kinds::nearest(&key, KEYS.iter().map(|(name, ..)| *name));
            let hint = hint.map_or(String::new(), |name| format!(" (did you mean `{name}`?)"));
            return Err(Error::Unknown {
                path: path.into(),
                key,
                hint,
            });
        };
        let text = text_of(&value).ok_or_else(|| {
            Invalid::new(
                name,
                &value.to_string(),
                "a string, a number, true, false or a list of strings",
            )
        })?;
        values.insert(key, text);
    }
    Ok(values)
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        // The shortest text that reads back as the same number: `0.12` stays `0.12`.
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(toml::Value::as_str).collect();
            Some(items?.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests;
