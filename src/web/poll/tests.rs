use super::*;

fn row(key: u32, text: &str) -> Row {
    let key = format!("{key:08x}");
    let markup = html! { tr #{ "j" (key) } { td { (text) } } };
    Row { key, markup }
}

fn parts(rows: &[(u32, &str)], head: &str) -> Parts {
    Parts {
        rows: rows.iter().map(|(key, text)| row(*key, text)).collect(),
        fixed: vec![("#head", html! { p #head { (head) } })],
    }
}

fn told(from: &Parts, to: &Parts) -> Vec<(String, String)> {
    let (markup, shown) = to.since(&from.version()).expect("parts");
    assert_eq!(shown, to.version());
    let attribute = |one: &str, name: &str| {
        let rest = one.split(&format!("{name}=\"")).nth(1).expect("it");
        rest.split('"').next().expect("it").to_owned()
    };
    let partials = markup.0.split("<hx-partial ").skip(1);
    partials
        .map(|one| (attribute(one, "hx-target"), attribute(one, "hx-swap")))
        .collect()
}

#[test]
fn a_version_survives_text_and_nonsense_is_none() {
    let version = parts(&[(1, "a"), (2, "b")], "x").version();
    assert_eq!(version.to_string().parse(), Ok(version));
    for bad in [
        "",
        "0.abc",
        "0.12345.",
        "0.123456.1",
        "0.12345é.",
        "-1..",
        "<b>",
    ] {
        assert_eq!(bad.parse::<Version>(), Err(()), "{bad}");
    }
}

#[test]
fn only_what_differs_is_told_and_where_it_belongs() {
    let before = parts(&[(5, "a"), (4, "b"), (2, "c"), (1, "d")], "x");
    let after = parts(
        &[(7, "n"), (6, "n"), (5, "a"), (4, "B"), (3, "n"), (2, "c")],
        "x",
    );
    let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    assert_eq!(
        told(&before, &after),
        pairs(&[
            ("#j00000001", "delete"),
            ("#job-rows", "afterbegin"),
            ("#j00000004", "outerMorph"),
            ("#j00000004", "afterend"),
        ])
    );
    assert_eq!(
        told(&before, &parts(&[(4, "b")], "y")),
        pairs(&[
            ("#j00000005,#j00000002,#j00000001", "delete"),
            ("#head", "outerMorph"),
        ])
    );
    assert_eq!(told(&after, &after), []);
}

#[test]
fn what_does_not_fit_comes_with_the_next_answers() {
    let long = "x".repeat(ROOM / 3);
    let rows: Vec<(u32, &str)> = (0..8).map(|key| (9 - key, long.as_str())).collect();
    let all = parts(&rows, "x");
    let mut shown = all.beginning();
    assert!(shown.rows.len() == 2 && shown.fixed == [unseen()]);
    for answers in 1.. {
        let (markup, next) = all.since(&shown).expect("parts");
        assert!(markup.0.len() < ROOM + 500, "{}", markup.0.len());
        assert_ne!(shown, next, "it gets on");
        shown = next;
        if shown == all.version() {
            assert_eq!(answers, 3);
            break;
        }
    }
    let huge = "x".repeat(ROOM * 2);
    let huge = parts(&[(1, huge.as_str())], "x");
    assert_eq!(huge.beginning().rows.len(), 1);
}

#[test]
fn what_changes_all_the_time_leaves_nothing_behind() {
    let at = |time: u32| {
        let long = format!("{time}{}", "x".repeat(ROOM / 3));
        let rows: Vec<(u32, &str)> = (0..8).map(|key| (9 - key, long.as_str())).collect();
        parts(&rows, &long)
    };
    let first = at(0).version();
    let mut shown = first.clone();
    for time in 1..6 {
        let now = at(time);
        shown = now.since(&shown).expect("parts").1;
        let every = Some("every 5s".to_owned());
        assert_eq!(shown.trigger(&now.version(), false, "5s"), every);
    }
    let old = shown.rows.iter().filter(|row| first.rows.contains(row));
    assert_eq!((old.count(), shown.fixed == first.fixed), (0, false));
}

#[test]
fn another_page_or_another_order_is_loaded_again() {
    let page = parts(&[(2, "a"), (1, "b")], "x");
    let turned = parts(&[(1, "b"), (2, "a")], "x");
    assert!(page.since(&turned.version()).is_none());
    let empty = parts(&[], "x");
    assert!(page.since(&empty.version()).is_none());
    let older = Parts {
        fixed: Vec::new(),
        ..parts(&[(2, "a")], "x")
    };
    assert!(page.since(&older.version()).is_none());
    for known in ["", "what"] {
        let answer = answer(known, &page, |_| html! {});
        assert_eq!(answer.headers()["hx-refresh"], "true");
    }
}
