//! `erne run`: the platform, until it is told to stop.

use crate::client::KEY_FILE;
use crate::command::hunt::describe;
use crate::output::thousands;
use anyhow::Context;
use api::{ApiConfig, CancellationToken, Server};
use engine::{Config, Platform, Running};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Where everything is kept.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// The address of the API and the dashboard; port 0 takes a free one.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Adds rules: a file or a folder, re-read when they change. May be repeated.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    /// Adds threat lists: files or folders, re-read when they change. May be repeated.
    #[arg(long)]
    pub lists: Vec<PathBuf>,
    /// Processing pipelines in pySigma's format, which change the rules. May be repeated.
    #[arg(long)]
    pub pipeline: Vec<PathBuf>,
    /// Leaves Erne's own content out.
    #[arg(long)]
    pub no_builtin: bool,
}

impl Args {
    /// The configuration with the flags on top.
    pub fn config(&self, file: Option<&Path>) -> anyhow::Result<Config> {
        let mut config = super::config::load(file)?;
        if let Some(dir) = &self.data_dir {
            config.data_dir.clone_from(dir);
        }
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        config.rules.dirs.extend(self.rules.iter().cloned());
        config.rules.lists.extend(self.lists.iter().cloned());
        config.rules.pipelines.extend(self.pipeline.iter().cloned());
        config.rules.builtin &= !self.no_builtin;
        Ok(config)
    }
}

pub fn run(args: Args, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = args.config(file)?;
    runtime()?.block_on(async {
        let up = Up::start(&config).await?;
        up.greet(&config);
        up.until(stop_signal()).await
    })
}

pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("erne-io")
        .enable_all()
        .build()
        .context("the I/O threads cannot be started")
}

/// A platform and its server.
pub struct Up {
    running: Running,
    server: Server,
    pub address: SocketAddr,
    /// A key for commands on this machine.
    pub key: String,
    /// The admin's password, if it was made just now.
    pub password: Option<String>,
}

impl Up {
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let started = std::time::Instant::now();
        let running = engine::start(config).await?;
        for issue in &running.load_issues {
            tracing::warn!("not loaded: {}", describe(issue));
        }
        let platform = running.platform.clone();
        let password = api::ensure_admin(platform.control(), platform.now()).await?;
        let key = local_key(&platform).await?;
        let server = Server::bind(platform, api_config(config)).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = server.local_addr();
        tracing::info!(%address, rules = running.platform.rules().len(), ms = started.elapsed().as_millis() as u64, "ready");
        for notice in running.platform.readiness().notices {
            tracing::warn!("{notice}");
        }
        Ok(Self { running, server, address, key, password })
    }

    pub fn platform(&self) -> &Platform {
        &self.running.platform
    }

    fn greet(&self, config: &Config) {
        eprintln!("\n  Erne is watching at http://{}", self.address);
        eprintln!("  data in {}, {} rules, {} events", config.data_dir.display(), self.platform().rules().len(), thousands(self.platform().totals().events));
        match &self.password {
            Some(password) => eprintln!("  log in as admin with the password {password}\n  (shown only now; change it under Settings)\n"),
            None => eprintln!("  log in as admin; the password was printed at the first start\n"),
        }
    }

    /// Serves until `stop` resolves, then puts everything away.
    pub async fn until(self, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<ExitCode> {
        let shutdown = CancellationToken::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            stop.await;
            told.cancel();
        });
        self.server.run(shutdown).await?;
        eprintln!("stopping: finishing what was received");
        self.running.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn api_config(config: &Config) -> ApiConfig {
    ApiConfig {
        listen: config.listen,
        ingest_open_on_loopback: config.open_ingest_on_loopback,
        hooks_open_on_loopback: config.gateway.hooks_open_on_loopback,
        whale_basic: config.gateway.whale_basic,
        ..ApiConfig::default()
    }
}

/// Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        tracing::error!("SIGTERM cannot be watched; stop with Ctrl-C");
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// What commands on this machine may do without a key of their own.
const LOCAL_SCOPES: &[&str] = &["ingest", "read", "answer"];

/// The key in the data folder, made at the first start; who can read the folder may use it.
async fn local_key(platform: &Platform) -> anyhow::Result<String> {
    let path = platform.data_dir().join(KEY_FILE);
    if let Ok(key) = std::fs::read_to_string(&path)
        && api::key_has(platform.control(), key.trim(), LOCAL_SCOPES).await?
    {
        return Ok(key.trim().to_owned());
    }
    let key = api::create_key(platform.control(), "local commands", LOCAL_SCOPES, "erne", platform.now()).await?;
    write_secret(&path, &key).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(key)
}

pub fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}
