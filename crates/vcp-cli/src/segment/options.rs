//! What `segment` was asked to do, checked as far as can be without opening a file.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use vcp_image::{DecodeOptions, PageChoice};
use vcp_predict::tiling::Tiling;

use super::save::Saving;
use crate::args::{DeviceName, Format, PageName, Save, SegmentArgs};
use crate::exit::{OrUsage, usage};
use crate::inputs::ScanOptions;
use crate::model::Choice;

/// The validated options.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) scan: ScanOptions,
    pub(crate) choice: Choice,
    pub(crate) saving: Option<Saving>,
    /// Values at the two ends of the colour scale.
    pub(crate) range: Option<(f32, f32)>,
    pub(crate) pixel_threshold: Option<f32>,
    pub(crate) score_threshold: Option<f32>,
    /// A file with what the three above are by default.
    pub(crate) calibration: Option<PathBuf>,
    pub(crate) decode: DecodeOptions,
    /// Each page of a file is a photo of its own.
    pub(crate) every_page: bool,
    /// How photos are cut into windows, if they are.
    pub(crate) tiling: Option<Tiling>,
    /// Where the model runs.
    pub(crate) device: DeviceName,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) format: Format,
    pub(crate) fail_on_anomaly: bool,
    pub(crate) quiet: bool,
}

impl Options {
    /// Checks the arguments against one another.
    pub(crate) fn new(arguments: SegmentArgs) -> anyhow::Result<Self> {
        let range = range(&arguments.range)?;
        let saving = match (arguments.out.clone(), arguments.save) {
            (None, kinds) if kinds.is_empty() => None,
            (None, _) => {
                return Err(usage(
                    "--save says what to write; say where with --out DIR.",
                ));
            }
            (Some(folder), kinds) => {
                let kinds = if kinds.is_empty() {
                    vec![Save::Overlay]
                } else {
                    kinds
                };
                Some(Saving { folder, kinds })
            }
        };
        let tiling = arguments.tiling.tiling()?;
        Ok(Self {
            inputs: arguments.inputs,
            scan: ScanOptions {
                recursive: arguments.recursive,
            },
            choice: Choice::new(arguments.choice)?,
            saving,
            range,
            pixel_threshold: arguments.pixel_threshold,
            score_threshold: arguments.score_threshold,
            calibration: arguments.calibration,
            decode: DecodeOptions {
                apply_orientation: !arguments.no_orientation,
                max_pixels: arguments.max_pixels,
                bits: arguments.bits.bits(),
                page: match arguments.page {
                    Some(PageName::Number(number)) => PageChoice::Number(number),
                    Some(PageName::All) | None => PageChoice::Photo,
                },
            },
            every_page: arguments.page == Some(PageName::All),
            tiling,
            device: arguments.device.device,
            threads: arguments.threads,
            format: arguments.format,
            fail_on_anomaly: arguments.fail_on_anomaly,
            quiet: arguments.quiet,
        })
    }

    /// Makes sure that results can be written before a model is loaded for them.
    pub(crate) fn create_folder(&self) -> anyhow::Result<()> {
        if let Some(saving) = &self.saving {
            let folder = saving.folder.display();
            std::fs::create_dir_all(&saving.folder)
                .map_err(|error| {
                    anyhow::anyhow!("The output folder {folder} cannot be created: {error}.")
                })
                .or_usage()?;
            vcp_files::try_folder(&saving.folder)
                .map_err(|error| {
                    anyhow::anyhow!(
                        "Nothing can be written into the output folder {folder}: {error}."
                    )
                })
                .or_usage()?;
        }
        Ok(())
    }
}

fn range(values: &[f32]) -> anyhow::Result<Option<(f32, f32)>> {
    match *values {
        [] => Ok(None),
        [low, high] if low < high => Ok(Some((low, high))),
        _ => Err(usage(
            "--range takes two numbers LO,HI, the first below the second.",
        )),
    }
}
