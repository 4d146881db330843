//! `vcp-clip data …`, and reading data sets for every command.

mod check;
mod convert;
mod list;
mod synth;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use rayon::{ThreadPool, ThreadPoolBuilder};
use vcp_dataset::{Dataset, Layout, Options, Sample};
use vcp_image::{DecodeOptions, PageChoice};

use crate::args::{DataArgs, DataCommand, DatasetArgs};
use crate::console;
use crate::decoding;
use crate::exit::{Exit, OrUsage, usage};

pub(crate) fn run(arguments: DataArgs) -> anyhow::Result<Exit> {
    match arguments.command {
        DataCommand::Check(check) => check::run(check),
        DataCommand::Convert(convert) => convert::run(convert),
        DataCommand::List(list) => list::run(&list),
        DataCommand::Synth(synth) => synth::run(&synth),
    }
}

/// Problems of a data set that are said one by one.
const PROBLEMS_SAID: usize = 10;

/// Data sets that were asked for; nothing of them has been read.
pub(crate) struct Datasets {
    places: Vec<Place>,
    options: Options,
    categories: Vec<String>,
    split_by_object: bool,
}

struct Place {
    layout: &'static dyn Layout,
    root: PathBuf,
}

/// A data set and the layout it was read as.
pub(crate) struct Read {
    pub(crate) layout: &'static str,
    pub(crate) dataset: Dataset,
    /// Why not one of its images can be used, if so.
    pub(crate) why_empty: Option<String>,
}

impl Datasets {
    /// Settles which are meant. `apply_orientation` holds for masks that have to be read to tell
    /// which images are anomalous.
    ///
    /// # Errors
    /// When no data set is named, one has no root, or a layout is unknown.
    pub(crate) fn new(arguments: DatasetArgs, apply_orientation: bool) -> anyhow::Result<Self> {
        let DatasetArgs {
            dataset: names,
            root: mut roots,
            ..
        } = arguments;
        if names.is_empty() {
            return Err(usage(
                "No data set is given: name its layout with --dataset LAYOUT and its folder with \
                 --root DIR. `vcp-clip data list` says which layouts there are.",
            ));
        }
        let own_folders = [&arguments.normal, &arguments.anomalous];
        if roots.is_empty() && names == ["folder"] && own_folders.iter().any(|it| it.is_some()) {
            roots.push(PathBuf::from("."));
        }
        if names.len() != roots.len() {
            return Err(usage(format!(
                "There are {} --dataset and {} --root; each data set needs one of both.",
                names.len(),
                roots.len()
            )));
        }
        let for_one = [
            ("--manifest", arguments.manifest.is_some()),
            ("--name", arguments.name.is_some()),
            ("--normal", arguments.normal.is_some()),
            ("--anomalous", arguments.anomalous.is_some()),
            ("--masks", arguments.masks.is_some()),
        ];
        if let Some((option, _)) = for_one.iter().find(|(_, is_given)| *is_given)
            && names.len() > 1
        {
            return Err(usage(format!(
                "{option} says something about one data set, but there are {}; give them to \
                 separate calls.",
                names.len()
            )));
        }
        let mut places = Vec::with_capacity(names.len());
        for (name, root) in names.iter().zip(roots) {
            let layout = vcp_dataset::layout(name).ok_or_else(|| unknown_layout(name))?;
            places.push(Place { layout, root });
        }
        Ok(Self {
            places,
            options: Options {
                manifest: arguments.manifest,
                name: arguments.name,
                normal: arguments.normal,
                anomalous: arguments.anomalous,
                masks: arguments.masks,
                mask_threshold: arguments.mask_threshold,
                allow_outside_root: arguments.allow_outside_root,
                decode: DecodeOptions {
                    apply_orientation,
                    max_pixels: arguments.max_pixels,
                    bits: arguments.bits.bits(),
                    page: PageChoice::Photo,
                },
            },
            categories: arguments.category,
            split_by_object: arguments.split_by_object,
        })
    }

    pub(crate) fn decode_options(&self) -> &DecodeOptions {
        &self.options.decode
    }

    /// How to decode these samples, the bits of 16-bit ones settled for all of them.
    pub(crate) fn settled<'a>(
        &self,
        samples: impl IntoIterator<Item = &'a Sample>,
        quiet: bool,
    ) -> DecodeOptions {
        let images: Vec<&Path> = samples.into_iter().map(|it| it.image.as_path()).collect();
        let mut options = self.options.decode.clone();
        decoding::settle(&mut options, None, &images, quiet);
        options
    }

    /// Reads them. Each keeps the categories that were asked for and that it has; names are made
    /// unique.
    ///
    /// # Errors
    /// When one cannot be read, or no data set has a category that was asked for.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<Read>> {
        let mut all: Vec<Read> = Vec::with_capacity(self.places.len());
        for Place { layout, root } in &self.places {
            let mut dataset = vcp_dataset::read(*layout, root, &self.options).or_usage()?;
            if self.split_by_object {
                dataset.split_by_group();
            }
            if let Some(limit) = self.options.mask_threshold {
                dataset.set_mask_threshold(limit);
            }
            let taken = |name: &str| all.iter().any(|read| read.dataset.name == name);
            if taken(&dataset.name) {
                let numbered = (2_usize..).map(|number| format!("{}-{number}", dataset.name));
                dataset.name = numbered
                    .into_iter()
                    .find(|name| !taken(name))
                    .unwrap_or_default();
            }
            all.push(Read {
                layout: layout.name(),
                why_empty: dataset.why_empty(),
                dataset,
            });
        }
        self.keep_categories(&mut all)?;
        Ok(all)
    }

    fn keep_categories(&self, all: &mut [Read]) -> anyhow::Result<()> {
        if self.categories.is_empty() {
            return Ok(());
        }
        let has = |read: &Read, name: &String| read.dataset.categories().contains(name);
        for name in &self.categories {
            if !all.iter().any(|read| has(read, name)) {
                if let Some(why) = all.iter().find_map(|read| read.why_empty.clone()) {
                    return Err(usage(why));
                }
                let known: Vec<String> = all
                    .iter()
                    .flat_map(|read| read.dataset.categories())
                    .collect();
                return Err(usage(format!(
                    "There is no category '{name}'; there are {}.",
                    known.join(", ")
                )));
            }
        }
        for read in all {
            let own = self.categories.iter().filter(|name| has(read, name));
            let own: Vec<String> = own.cloned().collect();
            if own.is_empty() {
                read.dataset.samples.clear();
            } else {
                read.dataset.select(&own, None).or_usage()?;
            }
        }
        Ok(())
    }
}

/// Says on standard error what is to know about a data set, and the first of its problems.
pub(crate) fn say_problems(dataset: &Dataset) {
    for note in &dataset.notes {
        console::note(note);
    }
    for problem in dataset.problems.iter().take(PROBLEMS_SAID) {
        console::note(&problem.sentence());
    }
    if dataset.problems.count() > PROBLEMS_SAID {
        console::note(&format!(
            "{} has {} problems in all; `vcp-clip data check` lists them.",
            dataset.name,
            dataset.problems.count()
        ));
    }
}

fn unknown_layout(name: &str) -> anyhow::Error {
    let known: Vec<&str> = vcp_dataset::layouts()
        .iter()
        .map(|layout| layout.name())
        .collect();
    let near = known
        .iter()
        .map(|known| {
            (
                strsim::damerau_levenshtein(known, &name.to_lowercase()),
                known,
            )
        })
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let near = near.map_or_else(String::new, |(_, known)| {
        format!(" Did you mean '{known}'?")
    });
    usage(format!(
        "There is no layout '{name}'.{near} There are {}; `vcp-clip data list` describes them.",
        known.join(", ")
    ))
}

/// Threads for work that no model's threads do.
fn thread_pool(threads: Option<NonZeroUsize>) -> anyhow::Result<ThreadPool> {
    let builder = ThreadPoolBuilder::new().num_threads(threads.map_or(0, NonZeroUsize::get));
    Ok(builder.build()?)
}
