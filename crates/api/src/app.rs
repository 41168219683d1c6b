use crate::auth::{Directory, Passwords, Throttle, Tokens};
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::{ApiConfig, ApiError};
use engine::Platform;
use engine::control::Control;
use event::Timestamp;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What every handler gets: the platform and the door's own state. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

pub struct Inner {
    pub platform: Platform,
    pub config: ApiConfig,
    pub metrics: Metrics,
    pub directory: Directory,
    pub passwords: Passwords,
    pub tokens: Tokens,
    pub throttle: Throttle,
    pub gateway: Gateway,
    /// KiB of bodies that may still be taken into memory.
    pub bodies: Arc<Semaphore>,
    pub sockets: Arc<Semaphore>,
    pub openapi: bytes::Bytes,
    /// Cancelled when the server stops, so that sockets close.
    pub stopping: CancellationToken,
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub fn new(platform: Platform, config: ApiConfig) -> Result<Self, ApiError> {
        let tokens = Tokens::open(platform.data_dir(), config.token_secs)?;
        Ok(Self(Arc::new(Inner {
            bodies: Arc::new(Semaphore::new(config.bodies_bytes_max.div_ceil(1024))),
            sockets: Arc::new(Semaphore::new(config.sockets_max)),
            gateway: Gateway::new(),
            metrics: Metrics::new(),
            directory: Directory::new(),
            passwords: Passwords::new(),
            throttle: Throttle::new(),
            openapi: crate::openapi::document().into(),
            stopping: CancellationToken::new(),
            tokens,
            platform,
            config,
        })))
    }

    pub fn control(&self) -> &Control {
        self.platform.control()
    }

    pub fn now(&self) -> Timestamp {
        self.platform.now()
    }

    /// Writes the audit log. The action has happened already: a failure is logged, not answered.
    pub async fn audit(&self, actor: &str, action: &str, target: &str, detail: &str) {
        if let Err(error) = self.control().audit(actor, action, target, detail, self.now()).await {
            tracing::error!(%error, action, "the audit log cannot be written");
        }
    }
}
