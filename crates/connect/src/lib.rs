//! Where records come from besides the API: files read once ([`files`], for `erne hunt`) and files that
//! are followed ([`tail`]), interfaces ([`capture`]); [`sensor`] is all of it on a
//! host without the platform. And where events and findings go to besides: [`sinks`]; and where bans are enforced: [`actions`].
//!
//! A source delivers bytes cut at line ends and nothing more: what the bytes mean is `parse`'s matter, and
//! where they are kept is `store`'s, which this crate never sees.
//!
//! ```
//! use std::io::Write;
//! let dir = tempfile::tempdir().unwrap();
//! let path = dir.path().join("a.log");
//! std::fs::File::create(&path).unwrap().write_all(b"one\ntwo\n").unwrap();
//! let mut bodies = Vec::new();
//! connect::files::read(&path, &mut |body| bodies.push(body), &mut |_| {}).unwrap();
//! assert_eq!(bodies, ["one\ntwo\n"]);
//! ```

pub mod actions;
pub mod capture;
pub mod files;
mod https;
#[cfg(target_os = "linux")]
pub mod sensor;
pub mod sinks;
pub mod tail;
mod tls;
