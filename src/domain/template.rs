//! What a template's manifest says: how an app is started, when it is ready, and
//! what it needs.
mod check;
mod manner;
pub mod settings;

pub use manner::{BasePath, HostPolicy, Scheme};

use super::spec::{HOST_IMAGE, WorkloadType};
use serde::{Deserialize, Serialize};

/// One app that can be launched, as its TOML file describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Lower-case letters, digits and hyphens; also the name of its file.
    pub slug: String,
    pub name: String,
    /// Two letters that stand for it on its card.
    pub mark: String,
    /// One sentence.
    pub summary: String,
    /// Counts releases of this manifest: `1.2`.
    pub version: String,
    /// A container image pinned by digest, or `host`.
    pub image: String,
    /// Why the image has no digest yet. Such a template is shown, and cannot be
    /// launched before somebody has pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpinned: Option<String>,
    /// Gigabytes (10⁹ bytes) to pull, compressed. 0 for `host`.
    #[serde(default)]
    pub image_size_gb: f64,
    /// Program and arguments; empty means the image's own. The program
    /// `/run/junglegrid` is this binary, which is in every run of the host engine.
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default = "inference")]
    pub workload_type: WorkloadType,
    pub licence: Licence,
    /// The first is asked about first; exactly one is the primary.
    pub services: Vec<Service>,
    #[serde(default)]
    pub env: Vec<Variable>,
    #[serde(default)]
    pub volumes: Vec<Volume>,
    #[serde(default)]
    pub needs: Needs,
    pub phases: Phases,
    /// Seconds from the start of the app to readiness after which it has failed.
    pub start_timeout_seconds: u32,
    /// Offered at the launch; 0 means that it is not stopped for being idle.
    #[serde(default)]
    pub idle_stop_minutes: u32,
    /// Sentences for the template's page, such as about the licences of models.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Comfortable on a phone.
    #[serde(default)]
    pub mobile: bool,
}

const fn yes() -> bool {
    true
}

const fn inference() -> WorkloadType {
    WorkloadType::Inference
}

impl Manifest {
    /// Everything that is wrong with it: the path of a field, and a sentence.
    #[must_use]
    pub fn check(&self) -> Vec<(String, String)> {
        check::check(self)
    }

    #[must_use]
    pub fn runs_on_host(&self) -> bool {
        self.image == HOST_IMAGE
    }

    /// The service whose readiness makes the app ready.
    #[must_use]
    pub fn primary(&self) -> &Service {
        self.services
            .iter()
            .find(|service| service.primary)
            .unwrap_or(&self.services[0])
    }

    #[must_use]
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// An SPDX expression, such as `AGPL-3.0-only`.
    pub spdx: String,
    #[serde(default)]
    pub note: String,
    /// Where its source is.
    pub source_url: String,
}

/// A part of the app that gets an origin of its own: a port, or a path on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Lower-case letters, digits and hyphens.
    pub id: String,
    pub label: String,
    pub port: u16,
    /// What is spoken on the port: `http` or `https`.
    #[serde(default)]
    pub scheme: Scheme,
    #[serde(default)]
    pub primary: bool,
    /// Whether its pages open `WebSockets`. One that does not say so gets none.
    #[serde(default)]
    pub websocket: bool,
    /// Whether it answers with streams of events. Such an answer may begin late: it is
    /// waited for as long as a WebSocket may be silent, an hour, and not five minutes.
    #[serde(default)]
    pub sse: bool,
    /// Under which name the proxy asks it: `public` or `localhost`.
    #[serde(default)]
    pub host_policy: HostPolicy,
    /// Where on its address it serves; `/` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<BasePath>,
    pub readiness: Readiness,
    /// How the proxy signs in to the app.
    #[serde(default)]
    pub auth: Option<Auth>,
}

/// When a service counts as ready: asked through the proxy, this often, until it
/// has given the right answer so many times in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// `GET` or `POST`.
    #[serde(default = "get")]
    pub method: String,
    pub path: String,
    /// JSON; only with `POST`.
    #[serde(default)]
    pub body: String,
    #[serde(default = "ok")]
    pub status: u16,
    /// Text that the first 64 KiB of the answer must contain.
    #[serde(default)]
    pub body_contains: Option<String>,
    #[serde(default = "two_seconds")]
    pub interval_seconds: u32,
    #[serde(default = "twice")]
    pub successes: u32,
    /// Seconds that one answer may take.
    #[serde(default = "five_seconds")]
    pub timeout_seconds: u32,
}

fn get() -> String {
    "GET".into()
}
const fn ok() -> u16 {
    200
}
const fn two_seconds() -> u32 {
    2
}
const fn twice() -> u32 {
    2
}
const fn five_seconds() -> u32 {
    5
}

/// A header that the proxy adds to each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Such as `authorization`.
    pub header: String,
    /// Its value; `{NAME}` stands for the variable of that name, `{basic:user:NAME}`
    /// for HTTP Basic credentials with that variable as the password.
    pub value: String,
}

/// A variable of the app: fixed, made up, or asked for at the launch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub name: String,
    /// Fixed. `{origin:SERVICE}` stands for that service's public origin; there is no
    /// other use of braces.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Made anew for each session, and never shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub generated: bool,
    /// Asked for at the launch: stored encrypted, never shown, and hidden in the output.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
    /// Asked for at the launch, which fails without it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Asked for at the launch, with this to begin with. Where that and what is given are
    /// empty, the variable is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What it is called where it is asked for; its name unless given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// A sentence for whoever is asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Variable {
    /// Whether whoever launches it is asked for its value.
    #[must_use]
    pub const fn asked(&self) -> bool {
        self.secret || self.required || self.default.is_some()
    }

    /// What it is called where it is asked for.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.label.is_empty() {
            &self.name
        } else {
            &self.label
        }
    }
}

/// A directory of the app's: one per workspace and template that outlives its sessions,
/// or one per session that ends with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Lower-case letters, digits and hyphens.
    pub name: String,
    /// An absolute path in the app.
    pub mount: String,
    #[serde(default)]
    pub min_gb: f64,
    /// Whether it outlives the session. If not, it is empty at each launch, on disk like
    /// any other, and deleted when the session has ended: for caches and scratch.
    #[serde(default = "yes")]
    pub persist: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Needs {
    pub cpus: u32,
    pub memory_gb: f64,
    pub shm_gb: f64,
    pub disk_gb: f64,
    /// 0 if it does without a GPU.
    pub min_vram_gb: f64,
    pub recommended_vram_gb: f64,
    /// The oldest CUDA driver that will do, such as `580`.
    pub min_driver: String,
}

/// Seconds that each phase takes, at best and at worst, until our own history
/// knows better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Pulling the image; 0 where there is nothing to pull.
    pub image: (u32, u32),
    /// From the container to the app's process.
    pub start: (u32, u32),
    /// From there to the primary's readiness.
    pub services: (u32, u32),
}
