//! The same images through the same model computed in two ways: two ordinary evaluations side by side, and how
//! far their maps are apart.
//!
//! An evaluation does not keep the maps of its images, so both have to look at an image in one pass.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vcp_dataset::Problem;

use crate::category::CategoryReport;
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::image::Look;
use crate::model::digest_of;
use crate::output::put;
use crate::plan::PlannedCategory;
use crate::results::read_bounded;
use crate::store::file_name;

/// Pixels of two maps that differ by more than this, on the model's own scale of 0 to 1, are counted.
pub const NOTICEABLE: f32 = 0.02;

/// Longest record of a category that is read.
const MAX_BYTES: u64 = 1 << 16;
/// Changes whenever records of earlier versions must not be used any more.
const VERSION: u32 = 1;

/// Two evaluations of one plan with one protocol, whose models differ only in how they are computed. Each has its
/// own folder.
#[derive(Clone)]
pub struct Pair {
    /// What is compared with.
    pub first: Evaluation,
    /// What is compared.
    pub second: Evaluation,
    /// Where the differences of finished categories are kept, in `differences/`.
    pub folder: PathBuf,
}

/// A category that both evaluations have finished.
#[derive(Clone, Debug, PartialEq)]
pub struct PairReport {
    /// What the first evaluation says.
    pub first: CategoryReport,
    /// What the second evaluation says, of the same images.
    pub second: CategoryReport,
    /// How far the maps are apart.
    pub maps: MapSums,
}

/// Differences of maps before scaling, summed over pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MapSums {
    /// Pixels of all maps together.
    pub pixels: u64,
    /// Sum of the absolute differences.
    pub absolute: f64,
    /// The largest absolute difference.
    pub largest: f32,
    /// Pixels that differ by more than [`NOTICEABLE`].
    pub noticeable: u64,
}

impl MapSums {
    /// Adds two maps of one image.
    pub fn add(&mut self, first: &[f32], second: &[f32]) {
        for (first, second) in first.iter().zip(second) {
            let difference = (first - second).abs();
            self.pixels += 1;
            self.absolute += f64::from(difference);
            self.largest = self.largest.max(difference);
            self.noticeable += u64::from(difference > NOTICEABLE);
        }
    }

    /// Adds what was summed over other pixels.
    pub fn add_all(&mut self, other: &Self) {
        self.pixels += other.pixels;
        self.absolute += other.absolute;
        self.largest = self.largest.max(other.largest);
        self.noticeable += other.noticeable;
    }

    /// Whether they can be sums over so many pixels: records on a disk may have been damaged.
    fn fits(&self, pixels: u64) -> bool {
        self.pixels == pixels
            && self.noticeable <= pixels
            && self.absolute.is_finite()
            && (0.0..=1.0).contains(&self.largest)
            && (0.0..=pixels as f64).contains(&self.absolute)
    }
}

/// As it stands on the disk.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Digest of everything that the sums depend on.
    circumstances: String,
    maps: MapSums,
}

impl Pair {
    /// What an earlier run has finished, category by category: those that both evaluations have finished, and
    /// whose difference is known. With it a sentence on what is evaluated again and why, if anything is.
    #[must_use]
    pub fn earlier(&self) -> (Vec<Option<PairReport>>, Option<String>) {
        let (first, second) = (self.first.earlier(), self.second.earlier());
        let sentence = first.sentence().or_else(|| second.sentence());
        let both = first.reports.into_iter().zip(second.reports);
        let found = both.zip(&self.first.plan.categories);
        let reports = found.map(|((first, second), category)| {
            let (first, second) = (first?, second?);
            let maps = self.found(category)?;
            let side = self.first.predictor.image_size() as u64;
            let has_same_images = first.images.len() == second.images.len();
            let fits = has_same_images && maps.fits(first.images.len() as u64 * side * side);
            fits.then_some(PairReport {
                first,
                second,
                maps,
            })
        });
        (reports.collect(), sentence)
    }

    /// As [`Evaluation::conclude`], for both. An image that either could not use is in neither. Gives what is to be
    /// said of the category's masks as well, if anything is.
    ///
    /// # Errors
    /// As [`Evaluation::conclude`].
    pub fn conclude(
        &self,
        category: usize,
        outcomes: Vec<Result<[Look; 2], String>>,
    ) -> Result<(PairReport, Option<Problem>), Error> {
        let mut maps = MapSums::default();
        let mut firsts = Vec::with_capacity(outcomes.len());
        let mut seconds = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let [first, second] = match outcome {
                Ok([first, second]) => {
                    maps.add(
                        &first.seen.map(&self.first.predictor)?,
                        &second.seen.map(&self.second.predictor)?,
                    );
                    [Ok(first), Ok(second)]
                }
                Err(error) => [Err(error.clone()), Err(error)],
            };
            firsts.push(first);
            seconds.push(second);
        }
        let first = self.first.conclude(category, firsts)?;
        let second = self.second.conclude(category, seconds)?;
        // Last, so that where it is, all is.
        if let Some(category) = self.first.plan.categories.get(category) {
            self.keep(category, maps)?;
        }
        let report = PairReport {
            first: first.report,
            second: second.report,
            maps,
        };
        Ok((report, first.mask_problem))
    }

    fn found(&self, category: &PlannedCategory) -> Option<MapSums> {
        let bytes = read_bounded(&self.path(category), MAX_BYTES).ok()??;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let is_same =
            record.version == VERSION && record.circumstances == self.circumstances(category);
        is_same.then_some(record.maps)
    }

    fn keep(&self, category: &PlannedCategory, maps: MapSums) -> Result<(), Error> {
        let path = self.path(category);
        let record = Record {
            version: VERSION,
            circumstances: self.circumstances(category),
            maps,
        };
        let json = serde_json::to_vec(&record).map_err(|error| Error::Write {
            path: path.clone(),
            source: error.into(),
        })?;
        put(&path, |file| file.write_all(&json))
    }

    fn circumstances(&self, category: &PlannedCategory) -> String {
        digest_of(&(
            &self.first.model.digest,
            &self.second.model.digest,
            &self.first.protocol,
            &self.first.device,
            &category.listing,
        ))
    }

    fn path(&self, category: &PlannedCategory) -> PathBuf {
        let name = file_name(&category.dataset, &category.name);
        self.folder.join("differences").join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_over_all_pixels() {
        let mut sums = MapSums::default();
        sums.add(&[0.5, 0.25, 1.0], &[0.5, 0.26, 0.5]);
        let mut other = MapSums::default();
        other.add(&[0.0], &[0.125]);
        sums.add_all(&other);
        assert_eq!((sums.pixels, sums.noticeable, sums.largest), (4, 2, 0.5));
        assert!((sums.absolute - 0.635).abs() < 1e-6, "{sums:?}");
        assert!(sums.fits(4) && !sums.fits(5));
        let damaged = [
            MapSums {
                largest: f32::NAN,
                ..sums
            },
            MapSums {
                absolute: f64::INFINITY,
                ..sums
            },
            MapSums {
                noticeable: 5,
                ..sums
            },
        ];
        assert!(damaged.iter().all(|it| !it.fits(4)));
    }
}
