//! Takes fields out of a JSON object, and collects what is wrong with them.
use super::Wrong;
use crate::api::jobs::Content;
use crate::domain::text::is_invisible_order;
use serde_json::Value;

/// The fields at the top level, and those under `constraints`.
pub(super) struct Reader<'a> {
    content: &'a Content,
    constraints: Option<&'a Content>,
    pub(super) wrong: Wrong,
    /// All that was looked for.
    #[cfg(test)]
    pub(super) asked: std::cell::RefCell<std::collections::BTreeSet<String>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(content: &'a Content) -> Self {
        let mut wrong = Wrong::new();
        let constraints = match content.get("constraints") {
            Some(Value::Object(nested)) => Some(nested),
            None | Some(Value::Null) => None,
            Some(_) => {
                wrong.insert(
                    "constraints".into(),
                    "Give constraints as a JSON object.".into(),
                );
                None
            }
        };
        Self {
            content,
            constraints,
            wrong,
            #[cfg(test)]
            asked: std::cell::RefCell::default(),
        }
    }

    /// The first complaint about a field is the one that is told.
    pub(super) fn complain(&mut self, field: &str, why: &str) {
        self.wrong
            .entry(field.to_owned())
            .or_insert_with(|| why.to_owned());
    }

    /// The value, at the top level or under `constraints`; `null` is none.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        #[cfg(test)]
        self.asked.borrow_mut().insert(field.to_owned());
        let there = |map: &'a Content| map.get(field).filter(|value| !value.is_null());
        there(self.content).or_else(|| self.constraints.and_then(there))
    }

    pub(super) fn text(&mut self, field: &str, longest: usize) -> Option<String> {
        let Value::String(text) = self.get(field)? else {
            self.complain(field, "This must be text.");
            return None;
        };
        let text = text.trim();
        if text.chars().count() > longest {
            self.complain(field, &format!("Use at most {longest} characters."));
        } else if text.chars().any(is_invisible_order) {
            self.complain(field, "Control characters are not allowed here.");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub(super) fn required_text(&mut self, field: &str, longest: usize, missing: &str) -> String {
        let text = self.text(field, longest);
        if text.is_none() {
            self.complain(field, missing);
        }
        text.unwrap_or_default()
    }

    pub(super) fn word(&mut self, field: &str, words: &[&str]) -> Option<String> {
        let word = self.text(field, 40)?;
        if words.contains(&word.as_str()) {
            return Some(word);
        }
        self.complain(field, &format!("Use one of: {}.", words.join(", ")));
        None
    }

    pub(super) fn texts(&mut self, field: &str, most: usize) -> Vec<String> {
        let Some(value) = self.get(field) else {
            return Vec::new();
        };
        let texts: Option<Vec<String>> = value.as_array().and_then(|items| {
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        });
        match texts {
            Some(texts) if texts.len() > most => {
                self.complain(field, &format!("There can be {most} entries at most."));
                Vec::new()
            }
            Some(texts) if field != "args" && texts.iter().any(String::is_empty) => {
                self.complain(field, "Entries cannot be empty.");
                Vec::new()
            }
            Some(texts) => texts,
            None => {
                self.complain(field, "Give an array of text.");
                Vec::new()
            }
        }
    }

    pub(super) fn positive(&mut self, field: &str, most: f64) -> Option<f64> {
        let number = self.get(field)?.as_f64();
        match number {
            Some(number) if number > 0.0 && number <= most => Some(number),
            Some(_) => {
                self.complain(field, &format!("Give a number above 0 and up to {most}."));
                None
            }
            None => {
                self.complain(field, "This must be a number.");
                None
            }
        }
    }

    pub(super) fn whole(&mut self, field: &str, least: u32, most: u32) -> Option<u32> {
        let number = self.get(field)?.as_f64().and_then(exactly);
        match number {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.complain(
                    field,
                    &format!("Give a whole number from {least} to {most}."),
                );
                None
            }
        }
    }

    pub(super) fn flag(&mut self, field: &str) -> Option<bool> {
        let Value::Bool(flag) = self.get(field)? else {
            self.complain(field, "This must be true or false.");
            return None;
        };
        Some(*flag)
    }
}

/// The whole number that `number` is: some clients write `3600.0`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked before"
)]
fn exactly(number: f64) -> Option<u32> {
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    whole.then_some(number as u32)
}
