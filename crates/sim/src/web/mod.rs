//! nginx access log, format `combined`, of a web shop.

mod attacks;
mod visit;

pub(crate) use attacks::{ATTACKS, attack};
pub(crate) use visit::{Hit, Visitor, organic};
