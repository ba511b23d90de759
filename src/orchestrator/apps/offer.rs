//! Whether and where a template could run now, asked of the same rules that place
//! jobs.
use crate::domain::app::Settings;
use crate::domain::estimate::{self, Quote, Range};
use crate::domain::money::Usd;
use crate::domain::routing::{Check, Snapshot, place, screen};
use crate::domain::spec::{HOST_IMAGE, JobSpec, Resources, Routing};
use crate::domain::template::Manifest;
use crate::engine;
use crate::orchestrator::{Error, State, estimates};
use std::collections::BTreeMap;
use std::path::Path;

/// What a launch would get now.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct Offered {
    /// The job that would be queued; name, environment and session are left for
    /// the launch. Its time limit is what is paid for, counted from readiness.
    pub(in crate::orchestrator) spec: JobSpec,
    pub(in crate::orchestrator) rate: Usd,
    /// Set aside at the launch.
    pub(in crate::orchestrator) hold: Usd,
    /// Minutes that the hold is enough for.
    pub(in crate::orchestrator) minutes: u32,
    /// What keeps it from being launched, and what its owner should know.
    pub(in crate::orchestrator) checks: Vec<Check>,
    /// To be kept with the job.
    pub(in crate::orchestrator) quote: Quote,
}

impl Offered {
    /// The first of what keeps it from being launched.
    pub(in crate::orchestrator) fn blocked(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.is_blocked())
    }
}

/// What a launch with these settings would get now, without regard to the money
/// that is there.
///
/// # Errors
///
/// [`Error::Unavailable`] if the machines do not answer; [`Error::Invalid`] if the
/// most that it may cost does not pay for a minute.
pub(in crate::orchestrator) async fn quote(
    state: &State,
    manifest: &Manifest,
    settings: Settings,
) -> Result<Offered, Error> {
    let grid = Grid::look(state).await?;
    let rate = grid.rate(manifest);
    let minutes = settings.minutes(rate);
    if minutes == 0 {
        let why = format!("At {rate} an hour that does not pay for a minute.");
        return Err(Error::field("max_usd", why));
    }
    let spec = job(manifest, minutes);
    let hold = settings.hold(rate);
    let found = estimate::estimate(&spec, &grid.snapshot);
    let checks = grid.checks(manifest);
    let quote = Quote {
        cost_low: Usd::ZERO,
        cost_high: hold,
        runtime: Range {
            low: 1,
            high: i64::from(minutes) * 60,
        },
        wait: found.wait,
        relaxed: Vec::new(),
        warnings: checks
            .iter()
            .filter(|check| check.status == "warning")
            .map(|check| check.message.clone())
            .collect(),
    };
    Ok(Offered {
        spec,
        rate,
        hold,
        minutes,
        checks,
        quote,
    })
}

/// The job that runs a template for so many minutes.
fn job(manifest: &Manifest, minutes: u32) -> JobSpec {
    let (needs, argv) = (&manifest.needs, manifest.argv());
    let some = |gb: f64| (gb > 0.0).then_some(gb);
    JobSpec {
        name: manifest.name.clone(),
        workload_type: manifest.workload_type,
        image: manifest.image.clone(),
        command_line: argv.join(" "),
        argv,
        environment: BTreeMap::new(),
        resources: Resources {
            disk_gb: some(needs.disk_gb),
            memory_gb: some(needs.memory_gb),
            cpus: (needs.cpus > 0).then_some(needs.cpus),
            gpu_required: needs.min_vram_gb > 0.0,
            min_vram_gb: some(needs.min_vram_gb),
            ..Resources::default()
        },
        routing: Routing::default(),
        time_limit_seconds: minutes.saturating_mul(60),
        expected_artifacts: Vec::new(),
        files: Vec::new(),
        notices: Vec::new(),
        app: None,
        metadata: None,
    }
}

/// The machines, and what goes on there.
#[derive(Debug)]
pub(super) struct Grid {
    nodes: Vec<engine::Node>,
    snapshot: Snapshot,
    /// Whether it runs container images.
    pulls: bool,
    /// What a machine costs that says nothing else.
    asked: Usd,
    /// Gigabytes that are free where volumes lie, if that can be known.
    free_gb: Option<f64>,
}

impl Grid {
    pub(super) async fn look(state: &State) -> Result<Self, Error> {
        let nodes = estimates::nodes(state).await?;
        let mut conn = state.store().read().await?;
        let mut snapshot = estimates::capacity(state, &mut conn, &nodes).await?;
        snapshot.ahead = estimates::queue(&mut conn, state.now()).await?;
        Ok(Self {
            nodes,
            snapshot,
            pulls: state.engine().pulls_images(),
            asked: state.config().hourly_rate,
            free_gb: free_gb(&state.config().volumes),
        })
    }

    /// What an hour of it costs here.
    pub(super) fn rate(&self, manifest: &Manifest) -> Usd {
        let placed = place(&job(manifest, 1), &self.snapshot);
        placed.map_or(self.asked, |placed| placed.offer.rate)
    }

    /// Everything that keeps the template from being launched here.
    pub(super) fn checks(&self, manifest: &Manifest) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(why) = &manifest.unpinned {
            checks.push(blocked(
                "IMAGE_UNPINNED",
                "image",
                format!("Its image is not pinned yet. {why}"),
                "The operator can pin it in a template of the same name.",
            ));
        }
        if !manifest.runs_on_host() && !self.pulls && self.nodes.iter().any(|node| node.up) {
            checks.push(blocked(
                "IMAGE_UNSUPPORTED",
                "image",
                "It comes as a container image, and this grid runs apps on its machine's own \
                 system only."
                    .into(),
                "Launch an app that needs no image, or submit a custom job.",
            ));
        }
        checks.extend(self.screened(manifest));
        if manifest.runs_on_host() && !self.nodes.iter().any(isolated) {
            checks.push(blocked(
                "NETWORK_NOT_ISOLATED",
                "image",
                "This machine cannot give an app a network of its own, so others could reach it."
                    .into(),
                "Ask the operator to allow network namespaces; the page Nodes says what is missing.",
            ));
        }
        if let Some(free) = self.free_gb.filter(|free| *free < manifest.needs.disk_gb) {
            checks.push(blocked(
                "DISK_TOO_SMALL",
                "disk_gb",
                format!(
                    "It needs {} GB of disk, and {free:.1} GB are free here.",
                    manifest.needs.disk_gb
                ),
                "Ask the operator for more disk.",
            ));
        }
        checks
    }

    /// What the rules that place jobs have against it, apart from its image.
    fn screened(&self, manifest: &Manifest) -> Vec<Check> {
        let mut spec = job(manifest, 1);
        if !manifest.runs_on_host() {
            HOST_IMAGE.clone_into(&mut spec.image);
            spec.argv = vec!["true".into()];
        }
        // What a volume may take up is looked at where volumes lie.
        spec.resources.disk_gb = None;
        let mut checks = screen(&spec, &self.snapshot);
        for check in &mut checks {
            let needs = &manifest.needs;
            match check.code.as_str() {
                "GPU_UNAVAILABLE" => {
                    check.field = Some("min_vram_gb".into());
                    check.message = format!(
                        "It needs a GPU with at least {} GB of memory, and no machine here has one.",
                        needs.min_vram_gb
                    );
                    check.action = Some("Ask the operator for a machine with one.".into());
                }
                "MACHINE_TOO_SMALL" => {
                    check.message = format!(
                        "It needs {} CPU cores and {} GB of memory. {}",
                        needs.cpus.max(1),
                        needs.memory_gb,
                        check.message
                    );
                    check.action = Some("Ask the operator for a larger machine.".into());
                }
                "NO_NODES" => check.field = None,
                _ => {}
            }
        }
        checks
    }
}

fn blocked(code: &str, field: &str, message: String, action: &str) -> Check {
    Check {
        code: code.into(),
        severity: "error".into(),
        status: "blocked".into(),
        field: Some(field.into()),
        message,
        action: Some(action.into()),
    }
}

/// Whether runs there have a network of their own, which only the proxy can enter.
fn isolated(node: &engine::Node) -> bool {
    node.protections
        .iter()
        .any(|protection| protection.name == engine::host::PRIVATE_PORTS && protection.active)
}

/// What is free on the disk of `folder`, or of the first folder above it that is there.
fn free_gb(folder: &Path) -> Option<f64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let about = nix::sys::statvfs::statvfs(there).ok()?;
    Some(estimates::gigabytes(
        about
            .blocks_available()
            .saturating_mul(about.fragment_size()),
    ))
}
