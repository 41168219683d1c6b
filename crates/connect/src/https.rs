//! HTTPS.
//!
//! The client's own TLS feature would turn on `rustls`' logging, which everything that speaks TLS in the workspace would be
//! compiled with; its connectors are made to be chained, so TLS is one of ours.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use ureq::Agent;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector, Transport, TransportAdapter,
};

/// For `https://`; servers are checked against the authorities of the machine, or those of a PEM file.
pub(crate) fn agent(config: Config, authorities: Option<&Path>) -> Result<Agent, String> {
    let tls = Tls(crate::tls::client(authorities)?);
    Ok(Agent::with_parts(config, ().chain(TcpConnector::default()).chain(tls), DefaultResolver::default()))
}

#[derive(Debug)]
struct Tls(Arc<ClientConfig>);

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(plain) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(plain)));
        }
        let host = details.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::Tls("the host is no name of a server"))?;
        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(std::io::Error::other)?;
        let mut socket = TransportAdapter::new(plain.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, stream: StreamOwned::new(connection, socket) })))
    }
}

struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encrypted")
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    /// A server of somebody else's making, with an authority of its own; it ends with its standard input.
    const SERVER: &str = r#"
import http.server, ssl, subprocess, sys, threading
folder = sys.argv[1]
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"],
    check=True, stderr=subprocess.DEVNULL)
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
"#;

    fn serve(folder: &Path) -> (Child, u16) {
        let mut child =
            Command::new("python3").args(["-c", SERVER]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (child, line.trim().parse().unwrap())
    }

    #[test]
    fn a_server_is_spoken_to_if_its_authority_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, port) = serve(folder.path());
        let own = agent(Config::default(), Some(&folder.path().join("cert.pem"))).unwrap();
        let body = "x".repeat(300_000);
        for _ in 0..2 {
            let mut answer = own.post(format!("https://localhost:{port}/")).send(&body).unwrap();
            assert_eq!(answer.body_mut().read_to_string().unwrap(), body);
        }
        let wrong_name = own.post(format!("https://127.0.0.1:{port}/")).send("x").unwrap_err().to_string();
        assert!(wrong_name.contains("certificate"), "{wrong_name}");
        if let Ok(strange) = agent(Config::default(), None) {
            let error = strange.post(format!("https://localhost:{port}/")).send("x").unwrap_err().to_string();
            assert!(error.contains("certificate"), "{error}");
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
