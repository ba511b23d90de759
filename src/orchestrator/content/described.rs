//! The reader and the API's description of what it reads know the same fields.
use super::reader::Reader;
use super::{Defaults, callbacks, spec};
use crate::api::content::JobContent;
use crate::api::jobs::Content;
use crate::domain::reach::Allow;
use serde_json::{Value, json};
use std::collections::BTreeSet;

static NOTHING: Allow = Allow::NOTHING;
const DEFAULTS: Defaults<'static> = Defaults {
    time_limit_seconds: 3_600,
    callback_allow: &NOTHING,
};

/// Whoever teaches the reader a field has to describe it, and the other way round.
#[test]
fn what_is_read_is_what_is_described() {
    let nothing = Content::new();
    let mut from = Reader::new(&nothing);
    spec(&mut from, DEFAULTS);
    let mut read = from.asked.take();
    let callbacks = [
        "callback_url",
        "callback_auth_token",
        "callback_metadata",
        "callback",
        "webhook_url",
    ];
    for field in callbacks {
        let odd = json!({ "callback_url": "https://a.example", field: [] });
        let odd = odd.as_object().expect("an object").clone();
        let wrong = callbacks::wrong(&odd, &NOTHING);
        assert!(wrong.iter().any(|(name, _)| *name == field), "{field}");
    }
    read.extend(callbacks.map(str::to_owned));
    // These are taken and not looked at.
    read.extend(["notes", "template", "constraints"].map(str::to_owned));
    let schema = schemars::schema_for!(JobContent).to_value();
    let fields = |at: &Value| {
        let fields = at["properties"].as_object().expect("properties").keys();
        fields.cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(read, fields(&schema));
    let nested = fields(&schema["$defs"]["JobConstraints"]);
    assert!(nested.is_subset(&read), "{nested:?}");
}
