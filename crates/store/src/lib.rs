//! stub: the agreed surface, see each module
pub mod bucket;
pub mod control;
pub mod lake;
pub mod log;
pub mod ocsf;
pub mod state;
