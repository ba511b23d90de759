//! Where a job can run: what is on offer, what each job insists on, what gives
//! way. The scheduler places jobs with the same [`place`] that the estimate uses,
//! so that the two cannot disagree.
use super::choice::choose;
use super::estimate::said;
use super::gpu::{self, Catalogue};
use super::history::History;
use super::money::Usd;
use super::requirements::{fits_all, impossible};
use super::spec::{HOST_IMAGE, JobSpec};
use super::wait::{Running, Waiting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One kind of place to run on, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub node: String,
    pub gpu_family: Option<String>,
    pub gpu_class: Option<String>,
    pub vram_gb: f64,
    pub gpus: u32,
    /// Those that no job has.
    pub gpus_free: u32,
    /// How fast a GPU reads its memory, if that is known.
    pub speed: Option<u32>,
    pub region: Option<String>,
    /// Per hour of execution.
    pub rate: Usd,
    pub cpus: u32,
    pub memory_gb: f64,
    /// Gigabytes, if that can be known.
    pub disk: Option<Disk>,
    /// Jobs that can run at once.
    pub slots: u32,
    pub free: u32,
    pub images: Images,
}

/// Where jobs work: gigabytes in all, and free now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disk {
    pub all: f64,
    pub free: f64,
}

impl Offer {
    /// Whether this machine alone has a slot and the GPUs that the job takes.
    #[must_use]
    pub fn has_room_for(&self, spec: &JobSpec) -> bool {
        self.free > 0 && self.gpus_free >= spec.resources.gpus()
    }
}

/// What becomes of a job's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// It is pulled and run.
    Pulled,
    /// There is only the machine's own system; other images are refused.
    HostOnly,
    /// There is only the machine's own system, and other images are ignored.
    Ignored,
}

/// What the estimate looks at.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub offers: Vec<Offer>,
    pub running: Vec<Running>,
    /// Jobs that wait in front, in the order of their turn.
    pub ahead: Vec<Waiting>,
    /// What jobs like this one took.
    pub history: History,
    /// Seconds that jobs of this pool waited lately, if that may be told.
    pub waits: Vec<i64>,
    pub catalogue: Arc<Catalogue>,
    /// Most seconds that a job may ask for.
    pub longest_seconds: u32,
    /// What is wrong with the files that the job names.
    pub files: Vec<Check>,
}

/// One question asked of a job before it is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Stable, such as `IMAGE_UNSUPPORTED`.
    pub code: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// `passed`, `warning` or `blocked`.
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
}

impl Check {
    pub(super) fn blocked(code: &str, field: &str, message: String, action: &str) -> Self {
        Self {
            code: code.into(),
            severity: "error".into(),
            status: "blocked".into(),
            field: Some(field.into()),
            message,
            action: Some(action.into()),
        }
    }

    fn warning(code: &str, field: &str, message: String) -> Self {
        Self {
            code: code.into(),
            severity: "warning".into(),
            status: "warning".into(),
            field: Some(field.into()),
            message,
            action: None,
        }
    }

    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.status == "blocked"
    }
}

/// Something that was asked for and is not had: what is had instead, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Relaxed {
    /// As a job names it, such as `region_preference`.
    pub field: String,
    pub asked: String,
    pub got: String,
    /// A sentence for people.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    pub offer: Offer,
    pub relaxed: Vec<Relaxed>,
    /// Why this machine, in a sentence.
    pub reason: String,
    /// Offers that satisfy everything hard.
    pub candidates: u32,
    /// What the cheapest and the dearest of those cost per hour.
    pub rates: (Usd, Usd),
    /// Whether a slot is free right now.
    pub free_now: bool,
}

/// Everything that keeps `spec` from ever running on `offers`, and everything
/// that its owner should know. A job is refused if any check is blocked.
#[must_use]
pub fn screen(spec: &JobSpec, snapshot: &Snapshot) -> Vec<Check> {
    let offers = &snapshot.offers;
    let mut checks: Vec<Check> = spec
        .notices
        .iter()
        .map(|notice| Check::warning("NOT_SUPPORTED", "notices", notice.clone()))
        .collect();
    checks.extend(snapshot.files.iter().cloned());
    if offers.is_empty() {
        checks.push(Check::blocked(
            "NO_NODES",
            "image",
            "No machine is connected to this grid.".into(),
            "Ask the operator to start one.",
        ));
        return checks;
    }
    if spec.image != HOST_IMAGE && offers.iter().all(|o| o.images != Images::Pulled) {
        checks.push(if offers.iter().any(|o| o.images == Images::Ignored) {
            Check::warning(
                "IMAGE_IGNORED",
                "image",
                format!(
                    "The command runs on this machine's own system. The image {} is not used.",
                    spec.image
                ),
            )
        } else {
            Check::blocked(
                "IMAGE_UNSUPPORTED",
                "image",
                format!(
                    "This grid runs jobs on its own system and cannot pull {}.",
                    spec.image
                ),
                "Use the image host, or ask the operator to install Docker or Podman.",
            )
        });
    }
    if spec.argv.is_empty() && offers.iter().all(|o| o.images != Images::Pulled) {
        checks.push(Check::blocked(
            "COMMAND_REQUIRED",
            "command",
            "A job on this machine's own system needs a command.".into(),
            "Say what to run, such as python3 train.py.",
        ));
    }
    if spec.time_limit_seconds > snapshot.longest_seconds {
        checks.push(Check::blocked(
            "TIME_LIMIT_TOO_LONG",
            "timeout_seconds",
            format!(
                "Jobs may run for {} at most here.",
                said(i64::from(snapshot.longest_seconds))
            ),
            "Lower the time limit.",
        ));
    }
    if checks.iter().any(Check::is_blocked) {
        return checks;
    }
    if let Some(blocked) = impossible(spec, offers) {
        checks.push(explained(blocked, spec, &snapshot.catalogue));
    } else {
        checks.extend(tight(spec, snapshot));
        checks.extend(full_disk(spec, offers));
    }
    checks.extend(unknown_avoided(spec, &snapshot.catalogue));
    checks
}

/// What the market has for want of a GPU here.
fn explained(mut blocked: Check, spec: &JobSpec, catalogue: &Catalogue) -> Check {
    if blocked.code != "GPU_UNAVAILABLE" {
        return blocked;
    }
    if let Some(kind) = spec.resources.gpu_type.as_ref()
        && !catalogue.gpu.is_empty()
        && !catalogue.knows(kind)
    {
        blocked.message = format!(
            "{} The GPU catalogue of {} does not know {kind} either.",
            blocked.message, catalogue.dated
        );
    } else if let Some(hint) = gpu::suggestion(spec, catalogue) {
        blocked.message = format!("{} {hint}", blocked.message);
    }
    blocked
}

/// A name that nobody knows keeps nothing away.
fn unknown_avoided(spec: &JobSpec, catalogue: &Catalogue) -> Option<Check> {
    if catalogue.gpu.is_empty() {
        return None;
    }
    let mut avoided = spec.routing.avoid_gpu_families.iter();
    let unknown = avoided.find(|name| !catalogue.knows(name))?;
    Some(Check::warning(
        "AVOIDED_GPU_UNKNOWN",
        "avoid_gpu_families",
        format!("No GPU family is known by the name {unknown}, so avoiding it changes nothing."),
    ))
}

/// A disk that is large enough, but not free enough now.
fn full_disk(spec: &JobSpec, offers: &[Offer]) -> Option<Check> {
    let wanted = spec.resources.disk_gb?;
    let fit = offers.iter().filter(|offer| fits_all(spec, offer));
    let mut free = Vec::new();
    for offer in fit {
        free.push(offer.disk?.free);
    }
    let most = free.into_iter().reduce(f64::max)?;
    (most < wanted).then(|| {
        let message = format!("{wanted} GB of disk were asked for, and {most:.1} GB are free now.");
        Check::warning("DISK_TIGHT", "disk_gb", message)
    })
}

/// That the model probably does not fit the memory of any GPU that would do.
fn tight(spec: &JobSpec, snapshot: &Snapshot) -> Option<Check> {
    let needs = gpu::needs_gb(spec).filter(|_| spec.resources.needs_gpu())?;
    let fit = snapshot.offers.iter().filter(|offer| fits_all(spec, offer));
    let largest = fit
        .map(|offer| offer.vram_gb * f64::from(spec.resources.gpu_count.unwrap_or(1).max(1)))
        .fold(0.0, f64::max);
    if largest <= 0.0 || largest >= needs {
        return None;
    }
    let hint = gpu::suggestion(spec, &snapshot.catalogue).unwrap_or_default();
    let message = format!(
        "By rule of thumb this model needs {needs:.0} GB of GPU memory, and {largest:.0} GB are there. {hint}"
    );
    let message = message.trim_end().to_owned();
    Some(Check::warning("GPU_MEMORY_TIGHT", "model_size_gb", message))
}

/// Where the job would go. `None` if it can never run on these machines.
#[must_use]
pub fn place(spec: &JobSpec, snapshot: &Snapshot) -> Option<Placement> {
    if screen(spec, snapshot).iter().any(Check::is_blocked) {
        return None;
    }
    choose(spec, &snapshot.offers, &snapshot.catalogue)
}
