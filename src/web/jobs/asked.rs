//! What the address of the list says.
use crate::api::bulk;
use crate::api::jobs::Filter;
use crate::domain::job::Status;
use crate::domain::spec::WorkloadType;
use crate::web::ui::job_row::type_name;
use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Duration};

pub(super) const PATH: &str = "/portal/jobs";
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Takes one filter out.
type Clear = fn(&mut Asked);

/// Empty means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) status: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) image: String,
    /// The first day and the last (UTC), both included.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) to: String,
    /// Empty for the newest first.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) sort: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) cursor: String,
}

fn cut(text: &str, most: usize) -> String {
    let shown = text.trim().chars().filter(|c| !c.is_control());
    shown.take(most).collect()
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text.trim(), DAY)
        .ok()
        .filter(|day| (1970..9999).contains(&day.year()))
}

impl Asked {
    /// Without what means nothing.
    pub(super) fn cleaned(mut self) -> Self {
        self.q = cut(&self.q, 200);
        self.image = cut(&self.image, 512);
        if !matches!(&*self.status, "active" | "ended") {
            self.status = Status::named(&self.status).map_or("", Status::name).into();
        }
        self.kind = WorkloadType::named(&self.kind)
            .map_or("", WorkloadType::name)
            .into();
        for text in [&mut self.from, &mut self.to] {
            *text = day(text).map(|day| day.to_string()).unwrap_or_default();
        }
        let known = matches!(&*self.sort, "oldest" | "cost" | "runtime");
        if !known || !self.by_time() && !self.sorts_by_figures() {
            self.sort.clear();
        }
        self
    }

    pub(super) fn by_time(&self) -> bool {
        matches!(&*self.sort, "" | "oldest")
    }

    /// Whether it can be sorted by cost and runtime.
    pub(super) fn sorts_by_figures(&self) -> bool {
        [&self.q, &self.image, &self.from, &self.to]
            .iter()
            .all(|value| value.is_empty())
    }

    /// The one address of this list.
    pub(super) fn path(&self) -> String {
        self.below(PATH)
    }

    pub(super) fn below(&self, path: &str) -> String {
        match serde_html_form::to_string(self).unwrap_or_default() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    pub(super) fn at(&self, cursor: &str) -> Self {
        Self {
            cursor: cursor.to_owned(),
            ..self.clone()
        }
    }

    pub(super) fn sorted(&self, sort: &str) -> Self {
        Self {
            sort: sort.to_owned(),
            ..self.at("")
        }
    }

    pub(super) fn is_filtered(&self) -> bool {
        !(self.sorts_by_figures() && self.status.is_empty() && self.kind.is_empty())
    }

    /// Each filter in words, and the list without it.
    pub(super) fn chips(&self) -> Vec<(String, Self)> {
        let status = match &*self.status {
            "active" => "Active".to_owned(),
            "ended" => "Ended".to_owned(),
            word => capitalized(word),
        };
        let kind = WorkloadType::named(&self.kind).map_or("", type_name);
        let all: [(&str, String, Clear); 6] = [
            (&self.q, format!("“{}”", self.q), |asked| {
                asked.q.clear();
            }),
            (&self.status, status, |asked| asked.status.clear()),
            (&self.kind, kind.to_owned(), |asked| asked.kind.clear()),
            (&self.image, format!("Image {}", self.image), |asked| {
                asked.image.clear();
            }),
            (&self.from, format!("From {}", self.from), |asked| {
                asked.from.clear();
            }),
            (&self.to, format!("To {}", self.to), |asked| {
                asked.to.clear();
            }),
        ];
        let set = all.into_iter().filter(|(value, ..)| !value.is_empty());
        set.map(|(_, words, clear)| {
            let mut without = self.at("");
            clear(&mut without);
            (words, without)
        })
        .collect()
    }

    fn since(&self) -> Option<String> {
        said(&self.from)
    }

    fn until(&self) -> Option<String> {
        let next = day(&self.to).and_then(|day| day.checked_add(Duration::DAY));
        next.map(|day| day.to_string())
    }

    pub(super) fn filter(&self) -> Filter {
        Filter {
            limit: None,
            cursor: said(&self.cursor),
            status: said(&self.status),
            workload_type: said(&self.kind),
            q: said(&self.q),
            image: said(&self.image),
            created_after: self.since(),
            created_before: self.until(),
            sort: said(&self.sort),
        }
    }

    /// The same for cancelling what it finds.
    pub(super) fn of_many(&self) -> bulk::Filter {
        bulk::Filter {
            status: said(&self.status),
            workload_type: said(&self.kind),
            q: said(&self.q),
            image: said(&self.image),
            created_after: self.since(),
            created_before: self.until(),
        }
    }
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn capitalized(word: &str) -> String {
    let mut rest = word.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_only_what_means_something() {
        let asked = Asked {
            q: "  a&b ".into(),
            status: "canceled".into(),
            kind: "dancing".into(),
            from: "yesterday".into(),
            to: "2026-11-30".into(),
            sort: "cost".into(),
            ..Asked::default()
        };
        let asked = asked.cleaned();
        assert_eq!(
            asked.path(),
            "/portal/jobs?q=a%26b&status=cancelled&to=2026-11-30"
        );
        assert_eq!(Asked::default().path(), "/portal/jobs");
        assert_eq!(
            asked.at("x y").path(),
            "/portal/jobs?q=a%26b&status=cancelled&to=2026-11-30&cursor=x+y"
        );
        assert_eq!(asked.filter().created_before.as_deref(), Some("2026-12-01"));
        let words: Vec<_> = asked.chips().into_iter().map(|(words, _)| words).collect();
        assert_eq!(words, ["“a&b”", "Cancelled", "To 2026-11-30"]);
        assert_eq!(
            asked.chips()[1].1.path(),
            "/portal/jobs?q=a%26b&to=2026-11-30"
        );
    }
}
