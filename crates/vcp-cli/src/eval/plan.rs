//! What there is to do: the categories of all data sets, and which of them are finished.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};

use vcp_dataset::{Dataset, MaskSource, Problem, Problems, Sample};
use vcp_evaluate::{CategoryReport, DatasetDescription, Found, Store, digest_of_listing};
use vcp_files::ResultNames;
use vcp_predict::Predictor;

use super::options::Options;
use crate::args::EvalSave;
use crate::console;
use crate::data::{Read, say_problems};
use crate::exit::usage;

/// The data sets and their categories.
pub(super) struct Plan {
    pub(super) datasets: Vec<DatasetDescription>,
    pub(super) categories: Vec<Category>,
    /// Whether a data set lacks something that its figures should cover.
    pub(super) is_incomplete: bool,
}

/// A category of a data set.
pub(super) struct Category {
    pub(super) dataset: String,
    pub(super) name: String,
    pub(super) samples: Vec<Sample>,
    /// Where files of each sample go below a folder of results, without ending.
    pub(super) places: Vec<PathBuf>,
    /// Digest of the samples.
    pub(super) listing: String,
}

impl Category {
    /// For people: with the data set's name in front where there are several.
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.dataset, self.name)
    }
}

impl Plan {
    /// Of data sets that have been read.
    ///
    /// # Errors
    /// When no image is left to evaluate.
    pub(super) fn new(all: Vec<Read>, options: &Options) -> anyhow::Result<Self> {
        let mut plan = Self {
            datasets: Vec::new(),
            categories: Vec::new(),
            is_incomplete: false,
        };
        let mut why_empty = None;
        for Read {
            layout,
            mut dataset,
            why_empty: unused,
        } in all
        {
            why_empty = why_empty.or(unused);
            dataset.select(&[], options.split)?;
            plan.is_incomplete |= is_incomplete(&dataset);
            if !options.quiet {
                say_problems(&dataset);
            }
            plan.add(layout, dataset, options.protocol.limit);
        }
        if plan.categories.is_empty() {
            return Err(usage(why_empty.unwrap_or_else(|| {
                format!(
                    "There is no image to evaluate: the data hold none of the split '{}'.",
                    options.protocol.split
                )
            })));
        }
        Ok(plan)
    }

    fn add(&mut self, layout: &str, dataset: Dataset, limit: Option<NonZeroUsize>) {
        let mut names = ResultNames::default();
        let order = dataset.categories();
        let mut by_category: HashMap<String, Vec<Sample>> = HashMap::new();
        for sample in dataset.samples {
            let category = sample.category.clone();
            by_category.entry(category).or_default().push(sample);
        }
        for name in order {
            let samples = by_category.remove(&name).unwrap_or_default();
            let samples = limited(samples, limit);
            let places = samples
                .iter()
                .map(|sample| Path::new(&dataset.name).join(names.claim(&place(&sample.id))))
                .map(|path| place(&path.to_string_lossy()))
                .collect();
            self.categories.push(Category {
                dataset: dataset.name.clone(),
                listing: digest_of_listing(&samples),
                name,
                samples,
                places,
            });
        }
        let mut problems: Vec<String> = dataset.problems.iter().map(Problem::sentence).collect();
        if dataset.problems.left_out() > 0 {
            problems.push(format!(
                "There are {} problems in all; of each kind, the first {} are named.",
                dataset.problems.count(),
                Problems::KEPT
            ));
        }
        self.datasets.push(DatasetDescription {
            layout: layout.to_owned(),
            root: dataset.root.display().to_string(),
            weak_masks: dataset.weak_masks,
            problems,
            notes: dataset.notes,
            name: dataset.name,
            ..DatasetDescription::default()
        });
    }

    /// What an earlier run has finished, category by category. Says so where it cannot be used.
    pub(super) fn finished(
        &self,
        store: &Store,
        options: &Options,
        predictor: &Predictor,
    ) -> Vec<Option<CategoryReport>> {
        let saved = saved_kinds(&options.save);
        let mut others: Vec<(String, Vec<&'static str>)> = Vec::new();
        let finished = self
            .categories
            .iter()
            .map(|category| {
                if options.restart {
                    return None;
                }
                let (dataset, name) = (&category.dataset, &category.name);
                let fits = |report: &CategoryReport| report.fits(&category.samples, predictor);
                match store.find(dataset, name, &category.listing, &saved, fits) {
                    Found::Finished(report) => Some(*report),
                    Found::Other(what) => {
                        others.push((category.title(), what));
                        None
                    }
                    Found::Nothing => None,
                }
            })
            .collect();
        if !options.quiet {
            say_others(&others);
        }
        finished
    }
}

/// The names under which the kinds of files are remembered.
pub(super) fn saved_kinds(save: &[EvalSave]) -> Vec<String> {
    save.iter().map(|kind| format!("{kind:?}")).collect()
}

fn say_others(others: &[(String, Vec<&'static str>)]) {
    let Some((first, what)) = others.first() else {
        return;
    };
    let rest = match others.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let what: Vec<&str> = what
        .iter()
        .map(|what| match *what {
            "model" => "another model",
            "protocol" => "another protocol",
            "device" => "another device",
            _ => "other images",
        })
        .collect();
    console::note(&format!(
        "The output folder holds {}{rest} from an evaluation with {}; evaluating again.",
        first,
        what.join(" and ")
    ));
}

/// At most `limit` of them, spread evenly.
fn limited(samples: Vec<Sample>, limit: Option<NonZeroUsize>) -> Vec<Sample> {
    let (count, limit) = match limit {
        Some(limit) if limit.get() < samples.len() => (samples.len(), limit.get()),
        _ => return samples,
    };
    // Sample k of the limit is at k·count/limit, rounded down: each index at most once.
    let is_taken = |at: usize| (at * limit).div_ceil(count) * count / limit == at;
    let samples = samples.into_iter().enumerate();
    samples
        .filter(|(at, _)| is_taken(*at))
        .map(|(_, sample)| sample)
        .take(limit)
        .collect()
}

/// An image's identity as a relative path without `..`.
fn place(id: &str) -> PathBuf {
    let parts = Path::new(id).components();
    parts
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}

/// Whether figures leave something out that the data set should have, among what was selected.
fn is_incomplete(dataset: &Dataset) -> bool {
    let is_selected = |image: &Path| dataset.samples.iter().any(|sample| sample.image == image);
    // Of very many problems not all are kept: a mask that is missing may be one of the others.
    let is_lacking = |sample: &Sample| sample.mask == MaskSource::Unknown;
    dataset.problems.iter().any(|problem| match problem {
        Problem::MissingMask { image, .. } => {
            is_selected(image)
                || dataset.problems.left_out() > 0 && dataset.samples.iter().any(is_lacking)
        }
        Problem::MissingImage { .. }
        | Problem::MissingFile { .. }
        | Problem::UnreadableImage { .. }
        | Problem::UnreadableMask { .. }
        | Problem::UnreadableFolder { .. }
        | Problem::BadEntry { .. } => true,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_spread_evenly() {
        for count in 1..40_usize {
            for limit in 1..45_usize {
                let taken: Vec<usize> = (0..count)
                    .filter(|&at| {
                        limit >= count || (at * limit).div_ceil(count) * count / limit == at
                    })
                    .collect();
                assert_eq!(
                    taken.len(),
                    limit.min(count),
                    "{limit} of {count}: {taken:?}"
                );
            }
        }
    }

    #[test]
    fn places_stay_below_their_folder() {
        for (id, expected) in [
            ("a/b.png", "a/b.png"),
            ("/etc/x.png", "etc/x.png"),
            ("../../x.png", "x.png"),
        ] {
            assert_eq!(place(id), Path::new(expected), "{id}");
        }
    }
}
