//! Good photos' patches, ready to be searched.

use std::sync::Arc;

use half::f16;
use vcp_checkpoint::{ReferenceDescription, References, Weights};
use vcp_cpu::{Cpu, Linear, Tensor};
use vcp_model::{After, Operations as _, patch_channels};

use super::patches::PatchFeatures;
use super::{SHARPNESS, strangeness};
use crate::error::Error;

/// Rows that are compared at once: the cosines of all patches of an image with them stay in the processor's caches.
const ROWS_AT_ONCE: usize = 512;

/// The patches of good photos that others are compared with: as matrices whose product with an image's patches gives all
/// cosines, in half precision. [The module](super) says how.
pub struct ReferenceMemory {
    description: ReferenceDescription,
    digest: String,
    groups: Vec<Group>,
}

/// Of each level, the rows of a group in blocks.
pub(super) struct Group {
    levels: Vec<Vec<Linear>>,
}

impl std::fmt::Debug for ReferenceMemory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ReferenceMemory")
            .field("photos", &self.description.photos.len())
            .field("rows", &self.description.rows)
            .finish_non_exhaustive()
    }
}

impl Group {
    fn new(cpu: &Cpu, references: &References, group: usize) -> Self {
        let channels = &references.description().channels;
        let levels = 0..channels.len();
        let levels: Vec<&[f16]> = levels.map(|level| references.rows(level, group)).collect();
        Self::of_rows(cpu, channels, &levels)
    }

    /// Of each level [rows, channels].
    pub(super) fn of_rows(cpu: &Cpu, channels: &[usize], levels: &[impl AsRef<[f16]>]) -> Self {
        let levels = levels.iter().zip(channels);
        let levels = levels.map(|(rows, &channels)| {
            let blocks = rows.as_ref().chunks(ROWS_AT_ONCE * channels);
            let block = |rows: &[_]| cpu.linear_of_half([rows.len() / channels, channels], rows);
            blocks.map(block).collect()
        });
        Self {
            levels: levels.collect(),
        }
    }

    /// Of each level, the distance of each patch to the nearest one in the group.
    pub(super) fn distances(&self, cpu: &Cpu, patches: &PatchFeatures) -> Vec<Vec<f32>> {
        let levels = self.levels.iter().zip(&patches.levels);
        let distances = levels.map(|(blocks, patches)| distances(cpu, patches, blocks));
        distances.collect()
    }
}

/// 1 less the largest cosine of each patch [1, patches, channels] with the rows of all blocks.
fn distances(cpu: &Cpu, patches: &Tensor, blocks: &[Linear]) -> Vec<f32> {
    let mut largest = vec![f32::NEG_INFINITY; patches.shape()[1]];
    for block in blocks {
        let cosines = cpu.linear(patches, block, After::Nothing);
        let rows = cosines.shape()[2].max(1);
        let cosines = cosines.as_slice();
        cpu.for_each_piece(&mut largest, |at, largest| {
            let cosines = cosines[at * rows..].chunks_exact(rows);
            for (largest, cosines) in largest.iter_mut().zip(cosines) {
                *largest = largest.max(greatest(cosines));
            }
        });
    }
    // Cosines of rounded rows may be a little above 1.
    largest
        .iter()
        .map(|cosine| (1.0 - cosine).max(0.0))
        .collect()
}

/// In lanes that the compiler keeps in a register; the largest does not depend on the order.
fn greatest(values: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let blocks = values.chunks_exact(LANES);
    let rest = blocks.remainder().iter().copied();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    rest.chain(lanes).fold(f32::NEG_INFINITY, f32::max)
}

/// Distances to each group (of each level those of all patches), in units of the scales and averaged over the levels, as one
/// distance of each patch.
pub(super) fn combined(groups: &[Vec<Vec<f32>>], scales: &[f32]) -> Vec<f32> {
    let patches = groups.first().and_then(|group| group.first());
    let patches = patches.map_or(0, Vec::len);
    let patch = |index: usize| {
        let distances = groups.iter().map(|levels| {
            let levels = levels.iter().zip(scales);
            let sum: f32 = levels.map(|(level, scale)| level[index] / scale).sum();
            sum / scales.len() as f32
        });
        soft_minimum(distances)
    };
    (0..patches).map(patch).collect()
}

/// −ln(mean of exp(−s·x)) / s with s = [`SHARPNESS`], computed from the least value on.
fn soft_minimum(values: impl ExactSizeIterator<Item = f32> + Clone) -> f32 {
    let count = values.len() as f32;
    let least = values.clone().fold(f32::INFINITY, f32::min);
    let sum: f32 = values
        .map(|value| (-SHARPNESS * (value - least)).exp())
        .sum();
    least - (sum / count).ln() / SHARPNESS
}

/// A memory that a photo is compared with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Comparison {
    memory: Arc<ReferenceMemory>,
    /// Whether each group is left out.
    without: Vec<bool>,
}

impl Comparison {
    /// With all of a memory.
    #[must_use]
    pub fn with(memory: Arc<ReferenceMemory>) -> Self {
        let without = vec![false; memory.groups.len()];
        Self { memory, without }
    }

    /// With all of a memory but the groups of the photos in a file, by its SHA-256: so that a photo of the memory is
    /// judged as a new one would be. None if nothing is left to compare it with.
    #[must_use]
    pub fn leaving_out(memory: Arc<ReferenceMemory>, sha256: &str) -> Option<Self> {
        let mut without = vec![false; memory.groups.len()];
        for (index, photo) in memory.description.photos.iter().enumerate() {
            // Behind the digest may stand the page.
            if photo.split(' ').next() == Some(sha256) {
                let group = index % without.len();
                without[group] = true;
            }
        }
        without.contains(&false).then_some(Self { memory, without })
    }

    /// How unlike the good photos each patch is, 0 to 1.
    pub(crate) fn of(&self, cpu: &Cpu, patches: &PatchFeatures) -> Vec<f32> {
        self.memory.compare(cpu, patches, &self.without)
    }
}

impl ReferenceMemory {
    /// Makes a stored memory ready. It takes as much memory again as [`References::bytes`] says.
    ///
    /// # Errors
    /// When it was made with another model.
    pub fn new(cpu: &Cpu, references: &References, weights: &Weights) -> Result<Self, Error> {
        let other = weights.check_references(references.description());
        other.map_err(Error::References)?;
        let expected = patch_channels(weights);
        let description = references.description();
        if description.channels != expected {
            return Err(Error::OtherReferences {
                found: description.channels.clone(),
                expected,
            });
        }
        Ok(Self::of(cpu, references))
    }

    /// As [`ReferenceMemory::new`], of whatever model.
    pub(super) fn of(cpu: &Cpu, references: &References) -> Self {
        let groups = 0..references.groups();
        Self {
            description: references.description().clone(),
            digest: references.digest(),
            groups: groups
                .map(|group| Group::new(cpu, references, group))
                .collect(),
        }
    }

    /// What is known about it.
    #[must_use]
    pub fn description(&self) -> &ReferenceDescription {
        &self.description
    }

    /// [`References::digest`].
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How unlike the good photos each patch is, 0 to 1, compared with all groups but some.
    fn compare(&self, cpu: &Cpu, patches: &PatchFeatures, without: &[bool]) -> Vec<f32> {
        let groups = self.groups.iter().zip(without);
        let groups = groups.filter(|(_, is_left_out)| !**is_left_out);
        let distances: Vec<_> = groups
            .map(|(group, _)| group.distances(cpu, patches))
            .collect();
        let combined = combined(&distances, &self.description.scales);
        combined.into_iter().map(strangeness).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_minimum_is_between_least_and_mean() {
        let of = |values: &[f32]| soft_minimum(values.iter().copied());
        assert!((of(&[0.7]) - 0.7).abs() < 1e-6);
        assert!((of(&[0.7, 0.7, 0.7]) - 0.7).abs() < 1e-6);
        let both = of(&[0.2, 0.6]);
        assert!(0.2 < both && both < 0.4, "{both}");
        // Far groups shift all values alike: ln(2)/s.
        let far = of(&[0.2, 90.0]);
        assert!((far - 0.2 - 2.0_f32.ln() / SHARPNESS).abs() < 1e-6, "{far}");
    }

    #[test]
    fn strangeness_is_absolute() {
        assert!(strangeness(0.0).abs() < 1e-9 && (strangeness(1.0) - 0.5).abs() < 1e-6);
        assert!(strangeness(0.5) < 0.02 && strangeness(2.0) > 0.98);
        assert!((strangeness(f32::MAX) - 1.0).abs() < 1e-6);
        assert!(strangeness(-1.0).abs() < 1e-9);
    }

    #[test]
    fn the_greatest_is_found_anywhere() {
        for length in 1..70 {
            for at in 0..length {
                let mut values = vec![-1.0; length];
                values[at] = 0.25;
                assert!((greatest(&values) - 0.25).abs() < f32::EPSILON);
            }
        }
    }
}
