//! Figures of merit.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use vcp_metrics::{
    CurvePoint, ImageMap, ImageReport, Outcome, PixelOptions, PixelReport, StreamingCollector,
};

use crate::arrays;
use crate::errors::Failure;
use crate::work::{briefly, on_own_threads, work};

enum Kept {
    Exact(vcp_metrics::Collector),
    Fixed(StreamingCollector),
}

/// Collects maps with their masks.
#[pyclass(frozen, module = "vcp_clip")]
pub(crate) struct Collector(Arc<Mutex<Kept>>);

/// The bytes of a map of float32, its height and width, and the bytes of its mask.
type Given<'py> = (
    Bound<'py, PyBytes>,
    usize,
    usize,
    Option<Bound<'py, PyBytes>>,
);

/// A map and its mask, copied.
struct Pair {
    map: Vec<f32>,
    mask: Option<Vec<u8>>,
    height: usize,
    width: usize,
}

impl Pair {
    /// Of the bytes of a float32 map, height, width, and those of a mask or None.
    fn of((map, height, width, mask): &Given<'_>) -> Self {
        Self {
            map: arrays::floats(map.as_bytes()),
            mask: mask.as_ref().map(|mask| mask.as_bytes().to_vec()),
            height: *height,
            width: *width,
        }
    }

    fn image(&self) -> ImageMap<'_> {
        ImageMap {
            map: &self.map,
            mask: self.mask.as_deref(),
            width: self.width,
            height: self.height,
        }
    }
}

#[pymethods]
impl Collector {
    #[new]
    fn new(
        fixed: bool,
        fpr_limit: f64,
        aupro_steps: usize,
        aupimo_bounds: [f64; 2],
        curve_points: usize,
    ) -> PyResult<Self> {
        let options = PixelOptions {
            fpr_limit,
            aupro_steps,
            aupimo_bounds,
            curve_points,
        };
        let kept = if fixed {
            StreamingCollector::new(options).map(Kept::Fixed)
        } else {
            vcp_metrics::Collector::new(options).map(Kept::Exact)
        };
        let kept = kept.map_err(Failure::from)?;
        Ok(Self(Arc::new(Mutex::new(kept))))
    }

    /// Adds pairs of a map and a mask, or None for a normal image; none of them if one is refused.
    fn add_all(&self, py: Python<'_>, pairs: Vec<Given<'_>>) -> PyResult<()> {
        let pairs: Vec<Pair> = pairs.iter().map(Pair::of).collect();
        briefly(py, || {
            let images: Vec<ImageMap<'_>> = pairs.iter().map(Pair::image).collect();
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *kept, &images[..]) {
                (Kept::Exact(collector), [image]) => Ok(collector.add(image)?),
                (Kept::Exact(collector), images) => {
                    on_own_threads(None, || Ok(collector.add_all(images)?))
                }
                (Kept::Fixed(collector), images) => {
                    for image in images {
                        collector.add(image)?;
                    }
                    Ok(())
                }
            }
        })
    }

    /// The figures of all that were added.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let kept = Arc::clone(&self.0);
        let report = work(py, move |_| {
            on_own_threads(None, || {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(match &*kept {
                    Kept::Exact(collector) => collector.report(),
                    Kept::Fixed(collector) => collector.report(),
                })
            })
        })?;
        of_pixels(py, report)
    }
}

/// The figures of one score for each image.
#[pyfunction]
pub(crate) fn image_report(
    py: Python<'_>,
    scores: Vec<f32>,
    labels: Vec<bool>,
) -> PyResult<Bound<'_, PyDict>> {
    let report = briefly(py, || Ok(ImageReport::new(&scores, &labels)?))?;
    let dict = PyDict::new(py);
    dict.set_item("images", report.images)?;
    dict.set_item("anomalous_images", report.anomalous_images)?;
    dict.set_item("figures", of_figures(py, &report.figures())?)?;
    dict.set_item("curve", of_curve(py, &report.curve)?)?;
    Ok(dict)
}

fn of_pixels(py: Python<'_>, report: PixelReport) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("images", report.images)?;
    dict.set_item("normal_images", report.normal_images)?;
    dict.set_item("pixels", report.pixels)?;
    dict.set_item("anomalous_pixels", report.anomalous_pixels)?;
    dict.set_item("regions", report.regions)?;
    dict.set_item("figures", of_figures(py, &report.figures())?)?;
    dict.set_item("curve", of_curve(py, &report.curve)?)?;
    let by_image = report.aupimo_by_image.iter();
    let by_image: Vec<f64> = by_image.map(|it| it.unwrap_or(f64::NAN)).collect();
    let count = by_image.len();
    dict.set_item(
        "aupimo_by_image",
        arrays::of_doubles(py, by_image, vec![count])?,
    )?;
    Ok(dict)
}

/// Each figure by its name: its value and the bound of its error, or why there is none.
fn of_figures<'py>(
    py: Python<'py>,
    figures: &[(&'static str, Outcome)],
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, outcome) in figures {
        match outcome {
            Ok(figure) => dict.set_item(name, (figure.value, figure.error_bound))?,
            Err(reason) => dict.set_item(name, reason.to_string())?,
        }
    }
    Ok(dict)
}

/// [points, 5]: threshold, true-positive rate, false-positive rate, precision, overlap.
fn of_curve<'py>(py: Python<'py>, curve: &[CurvePoint]) -> PyResult<Bound<'py, PyAny>> {
    let rows = curve.iter().flat_map(|point| {
        [
            f64::from(point.threshold),
            point.true_positive_rate,
            point.false_positive_rate,
            point.precision,
            point.region_overlap,
        ]
    });
    arrays::of_doubles(py, rows.collect(), vec![curve.len(), 5])
}
