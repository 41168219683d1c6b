//! CloudTrail of one company's AWS account.

mod attacks;
mod company;
mod record;
mod work;

pub(crate) use attacks::{ATTACKS, attack};
pub(crate) use company::Company;
pub(crate) use record::{Call, Session};
pub(crate) use work::organic;
