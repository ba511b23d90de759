//! Rows that come, go, move and change.
use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn shown(number: u8, looks: u64) -> Shown {
    let id = crate::domain::id::Id::at(OffsetDateTime::UNIX_EPOCH, [number; 10]);
    Shown { id, looks }
}

/// What a page does with the steps.
fn carried_out(before: &[Shown], after: &[Shown]) -> Vec<Shown> {
    let mut rows = before.to_vec();
    let at = |rows: &[Shown], id| rows.iter().position(|row| row.id == id).unwrap();
    for step in steps(before, after) {
        match step {
            Step::Remove(id) => {
                rows.remove(at(&rows, id));
            }
            Step::Insert(position, Some(next)) => {
                let next = at(&rows, next);
                rows.insert(next, after[position]);
            }
            Step::Insert(position, None) => rows.push(after[position]),
            Step::Redraw(position) => {
                let place = at(&rows, after[position].id);
                rows[place] = after[position];
            }
        }
    }
    rows
}

fn order() -> impl Strategy<Value = Vec<Shown>> {
    let rows = proptest::collection::hash_map(0..12_u8, 0..3_u64, 0..12);
    let rows = rows.prop_map(|rows: HashMap<u8, u64>| {
        let mut rows: Vec<Shown> = rows.into_iter().map(|(n, looks)| shown(n, looks)).collect();
        rows.sort_by_key(|row| row.id.to_string());
        rows
    });
    rows.prop_shuffle()
}

proptest! {
    #[test]
    fn the_steps_lead_to_the_new_rows(before in order(), after in order()) {
        prop_assert_eq!(carried_out(&before, &after), after);
    }
}

#[test]
fn one_row_that_moves_moves_alone() {
    let rows = |numbers: [u8; 4]| numbers.map(|number| shown(number, 0));
    let before = rows([1, 2, 3, 4]);
    let [first, second, _, fourth] = before;
    assert_eq!(steps(&before, &before), []);
    assert_eq!(
        steps(&before, &rows([2, 3, 4, 1])),
        [Step::Remove(first.id), Step::Insert(3, None)]
    );
    assert_eq!(
        steps(&before, &rows([4, 1, 2, 3])),
        [Step::Remove(fourth.id), Step::Insert(0, Some(first.id))]
    );
    assert_eq!(
        steps(&before, &rows([2, 1, 3, 4])),
        [Step::Remove(first.id), Step::Insert(1, Some(before[2].id))]
    );
    let mut changed = before;
    changed[1] = shown(2, 7);
    assert_eq!(steps(&before, &changed), [Step::Redraw(1)]);
    assert_eq!(
        steps(&before[1..], &before),
        [Step::Insert(0, Some(second.id))]
    );
}

fn launching() -> Launching {
    Launching {
        id: shown(1, 0).id,
        template: "files".into(),
        template_name: "Files".into(),
        mark: "FI".into(),
        workspace_name: "Moabi Labs".into(),
        status: crate::domain::app::Phase::Services,
        status_message: "Checking.".into(),
        phase_since: OffsetDateTime::UNIX_EPOCH,
        usual: None,
        slow: false,
        node: None,
    }
}

#[tokio::test]
async fn time_goes_on_where_nothing_changes() {
    let clock = Clock::manual(OffsetDateTime::UNIX_EPOCH);
    clock.advance(time::Duration::seconds(3));
    let board = Board {
        launches: vec![launching()],
    };
    let boards = futures_util::stream::iter([Ok(board)]).chain(futures_util::stream::pending());
    let api = Client::in_process(axum::Router::new());
    let told = messages(boards, clock.clone(), api, Duration::from_millis(5));
    let mut told = Box::pin(told);
    let (_, first) = told.next().await.unwrap();
    let three = "<td class=\"num\">3 s</td>";
    assert!(first.0.contains(three), "{}", first.0);
    clock.advance(time::Duration::seconds(60));
    loop {
        let (_, next) = told.next().await.unwrap();
        let cell = format!("hx-target=\"#{} .num\"", row_id(launching().id));
        assert!(next.0.contains(&cell), "{}", next.0);
        if next.0.contains(">1 min 3 s<") {
            break;
        }
    }
}
