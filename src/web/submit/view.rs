//! The wizard's pages. What a step swaps and what its page shows is drawn here.
use super::estimate::{self, Beside};
use super::fields::{self, Answers, Kind};
use super::files::{self, Shelf};
use super::form::Typed;
use super::review::rate;
use super::steps::Step;
use crate::api::drafts::Draft;
use crate::api::gpus::{Catalogue, Gpu};
use crate::api::jobs::Content;
use crate::domain::id::DraftId;
use crate::domain::money::Usd;
use crate::domain::spec::WorkloadType;
use crate::web::jobs::text;
use crate::web::ui;
use crate::web::ui::form::Wrong;
use crate::web::ui::job_row::type_name;
use maud::{Markup, html};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// One step with everything on it.
#[derive(Debug)]
pub(super) struct StepView<'a> {
    pub(super) step: Step,
    pub(super) now: OffsetDateTime,
    /// `None` before the first answer.
    pub(super) draft: Option<&'a Draft>,
    /// For the step that asks for files.
    pub(super) shelf: Option<Shelf>,
    pub(super) answers: Answers,
    pub(super) wrong: Wrong,
    /// Whether it came from the review and goes back there.
    pub(super) to_review: bool,
    /// Whether this grid runs jobs on its own system only.
    pub(super) host_only: bool,
    /// GPU families that could be named.
    pub(super) families: Catalogue,
}

/// The document's title.
pub(super) fn title(step: Step, wrong: bool) -> String {
    let error = if wrong { "Error: " } else { "" };
    format!("{error}Submit a job: {}", step.label().to_lowercase())
}

/// The region that a step's form swaps.
fn wizard(
    step: Step,
    draft: Option<&Draft>,
    now: OffsetDateTime,
    wrong: bool,
    inside: Markup,
) -> Markup {
    html! {
        section #wizard {
            div.head {
                div {
                    p.crumbs {
                        a href="/portal/submit" { "Submit a job" }
                        @if let Some(draft) = draft { " / Draft saved " (ui::time(draft.updated_at, now)) }
                    }
                    h1 tabindex="-1" autofocus[!wrong] { (step.heading()) }
                }
            }
            ol.steps aria-label={ "Submit a job, step " (step.number()) " of " (Step::ALL.len()) } {
                @for other in Step::ALL {
                    li.done[done(draft, other, step)] { (step_link(other, step, draft.map(|draft| draft.id))) }
                }
            }
            (inside)
        }
    }
}

fn step_link(other: Step, current: Step, draft: Option<DraftId>) -> Markup {
    let label = html! { span { (other.label()) } };
    match draft {
        _ if other == current => html! { b aria-current="step" { (label) } },
        Some(draft) => html! { a href=(other.path(draft)) { (label) } },
        None => html! { b { (label) } },
    }
}

/// Whether the step is behind the current one and misses nothing.
fn done(draft: Option<&Draft>, step: Step, current: Step) -> bool {
    let complete = |draft: &Draft| {
        let missing = |field: &fields::Field| draft.missing.contains_key(field.name);
        !step.fields().iter().any(missing)
    };
    step.number() < current.number() && draft.is_some_and(complete)
}

/// A step's form.
pub(super) fn step(view: &StepView) -> Markup {
    let step = view.step;
    let action = match view.draft {
        Some(draft) => step.path(draft.id),
        None => super::NEW.to_owned(),
    };
    let typed = Typed {
        fields: step.fields(),
        answers: &view.answers,
        wrong: &view.wrong,
    };
    // A form with files takes as long as it takes, which is the browser's to show.
    let with_files = view.draft.zip(view.shelf.as_ref());
    let action = with_files.map_or(action, |(draft, _)| files::path(draft.id));
    let plain = with_files.is_some();
    let swaps = |value: &'static str| (!plain).then_some(value);
    wizard(
        step,
        view.draft,
        view.now,
        !view.wrong.is_nothing(),
        html! {
            form.card.stack method="post" action=(action) enctype=[plain.then_some("multipart/form-data")]
                hx-post=[(!plain).then_some(&action)] hx-target=[swaps("#wizard")] hx-swap=[swaps("outerHTML")]
                hx-push-url=[swaps("true")] hx-status:4xx=[swaps("push:false")] hx-disable=[swaps("find button[type=submit]")] novalidate {
                (typed.summary())
                @if view.to_review { (ui::form::hidden("back", "review")) }
                @match step {
                    Step::Workload => (workload(&typed)),
                    Step::Image => {
                        (image(&typed, view.host_only))
                        @if let Some(shelf) = &view.shelf { (files::questions(&typed, shelf, view.now)) }
                    }
                    Step::Resources => (resources(&typed)),
                    Step::Routing => (routing(&typed, &view.families)),
                    Step::Review => {}
                }
                @if let Some(shelf) = &view.shelf { (shelf.progress()) }
                div.row {
                    button.btn.pri type="submit" { @if view.to_review { "Save and review" } @else { "Continue" } }
                    (back(view))
                }
            }
        },
    )
}

fn back(view: &StepView) -> Markup {
    let to = match (view.draft, view.to_review) {
        (Some(draft), true) => Some(Step::Review.path(draft.id)),
        (Some(draft), false) => view.step.previous().map(|step| step.path(draft.id)),
        (None, _) => None,
    };
    let to = to.unwrap_or_else(|| "/portal/submit".to_owned());
    html! { a.btn href=(to) { "Back" } }
}

fn workload(typed: &Typed) -> Markup {
    html! {
        (typed.field("name").required().hint("For you to find it again.").input())
        (typed.choice("workload_type", &[
            ("inference", "Inference"), ("training", "Training"), ("fine-tuning", "Fine-tuning"), ("batch", "Batch"),
        ]))
        (typed.field("model_size_gb").hint("How large the model's weights are. Leave it empty if there is no model.").input())
    }
}

fn image(typed: &Typed, host_only: bool) -> Markup {
    let hint = if host_only {
        "The word host stands for the machine's own system."
    } else {
        "Registry, name and tag, such as ghcr.io/org/app:1.2; or host for the machine's own system."
    };
    let command = typed.field("command");
    // An image may bring a command of its own; the machine does not.
    let command = if host_only {
        command.required()
    } else {
        command
    };
    html! {
        @if host_only {
            div.note {
                (ui::icon("info"))
                p.strong { "Jobs run on the machine's own system here" }
                p { "No container images are pulled. Your command sees the programs that are installed on the machine, in a working directory of its own." }
            }
        }
        (typed.field("image").required().hint(hint).input())
        (command.hint("One line, such as python3 train.py.").textarea(2))
        (typed.field("environment").hint("One KEY=VALUE per line.").textarea(4))
    }
}

fn resources(typed: &Typed) -> Markup {
    html! {
        (typed.field("timeout_seconds").hint("The job is stopped when it has run for so long, and this bounds what it can cost. Leave it empty for this grid's default, which the estimate tells.").input())
        div.grid {
            (typed.field("cpu_count").input())
            (typed.field("memory_gb").input())
            (typed.field("disk_gb").input())
        }
        fieldset.stack.plain {
            legend { "GPU" }
            (typed.tick("gpu_required", "This job cannot run without a GPU"))
            div.grid {
                (typed.field("gpu_count").input())
                (typed.field("min_vram_gb").input())
                (typed.field("gpu_type").hint("Such as L40S. No other will do.").input())
            }
        }
    }
}

fn routing(typed: &Typed, known: &Catalogue) -> Markup {
    let advanced = &fields::ROUTING[1..];
    let folded = !typed.answers.any_set(advanced)
        && !advanced
            .iter()
            .any(|field| typed.wrong.field(field.name).is_some());
    let preferred = typed
        .field("preferred_gpu_family")
        .hint("Such as L40S. Gives way if none is free.");
    let families = &known.gpus;
    let preferred = if families.is_empty() {
        preferred
    } else {
        preferred.list("gpu-families")
    };
    let levels = &[("low", "Low"), ("balanced", "Balanced"), ("high", "High")];
    html! {
        (typed.choice("optimize_for", &[("cost", "Cost"), ("balanced", "Balanced"), ("speed", "Speed")]))
        details open[!folded] {
            summary { "Advanced routing" }
            div.stack.mt {
                (typed.field("max_price_per_hour").hint("Machines that cost more are never used.").input())
                div.grid {
                    (preferred.input())
                    @if !families.is_empty() {
                        datalist #gpu-families { @for family in families { option value=(family.id) label=(about(family)) {} } }
                    }
                    (typed.field("avoid_gpu_families").hint("Between commas, such as T4, P100. Never used.").input())
                    (typed.field("region_preference").hint("Such as af-south.").input())
                }
                (typed.choice("region_mode", &[("prefer", "Use another"), ("strict", "Wait for it")]))
                (typed.choice("gpu_class", &[("", "Any"), ("consumer", "Consumer"), ("datacenter", "Datacenter")]))
                (typed.choice("latency_priority", levels))
                (typed.choice("cost_priority", levels))
                p.small.mute {
                    "Low cost at High with low latency at Low waits for the cheapest machine; else one that is free comes first. "
                    @if !known.dated.is_empty() { "GPU families and what they cost elsewhere are as of " (known.dated) "." }
                }
            }
        }
    }
}

/// Memory and price of a GPU, for choosing.
fn about(gpu: &Gpu) -> String {
    let sizes: Vec<String> = gpu.vram_gb.iter().map(ToString::to_string).collect();
    let memory = format!("{} GB", sizes.join(" or "));
    match gpu.typical_hourly_rate_usd {
        Some(usd) => format!("{memory}, about ${usd:.2} an hour elsewhere"),
        None => memory,
    }
}

/// What the review shows besides the draft.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Review<'a> {
    pub(super) beside: Beside<'a>,
    /// Why it could not be submitted, for the top of the page.
    pub(super) refused: Option<&'a str>,
    /// Whether that was for want of money.
    pub(super) fits: bool,
    /// What the files are called, by their ids.
    pub(super) names: Option<&'a BTreeMap<String, String>>,
}

pub(super) fn review(draft: &Draft, review: Review, now: OffsetDateTime) -> Markup {
    let path = Step::Review.path(draft.id);
    let wrong = review.refused.is_some() || review.beside.wrong.is_some();
    wizard(
        Step::Review,
        Some(draft),
        now,
        wrong,
        html! {
            @if draft.estimate.as_ref().is_some_and(estimate::is_pending) {
                noscript { meta http-equiv="refresh" content="3"; }
            }
            (trouble(draft, review))
            form.cols.wide method="post" action=(path) hx-post=(path) hx-target="#wizard" hx-swap="outerHTML"
                hx-push-url="true" hx-status:4xx="push:false" hx-disable="find button[type=submit]" {
                div.stack {
                    @for step in Step::ALL { @if step != Step::Review { (section(draft, step, review.names)) } }
                }
                div.stack.aside {
                    @if draft.missing.is_empty() {
                        (estimate::card(draft, review.beside).0)
                    } @else {
                        (missing(draft))
                    }
                    button.btn.ghost.wide type="button" popovertarget="delete" commandfor="delete" command="show-modal" { "Delete draft" }
                }
            }
            (estimate::refresh_form(draft.id))
            (delete_dialog("delete", draft))
        },
    )
}

/// The summary of what keeps it from being submitted.
fn trouble(draft: &Draft, review: Review) -> Markup {
    let money = review
        .beside
        .available
        .zip(rate(draft))
        .filter(|_| review.fits);
    html! {
        @if let Some(why) = review.refused {
            div.note.is-bad.mb role="alert" tabindex="-1" autofocus {
                (ui::icon("warn")) p.strong { "The job was not submitted" } p { (text::visible(why)) }
                @if let Some((available, rate)) = money { (estimate::what_fits(draft.id, available, rate)) }
            }
        } @else if let Some(why) = review.beside.wrong {
            div.note.is-bad.mb role="alert" tabindex="-1" autofocus {
                (ui::icon("warn")) p.strong { "There is a problem" } ul { li { a href="#ack" { (why) } } }
            }
        }
    }
}

fn missing(draft: &Draft) -> Markup {
    html! {
        div.note.is-warn {
            (ui::icon("warn"))
            p.strong { "Something is missing" }
            ul {
                @for (field, why) in &draft.missing {
                    li {
                        @match Step::asking(field) {
                            Some(step) => a href={ (step.path(draft.id)) "?back=review#" (field) } { (why) },
                            None => (why),
                        }
                    }
                }
            }
        }
    }
}

/// The answers of one step, with a way to change them that comes back here.
fn section(draft: &Draft, step: Step, names: Option<&BTreeMap<String, String>>) -> Markup {
    let rows = rows(&draft.content, step, names);
    let lacks = |field: &&fields::Field| draft.missing.contains_key(field.name);
    let lacking: Vec<&fields::Field> = step.fields().iter().filter(lacks).collect();
    html! {
        section.card aria-labelledby={ (step.name()) "-h" } {
            header {
                h2 id={ (step.name()) "-h" } { (step.label()) }
                a href={ (step.path(draft.id)) "?back=review" } { "Change" span.vh { " " (step.label().to_lowercase()) } }
            }
            dl.dl {
                @for (label, shown, mono) in &rows { dt { (label) } dd.mono[*mono] { (text::visible(shown)) } }
                @for field in &lacking { dt { (field.label) } dd.err { "Missing" } }
                @if rows.is_empty() && lacking.is_empty() { dt { "Nothing set" } dd.mute { "The grid's defaults apply." } }
            }
        }
    }
}

/// Label, text, and whether it is for machines.
fn rows(
    content: &Content,
    step: Step,
    names: Option<&BTreeMap<String, String>>,
) -> Vec<(&'static str, String, bool)> {
    let mut rows = Vec::new();
    for field in step.fields() {
        let shown = fields::shown(field, content);
        if shown.is_empty() {
            continue;
        }
        let shown = match field.kind {
            // Values may be secrets; their names are enough to check.
            Kind::Environment => shown
                .lines()
                .filter_map(|line| line.split_once('=').map(|(name, _)| name))
                .collect::<Vec<_>>()
                .join(", "),
            Kind::Files => {
                let name = |id: &str| {
                    let name = names.and_then(|names| names.get(id));
                    name.map_or_else(|| format!("{id}, which is gone"), Clone::clone)
                };
                shown.lines().map(name).collect::<Vec<_>>().join(", ")
            }
            Kind::Lines => shown.replace('\n', ", "),
            Kind::Money => shown
                .parse::<Usd>()
                .map_or(shown, |amount| amount.to_string()),
            Kind::Choice => {
                WorkloadType::named(&shown).map_or(shown, |kind| type_name(kind).to_owned())
            }
            Kind::Text
            | Kind::Number
            | Kind::Count
            | Kind::Minutes
            | Kind::Tick
            | Kind::List
            | Kind::Command => shown,
        };
        let mono = matches!(
            field.name,
            "image" | "command" | "environment" | "expected_artifacts"
        );
        rows.push((field.label, shown, mono));
    }
    rows
}

pub(super) fn delete_dialog(id: &str, draft: &Draft) -> Markup {
    html! {
        dialog #(id) popover aria-labelledby={ (id) "-h" } {
            form.stack method="post" action={ "/portal/submit/" (draft.id) "/delete" } {
                h2 id={ (id) "-h" } { "Delete this draft?" }
                p { "All its answers are lost. Jobs that were submitted are not touched." }
                div.row.end {
                    button.btn type="button" commandfor=(id) command="close" popovertarget=(id) popovertargetaction="hide" { "Keep it" }
                    button.btn.bad { "Delete draft" }
                }
            }
        }
    }
}

/// The drafts that wait, and a way to begin another.
pub(super) fn drafts(drafts: &[Draft], now: OffsetDateTime) -> Markup {
    html! {
        div.head {
            div { h1 { "Submit a job" } p { "Each answer is saved as you go." } }
            a.btn.pri href={ (super::NEW) "?anew=1" } { (ui::icon("plus")) "Start a new job" }
        }
        section.card.flush {
            header { h2 #drafts-h { "Drafts in progress" } }
            @if drafts.is_empty() {
                (ui::empty("No drafts", "Say what to run, see what it costs, then confirm.", Some((super::NEW, "Start a new job"))))
            } @else {
                div.scroll role="region" aria-labelledby="drafts-h" tabindex="0" {
                    table.tbl {
                        thead { tr { th scope="col" { "Draft" } th scope="col" { "Next" } th scope="col" { "Changed" } th scope="col" { span.vh { "Actions" } } } }
                        tbody { @for draft in drafts { (draft_row(draft, now)) } }
                    }
                }
            }
        }
        @for draft in drafts { (delete_dialog(&format!("delete-{}", draft.id), draft)) }
    }
}

fn draft_row(draft: &Draft, now: OffsetDateTime) -> Markup {
    let name = fields::shown(&fields::WORKLOAD[0], &draft.content);
    let next = next_step(draft);
    let dialog = format!("delete-{}", draft.id);
    html! {
        tr {
            th scope="row" {
                a href=(next.path(draft.id)) {
                    bdi { @if name.is_empty() { "Without a name" } @else { (text::visible(&name)) } }
                    small { "…" (draft.id.to_string().chars().skip(30).collect::<String>()) }
                }
            }
            td { (next.label()) }
            td { (ui::time(draft.updated_at, now)) }
            td.num {
                div.row.end {
                    a.btn href=(next.path(draft.id)) { "Resume" }
                    button.btn.ghost type="button" popovertarget=(dialog) commandfor=(dialog) command="show-modal" { "Delete" }
                }
            }
        }
    }
}

/// Where the wizard goes on: the first step that still misses something.
pub(super) fn next_step(draft: &Draft) -> Step {
    let misses = |step: &Step| {
        step.fields()
            .iter()
            .any(|field| draft.missing.contains_key(field.name))
    };
    Step::ALL.into_iter().find(misses).unwrap_or(Step::Review)
}
