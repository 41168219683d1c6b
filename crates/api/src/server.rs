//! Our own accept loop. `axum::serve` sets no timers and has no bound on connections: a few hundred slow
//! clients keep it busy for ever.
use crate::app::App;
use crate::guard::{Activity, Guard, Timers};
use crate::{ApiConfig, ApiError};
use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// How long a shutdown waits for running requests.
const FINISH_SECS: u64 = 10;
/// How long an idle connection may take to say goodbye.
const GOODBYE_SECS: u64 = 1;
const H1_BUFFER_BYTES_MAX: usize = 64 << 10;
const H1_HEADERS_MAX: usize = 100;
const H2_STREAMS_MAX: u32 = 128;
const H2_HEADER_LIST_BYTES_MAX: u32 = 32 << 10;
const H2_SEND_BUFFER_BYTES_MAX: usize = 256 << 10;
/// The pause after a failed accept (out of file descriptors): a loop without it eats a core.
const ACCEPT_PAUSE_MS: u64 = 50;
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The peer's address, for handlers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// The door, bound but not yet open.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
}

impl Server {
    /// Binds the address, reads or makes the secrets.
    pub async fn bind(platform: engine::Platform, config: ApiConfig) -> Result<Self, ApiError> {
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| ApiError::Bind { address: config.listen, source })?;
        let address = listener.local_addr().map_err(|source| ApiError::Bind { address: config.listen, source })?;
        let app = App::new(platform, config)?;
        Ok(Self { listener, address, app })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets running requests finish for at most ten seconds.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ApiError> {
        let router = crate::routes::router(self.app.clone());
        // Nobody is refused because agents were not read yet.
        if let Err(error) = self.app.gateway.directory.refresh(&self.app).await {
            tracing::error!(%error, "agents and profiles cannot be read yet");
        }
        let follow = tokio::spawn(crate::gateway::directory::follow(self.app.clone()));
        let told = tokio::spawn(crate::gateway::told::write(self.app.clone()));
        let tasks = TaskTracker::new();
        let places = Arc::new(Semaphore::new(self.app.config.connections_max));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    self.app.metrics.shed("accept_failed");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                self.app.metrics.shed("connections_max");
                let _ = stream.try_write(FULL);
                continue;
            };
            let (app, router, stop) = (self.app.clone(), router.clone(), shutdown.clone());
            tasks.spawn(async move { serve_connection(app, router, stream, peer, place, stop).await });
        }
        self.app.stopping.cancel();
        tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(FINISH_SECS), tasks.wait()).await;
        let _ = tokio::time::timeout(Duration::from_secs(FINISH_SECS), async { (follow.await, told.await) }).await;
        crate::gateway::told::flush(&self.app).await;
        Ok(())
    }
}

fn builder(config: &ApiConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper's timer also runs while a connection is idle; the head's own limit is in `Guard`.
        .header_read_timeout(config.keep_alive_timeout())
        .max_buf_size(H1_BUFFER_BYTES_MAX)
        .max_headers(H1_HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(H2_HEADER_LIST_BYTES_MAX)
        .max_send_buf_size(H2_SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(config.keep_alive_timeout() / 2)
        .keep_alive_timeout(config.header_read_timeout());
    builder
}

async fn serve_connection(app: App, router: Router, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit, shutdown: CancellationToken) {
    let _place = place;
    let _open = app.metrics.connection();
    let _ = stream.set_nodelay(true);
    let config = &app.config;
    let activity = Arc::new(Activity::new());
    let timers = Timers {
        first_byte: config.first_byte_timeout(),
        header: config.header_read_timeout(),
        write_stall: config.write_stall_timeout(),
    };
    let io = TokioIo::new(Guard::new(stream, timers, activity.clone()));
    let service = {
        let activity = activity.clone();
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let running = activity.enter();
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(activity.clone());
            let answer = router.clone().oneshot(request.map(Body::new));
            async move {
                let answer = answer.await;
                drop(running);
                answer
            }
        })
    };
    let builder = builder(config);
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    let mut tick = tokio::time::interval((config.keep_alive_timeout() / 4).max(Duration::from_millis(10)));
    let mut finish_by: Option<Instant> = None;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, error = %crate::observe::inert(&error.to_string()), "connection ended");
                }
                return;
            }
            () = shutdown.cancelled(), if finish_by.is_none() => {
                connection.as_mut().graceful_shutdown();
                finish_by = Some(Instant::now() + Duration::from_secs(FINISH_SECS));
            }
            _ = tick.tick() => {
                if finish_by.is_some_and(|by| Instant::now() > by) {
                    return;
                }
                if finish_by.is_none() && activity.idle().is_some_and(|idle| idle > config.keep_alive_timeout()) {
                    connection.as_mut().graceful_shutdown();
                    finish_by = Some(Instant::now() + Duration::from_secs(GOODBYE_SECS));
                }
            }
        }
    }
}
