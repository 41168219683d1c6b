//! Inspects HTTP transactions for attacks.
//!
//! A [`Transaction`] is split into values (path, query, headers, cookies, body by its format), each value is
//! decoded step by step into views, and analysers look at each view: one file each below `analysers/`, listed in
//! one table. A small linear classifier scores the same views. [`Verdict`] holds one score and, for every
//! finding, where it stood and how it was encoded. Policy (an odd method, a missing host) is told apart and
//! never makes an attack.
//!
//! [`guard::Guard`] makes an action of a verdict: what a profile's mode, thresholds, exclusions and bans say.
//! Gateway and agents ask the same one, and speak the JSON of [`wire`].
//!
//! What it deliberately is not: a proxy, a rule language, or a reader of files. It opens nothing, reads no clock
//! and starts no thread; work is counted in units with a bound ([`budget::WORK_MAX`]), and what a bound cuts off
//! is told in `Verdict::truncated`.
//!
//! ```
//! let inspector = web::Inspector::default();
//! let request = web::Transaction {
//!     method: "GET".into(),
//!     target: "/items?id=1%27%20OR%20%271%27=%271".into(),
//!     headers: vec![("Host".into(), "shop.example".into())],
//!     ..Default::default()
//! };
//! let verdict = inspector.inspect(&request);
//! assert_eq!(verdict.verdict, web::Decision::Attack);
//! assert_eq!(verdict.findings[0].location, "query:id");
//! ```

pub mod analysers;
pub mod baseline;
mod body;
pub mod budget;
mod decode;
pub mod dga;
mod gate;
pub mod guard;
mod inspector;
pub mod measure;
pub mod model;
pub mod patch;
mod policy;
pub mod read;
pub mod shape;
pub mod train;
mod transaction;
mod verdict;
pub mod wire;

pub use event::Timestamp;
pub use guard::{Guard, Profile};
pub use inspector::{Inspector, values};
pub use transaction::{Response, Transaction, UploadedFile};
pub use verdict::{ATTACK_SCORE, Class, Decision, Finding, Verdict};
