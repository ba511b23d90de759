//! The GPU catalogue of this installation: the one that comes with the program, with
//! what the operator knows better.
use super::apps::catalogue::{Flaw, text, unreadable};
use super::route::{Call, Cx, on};
use super::{Error, State};
use crate::api::GetGpuCatalogue;
use crate::api::gpus as wire;
use crate::domain::gpu::Catalogue;
use axum::Router;
use std::path::Path;

const BUILT_IN: &str = include_str!("../../assets/gpu-catalogue.toml");

pub(super) fn routes() -> Router<State> {
    Router::new().merge(on(get))
}

/// Reads the catalogue that comes with the program, and the operator's `file` if it
/// is there.
///
/// # Errors
///
/// Everything that is wrong with either.
pub fn load(file: Option<&Path>) -> Result<Catalogue, Vec<Flaw>> {
    let ours = read("gpu-catalogue.toml", BUILT_IN)?;
    let Some(path) = file.filter(|path| path.symlink_metadata().is_ok()) else {
        return Ok(ours);
    };
    let name = path.display().to_string();
    let text = text(path).map_err(|message| {
        vec![Flaw {
            file: name.clone(),
            field: "file".into(),
            message,
        }]
    })?;
    Ok(ours.overridden_by(read(&name, &text)?))
}

fn read(file: &str, text: &str) -> Result<Catalogue, Vec<Flaw>> {
    let flaw = |(field, message): (String, String)| Flaw {
        file: file.to_owned(),
        field,
        message,
    };
    let catalogue: Catalogue =
        toml::from_str(text).map_err(|error| vec![flaw(unreadable(text, &error))])?;
    let wrong = catalogue.check();
    if wrong.is_empty() {
        Ok(catalogue)
    } else {
        Err(wrong.into_iter().map(flaw).collect())
    }
}

async fn get(cx: Cx, _: Call<GetGpuCatalogue>) -> Result<wire::Catalogue, Error> {
    let known = &cx.config().gpus;
    let source = |id: &String| {
        let source = known.source.iter().find(|source| source.id == *id);
        source.map_or_else(|| id.clone(), |source| source.name.clone())
    };
    let gpus = known.gpu.iter().map(|family| wire::Gpu {
        id: family.id.clone(),
        name: family.name.clone(),
        aliases: family.aliases.clone(),
        class: family.class,
        vram_gb: family.vram_gb.clone(),
        memory_gb_per_second: family.memory_gb_per_second,
        typical_hourly_rate_usd: family.typical_usd_per_hour,
        seen_hourly_rate_min_usd: family.seen_usd_per_hour.map(|seen| seen.0),
        seen_hourly_rate_max_usd: family.seen_usd_per_hour.map(|seen| seen.1),
        dated: family.dated.clone().unwrap_or_else(|| known.dated.clone()),
        sources: family.sources.iter().map(source).collect(),
    });
    Ok(wire::Catalogue {
        dated: known.dated.clone(),
        gpus: gpus.collect(),
        next_cursor: None,
        has_more: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_right_and_an_operators_replaces_and_adds() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gpu-catalogue.toml");
        let ours = load(Some(&file)).unwrap();
        assert!(ours.gpu.len() > 20, "{}", ours.gpu.len());
        assert_eq!(ours.find("NVIDIA L40S").unwrap().id, "L40S");
        assert_eq!(ours.find("NVIDIA GeForce RTX 4090").unwrap().id, "RTX4090");
        let own = "dated = \"2027-01-02\"\n\
            [[gpu]]\nid = \"L40S\"\nname = \"Ours\"\nclass = \"datacenter\"\nvram_gb = [48]\ntypical_usd_per_hour = 0.5\n\
            [[gpu]]\nid = \"NEW\"\nname = \"New\"\nclass = \"consumer\"\nvram_gb = [8]\n";
        std::fs::write(&file, own).unwrap();
        let both = load(Some(&file)).unwrap();
        assert_eq!(both.gpu.len(), ours.gpu.len() + 1);
        let replaced = both.find("L40S").unwrap();
        assert_eq!(replaced.typical_usd_per_hour, Some(0.5));
        assert_eq!(replaced.dated.as_deref(), Some("2027-01-02"));
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_field() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gpu-catalogue.toml");
        let family = "[[gpu]]\nid = \"X\"\nname = \"X\"\nclass = \"consumer\"\nvram_gb = [8]\n";
        for (text, field) in [
            ("dated = \"yesterday\"\n".to_owned(), "dated"),
            (
                format!("dated = \"2026-01-01\"\n{family}sources = [\"q\"]\n"),
                "gpu[0].sources",
            ),
            (
                format!("dated = \"2026-01-01\"\n{family}typical_usd_per_hour = -1\n"),
                "gpu[0].typical_usd_per_hour",
            ),
            (
                format!("dated = \"2026-01-01\"\n{family}{family}"),
                "gpu[1].id",
            ),
            (
                format!("dated = \"2026-01-01\"\n{family}colour = 1\n"),
                "gpu.colour",
            ),
            ("dated = ".to_owned(), "syntax"),
        ] {
            std::fs::write(&file, &text).unwrap();
            let flaws = load(Some(&file)).unwrap_err();
            assert_eq!(flaws[0].field, field, "{flaws:?}");
            assert!(flaws[0].file.ends_with("gpu-catalogue.toml"));
        }
    }
}
