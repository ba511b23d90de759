//! What visitors do to a page.
use super::Browser;
use fantoccini::Locator;
use fantoccini::actions::{InputSource as _, MouseActions, PointerAction};
use std::path::Path;

impl Browser {
    /// Types `text` instead of what is in the field.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.see(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Types `text` over what is in the field and goes on to the next.
    pub(crate) async fn retype(&self, css: &str, text: &str) {
        let field = self.see(css).await;
        let keys = format!("\u{e009}a\u{e000}{text}\u{e004}");
        field.send_keys(&keys).await.unwrap();
    }

    /// Chooses a file for a field.
    pub(crate) async fn choose(&self, css: &str, file: &Path) {
        let field = self.see(css).await;
        field.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    /// Presses what `css` selects, as soon as that is possible.
    pub(crate) async fn click(&self, css: &str) {
        let what = format!("{css} to be pressed");
        self.until(&what, async || {
            let element = self.client.find(Locator::Css(css)).await.ok()?;
            element.click().await.ok()
        })
        .await;
    }

    /// Presses the visible button or link that says `words`.
    pub(crate) async fn press(&self, words: &str) {
        let xpath = format!("//*[self::button or self::a][normalize-space(.)='{words}']");
        let what = format!("“{words}” to be pressed");
        self.until(&what, async || {
            for element in self.client.find_all(Locator::XPath(&xpath)).await.ok()? {
                if element.is_displayed().await.unwrap_or(false) && element.click().await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    pub(crate) async fn double_click(&self, css: &str) {
        let element = self.see(css).await;
        let press = || PointerAction::Down {
            button: fantoccini::actions::MOUSE_BUTTON_LEFT,
        };
        let lift = || PointerAction::Up {
            button: fantoccini::actions::MOUSE_BUTTON_LEFT,
        };
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement {
                element,
                duration: None,
                x: 0.0,
                y: 0.0,
            })
            .then(press())
            .then(lift())
            .then(press())
            .then(lift());
        self.client.perform_actions(mouse).await.unwrap();
    }
}
