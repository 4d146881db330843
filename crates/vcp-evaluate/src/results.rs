//! All categories together: `results.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calibrated::Calibrated;
use crate::category::CategoryResult;
use crate::error::Error;
use crate::figures::{Figures, Undefined};
use crate::model::ModelDescription;
use crate::protocol::Protocol;

/// Longest results file that is read.
const MAX_BYTES: u64 = 256 << 20;

/// The contents of `results.json`. Figures are fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Every category, in order.
    pub categories: Vec<CategoryResult>,
    /// The mean over all categories.
    pub mean: MeanRow,
    /// What was evaluated.
    #[serde(default)]
    pub datasets: Vec<DatasetDescription>,
    /// The model ([`ModelDescription`]).
    #[serde(default)]
    pub model: Value,
    /// Every constant ([`Protocol`]), and what follows from model and constants.
    #[serde(default)]
    pub protocol: Value,
    /// What the model ran on. Devices differ in the last digits.
    #[serde(default)]
    pub device: String,
    /// The program and its version.
    #[serde(default)]
    pub program: String,
}

/// The mean over categories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanRow {
    /// Images of all categories together.
    #[serde(default)]
    pub images: usize,
    /// The mean of each figure over the categories that define it.
    #[serde(flatten)]
    pub figures: Figures,
    /// Number of categories.
    #[serde(default)]
    pub categories: usize,
    /// How many categories were left out of a figure's mean because they do not define it.
    #[serde(default)]
    pub left_out: BTreeMap<String, usize>,
    /// Why figures are missing altogether.
    #[serde(default)]
    pub undefined: Undefined,
    /// The mean at the thresholds of the model's calibration, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<Calibrated>,
}

/// A data set that was evaluated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetDescription {
    /// The data set's name.
    pub name: String,
    /// The layout as which the data set was read.
    pub layout: String,
    /// The data set's folder.
    pub root: String,
    /// The mean over the data set's categories.
    pub mean: MeanRow,
    /// Whether the data set's masks are only rough outlines.
    pub weak_masks: bool,
    /// What a reader of the figures should know.
    pub notes: Vec<String>,
    /// What is wrong with the data set, as far as it was read for the evaluation.
    pub problems: Vec<String>,
}

impl MeanRow {
    /// The mean of these categories; figures that a category does not define are left out of their
    /// mean, which says so.
    pub fn of<'a>(categories: impl IntoIterator<Item = &'a CategoryResult>) -> Self {
        let categories: Vec<&CategoryResult> = categories.into_iter().collect();
        let calibrated: Vec<Option<&Calibrated>> = categories
            .iter()
            .map(|category| category.row.calibrated.as_ref())
            .collect();
        let calibrated = Calibrated::mean(&calibrated);
        let mut left_out = BTreeMap::new();
        let mut undefined = Undefined::new();
        let figures = Figures::from_fn(|key| {
            let values: Vec<f64> = categories
                .iter()
                .filter_map(|category| category.row.figures.get(key))
                .collect();
            let missing = categories.len() - values.len();
            if values.is_empty() {
                let reason = "no category defines it";
                undefined.insert(key.to_owned(), reason.to_owned());
                return None;
            }
            if missing > 0 {
                left_out.insert(key.to_owned(), missing);
            }
            Some(values.iter().sum::<f64>() / values.len() as f64)
        });
        Self {
            images: categories.iter().map(|category| category.row.images).sum(),
            figures,
            categories: categories.len(),
            left_out,
            undefined,
            calibrated,
        }
    }
}

impl Results {
    /// Puts categories together. The means of `datasets` are computed here. `image_size` and
    /// `score_pixels` are what model and protocol come to.
    #[must_use]
    pub fn of(
        categories: Vec<CategoryResult>,
        mut datasets: Vec<DatasetDescription>,
        model: &ModelDescription,
        protocol: &Protocol,
        score_pixels: &[usize],
        device: &str,
        program: &str,
    ) -> Self {
        for dataset in &mut datasets {
            let own = categories
                .iter()
                .filter(|category| category.dataset == dataset.name);
            dataset.mean = MeanRow::of(own);
        }
        // Plain data without maps keyed by anything but text can always be turned into a value.
        let mut constants = serde_json::to_value(protocol).unwrap_or_default();
        if let Value::Object(constants) = &mut constants {
            // One number but for models whose settings ask for several.
            let score_pixels = match score_pixels {
                [count] => (*count).into(),
                counts => counts.into(),
            };
            constants.insert("score_pixels".to_owned(), score_pixels);
            constants.insert("image_size".to_owned(), model.settings.image_size.into());
            constants.insert(
                "scaling".to_owned(),
                "maps and scores: smallest and largest value of the category to 0 and 1".into(),
            );
        }
        Self {
            mean: MeanRow::of(&categories),
            categories,
            datasets,
            model: serde_json::to_value(model).unwrap_or_default(),
            protocol: constants,
            device: device.to_owned(),
            program: program.to_owned(),
        }
    }

    /// Reads a `results.json`.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::NoResults`] if the file holds something else.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let no_results = |reason: String| Error::NoResults {
            path: path.to_owned(),
            reason,
        };
        let bytes = read_bounded(path, MAX_BYTES)?;
        let bytes =
            bytes.ok_or_else(|| no_results(format!("it is longer than {MAX_BYTES} bytes")))?;
        serde_json::from_slice(&bytes).map_err(|error| no_results(error.to_string()))
    }

    /// The text of `results.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        // As above.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

/// The content of a file; `None` if it is longer than `limit`.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    vcp_files::read_at_most(path, limit).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
