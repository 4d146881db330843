//! What `calibrate` was asked to do, checked as far as can be without opening a photo.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use vcp_clip::calibration::statistics::FalseAlarmTarget;
use vcp_clip::calibration::{Aim, FitOptions};
use vcp_clip::photos::Decoding;
use vcp_clip::references::Copies;
use vcp_clip::{DeviceName, InspectionMask, Tiling};
use vcp_image::DecodeOptions;

use super::photos::Photos;
use crate::args::{CalibrateArgs, ReferenceCount};
use crate::exit::usage;
use crate::inputs;
use crate::model::Choice;
use crate::place::{check_place, create_folder};

/// The validated options.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) choice: Choice,
    /// What decides about thresholds.
    pub(crate) fit: FitOptions,
    pub(crate) out: Option<Output>,
    pub(crate) decode: DecodeOptions,
    /// The same for each photo.
    pub(crate) decoding: Decoding,
    /// How photos are cut into windows, if they are.
    pub(crate) tiling: Option<Tiling>,
    /// The part of photos that counts.
    pub(crate) mask: Option<InspectionMask>,
    /// Where the model runs.
    pub(crate) device: DeviceName,
    pub(crate) threads: Option<NonZeroUsize>,
    /// How many good photos others are to be compared with, if any.
    pub(crate) references: Option<ReferenceCount>,
    pub(crate) no_references: bool,
    pub(crate) reference_copies: Copies,
    pub(crate) quiet: bool,
}

/// Where the calibration goes.
#[derive(Debug)]
pub(crate) enum Output {
    Bundle(PathBuf),
    File(PathBuf),
}

impl Output {
    /// Settles the kind of file, and that it can be written.
    fn new(path: PathBuf, force: bool) -> anyhow::Result<Self> {
        check_place(&path, force)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Ok(Self::File(path)),
            Some("safetensors") => Ok(Self::Bundle(path)),
            _ => Err(usage(format!(
                "--out {} must end in .json for a calibration alone, or in .safetensors for a \
                 bundle with the model.",
                path.display()
            ))),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Bundle(path) | Self::File(path) => path,
        }
    }
}

impl Options {
    /// Checks the arguments against one another, and finds the photos.
    pub(crate) fn new(arguments: CalibrateArgs) -> anyhow::Result<(Self, Photos)> {
        let mut decode = arguments.photos.decode_options();
        let wants_few_alarms = arguments.false_alarms_per_image.is_some()
            || arguments.false_alarms_per_pixel.is_some();
        let out = match arguments.out.clone() {
            Some(path) => Some(Output::new(path, arguments.force)?),
            None => None,
        };
        if arguments.references.is_some() && !matches!(out, Some(Output::Bundle(_))) {
            return Err(usage(
                "--references stores features of photos with the model: name a bundle for them, --out \
                 NAME.safetensors.",
            ));
        }
        let tiling = arguments.tiling.tiling()?;
        let mask = arguments.photos.mask()?;
        let photos = Photos::find(&arguments, &decode)?;
        inputs::settle_bits(&mut decode, None, &photos.listed(), arguments.run.quiet);
        let aim = match arguments.target_recall {
            Some(_) if !photos.has_anomalous() => {
                return Err(usage(
                    "--target-recall needs photos with defects: name them with --anomalous DIR.",
                ));
            }
            Some(recall) => Aim::Recall(recall),
            None if photos.has_anomalous() && !wants_few_alarms => Aim::F1,
            None => Aim::FalseAlarms,
        };
        let options = Self {
            choice: Choice::new(arguments.choice)?.computed_in(arguments.run.precision.precision()),
            fit: FitOptions {
                aim,
                false_alarms: FalseAlarmTarget {
                    rate: arguments.false_alarms_per_image.unwrap_or(0.05),
                    confidence: arguments.confidence,
                },
                allowed_pixels: arguments.false_alarms_per_pixel.unwrap_or(0.001),
                review: arguments.review.0,
            },
            out,
            decoding: inputs::decoding(decode.clone(), arguments.run.quiet),
            decode,
            tiling,
            mask,
            device: arguments.run.device.device,
            threads: arguments.run.threads,
            references: arguments.references,
            no_references: arguments.no_references,
            reference_copies: arguments.reference_copies.copies(),
            quiet: arguments.run.quiet,
        };
        Ok((options, photos))
    }

    /// Makes sure that the result has a place before work is done for it.
    pub(crate) fn create_folder(&self) -> anyhow::Result<()> {
        let folder = self.out.as_ref().and_then(|out| out.path().parent());
        match folder.filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => create_folder(folder),
            None => Ok(()),
        }
    }
}
