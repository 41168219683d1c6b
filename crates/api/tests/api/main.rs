//! The doors from outside, over real sockets, on a platform in a temporary folder: what they promise, and
//! TRUST.md's bad inputs that they can receive, each with the answer it must get.
#![allow(clippy::unwrap_used)]

mod account;
mod bans;
mod bodies;
mod door;
mod elastic;
mod flow;
mod gateway;
mod hooks;
mod http1;
mod http2;
mod incidents;
mod page;
mod questions;
mod roles;
mod rules;
mod search;
mod searches;
mod sockets;
mod tokens;
mod whale;
