//! What is kept of every photo: a few numbers, and the pixels only where masks are to be compared
//! with them.

use vcp_dataset::{Label, Sample};
use vcp_image::resize_mask;
use vcp_metrics::{Collector, ImageMap, PixelOptions};
use vcp_predict::calibration::PixelSummary;

use super::listing::Listing;
use super::look::Looked;
use super::options::{Aim, Options};
use super::photos::is_masked;
use crate::exit::whole_message;
use crate::pipeline::Item;

/// The numbers of all photos so far.
pub(crate) struct Measurements {
    /// Scores of normal photos.
    pub(crate) normal: Vec<f32>,
    /// Pixels of normal photos.
    pub(crate) pixels: Vec<PixelSummary>,
    /// Scores of anomalous photos.
    pub(crate) anomalous: Vec<f32>,
    /// Values of the pixels that masks mark, if the aim is to find a share of them.
    pub(crate) marked: Vec<f32>,
    /// All pixels with their masks, if the aim is the best F1.
    pub(crate) collector: Option<Collector>,
    /// Anomalous photos with a mask.
    pub(crate) masked: usize,
    /// Photos that could not be used.
    pub(crate) failed: usize,
    /// Photos that had been there before.
    pub(crate) copies: usize,
    pub(crate) listing: Listing,
    aim: Aim,
    allowed_pixels: f64,
    decode: vcp_image::DecodeOptions,
}

impl Measurements {
    pub(crate) fn new(options: &Options, has_masks: bool) -> anyhow::Result<Self> {
        let collector = if has_masks && options.aim == Aim::F1 {
            let options = PixelOptions {
                curve_points: 0,
                ..PixelOptions::default()
            };
            Some(Collector::new(options)?)
        } else {
            None
        };
        Ok(Self {
            normal: Vec::new(),
            pixels: Vec::new(),
            anomalous: Vec::new(),
            marked: Vec::new(),
            collector,
            masked: 0,
            failed: 0,
            copies: 0,
            listing: Listing::default(),
            aim: options.aim,
            allowed_pixels: options.allowed_pixels,
            decode: options.decode.clone(),
        })
    }

    /// All photos that went by.
    pub(crate) fn seen(&self) -> usize {
        self.normal.len() + self.anomalous.len() + self.failed + self.copies
    }

    /// Photos that count.
    pub(crate) fn used(&self) -> usize {
        self.normal.len() + self.anomalous.len()
    }

    /// Takes a photo in; `sample` says what is known about it, none that it is normal. What is
    /// wrong with a photo is said and counted.
    pub(crate) fn add(
        &mut self,
        item: Item<Looked>,
        sample: Option<&Sample>,
    ) -> Result<(), String> {
        let path = item.input.path;
        let outcome = item.outcome.and_then(|looked| {
            // Before the listing knows it: a photo whose mask is bad does not count.
            let mask = sample
                .filter(|sample| is_masked(sample))
                .map(|sample| self.mask(sample, &looked))
                .transpose()?;
            if self
                .listing
                .add(&path)
                .map_err(|error| whole_message(&error.into()))?
            {
                self.keep(&looked, sample, mask.as_deref())
            } else {
                // The same photo twice says nothing new, though the statistics would take it so.
                self.copies += 1;
                Ok(())
            }
        });
        outcome.map_err(|error| {
            self.failed += 1;
            let path = path.display().to_string();
            if error.contains(&path) {
                error
            } else {
                format!("{path}: {error}")
            }
        })
    }

    /// A sample's mask at the size of the map.
    fn mask(&self, sample: &Sample, looked: &Looked) -> Result<Vec<u8>, String> {
        let (photo, side) = (&looked.photo, looked.side);
        let mask = sample
            .load_mask(photo.width(), photo.height(), &self.decode)
            .map_err(|error| whole_message(&error.into()))?;
        Ok(resize_mask(&mask, side, side).into_pixels())
    }

    fn keep(
        &mut self,
        looked: &Looked,
        sample: Option<&Sample>,
        mask: Option<&[u8]>,
    ) -> Result<(), String> {
        let map = &looked.map;
        let is_normal = sample.is_none_or(|sample| sample.label == Label::Normal);
        if let Some(collector) = &mut self.collector
            && (is_normal || mask.is_some())
        {
            collector
                .add(&ImageMap {
                    map,
                    mask,
                    width: looked.side,
                    height: looked.side,
                })
                .map_err(|error| error.to_string())?;
        }
        if is_normal {
            let summary = PixelSummary::new(map, self.allowed_pixels);
            self.pixels
                .push(summary.map_err(|error| error.to_string())?);
            self.normal.push(looked.score);
            return Ok(());
        }
        self.anomalous.push(looked.score);
        if let Some(mask) = mask {
            self.masked += 1;
            if matches!(self.aim, Aim::Recall(_)) {
                let marked = map.iter().zip(mask).filter(|&(_, &mask)| mask != 0);
                self.marked.extend(marked.map(|(&value, _)| value));
            }
        }
        Ok(())
    }
}
