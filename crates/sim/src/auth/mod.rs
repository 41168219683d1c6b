//! auth.log of a small fleet of Linux hosts: sshd, sudo, cron, useradd, framed by RFC 3164 as rsyslog writes
//! files (no priority, no year).

mod attacks;
mod fleet;

pub(crate) use attacks::{ATTACKS, attack};
pub(crate) use fleet::{Fleet, Line, organic};
