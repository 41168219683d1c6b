//! Sinks against real servers, which scripts of the project start. What a test cannot find it says and fails: the set-up
//! installs them.

#![allow(clippy::unwrap_used)]

mod actions;
mod capture;
mod sensor;
mod server;
mod sinks;
