//! The packet path against published truth, hostile input and captures made here.

mod build;
mod captures;
mod detection;
mod hostile;
mod published;
mod shared;
