//! The portal's cookies, all of them out of reach of scripts.
use super::Config;
use crate::api::accounts::{Delivery, Registered, SignedIn};
use crate::domain::id::{AccountId, DraftId};
use time::{Duration, OffsetDateTime};
use tower_cookies::cookie::SameSite;
use tower_cookies::{Cookie, Cookies};
use url::form_urlencoded::{byte_serialize, parse};

/// Holds the orchestrator's session token.
const SESSION: &str = "jg_session";
/// Says which registration a code will belong to. Never becomes a session.
const SIGNUP: &str = "jg_signup";
/// Which version of the stylesheet the browser has been told to fetch.
const STYLE: &str = "jg_css";
/// The draft that this browser began last, for those who go back to its beginning.
const BEGUN: &str = "jg_begun";
/// What the next page says once.
const SAID: &str = "jg_said";

/// How long a registration may wait for its code, counting new codes.
const SIGNUP_LASTS: Duration = Duration::hours(1);
/// How long going back to the beginning of a draft finds it.
const BEGUN_LASTS: Duration = Duration::hours(1);

impl Config {
    /// `__Host-` makes browsers refuse the cookie from any other host or path,
    /// but they accept it over https only.
    fn name(&self, plain: &'static str) -> &'static str {
        match (self.secure_cookies, plain) {
            (true, SESSION) => "__Host-jg_session",
            (true, SIGNUP) => "__Host-jg_signup",
            (true, SAID) => "__Host-jg_said",
            (true, BEGUN) => "__Host-jg_begun",
            _ => plain,
        }
    }

    fn bake(&self, plain: &'static str, value: String, lasts: Duration) -> Cookie<'static> {
        Cookie::build((self.name(plain), value))
            .path("/")
            .secure(self.secure_cookies)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(lasts)
            .build()
    }

    /// Removes by overwriting: a removal must carry the attributes that
    /// `__Host-` demands, or browsers ignore it.
    fn forget(&self, cookies: &Cookies, plain: &'static str) {
        if cookies.get(self.name(plain)).is_some() {
            cookies.add(self.bake(plain, String::new(), Duration::ZERO));
        }
    }

    fn read(&self, cookies: &Cookies, plain: &'static str) -> Option<String> {
        let value = cookies.get(self.name(plain))?.value().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// The token of a session. A key in its place is nobody: pages are for people.
    pub(super) fn session(&self, cookies: &Cookies) -> Option<String> {
        self.read(cookies, SESSION)
            .filter(|token| token.starts_with("jgs_"))
    }

    pub(super) fn sign_in(&self, cookies: &Cookies, with: SignedIn, now: OffsetDateTime) {
        let lasts = (with.expires_at - now).max(Duration::ZERO);
        cookies.add(self.bake(SESSION, with.token, lasts));
        self.forget(cookies, SIGNUP);
    }

    pub(super) fn sign_out(&self, cookies: &Cookies) {
        self.forget(cookies, SESSION);
        self.forget(cookies, BEGUN);
    }

    pub(super) fn has_begun(&self, cookies: &Cookies, draft: DraftId) {
        cookies.add(self.bake(BEGUN, draft.to_string(), BEGUN_LASTS));
    }

    pub(super) fn begun(&self, cookies: &Cookies) -> Option<DraftId> {
        self.read(cookies, BEGUN)?.parse().ok()
    }

    pub(super) fn begins_anew(&self, cookies: &Cookies) {
        self.forget(cookies, BEGUN);
    }

    pub(super) fn registered(&self, cookies: &Cookies, with: &Registered) {
        let delivery = match with.delivery {
            Delivery::Smtp => "smtp",
            Delivery::Outbox => "outbox",
        };
        let email: String = byte_serialize(with.email.as_bytes()).collect();
        let value = format!("{}.{delivery}.{email}", with.account_id);
        cookies.add(self.bake(SIGNUP, value, SIGNUP_LASTS));
    }

    /// The registration of `email` that this browser began, if it is that one,
    /// and how mail leaves this installation, if that is known.
    pub(super) fn registration(
        &self,
        cookies: &Cookies,
        email: &str,
    ) -> (Option<AccountId>, Option<Delivery>) {
        let Some(value) = self.read(cookies, SIGNUP) else {
            return (None, None);
        };
        let mut parts = value.splitn(3, '.');
        let id = parts.next().and_then(|id| id.parse().ok());
        let delivery = match parts.next() {
            Some("outbox") => Some(Delivery::Outbox),
            Some("smtp") => Some(Delivery::Smtp),
            _ => None,
        };
        let this = parts.next().is_some_and(|of| plain(of) == email);
        (id.filter(|_| this), delivery)
    }

    /// Whether the browser can have version `tag` of the stylesheet. From now on
    /// it is taken to have it.
    pub(super) fn has_style(&self, cookies: &Cookies, tag: &str) -> bool {
        let has = cookies.get(STYLE).is_some_and(|had| had.value() == tag);
        if !has {
            cookies.add(self.bake(STYLE, tag.to_owned(), Duration::days(365)));
        }
        has
    }

    /// Has the next page say `text` once: for what has been done before a 303.
    pub(crate) fn say(&self, cookies: &Cookies, text: &str) {
        let text: String = byte_serialize(text.as_bytes()).collect();
        cookies.add(self.bake(SAID, text, Duration::minutes(1)));
    }

    pub(super) fn said(&self, cookies: &Cookies) -> Option<String> {
        let value = self.read(cookies, SAID)?;
        self.forget(cookies, SAID);
        Some(plain(&value))
    }
}

/// What [`byte_serialize`] wrote.
fn plain(text: &str) -> String {
    let mut pairs = parse(text.as_bytes());
    pairs
        .next()
        .map(|(text, _)| text.into_owned())
        .unwrap_or_default()
}
