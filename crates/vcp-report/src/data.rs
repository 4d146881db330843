//! What a report says: plain data, filled by whoever evaluated.

use vcp_image::Photo;

use crate::visible::printable;

/// Everything that stands on the page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Heading of the page, such as "MVTec-AD, zero-shot".
    pub title: String,
    /// When it was made, in words or digits of the caller's choice. Left out if empty.
    pub created: String,
    /// What was evaluated, as names and values in order: the model's file, digest, constants.
    pub model: Vec<(String, String)>,
    /// How it was evaluated, as names and values in order: side, weights, smoothing, limits.
    pub protocol: Vec<(String, String)>,
    /// Columns of the table, without that of the names.
    pub columns: Vec<Column>,
    /// Rows of the table in order. Rows whose [`Row::is_mean`] is set stand at its foot.
    pub rows: Vec<Row>,
    /// One section of curves, histogram and photos for each, in order.
    pub categories: Vec<Category>,
    /// Whatever a reader has to know before trusting the figures, one sentence each: undefined
    /// figures, missing masks, images left out.
    pub problems: Vec<String>,
}

impl Report {
    /// The same report with every character of its texts that does not show itself replaced by its
    /// number: for names and paths from elsewhere. What is HTML in them is escaped when the page is made.
    #[must_use]
    pub fn with_visible_text(mut self) -> Self {
        show(&mut self.title);
        for (name, value) in self.model.iter_mut().chain(&mut self.protocol) {
            show(name);
            show(value);
        }
        self.problems.iter_mut().for_each(show);
        self.rows.iter_mut().for_each(show_row);
        for category in &mut self.categories {
            show(&mut category.name);
            let worst = &mut category.worst_false_positives;
            for case in worst.iter_mut().chain(&mut category.worst_misses) {
                show(&mut case.title);
                show(&mut case.path);
            }
        }
        self
    }
}

fn show_row(row: &mut Row) {
    show(&mut row.category);
    for cell in &mut row.values {
        if let Cell::Undefined(reason) = cell {
            show(reason);
        }
    }
    row.defects.iter_mut().for_each(show_row);
}

fn show(text: &mut String) {
    *text = printable(text).into_owned();
}

/// One column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in the result files, such as `pixel_auroc`.
    pub key: String,
    /// Heading, such as "Pixel AUROC".
    pub label: String,
    /// What the figure means, in one sentence; shown on hovering and beneath the table. May be
    /// empty.
    pub help: String,
    /// How its numbers are written.
    pub format: Format,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A fraction of 1 as percent with two decimals: 0.9578 is "95.78".
    Percent,
    /// A whole number: "1,725".
    Count,
    /// Any other number, with four significant digits: "0.4214".
    Number,
}

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Name of the category, or of the defect within one.
    pub category: String,
    /// One cell for each of [`Report::columns`].
    pub values: Vec<Cell>,
    /// Whether the row sums up others; it then stands at the foot, and sorting leaves it there.
    pub is_mean: bool,
    /// The same columns for each kind of defect; shown beneath the row. Their own `defects` and
    /// `is_mean` are not looked at.
    pub defects: Vec<Row>,
}

/// A figure, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// The figure, in the unit that [`Format`] expects (fractions of 1 for [`Format::Percent`]). One
    /// that is not finite is shown as undefined.
    Number(f64),
    /// There is none, for this reason ("no anomalous pixels"). Shown as "–"; the reason can be read
    /// on hovering and beneath the table.
    Undefined(String),
}

/// Curves, scores and telling photos of one category.
#[derive(Clone, Debug, Default)]
pub struct Category {
    /// The category's name, as in the table's row.
    pub name: String,
    /// Curves, drawn beside each other: see [`Curve::roc`], [`Curve::precision_recall`] and
    /// [`Curve::per_region_overlap`].
    pub curves: Vec<Curve>,
    /// Image scores of the normal images.
    pub normal_scores: Vec<f32>,
    /// Image scores of the anomalous images.
    pub anomalous_scores: Vec<f32>,
    /// An image whose score reaches this counts as anomalous; a line in the histogram.
    pub score_threshold: Option<f64>,
    /// A pixel whose value reaches this counts as anomalous, in the unit of the maps. Without one
    /// there is no picture of the thresholded map.
    pub pixel_threshold: Option<f64>,
    /// Values of the maps that are black and brightest, the same for every photo of the category so
    /// that colours compare. `None` spans the values of all maps given here.
    pub color_range: Option<(f32, f32)>,
    /// Normal photos that look most anomalous to the model, worst first.
    pub worst_false_positives: Vec<Case>,
    /// Anomalous photos that look most normal to the model, worst first.
    pub worst_misses: Vec<Case>,
}

/// A curve in the unit square.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Heading, such as "ROC, pixels".
    pub title: String,
    /// Name of the horizontal axis.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// Points in the order of the thresholds, each `[x, y]` from 0 to 1. As many as there are: the
    /// page keeps fewer than 500 of them, without visible change. Points that are not finite are
    /// left out.
    pub points: Vec<[f64; 2]>,
    /// A vertical line, such as the false-positive rate up to which the area counts.
    pub x_limit: Option<f64>,
    /// Whether the diagonal, which guessing follows, is drawn too.
    pub diagonal: bool,
    /// A short remark under the heading, such as "area 0.958". May be empty.
    pub note: String,
}

impl Curve {
    /// Receiver operating characteristic: points `[false-positive rate, true-positive rate]`.
    #[must_use]
    pub fn roc(points: Vec<[f64; 2]>) -> Self {
        Self::new("ROC", "False-positive rate", "True-positive rate", points).with_diagonal()
    }

    /// Precision over recall: points `[recall, precision]`.
    #[must_use]
    pub fn precision_recall(points: Vec<[f64; 2]>) -> Self {
        Self::new("Precision and recall", "Recall", "Precision", points)
    }

    /// Per-region overlap: points `[false-positive rate, mean overlap]`, and the false-positive rate
    /// up to which the area counts.
    #[must_use]
    pub fn per_region_overlap(points: Vec<[f64; 2]>, limit: f64) -> Self {
        let curve = Self::new(
            "Per-region overlap (PRO)",
            "False-positive rate",
            "Mean overlap",
            points,
        );
        Self {
            x_limit: Some(limit),
            ..curve
        }
    }

    /// The curve with a remark under its heading.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn with_diagonal(mut self) -> Self {
        self.diagonal = true;
        self
    }

    fn new(title: &str, x_label: &str, y_label: &str, points: Vec<[f64; 2]>) -> Self {
        Self {
            title: title.to_owned(),
            x_label: x_label.to_owned(),
            y_label: y_label.to_owned(),
            points,
            x_limit: None,
            diagonal: false,
            note: String::new(),
        }
    }
}

/// One photo with its map.
#[derive(Clone, Debug)]
pub struct Case {
    /// What to call it, such as "bent / 007".
    pub title: String,
    /// Where it came from; shown, never linked or opened.
    pub path: String,
    /// The image score.
    pub score: f64,
    /// The photo, at any size.
    pub photo: Photo,
    /// The anomaly map `[side, side]`, row by row, over the whole photo squeezed into a square.
    pub map: Vec<f32>,
    /// The map's side.
    pub side: usize,
    /// The mask, of the photo's size: what is above 0 is defect. `None` for a normal photo, or one
    /// without a mask.
    pub truth: Option<Photo>,
}
