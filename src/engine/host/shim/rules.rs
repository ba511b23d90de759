//! Landlock: the kernel's own list of what the run may touch, which holds even
//! where a mount or a file mode would let it.
use super::super::record::{BINARY, Measure, Order};
use super::root::Place;
use super::sandbox::Walls;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, Scope,
};
use std::path::{Path, PathBuf};

/// The newest rules that we ask for; older kernels enforce what they know.
const RULES: ABI = ABI::V6;

/// Restricts the calling process and all that it starts.
pub(super) fn restrict(order: &Order, walls: &Walls, place: &Place) -> Measure {
    let unwalled = !order.host_network && !walls.own_network;
    match apply(order, walls, place) {
        Ok(status) => judge(&status, unwalled),
        Err(error) => Measure::new("landlock", false, format!("refused by the kernel: {error}")),
    }
}

fn apply(order: &Order, walls: &Walls, place: &Place) -> Result<RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .scope(Scope::from_all(RULES))?;
    if !order.host_network && !walls.own_network {
        // No rule allows any port.
        rules = rules.handle_access(AccessNet::from_all(RULES))?;
    }
    let mut rules = rules
        .create()?
        .add_rule(PathBeneath::new(&place.opened, AccessFs::from_all(RULES)))?;
    for (path, access) in allowed(order, walls, place) {
        // What this machine does not have needs no rule.
        if let Ok(descriptor) = PathFd::new(&path) {
            rules = rules.add_rule(PathBeneath::new(descriptor, access))?;
        }
    }
    rules.restrict_self()
}

fn allowed(order: &Order, walls: &Walls, place: &Place) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let read = AccessFs::from_read(RULES);
    let look = read & !AccessFs::Execute;
    let all = AccessFs::from_all(RULES);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    // In the machine's own directories nothing covers what must stay hidden, and
    // no rule can take back what another one gives.
    let safe = |path: &&PathBuf| {
        place.own_root || !order.hidden.iter().any(|hidden| hidden.starts_with(path))
    };
    let mut allowed: Vec<_> = order
        .readable
        .iter()
        .filter(safe)
        .map(|path| (path.clone(), read))
        .collect();
    if place.own_root {
        allowed.extend(
            [
                ("/etc", look),
                ("/proc", look | AccessFs::WriteFile),
                ("/dev", look | device),
            ]
            .map(|(path, access)| (path.into(), access)),
        );
        allowed.push(("/dev/shm".into(), all & !AccessFs::Execute));
        allowed.push(("/tmp".into(), all));
        allowed.push((BINARY.into(), AccessFs::ReadFile | AccessFs::Execute));
        let volumes = order.volumes.iter();
        allowed.extend(volumes.map(|volume| (volume.inside.clone(), all)));
    } else {
        // The machine's own directories: only what everyone may see anyway.
        for name in [
            "passwd",
            "group",
            "nsswitch.conf",
            "hosts",
            "resolv.conf",
            "localtime",
            "ld.so.cache",
            "ssl",
            "ca-certificates",
            "alternatives",
        ] {
            allowed.push((Path::new("/etc").join(name), look));
        }
        if !walls.own_processes {
            // The first process must find what it has to end.
            allowed.push(("/proc".into(), look));
        }
        for name in ["null", "zero", "full", "random", "urandom"] {
            allowed.push((Path::new("/dev").join(name), device));
        }
    }
    allowed
}

/// Believes the kernel only after trying: the root directory is in no rule.
fn judge(status: &RestrictionStatus, forbid_tcp: bool) -> Measure {
    let abi = match status.landlock {
        LandlockStatus::NotEnabled => {
            return Measure::new(
                "landlock",
                false,
                "the kernel has it, but it is not enabled",
            );
        }
        LandlockStatus::NotImplemented => {
            return Measure::new("landlock", false, "the kernel does not have it");
        }
        LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        } => kernel_abi.map_or_else(
            || format!("{effective_abi:?}"),
            |abi| format!("{abi} of the kernel"),
        ),
    };
    if std::fs::read_dir("/").is_ok() {
        return Measure::new(
            "landlock",
            false,
            format!("ABI {abi} was applied, but a forbidden directory could still be read"),
        );
    }
    let extent = match status.ruleset {
        RulesetStatus::FullyEnforced => "all rules are enforced",
        RulesetStatus::PartiallyEnforced => "the rules that this kernel knows are enforced",
        RulesetStatus::NotEnforced => {
            return Measure::new("landlock", false, "no rule is enforced");
        }
    };
    let tcp = if forbid_tcp {
        ", TCP is forbidden in place of a network namespace"
    } else {
        ""
    };
    Measure::new("landlock", true, format!("ABI {abi}: {extent}{tcp}"))
}
