use super::*;

fn hosts(listen: &str, public: &str) -> Hosts {
    Hosts::new(
        listen.parse().unwrap(),
        &public.parse().unwrap(),
        "Apps.localhost",
    )
}

#[test]
fn only_our_own_names_have_a_site() {
    let local = hosts("127.0.0.1:8080", "http://127.0.0.1:8080");
    let secure = hosts("0.0.0.0:8080", "https://grid.example.com");
    let app = |label: &str| Some(Site::App(label.into()));
    for (hosts, host, site) in [
        (&local, "127.0.0.1:8080", Some(Site::Portal)),
        (&local, "LOCALHOST:8080", Some(Site::Portal)),
        (&local, "[::1]:8080", Some(Site::Portal)),
        (&local, "localhost", None),
        (&local, "localhost:80", None),
        (&local, "localhost.:8080", None),
        (&local, "evil.example:8080", None),
        (&local, "x1-y.apps.localhost:8080", app("x1-y")),
        (&local, "X1.Apps.Localhost:8080", app("x1")),
        (&local, "x.y.apps.localhost:8080", None),
        (&local, ".apps.localhost:8080", None),
        (&local, "apps.localhost:8080", None),
        (&local, "x.apps.localhost", None),
        (&secure, "grid.example.com", Some(Site::Portal)),
        (&secure, "grid.example.com:443", Some(Site::Portal)),
        (&secure, "grid.example.com:80", None),
        (&secure, "0.0.0.0:8080", Some(Site::Portal)),
        (&secure, "x.apps.localhost:443", app("x")),
    ] {
        assert_eq!(hosts.site(host), site, "{host}");
    }
    let plain = hosts("127.0.0.1:80", "http://127.0.0.1");
    assert_eq!(plain.site("localhost"), Some(Site::Portal));
    assert_eq!(plain.site("localhost:80"), Some(Site::Portal));
}

#[test]
fn only_trusted_proxies_say_who_the_client_is() {
    let mut rules = Rules::new(hosts("127.0.0.1:8080", "http://127.0.0.1:8080"));
    rules.trusted = vec!["10.0.0.0/8".parse().unwrap()];
    for (peer, forwarded, client) in [
        ("192.0.2.7", vec!["198.51.100.1"], "192.0.2.7"),
        ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
        (
            "10.0.0.1",
            vec!["203.0.113.5, 198.51.100.1"],
            "198.51.100.1",
        ),
        (
            "10.0.0.1",
            vec!["203.0.113.5", "198.51.100.1, 10.0.0.2"],
            "198.51.100.1",
        ),
        (
            "10.0.0.1",
            vec!["203.0.113.5, nonsense, 10.0.0.2"],
            "10.0.0.2",
        ),
        ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", vec![], "10.0.0.1"),
    ] {
        let mut request = http::Request::builder().extension(Peer(peer.parse().unwrap()));
        for line in &forwarded {
            request = request.header(FORWARDED_FOR, *line);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(rules.client(&parts).0.to_string(), client, "{forwarded:?}");
    }
}
