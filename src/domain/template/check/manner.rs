//! How services want to be spoken to, and what they share.
use super::services::is_variable;
use super::{Wrong, complain};
use crate::domain::template::{BasePath, Manifest, Service};

/// Paths of an app's address that are the proxy's own.
const OURS: &str = "/_jg";

/// A port is one service's, or that of several which are told apart by their base paths.
pub(super) fn port(services: &[Service], at: usize, wrong: &mut Wrong) {
    let service = &services[at];
    let field = |name: &str| format!("services[{at}].{name}");
    let bare = |service: &Service| {
        let base = service.base_path.as_ref();
        base.map_or_else(String::new, |base| base.bare().to_owned())
    };
    let mut others = services[..at].iter();
    let Some(other) = others.find(|other| other.port == service.port) else {
        return;
    };
    if services[..at]
        .iter()
        .any(|other| other.port == service.port && bare(other) == bare(service))
    {
        complain(
            wrong,
            field("port"),
            format!(
                "Another service has port {} already. Two can share it if their base_path differs.",
                service.port
            ),
        );
    }
    if other.scheme != service.scheme {
        complain(
            wrong,
            field("scheme"),
            format!(
                "Port {} speaks {}, says {}.",
                service.port,
                other.scheme.name(),
                other.id
            ),
        );
    }
}

pub(super) fn base_path(manifest: &Manifest, at: usize, base: &BasePath, wrong: &mut Wrong) {
    let field = |name: &str| format!("services[{at}].base_path.{name}");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
    let inner = base.path.strip_prefix('/');
    let inner = inner.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    if base.path == "/" {
        complain(
            wrong,
            field("path"),
            "That is where services are: leave base_path out.",
        );
    } else if !inner.is_some_and(|inner| inner.split('/').all(part)) || base.path.len() > 200 {
        complain(
            wrong,
            field("path"),
            "Give a path such as /lab: letters, digits and -._~ between its /, 200 characters at most.",
        );
    } else if base
        .path
        .strip_prefix(OURS)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        complain(
            wrong,
            field("path"),
            format!("Addresses below {OURS} are the proxy's own."),
        );
    }
    if let Some(env) = &base.env {
        let mut told = manifest.services[..at].iter();
        let twice = told.any(|other| {
            let other = other.base_path.as_ref();
            other.is_some_and(|other| other.env.as_ref() == Some(env))
        });
        if !is_variable(env) {
            complain(
                wrong,
                field("env"),
                "Use letters, digits and _, not beginning with a digit.",
            );
        } else if twice || manifest.env.iter().any(|known| known.name == *env) {
            complain(wrong, field("env"), format!("{env} is set already."));
        }
    }
    let Some(flag) = &base.flag else { return };
    if base.env.is_some() {
        complain(wrong, field("flag"), "Say env or flag, not both.");
    }
    let name = flag.strip_suffix('=').unwrap_or(flag);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !name.starts_with('-') || flag.len() > 100 || !name.bytes().all(plain) {
        complain(
            wrong,
            field("flag"),
            "Give a flag such as --root-path, with = behind it if the path is to be in the same word.",
        );
    }
    let shell = |words: &[String]| words[0].ends_with("sh") && words[1] == "-c";
    if manifest.command.is_empty() {
        complain(
            wrong,
            field("flag"),
            "It is put behind the command, and there is none: give a command.",
        );
    } else if manifest.command.get(..2).is_some_and(shell) {
        complain(
            wrong,
            field("flag"),
            "A shell passes what is behind the command on to nobody: say env, and use it there.",
        );
    }
}
