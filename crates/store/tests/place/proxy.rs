//! Stands between a lake and the S3 server and does what networks and stores do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Hands everything on.
    Kind,
    /// Ends every connection at once.
    Away,
    /// Takes requests and never answers.
    Silent,
    /// Hands commits on, and ends the connection instead of answering.
    SwallowsAnswersOfCommits,
    /// As above, and is away from the first such commit on.
    DiesAfterACommit,
    /// Leaves out this header of requests.
    Strips(&'static str),
    /// Answers everything with this status and body.
    Says(u16, &'static str),
}

pub struct Proxy {
    pub address: String,
    mood: Arc<Mutex<Mood>>,
    /// The heads of all requests, as they came.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (mood, heads) = (Arc::new(Mutex::new(Mood::Kind)), Arc::new(Mutex::new(Vec::new())));
        let server = server.trim_start_matches("http://").to_owned();
        let proxy = Self { address, mood: mood.clone(), heads: heads.clone() };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, mood, heads) = (server.clone(), mood.clone(), heads.clone());
                std::thread::spawn(move || {
                    // A client that goes away is no failure of the test.
                    let _ = serve(client, &server, &mood, &heads);
                });
            }
        });
        proxy
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// One request, and the end of the connection.
fn serve(mut client: TcpStream, server: &str, mood: &Mutex<Mood>, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    if *mood.lock().unwrap() == Mood::Away {
        return client.shutdown(Shutdown::Both);
    }
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    let (head, body) = read_request(&mut client)?;
    heads.lock().unwrap().push(head.clone());
    let now = mood.lock().unwrap().clone();
    let commit = head.starts_with("PUT ") && head.lines().next().is_some_and(|l| l.contains("/_delta_log/") && l.contains(".json"));
    match now {
        Mood::Away => return client.shutdown(Shutdown::Both),
        Mood::Silent => {
            std::thread::sleep(Duration::from_secs(60));
            return Ok(());
        }
        Mood::Says(status, body) => {
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            return client.write_all(answer.as_bytes());
        }
        _ => {}
    }
    let stripped = match now {
        Mood::Strips(name) => name,
        _ => "",
    };
    let answer = ask(server, &head, &body, stripped)?;
    match now {
        Mood::DiesAfterACommit if commit => {
            *mood.lock().unwrap() = Mood::Away;
            client.shutdown(Shutdown::Both)
        }
        Mood::SwallowsAnswersOfCommits if commit => client.shutdown(Shutdown::Both),
        _ => client.write_all(&answer),
    }
}

fn read_request(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        let mut more = [0; 16 << 10];
        let read = client.read(&mut more)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&more[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(end);
    let have = body.len();
    body.resize(length, 0);
    if have < length {
        client.read_exact(&mut body[have..])?;
    }
    Ok((head, body))
}

/// The server's whole answer. Each has its own connection, which the server closes.
fn ask(server: &str, head: &str, body: &[u8], stripped: &str) -> std::io::Result<Vec<u8>> {
    let mut upstream = TcpStream::connect(server)?;
    let dropped = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        name == "connection" || (!stripped.is_empty() && name == stripped)
    };
    let lines: Vec<&str> = head.trim_end().lines().filter(|l| !dropped(l)).collect();
    upstream.write_all(format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n")).as_bytes())?;
    upstream.write_all(body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    Ok(answer)
}
