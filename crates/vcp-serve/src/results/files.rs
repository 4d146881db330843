//! `GET /v1/results/{id}/{file}`

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncReadExt as _;
use vcp_clip::record::Record;
use vcp_history::{FileKind, History, ResultId};
use vcp_image::{PlainMap, ScaledMap};

use super::{identifier, missing};
use crate::address::Path;
use crate::body;
use crate::inspect::blocking;
use crate::pictures::{File, steps_png};
use crate::refusal::Refusal;
use crate::state::State;

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// `GET /v1/results/{id}/{file}`
pub(crate) async fn file(
    Extract(state): Extract<State>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let id = identifier(&id)?;
    let history = state.ready()?.history().cloned();
    if name == "photo" {
        let path = stored(history.ok_or_else(no_file)?, &id, FileKind::Photo).await?;
        let path = path.ok_or_else(no_file)?;
        let kind = photo_type(&path);
        return from_disk(&path, kind).await;
    }
    let file = File::of_name(&name).ok_or_else(no_file)?;
    let kept = state.recent.get(id.as_str());
    if let Some(bytes) = kept.and_then(|kept| kept.file(file)) {
        return Ok(answer(Body::from(bytes), file.content_type(), LASTING));
    }
    let history = history.ok_or_else(no_file)?;
    let kind = match file {
        File::Overlay => FileKind::Overlay,
        File::Thumbnail => FileKind::Thumbnail,
        File::Steps => FileKind::Map,
        File::Heatmap | File::Mask | File::Floats | File::Png16 => {
            let bytes = made_of_map(&state, history, id, file).await?;
            let lasts = match file {
                // Its colours are those that the model has now.
                File::Heatmap => "no-store",
                _ => LASTING,
            };
            let body = body::answer(&state, bytes)?;
            return Ok(answer(body, file.content_type(), lasts));
        }
    };
    let path = stored(history, &id, kind).await?.ok_or_else(no_file)?;
    from_disk(&path, file.content_type()).await
}

fn no_file() -> Refusal {
    Refusal::not_found("There is no such file of a result, or it is not kept.")
}

/// Where a file lies.
async fn stored(
    history: History,
    id: &ResultId,
    kind: FileKind,
) -> Result<Option<PathBuf>, Refusal> {
    let id = id.clone();
    blocking(move || Ok(history.file(&id, kind)?)).await
}

/// A file that is sent as it is read.
async fn from_disk(path: &FilePath, kind: &'static str) -> Result<Response, Refusal> {
    let opened = tokio::fs::File::open(path).await;
    // It may have made room for new results by now.
    let file = opened.map_err(|_| no_file())?;
    let length = file.metadata().await?.len();
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        let piece = (length > 0).then(|| (Bytes::from(piece), file));
        Ok::<_, std::io::Error>(piece)
    });
    let mut response = answer(Body::from_stream(pieces), kind, LASTING);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// A result never changes, so neither do most of its files.
const LASTING: &str = "private, max-age=86400, immutable";

/// A file, and how long who asked may keep it.
fn answer(body: Body, kind: &'static str, lasts: &'static str) -> Response {
    let mut response = Response::new(body);
    for (header, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, "inline"),
        (header::CACHE_CONTROL, lasts),
        // A photo that is no photo is not run.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
    ] {
        response
            .headers_mut()
            .insert(header, HeaderValue::from_static(value));
    }
    response
}

/// By the ending under which the history keeps it.
fn photo_type(path: &FilePath) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending.unwrap_or_default() {
        "bmp" => "image/bmp",
        "gif" => "image/gif",
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "pnm" => "image/x-portable-anymap",
        "tif" => "image/tiff",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}

/// What is not kept, but can be made of the map that is.
async fn made_of_map(
    state: &State,
    history: History,
    id: ResultId,
    file: File,
) -> Result<Vec<u8>, Refusal> {
    // A picture may be as large as a photo.
    let room = match file {
        File::Heatmap | File::Mask => {
            let place = state.queue.enter(1)?;
            let permit = Arc::clone(&state.decoded).acquire_owned().await;
            Some((place, permit.map_err(|_| Refusal::draining())?))
        }
        _ => None,
    };
    let models = Arc::clone(state);
    blocking(move || {
        let _room = room;
        let entry = history.get(&id)?.ok_or_else(missing)?;
        let path = history.file(&id, FileKind::Map)?.ok_or_else(no_file)?;
        let npy = std::fs::read(path).map_err(|_| no_file())?;
        let steps =
            steps_of(&npy).ok_or_else(|| Refusal::internal("A map of the history is damaged."))?;
        let side = steps.len().isqrt();
        let values: Vec<f32> = steps
            .iter()
            .map(|&step| f32::from(step) / 65535.0)
            .collect();
        let record: Record = serde_json::from_value(entry.record).map_err(|error| {
            Refusal::internal(format!("A record of the history is damaged: {error}."))
        })?;
        let map = ScaledMap::new(&values, side, record.width, record.height);
        let picture = match file {
            File::Png16 => return Ok(steps_png(&steps, side)?),
            File::Floats => {
                let mut bytes = Vec::new();
                vcp_image::encode_npy(&PlainMap::new(&values, side), &mut bytes)?;
                return Ok(bytes);
            }
            File::Mask => {
                let (threshold, area) = (record.pixel_threshold, record.min_area.unwrap_or(1));
                let (_, small) = vcp_image::regions_of_area(&map, threshold, area);
                vcp_image::mask_picture(&small.cleared(&map), threshold)
            }
            _ => {
                let model = models.loaded()?.models.named(Some(&entry.model.name));
                let range = model.map_or((0.0, 1.0), |model| model.inspector().thresholds().range);
                vcp_image::heatmap(&map, range)
            }
        };
        Ok(picture.to_png_bytes().map_err(vcp_clip::Error::from)?)
    })
    .await
}

/// The values of a square array that the history has written.
fn steps_of(npy: &[u8]) -> Option<Vec<u16>> {
    let length = u16::from_le_bytes(*npy.get(8..)?.first_chunk()?);
    let (values, rest) = npy.get(10 + usize::from(length)..)?.as_chunks::<2>();
    let side = values.len().isqrt();
    let is_square = side > 0 && side * side == values.len() && rest.is_empty();
    let steps = values.iter().map(|bytes| u16::from_le_bytes(*bytes));
    is_square.then(|| steps.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_as_they_were_written() {
        let npy = crate::pictures::steps_npy(&[1, 2, 3, 65535], 2);
        assert_eq!(steps_of(&npy), Some(vec![1, 2, 3, 65535]));
        assert_eq!(steps_of(&npy[..npy.len() - 1]), None);
        for length in 0..npy.len() {
            let _ = steps_of(&npy[..length]);
        }
        assert_eq!(steps_of(&crate::pictures::steps_npy(&[], 0)), None);
    }
}
