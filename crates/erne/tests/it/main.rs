//! The whole product from outside: the built binary, real files, real sockets on loopback.

mod end_to_end;
mod hunt;
mod incidents;
mod kill;
mod postgres;
mod net;
mod rules;
mod searches;
mod server;
mod sinks;
mod workspace;
