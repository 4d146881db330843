//! Parts of addresses.

use axum::extract::{FromRequestParts, Path as AxumPath};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// What stands in an address in the place of what the route has in braces; what is no text is refused by a sentence.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = AxumPath::from_request_parts(parts, state).await;
        let AxumPath(found) = found.map_err(|_| {
            Refusal::bad_request("The address has escaped bytes that are no text in UTF-8.")
        })?;
        Ok(Self(found))
    }
}
