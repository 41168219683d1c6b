//! The answer, decided: which addresses are kept out, for how long, and which never are.
//!
//! - [`network`] reads what people write. An IPv6 address stands for its /64, because one customer has at least that
//!   much and changes addresses at will.
//! - [`enforce`](fn@enforce) turns bans and trusts into the disjoint networks that a firewall is given. It looks at what stands now
//!   and at nothing else, so that no order of operations can lead to a trusted address being kept out, and so that
//!   what is left after an undo or an expiry is exactly what the other bans say.
//! - [`grown`] sees when many banned addresses of one prefix should be one ban of the prefix.
//! - [`Policy::decide`] says whether a finding bans its source, and [`Escalation`] for how long the next time.
//!
//! Nothing here stores, sends or reads a clock.

mod decide;
mod enforce;
mod grow;
mod network;

pub use decide::{Decision, Escalation, Policy, PolicyRule, Refusal, Situation};
pub use enforce::{ENFORCED_MAX, Enforced, Enforcement, Standing, TrustSet, enforce};
pub use grow::{Grown, Growth, Part, grown, prefix_of};
pub use ipnet::IpNet as Net;
pub use network::{ALWAYS_TRUSTED, NetworkError, network, subject, trusted_network};
