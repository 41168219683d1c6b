//! `erne demo`: the platform with simulated traffic, sent through the public API as a real sender would.

mod shop;

use super::run::{Args as RunArgs, Up, runtime, stop_signal, write_secret};
use super::simulate::{Truth, now, send_live};
use crate::client::Client;
use shop::Shop;
use sim::{Kind, SimConfig, SimEvent, Simulator};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PASSWORD_FILE: &str = "secrets/admin.password";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub run: RunArgs,
    /// Simulated events per second.
    #[arg(long, default_value_t = 25.0)]
    pub rate: f64,
    /// Begins with this much simulated past, in minutes, so that the timelines are full.
    #[arg(long, default_value_t = 120)]
    pub history_mins: u64,
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Stops by itself after so many seconds; 0 means never.
    #[arg(long, default_value_t = 0)]
    pub secs: u64,
}

pub fn run(args: Args, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut config = args.run.config(file)?;
    // Made-up alerts have no place in a database that others look at.
    config.control.url = None;
    if args.run.data_dir.is_none() {
        config.data_dir = config.data_dir.join("demo");
        let beside = |name: &str| config.data_dir.parent().map(|d| d.join("geoip").join(name)).filter(|p| p.is_file());
        config.geoip.city = config.geoip.city.take().or_else(|| beside("city.mmdb"));
        config.geoip.asn = config.geoip.asn.take().or_else(|| beside("asn.mmdb"));
    }
    runtime()?.block_on(async {
        let up = Up::start(&config).await?;
        let password_file = config.data_dir.join(PASSWORD_FILE);
        if let Some(password) = &up.password {
            write_secret(&password_file, password)?;
        }
        let password = std::fs::read_to_string(&password_file).unwrap_or_default();
        eprintln!("\n  Erne demo: http://{}\n  log in as   admin\n  password    {}\n", up.address, password.trim());
        eprintln!("  simulated traffic: {} events/s, {} min of history first; the secrets are in {}", args.rate, args.history_mins, config.data_dir.display());
        eprintln!("  Ctrl-C stops it; the data stays\n");
        let stopped = Arc::new(AtomicBool::new(false));
        let traffic = spawn_traffic(&args, format!("http://{}", up.address), up.key.clone(), password.trim().to_owned(), stopped.clone())?;
        let secs = args.secs;
        let stop = async move {
            tokio::select! {
                () = stop_signal() => {}
                () = tokio::time::sleep(Duration::from_secs(secs)), if secs > 0 => {}
            }
            stopped.store(true, Ordering::Relaxed);
        };
        let code = up.until(stop).await;
        let _ = traffic.join();
        code
    })
}

fn spawn_traffic(args: &Args, url: String, key: String, password: String, stopped: Arc<AtomicBool>) -> std::io::Result<std::thread::JoinHandle<()>> {
    let mut simulator = Simulator::new(SimConfig {
        kind: Kind::Mixed,
        // A restarted demo goes on with other traffic, not with the same again.
        seed: args.seed ^ now().secs() as u64,
        rate: args.rate,
        attacks: 0.02,
        start: now().plus_secs(-(args.history_mins as i64) * 60),
    });
    std::thread::Builder::new().name("erne-traffic".into()).spawn(move || {
        let client = Client::new(url.clone(), key);
        let forever = Duration::from_secs(10 * 365 * 86_400);
        let stop = || stopped.load(Ordering::Relaxed);
        let mut shop = Shop::open(&url, &password).inspect_err(|error| tracing::error!("the demo's web agent does not run: {error:#}")).ok();
        let mut seen = |events: &[SimEvent]| {
            if let Some(Err(error)) = shop.as_mut().map(|shop| shop.ask(events)) {
                tracing::warn!("the demo's web agent: {error:#}");
            }
        };
        let result = Truth::open(None).and_then(|mut truth| send_live(&client, &mut simulator, &mut truth, forever, &stop, &mut seen));
        if let Err(error) = result
            && !stop()
        {
            tracing::error!("the demo's traffic stopped: {error:#}");
        }
    })
}
