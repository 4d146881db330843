//! Finding, loading and describing models.

mod built_in;
pub(crate) mod cache;
mod choose;
mod describe;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod pack;
pub(crate) mod pull;

pub(crate) use choose::Choice;
