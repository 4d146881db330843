//! What is kept of a photo's windows.

use super::line::Line;
use crate::logits::{Logits, LogitsShape, LogitsView};

/// The windows of a photo: each column of windows with each row of windows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Windows {
    pub(super) columns: Line,
    pub(super) rows: Line,
}

impl Windows {
    pub(super) fn whole(width: usize, height: usize) -> Self {
        Self {
            columns: Line::new(width, width, 0.0),
            rows: Line::new(height, height, 0.0),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.columns.len() * self.rows.len()
    }
}

/// What the model says of a photo, window by window.
#[derive(Clone, Debug, PartialEq)]
pub struct TiledPrediction {
    /// The largest score of a window; with a global weight w, w times the whole photo's score is
    /// added to (1 − w) times that. 0 to 1. A photo of one window has the score it has untiled.
    pub score: f32,
    /// The largest value of the windows' maps (of the blended, smoothed kind), averaged with that
    /// of the whole photo likewise. No value of the blended map is larger.
    pub max: f32,
    pub(super) windows: Windows,
    pub(super) shape: LogitsShape,
    /// Logits of each window, row by row.
    pub(super) logits: Vec<f32>,
    /// The fraction of the whole photo in the result, and its logits.
    pub(super) global: Option<(f32, Logits)>,
}

impl TiledPrediction {
    /// Pixels per row of the photo.
    #[must_use]
    pub fn width(&self) -> usize {
        self.windows.columns.size()
    }

    /// Rows of the photo.
    #[must_use]
    pub fn height(&self) -> usize {
        self.windows.rows.size()
    }

    /// Number of windows.
    #[must_use]
    pub fn window_count(&self) -> usize {
        self.windows.count()
    }

    pub(super) fn logits(&self, window: usize) -> LogitsView<'_> {
        let length = self.shape.len();
        LogitsView::new(self.shape, &self.logits[window * length..][..length])
    }
}

/// The average of the whole photo's value and the windows'.
pub(super) fn mix(weight: f32, global: f32, tiled: f32) -> f32 {
    weight * global + (1.0 - weight) * tiled
}
