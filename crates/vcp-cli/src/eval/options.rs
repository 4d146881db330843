//! What `eval` was asked to do, checked as far as can be without opening a file.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use vcp_checkpoint::{Precision, Settings, bounds};
use vcp_clip::DeviceName;
use vcp_clip::calibration::CalibrationSource;
use vcp_dataset::{Collection, Split};
use vcp_evaluate::output::ImageFile;
use vcp_evaluate::{FewShot, Protocol};
use vcp_files::Lock;

use crate::args::{ComputingName, EvalArgs, EvalSave, Format};
use crate::data::{collection, split};
use crate::exit::{OrUsage, usage};
use crate::model::Choice;
use crate::place::create_folder;

/// The validated options.
pub(super) struct Options {
    pub(super) collection: Collection,
    /// All if `None`.
    pub(super) split: Option<Split>,
    pub(super) choice: Choice,
    /// Shares of the branches; the model's own if `None`.
    pub(super) blend: Option<[f32; 2]>,
    pub(super) protocol: Protocol,
    /// A file with thresholds, in place of the model's own.
    pub(super) calibration: Option<CalibrationSource>,
    pub(super) out: PathBuf,
    pub(super) save: Vec<ImageFile>,
    pub(super) restart: bool,
    /// Seeds by which reference images are chosen; one at least.
    pub(super) seeds: Vec<u64>,
    pub(super) no_references: bool,
    /// Evaluate in this precision beside f32, and report what differs.
    pub(super) compared_precision: Option<Precision>,
    pub(super) format: Format,
    /// Where the model runs.
    pub(super) device: DeviceName,
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) quiet: bool,
}

impl Options {
    /// Checks the arguments against one another.
    pub(super) fn new(arguments: EvalArgs) -> anyhow::Result<Self> {
        let split = split("--split", &arguments.split)?;
        let compared_precision = compared_precision(&arguments)?;
        let Some(out) = arguments.out else {
            return Err(usage("Say where the results are to go with --out DIR."));
        };
        let blend = match arguments.blend[..] {
            [] => None,
            [first, second] if bounds::is_blend([first, second]) => Some([first, second]),
            _ => {
                let found: Vec<String> = arguments.blend.iter().map(f32::to_string).collect();
                return Err(usage(format!(
                    "--blend takes two weights A,B, of branch 1 and of branch 2: numbers from 0 to 1 \
                     whose sum is more than 0 and at most 1, not {}.",
                    found.join(",")
                )));
            }
        };
        let mut seeds = arguments.seed;
        if !seeds.is_empty() && arguments.references.is_none() {
            return Err(usage(
                "--seed chooses reference images; say how many with --references N.",
            ));
        }
        if seeds.is_empty() {
            seeds.push(0);
        }
        if let Some(twice) = (1..seeds.len()).find(|&at| seeds[..at].contains(&seeds[at])) {
            return Err(usage(format!(
                "--seed names {} twice; each seed makes a choice of its own.",
                seeds[twice]
            )));
        }
        let [lower, upper] = arguments.aupimo_bounds[..] else {
            return Err(usage("--aupimo-bounds takes two rates LO,HI."));
        };
        let protocol = Protocol {
            blend: blend.unwrap_or(Settings::default().blend),
            smoothing: arguments.smoothing,
            score_pixels: arguments.score_pixels,
            aupro_limit: arguments.aupro_limit,
            aupro_steps: arguments.aupro_steps,
            aupimo_bounds: [lower, upper],
            apply_orientation: arguments.orientation,
            max_pixels: arguments.data.max_pixels,
            bits: arguments.data.bits.bits(),
            streaming: arguments.streaming,
            by_defect: arguments.by_defect,
            tiling: arguments.tiling.tiling()?,
            split: split.map_or("all", Split::as_str).to_owned(),
            limit: arguments.limit,
            references: arguments.references.map(|count| FewShot {
                count,
                seed: seeds[0],
                copies: arguments.reference_copies.copies(),
            }),
            // What the model says about it is not known yet.
            memory: None,
            calibration: None,
        };
        protocol.check().or_usage()?;
        let mut save = arguments.save;
        if protocol.tiling.is_some() && save.contains(&EvalSave::Npy) {
            return Err(usage(
                "With --tile, maps have the photo's resolution: `vcp-clip segment --tile … --save npy` \
                 writes them. Leave out --save npy here.",
            ));
        }
        save.sort_unstable();
        save.dedup();
        Ok(Self {
            collection: collection(arguments.data, arguments.orientation)?,
            split,
            choice: Choice::new(arguments.choice)?.computed_in(arguments.run.precision.precision()),
            blend,
            protocol,
            calibration: arguments.calibration.map(CalibrationSource::File),
            out,
            save: save.into_iter().map(image_file).collect(),
            restart: arguments.restart,
            seeds,
            no_references: arguments.no_references,
            compared_precision,
            format: arguments.format,
            device: match (compared_precision, arguments.run.device.device) {
                // Only it computes in other precisions.
                (Some(_), DeviceName::Auto) => DeviceName::Cpu,
                (_, device) => device,
            },
            threads: arguments.run.threads,
            quiet: arguments.run.quiet,
        })
    }

    /// Makes sure that results can be written before a model is loaded for them, and that nobody else
    /// writes there as long as what this gives is kept.
    pub(super) fn create_folder(&self) -> anyhow::Result<Lock> {
        create_folder(&self.out)?;
        let lock = Lock::of_folder(&self.out).or_usage()?;
        vcp_files::remove_leftovers(&self.out);
        Ok(lock)
    }
}

/// Refuses --compare, which evaluates nothing, together with --compare-precision, which does.
pub(super) fn refuse_both_comparisons(arguments: &EvalArgs) -> anyhow::Result<()> {
    if arguments.compare_precision.is_none() {
        return Ok(());
    }
    Err(usage(
        "--compare prints the differences of results that are there, and --compare-precision evaluates a model \
         twice; leave out one of them.",
    ))
}

/// The precision that f32 is to be compared with, if any.
fn compared_precision(arguments: &EvalArgs) -> anyhow::Result<Option<Precision>> {
    let Some(precision) = arguments.compare_precision else {
        return Ok(None);
    };
    if matches!(arguments.run.device.device, DeviceName::Gpu(_)) {
        return Err(usage(
            "--compare-precision is about the CPU: GPUs compute in f32. Leave out --device, or give --device cpu.",
        ));
    }
    if arguments.run.precision.precision.is_some() {
        return Err(usage(
            "--compare-precision computes in f32 and in the precision that it names; leave out --precision.",
        ));
    }
    if arguments.seed.len() > 1 {
        return Err(usage(
            "--compare-precision compares with one choice of reference images; give one --seed.",
        ));
    }
    match precision {
        ComputingName::F32 => Err(usage(
            "--compare-precision compares another precision with f32; give bf16 or int8.",
        )),
        ComputingName::Bf16 => Ok(Some(Precision::Bf16)),
        ComputingName::Int8 => Ok(Some(Precision::Int8)),
    }
}

fn image_file(kind: EvalSave) -> ImageFile {
    match kind {
        EvalSave::Strips => ImageFile::Strips,
        EvalSave::Npy => ImageFile::Npy,
    }
}
