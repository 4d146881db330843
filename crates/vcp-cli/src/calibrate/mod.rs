//! `vcp-clip calibrate`.

mod options;
mod photos;

use anyhow::Context;
use vcp_checkpoint::{References, Storing};
use vcp_clip::calibration::{CalibrationDocument, Label, Measurements, PhotoIdentity, Viewing};
use vcp_clip::photos::{Found, PhotoPath};
use vcp_clip::{
    Device, Inspection, Inspector, InspectorOptions, Item, Model, PredictorOptions, ReferenceChoice,
};
use vcp_dataset::Sample;
use vcp_files::{today, write_result};
use vcp_image::DecodeOptions;

use crate::args::{CalibrateArgs, ReferenceCount};
use crate::console;
use crate::exit::{Exit, OrUsage, whole_message};
use crate::interrupt::Stop;
use crate::progress::Progress;
use crate::references;
use options::{Options, Output};
use photos::{Photos, is_masked};

pub(crate) fn run(arguments: CalibrateArgs) -> anyhow::Result<Exit> {
    let (options, photos) = Options::new(arguments)?;
    let (device, mut model) =
        options
            .choice
            .open_on(options.device, options.threads, options.quiet)?;
    options.create_folder()?;
    let data = photos.words.clone();
    let stop = Stop::on_signals();
    let Some((found, references)) = measure(&options, photos, &device, &model, &stop)? else {
        return Ok(Exit::Interrupted);
    };
    let thresholds = found
        .fit()
        .with_context(|| format!("{} photos of {} can be used", found.used(), found.seen()))?;
    let viewing = Viewing {
        references: references.as_ref().map(References::digest),
        ..Viewing::of(&options.decode, options.tiling).with_mask(options.mask.as_ref())
    };
    let bits = options.decoding.bits();
    let calibration = found.calibration(&thresholds, &data, &viewing, bits, today());
    let weights = model.weights_mut();
    weights.set_calibration(Some(calibration.clone()))?;
    weights.set_references(references)?;
    let document = CalibrationDocument::new(calibration, &thresholds, &found, weights);
    let text = console::json_document(&document)?;
    match &options.out {
        None => {}
        Some(Output::File(path)) => write_result(path, |file| writeln!(file, "{text}"))
            .with_context(|| format!("{} cannot be written", path.display()))?,
        Some(Output::Bundle(path)) => weights.write_bundle(path, Storing::AsStored)?,
    }
    if !options.quiet {
        for sentence in thresholds.sentences(&found) {
            console::note(&sentence);
        }
        if found.copies() > 0 {
            console::note(&format!(
                "{} photos are copies of others and do not count.",
                found.copies()
            ));
        }
        if found.uninspected() > 0 {
            console::note(&format!(
                "{} photos have defects only where photos are not inspected, and do not count.",
                found.uninspected()
            ));
        }
        if found.failed() > 0 {
            console::note(&format!(
                "{} of {} photos failed.",
                found.failed(),
                found.seen()
            ));
        }
    }
    console::print_text(&format!("{text}\n")).context("Standard output cannot be written")?;
    Ok(if found.failed() > 0 {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// Takes all photos in; none if it was interrupted.
fn measure(
    options: &Options,
    photos: Photos,
    device: &Device,
    model: &Model,
    stop: &Stop,
) -> anyhow::Result<Option<(Measurements, Option<References>)>> {
    let mut inspector_options = InspectorOptions {
        predictor: PredictorOptions {
            threads: options.threads,
            ..PredictorOptions::default()
        },
        decode: options.decode.clone(),
        tiling: options.tiling,
        mask: options.mask.clone(),
        reference_copies: options.reference_copies,
        // It has been refused already, or is wanted.
        no_cost_limit: true,
        ..InspectorOptions::default()
    };
    if options.no_references || options.references.is_some() {
        inspector_options.references = ReferenceChoice::Without;
    }
    let mut inspector = Inspector::new(model, device, &inspector_options).or_usage()?;
    let known_count = photos.known_count();
    let mut found = Measurements::new(options.fit, photos.has_masks())?;
    let (data, decoding) = (photos.words.clone(), options.decoding.clone());
    let (mut photos, samples) = photos.split();
    let mut references = None;
    if let Some(count) = options.references {
        // They are gone through twice.
        let all: Vec<Found> = photos.collect();
        let chosen = chosen(&all, &samples, count)?;
        let quiet = options.quiet;
        references =
            references::remember(&inspector, model, &chosen, &decoding, &data, stop, quiet)?;
        let Some(references) = &references else {
            return Ok(None);
        };
        inspector = inspector
            .with_references(model, references, &inspector_options)
            .or_usage()?;
        photos = Box::new(all.into_iter());
    } else if !options.no_references {
        references = model.weights().references().cloned();
    }
    if references.is_some() {
        inspector = inspector.leaving_out_own();
    }
    let progress = Progress::new(known_count, options.quiet);
    let windows = progress.windows();
    let mut inspections = inspector.inspect_all(photos, decoding, stop, move |done, all| {
        windows.show(done, all);
    })?;
    // One item for each sample, in their order.
    let mut samples = samples.iter();
    for item in inspections.by_ref() {
        if let Ok(inspection) = &item.outcome
            && !options.quiet
        {
            let warnings = inspection.warnings().iter();
            for warning in warnings.filter(|warning| !warning.is_of_the_run()) {
                let note = format!("{}: {warning}", item.photo.path.display());
                progress.around(|| console::note(&note));
            }
        }
        if matches!(item.outcome, Err(vcp_clip::Error::OnlyReference)) {
            // It is good, but says nothing about others.
            samples.next();
            progress.advance();
            continue;
        }
        if let Err(problem) = add(&mut found, item, samples.next(), &options.decode)
            && !options.quiet
        {
            progress.around(|| console::note(&problem));
        }
        progress.advance();
    }
    progress.finish();
    let interrupted = stop.is_interrupted();
    inspections.finish()?;
    if interrupted {
        if !options.quiet {
            console::note(&format!(
                "Stopped after {} photos; nothing was written.",
                found.seen()
            ));
        }
        return Ok(None);
    }
    Ok(Some((found, references)))
}

/// The good photos that others are to be compared with: so many of them.
fn chosen(
    found: &[Found],
    samples: &[Sample],
    count: ReferenceCount,
) -> anyhow::Result<Vec<PhotoPath>> {
    let good = found
        .iter()
        .enumerate()
        .filter_map(|(index, found)| match found {
            Found::Photo(photo) => {
                let sample = samples.get(index);
                let is_good = sample.is_none_or(|it| it.label == vcp_dataset::Label::Normal);
                is_good.then(|| photo.clone())
            }
            Found::Unreadable { .. } => None,
        });
    let good: Vec<PhotoPath> = good.collect();
    match count {
        ReferenceCount::All => Ok(good),
        ReferenceCount::Some(count) => references::spread(&good, count.get()),
    }
}

/// Takes a photo in; `sample` says what is known about it, none that it is normal. What is wrong with a
/// photo is counted, and given back to be said.
fn add(
    found: &mut Measurements,
    item: Item<Inspection>,
    sample: Option<&Sample>,
    decode: &DecodeOptions,
) -> Result<(), String> {
    let (path, page) = (item.photo.path, item.photo.page);
    let mut add = |inspection: &Inspection| -> anyhow::Result<()> {
        let label = match sample {
            Some(sample) if sample.label == vcp_dataset::Label::Anomalous => Label::Anomalous {
                // Before the listing knows the photo: one whose mask is bad does not count.
                mask: is_masked(sample)
                    .then(|| sample.load_mask(inspection.width(), inspection.height(), decode))
                    .transpose()?,
            },
            _ => Label::Normal,
        };
        let identity = PhotoIdentity::of_file(&path, page)?;
        Ok(found.add(&identity, inspection, &label)?)
    };
    let outcome = match item.outcome {
        Ok(inspection) => add(&inspection).map_err(|error| whole_message(&error)),
        Err(error) => Err(error.sentence()),
    };
    outcome.map_err(|error| {
        found.count_failure();
        let path = path.display().to_string();
        if error.contains(&path) {
            error
        } else {
            format!("{path}: {error}")
        }
    })
}
