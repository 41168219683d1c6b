//! `erne bench gateway`: how long the gateway takes to answer, at a given rate of signed questions over kept connections.

use super::{Server, percentile, scratch};
use crate::output::thousands;
use anyhow::{Context, bail};
use engine::control::{Control, WebAgent};
use event::Timestamp;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ID: &str = "agt_bench";
const SECRET: &str = "c2VjcmV0LW9mLXRoZS1iZW5jaG1hcmstYWdlbnQtMzI";
const PATH: &str = "/api/v1/inspect";

#[derive(clap::Args)]
pub struct Args {
    /// Questions per second; 0 means as fast as it goes.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    #[arg(long, default_value_t = 20)]
    secs: u64,
    /// Questions under way at once.
    #[arg(long, default_value_t = 8)]
    connections: u64,
    /// One question in so many is an attack; 0 means none.
    #[arg(long, default_value_t = 20)]
    attack_every: u64,
    /// Bytes of the body that one question in ten carries.
    #[arg(long, default_value_t = 2_048)]
    body_bytes: usize,
}

#[derive(Default)]
struct Tally {
    latencies_ms: Vec<f64>,
    /// The same from when the question was due: what waited for another one is in it.
    due_ms: Vec<f64>,
    attacks: u64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let dir = scratch("gateway")?;
    make_agent(&dir)?;
    let server = Server::start(&dir, &[])?;
    let cpu = server.cpu_secs();
    let number = AtomicU64::new(0);
    let started = Instant::now();
    let tallies = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.connections.max(1)).map(|_| scope.spawn(|| ask(args, server.address, &number, started))).collect();
        threads.into_iter().map(|t| t.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?).collect::<anyhow::Result<Vec<Tally>>>()
    })?;
    let secs = started.elapsed().as_secs_f64();
    let mut all = Tally::default();
    for tally in tallies {
        all.latencies_ms.extend(tally.latencies_ms);
        all.due_ms.extend(tally.due_ms);
        all.attacks += tally.attacks;
    }
    let count = all.latencies_ms.len() as u64;
    println!("load: {} connections, {} s, one attack in {}, one body of {} bytes in ten", args.connections, args.secs, args.attack_every, args.body_bytes);
    println!("answered: {} questions, {}/s, {} told as attacks", thousands(count), thousands((count as f64 / secs) as u64), thousands(all.attacks));
    for (name, values) in [("answer", &mut all.latencies_ms), ("answer, from when it was due", &mut all.due_ms)] {
        println!("{name}: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, most {:.1} ms", percentile(values, 0.5), percentile(values, 0.99), percentile(values, 0.999), percentile(values, 1.0));
    }
    let (now, most) = server.memory();
    println!("server: {:.0} µs of processor time a question; memory {} MB, at most {} MB", (server.cpu_secs() - cpu) * 1e6 / count.max(1) as f64, now >> 20, most >> 20);
    drop(server);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// The agent must be there before the server is.
fn make_agent(dir: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let control = Control::open(&dir.join("erne.db")).await?;
        let now = super::super::simulate::now();
        let agent = WebAgent {
            id: ID.into(), name: "bench".into(), application: "shop".into(), secret: SECRET.into(), enabled: true, profile: None,
            assigned: 0, created_at: now, created_by: "bench".into(),
        };
        control.create_web_agent(&agent, now).await?;
        control.close().await;
        Ok(())
    })
}

/// One connection's questions.
fn ask(args: &Args, address: SocketAddr, number: &AtomicU64, started: Instant) -> anyhow::Result<Tally> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut tally, mut buffer) = (Tally::default(), Vec::new());
    let until = started + Duration::from_secs(args.secs);
    loop {
        let n = number.fetch_add(1, Ordering::Relaxed);
        let mut due = Instant::now();
        if args.rate > 0 {
            due = started + Duration::from_secs_f64(n as f64 / args.rate as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        if due >= until {
            return Ok(tally);
        }
        let request = question(n, args, address, super::super::simulate::now());
        let sent = Instant::now();
        connection.write_all(&request)?;
        let (status, is_attack) = answer(&mut connection, &mut buffer)?;
        if status != 200 {
            bail!("the server answered {status}: {}", String::from_utf8_lossy(&buffer));
        }
        tally.latencies_ms.push(sent.elapsed().as_secs_f64() * 1e3);
        tally.due_ms.push(due.elapsed().as_secs_f64() * 1e3);
        tally.attacks += u64::from(is_attack);
    }
}

/// A browser's request with eleven headers and cookies, or an attack.
fn question(n: u64, args: &Args, address: SocketAddr, now: Timestamp) -> Vec<u8> {
    let is_attack = args.attack_every > 0 && n.is_multiple_of(args.attack_every);
    let uri = match (is_attack, n % 3) {
        (true, 0) => format!("/items?id={n}%27%20UNION%20SELECT%20name,password%20FROM%20users--%20"),
        (true, 1) => format!("/search?q=%3Cscript%3Edocument.location=%27//x/{n}%27%3C/script%3E"),
        (true, _) => format!("/get?file=..%2F..%2F..%2Fetc%2Fpasswd&n={n}"),
        (false, _) => format!("/shop/items/{}?page={}&sort=price&q=blue+shoes&session=9f8e7d6c5b4a{n}", n % 900, n % 12),
    };
    let mut body = serde_json::json!({
        "id": format!("{n:016x}"), "trace_id": format!("{n:032x}"), "method": "GET", "uri": uri, "http_version": "1.1", "scheme": "https",
        "client_ip": format!("203.0.113.{}", n % 250), "route": "/shop/items/{id}",
        "headers": [
            ["Host", "shop.example"], ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"],
            ["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], ["Accept-Language", "en-GB,en;q=0.5"],
            ["Accept-Encoding", "gzip, deflate, br"], ["Referer", "https://shop.example/shop/items?page=3"], ["Connection", "keep-alive"],
            ["Cookie", format!("sid=5f4dcc3b5aa765d61d8327deb882cf99; basket={n}; consent=1; _ga=GA1.2.1234567890.1700000000")],
            ["Sec-Fetch-Dest", "document"], ["Sec-Fetch-Mode", "navigate"], ["Cache-Control", "no-cache"],
        ],
    });
    if n % 10 == 3 {
        const WORDS: &str = "comment=order+item+price+total+currency+basket+voucher+address+carrier+parcel+status+region&name=";
        let text: String = WORDS.chars().cycle().take(args.body_bytes).collect();
        body["method"] = "POST".into();
        body["body_b64"] = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text).into();
        body["headers"][6] = serde_json::json!(["Content-Type", "application/x-www-form-urlencoded"]);
    }
    let body = body.to_string();
    let signature = api::sign_as_agent(ID, SECRET, "POST", PATH, body.as_bytes(), now.secs(), &format!("{n:032x}"));
    format!("POST {PATH} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {signature}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Reads one answer: its status, and whether it tells an attack.
fn answer(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<(u16, bool)> {
    buffer.clear();
    let mut piece = [0; 16 << 10];
    loop {
        let read = connection.read(&mut piece)?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        buffer.extend_from_slice(&piece[..read]);
        let Some(end) = find(buffer, b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
        let length: usize = head.lines().find_map(|l| l.strip_prefix("content-length:")).context("an answer without a length")?.trim().parse()?;
        if buffer.len() >= end + 4 + length {
            let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
            return Ok((status, find(&buffer[end..], b"\"verdict\":\"attack\"").is_some()));
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
