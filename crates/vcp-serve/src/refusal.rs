//! What is answered instead of what was asked for: a status and a sentence.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use vcp_clip::{Error, Fault};
use vcp_image::Error as ImageError;

use crate::json::json_response;

/// Why a request is refused, as the metric `vcp_clip_refusals_total` counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    BadRequest,
    Unauthorized,
    Host,
    Origin,
    NotFound,
    Method,
    Timeout,
    TooLarge,
    MediaType,
    Undecodable,
    QueueFull,
    MemoryFull,
    Loading,
    Draining,
    Internal,
}

impl Reason {
    /// Its label.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::MediaType => "media_type",
            Self::Undecodable => "undecodable",
            Self::QueueFull => "queue_full",
            Self::MemoryFull => "memory_full",
            Self::Loading => "loading",
            Self::Draining => "draining",
            Self::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Undecodable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::QueueFull | Self::MemoryFull => StatusCode::TOO_MANY_REQUESTS,
            Self::Loading | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Bytes of the longest sentence of a refusal. What a client sent may be part of it, and be as long as a body.
const LONGEST_SENTENCE: usize = 600;

/// The beginning of a text.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A request that is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// For the client: it names nothing of the server's machine.
    pub(crate) sentence: String,
    /// Seconds after which to come again.
    pub(crate) retry_after: Option<u64>,
    /// For the operator, where the client is told less.
    pub(crate) detail: Option<String>,
}

/// The body of every answer that is no success.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(crate) struct ErrorBody<'a> {
    /// What is wrong, as a sentence.
    pub(crate) error: &'a str,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        let mut sentence = sentence.into();
        if sentence.len() > LONGEST_SENTENCE {
            sentence.truncate(sentence.floor_char_boundary(LONGEST_SENTENCE));
            sentence.push('…');
        }
        Self {
            reason,
            sentence,
            retry_after: None,
            detail: None,
        }
    }

    pub(crate) fn bad_request(sentence: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, sentence)
    }

    pub(crate) fn not_found(sentence: impl Into<String>) -> Self {
        Self::new(Reason::NotFound, sentence)
    }

    /// An error of the server's own; the client learns only that there was one.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let mut refusal = Self::new(
            Reason::Internal,
            "The server failed by an error of its own; its operator finds it in the server's messages.",
        );
        refusal.detail = Some(detail.into());
        refusal
    }

    pub(crate) fn loading() -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(
                Reason::Loading,
                "The server is starting: its models are being loaded.",
            )
        }
    }

    pub(crate) fn draining() -> Self {
        Self {
            retry_after: Some(5),
            ..Self::new(
                Reason::Draining,
                "The server is about to stop and takes no new work.",
            )
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.reason.status()
    }
}

/// Of a photo that was sent. The sentence is the command line's.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let sentence = error.sentence();
        let reason = match (&error, error.fault()) {
            (
                Error::Photo(
                    ImageError::UnknownFormat { .. }
                    | ImageError::OtherFormat { .. }
                    | ImageError::NoImage { .. },
                ),
                _,
            ) => Reason::MediaType,
            (_, Fault::Limits) => Reason::TooLarge,
            (_, Fault::Input) => Reason::Undecodable,
            (_, Fault::Stopped) => return Self::draining(),
            _ => return Self::internal(sentence),
        };
        Self::new(reason, sentence)
    }
}

impl From<vcp_history::Error> for Refusal {
    fn from(error: vcp_history::Error) -> Self {
        Self::internal(vcp_clip::sentence(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: &self.sentence,
        };
        let mut response = json_response(self.status(), &body);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.reason == Reason::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_follow_from_what_is_wrong_with_a_photo() {
        let file = || "photo".to_owned();
        let of = |error: ImageError| Refusal::from(Error::from(error)).status().as_u16();
        assert_eq!(of(ImageError::UnknownFormat { file: file() }), 415);
        let invalid = ImageError::Invalid {
            file: file(),
            format: "PNG",
            reason: "cut".to_owned(),
        };
        assert_eq!(of(invalid), 422);
        let large = ImageError::TooManyPixels {
            file: file(),
            width: 9,
            height: 9,
            max_pixels: 1,
        };
        assert_eq!(of(large), 413);
    }

    #[test]
    fn clients_learn_nothing_of_the_machine() {
        let error = Error::Folder {
            path: "/home/anna/history".into(),
            source: std::io::Error::other("disk full"),
        };
        let refusal = Refusal::from(error);
        assert_eq!(refusal.status().as_u16(), 500);
        assert!(!refusal.sentence.contains("anna"), "{refusal:?}");
        assert!(refusal.detail.is_some_and(|detail| detail.contains("anna")));
    }
}
