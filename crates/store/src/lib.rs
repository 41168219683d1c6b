//! stub: the agreed surface, see each module
pub mod control;
pub mod lake;
pub mod log;
pub mod state;
