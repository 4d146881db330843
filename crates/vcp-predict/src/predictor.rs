//! The predictor.

use crate::cost::tower_operations;
use crate::error::Error;
use crate::logits::{Logits, LogitsView};
use crate::map_kind::MapKind;
use crate::network::{Device, Loaded, Network, joined};
use crate::references::{Comparison, Copies, PatchFeatures, agreed};
use crate::score::{
    all_finite, largest_of, mean_of_largest, mean_of_largest_counting, mean_over, score_counts,
};
use std::num::NonZero;
use std::sync::Arc;
use vcp_checkpoint::{Precision, Weights};
use vcp_cpu::{Cpu, InstructionSet, Tensor};
use vcp_image::Photo;
use vcp_model::{MapMaker, VisionFeatures};

/// How a predictor works. The defaults are the official evaluation's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictorOptions {
    /// Worker threads on the CPU; all cores if `None`.
    pub threads: Option<NonZero<usize>>,
    /// Shares of branch 1 and branch 2 in the map; the model's own if `None`.
    pub blend: Option<[f32; 2]>,
    /// Standard deviation of the smoothing, in pixels of the map; 0 for none.
    pub smoothing: f32,
    /// How many of a branch's largest pixels make the score; as the model's settings say if `None`, and
    /// [`pixels_for_score`](crate::pixels_for_score) where they say nothing.
    pub score_pixels: Option<NonZero<usize>>,
    /// Instructions of the CPU; the best that there are if `None`, or where it lacks these.
    pub instruction_set: Option<InstructionSet>,
}

impl PredictorOptions {
    /// The CPU as they say.
    fn cpu(&self) -> Result<Cpu, Error> {
        let best = InstructionSet::detect;
        Ok(Cpu::with_instruction_set(
            self.threads,
            self.instruction_set.unwrap_or_else(best),
        )?)
    }
}

impl Default for PredictorOptions {
    fn default() -> Self {
        Self {
            threads: None,
            blend: None,
            smoothing: 8.0,
            score_pixels: None,
            instruction_set: None,
        }
    }
}

/// A photo as the model sees it: resized and normalised.
#[derive(Clone, Debug)]
pub struct Prepared {
    side: usize,
    /// [3, side, side].
    values: Vec<f32>,
}

/// Left to right, upside down, and both: a half turn.
const TURNS: [[bool; 2]; 3] = [[true, false], [false, true], [true, true]];

impl Prepared {
    /// Mirrored left to right, upside down, and both, and each shifted by a few pixels, so that no patch shows what it did
    /// before.
    pub(crate) fn turned(&self) -> [Self; 3] {
        // Less than any patch.
        let shift = 3.min(self.side - 1);
        TURNS.map(|turn| self.turned_by(turn, shift))
    }

    /// Copies that are remembered beside it.
    pub(crate) fn copies(&self, copies: Copies) -> impl Iterator<Item = Self> {
        let turns = match copies {
            Copies::None => &TURNS[..0],
            Copies::Mirrored => &TURNS[..1],
            Copies::Turned => &TURNS[..],
        };
        turns.iter().map(|turn| self.turned_by(*turn, 0))
    }

    /// Mirrored left to right, or upside down, or both, and shifted by so many pixels.
    fn turned_by(&self, [across, down]: [bool; 2], shift: usize) -> Self {
        let side = self.side;
        let place = |at: usize, is_turned: bool| {
            let at = (at + shift).min(side - 1);
            if is_turned { side - 1 - at } else { at }
        };
        let pixel = |index: usize| {
            let (channel, y, x) = (index / (side * side), index / side % side, index % side);
            self.values[(channel * side + place(y, down)) * side + place(x, across)]
        };
        Self {
            side,
            values: (0..self.values.len()).map(pixel).collect(),
        }
    }
}

/// What the model says of one photo. Maps are [side, side], row-major, of probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Side of the maps.
    pub side: usize,
    /// The two branches blended and smoothed: the map to look at. With reference photos the map of the comparison with
    /// them is in it too.
    pub blended: Vec<f32>,
    /// Branch 1, the mean over its taps, not smoothed.
    pub branch1: Vec<f32>,
    /// Branch 2, the mean over its taps, not smoothed.
    pub branch2: Vec<f32>,
    /// The mean of the largest pixels of branch 1 and of branch 2, averaged: 0 to 1. With reference photos, what that and
    /// the mean of the largest pixels of the comparison with them agree on ([`references`](crate::references)).
    pub score: f32,
    /// The largest value of `blended`.
    pub max: f32,
}

impl Prediction {
    /// One of the maps, [side, side].
    #[must_use]
    pub fn map(&self, kind: MapKind) -> &[f32] {
        match kind {
            MapKind::Blended => &self.blended,
            MapKind::Branch1 => &self.branch1,
            MapKind::Branch2 => &self.branch2,
        }
    }
}

/// A loaded model that turns photos into maps.
///
/// The model itself runs on the CPU or on another device; photos become what it sees, and its logits
/// maps and scores, on the CPU always.
pub struct Predictor {
    cpu: Arc<Cpu>,
    network: Box<dyn Network>,
    /// Whether the model runs elsewhere than on `cpu`.
    is_elsewhere: bool,
    maps: MapMaker,
    options: PredictorOptions,
    /// Shares of the branches in the map.
    blend: [f32; 2],
    /// How many of a branch's largest pixels make the means whose mean is the score.
    score_pixels: Vec<usize>,
    side: usize,
    /// Rows of the vision tower for one image.
    rows: usize,
    /// Multiplications and additions in the vision tower for one image.
    tower_operations: u64,
}

impl Predictor {
    /// Loads the weights for the CPU and runs the part of the text that depends on no photo.
    ///
    /// # Errors
    /// When the model cannot be made of these weights or the threads do not start.
    pub fn new(weights: &Weights, options: &PredictorOptions) -> Result<Self, Error> {
        let cpu = options.cpu()?;
        let cpu = Arc::new(cpu.with_precision(weights.settings().precision)?);
        let loaded = Loaded::new(Arc::clone(&cpu), weights)?;
        Ok(Self::of(cpu, loaded, false, weights, options))
    }

    /// As [`Predictor::new`], with the model on another device.
    ///
    /// # Errors
    /// As [`Predictor::new`], and [`Error::Device`] when the device fails, such as for lack of memory.
    pub fn on(
        device: impl Device,
        weights: &Weights,
        options: &PredictorOptions,
    ) -> Result<Self, Error> {
        let precision = weights.settings().precision;
        if precision != Precision::F32 {
            return Err(Error::OnlyOnCpu { precision });
        }
        let cpu = Arc::new(options.cpu()?);
        let loaded = Loaded::new(Arc::new(device), weights)?;
        Ok(Self::of(cpu, loaded, true, weights, options))
    }

    fn of(
        cpu: Arc<Cpu>,
        loaded: Loaded<impl Device>,
        is_elsewhere: bool,
        weights: &Weights,
        options: &PredictorOptions,
    ) -> Self {
        let maps = loaded.model.decoder.maps.clone();
        let rows = maps.grid() * maps.grid() + 1;
        Self {
            cpu,
            network: Box::new(loaded),
            is_elsewhere,
            maps,
            options: *options,
            blend: options.blend.unwrap_or(weights.settings().blend),
            score_pixels: options.score_pixels.map_or_else(
                || {
                    score_counts(
                        &weights.settings().score_fractions,
                        weights.settings().image_size,
                    )
                },
                |count| vec![count.get()],
            ),
            side: weights.settings().image_size,
            rows,
            tower_operations: tower_operations(weights.geometry(), weights.settings().image_size),
        }
    }

    /// Side of the square that photos are resized to, in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.side
    }

    /// Patches along one side of the image.
    pub(crate) fn grid(&self) -> usize {
        self.maps.grid()
    }

    /// How many of a branch's largest pixels make the means whose mean is its score: one number but for models whose
    /// settings say otherwise.
    #[must_use]
    pub fn score_pixels(&self) -> &[usize] {
        &self.score_pixels
    }

    /// The CPU, on which maps are made, and on which the model runs unless it was put elsewhere.
    #[must_use]
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// Multiplications and additions in the products and convolutions of the vision tower for one
    /// image; nearly all of the work there is.
    #[must_use]
    pub fn tower_operations(&self) -> u64 {
        self.tower_operations
    }

    /// Resizes and normalises a photo. Cheap beside the model, and may run on another thread
    /// than it.
    #[must_use]
    pub fn prepare(&self, photo: &Photo) -> Prepared {
        let resized = photo.resize_bicubic(self.side, self.side);
        Prepared {
            side: self.side,
            values: vcp_image::normalise(&resized),
        }
    }

    /// An image that was resized and normalised elsewhere: [3, side, side].
    ///
    /// # Errors
    /// When it has another size than the model's.
    pub fn prepared_from_normalised(&self, values: Vec<f32>) -> Result<Prepared, Error> {
        if values.len() != 3 * self.side * self.side {
            let found = (values.len() / 3).isqrt();
            return Err(Error::WrongSize {
                found,
                expected: self.side,
            });
        }
        Ok(Prepared {
            side: self.side,
            values,
        })
    }

    /// The model's logits for each photo. On the CPU, a batch gives the same bits as its photos alone.
    ///
    /// # Errors
    /// When a photo was prepared for another image size, or the device fails.
    pub fn logits(&self, prepared: &[Prepared]) -> Result<Vec<Logits>, Error> {
        self.compared_logits(prepared, None)
    }

    /// As [`Predictor::logits`], of photos that are compared with good ones.
    pub(crate) fn compared_logits(
        &self,
        prepared: &[Prepared],
        comparison: Option<&Comparison>,
    ) -> Result<Vec<Logits>, Error> {
        let mut all = Vec::with_capacity(prepared.len());
        for batch in prepared.chunks(self.batch()) {
            let (shape, images) = self.images(batch)?;
            all.extend(self.compared(shape, &images, comparison)?);
        }
        Ok(all)
    }

    /// As [`Predictor::compared_logits`], of one photo, whose pixels are not copied.
    pub(crate) fn logits_of_one(
        &self,
        prepared: &Prepared,
        comparison: Option<&Comparison>,
    ) -> Result<Logits, Error> {
        self.check_side(prepared)?;
        let shape = [1, 3, self.side * self.side];
        let mut logits = self.compared(shape, &prepared.values, comparison)?;
        logits.pop().ok_or(Error::NoRows)
    }

    /// The model's logits for each image [count, 3, side·side], and how each compares with good photos, if it is compared.
    fn compared(
        &self,
        shape: [usize; 3],
        images: &[f32],
        comparison: Option<&Comparison>,
    ) -> Result<Vec<Logits>, Error> {
        let Some(comparison) = comparison else {
            return Ok(self.network.logits(shape, images)?);
        };
        let (features, patches) = self.network.vision_with_patches(&self.cpu, shape, images)?;
        let logits = self.network.decode(&self.cpu, &features)?;
        let patches = PatchFeatures::of_batch(&self.cpu, &patches);
        let both = logits.into_iter().zip(&patches);
        let compared = both
            .map(|(logits, patches)| logits.with_references(&comparison.of(&self.cpu, patches)));
        Ok(compared.collect())
    }

    /// Features by which the patches of an image are compared with those of others.
    pub(crate) fn patches(&self, prepared: &Prepared) -> Result<PatchFeatures, Error> {
        self.check_side(prepared)?;
        let shape = [1, 3, self.side * self.side];
        let (_, patches) = self
            .network
            .vision_with_patches(&self.cpu, shape, &prepared.values)?;
        let mut patches = PatchFeatures::of_batch(&self.cpu, &patches);
        patches.pop().ok_or(Error::NoRows)
    }

    /// How many images are worth being processed together.
    pub(crate) fn batch(&self) -> usize {
        /// Rows that keep the processor busy; more at once only take more memory.
        const ENOUGH_ROWS: usize = 1400;
        (ENOUGH_ROWS / self.rows).max(1)
    }

    /// The first part of [`Predictor::logits`], where nearly all the time goes: the vision
    /// tower, for all photos at once on the CPU, and for a few at a time elsewhere. What it gives lies in the CPU's memory.
    ///
    /// # Errors
    /// As [`Predictor::logits`].
    pub fn vision(&self, prepared: &[Prepared]) -> Result<VisionFeatures<Tensor>, Error> {
        if !self.is_elsewhere || prepared.len() <= self.batch() {
            let (shape, images) = self.images(prepared)?;
            return Ok(self.network.vision(&self.cpu, shape, &images)?);
        }
        // Another device's memory may be small.
        let batches = prepared.chunks(self.batch());
        let parts = batches.map(|batch| self.vision(batch));
        Ok(joined(&self.cpu, &parts.collect::<Result<Vec<_>, _>>()?))
    }

    /// The second part of [`Predictor::logits`]: prompts, texts and branches.
    ///
    /// # Errors
    /// When the device fails.
    pub fn decode(&self, features: &VisionFeatures<Tensor>) -> Result<Vec<Logits>, Error> {
        Ok(self.network.decode(&self.cpu, features)?)
    }

    /// Images side by side, [count, 3, side·side].
    fn images(&self, prepared: &[Prepared]) -> Result<([usize; 3], Vec<f32>), Error> {
        let shape = [prepared.len(), 3, self.side * self.side];
        let mut values = Vec::with_capacity(shape.iter().product());
        for image in prepared {
            self.check_side(image)?;
            values.extend_from_slice(&image.values);
        }
        Ok((shape, values))
    }

    fn check_side(&self, image: &Prepared) -> Result<(), Error> {
        if image.side == self.side {
            return Ok(());
        }
        Err(Error::WrongSize {
            found: image.side,
            expected: self.side,
        })
    }

    /// Maps and score from an image's logits.
    ///
    /// # Errors
    /// When the logits are not all numbers, or do not fit the model's grid.
    pub fn finish(&self, logits: &Logits) -> Result<Prediction, Error> {
        self.finish_counting(logits, None)
    }

    /// As [`Predictor::finish`], with score and largest value of the pixels alone that count, [side, side]; all if
    /// `None`.
    pub(crate) fn finish_counting(
        &self,
        logits: &Logits,
        counts: Option<&[bool]>,
    ) -> Result<Prediction, Error> {
        self.check(logits)?;
        let [branch1, branch2] = [0, 1].map(|branch| self.branch_map(logits.view(), branch));
        let reference = self.reference_map(logits.view());
        let largest = |map: &[f32]| {
            mean_over(&self.score_pixels, |count| match counts {
                None => mean_of_largest(map, count),
                Some(counts) => mean_of_largest_counting(map, count, counts),
            })
        };
        let (blended, scores) = self.cpu.run(|| {
            self.cpu.join(
                || self.blend(&branch1, &branch2, reference.as_deref()),
                || self.cpu.join(|| largest(&branch1), || largest(&branch2)),
            )
        });
        let max = match counts {
            None => largest_of(&blended),
            Some(counts) => {
                let counting = blended.iter().zip(counts).filter(|(_, counts)| **counts);
                counting.fold(f32::NEG_INFINITY, |max, (value, _)| max.max(*value))
            }
        };
        let mut score = 0.5 * (scores.0 + scores.1);
        if let Some(reference) = &reference {
            score = agreed(score, largest(reference));
        }
        // A NaN anywhere in the logits reaches the map.
        if !all_finite(&blended) || !score.is_finite() {
            return Err(Error::NotFinite);
        }
        Ok(Prediction {
            side: self.side,
            blended,
            branch1,
            branch2,
            score,
            max,
        })
    }

    /// Only the blended map of [`Predictor::finish`], [side, side]: without the score, which takes half of
    /// its time.
    ///
    /// # Errors
    /// As [`Predictor::finish`].
    pub fn blended_map(&self, logits: &Logits) -> Result<Vec<f32>, Error> {
        self.check(logits)?;
        let [branch1, branch2] = [0, 1].map(|branch| self.branch_map(logits.view(), branch));
        let reference = self.reference_map(logits.view());
        let blended = self
            .cpu
            .run(|| self.blend(&branch1, &branch2, reference.as_deref()));
        if all_finite(&blended) {
            Ok(blended)
        } else {
            Err(Error::NotFinite)
        }
    }

    /// Logits may have been kept in a file, so that they are not taken on trust.
    fn check(&self, logits: &Logits) -> Result<(), Error> {
        let expected = self.maps.grid() * self.maps.grid();
        if logits.patches() == expected {
            return Ok(());
        }
        Err(Error::WrongLogits {
            found: logits.patches(),
            expected,
        })
    }

    /// The mean map of the first branch (0) or the second (1), [side, side].
    pub(crate) fn branch_map(&self, logits: LogitsView<'_>, branch: usize) -> Vec<f32> {
        let grid = self.maps.grid();
        let taps: Vec<_> = logits
            .branch(branch)
            .map(|tap| self.cpu.tensor([1, grid, grid], tap))
            .collect();
        self.cpu
            .run(|| self.maps.map(&*self.cpu, &taps))
            .as_slice()
            .to_vec()
    }

    /// The map of the comparison with reference photos, [side, side], if there was one.
    pub(crate) fn reference_map(&self, logits: LogitsView<'_>) -> Option<Vec<f32>> {
        let grid = self.maps.grid();
        let values = logits.references()?;
        let values = self.cpu.tensor([1, grid, grid], values);
        let map = self.cpu.run(|| self.maps.to_pixels(&*self.cpu, &values));
        Some(map.as_slice().to_vec())
    }

    /// The map to look at, from those of the branches and that of the comparison with reference photos.
    pub(crate) fn blend(
        &self,
        branch1: &[f32],
        branch2: &[f32],
        reference: Option<&[f32]>,
    ) -> Vec<f32> {
        let [first, second] = self.blend;
        let both = branch1.iter().zip(branch2);
        let mut mixed: Vec<f32> = both.map(|(a, b)| first * a + second * b).collect();
        for (mixed, reference) in mixed.iter_mut().zip(reference.unwrap_or_default()) {
            *mixed = agreed(*mixed, *reference);
        }
        if self.options.smoothing > 0.0 {
            vcp_image::gaussian_blur(&mixed, self.side, self.side, self.options.smoothing)
        } else {
            mixed
        }
    }

    /// Maps and scores, one for each photo.
    ///
    /// # Errors
    /// When a photo was prepared for another image size, or the model gives something that
    /// is no number.
    pub fn predict(&self, prepared: &[Prepared]) -> Result<Vec<Prediction>, Error> {
        self.predict_compared(prepared, None)
    }

    /// As [`Predictor::predict`], of photos that are compared with good ones, if any are given.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub fn predict_compared(
        &self,
        prepared: &[Prepared],
        comparison: Option<&Comparison>,
    ) -> Result<Vec<Prediction>, Error> {
        self.compared_logits(prepared, comparison)?
            .iter()
            .map(|logits| self.finish(logits))
            .collect()
    }
}
