//! The page: files that are part of the program.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::address::Path;
use crate::refusal::Refusal;

/// Names below `page/` and contents, sorted by name; `build.rs` writes it.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What the page may do: run and show what comes from this server alone, and pictures that its scripts make.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// `GET /`
pub(crate) async fn index() -> Result<Response, Refusal> {
    file("index.html").ok_or_else(|| {
        Refusal::not_found(
            "This program was built without the page; its API is described at /openapi.json.",
        )
    })
}

/// `GET /page/{*path}`
pub(crate) async fn below(Path(path): Path<String>) -> Result<Response, Refusal> {
    file(&path).ok_or_else(|| Refusal::not_found("The page has no such file."))
}

fn file(name: &str) -> Option<Response> {
    let index = FILES.binary_search_by_key(&name, |(name, _)| name).ok()?;
    let (_, content) = FILES.get(index)?;
    let mut response = Response::new(Body::from(*content));
    let headers = response.headers_mut();
    for (header, value) in [
        (header::CONTENT_TYPE, content_type(name)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // It is part of the program, and changes when that does.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(header, HeaderValue::from_static(value));
    }
    headers.insert(
        "permissions-policy",
        HeaderValue::from_static("camera=(self), microphone=(), geolocation=()"),
    );
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    Some(response)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_name_alone() {
        assert!(FILES.is_sorted_by_key(|(name, _)| name));
        for (name, _) in FILES {
            assert!(file(name).is_some(), "{name}");
        }
        for name in ["", "..", "../Cargo.toml", "index.html/", "/index.html"] {
            assert!(file(name).is_none(), "{name}");
        }
    }
}
