//! What there is to evaluate: the categories of all data sets.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use vcp_dataset::{
    Dataset, MaskSource, Member, Problem, Problems, Sample, Split, digest_of_listing,
};
use vcp_files::ResultNames;

use crate::error::Error;
use crate::results::DatasetDescription;

/// The data sets of an evaluation and their categories.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every data set, without the figures that the evaluation will find.
    pub datasets: Vec<DatasetDescription>,
    /// Every category that has images, data set by data set.
    pub categories: Vec<PlannedCategory>,
    /// Whether a data set lacks something that its figures should cover: an image, a mask, a line of a
    /// list.
    pub is_incomplete: bool,
}

/// A category that is to be evaluated.
#[derive(Clone, Debug)]
pub struct PlannedCategory {
    /// Name of the category's data set.
    pub dataset: String,
    /// The category's name within its data set.
    pub name: String,
    /// The category's images.
    pub samples: Vec<Arc<Sample>>,
    /// Where files of each sample go below a folder of results, without ending: relative, inside that
    /// folder, and no two alike.
    pub places: Vec<PathBuf>,
    /// Digest of the samples ([`digest_of_listing`]).
    pub listing: String,
}

impl PlannedCategory {
    /// The category's name for people, with its data set's in front.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.dataset, self.name)
    }
}

impl Plan {
    /// Plans the evaluation of data sets that have been read: of their samples in `split` (all if
    /// `None`), and of each category at most `limit`, spread evenly.
    ///
    /// # Errors
    /// [`Error::NothingToEvaluate`] when no image is left.
    pub fn new(
        read: Vec<Member>,
        split: Option<Split>,
        limit: Option<NonZeroUsize>,
    ) -> Result<Self, Error> {
        let mut plan = Self {
            datasets: Vec::new(),
            categories: Vec::new(),
            is_incomplete: false,
        };
        let mut why_empty = None;
        for mut member in read {
            why_empty = why_empty.or(member.why_empty);
            member.dataset.select(&[], split)?;
            plan.is_incomplete |= is_incomplete(&member.dataset);
            plan.add(member.layout, member.dataset, limit);
        }
        if plan.categories.is_empty() {
            return Err(Error::NothingToEvaluate {
                reason: why_empty.unwrap_or_else(|| {
                    let split = split.map_or("all", Split::as_str);
                    format!(
                        "There is no image to evaluate: the data hold none of the split '{split}'."
                    )
                }),
            });
        }
        Ok(plan)
    }

    /// The files of all images, in order.
    #[must_use = "iterators are lazy"]
    pub fn images(&self) -> impl Iterator<Item = &Path> {
        let samples = self.categories.iter().flat_map(|it| &it.samples);
        samples.map(|sample| sample.image.as_path())
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
            self.categories.push(PlannedCategory {
                dataset: dataset.name.clone(),
                listing: digest_of_listing(&samples),
                name,
                samples: samples.into_iter().map(Arc::new).collect(),
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
}

/// At most `limit` of them, spread evenly.
fn limited<T>(all: Vec<T>, limit: Option<NonZeroUsize>) -> Vec<T> {
    let (count, limit) = match limit {
        Some(limit) if limit.get() < all.len() => (all.len(), limit.get()),
        _ => return all,
    };
    // Sample k of the limit is at k·count/limit, rounded down: each index at most once.
    let is_taken = |at: usize| (at * limit).div_ceil(count) * count / limit == at;
    all.into_iter()
        .enumerate()
        .filter(|(at, _)| is_taken(*at))
        .map(|(_, one)| one)
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
    let images = dataset.samples.iter().map(|sample| sample.image.as_path());
    let selected: HashSet<&Path> = images.collect();
    // Of very many problems not all are kept: a mask that is missing may be one of the others.
    let may_lack_others = dataset.problems.left_out() > 0
        && dataset
            .samples
            .iter()
            .any(|sample| sample.mask == MaskSource::Unknown);
    dataset.problems.iter().any(|problem| match problem {
        Problem::MissingMask { image, .. } => selected.contains(image.as_path()) || may_lack_others,
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
                let taken = limited((0..count).collect(), NonZeroUsize::new(limit));
                assert_eq!(
                    taken.len(),
                    limit.min(count),
                    "{limit} of {count}: {taken:?}"
                );
                // From the first on, each as far from the next as the others, to within one.
                assert_eq!(taken[0], 0, "{limit} of {count}");
                let gaps = taken.windows(2).map(|pair| pair[1] - pair[0]);
                let gaps: Vec<usize> = gaps.chain([count - taken[taken.len() - 1]]).collect();
                let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
                assert!(
                    *least >= 1 && most - least <= 1,
                    "{limit} of {count}: {taken:?}"
                );
            }
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(limited(all.clone(), None), all);
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
