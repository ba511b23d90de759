//! The wiring: settings → store, engine, orchestrator, client, portal, listener.
pub mod guard;
pub mod health;
pub mod lock;
pub mod master_key;
pub mod server;
pub mod tls;

use crate::client::Client;
use crate::clock::Clock;
use crate::domain::money::Usd;
use crate::domain::reach::Allow;
use crate::egress::{self, mail::Postbox, roots::Roots};
use crate::engine::host::{Config as HostConfig, HostEngine};
use crate::engine::{Engine, Network};
use crate::orchestrator::apps::Catalogue;
use crate::orchestrator::{self, Config, State, gpus, workers};
use crate::proxy::{self, Proxy};
use crate::settings::{self, HostImages, HostNetwork, Settings};
use crate::store::Store;
use crate::{random, web};
use anyhow::Context as _;
use axum::Router;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tls::Tls;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Between the polite signal and the kill of a job that is to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Background work may take so long to finish when the process is to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `shutdown` is cancelled.
///
/// # Errors
///
/// If something that is needed to begin is missing or in use; the message says
/// what to do.
pub async fn serve(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    // Before the port is taken: what is wrong with a file is best said at once.
    let tls = settings.tls.as_ref().map(certificate).transpose()?;
    let listener = TcpListener::bind(settings.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen",
            settings.listen
        )
    })?;
    let listen = listener.local_addr()?;
    let mut settings = settings;
    settings.bound_to(listen);
    let tasks = TaskTracker::new();
    let built = build(&settings, &shutdown, &tasks).await?;
    let mut rules = guard::Rules::new(guard::Hosts::new(
        listen,
        &settings.public_url,
        &settings.apps_domain,
    ));
    rules.trusted.clone_from(&settings.trusted_proxies);
    let mut limits = server::Limits {
        per_address: settings.connections_per_address,
        requests_per_address: settings.connections_per_address.saturating_mul(4),
        ..server::Limits::default()
    };
    limits
        .exempt
        .extend(settings.trusted_proxies.iter().copied());
    let url = settings
        .public_url
        .as_str()
        .trim_end_matches('/')
        .to_owned();
    tracing::info!("Jungle Grid is ready at {url}");
    let router = guard::wrap(built.router, rules);
    if let Some(tls) = &tls {
        tasks.spawn(reload_on_hangup(Arc::clone(tls), shutdown.clone())?);
    }
    let door = server::Door { listener, tls };
    server::serve(door, router, limits, shutdown.clone()).await?;
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("background work did not finish in time");
    }
    if let Some(store) = built.store {
        store.close().await;
    }
    tracing::info!("stopped; jobs that were running go on, and are taken up at the next start");
    Ok(())
}

fn certificate(files: &settings::Tls) -> anyhow::Result<Arc<Tls>> {
    let tls = Tls::load(tls::Files {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    })?;
    if tls.key_is_exposed() {
        tracing::warn!(
            "everybody on this machine can read {}: chmod 600 it",
            files.key.display()
        );
    }
    Ok(Arc::new(tls))
}

/// Certificates are renewed while the server runs.
fn reload_on_hangup(
    tls: Arc<Tls>,
    shutdown: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = hangup.recv() => match tls.reload() {
                    Ok(()) => tracing::info!("the TLS certificate was read again"),
                    Err(error) => tracing::error!(%error, "the TLS certificate stays the old one"),
                },
            }
        }
    })
}

struct Built {
    router: Router,
    store: Option<Store>,
    /// Held until the process ends.
    _lock: Option<lock::DataLock>,
}

async fn build(
    settings: &Settings,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> anyhow::Result<Built> {
    let roots = match &settings.ca_certificates {
        Some(file) => Roots::load(file)?,
        None => Roots::default(),
    };
    if let Some(url) = &settings.orchestrator {
        let http =
            egress::orchestrator(&roots).context("cannot prepare the orchestrator's client")?;
        let client = Client::remote(http, url.clone());
        let router = health::routes(None).merge(web::router(client, portal(settings)));
        tracing::info!(orchestrator = %url.host_str().unwrap_or_default(), "only the portal is served here");
        return Ok(Built {
            router,
            store: None,
            _lock: None,
        });
    }
    let data = &settings.data;
    std::fs::create_dir_all(data)
        .with_context(|| format!("cannot make the data directory {}", data.display()))?;
    let lock = lock::take(data)?;
    let key = master_key::load_or_create(data)?;
    let store = Store::open(settings.database.expose_secret())
        .await
        .context("cannot open the database")?;
    let mut config = config(settings, key.expose());
    config
        .files
        .prepare()
        .context("cannot prepare the directories of files")?;
    config.gpus = Arc::new(gpus(data)?);
    let engine = engine(settings, &config.instance).await?;
    let postbox = postbox(settings, data)?;
    let state = State::new(
        store.clone(),
        engine,
        catalogue(data)?,
        Clock::default(),
        config,
        *key.expose(),
        shutdown.clone(),
    );
    let apps = Proxy::new(state.clone(), apps_sites(settings));
    state.reach_apps_through(Arc::new(apps.clone()));
    tasks.spawn(workers::run(state.clone(), tasks.clone()));
    tasks.spawn(workers::mail::run(state.clone(), postbox));
    let caller = egress::reach::Caller::trusting(state.config().callback_allow.clone(), &roots)
        .context("cannot prepare the sending of callbacks")?;
    tasks.spawn(workers::callbacks::run(state.clone(), caller));
    tasks.spawn(workers::sweep::run(state.clone()));
    let api = orchestrator::router(state.clone());
    let mut router = health::routes(Some(store.clone())).merge(api.clone());
    if !settings.no_portal {
        router = router.merge(web::router(Client::in_process(api), portal(settings)));
    }
    let router = apart(router, apps);
    Ok(Built {
        router,
        store: Some(store),
        _lock: Some(lock),
    })
}

/// Templates that come with the program, and the operator's own in the data directory.
fn catalogue(data: &Path) -> anyhow::Result<Catalogue> {
    Catalogue::load(Some(&data.join("templates"))).map_err(|flaws| {
        let flaws: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("these templates are not right:\n  {}", flaws.join("\n  "))
    })
}

/// The GPUs that come with the program, and what the operator knows better.
fn gpus(data: &Path) -> anyhow::Result<crate::domain::gpu::Catalogue> {
    gpus::load(Some(&data.join("gpu-catalogue.toml"))).map_err(|flaws| {
        let flaws: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the GPU catalogue is not right:\n  {}", flaws.join("\n  "))
    })
}

fn apps_sites(settings: &Settings) -> proxy::Config {
    let port = settings.public_url.port();
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    proxy::Config {
        portal: settings.public_url.origin().ascii_serialization(),
        suffix: format!(".{}{port}", settings.apps_domain),
        secure: settings.public_url.scheme() == "https",
    }
}

/// Requests to apps go to the proxy, whatever their path; everything else stays.
pub fn apart(portal: Router, apps: Proxy) -> Router {
    use crate::domain::peer::Site;
    use tower::ServiceExt as _;
    Router::new().fallback(move |request: axum::extract::Request| {
        let (portal, apps) = (portal.clone(), apps.clone());
        async move {
            match request.extensions().get::<Site>() {
                Some(Site::App(label)) => {
                    let label = label.clone();
                    apps.answer(&label, request).await
                }
                Some(Site::Portal) | None => match portal.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
            }
        }
    })
}

fn portal(settings: &Settings) -> web::Config {
    web::Config {
        public_url: settings.public_url.clone(),
        secure_cookies: !settings.insecure_http,
        clock: Clock::default(),
    }
}

fn config(settings: &Settings, key: &[u8; 32]) -> Config {
    Config {
        instance: instance(key),
        public_url: settings
            .public_url
            .as_str()
            .trim_end_matches('/')
            .to_owned(),
        app_url: {
            let sites = apps_sites(settings);
            let scheme = settings.public_url.scheme();
            format!("{scheme}://*{}", sites.suffix)
        },
        // Engines show it to runs, whatever directory they are in.
        volumes: std::path::absolute(settings.data.join("volumes"))
            .unwrap_or_else(|_| settings.data.join("volumes")),
        welcome_credit: Usd::from_micros(settings.welcome_credit),
        hourly_rate: Usd::from_micros(settings.hourly_rate),
        gpus: Arc::default(),
        slots: settings.host_slots,
        ignore_images: settings.host_images == HostImages::Any,
        network: match settings.host_network {
            HostNetwork::None => Network::None,
            HostNetwork::Host => Network::Host,
        },
        default_time_limit: settings.default_run,
        longest_time_limit: settings.max_run,
        grace: GRACE,
        operators: settings.operators.clone(),
        first_account_operates: settings.listen.ip().is_loopback() && settings.operators.is_empty(),
        session_idle: settings.session_idle,
        session_lifetime: settings.session_absolute,
        operator_idle: settings.operator_idle,
        operator_lifetime: settings.operator_absolute,
        streams_per_sign_in: settings.streams_per_sign_in,
        streams_per_account: settings.streams_per_account,
        smtp: settings.smtp.is_some(),
        logs: settings.output,
        logs_kept: settings.output_kept,
        files: files(settings),
        callback_allow: callback_allow(settings),
    }
}

fn files(settings: &Settings) -> orchestrator::Files {
    let files = settings.files;
    orchestrator::Files {
        dir: std::path::absolute(&settings.data).unwrap_or_else(|_| settings.data.clone()),
        largest: files.largest,
        quota: files.quota,
        per_job: files.per_job,
        artifacts_kept: files.artifacts_kept,
        inputs_kept: files.inputs_kept,
        links: files.links,
    }
}

/// Unless the operator has said something, this machine may be called where nobody
/// from elsewhere can ask for it.
fn callback_allow(settings: &Settings) -> Allow {
    let alone = settings.listen.ip().is_loopback()
        && settings.trusted_proxies.is_empty()
        && match settings.public_url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
    match &settings.callback_allow {
        Some(said) => said.clone(),
        None if alone => Allow::this_machine(),
        None => Allow::NOTHING,
    }
}

/// Stays the same as long as the master key does, and says nothing about it.
fn instance(key: &[u8; 32]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"junglegrid instance");
    hash.update(key);
    random::hex(&hash.finalize()[..4])
}

async fn engine(settings: &Settings, instance: &str) -> anyhow::Result<Arc<dyn Engine>> {
    anyhow::ensure!(
        !settings.refuses_host_engine(),
        "strangers can reach {}, and jobs would run as processes of this machine. \
         Listen on 127.0.0.1, or say --allow-public-host-engine if that is what you want",
        settings.listen
    );
    let mut host = HostConfig::new(settings.data.join("runs"), instance.to_owned());
    host.hidden.push(settings.data.clone());
    let engine = HostEngine::new(host).context("cannot prepare the directory of the runs")?;
    for protection in engine
        .probe()
        .await
        .context("cannot find out how this machine confines jobs")?
    {
        if protection.active {
            tracing::info!(protection = protection.name, "{}", protection.detail);
        } else {
            tracing::warn!(
                protection = protection.name,
                "missing: {}",
                protection.detail
            );
        }
    }
    tracing::info!("jobs run as confined processes of this machine (engine: host)");
    Ok(Arc::new(engine))
}

fn postbox(settings: &Settings, data: &Path) -> anyhow::Result<Postbox> {
    if let Some(url) = &settings.smtp {
        return Ok(Postbox::smtp(url.expose_secret(), &settings.mail_from)?);
    }
    tracing::info!("no mail server is configured: mails go to the outbox folder and to this log");
    Ok(Postbox::outbox(&data.join("outbox"), &settings.mail_from)?)
}
