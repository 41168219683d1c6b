//! Brings the records of one audit event together, within one batch.

use super::fields;
use event::{Event, Format, Map, Value};
use std::collections::VecDeque;

/// Events whose records may be interleaved: the kernel queues records of several processors as they come.
const OPEN_MAX: usize = 16;

/// What the `SYSCALL` record tells about the others. Not its arguments (they are the call's, `EXECVE` has the
/// program's), nor its `key`, so that a rule on a key fires once an event.
const SHARED: [&str; 22] = [
    "SYSCALL", "ARCH", "success", "exit", "ppid", "pid", "auid", "uid", "gid", "euid", "suid", "egid", "fsuid", "tty", "ses",
    "comm", "exe", "subj", "AUID", "UID", "EUID", "GID",
];

/// The last events' shared fields. Records reach us in the order in which the kernel made them, `SYSCALL` first.
#[derive(Default)]
pub(crate) struct Joiner {
    open: VecDeque<Open>,
}

struct Open {
    host: Option<compact_str::CompactString>,
    stamp: compact_str::CompactString,
    shared: Map,
    folder: Option<compact_str::CompactString>,
}

impl Joiner {
    /// Remembers what the event tells about its companions, or gives it what they told.
    pub(crate) fn join(&mut self, event: &mut Event) {
        if event.format != Format::Auditd {
            return;
        }
        let text = |name: &str| event.native.get(name).and_then(Value::as_str);
        let (Some(kind), Some(stamp)) = (text("type"), text("msg")) else { return };
        if kind == "SYSCALL" {
            return self.remember(event, stamp.into());
        }
        let host = &event.ocsf.device_hostname;
        let Some(open) = self.open.iter_mut().find(|open| open.stamp == stamp && open.host == *host) else { return };
        match kind {
            "CWD" => open.folder = text("cwd").map(Into::into),
            "EXECVE" | "PATH" | "SOCKADDR" | "PROCTITLE" | "BPRM_FCAPS" | "KERN_MODULE" | "AVC" | "CAPSET" => {}
            _ => return,
        }
        let kind = kind.to_owned();
        open.give(event);
        match kind.as_str() {
            "EXECVE" => fields::image(event),
            "SOCKADDR" => fields::connection(event),
            "PATH" => fields::path(event, open.folder.as_deref()),
            _ => {}
        }
    }

    fn remember(&mut self, event: &Event, stamp: compact_str::CompactString) {
        let mut shared = Map::default();
        for name in SHARED {
            if let Some(value) = event.native.get(name) {
                shared.push(name, value.clone());
            }
        }
        if self.open.len() == OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back(Open { host: event.ocsf.device_hostname.clone(), stamp, shared, folder: None });
    }
}

impl Open {
    fn give(&self, event: &mut Event) {
        let Value::Map(native) = &mut event.native else { return };
        for (name, value) in self.shared.iter() {
            if native.get(name).is_none() {
                native.push(name, value.clone());
            }
        }
        let ocsf = &mut event.ocsf;
        let text = |name: &str| self.shared.get(name).and_then(Value::as_str).filter(|t| super::is_told(t)).map(compact_str::CompactString::from);
        ocsf.process_name = ocsf.process_name.take().or_else(|| text("comm"));
        ocsf.process_pid = ocsf.process_pid.or_else(|| self.shared.get("pid").and_then(Value::as_i64));
        ocsf.user_name = ocsf.user_name.take().or_else(|| super::user(&self.shared));
        ocsf.user_uid = ocsf.user_uid.take().or_else(|| super::login_uid(&self.shared));
        if ocsf.status == event::Status::Unknown {
            ocsf.status = super::status(&self.shared);
        }
    }
}
