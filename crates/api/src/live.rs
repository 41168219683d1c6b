//! WebSockets. A client has no queue of its own: it reads the platform's shared, bounded list of recent
//! messages, so a slow one loses messages (and is told how many) instead of growing our memory.
use crate::app::App;
use crate::auth::{Access, Caller, still_valid};
use crate::guard::Activity;
use crate::params::{AFTER, Params, TOPICS, did_you_mean};
use crate::problem::Problem;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use engine::{Live, LiveReader, Topic};
use futures::StreamExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Clients have nothing to say but pongs.
const INBOUND_BYTES_MAX: usize = 64 << 10;
/// Inbound messages in a second, pings among them.
const INBOUND_PER_SEC_MAX: u32 = 50;
/// An event of 64 MiB is stored and searchable, but not sent to every screen.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const WRITE_BUFFER_BYTES: usize = 64 << 10;
const WRITE_BUFFER_BYTES_MAX: usize = WRITE_BUFFER_BYTES + 2 * MESSAGE_BYTES_MAX;
/// How often a socket asks whether its caller is still let in: a revocation holds within a second.
const CHECK_EVERY_MS: u64 = 900;
/// A send that took this long and came through shows that the peer reads.
const SLOW_SEND: Duration = Duration::from_secs(1);

/// How long a closing socket is waited for.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a socket says about a message, or about messages it lost; `None`: nothing.
pub type Shape = Box<dyn FnMut(Result<Live, u64>) -> Option<String> + Send>;

pub async fn live(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(activity): Extension<Arc<Activity>>,
    params: Params,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let topics = topics(&params)?;
    let after = params.number(&AFTER, 0, 0..=u64::MAX)?;
    let after = params.get(&AFTER).map(|_| after);
    let reader = app.platform.live(after);
    open(&app, caller, &activity, upgrade, reader, own_shape(topics, after.unwrap_or_default()))
}

fn topics(params: &Params) -> Result<Vec<Topic>, Problem> {
    const ALL: [(&str, Topic); 6] =
        [("event", Topic::Event), ("finding", Topic::Finding), ("alert", Topic::Alert), ("incident", Topic::Incident), ("ban", Topic::Ban), ("stats", Topic::Stats)];
    let Some(text) = params.get(&TOPICS) else { return Ok(ALL.map(|(_, t)| t).into()) };
    text.split(',')
        .map(|name| {
            ALL.iter().find(|(n, _)| *n == name).map(|(_, t)| *t).ok_or_else(|| {
                Problem::bad_request(format!("there is no topic {name:?}{}; they are event, finding, alert, incident, ban, stats", did_you_mean(name, &ALL.map(|(n, _)| n))))
            })
        })
        .collect()
}

fn own_shape(topics: Vec<Topic>, after: u64) -> Shape {
    let mut seq = after;
    Box::new(move |message| match message {
        Ok(live) => {
            seq = live.seq;
            topics.contains(&live.topic).then(|| format!("{{\"seq\":{},\"topic\":\"{}\",\"data\":{}}}", live.seq, name(live.topic), live.json))
        }
        Err(lost) => {
            seq = seq.saturating_add(lost);
            Some(format!("{{\"seq\":{seq},\"topic\":\"gap\",\"data\":{{\"lost\":{lost}}}}}"))
        }
    })
}

fn name(topic: Topic) -> &'static str {
    match topic {
        Topic::Event => "event",
        Topic::Finding => "finding",
        Topic::Alert => "alert",
        Topic::Incident => "incident",
        Topic::Ban => "ban",
        Topic::Stats => "stats",
    }
}

/// Upgrades the connection if there is a place for one more socket.
pub fn open(app: &App, caller: Caller, activity: &Activity, upgrade: WebSocketUpgrade, reader: LiveReader, shape: Shape) -> Result<Response, Problem> {
    let Ok(place) = app.sockets.clone().try_acquire_owned() else {
        app.metrics.shed("sockets_max");
        return Err(Problem::unavailable("too many open sockets; close one or raise sockets_max").retry_after(5));
    };
    activity.upgrade();
    let app = app.clone();
    Ok(upgrade
        .max_message_size(INBOUND_BYTES_MAX)
        .max_frame_size(INBOUND_BYTES_MAX)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .on_upgrade(move |socket| async move { Pump { app, socket, caller, shape, heard: Instant::now() }.run(reader, place).await }))
}

struct Pump {
    app: App,
    socket: WebSocket,
    caller: Caller,
    shape: Shape,
    /// When the peer last showed that it is there and reads.
    heard: Instant,
}

/// Why a socket ends: the close code and the words, or `None` if the peer is gone.
type End = Option<(u16, &'static str)>;

impl Pump {
    async fn run(mut self, reader: LiveReader, _place: OwnedSemaphorePermit) {
        let _open = self.app.metrics.socket();
        let end = self.until_end(reader).await;
        if let Some((code, reason)) = end {
            if code == close_code::POLICY {
                self.app.metrics.shed("socket_closed");
            }
            let frame = CloseFrame { code, reason: reason.into() };
            // The peer's answer is awaited: closing over unread bytes would reset the connection and with it
            // the close code on its way.
            let goodbye = async {
                if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                    while self.socket.recv().await.is_some_and(|m| m.is_ok()) {}
                }
            };
            let _ = timeout(GOODBYE, goodbye).await;
        }
    }

    async fn until_end(&mut self, reader: LiveReader) -> End {
        // `unfold` keeps a half-done `recv` across the turns of the loop: nothing is lost to cancellation.
        let messages = futures::stream::unfold(reader, |mut reader| async move { Some((reader.recv().await, reader)) });
        let mut messages = pin!(messages);
        let mut ping = every(self.app.config.socket_ping());
        let mut check = every(Duration::from_millis(CHECK_EVERY_MS));
        let stopping = self.app.stopping.clone();
        let mut inbound = 0;
        loop {
            let step = tokio::select! {
                () = stopping.cancelled() => return Some((close_code::AWAY, "the server stops")),
                Some(message) = messages.next() => self.tell(message).await,
                received = self.socket.recv() => {
                    inbound += 1;
                    self.received(received, inbound)
                }
                _ = ping.tick() => self.send(Message::Ping(bytes::Bytes::new())).await,
                _ = check.tick() => {
                    inbound = 0;
                    self.check().await
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn tell(&mut self, message: Result<Live, u64>) -> Result<(), End> {
        if let Err(lost) = message {
            self.app.metrics.shed_many("live_lost", lost);
        }
        let Some(text) = (self.shape)(message) else { return Ok(()) };
        if text.len() > MESSAGE_BYTES_MAX {
            self.app.metrics.shed("live_message_too_large");
            return Ok(());
        }
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let began = Instant::now();
        match timeout(self.app.config.socket_stall(), self.socket.send(message)).await {
            Ok(Ok(())) => {
                if began.elapsed() > SLOW_SEND {
                    self.heard = Instant::now();
                }
                Ok(())
            }
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some((close_code::POLICY, "too slow"))),
        }
    }

    fn received(&mut self, received: Option<Result<Message, axum::Error>>, inbound: u32) -> Result<(), End> {
        match received {
            None | Some(Ok(Message::Close(_))) => Err(None),
            Some(Err(error)) if error.to_string().contains("too l") => Err(Some((close_code::SIZE, "at most 64 KiB"))),
            Some(Err(_)) => Err(Some((close_code::PROTOCOL, "not a WebSocket message"))),
            Some(Ok(_)) if inbound > INBOUND_PER_SEC_MAX => Err(Some((close_code::POLICY, "too many messages"))),
            Some(Ok(_)) => {
                self.heard = Instant::now();
                Ok(())
            }
        }
    }

    async fn check(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > self.app.config.socket_stall() {
            return Err(Some((close_code::POLICY, "no answer to pings")));
        }
        if !still_valid(&self.app, &self.caller, Access::Read).await {
            return Err(Some((close_code::POLICY, "signed out")));
        }
        Ok(())
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period.max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_wrapped_filtered_and_losses_told() {
        let mut shape = own_shape(vec![Topic::Alert], 4);
        let live = |seq, topic| Ok(Live { seq, topic, json: "{}".into() });
        assert_eq!(shape(live(5, Topic::Event)), None);
        assert_eq!(shape(live(6, Topic::Alert)).unwrap(), r#"{"seq":6,"topic":"alert","data":{}}"#);
        assert_eq!(shape(Err(10)).unwrap(), r#"{"seq":16,"topic":"gap","data":{"lost":10}}"#);
    }
}
