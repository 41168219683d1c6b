//! The whole product from outside: the built binary, real files, real sockets on loopback.

mod bans;
mod end_to_end;
mod faults;
mod gateway;
mod hunt;
mod incidents;
mod kill;
mod postgres;
mod net;
mod rules;
mod s3;
mod searches;
mod server;
mod sinks;
mod workspace;
