//! Two processes and one data directory.
use junglegrid::app::lock;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let parent = tempfile::tempdir().unwrap();
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "data_dir::holds_the_directory_until_its_input_ends",
        ])
        .current_dir(parent.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(other.stdout.take().unwrap());
    let ready = said
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("it is mine"));
    assert!(ready, "the other process got the directory");

    let data = parent.path().join("data");
    let error = lock::take(&data).unwrap_err().to_string();
    let expected = format!(
        "the data directory {} is in use by another junglegrid (process {}). \
         Stop it, or choose another with --data",
        data.display(),
        other.id()
    );
    assert_eq!(error, expected);

    // Killed, not asked: the system gives the directory back all the same.
    other.kill().unwrap();
    other.wait().unwrap();
    let _held = lock::take(&data).unwrap();
}

/// The other process of the test above.
#[test]
#[ignore = "started by another test"]
fn holds_the_directory_until_its_input_ends() {
    let _held = lock::take(Path::new("data")).unwrap();
    println!("it is mine");
    std::io::read_to_string(std::io::stdin()).unwrap();
}
