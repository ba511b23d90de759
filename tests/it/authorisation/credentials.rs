//! Every kind of credential that a request can come with.
use crate::harness::TestApi;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http::{Method, StatusCode};
use junglegrid::domain::api_key::{self, Scope};
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;

/// Whose a credential is, as far as the API cares.
#[derive(Debug, Clone)]
pub(super) enum Holder {
    Nobody,
    Person,
    Operator,
    /// A program with a key that has these scopes.
    Key(Vec<&'static str>),
    /// With a key that does not work any more; says why.
    Ended(&'static str),
    /// With a key that works from somewhere else.
    Elsewhere,
}

type Headers = Vec<(HeaderName, String)>;

#[derive(Debug)]
pub(super) struct Credentials(Vec<(String, Holder, Headers, String)>);

impl Credentials {
    /// All kinds, made by people of this installation, whose clock is moved.
    pub(crate) async fn make(api: &TestApi) -> Self {
        let root = api.sign_up("root@example.org").await;
        let ada = api.sign_up("ada@example.org").await;
        let eve = api.sign_up("eve@example.org").await;
        let all: Vec<_> = Scope::ALL.map(Scope::name).to_vec();
        let mut made = Self(Vec::new());
        made.bearer("a session", Holder::Person, &ada);
        made.bearer("an operator's session", Holder::Operator, &root);
        for scope in &all {
            let key = make(api, &ada, json!({ "scopes": [scope] })).await;
            made.bearer(&format!("{scope} alone"), Holder::Key(vec![scope]), &key.0);
        }
        let good = make(api, &ada, json!({ "scopes": all })).await;
        made.bearer("all scopes", Holder::Key(all.clone()), &good.0);
        let operators = make(api, &root, json!({ "scopes": all })).await;
        made.bearer("an operator's key", Holder::Key(all.clone()), &operators.0);
        let foreign = make(api, &eve, json!({ "scopes": all })).await;
        made.bearer(
            "another workspace's key",
            Holder::Key(all.clone()),
            &foreign.0,
        );
        let here = json!({ "scopes": all, "allowed_ips": ["192.0.2.0/24"] });
        let here = make(api, &ada, here).await;
        made.bearer("a key for here", Holder::Key(all.clone()), &here.0);
        let elsewhere = json!({ "scopes": all, "allowed_ips": ["198.51.100.0/24", "2001:db8::1"] });
        let elsewhere = make(api, &ada, elsewhere).await;
        made.bearer("a key for elsewhere", Holder::Elsewhere, &elsewhere.0);

        let soon = (api.clock.now() + Duration::HOUR).format(&Rfc3339).unwrap();
        let expired = make(api, &ada, json!({ "scopes": all, "expires_at": soon })).await;
        let disabled = make(api, &ada, json!({ "scopes": all })).await;
        post(api, &ada, &disabled.1, "disable").await;
        let revoked = make(api, &ada, json!({ "scopes": all })).await;
        let path = format!("/v1/api-keys/{}", revoked.1);
        let answer = api.call(Method::DELETE, &path, &ada, Value::Null).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let rotated = make(api, &ada, json!({ "scopes": all })).await;
        post(api, &ada, &rotated.1, "rotate").await;
        api.clock.advance(Duration::hours(2));
        let ended = [
            (&expired, "This API key has expired."),
            (&disabled, "This API key is disabled."),
            (&revoked, "This API key has been revoked."),
        ];
        for (key, why) in ended {
            made.bearer(why, Holder::Ended(why), &key.0);
        }
        made.bearer(
            "a rotated key's older secret",
            Holder::Key(all.clone()),
            &rotated.0,
        );

        made.worthless(&good.0, &ada);
        let lower = vec![(AUTHORIZATION, format!("bearer  {}", good.0))];
        made.add("a lower-case scheme", Holder::Key(all), lower, "");
        made
    }

    /// What nobody is known by, although a good key and a session are in it.
    fn worthless(&mut self, key: &str, session: &str) {
        let unknown = api_key::compose(&"a".repeat(api_key::RANDOM_DIGITS));
        let last = if key.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{last}", &key[..key.len() - 1]);
        let (more, twice) = (format!("{key} x"), format!("{key}{key}"));
        self.add("nothing", Holder::Nobody, vec![], "");
        for garbage in [
            "x",
            "jgs_nobody",
            "jg_1234",
            "null",
            &unknown,
            &mistyped,
            &more,
            &twice,
        ] {
            self.bearer(garbage, Holder::Nobody, garbage);
        }
        let bearers = [key, session].map(|token| (AUTHORIZATION, format!("Bearer {token}")));
        // Neither cookies nor addresses carry credentials.
        for (name, headers) in [
            ("Basic", vec![(AUTHORIZATION, format!("Basic {key}"))]),
            ("no scheme", vec![(AUTHORIZATION, key.to_owned())]),
            ("two bearers", bearers.to_vec()),
            (
                "a session's cookie",
                vec![(COOKIE, format!("__Host-jg_session={session}"))],
            ),
            (
                "a key as a cookie",
                vec![(COOKIE, format!("jg_session={key}"))],
            ),
        ] {
            self.add(name, Holder::Nobody, headers, "");
        }
        let query = format!("?access_token={key}&api_key={key}");
        self.add("a query", Holder::Nobody, vec![], &query);
    }

    fn add(&mut self, name: &str, holder: Holder, headers: Headers, query: &str) {
        self.0
            .push((name.to_owned(), holder, headers, query.to_owned()));
    }

    fn bearer(&mut self, name: &str, holder: Holder, token: &str) {
        let headers = vec![(AUTHORIZATION, format!("Bearer {token}"))];
        self.add(name, holder, headers, "");
    }

    pub(super) fn each(
        &self,
    ) -> impl Iterator<Item = (&str, &Holder, &[(HeaderName, String)], &str)> {
        let each = self.0.iter();
        each.map(|(name, holder, headers, query)| (&**name, holder, &**headers, &**query))
    }
}

/// A key and its id.
pub(crate) async fn make(api: &TestApi, session: &str, mut body: Value) -> (String, String) {
    body["name"] = json!("test");
    let made = api.call(Method::POST, "/v1/api-keys", session, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    (made.text("/key"), made.text("/id"))
}

/// Does something to a key.
pub(crate) async fn post(api: &TestApi, session: &str, id: &str, what: &str) -> Value {
    let path = format!("/v1/api-keys/{id}/{what}");
    let done = api.call(Method::POST, &path, session, Value::Null).await;
    assert_eq!(done.status, 200, "{:?}", done.body);
    done.body
}
