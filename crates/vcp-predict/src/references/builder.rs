//! From photos to a memory of them.

use half::f16;
use vcp_checkpoint::{
    CalibrationWindows, ReferenceDescription, References, Weights, bounds::REFERENCE_SCALE,
};
use vcp_cpu::{Cpu, Linear, Tensor};
use vcp_model::{After, Operations as _, patch_channels};
use vcp_random::Random;

use super::coreset::coreset;
use super::memory::{Group, combined};
use super::patches::PatchFeatures;
use super::{Copies, GROUPS, MOST_ROWS};
use crate::error::Error;

/// Most patches by which scales are found.
const SAMPLE: usize = 8192;

/// Channels in which rows are compared when a coreset is chosen; wider ones are projected at random, which changes
/// distances little (Johnson and Lindenstrauss), as in `PatchCore` (arXiv 2106.08265, section 3.2).
const PROJECTED: usize = 128;

/// A group's rows are reduced when there are so many times those it may keep.
const SLACK: usize = 4;

/// The part of the scales of turned copies that scales are at least: between different photos taken in the same fixture
/// distances are up to four times smaller.
const LEAST_OF_TURNED: f32 = 0.25;

/// How much farther patches of other photos are taken to be than those of turned copies, where there is no other photo
/// to tell.
const ALONE: f32 = 1.5;

/// A fraction of good photos' patches whose distance may be above 1.
const BEYOND: f64 = 0.001;

/// Takes photos in, one after the other, and makes a memory of them.
pub struct MemoryBuilder {
    channels: Vec<usize>,
    groups: Vec<Rows>,
    /// Which copies of photos are remembered too, and their rows in each group.
    copies: Copies,
    copied: Vec<Rows>,
    /// Patches of good photos.
    samples: Vec<Sample>,
    /// Patches of turned copies of the first photo.
    turned: [Vec<Sample>; 3],
    photos: Vec<String>,
    expected: usize,
    most_rows: usize,
    projection: Option<Projection>,
    model: String,
}

/// What is said of a memory beside its photos.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryDetails {
    /// The data in words.
    pub data: String,
    /// Today as `YYYY-MM-DD`.
    pub date: String,
    /// Whether photos were turned as their metadata say.
    pub apply_orientation: bool,
    /// The windows in which photos were looked at, if not whole.
    pub windows: Option<CalibrationWindows>,
    /// How many bits of 16-bit samples were taken for brightness, where a photo had such samples.
    pub bits: Option<u32>,
}

/// A window of a photo.
pub(crate) struct Window {
    pub(crate) patches: PatchFeatures,
    /// Which patches count; all if `None`.
    pub(crate) counts: Option<Vec<bool>>,
}

/// Rows of a group.
#[derive(Default)]
struct Rows {
    /// Of each level [rows, channels].
    levels: Vec<Vec<f16>>,
    /// As coresets compare them: [rows, width].
    projected: Vec<f32>,
}

struct Sample {
    /// The group that the photo is in, which it is not to be compared with; none for a turned copy, which is
    /// in none.
    group: Option<usize>,
    /// Of each level [1, rows, channels].
    patches: PatchFeatures,
}

/// A random projection of all levels together to [`PROJECTED`] channels.
struct Projection {
    levels: Vec<Linear>,
}

impl Projection {
    /// Signs, scaled so that squared distances stay what they are on average.
    fn new(cpu: &Cpu, channels: &[usize]) -> Self {
        let mut random = Random::new(0);
        let value = f16::from_f32((1.0 / PROJECTED as f32).sqrt());
        let levels = channels.iter().map(|&channels| {
            let signs = (0..PROJECTED * channels).map(|_| random.chance(0.5));
            let values: Vec<f16> = signs
                .map(|is_up| if is_up { value } else { -value })
                .collect();
            cpu.linear_of_half([PROJECTED, channels], &values)
        });
        Self {
            levels: levels.collect(),
        }
    }
}

impl MemoryBuilder {
    /// For so many photos, with this model. More or fewer may come.
    #[must_use]
    pub fn new(cpu: &Cpu, weights: &Weights, photos: usize) -> Self {
        Self::with_bound(cpu, weights, photos, MOST_ROWS)
    }

    pub(super) fn with_bound(
        cpu: &Cpu,
        weights: &Weights,
        photos: usize,
        most_rows: usize,
    ) -> Self {
        let channels = patch_channels(weights);
        let is_wide = channels.iter().sum::<usize>() > PROJECTED;
        Self {
            projection: is_wide.then(|| Projection::new(cpu, &channels)),
            groups: Vec::new(),
            copies: Copies::None,
            copied: Vec::new(),
            samples: Vec::new(),
            turned: Default::default(),
            photos: Vec::new(),
            expected: photos.max(1),
            most_rows,
            model: weights.fingerprint(),
            channels,
        }
    }

    /// The same, remembering copies of photos too.
    #[must_use]
    pub fn with_copies(self, copies: Copies) -> Self {
        Self { copies, ..self }
    }

    /// Which copies of photos are remembered too.
    #[must_use]
    pub fn copies(&self) -> Copies {
        self.copies
    }

    /// Photos taken in.
    #[must_use]
    pub fn photos(&self) -> usize {
        self.photos.len()
    }

    /// Begins with a photo, whose windows follow. `name` is how the memory will know it again.
    pub(crate) fn begin(&mut self, name: String) {
        let group = self.photos.len() % GROUPS;
        if group == self.groups.len() {
            self.groups.push(Rows::default());
            self.copied.push(Rows::default());
        }
        self.photos.push(name);
    }

    /// Takes in one of so many windows of the photo that was begun with; of a photo that is processed whole the only one.
    pub(crate) fn add(&mut self, cpu: &Cpu, window: &Window, windows: usize) {
        let Some(group) = self.photos.len().checked_sub(1).map(|last| last % GROUPS) else {
            return;
        };
        let projected = self.projected(cpu, &window.patches);
        self.groups[group].extend(&window.patches, projected);
        let patches = sampled(cpu, window, windows * self.expected, self.samples.len());
        self.samples.extend(patches.map(|patches| Sample {
            group: Some(group),
            patches,
        }));
        let quota = self.most_rows / self.expected.min(GROUPS);
        self.groups[group].reduce(&self.channels, SLACK * quota, quota);
    }

    /// Takes in a window of a copy of the photo that was begun with, to be remembered with it.
    pub(crate) fn add_copy(&mut self, cpu: &Cpu, patches: &PatchFeatures) {
        let Some(group) = self.photos.len().checked_sub(1).map(|last| last % GROUPS) else {
            return;
        };
        let projected = self.projected(cpu, patches);
        self.copied[group].extend(patches, projected);
        let quota = self.most_rows / self.expected.min(GROUPS);
        self.copied[group].reduce(&self.channels, SLACK * quota, quota);
    }

    /// Takes in a window, one of so many, of a turned copy of the first photo: of copy 0, 1 or 2.
    pub(crate) fn add_turned(&mut self, cpu: &Cpu, copy: usize, window: &Window, windows: usize) {
        let Some(turned) = self.turned.get_mut(copy) else {
            return;
        };
        let patches = sampled(cpu, window, windows, turned.len());
        turned.extend(patches.map(|patches| Sample {
            group: None,
            patches,
        }));
    }

    /// The rows of a window as coresets compare them.
    fn projected(&self, cpu: &Cpu, window: &PatchFeatures) -> Vec<f32> {
        if let Some(projection) = &self.projection {
            let mut sum: Option<Tensor> = None;
            for (level, layer) in window.levels.iter().zip(&projection.levels) {
                let after = sum.as_ref().map_or(After::Nothing, After::Add);
                sum = Some(cpu.linear(level, layer, after));
            }
            return sum.map(|sum| sum.as_slice().to_vec()).unwrap_or_default();
        }
        let levels = window.levels.iter().zip(&self.channels);
        let row = |index: usize| {
            let levels = levels.clone();
            levels.flat_map(move |(level, &channels)| {
                level.as_slice()[index * channels..][..channels]
                    .iter()
                    .copied()
            })
        };
        (0..window.count()).flat_map(row).collect()
    }

    /// A group with unit scales, ready to be searched.
    fn finished_group(&self, cpu: &Cpu, group: usize) -> Option<Group> {
        let rows = self.groups.get(group)?;
        Some(Group::of_rows(cpu, &self.channels, &rows.levels))
    }

    /// The memory.
    ///
    /// # Errors
    /// [`Error::NoReferences`] when no photo was taken in, and when the features are not numbers.
    pub fn finish(mut self, cpu: &Cpu, details: MemoryDetails) -> Result<References, Error> {
        if self.photos.is_empty() {
            return Err(Error::NoReferences);
        }
        // Of its own turned copies a photo would hardly differ if they were remembered with it.
        let turned = self.turned_scales(cpu);
        let quota = self.most_rows / self.groups.len();
        for (group, copied) in self.groups.iter_mut().zip(std::mem::take(&mut self.copied)) {
            group.append(copied);
            group.reduce(&self.channels, quota, quota);
        }
        let groups = 0..self.groups.len();
        let groups: Vec<Group> = groups
            .filter_map(|group| self.finished_group(cpu, group))
            .collect();
        let scales = self.scales(cpu, &groups, turned);
        let rows = self.groups.iter().map(|group| group.count(&self.channels));
        let description = ReferenceDescription {
            version: References::VERSION,
            rows: rows.collect(),
            scales,
            photos: self.photos,
            data: details.data,
            date: details.date,
            apply_orientation: details.apply_orientation,
            windows: details.windows,
            bits: details.bits,
            model: self.model,
            channels: self.channels,
        };
        let levels = (0..description.channels.len()).map(|level| {
            let groups = self
                .groups
                .iter()
                .map(|group| group.levels[level].as_slice());
            groups.collect::<Vec<_>>().concat()
        });
        let levels = levels.collect();
        References::new(description, levels).map_err(Error::References)
    }

    /// Scales by the turned copy that is nearest to the first photo's group.
    fn turned_scales(&self, cpu: &Cpu) -> Vec<f32> {
        let first: Vec<Group> = self.finished_group(cpu, 0).into_iter().collect();
        let mean = |samples: &Vec<Sample>| {
            let distances = samples.iter().flat_map(|sample| {
                first
                    .iter()
                    .flat_map(|group| group.distances(cpu, &sample.patches))
            });
            let distances: Vec<f32> = distances.flatten().collect();
            distances.iter().sum::<f32>() / distances.len().max(1) as f32
        };
        let copies = self.turned.iter().map(|samples| (samples, mean(samples)));
        let nearest = copies.min_by(|a, b| a.1.total_cmp(&b.1));
        let turned = nearest.and_then(|(samples, _)| self.scales_of(cpu, &first, samples));
        turned.unwrap_or_else(|| vec![sound(0.0); self.channels.len()])
    }

    /// The scales of the levels. Photos that are nearly the same shot say little of how far others may be, so the turned copies
    /// of the first give a bound from below.
    fn scales(&self, cpu: &Cpu, groups: &[Group], turned: Vec<f32>) -> Vec<f32> {
        match self.scales_of(cpu, groups, &self.samples) {
            None => turned
                .into_iter()
                .map(|scale| sound(ALONE * scale))
                .collect(),
            Some(own) => {
                let both = own.into_iter().zip(turned);
                let larger = both.map(|(own, turned)| own.max(LEAST_OF_TURNED * turned));
                larger.collect()
            }
        }
    }

    /// What one of a thousand patches of these samples is farther away than from the groups they are not in, of each level:
    /// levels as they stand to one another on average, and all of them together such that the distance that is left to few
    /// patches is 1. None if there is nothing to compare.
    fn scales_of(&self, cpu: &Cpu, groups: &[Group], samples: &[Sample]) -> Option<Vec<f32>> {
        // Of each sample the distances to each group it is not in: [group][level][patch].
        let compared = samples.iter().filter_map(|sample| {
            let others = groups.iter().enumerate();
            let others = others.filter(|(group, _)| Some(*group) != sample.group);
            let distances: Vec<Vec<Vec<f32>>> = others
                .map(|(_, group)| group.distances(cpu, &sample.patches))
                .collect();
            (!distances.is_empty()).then_some(distances)
        });
        let compared: Vec<_> = compared.collect();
        if compared.is_empty() {
            return None;
        }
        let levels = 0..self.channels.len();
        let scales: Vec<f32> = levels
            .map(|level| {
                let all = compared.iter().flatten().flat_map(|levels| &levels[level]);
                let (sum, count) = all.fold((0.0_f64, 0_usize), |(sum, count), value| {
                    (sum + f64::from(*value), count + 1)
                });
                sound((sum / count.max(1) as f64) as f32)
            })
            .collect();
        // The soft minimum depends on the unit, so that it is looked for; a few steps come close enough.
        let mut unit = 1.0;
        for _ in 0..4 {
            let scaled: Vec<f32> = scales.iter().map(|scale| sound(scale * unit)).collect();
            let all = compared.iter().flat_map(|groups| combined(groups, &scaled));
            let mut all: Vec<f32> = all.collect();
            if all.is_empty() {
                return None;
            }
            let beyond = (all.len() as f64 * BEYOND) as usize;
            let (_, reached, _) = all.select_nth_unstable_by(beyond, |a, b| b.total_cmp(a));
            unit *= reached.max(1e-3);
        }
        Some(
            scales
                .into_iter()
                .map(|scale| sound(scale * unit))
                .collect(),
        )
    }
}

/// Some of a window's patches that count, spread evenly; none if none counts. `share` windows share the whole sample, and
/// `first` says where to begin, so that it is not always at the same places of the grid.
fn sampled(
    cpu: &Cpu,
    Window { patches, counts }: &Window,
    share: usize,
    first: usize,
) -> Option<PatchFeatures> {
    let counting: Vec<usize> = (0..patches.count())
        .filter(|index| counts.as_ref().is_none_or(|counts| counts[*index]))
        .collect();
    let quota = (SAMPLE / share.max(1)).clamp(1, counting.len().max(1));
    let step = (counting.len() / quota).max(1);
    let rows: Vec<usize> = counting
        .into_iter()
        .skip(first % step)
        .step_by(step)
        .collect();
    if rows.is_empty() {
        return None;
    }
    let levels = patches.levels.iter().map(|level| {
        let channels = level.shape()[2];
        let values = picked(level.as_slice(), channels, &rows);
        cpu.tensor([1, rows.len(), channels], &values)
    });
    Some(PatchFeatures {
        levels: levels.collect(),
    })
}

/// A scale that can be divided by: photos that are equal have no distances.
fn sound(scale: f32) -> f32 {
    // What is no number lies in no range.
    let (least, most) = (*REFERENCE_SCALE.start(), *REFERENCE_SCALE.end());
    if scale > least {
        scale.min(most)
    } else {
        least.max(1e-4)
    }
}

impl Rows {
    fn extend(&mut self, patches: &PatchFeatures, projected: Vec<f32>) {
        self.levels.resize(patches.levels.len(), Vec::new());
        for (level, patches) in self.levels.iter_mut().zip(&patches.levels) {
            level.extend(patches.as_slice().iter().map(|value| f16::from_f32(*value)));
        }
        self.projected.extend(projected);
    }

    fn append(&mut self, other: Self) {
        for (level, more) in self.levels.iter_mut().zip(other.levels) {
            level.extend(more);
        }
        self.projected.extend(other.projected);
    }

    fn count(&self, channels: &[usize]) -> usize {
        let first = self.levels.first().zip(channels.first());
        first.map_or(0, |(level, channels)| level.len() / channels)
    }

    /// Keeps a coreset of `keep` rows if there are more than `most`.
    fn reduce(&mut self, channels: &[usize], most: usize, keep: usize) {
        let count = self.count(channels);
        if count <= most.max(keep) {
            return;
        }
        let width = self.projected.len() / count;
        let kept = coreset(&self.projected, width, keep.max(1));
        for (level, &channels) in self.levels.iter_mut().zip(channels) {
            *level = picked(level, channels, &kept);
        }
        self.projected = picked(&self.projected, width, &kept);
    }
}

/// Some rows.
fn picked<T: Copy>(values: &[T], width: usize, rows: &[usize]) -> Vec<T> {
    let rows = rows.iter().map(|row| &values[row * width..][..width]);
    rows.collect::<Vec<_>>().concat()
}
