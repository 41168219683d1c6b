//! Takes findings over from the state store into the control plane, where they become alerts.

use crate::live::Topic;
use crate::pipeline::Shared;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::control::{Control, ControlError, Projected};

const BATCH: usize = 5_000;
const RETRY: Duration = Duration::from_secs(1);

/// Runs until `stop` is set. Alerts follow findings within milliseconds; a crash in between repeats the
/// take-over, which changes nothing that it had already done.
pub(crate) async fn run(shared: Arc<Shared>, control: Control) {
    // From the oldest that the state store still holds, not from where the control plane stood: after a power
    // cut the state may be behind it and number other findings alike. What was taken over changes nothing.
    let mut seq = 0;
    loop {
        match take_over(&shared, &control, seq).await {
            Ok(Some(next)) => {
                seq = next;
                shared.control_health.took_over(None);
            }
            Ok(None) if shared.stop.load(Ordering::Relaxed) => return,
            Ok(None) => {
                shared.control_health.took_over(None);
                let _ = tokio::time::timeout(Duration::from_millis(500), shared.committed.notified()).await;
            }
            Err(_) if shared.stop.load(Ordering::Relaxed) => return,
            Err(error) => {
                shared.control_health.took_over(Some(&error));
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Why the control plane is no help at the moment, for `/readyz`. Findings wait in the state store meanwhile.
#[derive(Default)]
pub(crate) struct ControlHealth {
    /// Why findings are not taken over.
    findings: Mutex<Option<String>>,
    /// Why it does not answer.
    answers: Mutex<Option<String>>,
}

impl ControlHealth {
    pub fn took_over(&self, error: Option<&ControlError>) {
        note(&self.findings, "alerts cannot be stored", error);
    }

    pub fn answered(&self, error: Option<&ControlError>) {
        note(&self.answers, "the control plane does not answer", error);
    }

    pub fn reasons(&self) -> Vec<String> {
        [&self.findings, &self.answers].into_iter().filter_map(|place| place.lock().clone()).collect()
    }
}

/// Remembers how it stands, and logs when that changes.
fn note(place: &Mutex<Option<String>>, what: &str, error: Option<&ControlError>) {
    let now = error.map(|error| format!("{what}: {error}"));
    let mut before = place.lock();
    if *before == now {
        return;
    }
    match &now {
        Some(now) => tracing::error!("{now}"),
        None => tracing::info!("over: {}", before.as_deref().unwrap_or_default()),
    }
    *before = now;
}

fn failed(error: impl std::fmt::Display) -> ControlError {
    ControlError::Failed(error.to_string())
}

/// One batch. `None` when there is nothing new.
async fn take_over(shared: &Arc<Shared>, control: &Control, after: u64) -> Result<Option<u64>, ControlError> {
    let state = shared.state.clone();
    let found = tokio::task::spawn_blocking(move || state.findings(after, BATCH))
        .await
        .map_err(failed)?
        .map_err(failed)?;
    let Some((seq, _)) = found.last() else { return Ok(None) };
    let seq = *seq;
    let findings: Vec<_> = found.into_iter().map(|(_, finding)| finding).collect();
    let projected = control.project(&findings, seq).await?;
    shared.metrics.count_projected(&projected);
    publish(shared, projected);
    // Before the findings are forgotten: after a crash they come again, and ban nobody twice.
    shared.answer.consider(shared, control, &findings).await?;
    // Durable here before they are forgotten there: a power cut must find them in one of the two.
    control.sync().await?;
    shared.sinks.findings(&findings);
    let state = shared.state.clone();
    tokio::task::spawn_blocking(move || state.forget_findings(seq))
        .await
        .map_err(failed)?
        .map_err(failed)?;
    Ok(Some(seq))
}

/// Signals page nobody: what they amount to is told as an incident.
fn publish(shared: &Shared, projected: Projected) {
    let ring = &shared.hot.ring;
    if !ring.has_readers() {
        return;
    }
    for (alert, created) in projected.alerts.into_iter().filter(|(alert, _)| !alert.rule.handling.signal) {
        ring.publish(Topic::Alert, serde_json::json!({"alert": alert, "created": created}).to_string());
    }
    for (incident, created) in projected.incidents {
        ring.publish(Topic::Incident, serde_json::json!({"incident": incident, "created": created}).to_string());
    }
}
