//! More than one page at a time.
use super::Browser;
use fantoccini::wd::WindowHandle;
use url::Url;

impl Browser {
    /// The whole address, for pages that are not the portal's.
    pub(crate) async fn url(&self) -> Url {
        self.client.current_url().await.unwrap()
    }

    /// The page that is looked at.
    pub(crate) async fn page(&self) -> WindowHandle {
        self.client.window().await.unwrap()
    }

    pub(crate) async fn pages(&self) -> usize {
        self.client.windows().await.unwrap().len()
    }

    /// Looks at another page, which the browser then shows.
    pub(crate) async fn turn_to(&self, page: &WindowHandle) {
        self.client.switch_to_window(page.clone()).await.unwrap();
    }

    /// Looks at the page that `act` opens beside this one.
    pub(crate) async fn opens(&self, act: impl Future<Output = ()>) -> WindowHandle {
        let before = self.client.windows().await.unwrap();
        act.await;
        let opened = self
            .until("another page", async || {
                let now = self.client.windows().await.ok()?;
                now.into_iter().find(|page| !before.contains(page))
            })
            .await;
        self.turn_to(&opened).await;
        opened
    }

    /// Makes room for more of a page than a screen has.
    pub(crate) async fn tall(&self) {
        self.client.set_window_size(1280, 2200).await.unwrap();
    }

    /// Keeps a picture of the page, where those are wanted.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("JUNGLEGRID_PICTURES") else {
            return;
        };
        let name = name.trim_matches('/').replace(['/', '?', '&', '='], "-");
        let picture = self.client.screenshot().await.unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, picture).unwrap();
    }

    /// The page on paper: a PDF.
    pub(crate) async fn paper(&self) -> Vec<u8> {
        let pages = fantoccini::wd::PrintConfiguration::default();
        self.client.print(pages).await.unwrap()
    }

    /// Opens a window of its own beside this one, and looks at it.
    pub(crate) async fn another(&self) -> WindowHandle {
        let opened = self.client.new_window(false).await.unwrap().handle;
        self.turn_to(&opened).await;
        opened
    }
}
