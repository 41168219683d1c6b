//! The embedded stores against their conformance suites, and against what only they can suffer: torn
//! files, flipped bits, full disks, kills.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod control_agents;
mod control_bans;
mod control_chain;
mod control_conformance;
mod control_incidents;
mod control_nodes;
mod control_searches;
mod disk_full;
mod log_conformance;
mod log_segments;
mod place;
mod postgres;
mod samples;
mod state_conformance;
mod state_kill;
