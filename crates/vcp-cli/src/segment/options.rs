//! What `segment` was asked to do, checked as far as can be without opening a file.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use vcp_clip::calibration::CalibrationSource;
use vcp_clip::photos::ScanOptions;
use vcp_clip::references::Copies;
use vcp_clip::results::{ResultFolder, ResultKind};
use vcp_clip::{Decision, DeviceName, InspectionMask, ThresholdOptions, Tiling};
use vcp_image::DecodeOptions;

use crate::args::{Format, Save, SegmentArgs};
use crate::exit::{OrUsage, usage};
use crate::model::Choice;
use crate::place::create_folder;

/// The validated options.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) scan: ScanOptions,
    pub(crate) choice: Choice,
    pub(crate) results: Option<ResultFolder>,
    pub(crate) thresholds: ThresholdOptions,
    /// Good photos to compare with.
    pub(crate) references: Vec<PathBuf>,
    pub(crate) no_references: bool,
    /// What thresholds are by default.
    pub(crate) calibration: Option<CalibrationSource>,
    pub(crate) decode: DecodeOptions,
    /// Each page of a file is a photo of its own.
    pub(crate) every_page: bool,
    /// How photos are cut into windows, if they are.
    pub(crate) tiling: Option<Tiling>,
    /// The part of photos that counts.
    pub(crate) mask: Option<InspectionMask>,
    /// Pixels of the smallest region that is reported.
    pub(crate) min_area: u64,
    pub(crate) reference_copies: Copies,
    /// Where the model runs.
    pub(crate) device: DeviceName,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) format: Format,
    /// The least decision about a photo that the exit status tells of.
    pub(crate) fail_on: Option<Decision>,
    pub(crate) quiet: bool,
}

impl Options {
    /// Checks the arguments against one another.
    pub(crate) fn new(arguments: SegmentArgs) -> anyhow::Result<Self> {
        let judging = arguments.judging;
        let thresholds = judging.thresholds()?;
        let results = match (arguments.out.clone(), arguments.save) {
            (None, kinds) if kinds.is_empty() => None,
            (None, _) => {
                return Err(usage(
                    "--save says what to write; say where with --out DIR.",
                ));
            }
            (Some(folder), kinds) => Some(ResultFolder {
                folder,
                kinds: if kinds.is_empty() {
                    vec![ResultKind::Overlay]
                } else {
                    kinds.into_iter().map(Into::into).collect()
                },
            }),
        };
        let tiling = arguments.tiling.tiling()?;
        let mask = arguments.photos.mask()?;
        Ok(Self {
            inputs: arguments.inputs,
            scan: arguments.photos.scan_options(),
            choice: Choice::new(arguments.choice)?,
            results,
            thresholds,
            references: judging.references,
            no_references: judging.no_references,
            calibration: judging.calibration.map(CalibrationSource::File),
            decode: arguments.photos.decode_options(),
            every_page: arguments.photos.every_page(),
            tiling,
            mask,
            min_area: judging.min_area,
            reference_copies: judging.reference_copies.copies(),
            device: arguments.run.device.device,
            threads: arguments.run.threads,
            format: arguments.format,
            fail_on: match (arguments.fail_on_review, arguments.fail_on_anomaly) {
                (true, _) => Some(Decision::Review),
                (false, true) => Some(Decision::Defect),
                (false, false) => None,
            },
            quiet: arguments.run.quiet,
        })
    }

    /// Makes sure that results can be written before a model is loaded for them.
    pub(crate) fn create_folder(&self) -> anyhow::Result<()> {
        let Some(ResultFolder { folder, .. }) = &self.results else {
            return Ok(());
        };
        create_folder(folder)?;
        vcp_files::try_folder(folder)
            .map_err(|error| {
                let folder = folder.display();
                anyhow::anyhow!("Nothing can be written into the output folder {folder}: {error}.")
            })
            .or_usage()
    }
}

impl From<Save> for ResultKind {
    fn from(kind: Save) -> Self {
        match kind {
            Save::Overlay => Self::Overlay,
            Save::Heatmap => Self::Heatmap,
            Save::Mask => Self::Mask,
            Save::Npy => Self::Npy,
            Save::Json => Self::Json,
        }
    }
}
