//! Good photos that others are compared with: making a memory of them, with progress.

use std::path::Path;

use vcp_checkpoint::References;
use vcp_clip::photos::{Decoding, Found, Inputs, PhotoPath, every_page};
use vcp_clip::references::Remembered;
use vcp_clip::{Device, Inspector, InspectorOptions, Model, ReferenceChoice};
use vcp_files::today;

use crate::console;
use crate::exit::{OrUsage, usage};
use crate::interrupt::Stop;
use crate::progress::Progress;

/// Good photos that were named to compare others with.
pub(crate) struct Named {
    pub(crate) inputs: Inputs,
    /// Whether each page of a file is a photo of its own.
    pub(crate) every_page: bool,
    /// What they are, in words.
    pub(crate) words: String,
}

/// What was named, in words.
pub(crate) fn in_words(paths: &[impl AsRef<Path>]) -> String {
    let names = paths.iter().map(|path| path.as_ref().display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

/// The model on its device, comparing photos with those that were named, and what it remembers of them; none if it was
/// interrupted. `chosen` are the other options.
pub(crate) fn comparing(
    model: &Model,
    device: &Device,
    chosen: &InspectorOptions,
    named: Named,
    decoding: &Decoding,
    stop: &Stop,
    quiet: bool,
) -> anyhow::Result<Option<(Inspector, References)>> {
    let without = InspectorOptions {
        calibration: None,
        references: ReferenceChoice::Without,
        ..chosen.clone()
    };
    let inspector = Inspector::new(model, device, &without).or_usage()?;
    let found: Box<dyn Iterator<Item = Found>> = if named.every_page {
        Box::new(every_page(named.inputs))
    } else {
        Box::new(named.inputs)
    };
    let mut photos = Vec::new();
    for found in found {
        match found {
            Found::Photo(photo) => photos.push(photo),
            Found::Unreadable { error, .. } if !quiet => console::note(&error),
            Found::Unreadable { .. } => {}
        }
    }
    let words = &named.words;
    let references = remember(&inspector, model, &photos, decoding, words, stop, quiet)?;
    let Some(references) = references else {
        return Ok(None);
    };
    let inspector = inspector
        .with_references(model, &references, chosen)
        .or_usage()?;
    Ok(Some((inspector, references)))
}

/// Makes a memory of these photos; none if it was interrupted. What is wrong with single ones is said, and the rest goes
/// on. `data` says in words what they are.
pub(crate) fn remember(
    inspector: &Inspector,
    model: &Model,
    photos: &[PhotoPath],
    decoding: &Decoding,
    data: &str,
    stop: &Stop,
    quiet: bool,
) -> anyhow::Result<Option<References>> {
    let progress = Progress::new(Some(photos.len()), quiet);
    let mut taken = 0;
    let words = [data.to_owned(), today()];
    let mut on_photo = |photo: &PhotoPath, outcome: Remembered| {
        let path = photo.path.display().to_string();
        let problem = match outcome {
            Remembered::Taken => {
                taken += 1;
                None
            }
            Remembered::Copy => Some("it is a copy of another reference photo".to_owned()),
            Remembered::Failed(error) => Some(error.sentence()),
        };
        if let (Some(problem), false) = (problem, quiet) {
            let note = if problem.contains(&path) {
                problem
            } else {
                format!("{path}: {problem}")
            };
            progress.around(|| console::note(&format!("Not used as a reference: {note}")));
        }
        progress.advance();
    };
    let references = inspector.remember(model, photos, decoding, words, stop, &mut on_photo);
    progress.finish();
    let references = references.or_usage()?;
    if references.is_none() && !quiet {
        console::note(&format!("Stopped after {taken} reference photos."));
    }
    Ok(references)
}

/// At most `count` of the photos, spread evenly.
pub(crate) fn spread(photos: &[PhotoPath], count: usize) -> anyhow::Result<Vec<PhotoPath>> {
    let all = photos.len();
    if count > all {
        return Err(usage(format!(
            "--references asks for {count} photos, but there are only {all} good ones."
        )));
    }
    let chosen = (0..count).map(|index| index * all / count);
    Ok(chosen.map(|index| photos[index].clone()).collect())
}
