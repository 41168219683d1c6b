//! Where records come from besides the API: files read once ([`files`], for `erne hunt`) and files that
//! are followed ([`tail`]). And where events and findings go to besides: [`sinks`].
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

pub mod files;
pub mod sinks;
pub mod tail;
