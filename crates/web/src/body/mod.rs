//! Splitting bodies into values. Each format is read leniently, as the most forgiving application would.

pub mod json;
pub mod multipart;
pub mod xml;
