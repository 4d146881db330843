//! Annotation files of the program labelme (<https://github.com/wkentaro/labelme>).

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::names::ANOMALY;
use crate::shapes::{Areas, LARGEST};
use crate::{Error, text};

/// Most points that an annotation may have.
const MAX_POINTS: usize = 100_000;

/// What is read of an annotation file. The photo that it may carry is skipped.
#[derive(Debug, Deserialize)]
pub(crate) struct Annotation {
    shapes: Vec<Shape>,
    #[serde(rename = "imageWidth")]
    width: Option<usize>,
    #[serde(rename = "imageHeight")]
    height: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Shape {
    label: String,
    points: Vec<[f64; 2]>,
    #[serde(rename = "shape_type")]
    kind: Option<String>,
}

impl Annotation {
    /// # Errors
    /// [`Error::Read`], [`Error::TooLong`], [`Error::Invalid`].
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = text::read(path)?;
        let invalid = |line, reason| Error::Invalid {
            path: path.to_owned(),
            line,
            reason,
        };
        let annotation: Self = serde_json::from_str(&text)
            .map_err(|error| invalid(Some(error.line() as u64), error.to_string()))?;
        let points: usize = annotation
            .shapes
            .iter()
            .map(|shape| shape.points.len())
            .sum();
        if points > MAX_POINTS {
            return Err(invalid(
                None,
                format!("its shapes have {points} points, more than the {MAX_POINTS} allowed"),
            ));
        }
        for shape in &annotation.shapes {
            shape.check().map_err(|reason| invalid(None, reason))?;
        }
        Ok(annotation)
    }

    /// The image's width and height as the annotation has them.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        Some((self.width?, self.height?))
    }

    /// The labels of the shapes, each once, sorted and joined with `+`.
    pub(crate) fn defect(&self) -> String {
        let labels: BTreeSet<&str> = self
            .shapes
            .iter()
            .map(|shape| shape.label.as_str())
            .collect();
        let joined = labels.into_iter().collect::<Vec<_>>().join("+");
        if joined.is_empty() || text::check_name("type of defect", &joined).is_err() {
            return ANOMALY.to_owned();
        }
        joined
    }

    /// Sets the pixels of a mask to 255 that lie in any shape.
    ///
    /// # Errors
    /// [`Error::Invalid`] for shapes so many and so large that this would take long.
    pub(crate) fn fill(&self, path: &Path, mask: &mut [u8], width: usize) -> Result<(), Error> {
        let mut areas = Areas::default();
        for shape in &self.shapes {
            match (shape.kind(), shape.points.as_slice()) {
                ("rectangle", &[[x0, y0], [x1, y1]]) => {
                    areas.add_polygon(&[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
                }
                ("circle", &[centre @ [x0, y0], [x1, y1]]) => {
                    areas.add_circle(centre, (x1 - x0).hypot(y1 - y0));
                }
                (_, points) => areas.add_polygon(points),
            }
        }
        if areas.fill(mask, width) {
            return Ok(());
        }
        Err(Error::Invalid {
            path: path.to_owned(),
            line: None,
            reason: format!(
                "its {} shapes are too many for their size: drawing them would take minutes",
                self.shapes.len()
            ),
        })
    }
}

impl Shape {
    /// Files of old versions have polygons only and do not say so.
    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("polygon")
    }

    fn check(&self) -> Result<(), String> {
        let count = self.points.len();
        let fits = match self.kind() {
            "polygon" => count >= 3,
            "rectangle" | "circle" => count == 2,
            other => {
                return Err(format!(
                    "it has a shape of the kind '{}'; polygons, rectangles and circles can be read",
                    text::shortened(other)
                ));
            }
        };
        if !fits {
            return Err(format!("it has a {} of {count} points", self.kind()));
        }
        text::check_name("shape", &self.label)?;
        let far = |number: &&f64| number.abs() >= LARGEST;
        match self.points.as_flattened().iter().find(far) {
            Some(number) => Err(format!("it has a point at {number}")),
            None => Ok(()),
        }
    }
}
