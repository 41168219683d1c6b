//! TLS towards other people's servers.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

pub(crate) type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Trusts the authorities of the machine, or those of a PEM file instead.
pub(crate) fn client(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| said(&error))? {
                roots.add(certificate.map_err(|error| said(&error))?).map_err(|error| said(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        let place = authorities.map_or_else(|| "this machine".into(), |path| path.display().to_string());
        return Err(format!("there are no certificates of authorities in {place}"));
    }
    // The dependencies below bring two providers, so that none is the default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| error.to_string())?;
    Ok(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
}

/// The handshake itself comes with the first byte that is written or read.
pub(crate) fn encrypt(config: &Arc<ClientConfig>, host: &str, socket: TcpStream) -> Result<Encrypted, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name of a server"))?;
    let connection = ClientConnection::new(config.clone(), name).map_err(|error| error.to_string())?;
    Ok(StreamOwned::new(connection, socket))
}
