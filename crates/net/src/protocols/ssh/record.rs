use crate::flow::Endpoints;
use event::Timestamp;
use serde::Serialize;

/// The beginning of an SSH connection.
#[derive(Clone, Debug, Serialize)]
pub struct SshRecord {
    pub time: Timestamp,
    #[serde(flatten)]
    pub endpoints: Endpoints,
    /// The version lines, `SSH-2.0-OpenSSH_9.2p1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hassh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hassh_algorithms: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hassh_server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hassh_server_algorithms: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key_algorithms: Option<String>,
    /// Whether a login succeeded, as the lengths of the encrypted messages say; absent if they say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticated: Option<bool>,
    /// About how many attempts the server refused. Clients begin with one that asks which methods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u32>,
}
