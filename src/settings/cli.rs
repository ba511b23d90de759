//! The command line. Flags are texts here, so that a value is checked in one
//! place wherever it comes from; their documentation is the settings' own.
use crate::apps::App;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Jobs and apps on GPUs: a portal, an orchestrator and engines in one program.
///
/// Every setting can be given as a flag, as an environment variable, or in the
/// file of --config (under its name with underscores); the first that has it wins.
#[derive(Debug, Parser)]
#[command(name = "junglegrid", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub flags: Flags,
}

/// What to do; `serve` unless said.
#[derive(Debug, Clone, Subcommand, PartialEq, Eq)]
pub enum Command {
    /// Serve the portal and the API (what happens without a command)
    Serve,
    /// Print the settings in effect and where each came from, without passwords
    Settings,
    /// Run one job; the host engine starts this program so
    #[command(hide = true)]
    Shim {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Serve an app on loopback; the host engine starts this program so, from a template
    #[command(hide = true)]
    App {
        #[command(subcommand)]
        app: BuiltIn,
    },
}

/// An app of our own.
#[derive(Debug, Clone, Subcommand, PartialEq, Eq)]
pub enum BuiltIn {
    /// Browse the files of a folder
    Files {
        /// The folder; made if it is not there
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        #[arg(long, default_value_t = 8000)]
        port: u16,
    },
    /// A shell in the browser, with a monitor beside it
    Console {
        /// Where the shell begins; made if it is not there
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        #[arg(long, default_value_t = 8000)]
        port: u16,
        #[arg(long, default_value_t = 8001)]
        monitor_port: u16,
    },
}

impl From<BuiltIn> for App {
    fn from(app: BuiltIn) -> Self {
        match app {
            BuiltIn::Files { root, port } => Self::Files { root, port },
            BuiltIn::Console {
                root,
                port,
                monitor_port,
            } => Self::Console {
                root,
                port,
                monitor_port,
            },
        }
    }
}

/// One field for each setting. Read with [`super::Settings::load`], not from here.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// TOML file with settings; an unknown one is an error. No default
    #[arg(long, env = "JUNGLEGRID_CONFIG", value_name = "FILE")]
    config: Option<String>,

    /// Address and port to listen on. Default 127.0.0.1:8080
    #[arg(long, env = "JUNGLEGRID_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// Directory for the database, keys, runs and artifacts. Default ./junglegrid-data
    #[arg(long, env = "JUNGLEGRID_DATA", value_name = "DIR")]
    data: Option<String>,

    /// The address that people type, http or https, without a path. Default `http://LISTEN`,
    /// with TLS `https://LISTEN`
    #[arg(long, env = "JUNGLEGRID_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,

    /// PEM file with the certificate (and its chain) for HTTPS; needs --tls-key. Read again
    /// on SIGHUP. Default none, plain HTTP
    #[arg(long, env = "JUNGLEGRID_TLS_CERTIFICATE", value_name = "FILE")]
    tls_certificate: Option<String>,

    /// PEM file with the certificate's private key, without a passphrase. Default none
    #[arg(long, env = "JUNGLEGRID_TLS_KEY", value_name = "FILE")]
    tls_key: Option<String>,

    /// Apps run one label below this domain, which should not belong to the portal's site. Default apps.localhost
    #[arg(long, env = "JUNGLEGRID_APPS_DOMAIN", value_name = "DOMAIN")]
    apps_domain: Option<String>,

    /// Proxies whose X-Forwarded-For is believed: addresses or ranges, with commas between. Default none
    #[arg(long, env = "JUNGLEGRID_TRUSTED_PROXIES", value_name = "RANGES")]
    trusted_proxies: Option<String>,

    /// Allow sessions without TLS on a network: true or false. Default false
    #[arg(
        long,
        env = "JUNGLEGRID_INSECURE_HTTP",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    insecure_http: Option<String>,

    /// Open connections that one address (IPv6: one /64) may have, 1 to 8192; loopback
    /// and trusted proxies may have more. Default 64
    #[arg(long, env = "JUNGLEGRID_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    connections_per_address: Option<String>,

    /// Live streams of apps (one for each open page of a session) that one sign-in may
    /// have open, 1 to 4096. Default 6
    #[arg(long, env = "JUNGLEGRID_STREAMS_PER_SIGN_IN", value_name = "COUNT")]
    streams_per_sign_in: Option<String>,

    /// The same for all sign-ins of one account together, 1 to 4096. Default 20
    #[arg(long, env = "JUNGLEGRID_STREAMS_PER_ACCOUNT", value_name = "COUNT")]
    streams_per_account: Option<String>,

    /// Serve the API alone: true or false. Default false
    #[arg(
        long,
        env = "JUNGLEGRID_NO_PORTAL",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    no_portal: Option<String>,

    /// Serve the portal alone, for the orchestrator at this URL. Default none
    #[arg(long, env = "JUNGLEGRID_ORCHESTRATOR", value_name = "URL")]
    orchestrator: Option<String>,

    /// A URL: `postgres://user:password@host/name` or `sqlite://path`. Default junglegrid.db in the data directory
    #[arg(long, env = "JUNGLEGRID_DATABASE", value_name = "URL")]
    database: Option<String>,

    /// What runs jobs: auto (a container daemon if one answers, else host) or host. Default auto
    #[arg(long, env = "JUNGLEGRID_ENGINE", value_name = "ENGINE")]
    engine: Option<String>,

    /// Run jobs as processes of this machine although others can reach the listener: true or false. Default false
    #[arg(
        long,
        env = "JUNGLEGRID_ALLOW_PUBLIC_HOST_ENGINE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    allow_public_host_engine: Option<String>,

    /// Images that the host engine accepts, of which it uses none: host (only that word) or any. Default host
    #[arg(long, env = "JUNGLEGRID_HOST_IMAGES", value_name = "IMAGES")]
    host_images: Option<String>,

    /// What jobs of the host engine can reach: none or host. Default none
    #[arg(long, env = "JUNGLEGRID_HOST_NETWORK", value_name = "NETWORK")]
    host_network: Option<String>,

    /// Jobs at once on this machine, 1 to 1024. Default its number of CPUs
    #[arg(long, env = "JUNGLEGRID_HOST_SLOTS", value_name = "COUNT")]
    host_slots: Option<String>,

    /// Time limit of a job that asks for none, in minutes, 1 to 1440. Default 60
    #[arg(long, env = "JUNGLEGRID_DEFAULT_RUN_MINUTES", value_name = "MINUTES")]
    default_run_minutes: Option<String>,

    /// Longest time limit that a job can ask for, in hours, 1 to 24. Default 24
    #[arg(long, env = "JUNGLEGRID_MAX_RUN_HOURS", value_name = "HOURS")]
    max_run_hours: Option<String>,

    /// What an hour on this machine costs, in US dollars, 0 to 1000000. Default 0.12
    #[arg(long, env = "JUNGLEGRID_HOURLY_RATE", value_name = "DOLLARS")]
    hourly_rate: Option<String>,

    /// What a new workspace starts with, in US dollars, 0 to 1000000. Default 5.00
    #[arg(long, env = "JUNGLEGRID_WELCOME_CREDIT", value_name = "DOLLARS")]
    welcome_credit: Option<String>,

    /// Accounts that run this installation: e-mail addresses, with commas between. Default none
    #[arg(long, env = "JUNGLEGRID_OPERATORS", value_name = "EMAILS")]
    operators: Option<String>,

    /// A session ends when it has not been used for so many hours, 1 to 720. Default 24
    #[arg(long, env = "JUNGLEGRID_SESSION_IDLE_HOURS", value_name = "HOURS")]
    session_idle_hours: Option<String>,

    /// A session ends so many days after sign-in, 1 to 365. Default 30
    #[arg(long, env = "JUNGLEGRID_SESSION_ABSOLUTE_DAYS", value_name = "DAYS")]
    session_absolute_days: Option<String>,

    /// The same as session-idle-hours, for operators. Default 8
    #[arg(long, env = "JUNGLEGRID_OPERATOR_IDLE_HOURS", value_name = "HOURS")]
    operator_idle_hours: Option<String>,

    /// The same as session-absolute-days, for operators. Default 7
    #[arg(long, env = "JUNGLEGRID_OPERATOR_ABSOLUTE_DAYS", value_name = "DAYS")]
    operator_absolute_days: Option<String>,

    /// Megabytes of the beginning of a job's output that are kept, 1 to 1000. Default 20
    #[arg(long, env = "JUNGLEGRID_OUTPUT_HEAD_MB", value_name = "MB")]
    output_head_mb: Option<String>,

    /// Megabytes of the end that are kept besides, 0 to 10000; what is between is dropped. Default 80
    #[arg(long, env = "JUNGLEGRID_OUTPUT_TAIL_MB", value_name = "MB")]
    output_tail_mb: Option<String>,

    /// Megabytes of output that a job may print per second for long, 1 to 1000; what is faster is dropped. Default 8
    #[arg(long, env = "JUNGLEGRID_OUTPUT_RATE_MB", value_name = "MB")]
    output_rate_mb: Option<String>,

    /// Days after a job's end for which its output is kept, 1 to 3650. Default 90
    #[arg(long, env = "JUNGLEGRID_OUTPUT_DAYS", value_name = "DAYS")]
    output_days: Option<String>,

    /// Megabytes of one file that people bring or jobs leave, 1 to 1000000. Default 5000
    #[arg(long, env = "JUNGLEGRID_FILE_MB", value_name = "MB")]
    file_mb: Option<String>,

    /// Megabytes of all files of a workspace, 1 to 100000000. Default 20000
    #[arg(long, env = "JUNGLEGRID_STORAGE_MB", value_name = "MB")]
    storage_mb: Option<String>,

    /// Files that are kept of what one job leaves, 1 to 10000. Default 1000
    #[arg(long, env = "JUNGLEGRID_ARTIFACT_FILES", value_name = "COUNT")]
    artifact_files: Option<String>,

    /// Days for which what jobs leave is kept, 1 to 3650. Default 30
    #[arg(long, env = "JUNGLEGRID_ARTIFACT_DAYS", value_name = "DAYS")]
    artifact_days: Option<String>,

    /// Days for which what people bring is kept, 1 to 3650. Default 30
    #[arg(long, env = "JUNGLEGRID_INPUT_DAYS", value_name = "DAYS")]
    input_days: Option<String>,

    /// Minutes for which the address of a file works, 1 to 1440. Default 15
    #[arg(long, env = "JUNGLEGRID_DOWNLOAD_MINUTES", value_name = "MINUTES")]
    download_minutes: Option<String>,

    /// Host names and ranges that callbacks reach besides the internet, on every port and by plain
    /// http too, with commas between; or none. Default localhost if only this machine can reach the listener, else none
    #[arg(long, env = "JUNGLEGRID_CALLBACK_ALLOW", value_name = "HOSTS")]
    callback_allow: Option<String>,

    /// PEM file of authorities that callbacks and `orchestrator` trust besides those that this
    /// machine trusts. Default none
    #[arg(long, env = "JUNGLEGRID_CA_CERTIFICATES", value_name = "FILE")]
    ca_certificates: Option<String>,

    /// Mail server: `smtp://…` or `smtps://user:password@host:port`. Default none, mails are files in outbox/
    #[arg(long, env = "JUNGLEGRID_SMTP", value_name = "URL")]
    smtp: Option<String>,

    /// Sender of our mails. Default Jungle Grid <junglegrid@localhost>
    #[arg(long, env = "JUNGLEGRID_MAIL_FROM", value_name = "MAILBOX")]
    mail_from: Option<String>,

    /// What is logged, to standard error: level, or module=level, with commas between. Default info,sqlx=warn
    #[arg(long, env = "JUNGLEGRID_LOG", value_name = "FILTER")]
    log: Option<String>,
}

/// The command line as a clap command: each flag before or after the subcommand,
/// and no value of the environment in the help, where passwords could be seen.
pub(super) fn command() -> clap::Command {
    Cli::command().mut_args(|arg| {
        if arg.is_positional() {
            arg
        } else {
            arg.global(true).hide_env_values(true)
        }
    })
}

/// Reads a command line, program name first, and the environment.
///
/// # Errors
///
/// If clap has something to say instead, such as `--help`; it knows how to print itself.
pub fn parse(
    line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<(Command, ArgMatches), clap::Error> {
    let matches = command().try_get_matches_from(line)?;
    let cli = Cli::from_arg_matches(&matches)?;
    Ok((cli.command.unwrap_or(Command::Serve), matches))
}
