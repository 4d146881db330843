//! `vcp-clip eval`.

mod calibration;
mod compare;
mod options;
mod precision;
mod seeds;

use std::path::Path;
use std::sync::{Arc, Mutex};

use vcp_checkpoint::{References, Weights, sha256_of_file};
use vcp_clip::Device;
use vcp_clip::pipeline::{Pipeline, guarded};
use vcp_dataset::{MaskFindings, Sample};
use vcp_evaluate::output::table;
use vcp_evaluate::{
    CategoryReport, Concluded, Error, Evaluation, Loaded, Look, ModelDescription, Plan, Results,
    Seeds, load, look,
};

use vcp_predict::references::{Comparison, ReferenceMemory};

use crate::args::{EvalArgs, Format};
use crate::console::{self, Column};
use crate::data::say_problems;
use crate::exit::{Exit, OrUsage, whole_message};
use crate::inputs;
use crate::interrupt::Stop;
use crate::place::create_folder;
use crate::progress::{Progress, Windows};
use options::Options;

pub(crate) fn run(arguments: EvalArgs) -> anyhow::Result<Exit> {
    if let [first, second] = &arguments.compare[..] {
        options::refuse_both_comparisons(&arguments)?;
        return compare::run(first, second, arguments.format);
    }
    let mut options = Options::new(arguments)?;
    let read = options.collection.read().or_usage()?;
    say_problems(&read, options.quiet);
    let plan = Plan::new(read.clone(), options.split, options.protocol.limit).or_usage()?;
    let (device, model) = options
        .choice
        .open_on(options.device, options.threads, options.quiet)?;
    if options.blend.is_none() {
        options.protocol.blend = model.weights().settings().blend;
    }
    if options.protocol.references.is_none() && !options.no_references {
        options.protocol.memory = model.weights().references().map(References::digest);
    }
    calibration::settle(&mut options, &model)?;
    settle_bits(&mut options, &plan);
    if let Some(compared) = options.compared_precision {
        return precision::run(compared, options, plan, &read, &device, model);
    }
    let _lock = options.create_folder()?;
    let stop = Stop::on_signals();
    let plans = seeds::plans(&options, plan, &read)?;
    let (format, folder, seeds) = (options.format, options.out.clone(), options.seeds.clone());
    let few = options.protocol.references;
    let mut run = Run::new(options, &device, model.weights())?;
    let mut exit = Exit::Done;
    let mut all = Vec::new();
    let is_single = plans.len() == 1;
    for (protocol, folder, plan) in plans {
        run.evaluation.protocol = protocol;
        run.evaluation.folder = folder;
        run.evaluation.plan = plan;
        create_folder(&run.evaluation.folder)?;
        run.findings = Arc::default();
        let earlier = run.earlier();
        if !run.remember(model.weights(), &earlier, &stop)? {
            return Ok(Exit::Interrupted);
        }
        let Some(reports) = run.evaluate(earlier, &stop)? else {
            return Ok(Exit::Interrupted);
        };
        let (results, found) = run.finish(&reports)?;
        if found != Exit::Done {
            exit = found;
        }
        if is_single {
            run.print(&results)?;
        }
        all.push(results);
    }
    if let (false, Some(few)) = (is_single, few) {
        seeds::finish(&Seeds::new(few.count.get(), &seeds, &all), &folder, format)?;
    }
    Ok(exit)
}

/// Settles how many bits of 16-bit samples hold the brightness, for all images alike.
fn settle_bits(options: &mut Options, plan: &Plan) {
    let images: Vec<&Path> = plan.images().collect();
    let calibration = options.protocol.calibration.as_ref();
    let mut decode = options.protocol.decode_options();
    inputs::settle_bits(&mut decode, calibration, &images, options.quiet);
    options.protocol.bits = decode.bits;
}

/// An evaluation that is in progress.
struct Run {
    evaluation: Evaluation,
    restart: bool,
    format: Format,
    quiet: bool,
    /// What there is to say about the masks that were read.
    findings: Arc<Mutex<MaskFindings>>,
    /// Of each category, the good images that others are compared with, if they are.
    memories: Vec<Option<Arc<ReferenceMemory>>>,
}

/// An image that is to be processed, and the good ones that it is compared with.
type Todo = (Arc<Sample>, Option<Arc<ReferenceMemory>>);

/// What came of an image: what the model saw in it, or why it could not be used. Nothing if the work was
/// stopped amid it.
type Outcome = Option<Result<Look, String>>;

impl Run {
    /// Without a plan yet.
    fn new(options: Options, device: &Device, weights: &Weights) -> anyhow::Result<Self> {
        let predictor = options.protocol.predictor_options(options.threads);
        let predictor = device.predictor(weights, &predictor).or_usage()?;
        Ok(Self {
            evaluation: Evaluation {
                plan: Plan::default(),
                model: ModelDescription::of(weights),
                predictor: Arc::new(predictor),
                protocol: options.protocol,
                device: device.name().to_owned(),
                folder: options.out,
                image_files: options.save,
            },
            restart: options.restart,
            format: options.format,
            quiet: options.quiet,
            findings: Arc::default(),
            memories: Vec::new(),
        })
    }

    /// Makes the memories of all categories that are to be evaluated; false if the work was interrupted.
    fn remember(
        &mut self,
        weights: &Weights,
        earlier: &[Option<CategoryReport>],
        stop: &Stop,
    ) -> anyhow::Result<bool> {
        let Evaluation {
            plan,
            predictor,
            protocol,
            ..
        } = &self.evaluation;
        if protocol.memory.is_some() {
            let stored = weights.references();
            let memory = stored.map(|it| ReferenceMemory::new(predictor.cpu(), it, weights));
            let memory = memory.transpose().or_usage()?.map(Arc::new);
            self.memories = vec![memory; plan.categories.len()];
            return Ok(true);
        }
        let images: usize = plan.categories.iter().map(|it| it.references.len()).sum();
        if images == 0 {
            self.memories = vec![None; plan.categories.len()];
            return Ok(true);
        }
        let progress = Progress::new(Some(plan.categories.len()), self.quiet);
        // Those of the last choice need not be held while others are made.
        self.memories = Vec::new();
        let mut memories = Vec::with_capacity(plan.categories.len());
        for (category, earlier) in plan.categories.iter().zip(earlier) {
            if earlier.is_some() {
                memories.push(None);
                progress.advance();
                continue;
            }
            let watch = &mut || stop.flow();
            match vcp_evaluate::remember(category, predictor, weights, protocol, watch) {
                Ok(memory) => memories.push(memory),
                Err(Error::Predict(vcp_predict::Error::Stopped)) => {
                    progress.finish();
                    return Ok(false);
                }
                Err(error) => {
                    progress.finish();
                    return Err(error).or_usage();
                }
            }
            progress.advance();
        }
        progress.finish();
        self.memories = memories;
        Ok(true)
    }

    /// Every category's report, in order; nothing if the work was interrupted.
    fn evaluate(
        &self,
        reports: Vec<Option<CategoryReport>>,
        stop: &Stop,
    ) -> anyhow::Result<Option<Vec<CategoryReport>>> {
        let categories = &self.evaluation.plan.categories;
        let todo: Vec<Todo> = (0..reports.len())
            .filter(|&category| reports[category].is_none())
            .flat_map(|category| {
                let memory = self.memories.get(category).cloned().flatten();
                let samples = categories[category].samples.iter();
                samples.map(move |sample| (Arc::clone(sample), memory.clone()))
            })
            .collect();
        let progress = Progress::new(Some(todo.len()), self.quiet);
        let pipeline = self.start(todo, progress.windows(), stop)?;
        self.conclude(reports, pipeline, &progress, stop, |category, pipeline| {
            self.category(category, pipeline, &progress)
        })
    }

    /// Every category's report, in order, with those that `category` makes of what comes out of the pipeline where there is
    /// none yet; nothing if the work was interrupted.
    fn conclude<Done: Send + 'static, Report>(
        &self,
        mut reports: Vec<Option<Report>>,
        mut pipeline: Pipeline<Done>,
        progress: &Progress,
        stop: &Stop,
        mut category: impl FnMut(usize, &mut Pipeline<Done>) -> anyhow::Result<Option<Report>>,
    ) -> anyhow::Result<Option<Vec<Report>>> {
        for (index, report) in reports.iter_mut().enumerate() {
            if report.is_some() {
                continue;
            }
            match category(index, &mut pipeline) {
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
        let (count, finished) = (reports.len(), reports.iter().flatten().count());
        if interrupted && finished < count {
            self.note(&format!(
                "Stopped after {finished} of {count} categories; the same command resumes with the \
                 next."
            ));
            return Ok(None);
        }
        anyhow::ensure!(
            finished == count,
            "The work ended early by an error in vcp-clip itself."
        );
        Ok(Some(reports.into_iter().flatten().collect()))
    }

    /// What an earlier run has finished, category by category.
    fn earlier(&self) -> Vec<Option<CategoryReport>> {
        if self.restart {
            return vec![None; self.evaluation.plan.categories.len()];
        }
        let earlier = self.evaluation.earlier();
        if let Some(sentence) = earlier.sentence() {
            self.note(&sentence);
        }
        if earlier.finished() > 0 {
            self.note(&format!(
                "{} of {} categories were finished by an earlier run; --restart evaluates them \
                 again.",
                earlier.finished(),
                earlier.reports.len()
            ));
        }
        earlier.reports
    }

    fn start(
        &self,
        todo: Vec<Todo>,
        windows: Windows,
        stop: &Stop,
    ) -> anyhow::Result<Pipeline<Outcome>> {
        let shared = || {
            let predictor = Arc::clone(&self.evaluation.predictor);
            (predictor, self.evaluation.protocol.clone())
        };
        let decode = {
            let (predictor, protocol) = shared();
            let findings = Arc::clone(&self.findings);
            move |(sample, memory): Todo| -> Result<Loaded, String> {
                let loaded = guarded(|| -> anyhow::Result<Loaded> {
                    let loaded = load(&sample, &predictor, &protocol)?;
                    Ok(loaded.compared_with(comparison(&sample, memory)?))
                });
                let loaded = loaded.map_err(|error| whole_message(&error));
                if let (Ok(loaded), Ok(mut findings)) = (&loaded, findings.lock()) {
                    for finding in loaded.findings() {
                        findings.add(finding);
                    }
                }
                loaded
            }
        };
        let compute = {
            let (predictor, protocol) = shared();
            let stop = stop.clone();
            move |loaded: Result<Loaded, String>| -> Outcome {
                // An image in windows may take hours: it is not finished when the user has had enough.
                let mut watch = |done, all| {
                    windows.show(done, all);
                    stop.flow()
                };
                let looked = loaded.map(|loaded| look(loaded, &predictor, &protocol, &mut watch));
                match looked {
                    Err(error) => Some(Err(error)),
                    Ok(Err(Error::Predict(vcp_predict::Error::Stopped))) => None,
                    Ok(look) => Some(look.map_err(|error| whole_message(&error.into()))),
                }
            }
        };
        Ok(Pipeline::start(todo.into_iter(), decode, compute, stop)?)
    }

    /// The next category; nothing if the work was stopped before its last image.
    fn category(
        &self,
        index: usize,
        pipeline: &mut Pipeline<Outcome>,
        progress: &Progress,
    ) -> anyhow::Result<Option<CategoryReport>> {
        let samples = &self.evaluation.plan.categories[index].samples;
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
        let Concluded {
            report,
            mask_problem,
        } = self.evaluation.conclude(index, outcomes)?;
        if let Some(problem) = mask_problem {
            progress.around(|| self.note(&problem.sentence()));
        }
        Ok(Some(report))
    }

    /// Writes what was found.
    fn finish(&self, reports: &[CategoryReport]) -> anyhow::Result<(Results, Exit)> {
        if let Ok(findings) = self.findings.lock() {
            for sentence in findings.sentences() {
                self.note(&sentence);
            }
        }
        let results = self.evaluation.finish(
            reports,
            concat!("vcp-clip ", env!("CARGO_PKG_VERSION")),
            &vcp_files::today(),
        )?;
        let failures = reports.iter().map(|report| report.result.failures.len());
        let failed: usize = failures.sum();
        if failed > 0 {
            self.note(&format!(
                "{failed} of {} images failed and are in no figure.",
                failed + results.mean.images
            ));
        }
        let exit = if failed > 0 || self.evaluation.plan.is_incomplete {
            Exit::Failed
        } else {
            Exit::Done
        };
        Ok((results, exit))
    }

    fn print(&self, results: &Results) -> anyhow::Result<()> {
        match self.format {
            Format::Json => console::print_json(results),
            Format::Table => Ok(console::print_text(&text(results))?),
        }
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            console::note(message);
        }
    }
}

/// How an image is compared with good ones, of which it may be one itself.
fn comparison(
    sample: &Sample,
    memory: Option<Arc<ReferenceMemory>>,
) -> anyhow::Result<Option<Comparison>> {
    let Some(memory) = memory else {
        return Ok(None);
    };
    let digest = sha256_of_file(&sample.image)?;
    let comparison = Comparison::leaving_out(memory, &digest);
    Ok(Some(comparison.ok_or(vcp_clip::Error::OnlyReference)?))
}

/// The table, and beneath it everything that a reader has to know of its figures.
fn text(results: &Results) -> String {
    let headings = ["category", "images"]
        .into_iter()
        .chain(table::COLUMNS.iter().map(|(_, heading)| *heading))
        .chain(table::calibrated_columns(results).iter().map(|it| it.title));
    let columns = Column::of_figures(&headings.collect::<Vec<_>>());
    let mut text = console::table(&columns, table::rows(results));
    text += table::LEGEND;
    text.push('\n');
    for remark in table::remarks(results) {
        text += &console::printable(&remark);
        text.push('\n');
    }
    text
}
