//! What inspects photos, and a photo's way to it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use vcp_clip::photos::{Decoding, PhotoPath};
use vcp_clip::{DecodedPhoto, Error, Inspection, Inspector, Stop};
use vcp_history::ModelEntry;

use crate::candidates::Whole;
use crate::identity::Identity;

/// No file that is longer is read: it is in memory whole, and part of the history.
const LONGEST: u64 = 4 << 30;

/// What inspects photos. Decoding and the model run at a time, on two threads.
pub trait Inspect: Send + Sync + 'static {
    /// A photo between the two.
    type Decoded: Send + 'static;

    /// Decodes a photo. `content` is that of its file, which has just been read; errors call it `label`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn decode(
        &self,
        photo: &PhotoPath,
        content: &[u8],
        label: &str,
    ) -> Result<Self::Decoded, Error>;

    /// Inspects it; says how long that took, without waiting for others.
    ///
    /// # Errors
    /// When it cannot go through the model.
    fn inspect(&self, photo: Self::Decoded, stop: &Stop) -> Result<(Inspection, Duration), Error>;

    /// Whether a photo's file is read again after it was decoded. One that is written to meanwhile is not judged then.
    fn reads_later(&self) -> bool {
        false
    }

    /// The model that inspects.
    fn model(&self) -> ModelEntry;
}

/// An [`Inspector`] for a watched folder.
#[derive(Debug)]
pub struct FolderInspector {
    /// What inspects.
    pub inspector: Inspector,
    /// How photos are decoded.
    pub decoding: Decoding,
    /// The model, as the history names it.
    pub model: ModelEntry,
}

impl Inspect for FolderInspector {
    type Decoded = DecodedPhoto;

    fn decode(
        &self,
        photo: &PhotoPath,
        content: &[u8],
        label: &str,
    ) -> Result<DecodedPhoto, Error> {
        let options = self.decoding.of(photo);
        if self.reads_later() {
            return self.inspector.decode_file(&photo.path, &options);
        }
        self.inspector.decode_bytes(content, label, &options)
    }

    fn inspect(&self, photo: DecodedPhoto, stop: &Stop) -> Result<(Inspection, Duration), Error> {
        let begun = Instant::now();
        let inspection = self
            .inspector
            .inspect_decoded(photo, &mut |_, _| stop.flow())?;
        Ok((inspection, begun.elapsed()))
    }

    fn reads_later(&self) -> bool {
        // Windows come from the file, so that a large photo is not in memory whole.
        self.inspector.tiling().is_some()
    }

    fn model(&self) -> ModelEntry {
        self.model.clone()
    }
}

/// The folder, by its two names.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// By which its files are opened.
    pub(crate) folder: PathBuf,
    /// By which it is spoken of.
    pub(crate) shown: PathBuf,
}

/// A photo, read and decoded or not.
pub(crate) struct Read<T> {
    pub(crate) whole: Whole,
    pub(crate) content: Vec<u8>,
    pub(crate) outcome: Result<T, Error>,
    /// Whether the content is that of the file as it was when it was found to be whole.
    pub(crate) is_as_found: bool,
    pub(crate) durations: [Duration; 2],
}

/// Reads and decodes a photo.
pub(crate) fn read<I: Inspect>(inspect: &I, named: &Named, whole: Whole) -> Read<I::Decoded> {
    let begun = Instant::now();
    let photo = PhotoPath {
        path: named.folder.join(&whole.relative),
        relative: whole.relative.clone(),
        page: None,
    };
    let label = named.shown.join(&whole.relative).display().to_string();
    let mut content = Vec::new();
    let read = vcp_files::read_at_most(&photo.path, LONGEST);
    // Whoever begins to write it anew later does not change what was read.
    let is_as_found = Identity::at(&photo.path).is_none_or(|it| it == whole.identity);
    let outcome = match read {
        Ok(None) => Err(Error::Unreadable(format!(
            "{label} is longer than {} GiB, so it is not read.",
            LONGEST >> 30
        ))),
        Ok(Some(bytes)) => {
            content = bytes;
            vcp_clip::pipeline::guarded(|| inspect.decode(&photo, &content, &label))
        }
        Err(error) => Err(Error::Unreadable(format!(
            "{label} could not be read: {error}."
        ))),
    };
    Read {
        whole,
        content,
        outcome,
        is_as_found,
        durations: [begun.elapsed(), Duration::ZERO],
    }
}

impl<T> Read<T> {
    /// Passes it through the model.
    pub(crate) fn inspected<I: Inspect<Decoded = T>>(
        self,
        inspect: &I,
        stop: &Stop,
    ) -> Read<Inspection> {
        let [decode, _] = self.durations;
        let outcome = self.outcome.and_then(|it| inspect.inspect(it, stop));
        let (outcome, model) = match outcome {
            Ok((inspection, time)) => (Ok(inspection), time),
            Err(error) => (Err(error), Duration::ZERO),
        };
        Read {
            outcome,
            durations: [decode, model],
            whole: self.whole,
            content: self.content,
            is_as_found: self.is_as_found,
        }
    }
}

/// The overlay as PNG and the thumbnail as JPEG.
pub(crate) fn pictures(
    inspection: &Inspection,
) -> Result<(Vec<u8>, Vec<u8>), vcp_clip::image::Error> {
    let overlay = inspection.overlay()?.to_png_bytes()?;
    let thumbnail = vcp_history::thumbnail(&*inspection.photo()?)?;
    Ok((overlay, thumbnail))
}
