//! What is said about each photo. `docs/output.md` describes it for users.

use serde::Serialize;
use vcp_image::Region;

use super::save::Files;
use crate::console::{self, Column};

/// The result of one photo. The order of the fields is the order of the keys, which is stable.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) path: String,
    pub(crate) score: f32,
    pub(crate) score_threshold: f32,
    pub(crate) anomalous: bool,
    pub(crate) max: f32,
    pub(crate) pixel_threshold: f32,
    pub(crate) regions: Vec<RegionReport>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) files: Files,
    pub(crate) milliseconds: f64,
    /// What should be known of how the photo was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
    /// Those of them that were not said of the whole run.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
    /// With --page all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<u32>,
}

/// A photo, or a place where photos were looked for, that gave no result.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) path: String,
    pub(crate) error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<u32>,
}

/// A defect region in pixels of the photo.
#[derive(Debug, Serialize)]
pub(crate) struct RegionReport {
    #[serde(rename = "box")]
    bounding_box: BoxReport,
    area: u64,
    centroid: [f64; 2],
    peak: f32,
    peak_position: [usize; 2],
    mean: f32,
}

#[derive(Debug, Serialize)]
struct BoxReport {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl From<&Region> for RegionReport {
    fn from(region: &Region) -> Self {
        let bounds = region.bounding_box;
        Self {
            bounding_box: BoxReport {
                x: bounds.x,
                y: bounds.y,
                width: bounds.width,
                height: bounds.height,
            },
            area: region.area,
            centroid: [hundredths(region.centroid.0), hundredths(region.centroid.1)],
            peak: region.peak,
            peak_position: region.peak_position.into(),
            mean: region.mean,
        }
    }
}

/// A hundredth of a pixel is more than the map knows.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The table that is printed while photos are done.
const TABLE: [Column<'_>; 6] = [
    Column::right("score").at_least(6),
    Column::left("anomalous").at_least(9),
    Column::right("max").at_least(5),
    Column::right("regions").at_least(7),
    Column::right("time").at_least(9),
    Column::left("photo").unbounded(),
];

/// The heading of the table.
pub(crate) fn heading() -> String {
    console::heading(&TABLE)
}

impl Report {
    /// A row of the table.
    pub(crate) fn row(&self) -> String {
        let cells: [&str; 6] = [
            &format!("{:.4}", self.score),
            if self.anomalous { "yes" } else { "no" },
            &format!("{:.3}", self.max),
            &self.regions.len().to_string(),
            &format!("{:.0} ms", self.milliseconds),
            &titled(&self.path, self.page),
        ];
        console::line(&TABLE, cells)
    }
}

impl Failure {
    /// A row of the table.
    pub(crate) fn row(&self) -> String {
        let title = titled(&self.path, self.page);
        format!("failed: {title}: {}", self.error)
    }
}

/// A path, and the page of it where there are several.
fn titled(path: &str, page: Option<u32>) -> String {
    match page {
        Some(page) => format!("{path}, page {page}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_below_their_headings() {
        let report = Report {
            path: "a\u{1b}[2J\n.png".to_owned(),
            score: 0.5,
            score_threshold: 0.5,
            anomalous: true,
            max: 0.75,
            pixel_threshold: 0.5,
            regions: Vec::new(),
            width: 1,
            height: 1,
            files: Files::default(),
            milliseconds: 12.3,
            warnings: Vec::new(),
            notes: Vec::new(),
            page: None,
        };
        assert_eq!(
            heading(),
            " score  anomalous    max  regions       time  photo"
        );
        assert_eq!(
            report.row(),
            r"0.5000  yes        0.750        0      12 ms  a\u{1b}[2J\n.png"
        );
    }
}
