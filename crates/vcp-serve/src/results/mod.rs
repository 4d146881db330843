//! Results that are kept: listed, judged, summed up, exported, and their files.

mod export;
mod files;

use std::sync::PoisonError;

use axum::extract::{Request, State as Extract};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use vcp_history::{Filter, ResultId, Verdict};

use crate::address::Path;
use crate::events::Event;
use crate::inspect::blocking;
use crate::json::{json_response, long_response, read_json, read_query};
use crate::limits::NAME_BYTES;
use crate::refusal::Refusal;
use crate::state::State;

pub(crate) use export::export;
pub(crate) use files::file;

/// Which results are listed: those for which all that is said holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Inspected at this time or later: RFC 3339, such as 2026-11-27T06:00:00.000Z.
    after: Option<String>,
    /// Inspected earlier than this.
    before: Option<String>,
    /// With this decision: ok, review or defect.
    outcome: Option<String>,
    /// With this verdict: good, defect, unsure or none.
    verdict: Option<String>,
    /// Inspected by this model.
    model: Option<String>,
    /// From this source.
    source: Option<String>,
    /// Where the list goes on, as the list before says.
    cursor: Option<String>,
    /// How many results at most, from 1 to 1000; 50 if not given.
    limit: Option<usize>,
}

/// Which results are summed up: those for which all that is said holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SummaryQuery {
    /// Inspected at this time or later: RFC 3339, such as 2026-11-27T06:00:00.000Z.
    after: Option<String>,
    /// Inspected earlier than this.
    before: Option<String>,
    /// With this decision: ok, review or defect.
    outcome: Option<String>,
    /// With this verdict: good, defect, unsure or none.
    verdict: Option<String>,
    /// Inspected by this model.
    model: Option<String>,
    /// From this source.
    source: Option<String>,
    /// Into how many parts the time is divided, from 1 to 1000; 48 if not given.
    buckets: Option<usize>,
}

/// Which results are exported: those for which all that is said holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// Inspected at this time or later: RFC 3339, such as 2026-11-27T06:00:00.000Z.
    after: Option<String>,
    /// Inspected earlier than this.
    before: Option<String>,
    /// With this decision: ok, review or defect.
    outcome: Option<String>,
    /// With this verdict: good, defect, unsure or none.
    verdict: Option<String>,
    /// Inspected by this model.
    model: Option<String>,
    /// From this source.
    source: Option<String>,
    /// csv, json or jsonl; csv if not given.
    format: Option<String>,
}

/// What a person says of a photo.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VerdictRequest")]
pub(crate) struct GivenVerdict {
    /// good, defect or unsure; null takes the verdict back.
    // Given all the same: else nothing that was sent would take it back.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(schema_with = "text_or_null")]
    verdict: Option<Verdict>,
    /// Who says so, in their own words.
    #[serde(default)]
    who: String,
}

fn text_or_null(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "null"] })
}

/// The filter of each of the queries, whose fields have the same names: serde takes no unknown field where one is
/// flattened into another.
macro_rules! filtered {
    ($($query:ident),+) => {$(
        impl $query {
            fn filter(&self) -> Result<Filter, Refusal> {
                Ok(Filter {
                    after: parsed("after", self.after.as_deref())?,
                    before: parsed("before", self.before.as_deref())?,
                    outcome: parsed("outcome", self.outcome.as_deref())?,
                    verdict: parsed("verdict", self.verdict.as_deref())?,
                    model: self.model.clone().filter(|model| !model.is_empty()),
                    source: self.source.clone().filter(|source| !source.is_empty()),
                })
            }
        }
    )+};
}

filtered!(ListQuery, SummaryQuery, ExportQuery);

/// A value of the query, if it is given.
fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Refusal> {
    // What a form leaves empty is not given.
    let text = text.filter(|text| !text.is_empty());
    let value = text.map(str::parse).transpose();
    value.map_err(|error: T::Err| {
        let error = error.to_string();
        let error = vcp_report::visible::printable(&error);
        Refusal::bad_request(format!("{name} cannot be used: {error}"))
    })
}

/// An identifier in an address.
pub(crate) fn identifier(id: &str) -> Result<ResultId, Refusal> {
    id.parse().map_err(|_| missing())
}

pub(crate) fn missing() -> Refusal {
    Refusal::not_found("There is no such result, or it is no longer kept.")
}

/// `GET /v1/results`
pub(crate) async fn list(Extract(state): Extract<State>, uri: Uri) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let query: ListQuery = read_query(uri.query())?;
    let filter = query.filter()?;
    let cursor = parsed("cursor", query.cursor.as_deref())?;
    let limit = within("limit", query.limit, 50)?;
    blocking(move || {
        let page = history.list(&filter, cursor.as_ref(), limit)?;
        long_response(&state, &page)
    })
    .await
}

/// `GET /v1/summary`
pub(crate) async fn summary(Extract(state): Extract<State>, uri: Uri) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let query: SummaryQuery = read_query(uri.query())?;
    let filter = query.filter()?;
    let buckets = within("buckets", query.buckets, 48)?;
    let summary = blocking(move || Ok(history.summary(&filter, buckets)?)).await?;
    Ok(json_response(StatusCode::OK, &summary))
}

/// A number from 1 to 1000.
fn within(name: &str, value: Option<usize>, usual: usize) -> Result<usize, Refusal> {
    match value {
        None => Ok(usual),
        Some(value @ 1..=1000) => Ok(value),
        Some(_) => Err(Refusal::bad_request(format!(
            "{name} is a whole number from 1 to 1000."
        ))),
    }
}

/// `GET /v1/results/{id}`
pub(crate) async fn one(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = identifier(&id)?;
    state.ready()?;
    blocking(move || {
        if let Some(kept) = state.kept_history()
            && let Some(entry) = kept.history.get(&id)?
        {
            return long_response(&state, &entry);
        }
        // Of photos that were not to be kept, pictures may be there for a while.
        let kept = state.recent.get(id.as_str()).ok_or_else(missing)?;
        long_response(&state, &kept.entry.ok_or_else(missing)?)
    })
    .await
}

/// `PUT /v1/results/{id}/verdict`
pub(crate) async fn judge(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let id = identifier(&id)?;
    let (parts, body) = request.into_parts();
    let given: GivenVerdict = read_json(&state, &parts.headers, body).await?;
    if given.who.len() > NAME_BYTES {
        return Err(Refusal::bad_request(format!(
            "who has at most {NAME_BYTES} bytes."
        )));
    }
    blocking(move || {
        let judging = state.judging.lock();
        let _judging = judging.unwrap_or_else(PoisonError::into_inner);
        let entry = history.set_verdict(&id, given.verdict, &given.who)?;
        let entry = entry.ok_or_else(missing)?;
        state.events.send(Event::Verdict, &entry);
        long_response(&state, &entry)
    })
    .await
}
