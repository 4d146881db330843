//! `vcp-clip data …`, and reading data sets for every command.

mod check;
mod convert;
mod list;
mod synth;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use rayon::{ThreadPool, ThreadPoolBuilder};
use vcp_dataset::{Collection, Member, Options, Sample, Split, layout_or_error};
use vcp_image::{DecodeOptions, PageChoice};

use crate::args::{DataArgs, DataCommand, DatasetArgs};
use crate::console;
use crate::exit::{Exit, OrUsage, usage};
use crate::inputs;

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

/// Settles which data sets are meant; nothing of them is read. `apply_orientation` holds for masks that
/// have to be read to tell which images are anomalous.
///
/// # Errors
/// When no data set is named, one has no root, or a layout is unknown.
pub(crate) fn collection(
    arguments: DatasetArgs,
    apply_orientation: bool,
) -> anyhow::Result<Collection> {
    let DatasetArgs {
        dataset: names,
        root: mut roots,
        ..
    } = arguments;
    if names.is_empty() {
        return Err(usage(
            "No data set is given: name its layout with --dataset LAYOUT and its folder with --root \
             DIR. `vcp-clip data list` says which layouts there are.",
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
            "{option} says something about one data set, but there are {}; give them to separate \
             calls.",
            names.len()
        )));
    }
    let mut places = Vec::with_capacity(names.len());
    for (name, root) in names.iter().zip(roots) {
        places.push((layout_or_error(name).or_usage()?, root));
    }
    Ok(Collection {
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

/// Reads data sets of which each has to have images that can be used, and says what is to know about
/// them.
#[cfg(feature = "train")]
pub(crate) fn read_usable(collection: &Collection, quiet: bool) -> anyhow::Result<Vec<Member>> {
    let read = collection.read().or_usage()?;
    if let Some(why) = read.iter().find_map(|read| read.why_empty.clone()) {
        return Err(usage(why));
    }
    say_problems(&read, quiet);
    Ok(read)
}

/// The split that an option names; `None` for all.
pub(crate) fn split(option: &str, name: &str) -> anyhow::Result<Option<Split>> {
    match (name, Split::parse(name)) {
        ("all", _) => Ok(None),
        (_, Some(split @ (Split::Train | Split::Validation | Split::Test))) => Ok(Some(split)),
        _ => Err(usage(format!(
            "{option} takes train, validation, test or all, not '{name}'."
        ))),
    }
}

/// How to decode these samples, the bits of 16-bit ones settled for all of them.
pub(crate) fn settled<'a>(
    decode: &DecodeOptions,
    samples: impl IntoIterator<Item = &'a Sample>,
    quiet: bool,
) -> DecodeOptions {
    let images: Vec<&Path> = samples.into_iter().map(|it| it.image.as_path()).collect();
    let mut decode = decode.clone();
    inputs::settle_bits(&mut decode, None, &images, quiet);
    decode
}

/// Says on standard error what is to know about data sets, and the first of their problems.
pub(crate) fn say_problems(read: &[Member], quiet: bool) {
    if quiet {
        return;
    }
    for Member { dataset, .. } in read {
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
}

/// Threads for work that no model's threads do.
fn thread_pool(threads: Option<NonZeroUsize>) -> anyhow::Result<ThreadPool> {
    let builder = ThreadPoolBuilder::new().num_threads(threads.map_or(0, NonZeroUsize::get));
    Ok(builder.build()?)
}
