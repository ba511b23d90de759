//! What is asked for at a launch, besides its limits.
use super::{Manifest, Variable};
use crate::domain::secret::Secret;
use std::collections::BTreeMap;

/// Bytes of one value.
const LONGEST: usize = 4_096;

/// What whoever launches it has said, by the variable's name; empty is as good as not
/// given.
pub type Given = BTreeMap<String, Secret>;

impl Manifest {
    /// The variables that are asked for at the launch.
    pub fn settings(&self) -> impl Iterator<Item = &Variable> {
        self.env.iter().filter(|variable| variable.asked())
    }

    /// What is wrong with `given`: a sentence by the name of each variable.
    #[must_use]
    pub fn check_settings(&self, given: &Given) -> BTreeMap<String, String> {
        let mut wrong = BTreeMap::new();
        for (name, value) in given {
            let why = match self.settings().find(|known| known.name == *name) {
                None => Some(self.no_such(name)),
                Some(_) => flaw(value.expose()).map(str::to_owned).or_else(|| {
                    let fits = value.expose().bytes().all(|b| (0x20..0x7f).contains(&b));
                    (!fits && self.signs_in(name))
                        .then(|| "Use letters without accents, digits and signs.".to_owned())
                }),
            };
            wrong.extend(why.map(|why| (name.clone(), why)));
        }
        for variable in self.settings().filter(|variable| variable.required) {
            let said = given
                .get(&variable.name)
                .is_some_and(|value| !value.expose().is_empty());
            if !said {
                let why = format!("{} is needed to start it.", variable.title());
                wrong.entry(variable.name.clone()).or_insert(why);
            }
        }
        wrong
    }

    fn no_such(&self, name: &str) -> String {
        let known: Vec<&str> = self
            .settings()
            .map(|variable| variable.name.as_str())
            .collect();
        let name: String = name.chars().take(60).collect();
        if known.is_empty() {
            return format!("This template asks for no settings; {name:?} means nothing to it.");
        }
        let known = known.join(", ");
        format!("This template does not ask for {name:?}. It takes: {known}.")
    }

    /// The users as whom the proxy signs in to services with this variable as the password, in
    /// the manner of HTTP Basic: `{basic:user:NAME}`.
    pub fn signs_in_as(&self, name: &str) -> impl Iterator<Item = &str> {
        let services = self.services.iter();
        let values = services.filter_map(|service| Some(service.auth.as_ref()?.value.as_str()));
        values.flat_map(move |value| {
            value.split('{').filter_map(move |part| {
                let (inside, _) = part.split_once('}')?;
                let (user, variable) = inside.strip_prefix("basic:")?.rsplit_once(':')?;
                (variable == name).then_some(user)
            })
        })
    }

    /// Whether the proxy signs in to a service with it, in a header.
    fn signs_in(&self, name: &str) -> bool {
        let (alone, basic) = (format!("{{{name}}}"), format!(":{name}}}"));
        self.services
            .iter()
            .filter_map(|service| service.auth.as_ref())
            .any(|auth| auth.value.contains(&alone) || auth.value.contains(&basic))
    }
}

/// Why no variable can have this value.
pub(super) fn flaw(value: &str) -> Option<&'static str> {
    if value.len() > LONGEST {
        return Some("Use at most 4,096 bytes.");
    }
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    value
        .contains(odd)
        .then_some("It has a character in it that does not show. Copy it again.")
}
