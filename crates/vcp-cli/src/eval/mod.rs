//! `vcp-clip eval`.

mod calibration;
mod cases;
mod compare;
mod foreign;
mod options;
mod output;
mod page;
mod plan;
mod save;
mod table;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use vcp_checkpoint::Weights;
use vcp_dataset::{Coverage, MaskFindings, Sample};
use vcp_evaluate::{
    CategoryReport, Error, Failure, Loaded, Look, ModelDescription, Observed, Results, Store,
    Truth, judge, load, look,
};
use vcp_predict::Predictor;

use crate::args::{EvalArgs, Format};
use crate::console;
use crate::decoding;
use crate::device::Place;
use crate::exit::{Exit, whole_message};
use crate::interrupt::Stop;
use crate::pipeline::{Pipeline, guarded};
use crate::progress::{Progress, Windows};
use options::Options;
use plan::Plan;

pub(crate) fn run(arguments: EvalArgs) -> anyhow::Result<Exit> {
    if let [first, second] = &arguments.compare[..] {
        return compare::run(first, second, arguments.format);
    }
    let mut options = Options::new(arguments)?;
    let plan = Plan::new(options.datasets.read()?, &options)?;
    let place = Place::find(options.device, options.quiet)?;
    let (mut weights, set_aside) = options.choice.open_saying(options.quiet)?;
    place.settle_cost(&options.choice, &weights, options.threads, options.quiet)?;
    if options.blend.is_none() {
        options.protocol.blend = weights.settings().blend;
    }
    calibration::settle(&mut options, &mut weights, set_aside)?;
    settle_bits(&mut options, &plan);
    let _lock = options.create_folder()?;
    let stop = Stop::on_signals();
    let run = Run::new(options, plan, place, &weights)?;
    // The model has what it needs; large files need not stay mapped.
    drop(weights);
    let Some(reports) = run.evaluate(&stop)? else {
        return Ok(Exit::Interrupted);
    };
    run.finish(&reports)
}

/// Settles how many bits of 16-bit samples hold the brightness, for all images alike.
fn settle_bits(options: &mut Options, plan: &Plan) {
    let images: Vec<&Path> = plan
        .categories
        .iter()
        .flat_map(|category| &category.samples)
        .map(|sample| sample.image.as_path())
        .collect();
    let calibration = options.protocol.calibration.as_ref();
    let mut decode = options.protocol.decode_options();
    decoding::settle(&mut decode, calibration, &images, options.quiet);
    options.protocol.bits = decode.bits;
}

/// An evaluation that is going on.
struct Run {
    options: Options,
    plan: Plan,
    model: ModelDescription,
    place: Place,
    store: Store,
    predictor: Arc<Predictor>,
    /// What there is to say about the masks that were read.
    findings: Arc<Mutex<MaskFindings>>,
}

/// An image that has been through the model, and the category it belongs to.
struct Seen {
    category: usize,
    sample: Sample,
    outcome: Result<Look, String>,
}

impl Run {
    fn new(options: Options, plan: Plan, place: Place, weights: &Weights) -> anyhow::Result<Self> {
        let model = ModelDescription::of(weights);
        let predictor = place.predictor(
            weights,
            &options.protocol.predictor_options(options.threads),
        )?;
        let folder = options.out.join("categories");
        Ok(Self {
            store: Store::new(&folder, &model, &options.protocol, place.name()),
            predictor: Arc::new(predictor),
            findings: Arc::default(),
            options,
            plan,
            model,
            place,
        })
    }

    /// Every category's report, in order; nothing if the work was interrupted.
    fn evaluate(&self, stop: &Stop) -> anyhow::Result<Option<Vec<CategoryReport>>> {
        let mut reports = self
            .plan
            .finished(&self.store, &self.options, &self.predictor);
        let finished = reports.iter().flatten().count();
        if finished > 0 && !self.options.quiet {
            console::note(&format!(
                "{finished} of {} categories were finished by an earlier run; --restart evaluates \
                 them again.",
                reports.len()
            ));
        }
        let todo: Vec<(usize, Sample)> = (0..reports.len())
            .filter(|&category| reports[category].is_none())
            .flat_map(|category| {
                let samples = self.plan.categories[category].samples.iter();
                samples.map(move |sample| (category, sample.clone()))
            })
            .collect();
        let progress = Progress::new(Some(todo.len()), self.options.quiet);
        let pipeline = self.start(todo, progress.windows(), stop)?;
        for (category, report) in reports.iter_mut().enumerate() {
            if report.is_some() {
                continue;
            }
            match self.category(category, &pipeline, &progress) {
                Ok(Some(found)) => *report = Some(found),
                Ok(None) => break,
                Err(error) => {
                    stop.request();
                    progress.finish();
                    return Err(error);
                }
            }
        }
        progress.finish();
        let interrupted = stop.is_interrupted();
        pipeline.finish()?;
        let all: Option<Vec<CategoryReport>> = reports.iter().cloned().collect();
        if interrupted && all.is_none() {
            if !self.options.quiet {
                let finished = reports.iter().flatten().count();
                console::note(&format!(
                    "Stopped after {finished} of {} categories; the same command goes on with the \
                     next.",
                    reports.len()
                ));
            }
            return Ok(None);
        }
        anyhow::ensure!(
            all.is_some(),
            "The work ended early by an error in vcp-clip itself."
        );
        Ok(all)
    }

    fn start(
        &self,
        todo: Vec<(usize, Sample)>,
        windows: Windows,
        stop: &Stop,
    ) -> anyhow::Result<Pipeline<Option<Seen>>> {
        type Read = (usize, Sample, Result<Loaded, String>);
        let decode = {
            let (predictor, protocol) =
                (Arc::clone(&self.predictor), self.options.protocol.clone());
            let findings = Arc::clone(&self.findings);
            move |(category, sample): (usize, Sample)| -> Read {
                let loaded = guarded(|| {
                    load(&sample, &predictor, &protocol)
                        .map_err(|error| whole_message(&error.into()))
                });
                if let (Ok(loaded), Ok(mut findings)) = (&loaded, findings.lock()) {
                    for finding in loaded.findings() {
                        findings.add(finding);
                    }
                }
                (category, sample, loaded)
            }
        };
        let (predictor, protocol) = (Arc::clone(&self.predictor), self.options.protocol.clone());
        let compute = {
            let stop = stop.clone();
            move |(category, sample, loaded): Read| {
                // An image in windows may take hours: it is not finished when the user has had enough.
                let mut watch = |done, all| {
                    windows.show(done, all);
                    if stop.is_requested() {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                };
                let outcome = match loaded {
                    Err(error) => Err(error),
                    Ok(loaded) => match look(loaded, &predictor, &protocol, &mut watch) {
                        Err(Error::Predict(vcp_predict::Error::Stopped)) => return None,
                        outcome => outcome.map_err(|error| whole_message(&error.into())),
                    },
                };
                Some(Seen {
                    category,
                    sample,
                    outcome,
                })
            }
        };
        Pipeline::of(todo.into_iter(), decode, compute, stop)
    }

    /// The next category; nothing if the work was stopped before its last image.
    fn category(
        &self,
        index: usize,
        pipeline: &Pipeline<Option<Seen>>,
        progress: &Progress,
    ) -> anyhow::Result<Option<CategoryReport>> {
        let category = &self.plan.categories[index];
        let mut observed = Vec::with_capacity(category.samples.len());
        let mut places = Vec::with_capacity(category.samples.len());
        let mut failures = Vec::new();
        for place in &category.places {
            let Some(seen) = pipeline.next().flatten() else {
                return Ok(None);
            };
            debug_assert_eq!(seen.category, index, "images come in order");
            let Seen {
                sample, outcome, ..
            } = seen;
            match outcome {
                Ok(look) => {
                    observed.push(Observed { sample, look });
                    places.push(place.as_path());
                }
                Err(error) => {
                    let path = sample.image.display().to_string();
                    progress.around(|| console::note(&error));
                    failures.push(Failure { path, error });
                }
            }
            progress.advance();
        }
        self.say_if_masks_cover(&observed, progress);
        let report = judge(
            &category.dataset,
            &category.name,
            &observed,
            failures,
            &self.predictor,
            &self.options.protocol,
        )?;
        save::save(&self.options, &self.predictor, &observed, &places, &report)?;
        let saved = plan::saved_kinds(&self.options.save);
        self.store.keep(
            &category.dataset,
            &category.name,
            &category.listing,
            &saved,
            &report,
        )?;
        Ok(Some(report))
    }

    /// Says so if the masks of a category cover nearly all of its images: they are not what they seem.
    fn say_if_masks_cover(&self, observed: &[Observed], progress: &Progress) {
        let mut coverage = Coverage::default();
        for Observed { sample, look } in observed {
            if let Truth::Mask(bits) = &look.truth {
                coverage.add(sample, bits.share());
            }
        }
        if let (false, Some(problem)) = (self.options.quiet, coverage.problem()) {
            progress.around(|| console::note(&console::printable(&problem.sentence())));
        }
    }

    /// Writes and prints what was found.
    fn finish(&self, reports: &[CategoryReport]) -> anyhow::Result<Exit> {
        if let (false, Ok(findings)) = (self.options.quiet, self.findings.lock()) {
            for sentence in findings.sentences() {
                console::note(&console::printable(&sentence));
            }
        }
        let results = Results::of(
            reports.iter().map(|report| report.result.clone()).collect(),
            self.plan.datasets.clone(),
            &self.model,
            &self.options.protocol,
            self.predictor.score_pixels(),
            self.place.name(),
            concat!("vcp-clip ", env!("CARGO_PKG_VERSION")),
        );
        let calibration = self.options.protocol.calibration.as_ref();
        output::write(&self.options.out, &results, reports, calibration)?;
        page::write(self, &results, reports)?;
        match self.options.format {
            Format::Json => console::print_json(&results)?,
            Format::Table => console::print_text(&table::text(&results))?,
        }
        let failed: usize = reports
            .iter()
            .map(|report| report.result.failures.len())
            .sum();
        if failed > 0 && !self.options.quiet {
            console::note(&format!(
                "{failed} of {} images failed and are in no figure.",
                failed + results.mean.images
            ));
        }
        if failed > 0 || self.plan.is_incomplete {
            return Ok(Exit::Failed);
        }
        Ok(Exit::Done)
    }
}
