//! The `junglegrid` command.
use anyhow::Context as _;
use junglegrid::settings::{self, Command, Settings};
use junglegrid::{app, telemetry};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(command), Some(run)) = (arguments.next(), arguments.next())
        && command == "shim"
    {
        // Before anything else: the shim must not have threads.
        return junglegrid::engine::host::shim::main(run.as_ref());
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("junglegrid: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let (command, matches) = match settings::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(clap) => clap.exit(),
    };
    match command {
        Command::Settings => {
            print!("{}", Settings::load(&matches)?.table());
            Ok(())
        }
        Command::Shim { .. } => {
            anyhow::bail!("the shim is started by the host engine, with the directory of a run")
        }
        // Settings are the server's; an app in its sandbox has none.
        Command::App { app } => junglegrid::apps::main(app.into()),
        Command::Serve => {
            let settings = Settings::load(&matches)?;
            telemetry::init(&settings.log)?;
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("cannot start the runtime")?
                .block_on(serve(settings))
        }
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    app::serve(settings, shutdown).await
}
