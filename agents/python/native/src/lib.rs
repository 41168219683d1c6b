//! Erne's web inspector as a Python extension: the gateway's verdict within the application's own process.
//!
//! One class, [`Guard`]: a profile, compiled. The inspector itself (word automaton and model) is made once for the
//! process and shared by all. It opens no file and no socket; the caller gives the time.

#![deny(unsafe_code)]

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, Mutex, PoisonError};
use web::guard::{Client, Mode, Outcome, Rates};
use web::wire::Answer;
use web::{Inspector, Profile, Timestamp, Transaction};

/// What the Python side was written for; it takes no extension of another number.
const API: u32 = 1;
/// Below this many bytes a request is inspected sooner than another thread could use the GIL.
const KEEP_GIL_BYTES: usize = 4 << 10;

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(Inspector::default);

/// A profile, and the requests of each client that it limits.
#[pyclass(frozen, name = "Guard")]
struct Guard {
    guard: web::Guard,
    version: u64,
    rates: Mutex<Rates>,
}

#[pymethods]
impl Guard {
    #[new]
    fn new(profile: &[u8]) -> PyResult<Self> {
        let profile: Profile = serde_json::from_slice(profile).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let guard = web::Guard::new(&profile).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self { guard, version: profile.version, rates: Mutex::default() })
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.guard.notes().to_vec()
    }

    fn mode(&self, target: &Bound<'_, PyString>) -> &'static str {
        match self.guard.mode(&text(target), None) {
            Mode::Off => "off",
            Mode::Lite => "lite",
            Mode::Monitor => "monitor",
            Mode::Protection => "protection",
        }
    }

    fn banned(&self, ip: &str, now: f64) -> Option<String> {
        self.guard.banned(ip.parse().ok()?, time(now)).map(str::to_owned)
    }

    fn take(&self, ip: &str, now: f64) -> u64 {
        let Ok(ip) = ip.parse::<IpAddr>() else { return 0 };
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(self.guard.rate_limit(), ip, time(now)).err().unwrap_or(0)
    }

    #[expect(clippy::too_many_arguments, reason = "the members of a request; a class for them would be made for each request")]
    #[pyo3(signature = (method, target, headers, body, truncated, http_version, ip, now, id, route))]
    fn inspect<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, PyString>,
        target: &Bound<'py, PyString>,
        headers: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>,
        body: &[u8],
        truncated: bool,
        http_version: &str,
        ip: &str,
        now: f64,
        id: Option<&str>,
        route: Option<&str>,
    ) -> PyResult<(bool, Option<Bound<'py, PyBytes>>)> {
        let transaction = Transaction {
            method: text(method),
            target: text(target),
            version: if http_version.is_empty() { String::new() } else { format!("HTTP/{http_version}") },
            headers: headers.iter().map(|(name, value)| (text(name), text(value))).collect(),
            body: body.to_vec(),
            body_truncated: truncated,
            peer: ip.parse().ok(),
            ..Transaction::default()
        };
        let client = Client { ip: transaction.peer.unwrap_or(IpAddr::from([0, 0, 0, 0])), route, now: time(now) };
        let id = id.unwrap_or_default();
        let size = body.len() + transaction.target.len() + transaction.headers.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
        // A panic would reach Python as an exception that `except Exception` does not catch, and end the host's request.
        let judge = || catch_unwind(AssertUnwindSafe(|| self.judge(&transaction, client, id)));
        let judged = if size < KEEP_GIL_BYTES { judge() } else { py.detach(judge) };
        let (block, told) = judged.map_err(|_| PyRuntimeError::new_err("the inspector failed"))?;
        Ok((block, told.map(|json| PyBytes::new(py, &json))))
    }
}

impl Guard {
    /// Whether to block, and the answer's JSON if there is anything to tell.
    fn judge(&self, transaction: &Transaction, client: Client<'_>, id: &str) -> (bool, Option<Vec<u8>>) {
        let verdict = INSPECTOR.inspect(transaction);
        let action = self.guard.decide(transaction, &verdict, client);
        let block = action.outcome == Outcome::Block;
        // A ban and a virtual patch give a reason without a finding.
        if verdict.findings.is_empty() && action.reasons.is_empty() && !block {
            return (false, None);
        }
        let told = serde_json::to_vec(&Answer::new(id, &verdict, &action, self.version));
        (block, told.ok())
    }
}

fn time(secs: f64) -> Timestamp {
    Timestamp((secs * 1e6) as i64)
}

/// Servers give bytes as Latin-1; the inspector reads them as UTF-8, which they mostly are.
fn text(given: &Bound<'_, PyString>) -> String {
    match given.to_str() {
        Ok(text) if text.is_ascii() => text.to_owned(),
        Ok(text) => match text.chars().map(|c| u8::try_from(c as u32)).collect::<Result<Vec<u8>, _>>() {
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
            Err(_) => text.to_owned(),
        },
        Err(_) => given.to_string_lossy().into_owned(),
    }
}

#[pymodule]
fn erne_agent_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Made now, not by the first request, and not while another thread forks.
    LazyLock::force(&INSPECTOR);
    module.add("API", API)?;
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Guard>()
}
