//! What every request passes before its handler: where it comes from, and who sends it.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::access::Access;
use crate::body::Lingering;
use crate::refusal::{Reason, Refusal};
use crate::state::{Active, Shared, State};

/// The outermost layer: what is not read of a body is taken off the connection, the request is counted, and the
/// answer gets the headers that all have.
pub(crate) async fn outermost(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let active = Active::new(&state);
    let (parts, body) = request.into_parts();
    let body = Body::new(Lingering::new(body, &parts.headers));
    let mut response = next.run(Request::from_parts(parts, body)).await;
    drop(active);
    if let Some(refusal) = response.extensions().get::<Refusal>()
        && let Some(detail) = &refusal.detail
    {
        state.tell(detail);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses what comes from elsewhere than it should.
pub(crate) async fn check(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let (method, headers) = (request.method(), request.headers());
    let outcome = check_host(&state, &request)
        .and_then(|()| check_origin(&state, method, headers))
        .and_then(|()| check_key(&state, request.uri().path(), headers));
    match outcome {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// On loopback, the name by which the server was called has to be one of loopback's: a page of another site, whose
/// name was made to mean this machine (DNS rebinding), sends its own.
fn check_host(state: &Shared, request: &Request) -> Result<(), Refusal> {
    if !state.address.ip().is_loopback() {
        return Ok(());
    }
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).map(without_port);
    let is_known = host.is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            || state
                .options
                .allowed_hosts
                .iter()
                .any(|allowed| host.eq_ignore_ascii_case(allowed))
    });
    if is_known {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::Host,
        "The header Host names another server. One that listens on this machine only answers to localhost; whoever \
         runs it can allow other names with --allow-host.",
    ))
}

/// The name without the number behind it.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// What changes something is not taken from pages of other sites, which browsers let send without reading.
fn check_origin(state: &Shared, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if method.is_safe() {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").map(|(_, host)| host);
    if own.is_some() && own == host {
        return Ok(());
    }
    if state
        .options
        .allowed_origins
        .iter()
        .any(|allowed| allowed == origin)
    {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::Origin,
        "Pages of other sites may not send anything here; whoever runs the server can allow one with --allow-origin.",
    ))
}

/// What needs no key: whether the server is there, and the page's own files, which ask for the key.
fn is_public(path: &str) -> bool {
    matches!(path, "/" | "/healthz" | "/readyz") || path.starts_with("/page/")
}

fn check_key(state: &Shared, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let Access::Keys(keys) = &state.options.access else {
        return Ok(());
    };
    if is_public(path) {
        return Ok(());
    }
    let given = headers.get(header::AUTHORIZATION);
    let given = given
        .and_then(|given| given.to_str().ok())
        .unwrap_or_default();
    let key = match given.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => "",
    };
    if keys.know(key) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::Unauthorized,
        "A key is needed: send it in the header Authorization, as Bearer KEY.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_no_part_of_names() {
        for (host, name) in [
            ("localhost:8080", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("evil.example:x", "evil.example:x"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn little_is_public() {
        for path in ["/", "/page/app.js", "/healthz", "/readyz"] {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "/v1/segment",
            "/metrics",
            "/page",
            "/pages",
            "/healthz/x",
            "//",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }
}
