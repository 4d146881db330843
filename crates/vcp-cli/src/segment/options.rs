//! What `segment` was asked to do, checked as far as can be without opening a file.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use vcp_clip::calibration::CalibrationSource;
use vcp_clip::photos::{ScanOptions, Shard};
use vcp_clip::references::Copies;
use vcp_clip::results::{ResultFolder, ResultKind};
use vcp_clip::{Decision, DeviceName, InspectionMask, ResultNames, ThresholdOptions, Tiling};
use vcp_image::DecodeOptions;

use super::out_table::TablePlace;
use crate::args::{Format, Save, SegmentArgs, SegmentFormat};
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
    /// How results are printed, if they are.
    pub(crate) format: Option<Format>,
    /// The table that results go to.
    pub(crate) table: Option<TablePlace>,
    /// The part of the photos that is processed.
    pub(crate) shard: Option<Shard>,
    /// The table that names the photos, and its column.
    pub(crate) from: Option<(PathBuf, String)>,
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
        let table = TablePlace::of(&arguments.out_table, arguments.format)?;
        let format = match arguments.format {
            Some(SegmentFormat::Json) => Some(Format::Json),
            Some(SegmentFormat::Table) => Some(Format::Table),
            Some(SegmentFormat::Parquet | SegmentFormat::Csv) => None,
            None => table.is_none().then_some(Format::Json),
        };
        let tiling = arguments.tiling.tiling()?;
        let mask = arguments.photos.mask()?;
        Ok(Self {
            inputs: arguments.inputs,
            scan: arguments.photos.scan_options(),
            choice: Choice::new(arguments.choice)?.computed_in(arguments.run.precision.precision()),
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
            format,
            table,
            shard: arguments.out_table.shard,
            from: arguments
                .out_table
                .from
                .map(|it| (it, arguments.out_table.column)),
            fail_on: match (arguments.fail_on_review, arguments.fail_on_anomaly) {
                (true, _) => Some(Decision::Review),
                (false, true) => Some(Decision::Defect),
                (false, false) => None,
            },
            quiet: arguments.run.quiet,
        })
    }

    /// Names for the files of photos: where runs share a folder or are resumed, they depend on nothing but the photo.
    pub(crate) fn names(&self) -> ResultNames {
        if self.shard.is_some() || self.table.is_some() {
            ResultNames::with_endings()
        } else {
            ResultNames::default()
        }
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
