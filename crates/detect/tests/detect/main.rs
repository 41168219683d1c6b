//! The crate from outside: features one by one, then whole corpora against `rsigma-eval` as oracle.

#![allow(clippy::unwrap_used)]

mod behaviour;
mod correlation;
mod data;
mod differential;
mod exceptions;
mod features;
mod intel;
mod loading;
mod noise;
mod processing;
mod regression;
mod stateful;
mod windows;
