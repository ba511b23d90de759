//! How far an upload is. Browsers that run no scripts show it themselves.
use crate::web::{assets, ui};
use maud::{Markup, html};

/// What a page needs whose forms bring files.
pub(in crate::web) fn script() -> Markup {
    html! { script src=(assets::url("upload.js")) defer {} }
}

/// How much may be brought, in bytes: of one file, and of all together.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::web) struct Room {
    pub(in crate::web) largest: i64,
    pub(in crate::web) free: i64,
}

impl Room {
    pub(in crate::web) fn of(list: &crate::api::inputs::List) -> Self {
        Self {
            largest: list.max_bytes,
            free: (list.quota_bytes - list.used_bytes).max(0),
        }
    }

    /// The same in words.
    pub(in crate::web) fn words(self) -> String {
        let (largest, free) = (
            super::words::size(self.largest),
            super::words::size(self.free),
        );
        if self.free == 0 {
            return "There is no room left: delete files that you do not need.".to_owned();
        }
        if self.free < self.largest {
            return format!("There is room for {free} more.");
        }
        format!("Up to {largest} each; there is room for {free} more.")
    }
}

/// What `upload.js` fills while the files of the form around it are on their way.
pub(in crate::web) fn shown(room: Room) -> Markup {
    html! {
        div data-sending data-most=(room.largest) data-free=(room.free) {
            div.note.is-bad role="alert" hidden { (ui::icon("warn")) p.strong { "The files were not uploaded" } p {} }
            div hidden {
                progress aria-label="Upload" {}
                div.row {
                    span.small {}
                    button.btn.push type="button" { "Cancel the upload" }
                }
            }
            p.vh role="status" {}
        }
    }
}
