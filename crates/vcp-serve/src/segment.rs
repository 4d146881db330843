//! `POST /v1/segment`

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use vcp_clip::record::Record;
use vcp_clip::{DecisionThresholds, ThresholdOptions};
use vcp_report::visible::printable;

use crate::body;
use crate::inspect::{Asked, Image, Inspected, Most, blocking, inspect};
use crate::json::{long_response, read_query, to_json};
use crate::limits::{ANSWER_BYTES, MOST_IMAGES, NAME_BYTES, RECENT_BYTES};
use crate::models::ServedModel;
use crate::pictures::{File, MapFormat};
use crate::recent::{ENTRY_BYTES, RecentResult};
use crate::refusal::{Reason, Refusal};
use crate::state::State;

/// What a photo is called where its sender says nothing.
const UNNAMED: &str = "photo";

/// What can be asked about photos.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentQuery {
    /// What the photo is called in its record; a name, never used as a path. Of a multipart body, parts have names of
    /// their own.
    name: Option<String>,
    /// The model; the default one where it is not given.
    model: Option<String>,
    /// What to make besides the record, separated by commas: overlay, heatmap, mask, map.
    include: Option<String>,
    /// Whether the record has these as links or holds them itself, as `data:` addresses.
    pictures: Option<PicturesAs>,
    /// In which form the map is given.
    map_format: Option<MapFormat>,
    /// A photo with at least this score has a defect; from -1000 to 1000. The model's review threshold is not used then.
    score_threshold: Option<f32>,
    /// A photo with at least this score and less than the score threshold is to be reviewed; from -1000 to 1000.
    review_threshold: Option<f32>,
    /// A pixel with at least this value belongs to a region; from -1000 to 1000.
    pixel_threshold: Option<f32>,
    /// Regions of fewer pixels are not reported; from 1 to 100000000000.
    min_area: Option<u64>,
    /// Who sends: page or http.
    source: Option<Source>,
    /// Whether the result goes into the history, if there is one; true if not given. It is counted in the metrics either
    /// way.
    keep: Option<bool>,
}

/// How pictures are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PicturesAs {
    /// Addresses at which they can be fetched for a while.
    #[default]
    Links,
    /// `data:` addresses, which hold them.
    Inline,
}

/// Who sends photos.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// A program.
    #[default]
    Http,
    /// The page.
    Page,
}

/// The answer to a multipart body.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SegmentAnswer {
    /// One for each part called `image`, in their order.
    results: Vec<ImageOutcome>,
}

/// What became of one of several images.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ImageOutcome {
    /// It was inspected.
    Done {
        /// Where the result can be fetched, if it is kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<String>,
        /// The record.
        record: Box<Record>,
    },
    /// It could not be.
    Failed {
        /// What it is called.
        name: String,
        /// The status that it would have been answered with alone.
        status: u16,
        /// Why not, as a sentence.
        error: String,
        /// Where the result can be fetched all the same, if it is kept and only its pictures do not fit into the answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    },
}

/// `POST /v1/segment`
pub(crate) async fn segment(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, Refusal> {
    let models = &state.ready()?.models;
    let (parts, body) = request.into_parts();
    let query: SegmentQuery = read_query(parts.uri.query())?;
    let model = query.model.as_deref().filter(|model| !model.is_empty());
    let model = models.named(model)?;
    let asked = Arc::new(query.asked(model)?);
    // Whoever would be refused need not send first.
    state.queue.check()?;
    let boundary = boundary(&parts.headers)?;
    let held = body::read(&state, &parts.headers, body).await?;
    if held.bytes().is_empty() {
        return Err(Refusal::bad_request(
            "The body is empty; send the content of an image file.",
        ));
    }
    let Some(boundary) = boundary else {
        let _place = state.queue.enter(1)?;
        let name = query.name.as_deref().unwrap_or(UNNAMED);
        let image = Image {
            name: checked_name(name)?,
            bytes: held.bytes().clone(),
        };
        let of = Arc::clone(&state);
        return process(&state, &asked, image, move |done| {
            let mut response = long_response(&of, &done.record)?;
            if let Some(location) = done.location
                && let Ok(location) = HeaderValue::from_str(&location)
            {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        })
        .await;
    };
    let images = {
        // Looking for the ends of parts reads all of the body.
        let (body, runtime) = (held.bytes().clone(), Handle::current());
        blocking(move || runtime.block_on(images(&body, &boundary))).await?
    };
    let places = Mutex::new(state.queue.enter(images.len())?);
    let inline = Inline::default();
    // One is decoded while the one before it is in the model.
    let outcomes = stream::iter(images).map(|image| {
        let (state, asked, inline, places) = (&state, &asked, &inline, &places);
        async move {
            let name = image.name.clone();
            let outcome = process(state, asked, image, Ok).await;
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            places.one_is_done();
            outcome_of(state, name, outcome, inline)
        }
    });
    let results = outcomes.buffered(2).collect().await;
    blocking(move || {
        let answer = SegmentAnswer { results };
        // The answer is counted from here on.
        drop(inline);
        long_response(&state, &answer)
    })
    .await
}

/// The pictures that a request has in its answer so far: their bytes, and what counts them.
#[derive(Default)]
struct Inline(Mutex<(usize, Vec<OwnedSemaphorePermit>)>);

impl Inline {
    /// Takes up the pictures of a record.
    fn add(&self, state: &State, record: &Record) -> Result<(), Refusal> {
        let files = &record.files;
        let pictures = [&files.overlay, &files.heatmap, &files.mask, &files.map];
        let bytes: usize = pictures.into_iter().flatten().map(String::len).sum();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 + bytes > ANSWER_BYTES {
            return Err(Refusal::new(
                Reason::TooLarge,
                format!(
                    "The pictures of this request are more than {} MiB. Ask for links to them (pictures=links), or \
                     send fewer photos at a time.",
                    ANSWER_BYTES >> 20
                ),
            ));
        }
        held.1.extend(body::counted(state, bytes)?);
        held.0 += bytes;
        Ok(())
    }
}

/// What is answered about one of several images.
fn outcome_of(
    state: &State,
    name: String,
    outcome: Result<Done, Refusal>,
    inline: &Inline,
) -> ImageOutcome {
    let mut location = None;
    let outcome = outcome.and_then(|done| {
        location.clone_from(&done.location);
        inline.add(state, &done.record)?;
        Ok(done)
    });
    match outcome {
        Ok(done) => ImageOutcome::Done {
            location: done.location,
            record: Box::new(done.record),
        },
        Err(refusal) => {
            state.metrics.refused(refusal.reason);
            if let Some(detail) = &refusal.detail {
                state.tell(detail);
            }
            ImageOutcome::Failed {
                name,
                status: refusal.status().as_u16(),
                error: refusal.sentence,
                location,
            }
        }
    }
}

/// Of a photo whose pictures are to be in the answer; in Base64 they are longer by a third.
const INLINE: Most = Most {
    bytes: ANSWER_BYTES / 4 * 3,
    refusal: "The pictures of this photo are more than the 64 MiB that an answer may have. Ask for links to them \
        (pictures=links), or for fewer.",
};

/// Of a photo whose pictures are to be kept for a while.
const LINKED: Most = Most {
    bytes: RECENT_BYTES - ENTRY_BYTES,
    refusal: "The pictures of this photo are more than the 128 MiB that are kept for those who were given links. Ask \
        for fewer, or take the map as map_format=png16.",
};

/// A record, and where the result is kept.
struct Done {
    record: Record,
    location: Option<String>,
}

/// Inspects an image, keeps what was promised, and makes an answer.
async fn process<T: Send + 'static>(
    state: &State,
    asked: &Arc<Asked>,
    image: Image,
    answer: impl FnOnce(Done) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let photo = image.clone();
    let (of, how) = (Arc::clone(state), Arc::clone(asked));
    inspect(state, asked, image, move |_, inspected| {
        answer(promised(&of, &how, &photo, inspected))
    })
    .await
}

/// Puts the files that were made where they were asked for.
fn promised(state: &State, asked: &Asked, photo: &Image, inspected: Inspected) -> Done {
    let Inspected {
        mut record,
        files,
        id,
    } = inspected;
    if let Some(id) = &id {
        state.announce(id);
    }
    let is_kept = id.is_some();
    let identifier = id.map(|id| id.to_string());
    let identifier = identifier.or_else(|| {
        let has_links = asked.has_links && !files.is_empty();
        has_links.then(|| state.recent.identifier())
    });
    let location = identifier.as_ref().map(|it| format!("/v1/results/{it}"));
    let plain = (!is_kept && identifier.is_some()).then(|| record.clone());
    for (file, bytes) in &files {
        let address = match &location {
            Some(location) if asked.has_links => format!("{location}/{}", file.name()),
            _ => file.inline(bytes),
        };
        let place = match file {
            File::Overlay => &mut record.files.overlay,
            File::Heatmap => &mut record.files.heatmap,
            File::Mask => &mut record.files.mask,
            File::Floats | File::Steps | File::Png16 => &mut record.files.map,
            File::Thumbnail => continue,
        };
        *place = Some(address);
    }
    if asked.has_links
        && let Some(identifier) = identifier
        && !files.is_empty()
    {
        let entry = plain.map(|record| entry(&identifier, asked, photo, &record));
        let result = RecentResult { entry, files };
        state.recent.keep(&identifier, result);
    }
    Done { record, location }
}

/// A result that no history keeps, in the form of those that are kept.
fn entry(identifier: &str, asked: &Asked, photo: &Image, record: &Record) -> Value {
    json!({
        "id": identifier,
        "time": vcp_history::Time::now(),
        "source": asked.source,
        "name": photo.name,
        "sha256": vcp_files::sha256(&photo.bytes),
        "model": { "name": asked.model.name(), "digest": asked.model.digest() },
        // Through the text, in which numbers are as the record has them.
        "record": serde_json::from_str::<Value>(&to_json(record)).unwrap_or_default(),
        "has": {
            "photo": false,
            "overlay": asked.files.contains(&File::Overlay),
            "map": asked.files.contains(&File::Steps),
        },
        "verdict": null,
    })
}

impl SegmentQuery {
    /// What is asked of a model; the query is checked.
    fn asked(&self, model: &Arc<ServedModel>) -> Result<Asked, Refusal> {
        let inspector = model.inspector();
        let has_links = self.pictures.unwrap_or_default() == PicturesAs::Links;
        Ok(Asked {
            thresholds: self.thresholds(model, &inspector)?,
            min_area: match self.min_area {
                None => model.options().min_area,
                Some(area @ 1..=100_000_000_000) => area,
                Some(_) => {
                    return Err(Refusal::bad_request(
                        "min_area is a whole number from 1 to 100000000000.",
                    ));
                }
            },
            files: self.files()?,
            most: if has_links { LINKED } else { INLINE },
            has_links,
            source: match self.source.unwrap_or_default() {
                Source::Http => "http",
                Source::Page => "page",
            },
            is_kept: self.keep.unwrap_or(true),
            model: Arc::clone(model),
            inspector,
        })
    }

    fn thresholds(
        &self,
        model: &ServedModel,
        inspector: &vcp_clip::Inspector,
    ) -> Result<DecisionThresholds, Refusal> {
        for (name, value) in [
            ("score_threshold", self.score_threshold),
            ("review_threshold", self.review_threshold),
            ("pixel_threshold", self.pixel_threshold),
        ] {
            if value.is_some_and(|value| !(-1000.0..=1000.0).contains(&value)) {
                return Err(Refusal::bad_request(format!(
                    "{name} is a number from -1000 to 1000."
                )));
            }
        }
        let own = model.options().thresholds;
        // A review threshold belongs to the score threshold that it was chosen for.
        let own_review = own.review.filter(|_| self.score_threshold.is_none());
        let options = ThresholdOptions {
            score: self.score_threshold.or(own.score),
            review: self.review_threshold.or(own_review),
            pixel: self.pixel_threshold.or(own.pixel),
            range: own.range,
        };
        let settled = DecisionThresholds::settle(&options, inspector.calibration());
        if settled.review.is_some_and(|review| review > settled.score) {
            return Err(Refusal::bad_request(
                "The review threshold is above the score threshold, from which a photo has a defect; give one that is not.",
            ));
        }
        Ok(settled)
    }

    /// The files that are to be made.
    fn files(&self) -> Result<Vec<File>, Refusal> {
        let names = self.include.as_deref().unwrap_or_default().split(',');
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        let files = names.map(|name| match name {
            "overlay" => Ok(File::Overlay),
            "heatmap" => Ok(File::Heatmap),
            "mask" => Ok(File::Mask),
            "map" => Ok(self.map_format.unwrap_or_default().file()),
            _ => Err(Refusal::bad_request(format!(
                "include names overlay, heatmap, mask and map, separated by commas, not {}.",
                printable(name)
            ))),
        });
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }
}

fn checked_name(name: &str) -> Result<String, Refusal> {
    if name.len() > NAME_BYTES {
        return Err(Refusal::bad_request(format!(
            "A name has at most {NAME_BYTES} bytes."
        )));
    }
    Ok(if name.is_empty() { UNNAMED } else { name }.to_owned())
}

/// What separates the parts of a multipart body; none of another body.
fn boundary(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (essence, _) = kind.split_once(';').unwrap_or((kind, ""));
    if !essence
        .trim()
        .to_ascii_lowercase()
        .starts_with("multipart/")
    {
        return Ok(None);
    }
    let boundary = multer::parse_boundary(kind).map_err(|_| {
        Refusal::new(
            Reason::MediaType,
            "A body in parts has to be multipart/form-data with a boundary.",
        )
    })?;
    Ok(Some(boundary))
}

/// The parts called `image`.
async fn images(body: &Bytes, boundary: &str) -> Result<Vec<Image>, Refusal> {
    let unreadable = |error: multer::Error| {
        Refusal::bad_request(format!(
            "The parts of the body cannot be told apart: {error}."
        ))
    };
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(body.clone())]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut images = Vec::new();
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        count += 1;
        if count > MOST_IMAGES {
            return Err(Refusal::new(
                Reason::TooLarge,
                format!(
                    "A body has at most {MOST_IMAGES} parts; send the others in further requests."
                ),
            ));
        }
        let is_image = part.name() == Some("image");
        let name = part.file_name().unwrap_or(UNNAMED).to_owned();
        let bytes = part.bytes().await.map_err(unreadable)?;
        if is_image {
            let name = checked_name(&name)?;
            images.push(Image { name, bytes });
        }
    }
    if images.is_empty() {
        return Err(Refusal::bad_request(
            "The body has no part called image; send each image as one.",
        ));
    }
    Ok(images)
}
