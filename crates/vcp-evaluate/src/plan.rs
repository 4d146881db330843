//! What there is to evaluate: the categories of all data sets.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use vcp_dataset::{
    Dataset, Label, MaskSource, Member, Problem, Problems, Sample, Split, digest_of_listing,
};
use vcp_files::ResultNames;
use vcp_random::Random;

use crate::error::Error;
use crate::protocol::FewShot;
use crate::results::DatasetDescription;

/// The data sets of an evaluation and their categories.
#[derive(Clone, Debug, Default)]
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
    /// The good images that they are compared with; none unless that was asked for.
    pub references: Vec<Arc<Sample>>,
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

    /// The same with `few.count` good images of each category to compare the others with: normal ones of the train split
    /// of `read`, the data that the plan was made of; where a category has none there, of those that were to be
    /// evaluated. They are not evaluated themselves.
    ///
    /// # Errors
    /// [`Error::TooFewReferences`] when a category has not as many.
    pub fn with_references(mut self, read: &[Member], few: FewShot) -> Result<Self, Error> {
        for category in &mut self.categories {
            let is_normal = |sample: &Sample| sample.label == Label::Normal;
            let datasets = read.iter().map(|member| &member.dataset);
            let datasets = datasets.filter(|dataset| dataset.name == category.dataset);
            let train = datasets
                .flat_map(|dataset| &dataset.samples)
                .filter(|sample| {
                    sample.category == category.name
                        && sample.split == Split::Train
                        && is_normal(sample)
                });
            let mut pool: Vec<Arc<Sample>> = train.cloned().map(Arc::new).collect();
            let is_from_test = pool.is_empty();
            if is_from_test {
                let normal = category.samples.iter().filter(|sample| is_normal(sample));
                pool = normal.map(Arc::clone).collect();
            }
            let count = few.count.get();
            // Some of those that are to be evaluated have to be left.
            if pool.len() < count + usize::from(is_from_test) {
                return Err(Error::TooFewReferences {
                    category: category.title(),
                    found: pool.len(),
                    expected: count,
                });
            }
            // The order of files differs from disk to disk, that of names does not.
            pool.sort_by(|a, b| a.id.cmp(&b.id));
            let name = vcp_files::sha256(category.title());
            let name = u64::from_str_radix(&name[..16], 16).unwrap_or_default();
            let mut order = Random::of(&[few.seed, name]).order(pool.len());
            order.truncate(count);
            category.references = order
                .iter()
                .map(|&index| Arc::clone(&pool[index]))
                .collect();
            // Whichever split they are from, they say nothing about others.
            let references = category.references.iter();
            let taken: HashSet<&str> = references.map(|it| it.id.as_str()).collect();
            let mut places = std::mem::take(&mut category.places).into_iter();
            category.samples.retain(|sample| {
                let place = places.next();
                let stays = !taken.contains(sample.id.as_str());
                category.places.extend(place.filter(|_| stays));
                stays
            });
            let chosen = category.references.iter().map(|sample| (**sample).clone());
            let all: Vec<Sample> = category
                .samples
                .iter()
                .map(|sample| (**sample).clone())
                .chain(chosen)
                .collect();
            category.listing = digest_of_listing(&all);
        }
        Ok(self)
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
                references: Vec::new(),
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
