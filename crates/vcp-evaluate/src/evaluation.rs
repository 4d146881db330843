//! An evaluation into a folder: what is finished there, what is to do, and the files at its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vcp_dataset::{Coverage, Problem};
use vcp_predict::Predictor;

use crate::category::{CategoryReport, Failure};
use crate::error::Error;
use crate::image::Look;
use crate::judge::{Observed, judge};
use crate::model::ModelDescription;
use crate::output::{self, ImageFile};
use crate::plan::{Plan, PlannedCategory};
use crate::protocol::Protocol;
use crate::results::Results;
use crate::store::{Circumstance, Found, Store};
use crate::truth::Truth;

/// An evaluation of one model on the data sets of a plan, with a folder for its results. Finished
/// categories are kept below it (`categories/`), so that an interrupted evaluation resumes with the next.
///
/// Only one process may write into the folder at a time ([`vcp_files::Lock`]).
#[derive(Clone)]
pub struct Evaluation {
    /// What is evaluated.
    pub plan: Plan,
    /// What the model is.
    pub model: ModelDescription,
    /// The model itself, made with [`Protocol::predictor_options`].
    pub predictor: Arc<Predictor>,
    /// Every constant.
    pub protocol: Protocol,
    /// Name of the device on which the model runs, as results state it.
    pub device: String,
    /// Where results go.
    pub folder: PathBuf,
    /// What is written for each image.
    pub image_files: Vec<ImageFile>,
}

/// What an earlier evaluation into the same folder has left.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The report of each category of the plan, in order, if it is finished.
    pub reports: Vec<Option<CategoryReport>>,
    /// Categories that are finished but have to be evaluated again, with what was different then.
    pub others: Vec<(String, Vec<Circumstance>)>,
}

impl Earlier {
    /// How many categories are finished.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.reports.iter().flatten().count()
    }

    /// What is to be evaluated again, and why, as a full sentence; nothing if nothing is.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let (first, circumstances) = self.others.first()?;
        let rest = match self.others.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let circumstances: Vec<String> = circumstances.iter().map(ToString::to_string).collect();
        Some(format!(
            "The output folder holds {first}{rest} from an evaluation with {}; evaluating again.",
            circumstances.join(" and ")
        ))
    }
}

/// A category whose images have all been processed.
#[derive(Clone, Debug)]
pub struct Concluded {
    /// The category's figures, and all that the page of results shows of it.
    pub report: CategoryReport,
    /// Said if its masks cover nearly all of its images, since they are probably not what they seem.
    pub mask_problem: Option<Problem>,
}

impl Evaluation {
    /// What an earlier evaluation into the same folder has finished and can be used here.
    #[must_use]
    pub fn earlier(&self) -> Earlier {
        let store = self.store();
        let saved = self.saved();
        let mut others = Vec::new();
        let find = |category: &PlannedCategory| {
            let samples = || category.samples.iter().map(AsRef::as_ref);
            let fits = |report: &CategoryReport| report.fits(samples(), &self.predictor);
            let (dataset, name) = (&category.dataset, &category.name);
            match store.find(dataset, name, &category.listing, &saved, fits) {
                Found::Finished(report) => Some(*report),
                Found::Other(circumstances) => {
                    others.push((category.title(), circumstances));
                    None
                }
                Found::Nothing => None,
            }
        };
        let reports = self.plan.categories.iter().map(find).collect();
        Earlier { reports, others }
    }

    /// Judges the category of this number in the plan, writes the files of its images and keeps it as
    /// finished. `outcomes` has for each of its samples, in order, what the model saw in it
    /// ([`look`](crate::look)), or a full sentence that says why it could not be used.
    ///
    /// # Errors
    /// [`Error::Outcomes`] unless there is one outcome for each sample; those of [`judge`]; [`Error::Write`]
    /// and [`Error::Draw`].
    pub fn conclude(
        &self,
        category: usize,
        outcomes: Vec<Result<Look, String>>,
    ) -> Result<Concluded, Error> {
        let expected = self.plan.categories.get(category);
        let samples = expected.map_or(0, |category| category.samples.len());
        let Some(category) = expected.filter(|_| samples == outcomes.len()) else {
            return Err(Error::Outcomes {
                category: expected.map_or_else(|| category.to_string(), PlannedCategory::title),
                found: outcomes.len(),
                expected: samples,
            });
        };
        let mut observed = Vec::with_capacity(samples);
        let mut places: Vec<&Path> = Vec::with_capacity(samples);
        let mut failures = Vec::new();
        let all = category.samples.iter().zip(&category.places);
        for ((sample, place), outcome) in all.zip(outcomes) {
            match outcome {
                Ok(look) => {
                    let sample = Arc::clone(sample);
                    observed.push(Observed { sample, look });
                    places.push(place);
                }
                Err(error) => {
                    let path = sample.image.display().to_string();
                    failures.push(Failure { path, error });
                }
            }
        }
        let report = judge(
            &category.dataset,
            &category.name,
            &observed,
            failures,
            &self.predictor,
            &self.protocol,
        )?;
        output::save(self, &observed, &places, &report)?;
        self.store().keep(
            &category.dataset,
            &category.name,
            &category.listing,
            &self.saved(),
            &report,
        )?;
        Ok(Concluded {
            mask_problem: mask_problem(&observed),
            report,
        })
    }

    /// Puts the reports of all categories together, in the order of the plan, and writes the result files:
    /// results.csv, results.md, images.csv, results.json and report.html. `program` is the name and version
    /// that results state, `created` the day, in Universal Time.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Report`], and those of making maps again for the page.
    pub fn finish(
        &self,
        reports: &[CategoryReport],
        program: &str,
        created: &str,
    ) -> Result<Results, Error> {
        let results = Results::of(
            reports.iter().map(|report| report.result.clone()).collect(),
            self.plan.datasets.clone(),
            &self.model,
            &self.protocol,
            self.predictor.score_pixels(),
            &self.device,
            program,
        );
        output::write(self, &results, reports, created)?;
        Ok(results)
    }

    fn store(&self) -> Store {
        let folder = self.folder.join("categories");
        Store::new(&folder, &self.model, &self.protocol, &self.device)
    }

    /// The names under which the kinds of files are remembered.
    fn saved(&self) -> Vec<String> {
        let kinds = self.image_files.iter();
        kinds.map(|kind| kind.name().to_owned()).collect()
    }
}

fn mask_problem(observed: &[Observed]) -> Option<Problem> {
    let mut coverage = Coverage::default();
    for Observed { sample, look } in observed {
        if let Truth::Mask(bits) = &look.truth {
            coverage.add(sample, bits.share());
        }
    }
    coverage.problem()
}
