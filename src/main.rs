//! The `junglegrid` command.
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        // Before anything else: the shim must not have threads.
        (Some(command), Some(run)) if command == "shim" => {
            junglegrid::engine::host::shim::main(run.as_ref())
        }
        _ => ExitCode::FAILURE,
    }
}
