//! The own API, `/api/v1`.
pub mod account;
pub mod admin;
pub mod agents;
pub mod alerts;
pub mod bans;
pub mod entities;
pub mod events;
pub mod exceptions;
pub mod export;
pub mod incidents;
pub mod overview;
pub mod profiles;
pub mod rules;
pub mod sql;
pub mod searches;
pub mod search;

use serde::Serialize;

/// `{"items":[…]}`
#[derive(Serialize)]
pub struct Items<T> {
    pub items: Vec<T>,
}

/// One page of a longer list.
#[derive(Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
    pub total: Option<u64>,
}

impl<T> From<engine::control::Listed<T>> for Page<T> {
    fn from(listed: engine::control::Listed<T>) -> Self {
        Self { items: listed.items, next_cursor: listed.next_cursor, total: Some(listed.total) }
    }
}
