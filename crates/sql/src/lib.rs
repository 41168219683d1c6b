//! Read-only SQL over the lake, planned and run by DataFusion within budgets.
//!
//! [`Sql::run`] reads one statement ([`statement`]: what is allowed, and dotted paths such as
//! `src_endpoint.ip` or ECS names such as `source.ip` turned into the columns they mean), plans it over a frozen
//! state of the lake ([`events`]), and runs it on threads of its own: with a memory pool, a limit of seconds,
//! rows and bytes, and a bound of queries that run or wait. Dropping the future ends the query.
//!
//! What it is not: a way to change anything, to read files, or to reach the network. There is no table but
//! those that the [`Source`] names; functions whose result is as long as an argument says are not there.
//! The manual is docs/sql.md.

mod answer;
mod error;
mod events;
mod functions;
mod prune;
mod records;
mod run;
mod statement;

pub use answer::{Answer, ColumnType};
pub use error::SqlError;
pub use functions::REMOVED;
pub use records::RECORDS_MAX;
pub use run::{Budget, Load, Request, Source, Sql};
pub use statement::{OPERATORS_MAX, SQL_BYTES_MAX, TOKENS_MAX};
