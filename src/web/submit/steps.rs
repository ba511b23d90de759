//! The wizard's steps and their addresses.
use super::fields::{self, Field};
use crate::domain::id::DraftId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Workload,
    Image,
    Resources,
    Routing,
    Review,
}

impl Step {
    pub(super) const ALL: [Self; 5] = [
        Self::Workload,
        Self::Image,
        Self::Resources,
        Self::Routing,
        Self::Review,
    ];

    /// As it is written in addresses.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Image => "image",
            Self::Resources => "resources",
            Self::Routing => "routing",
            Self::Review => "review",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// In the list of steps.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Workload => "Workload",
            Self::Image => "Image",
            Self::Resources => "Resources",
            Self::Routing => "Routing",
            Self::Review => "Review",
        }
    }

    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Workload => "What do you want to run?",
            Self::Image => "Image and command",
            Self::Resources => "Resources and limits",
            Self::Routing => "Where it may run",
            Self::Review => "Review and confirm",
        }
    }

    pub(super) const fn fields(self) -> &'static [Field] {
        match self {
            Self::Workload => fields::WORKLOAD,
            Self::Image => fields::IMAGE,
            Self::Resources => fields::RESOURCES,
            Self::Routing => fields::ROUTING,
            Self::Review => &[],
        }
    }

    /// Counts from 1.
    pub(super) const fn number(self) -> usize {
        self as usize + 1
    }

    pub(super) fn previous(self) -> Option<Self> {
        let before = (self as usize).checked_sub(1)?;
        Some(Self::ALL[before])
    }

    pub(super) fn next(self) -> Self {
        Self::ALL.get(self.number()).copied().unwrap_or(self)
    }

    /// The step that asks for `field`, if one does.
    pub(super) fn asking(field: &str) -> Option<Self> {
        let asks = |step: &Self| step.fields().iter().any(|asked| asked.name == field);
        Self::ALL.into_iter().find(asks)
    }

    pub(super) fn path(self, draft: DraftId) -> String {
        format!("/portal/submit/{draft}/{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other() {
        for pair in Step::ALL.windows(2) {
            assert_eq!(pair[0].next(), pair[1]);
            assert_eq!(pair[1].previous(), Some(pair[0]));
            assert_eq!(Step::named(pair[0].name()), Some(pair[0]));
        }
        assert_eq!(Step::Review.next(), Step::Review);
        assert_eq!(Step::Workload.previous(), None);
        assert_eq!(Step::named("estimate"), None);
        assert_eq!(Step::asking("environment"), Some(Step::Image));
    }
}
