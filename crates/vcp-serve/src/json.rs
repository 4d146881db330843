//! JSON in and out.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body;
use crate::refusal::{Reason, Refusal};
use crate::state::State;

/// JSON as the command line prints it: invisible characters are escaped.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    // Only maps with keys that are no texts cannot be written, and there are none.
    let json = serde_json::to_string(value).unwrap_or_default();
    let escaped = match vcp_report::visible::json(&json) {
        Cow::Owned(escaped) => Some(escaped),
        Cow::Borrowed(_) => None,
    };
    escaped.unwrap_or(json)
}

/// An answer that is short.
pub(crate) fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    with_body(status, to_json(value).into())
}

/// An answer that may be long, so that making it is work for another thread than those of connections.
pub(crate) fn long_response(state: &State, value: &impl Serialize) -> Result<Response, Refusal> {
    let body = body::answer(state, to_json(value).into_bytes())?;
    Ok(with_body(StatusCode::OK, body))
}

fn with_body(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// Reads the body of a request that is JSON.
pub(crate) async fn read_json<T: DeserializeOwned>(
    state: &State,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // Also a guard: pages of other sites cannot send this type without being asked first.
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(
            Reason::MediaType,
            "The body has to be JSON, with the header Content-Type: application/json.",
        ));
    }
    let held = body::read_at_most(state, headers, body, crate::limits::JSON_BYTES).await?;
    serde_json::from_slice(held.bytes())
        .map_err(|error| Refusal::bad_request(format!("The body cannot be used: {error}.")))
}

/// Reads the part of an address behind the question mark.
pub(crate) fn read_query<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Refusal> {
    serde_urlencoded::from_str(query.unwrap_or_default())
        .map_err(|error| Refusal::bad_request(format!("The query cannot be used: {error}.")))
}
