//! The portal as people use it: Chromium against the program itself. Where
//! Chromium or its driver is missing, the tests are reported as ignored, unless
//! `JUNGLEGRID_TEST_REQUIRE_ALL` is set.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there and then"
)]
mod apps;
mod callbacks;
mod driver;
mod files;
mod job_page;
mod journey;
mod keys;
mod layout;
mod lists;
mod logs;
mod pictures;
#[expect(dead_code, reason = "other tests share it")]
#[path = "../support/server.rs"]
mod server;
mod session;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// Lets a job go on whose script waits for the file `go` where it began.
fn let_go(server: &server::Server, job: &str) {
    let run = server.data().join("runs").join(job).join("1");
    std::fs::write(run.join("workspace/go"), "").unwrap();
}

/// Names a test after its function.
macro_rules! trials {
    ($( $module:ident :: $test:ident ),+ $(,)?) => {
        [$( (stringify!($module), stringify!($test), $module::$test as fn()) ),+]
    };
}

fn main() -> ExitCode {
    let tests = trials![
        journey::a_visitor_signs_up_and_sees_a_job_finish,
        journey::the_same_path_works_without_javascript,
        job_page::a_running_job_is_cancelled_and_run_again_from_its_page,
        job_page::a_page_survives_the_restart_of_the_server,
        session::a_guest_comes_back_to_where_they_wanted_to_go,
        session::what_is_private_is_gone_after_signing_out,
        lists::an_open_list_keeps_its_place_while_rows_come_and_go,
        lists::an_open_dashboard_follows_without_losing_its_place,
        lists::many_are_cancelled_after_a_look_at_them,
        lists::many_are_cancelled_without_javascript,
        apps::a_launch_is_watched_opened_used_and_stopped,
        apps::a_secret_is_given_at_the_launch_and_used_again,
        apps::an_app_is_launched_used_and_stopped_without_javascript,
        apps::one_page_grows,
        apps::a_failed_launch_shows_why_where_it_is_watched,
        apps::the_history_opens_what_failed,
        apps::the_history_opens_what_failed_without_javascript,
        apps::a_connection_that_is_cut_loses_and_repeats_nothing,
        apps::a_page_that_hears_nothing_asks,
        apps::a_page_that_hears_nothing_more_asks_from_where_it_was,
        keys::a_key_is_made_rotated_and_revoked,
        keys::a_key_is_made_rotated_and_revoked_without_javascript,
        callbacks::a_callback_is_followed_and_its_secret_rotated,
        callbacks::a_callback_is_followed_and_its_secret_rotated_without_javascript,
        files::a_file_goes_into_a_job_and_comes_out_of_it,
        files::a_file_goes_into_a_job_and_comes_out_of_it_without_javascript,
        files::a_file_goes_into_a_job_and_comes_out_of_it_far_away,
        files::an_upload_shows_how_far_it_is_and_can_be_cancelled,
        logs::output_is_searched_led_to_and_followed,
        logs::output_is_searched_led_to_and_followed_without_javascript,
        pictures::every_page_has_a_name_and_a_heading,
        pictures::every_page_has_a_name_and_a_heading_without_javascript,
        pictures::every_page_has_a_name_and_a_heading_on_a_phone,
        layout::no_page_is_wider_than_a_phone,
    ];
    let mut arguments = Arguments::from_args();
    // Each test has a browser and a server of its own.
    arguments.test_threads.get_or_insert(2);
    let missing = driver::missing();
    if let Some(path) = missing {
        eprintln!("{path} is missing: the tests in a browser are ignored");
    }
    let required = std::env::var_os("JUNGLEGRID_TEST_REQUIRE_ALL").is_some();
    let mut trials = vec![Trial::test(
        "journey::the_same_job_runs_through_the_api",
        || {
            journey::the_same_job_runs_through_the_api();
            Ok(())
        },
    )];
    trials.extend(tests.into_iter().map(|(module, name, test)| {
        let run = move || {
            if let Some(path) = missing {
                return Err(format!("{path} is missing").into());
            }
            test();
            Ok(())
        };
        Trial::test(format!("{module}::{name}"), run)
            .with_ignored_flag(missing.is_some() && !required)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}
