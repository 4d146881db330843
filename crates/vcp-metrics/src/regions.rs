//! The connected regions of a mask.

/// Neighbouring anomalous pixels of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First pixel, counted over the whole image in reading order.
    pub(crate) start: usize,
    /// One past the last pixel.
    pub(crate) end: usize,
    /// Position of its region in [`Regions::areas`].
    pub(crate) region: u32,
}

/// The 8-connected regions of one mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regions {
    /// In reading order.
    pub(crate) runs: Vec<Run>,
    /// Pixels of each region, in reading order of the regions' first pixels.
    pub(crate) areas: Vec<u64>,
}

impl Regions {
    /// Number of anomalous pixels.
    pub(crate) fn area(&self) -> u64 {
        self.areas.iter().sum()
    }

    /// What is not in a run: calls `each` with the first pixel and one past the last.
    pub(crate) fn for_each_gap(&self, pixels: usize, mut each: impl FnMut(usize, usize)) {
        let mut start = 0;
        for run in &self.runs {
            if run.start > start {
                each(start, run.start);
            }
            start = run.end;
        }
        if pixels > start {
            each(start, pixels);
        }
    }
}

/// Finds the regions of touching pixels (corners count) that are not 0, in rows of `width` pixels,
/// fewer than 2³² pixels in all.
pub(crate) fn find(mask: &[u8], width: usize) -> Regions {
    let mut runs: Vec<Run> = Vec::new();
    let mut labels = Labels::default();
    // Runs of the row above are `above..row_start`.
    let mut above = 0;
    for (y, row) in mask.chunks(width).enumerate() {
        let row_start = runs.len();
        let offset = y * width;
        let mut x = 0;
        while let Some(skipped) = row[x..].iter().position(|&pixel| pixel != 0) {
            let start = x + skipped;
            let length = row[start..].iter().position(|&pixel| pixel == 0);
            let end = length.map_or(row.len(), |length| start + length);
            // In the row above, everything moves up by one row to be compared.
            let (reach_start, reach_end) = (offset + start, offset + end);
            // Runs above that end before this one begins, not even at a corner, are done with.
            while above < row_start && runs[above].end + width < reach_start {
                above += 1;
            }
            let mut label = None;
            for run in &runs[above..row_start] {
                if run.start + width > reach_end {
                    break;
                }
                label = Some(match label {
                    None => run.region,
                    Some(label) => labels.join(label, run.region),
                });
            }
            runs.push(Run {
                start: reach_start,
                end: reach_end,
                region: label.unwrap_or_else(|| labels.add()),
            });
            x = end;
        }
        above = row_start;
    }
    let compact = labels.into_compact();
    let regions = compact.iter().max().map_or(0, |&last| last as usize + 1);
    let mut areas = vec![0; regions];
    for run in &mut runs {
        run.region = compact[run.region as usize];
        areas[run.region as usize] += (run.end - run.start) as u64;
    }
    Regions { runs, areas }
}

/// A disjoint-set forest over the labels given out so far.
#[derive(Default)]
struct Labels {
    parents: Vec<u32>,
}

impl Labels {
    fn add(&mut self) -> u32 {
        let label = self.parents.len() as u32;
        self.parents.push(label);
        label
    }

    fn root(&mut self, mut label: u32) -> u32 {
        while self.parents[label as usize] != label {
            // Halving the path keeps later walks short.
            let grandparent = self.parents[self.parents[label as usize] as usize];
            self.parents[label as usize] = grandparent;
            label = grandparent;
        }
        label
    }

    /// Makes one set of two and says which it is; the older label stays its root.
    fn join(&mut self, one: u32, other: u32) -> u32 {
        let (one, other) = (self.root(one), self.root(other));
        let (root, child) = (one.min(other), one.max(other));
        self.parents[child as usize] = root;
        root
    }

    /// For every label the number of its set, sets counted from 0 without gaps.
    fn into_compact(mut self) -> Vec<u32> {
        let mut sets = 0;
        // A root is older than its labels, so its number is there when they need it.
        let mut compact = vec![0; self.parents.len()];
        for label in 0..self.parents.len() as u32 {
            let root = self.root(label);
            compact[label as usize] = if root == label {
                sets += 1;
                sets - 1
            } else {
                compact[root as usize]
            };
        }
        compact
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The region of every pixel by flooding, `None` for background.
    fn flooded(mask: &[u8], width: usize) -> Vec<Option<u32>> {
        let height = mask.len() / width;
        let mut regions = vec![None; mask.len()];
        let mut count = 0;
        for first in 0..mask.len() {
            if mask[first] == 0 || regions[first].is_some() {
                continue;
            }
            let mut queue = vec![first];
            while let Some(pixel) = queue.pop() {
                if mask[pixel] == 0 || regions[pixel].is_some() {
                    continue;
                }
                regions[pixel] = Some(count);
                let (x, y) = (pixel % width, pixel / width);
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        queue.push(ny * width + nx);
                    }
                }
            }
            count += 1;
        }
        regions
    }

    fn check(mask: &[u8], width: usize) {
        let expected = flooded(mask, width);
        let found = find(mask, width);
        let mut pixels = vec![None; mask.len()];
        for run in &found.runs {
            pixels[run.start..run.end].fill(Some(run.region));
        }
        assert_eq!(pixels, expected, "{width} wide: {mask:?}");
        for (region, &area) in found.areas.iter().enumerate() {
            let count = expected
                .iter()
                .filter(|&&pixel| pixel == Some(region as u32));
            assert_eq!(count.count() as u64, area);
        }
        let mut background = vec![false; mask.len()];
        found.for_each_gap(mask.len(), |start, end| background[start..end].fill(true));
        let zero: Vec<bool> = mask.iter().map(|&pixel| pixel == 0).collect();
        assert_eq!(background, zero);
    }

    #[test]
    fn borders_and_corners() {
        for (width, mask) in [
            (3, vec![1, 0, 1, 0, 1, 0, 1, 0, 1]),
            (3, vec![1, 1, 1, 1, 0, 1, 1, 1, 1]),
            // The end of a row does not touch the start of the next one.
            (4, vec![0, 0, 0, 1, 1, 0, 0, 0]),
            (4, vec![0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0]),
            // Two arms that meet late.
            (5, vec![1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1]),
            (1, vec![255, 0, 255]),
            (1, vec![7]),
            (2, vec![0, 0]),
        ] {
            check(&mask, width);
        }
    }

    proptest! {
        #[test]
        fn equals_flooding(
            (width, mask) in (1_usize..12, 1_usize..12).prop_flat_map(|(width, height)| {
                (Just(width), prop::collection::vec(0_u8..2, width * height))
            })
        ) {
            check(&mask, width);
        }
    }
}
