//! What `watch` was asked to do.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use vcp_clip::calibration::CalibrationSource;
use vcp_clip::photos::ScanOptions;
use vcp_clip::references::Copies;
use vcp_clip::{DeviceName, InspectionMask, ThresholdOptions, Tiling};
use vcp_image::DecodeOptions;
use vcp_watch::WatchOptions;

use crate::args::WatchArgs;
use crate::exit::usage;
use crate::kept_history;
use crate::model::Choice;
use crate::watched;

/// The validated options.
pub(crate) struct Options {
    pub(crate) watch: WatchOptions,
    pub(crate) choice: Choice,
    /// What the history calls the model.
    pub(crate) model_name: String,
    pub(crate) thresholds: ThresholdOptions,
    /// Good photos to compare with.
    pub(crate) references: Vec<PathBuf>,
    pub(crate) no_references: bool,
    pub(crate) scan: ScanOptions,
    pub(crate) calibration: Option<CalibrationSource>,
    pub(crate) decode: DecodeOptions,
    pub(crate) tiling: Option<Tiling>,
    pub(crate) mask: Option<InspectionMask>,
    pub(crate) min_area: u64,
    pub(crate) reference_copies: Copies,
    pub(crate) device: DeviceName,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) quiet: bool,
}

impl Options {
    /// Checks the arguments, and opens the history.
    pub(crate) fn new(arguments: WatchArgs) -> anyhow::Result<Self> {
        let judging = &arguments.judging;
        if arguments.photos.every_page() {
            return Err(usage(
                "watch takes each file for one photo; --page takes a number here.",
            ));
        }
        let thresholds = judging.thresholds()?;
        let tiling = arguments.tiling.tiling()?;
        let mask = arguments.photos.mask()?;
        let history = || kept_history::open(&arguments.history);
        let recursive = arguments.photos.scan_options().recursive;
        let quiet = arguments.run.quiet;
        Ok(Self {
            watch: watched::options(
                &arguments.watched,
                &arguments.folder,
                recursive,
                quiet,
                history,
            )?,
            model_name: model_name(
                arguments.choice.model.as_deref(),
                arguments.choice.checkpoint.as_deref(),
            ),
            choice: Choice::new(arguments.choice)?.computed_in(arguments.run.precision.precision()),
            thresholds,
            scan: arguments.photos.scan_options(),
            calibration: arguments.judging.calibration.map(CalibrationSource::File),
            references: arguments.judging.references,
            no_references: arguments.judging.no_references,
            decode: arguments.photos.decode_options(),
            tiling,
            mask,
            min_area: arguments.judging.min_area,
            reference_copies: arguments.judging.reference_copies.copies(),
            device: arguments.run.device.device,
            threads: arguments.run.threads,
            quiet,
        })
    }
}

/// What a model is called: the name of a bundle, or of the file of the trained part.
fn model_name(model: Option<&Path>, checkpoint: Option<&Path>) -> String {
    let file = model.or(checkpoint).and_then(Path::file_stem);
    file.map_or_else(
        || "built-in".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_names() {
        for (model, checkpoint, expected) in [
            (None, None, "built-in"),
            (Some("visa"), None, "visa"),
            (Some("x/mine.safetensors"), None, "mine"),
            (None, Some("train_visa.pth"), "train_visa"),
        ] {
            let name = model_name(model.map(Path::new), checkpoint.map(Path::new));
            assert_eq!(name, expected);
        }
    }
}
