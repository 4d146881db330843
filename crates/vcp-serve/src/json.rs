//! JSON in and out.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body;
use crate::refusal::{Reason, Refusal, beginning};
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
    object(held.bytes())
}

/// What a JSON object says.
pub(crate) fn object<T: DeserializeOwned>(json: &[u8]) -> Result<T, Refusal> {
    // Lists would be taken for the fields in their order.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::bad_request("The body has to be a JSON object."));
    }
    serde_json::from_slice(json).map_err(|error| {
        let error = shortened(&error);
        Refusal::bad_request(format!("The body cannot be used: {error}."))
    })
}

/// As much of what is said as a sentence has room for. The rest, which may be as long as a body, is not even written.
fn shortened(what: &impl Display) -> String {
    struct Room(String);

    impl fmt::Write for Room {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = 400 - self.0.len();
            let part = beginning(text, room);
            self.0.push_str(part);
            if part.len() < text.len() {
                self.0.push('…');
                return Err(fmt::Error);
            }
            Ok(())
        }
    }

    let mut room = Room(String::new());
    // It fails when there is no more room.
    let _ = write!(room, "{what}");
    room.0
}

/// Reads the part of an address behind the question mark.
pub(crate) fn read_query<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Refusal> {
    let query = query.unwrap_or_default();
    serde_urlencoded::from_str(query).map_err(|error| {
        let error = shortened(&error);
        // The error does not say what it is about; every part may be left out, so each can be tried alone.
        let is_wrong = |part: &&str| serde_urlencoded::from_str::<T>(part).is_err();
        let name = query.split('&').find(is_wrong);
        let name = name.map(|part| part.split('=').next().unwrap_or_default());
        let place = name.map_or_else(String::new, |name| {
            format!(
                " at {}",
                vcp_report::visible::printable(beginning(name, 100))
            )
        });
        Refusal::bad_request(format!("The query cannot be used{place}: {error}."))
    })
}
