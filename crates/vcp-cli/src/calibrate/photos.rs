//! The photos to calibrate on, and what is known about them.

use std::path::{Path, PathBuf};

use vcp_clip::calibration::statistics::FEWEST_IMAGES;
use vcp_clip::photos::{Found, Inputs, PhotoPath, every_page};
use vcp_dataset::{Label, MaskSource, Sample, Split};
use vcp_image::DecodeOptions;

use crate::args::CalibrateArgs;
use crate::console;
use crate::exit::{OrUsage, usage};
use crate::inputs;

/// Problems of a data set that are printed one by one.
const MAX_PROBLEMS: usize = 10;

/// The photos.
#[derive(Debug)]
pub(crate) struct Photos {
    source: Source,
    /// What they are, in words.
    pub(crate) words: String,
}

#[derive(Debug)]
enum Source {
    /// All of them normal.
    Normal {
        inputs: Box<Inputs>,
        /// Each page of a file is a photo of its own.
        every_page: bool,
    },
    Samples(Vec<Sample>),
}

impl Photos {
    /// Finds what the arguments name.
    ///
    /// # Errors
    /// When nothing is named, or it cannot be read, or there are too few photos to begin with.
    pub(crate) fn find(arguments: &CalibrateArgs, decode: &DecodeOptions) -> anyhow::Result<Self> {
        let words = |paths: &[PathBuf]| {
            let paths: Vec<String> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            paths.join(", ")
        };
        let scan = |inputs: &[PathBuf]| {
            inputs::gather(inputs, arguments.photos.scan_options(), arguments.run.quiet)
        };
        let (source, words) = match (&arguments.dataset, &arguments.anomalous) {
            (Some(name), _) => {
                let samples = dataset(name, arguments, decode)?;
                let root = arguments.root.clone().unwrap_or_default();
                let names = [name.clone()]
                    .into_iter()
                    .chain(arguments.category.iter().cloned())
                    .chain(arguments.split.clone());
                let names: Vec<String> = names.collect();
                let words = format!("{} in {}", names.join(" "), root.display());
                (Source::Samples(samples), words)
            }
            (None, Some(anomalous)) => {
                let normal = arguments.normal.clone().ok_or_else(|| {
                    usage(
                        "--anomalous names photos with defects; name good ones with --normal DIR.",
                    )
                })?;
                let options = vcp_dataset::Options {
                    normal: Some(normal.clone()),
                    anomalous: Some(anomalous.clone()),
                    masks: arguments.masks.clone(),
                    decode: decode.clone(),
                    ..Default::default()
                };
                // Masks that are not named are looked for there only, not beside whatever folder
                // the command happens to be run in.
                let samples = read("folder", anomalous, &options, arguments)?;
                (
                    Source::Samples(samples),
                    words(&[normal, anomalous.clone()]),
                )
            }
            (None, None) => {
                let inputs = match &arguments.normal {
                    Some(normal) => std::slice::from_ref(normal),
                    None => &arguments.inputs,
                };
                if inputs.is_empty() {
                    return Err(usage(
                        "No photos are given. Name photos without defects, at least 10 of them; or \
                         folders of good and of bad ones with --normal DIR --anomalous DIR; or a \
                         data set with --dataset LAYOUT --root DIR.",
                    ));
                }
                let source = Source::Normal {
                    inputs: Box::new(scan(inputs)?),
                    every_page: arguments.photos.every_page(),
                };
                (source, words(inputs))
            }
        };
        let photos = Self {
            source,
            words: arguments.data.clone().unwrap_or(words),
        };
        photos.check_count()?;
        Ok(photos)
    }

    /// Whether photos with defects are among them.
    pub(crate) fn has_anomalous(&self) -> bool {
        self.samples()
            .iter()
            .any(|sample| sample.label == Label::Anomalous)
    }

    /// Whether it is written down for any of them where the defects are.
    pub(crate) fn has_masks(&self) -> bool {
        self.samples().iter().any(is_masked)
    }

    /// How many there are, unless that depends on standard input.
    pub(crate) fn known_count(&self) -> Option<usize> {
        match &self.source {
            Source::Normal { inputs, every_page } => inputs.known_count().filter(|_| !every_page),
            Source::Samples(samples) => Some(samples.len()),
        }
    }

    /// The photos for the pipeline, and the samples that they are, in the same order; no samples
    /// where all are normal.
    pub(crate) fn split(self) -> (Box<dyn Iterator<Item = Found> + Send>, Vec<Sample>) {
        match self.source {
            Source::Normal {
                inputs,
                every_page: true,
            } => (Box::new(every_page(inputs)), Vec::new()),
            Source::Normal { inputs, .. } => (inputs, Vec::new()),
            Source::Samples(samples) => {
                let found: Vec<Found> = samples
                    .iter()
                    .map(|sample| {
                        Found::Photo(PhotoPath {
                            path: sample.image.clone(),
                            relative: PathBuf::from(&sample.id),
                            page: None,
                        })
                    })
                    .collect();
                (Box::new(found.into_iter()), samples)
            }
        }
    }

    /// The photos that are known already, in order.
    pub(crate) fn listed(&self) -> Vec<&Path> {
        match &self.source {
            Source::Normal { inputs, .. } => inputs.listed(),
            Source::Samples(samples) => samples.iter().map(|sample| &*sample.image).collect(),
        }
    }

    fn samples(&self) -> &[Sample] {
        match &self.source {
            Source::Normal { .. } => &[],
            Source::Samples(samples) => samples,
        }
    }

    /// Spares the user the model's work on too few photos.
    fn check_count(&self) -> anyhow::Result<()> {
        if self.has_anomalous() {
            return Ok(());
        }
        match self.known_count() {
            Some(count) if count < FEWEST_IMAGES => Err(usage(format!(
                "There are {count} photos, but at least {FEWEST_IMAGES} different ones without \
                 defects are needed to say anything about others."
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether a sample says where its defects are.
pub(crate) fn is_masked(sample: &Sample) -> bool {
    !matches!(sample.mask, MaskSource::None | MaskSource::Unknown)
        && sample.label == Label::Anomalous
}

fn dataset(
    name: &str,
    arguments: &CalibrateArgs,
    decode: &DecodeOptions,
) -> anyhow::Result<Vec<Sample>> {
    let root = arguments.root.clone().unwrap_or_default();
    let options = vcp_dataset::Options {
        manifest: arguments.manifest.clone(),
        mask_threshold: arguments.mask_threshold,
        allow_outside_root: arguments.allow_outside_root,
        decode: decode.clone(),
        ..Default::default()
    };
    read(name, &root, &options, arguments)
}

fn read(
    layout: &str,
    root: &Path,
    options: &vcp_dataset::Options,
    arguments: &CalibrateArgs,
) -> anyhow::Result<Vec<Sample>> {
    let layout = vcp_dataset::layout_or_error(layout).or_usage()?;
    let split = match arguments.split.as_deref() {
        None => None,
        Some(name) => Some(Split::parse(name).ok_or_else(|| {
            usage(format!(
                "--split takes train, validation or test, not {name}."
            ))
        })?),
    };
    let mut dataset = vcp_dataset::read(layout, root, options).or_usage()?;
    let why_empty = dataset.why_empty();
    if let Some(limit) = arguments.mask_threshold {
        dataset.set_mask_threshold(limit);
    }
    dataset.select(&arguments.category, split).or_usage()?;
    if let Some(why) = why_empty {
        return Err(usage(why));
    }
    if dataset.samples.is_empty() {
        return Err(usage(format!(
            "There are no photos of this kind in {}.",
            dataset.root.display()
        )));
    }
    if !arguments.run.quiet {
        for note in &dataset.notes {
            console::note(note);
        }
        for problem in dataset.problems.iter().take(MAX_PROBLEMS) {
            console::note(&problem.sentence());
        }
        if dataset.problems.count() > MAX_PROBLEMS {
            console::note(&format!(
                "There are {} further problems with the data.",
                dataset.problems.count() - MAX_PROBLEMS
            ));
        }
    }
    Ok(dataset.samples)
}
