//! How much it changes that a model is computed in another precision.

use serde::Serialize;
use vcp_checkpoint::{Calibration, Precision};

use crate::category::CategoryResult;
use crate::comparison::ComparedRow;
use crate::figures::Figures;
use crate::output::table;
use crate::pair::{MapSums, PairReport};
use crate::results::Results;
use crate::scaling::Scaling;

/// What another precision than f32 changes; the contents of `precision.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrecisionReport {
    /// The precision that is compared with f32.
    pub precision: Precision,
    /// The largest difference of a figure and the share of changed decisions, as a sentence.
    pub summary: String,
    /// The largest difference of a category's figure; `None` where no figure is defined in both.
    pub largest: Option<LargestDifference>,
    /// The largest difference of a mean.
    pub largest_of_mean: Option<LargestDifference>,
    /// Where the thresholds come from by which images are decided.
    pub thresholds: ThresholdSource,
    /// Every category, in order.
    pub categories: Vec<PrecisionRow>,
    /// Means of the figures over the categories; all else over the images of all categories.
    pub mean: PrecisionRow,
    /// What a reader should know, as full sentences.
    pub notes: Vec<String>,
    /// Digest of the model in f32 and in the other precision ([`ModelDescription`](crate::ModelDescription)).
    pub models: [String; 2],
    /// The program and its version.
    pub program: String,
}

/// A figure that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LargestDifference {
    /// The category, or `mean`.
    pub name: String,
    /// The figure, by its name in result files.
    pub figure: String,
    /// The other precision's figure minus that of f32, as a fraction of 1.
    pub difference: f64,
}

/// Where thresholds come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdSource {
    /// From the model's calibration.
    Calibration,
    /// Of each category that of the best F1 of the image scores in f32.
    BestF1,
}

/// What changes in a category. The first figures are those of f32.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrecisionRow {
    /// The figures of both, and their differences.
    #[serde(flatten)]
    pub figures: ComparedRow,
    /// Images that were processed.
    pub images: usize,
    /// How far the maps are apart; `None` without images.
    pub maps: Option<MapDifference>,
    /// How far the image scores are apart; `None` without images.
    pub scores: Option<ScoreDifference>,
    /// What is decided of the images; `None` where there is no threshold.
    pub decisions: Option<Decisions>,
}

/// How far maps are apart, before scaling: on the model's own scale of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MapDifference {
    /// Pixels of all maps.
    pub pixels: u64,
    /// Mean of the absolute differences.
    pub mean_absolute: f64,
    /// The largest absolute difference.
    pub largest: f64,
    /// Fraction of the pixels that differ by more than [`NOTICEABLE`](crate::NOTICEABLE).
    pub noticeable_share: f64,
}

/// How far image scores are apart, before scaling: on the model's own scale of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScoreDifference {
    /// Mean of the absolute differences.
    pub mean_absolute: f64,
    /// The largest absolute difference.
    pub largest: f64,
}

/// What is decided of images in f32, and what of the same images in the other precision.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Decisions {
    /// Images that were decided.
    pub images: usize,
    /// Images of which another thing is said.
    pub changed: usize,
    /// Images with at least this score have a defect; `None` where categories have thresholds of their own.
    pub score_threshold: Option<f64>,
    /// Images with at least this score, and less than the other, are to be reviewed, if there is such a threshold.
    pub review_threshold: Option<f64>,
    /// What the other precision says of images that f32 says are ok.
    pub ok: Destinations,
    /// What the other precision says of images that f32 says are to be reviewed.
    pub review: Destinations,
    /// What the other precision says of images that f32 says have a defect.
    pub defect: Destinations,
}

/// Numbers of images by what is decided of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Destinations {
    /// Images that are ok.
    pub ok: usize,
    /// Images that are to be reviewed.
    pub review: usize,
    /// Images that have a defect.
    pub defect: usize,
}

/// What is said of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Ok,
    Review,
    Defect,
}

/// By what images of a category are decided.
enum Rule<'a> {
    Calibrated(&'a Calibration),
    /// Scores are scaled as they were when the threshold was found.
    BestF1(Scaling, f32),
}

impl<'a> Rule<'a> {
    /// The calibration's, else that of the best F1 in f32; `None` where the data define none.
    fn of(calibration: Option<&'a Calibration>, category: &CategoryResult) -> Option<Self> {
        if let Some(calibration) = calibration {
            return Some(Self::Calibrated(calibration));
        }
        let scaling = Scaling::of_range(category.score_range?);
        // It is the scaled score of an image, in single precision.
        let threshold = category.row.figures.image_threshold? as f32;
        Some(Self::BestF1(scaling, threshold))
    }

    fn decide(&self, score: f32) -> Decision {
        let (has_defect, is_doubtful) = match self {
            Self::Calibrated(calibration) => (
                score >= calibration.score_threshold,
                calibration.review_threshold.is_some_and(|it| score >= it),
            ),
            Self::BestF1(scaling, threshold) => (scaling.apply(score) >= *threshold, false),
        };
        match (has_defect, is_doubtful) {
            (true, _) => Decision::Defect,
            (false, true) => Decision::Review,
            (false, false) => Decision::Ok,
        }
    }
}

impl Decisions {
    fn of(
        scores: &[[f32; 2]],
        calibration: Option<&Calibration>,
        category: &CategoryResult,
    ) -> Option<Self> {
        let rule = Rule::of(calibration, category)?;
        let score_threshold = match calibration {
            Some(calibration) => Some(f64::from(calibration.score_threshold)),
            None => category.image_threshold_unscaled,
        };
        let review_threshold = calibration.and_then(|it| it.review_threshold);
        let mut found = Self {
            score_threshold,
            review_threshold: review_threshold.map(f64::from),
            ..Self::default()
        };
        for [first, second] in scores {
            let (first, second) = (rule.decide(*first), rule.decide(*second));
            found.images += 1;
            found.changed += usize::from(first != second);
            let from = match first {
                Decision::Ok => &mut found.ok,
                Decision::Review => &mut found.review,
                Decision::Defect => &mut found.defect,
            };
            match second {
                Decision::Ok => from.ok += 1,
                Decision::Review => from.review += 1,
                Decision::Defect => from.defect += 1,
            }
        }
        Some(found)
    }

    /// Those of all categories that have some; `None` if none has.
    fn sum<'a>(
        all: impl IntoIterator<Item = &'a Self>,
        calibration: Option<&Calibration>,
    ) -> Option<Self> {
        let mut all = all.into_iter();
        let mut sum = all.next()?.clone();
        for one in all {
            sum.images += one.images;
            sum.changed += one.changed;
            sum.ok.add(one.ok);
            sum.review.add(one.review);
            sum.defect.add(one.defect);
        }
        if calibration.is_none() {
            sum.score_threshold = None;
        }
        Some(sum)
    }

    /// Every change there is: words for before and after, and the number of images.
    #[must_use]
    pub fn changes(&self) -> Vec<(&'static str, &'static str, usize)> {
        let all = [
            ("ok", "review", self.ok.review),
            ("ok", "defect", self.ok.defect),
            ("review", "ok", self.review.ok),
            ("review", "defect", self.review.defect),
            ("defect", "ok", self.defect.ok),
            ("defect", "review", self.defect.review),
        ];
        all.into_iter()
            .filter(|(_, _, images)| *images > 0)
            .collect()
    }
}

impl Destinations {
    fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.review += other.review;
        self.defect += other.defect;
    }
}

impl MapDifference {
    fn of(sums: &MapSums) -> Option<Self> {
        let pixels = sums.pixels as f64;
        (sums.pixels > 0).then(|| Self {
            pixels: sums.pixels,
            mean_absolute: sums.absolute / pixels,
            largest: f64::from(sums.largest),
            noticeable_share: sums.noticeable as f64 / pixels,
        })
    }
}

impl ScoreDifference {
    fn of(scores: &[[f32; 2]]) -> Option<Self> {
        let differences = scores
            .iter()
            .map(|[first, second]| (f64::from(*first) - f64::from(*second)).abs());
        (!scores.is_empty()).then(|| Self {
            mean_absolute: differences.clone().sum::<f64>() / scores.len() as f64,
            largest: differences.fold(0.0, f64::max),
        })
    }
}

impl PrecisionReport {
    /// From the reports of all categories and the results of both evaluations, f32's first. Images are decided by
    /// the calibration, if there is one.
    #[must_use]
    pub fn new(
        precision: Precision,
        reports: &[PairReport],
        results: [&Results; 2],
        calibration: Option<&Calibration>,
        models: [String; 2],
    ) -> Self {
        let [first, second] = results;
        let mut all_scores = Vec::new();
        let mut all_maps = MapSums::default();
        let mut categories = Vec::with_capacity(reports.len());
        let mut notes = Vec::new();
        for report in reports {
            let (one, other) = (&report.first, &report.second);
            let name = table::name(first, &one.result);
            let images = one.images.iter().zip(&other.images);
            let scores: Vec<[f32; 2]> = images.map(|(a, b)| [a.score, b.score]).collect();
            let decisions = Decisions::of(&scores, calibration, &one.result);
            if decisions.is_none() {
                notes.push(format!(
                    "{name}: no decisions are compared, since the model has no calibration and the images \
                     define no threshold of the best F1."
                ));
            }
            if !one.result.failures.is_empty() {
                notes.push(format!(
                    "{name}: {} images could not be used and are in no figure of either.",
                    one.result.failures.len()
                ));
            }
            categories.push(PrecisionRow {
                figures: ComparedRow::new(name, &one.result.row.figures, &other.result.row.figures),
                images: scores.len(),
                maps: MapDifference::of(&report.maps),
                scores: ScoreDifference::of(&scores),
                decisions,
            });
            all_maps.add_all(&report.maps);
            all_scores.extend(scores);
        }
        let decided = categories.iter().filter_map(|it| it.decisions.as_ref());
        let mean = PrecisionRow {
            figures: ComparedRow::new("mean".to_owned(), &first.mean.figures, &second.mean.figures),
            images: all_scores.len(),
            maps: MapDifference::of(&all_maps),
            scores: ScoreDifference::of(&all_scores),
            decisions: Decisions::sum(decided, calibration),
        };
        let largest = LargestDifference::among(categories.iter());
        let largest_of_mean = LargestDifference::among([&mean]);
        let mut report = Self {
            precision,
            summary: String::new(),
            largest,
            largest_of_mean,
            thresholds: match calibration {
                Some(_) => ThresholdSource::Calibration,
                None => ThresholdSource::BestF1,
            },
            categories,
            mean,
            notes,
            models,
            program: first.program.clone(),
        };
        report.summary = report.sentence();
        report
    }

    fn sentence(&self) -> String {
        let figures = match &self.largest {
            None => "no figure is defined in both".to_owned(),
            Some(LargestDifference { difference, .. }) if *difference == 0.0 => {
                "no figure differs".to_owned()
            }
            Some(largest) => {
                let mean = match &self.largest_of_mean {
                    Some(mean) if self.categories.len() > 1 => format!(
                        ", that of a mean {} points ({})",
                        points(mean.difference),
                        table::title(&mean.figure)
                    ),
                    _ => String::new(),
                };
                format!(
                    "the largest difference of a figure is {} points ({} of {}){mean}",
                    points(largest.difference),
                    table::title(&largest.figure),
                    largest.name
                )
            }
        };
        let decisions = match &self.mean.decisions {
            Some(Decisions {
                images, changed, ..
            }) if *images > 0 => format!(
                "the decision changes for {changed} of {images} images ({:.2} %)",
                100.0 * *changed as f64 / *images as f64
            ),
            _ => "no decisions are compared".to_owned(),
        };
        format!("{} instead of f32: {figures}; {decisions}.", self.precision)
    }
}

impl LargestDifference {
    /// Thresholds are no figures of how good a model is.
    fn among<'a>(rows: impl IntoIterator<Item = &'a PrecisionRow>) -> Option<Self> {
        let mut largest: Option<Self> = None;
        for row in rows {
            for column in Figures::COLUMNS.iter().filter(|column| column.is_percent) {
                let Some(difference) = row.figures.difference.get(column.key) else {
                    continue;
                };
                let is_larger = largest
                    .as_ref()
                    .is_none_or(|it| difference.abs() > it.difference.abs());
                if is_larger {
                    largest = Some(Self {
                        name: row.figures.name.clone(),
                        figure: column.key.to_owned(),
                        difference,
                    });
                }
            }
        }
        largest
    }
}

/// A difference of fractions in points of percent, with its sign.
fn points(difference: f64) -> String {
    format!("{:+.2}", 100.0 * difference)
}
