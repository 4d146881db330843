//! What was found in a photo.

use std::borrow::Cow;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use vcp_clip::DecisionThresholds;

use crate::arrays;
use crate::engine::Generation;
use crate::errors::{Failure, Kind};
use crate::work::briefly;

/// A 32-bit number as records state it: by the fewest digits that tell it from its neighbours.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// What values are compared with.
#[pyclass(frozen, eq, module = "vcp_clip", skip_from_py_object)]
#[derive(Clone, PartialEq)]
pub(crate) struct Thresholds(DecisionThresholds);

impl From<DecisionThresholds> for Thresholds {
    fn from(thresholds: DecisionThresholds) -> Self {
        Self(thresholds)
    }
}

#[pymethods]
impl Thresholds {
    /// A photo with at least this score has a defect.
    #[getter]
    fn score(&self) -> f64 {
        decimal(self.0.score)
    }

    /// A photo with at least this score, and less than `score`, is to be reviewed; None with two outcomes only.
    #[getter]
    fn review(&self) -> Option<f64> {
        self.0.review.map(decimal)
    }

    /// A pixel with at least this value belongs to a defect.
    #[getter]
    fn pixel(&self) -> f64 {
        decimal(self.0.pixel)
    }

    /// The values at the two ends of the colour scale.
    #[getter]
    fn range(&self) -> (f64, f64) {
        (decimal(self.0.range.0), decimal(self.0.range.1))
    }

    fn __repr__(&self) -> String {
        let review = self.review().map_or("None".to_owned(), |it| it.to_string());
        let (low, high) = self.range();
        format!(
            "Thresholds(score={}, review={review}, pixel={}, range=({low}, {high}))",
            self.score(),
            self.pixel()
        )
    }
}

/// A connected region of pixels that reach the pixel threshold.
#[pyclass(frozen, eq, module = "vcp_clip", skip_from_py_object)]
#[derive(Clone, PartialEq)]
pub(crate) struct Region(vcp_clip::record::RegionRecord);

#[pymethods]
impl Region {
    /// The smallest rectangle that holds it: (x, y, width, height) in pixels of the photo.
    #[getter]
    fn r#box(&self) -> (usize, usize, usize, usize) {
        let bounds = self.0.bounding_box;
        (bounds.x, bounds.y, bounds.width, bounds.height)
    }

    /// Number of pixels.
    #[getter]
    fn area(&self) -> u64 {
        self.0.area
    }

    /// Mean position (x, y) of its pixels; whole numbers are pixel centres.
    #[getter]
    fn centroid(&self) -> (f64, f64) {
        self.0.centroid.into()
    }

    /// Its largest value, 0 to 1.
    #[getter]
    fn peak(&self) -> f64 {
        decimal(self.0.peak)
    }

    /// Where (x, y) that stands.
    #[getter]
    fn peak_position(&self) -> (usize, usize) {
        self.0.peak_position.into()
    }

    /// Its mean value, 0 to 1.
    #[getter]
    fn mean(&self) -> f64 {
        decimal(self.0.mean)
    }

    fn __repr__(&self) -> String {
        let (x, y, width, height) = self.r#box();
        format!(
            "Region(box=({x}, {y}, {width}, {height}), area={}, peak={})",
            self.area(),
            self.peak()
        )
    }
}

/// What was found in a photo. Maps and pictures are made when they are asked for, and maps kept.
#[pyclass(frozen, module = "vcp_clip")]
pub(crate) struct Inspection {
    pub(crate) found: vcp_clip::Inspection,
    label: String,
    milliseconds: f64,
    generation: Generation,
    anomaly_map: PyOnceLock<Py<PyAny>>,
    model_map: PyOnceLock<Py<PyAny>>,
    pred_mask: PyOnceLock<Py<PyAny>>,
}

impl Inspection {
    /// Of a photo that is called `label`.
    pub(crate) fn new(found: vcp_clip::Inspection, label: String, spent: Duration) -> Self {
        Self {
            found,
            label,
            milliseconds: (spent.as_secs_f64() * 1e4).round() / 10.0,
            generation: Generation::now(),
            anomaly_map: PyOnceLock::new(),
            model_map: PyOnceLock::new(),
            pred_mask: PyOnceLock::new(),
        }
    }

    /// The record, as the command line prints it.
    pub(crate) fn record(&self, path: Option<String>) -> vcp_clip::record::Record {
        let label = path.unwrap_or_else(|| self.label.clone());
        let mut record = self.found.record(label);
        record.milliseconds = self.milliseconds;
        record
    }

    /// Refuses what maps of windows are put together for by threads that are not there.
    fn check(&self) -> PyResult<()> {
        if self.generation.is_now() || !self.found.is_tiling() {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Input,
            "The photo was inspected in windows before this process was forked; ask for its map and regions \
             before the fork, or inspect it again.",
        )
        .into())
    }

    /// The map at the photo's resolution, row by row.
    pub(crate) fn values(&self) -> Vec<f32> {
        let map = self.found.map();
        let (width, height) = (map.width(), map.height());
        let mut values = vec![0.0; width * height];
        for (y, row) in values.chunks_exact_mut(width).enumerate() {
            map.row(y, row);
        }
        values
    }
}

#[pymethods]
impl Inspection {
    /// What the photo is called: its path, or what was given with it.
    #[getter]
    fn path(&self) -> &str {
        &self.label
    }

    /// Width of the photo in pixels, upright.
    #[getter]
    fn width(&self) -> usize {
        self.found.width()
    }

    /// Height of the photo in pixels, upright.
    #[getter]
    fn height(&self) -> usize {
        self.found.height()
    }

    /// The score, 0 to 1: how likely the photo shows a defect. As the record states it.
    #[getter]
    fn pred_score(&self) -> f64 {
        decimal(self.found.score())
    }

    /// Whether the score reaches its threshold: whether ``decision`` is ``"defect"``.
    #[getter]
    fn pred_label(&self) -> bool {
        self.found.is_anomalous()
    }

    /// ``"ok"``, ``"review"`` or ``"defect"``.
    #[getter]
    fn decision(&self) -> &'static str {
        self.found.decision().word()
    }

    /// The largest value of the map at the model's image size, 0 to 1.
    #[getter]
    fn max(&self) -> f64 {
        decimal(self.found.max())
    }

    /// What values were compared with.
    #[getter]
    fn thresholds(&self) -> Thresholds {
        self.found.thresholds().into()
    }

    /// Time spent on decoding and the model, without waiting.
    #[getter]
    fn milliseconds(&self) -> f64 {
        self.milliseconds
    }

    /// What should be known of how the photo was read, a sentence each.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.found
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The connected regions of pixels that reach the pixel threshold, the largest first.
    #[getter]
    fn regions(&self, py: Python<'_>) -> PyResult<Vec<Region>> {
        self.check()?;
        let found = briefly(py, || Ok(self.found.regions()))?;
        Ok(found.iter().map(|region| Region(region.into())).collect())
    }

    /// How likely each pixel of the photo belongs to a defect, 0 to 1, [height, width]; NaN where the photo does not
    /// count. Made once; the array owns its memory, and is the same each time.
    #[getter]
    fn anomaly_map(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let map = self.anomaly_map.get_or_try_init(py, || {
            self.check()?;
            let values = briefly(py, || Ok(self.values()))?;
            let shape = vec![self.height(), self.width()];
            Ok::<_, PyErr>(arrays::of_floats(py, values, shape)?.unbind())
        })?;
        Ok(map.clone_ref(py))
    }

    /// The map at the model's image size, [`image_size`, `image_size`], from which the others are made; NaN where the
    /// photo does not count. Read-only: it is the model's own memory, not a copy.
    #[getter]
    fn model_map<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        if let Some(map) = this.model_map.get(py) {
            return Ok(map.bind(py).clone());
        }
        this.check()?;
        let side = this.found.image_size();
        match briefly(py, || Ok(this.found.model_map()))? {
            // Not kept: the two would hold each other for ever.
            Cow::Borrowed(values) => arrays::within(slf, values, side),
            Cow::Owned(values) => {
                let array = arrays::of_floats(py, values, vec![side, side])?;
                let kept = this.model_map.get_or_init(py, || array.unbind());
                Ok(kept.bind(py).clone())
            }
        }
    }

    /// Which pixels of the photo belong to regions, [height, width].
    #[getter]
    fn pred_mask(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mask = self.pred_mask.get_or_try_init(py, || {
            self.check()?;
            let values = briefly(py, || {
                let mask = self.found.mask();
                let pixels = mask.as_photo().pixels().iter();
                Ok(pixels.map(|pixel| u8::from(*pixel != 0)).collect())
            })?;
            let shape = vec![self.height(), self.width()];
            Ok::<_, PyErr>(arrays::of_bytes(py, values, "|b1", shape)?.unbind())
        })?;
        Ok(mask.clone_ref(py))
    }

    /// The photo with the map over it and the contours of the regions, [height, width, 3], red first.
    fn overlay<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.check()?;
        let picture = briefly(py, || Ok(self.found.overlay()?.into_photo()))?;
        arrays::of_photo(py, picture)
    }

    /// The map in colours, [height, width, 3], red first.
    fn heatmap<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.check()?;
        let picture = briefly(py, || Ok(self.found.heatmap().into_photo()))?;
        arrays::of_photo(py, picture)
    }

    /// The record, as ``vcp-clip segment`` prints it; ``path`` in place of what the photo is called.
    #[pyo3(signature = (path = None))]
    fn to_json(&self, py: Python<'_>, path: Option<String>) -> PyResult<String> {
        self.check()?;
        briefly(py, || {
            let json = serde_json::to_string(&self.record(path));
            json.map_err(|_| Failure::internal())
        })
    }

    /// The record as a dictionary, described in docs/output.md of the repository.
    #[pyo3(signature = (path = None))]
    fn to_dict<'py>(&self, py: Python<'py>, path: Option<String>) -> PyResult<Bound<'py, PyAny>> {
        let json = self.to_json(py, path)?;
        py.import("json")?.call_method1("loads", (json,))
    }

    fn __repr__(&self) -> String {
        format!(
            "Inspection(path={:?}, decision={:?}, pred_score={}, size={}x{})",
            self.label,
            self.decision(),
            self.pred_score(),
            self.width(),
            self.height()
        )
    }
}
