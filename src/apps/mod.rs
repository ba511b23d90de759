//! Apps that are part of this program: `junglegrid app …`, launched from templates
//! as confined processes of the machine. They know nothing of the grid, and trust
//! whoever comes through its proxy, which has asked already.
mod console;
mod files;
mod guard;
mod page;

use axum::Router;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Which app, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum App {
    /// A file browser.
    Files { root: PathBuf, port: u16 },
    /// A shell, and beside it a view of what the machine does.
    Console {
        root: PathBuf,
        port: u16,
        monitor_port: u16,
    },
}

/// Serves the app on loopback until SIGTERM arrives.
///
/// # Errors
///
/// If the folder is not there or a port is taken.
pub fn main(app: App) -> anyhow::Result<()> {
    // Few threads: an app shares its machine with the work that it is for, and a
    // sandbox counts them.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()?
        .block_on(run(app))
}

async fn run(app: App) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A file that may not grow any more is an error to be told, not the end.
    let _too_large = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    let sites = match app {
        App::Files { root, port } => vec![(port, files::router(&root)?)],
        App::Console {
            root,
            port,
            monitor_port,
        } => {
            let (shell, monitor) = console::routers(&root)?;
            vec![(port, shell), (monitor_port, monitor)]
        }
    };
    let mut serving = tokio::task::JoinSet::new();
    for (port, router) in sites {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
        let router: Router = guard::wrap(router);
        serving.spawn(async move { axum::serve(listener, router).await });
    }
    // Nothing is waited for: streams never end by themselves, and an upload that
    // is cut off leaves only its temporary file, which the next start removes.
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        Some(ended) = serving.join_next() => Ok(ended??),
    }
}
