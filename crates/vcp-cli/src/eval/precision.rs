//! `vcp-clip eval --compare-precision`: one pass over the images with the model in f32 and in another precision.

use std::sync::Arc;

use vcp_checkpoint::{Precision, Settings, Weights};
use vcp_clip::pipeline::{Pipeline, guarded};
use vcp_clip::{Device, Model};
use vcp_dataset::{Member, Sample};
use vcp_evaluate::output::precision::{
    LEGEND, change_headings, change_rows, figure_headings, figure_rows, remarks, write,
};
use vcp_evaluate::{
    CategoryReport, Error, Evaluation, Loaded, Look, ModelDescription, Pair, PairReport, Plan,
    PrecisionReport, load, look,
};
use vcp_predict::references::ReferenceMemory;

use super::options::Options;
use super::{Run, comparison, seeds};
use crate::args::Format;
use crate::console::{self, Column};
use crate::exit::{Exit, OrUsage, usage, whole_message};
use crate::interrupt::Stop;
use crate::place::create_folder;
use crate::progress::{Progress, Windows};

/// Evaluates both, each into its own folder below --out, and reports what differs.
pub(super) fn run(
    compared: Precision,
    options: Options,
    plan: Plan,
    read: &[Member],
    device: &Device,
    model: Model,
) -> anyhow::Result<Exit> {
    if options.protocol.memory.is_some() {
        return Err(usage(
            "The model holds reference photos that were processed in one precision and say nothing about \
             another. Compare precisions without them with --no-references, or with others of the data set \
             with --references N.",
        ));
    }
    let stored = model.weights().settings().precision;
    let (format, folder, threads) = (options.format, options.out.clone(), options.threads);
    let first_weights = in_precision(model, Precision::F32)?;
    // The file is mapped, so that a second time takes neither long nor memory.
    let second_weights = in_precision(options.choice.open(true)?, compared)?;
    // First of all, because not every processor can.
    let predictor = options.protocol.predictor_options(threads);
    let predictor = device.predictor(&second_weights, &predictor).or_usage()?;
    let _lock = options.create_folder()?;
    let stop = Stop::on_signals();
    let mut plans = seeds::plans(&options, plan, read)?;
    let Some((protocol, _, plan)) = plans.pop() else {
        return Ok(Exit::Done);
    };
    let mut first = Run::new(options, device, &first_weights)?;
    first.evaluation.protocol = protocol;
    first.evaluation.plan = plan;
    first.evaluation.folder = folder.join(Precision::F32.name());
    let second = Run {
        evaluation: Evaluation {
            model: ModelDescription::of(&second_weights),
            predictor: Arc::new(predictor),
            folder: folder.join(compared.name()),
            ..first.evaluation.clone()
        },
        restart: first.restart,
        format,
        // It has nothing to say that the first does not say.
        quiet: true,
        findings: Arc::default(),
        memories: Vec::new(),
    };
    for run in [&first, &second] {
        create_folder(&run.evaluation.folder)?;
    }
    let mut runs = Runs {
        pair: Pair {
            first: first.evaluation.clone(),
            second: second.evaluation.clone(),
            folder: folder.clone(),
        },
        first,
        second,
        compared,
    };
    let earlier = runs.earlier();
    if !runs.remember([&first_weights, &second_weights], &earlier, &stop)? {
        return Ok(Exit::Interrupted);
    }
    let Some(reports) = runs.evaluate(earlier, &stop)? else {
        return Ok(Exit::Interrupted);
    };
    let (mut report, exit) = runs.finish(&reports)?;
    if stored != Precision::F32 {
        report.notes.push(format!(
            "The model's weights are stored in {stored}, and f32 computes with these; compare the model that it \
             was made from to see what storing them so has changed."
        ));
    }
    write(&folder, &report)?;
    match format {
        Format::Json => console::print_json(&report)?,
        Format::Table => console::print_text(&text(&report))?,
    }
    Ok(exit)
}

fn in_precision(model: Model, precision: Precision) -> anyhow::Result<Weights> {
    let weights = model.into_weights();
    let settings = Settings {
        precision,
        ..weights.settings().clone()
    };
    weights.with_settings(settings).or_usage()
}

/// Two evaluations in progress.
struct Runs {
    /// In f32.
    first: Run,
    /// In the other precision.
    second: Run,
    pair: Pair,
    compared: Precision,
}

/// The good images that an image is compared with in each precision, if it is.
type Memories = [Option<Arc<ReferenceMemory>>; 2];

/// What came of an image, as of one evaluation.
type Outcome = Option<Result<[Look; 2], String>>;

impl Runs {
    /// What an earlier run has finished in both precisions, category by category.
    fn earlier(&self) -> Vec<Option<PairReport>> {
        let count = self.pair.first.plan.categories.len();
        if self.first.restart {
            return vec![None; count];
        }
        let (reports, sentence) = self.pair.earlier();
        if let Some(sentence) = sentence {
            self.first.note(&sentence);
        }
        let finished = reports.iter().flatten().count();
        if finished > 0 {
            self.first.note(&format!(
                "{finished} of {count} categories were finished by an earlier run; --restart evaluates them again."
            ));
        }
        reports
    }

    /// As [`Run::remember`], in both precisions.
    fn remember(
        &mut self,
        weights: [&Weights; 2],
        earlier: &[Option<PairReport>],
        stop: &Stop,
    ) -> anyhow::Result<bool> {
        let finished = earlier
            .iter()
            .map(|it| it.as_ref().map(|it| it.first.clone()));
        let finished: Vec<Option<CategoryReport>> = finished.collect();
        Ok(self.first.remember(weights[0], &finished, stop)?
            && self.second.remember(weights[1], &finished, stop)?)
    }

    /// Every category's reports, in order; nothing if the work was interrupted.
    fn evaluate(
        &self,
        reports: Vec<Option<PairReport>>,
        stop: &Stop,
    ) -> anyhow::Result<Option<Vec<PairReport>>> {
        let mut todo = Vec::new();
        for (index, category) in self.pair.first.plan.categories.iter().enumerate() {
            if reports[index].is_some() {
                continue;
            }
            let memory = |run: &Run| run.memories.get(index).cloned().flatten();
            let memories = [memory(&self.first), memory(&self.second)];
            let samples = category.samples.iter();
            todo.extend(samples.map(|sample| (Arc::clone(sample), memories.clone())));
        }
        let progress = Progress::new(Some(todo.len()), self.first.quiet);
        let pipeline = self.start(todo, progress.windows(), stop)?;
        let category =
            |index, pipeline: &mut Pipeline<Outcome>| self.category(index, pipeline, &progress);
        (self.first).conclude(reports, pipeline, &progress, stop, category)
    }

    /// Each image is read once and goes through both models.
    fn start(
        &self,
        todo: Vec<(Arc<Sample>, Memories)>,
        windows: Windows,
        stop: &Stop,
    ) -> anyhow::Result<Pipeline<Outcome>> {
        let protocol = self.pair.first.protocol.clone();
        let decode = {
            let predictor = Arc::clone(&self.pair.first.predictor);
            let protocol = protocol.clone();
            let findings = Arc::clone(&self.first.findings);
            move |(sample, memories): (Arc<Sample>, Memories)| -> Result<[Loaded; 2], String> {
                let loaded = guarded(|| -> anyhow::Result<[Loaded; 2]> {
                    // Both models have the same image size.
                    let loaded = load(&sample, &predictor, &protocol)?;
                    let [first, second] = memories;
                    Ok([
                        loaded.clone().compared_with(comparison(&sample, first)?),
                        loaded.compared_with(comparison(&sample, second)?),
                    ])
                });
                let loaded = loaded.map_err(|error| whole_message(&error));
                if let (Ok([loaded, _]), Ok(mut findings)) = (&loaded, findings.lock()) {
                    for finding in loaded.findings() {
                        findings.add(finding);
                    }
                }
                loaded
            }
        };
        let compute = {
            let models = [&self.pair.first, &self.pair.second].map(|it| Arc::clone(&it.predictor));
            let names = [Precision::F32, self.compared];
            let stop = stop.clone();
            move |loaded: Result<[Loaded; 2], String>| -> Outcome {
                let mut watch = |done, all| {
                    windows.show(done, all);
                    stop.flow()
                };
                let mut one = |which: usize, loaded| match look(
                    loaded,
                    &models[which],
                    &protocol,
                    &mut watch,
                ) {
                    Err(Error::Predict(vcp_predict::Error::Stopped)) => None,
                    Ok(look) => Some(Ok(look)),
                    Err(error) => Some(Err(format!(
                        "In {}: {}",
                        names[which],
                        whole_message(&error.into())
                    ))),
                };
                let [first, second] = match loaded {
                    Ok(loaded) => loaded,
                    Err(error) => return Some(Err(error)),
                };
                let first = match one(0, first)? {
                    Ok(look) => look,
                    Err(error) => return Some(Err(error)),
                };
                Some(one(1, second)?.map(|second| [first, second]))
            }
        };
        Ok(Pipeline::start(todo.into_iter(), decode, compute, stop)?)
    }

    /// As [`Run::category`].
    fn category(
        &self,
        index: usize,
        pipeline: &mut Pipeline<Outcome>,
        progress: &Progress,
    ) -> anyhow::Result<Option<PairReport>> {
        let samples = &self.pair.first.plan.categories[index].samples;
        let mut outcomes = Vec::with_capacity(samples.len());
        // Images come in order.
        for _ in samples {
            let Some(outcome) = pipeline.next().flatten() else {
                return Ok(None);
            };
            if let Err(error) = &outcome {
                progress.around(|| console::note(error));
            }
            outcomes.push(outcome);
            progress.advance();
        }
        let (report, mask_problem) = self.pair.conclude(index, outcomes)?;
        if let Some(problem) = mask_problem {
            progress.around(|| self.first.note(&problem.sentence()));
        }
        Ok(Some(report))
    }

    /// Writes what each evaluation has found, and puts the differences together.
    fn finish(&self, reports: &[PairReport]) -> anyhow::Result<(PrecisionReport, Exit)> {
        let of = |report: fn(&PairReport) -> &CategoryReport| -> Vec<CategoryReport> {
            reports.iter().map(|it| report(it).clone()).collect()
        };
        let (first, exit) = self.first.finish(&of(|it| &it.first))?;
        let (second, _) = self.second.finish(&of(|it| &it.second))?;
        let models = [&self.pair.first, &self.pair.second].map(|it| it.model.digest.clone());
        let report = PrecisionReport::new(
            self.compared,
            reports,
            [&first, &second],
            self.pair.first.protocol.calibration.as_ref(),
            models,
        );
        Ok((report, exit))
    }
}

fn text(report: &PrecisionReport) -> String {
    let mut text = format!("{}\n\n", console::printable(&report.summary));
    let columns = Column::of_figures(&figure_headings());
    text += &console::table(&columns, figure_rows(report));
    text.push('\n');
    let headings = change_headings();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    text += &console::table(&Column::of_figures(&headings), change_rows(report));
    text += LEGEND;
    text.push('\n');
    for remark in remarks(report) {
        text += &console::printable(&remark);
        text.push('\n');
    }
    text
}
