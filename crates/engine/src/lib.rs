//! stub: the agreed surface
mod platform;
pub use platform::*;
pub use store::{control, lake, log};
