//! One connection to the server that takes writes, by OP_MSG, the only message that servers since 5.1 know.
//!
//! Our own, because the official driver brings 25 crates and turns on features of `rustls`, `tokio-util` and `simdutf8`
//! that the whole workspace shares; a sink needs five commands of it.

use super::address::{Address, Login};
use super::bson::{Bson, Document};
use super::scram::Scram;
use crate::sinks::{ANSWER_MAX, SinkError, unavailable};
use crate::tls;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::ClientConfig;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for one host to take a connection; others of a replica set are asked after it.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Hosts that are asked in one search for the primary: those of the URL, and those that they name.
const ASKED_MAX: usize = 64;
/// Largest answer; servers send none beyond their `maxMessageSizeBytes`.
const ANSWER_BYTES_MAX: usize = 48_000_000;
/// Messages from server to client before an exchange of passwords is given up.
const EXCHANGE_MAX: usize = 4;
const OP_MSG: i32 = 2013;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub struct Connection {
    stream: Box<dyn Stream>,
    request: i32,
    /// Largest document that the server takes.
    pub document_bytes_max: usize,
}

/// Finds the host that takes writes, and shows it who we are.
pub fn open(address: &Address) -> Result<Connection, SinkError> {
    let tls = address.tls.then(|| tls::client(address.authorities.as_deref())).transpose().map_err(unavailable)?;
    let mut waiting: VecDeque<String> = address.hosts.iter().cloned().collect();
    let mut asked: Vec<String> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    let end = Instant::now() + ANSWER_MAX;
    while let Some(host) = waiting.pop_front() {
        if asked.contains(&host) || asked.len() == ASKED_MAX {
            continue;
        }
        if Instant::now() > end {
            break;
        }
        asked.push(host.clone());
        match greet(&host, address, tls.as_ref()) {
            Ok(Greeted::Primary(connection)) => return Ok(connection),
            Ok(Greeted::Other { reason, primary, hosts }) => {
                primary.into_iter().for_each(|primary| waiting.push_front(primary));
                waiting.extend(hosts);
                reasons.push(format!("{host}: {reason}"));
            }
            Err(error) => reasons.push(format!("{host}: {error}")),
        }
    }
    Err(unavailable(reasons.join("; ")))
}

enum Greeted {
    Primary(Connection),
    Other { reason: String, primary: Option<String>, hosts: Vec<String> },
}

fn greet(host: &str, address: &Address, tls: Option<&Arc<ClientConfig>>) -> Result<Greeted, SinkError> {
    let mut connection = Connection { stream: dial(host, tls)?, request: 0, document_bytes_max: 16 << 20 };
    let hello = connection.command("admin", Document::default().with("hello", 1))?;
    let text = |key: &str| hello.text(key).map(str::to_owned);
    if let (Some(wanted), found) = (&address.replica_set, text("setName"))
        && found.as_ref() != Some(wanted)
    {
        let reason = format!("is of the replica set {}, not {wanted}", found.as_deref().unwrap_or("none"));
        return Ok(Greeted::Other { reason, primary: None, hosts: Vec::new() });
    }
    if hello.number("isWritablePrimary").or(hello.number("ismaster")).unwrap_or(0) == 0 {
        let hosts = match hello.get("hosts") {
            Some(Bson::Array(list)) => list.iter().filter_map(|host| if let Bson::String(host) = host { Some(host.clone()) } else { None }).collect(),
            _ => Vec::new(),
        };
        return Ok(Greeted::Other { reason: "is not the primary".into(), primary: text("primary"), hosts });
    }
    if let Some(bytes) = hello.number("maxBsonObjectSize").and_then(|bytes| usize::try_from(bytes).ok()) {
        connection.document_bytes_max = bytes;
    }
    if let Some(login) = &address.login {
        connection.log_in(login)?;
    }
    Ok(Greeted::Primary(connection))
}

fn dial(host: &str, tls: Option<&Arc<ClientConfig>>) -> Result<Box<dyn Stream>, SinkError> {
    let mut failed = unavailable("the name has no address");
    for place in host.to_socket_addrs().map_err(unavailable)? {
        let socket = match TcpStream::connect_timeout(&place, CONNECT_MAX) {
            Ok(socket) => socket,
            Err(error) => {
                failed = unavailable(error);
                continue;
            }
        };
        socket.set_read_timeout(Some(ANSWER_MAX)).and_then(|()| socket.set_write_timeout(Some(ANSWER_MAX))).map_err(unavailable)?;
        socket.set_nodelay(true).map_err(unavailable)?;
        return match tls {
            None => Ok(Box::new(socket)),
            Some(config) => {
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
                Ok(Box::new(tls::encrypt(config, name, socket).map_err(unavailable)?))
            }
        };
    }
    Err(failed)
}

impl Connection {
    /// Sends a command and waits for its answer, whatever that says.
    pub fn ask(&mut self, database: &str, command: Document, sequence: Option<(&str, &[Vec<u8>])>) -> Result<Document, SinkError> {
        let mut message = vec![0; 16];
        message.extend([0; 4]);
        message.push(0);
        command.with("$db", database).encode(&mut message);
        if let Some((name, documents)) = sequence {
            message.push(1);
            let bytes: usize = documents.iter().map(Vec::len).sum();
            message.extend((4 + name.len() as i32 + 1 + bytes as i32).to_le_bytes());
            message.extend(name.as_bytes());
            message.push(0);
            documents.iter().for_each(|document| message.extend(document));
        }
        self.request = self.request.wrapping_add(1);
        let length = message.len() as i32;
        for (place, number) in [length, self.request, 0, OP_MSG].into_iter().enumerate() {
            message[place * 4..place * 4 + 4].copy_from_slice(&number.to_le_bytes());
        }
        self.stream.write_all(&message).and_then(|()| self.stream.flush()).map_err(broken)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Document, SinkError> {
        let mut header = [0; 16];
        self.stream.read_exact(&mut header).map_err(broken)?;
        let number = |place: usize| i32::from_le_bytes([header[place], header[place + 1], header[place + 2], header[place + 3]]);
        let length = usize::try_from(number(0)).unwrap_or(0);
        if !(21..=ANSWER_BYTES_MAX).contains(&length) || number(8) != self.request || number(12) != OP_MSG {
            return Err(unavailable("the answer is not of MongoDB's protocol"));
        }
        let mut body = vec![0; length - 16];
        self.stream.read_exact(&mut body).map_err(broken)?;
        // Flag bits, then a section of kind 0, which is the only one in answers.
        let mut document = &body[5..];
        if body[4] != 0 {
            return Err(unavailable("the answer has no body"));
        }
        Document::decode(&mut document).map_err(|_| unavailable("the answer is broken"))
    }

    /// A command whose refusal is nobody's fault but the set-up's.
    pub fn command(&mut self, database: &str, command: Document) -> Result<Document, SinkError> {
        let name = command.0.first().map_or_else(String::new, |(name, _)| name.clone());
        let answer = self.ask(database, command, None)?;
        if answer.number("ok") == Some(1) {
            return Ok(answer);
        }
        Err(unavailable(format!("{name}: {}", answer.text("errmsg").unwrap_or("refused"))))
    }

    fn log_in(&mut self, login: &Login) -> Result<(), SinkError> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(unavailable)?;
        let scram = Scram::new(&login.user, &login.password, URL_SAFE_NO_PAD.encode(nonce));
        let start = Document::default()
            .with("saslStart", 1)
            .with("mechanism", "SCRAM-SHA-256")
            .with("payload", Bson::Binary(scram.first().into_bytes()))
            .with("options", Document::default().with("skipEmptyExchange", true));
        let mut answer = self.command(&login.source, start)?;
        let proof = scram.proof(&payload(&answer)).map_err(unavailable)?;
        let mut message = proof.message.clone();
        let mut trusted = false;
        for _ in 0..EXCHANGE_MAX {
            let next = Document::default()
                .with("saslContinue", 1)
                .with("conversationId", answer.get("conversationId").cloned().unwrap_or(Bson::Int32(1)))
                .with("payload", Bson::Binary(std::mem::take(&mut message).into_bytes()));
            answer = self.command(&login.source, next)?;
            trusted |= proof.is_answered_by(&payload(&answer));
            if !trusted {
                return Err(unavailable("the server does not know the password itself"));
            }
            if answer.number("done") == Some(1) {
                return Ok(());
            }
        }
        Err(unavailable("the exchange of passwords does not end"))
    }
}

fn broken(error: std::io::Error) -> SinkError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => unavailable(format!("no answer within {} s", ANSWER_MAX.as_secs())),
        ErrorKind::UnexpectedEof => unavailable("the server ended the connection"),
        _ => unavailable(error),
    }
}

fn payload(answer: &Document) -> String {
    match answer.get("payload") {
        Some(Bson::Binary(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}
