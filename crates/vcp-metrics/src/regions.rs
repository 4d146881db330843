//! The connected regions of a mask.

use vcp_regions::{Event, Labels};

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
    for (y, row) in mask.chunks(width).enumerate() {
        let offset = y * width;
        labels.add_row(vcp_regions::runs(row, |&pixel| pixel != 0), |event| {
            if let Event::Run { region, columns } = event {
                runs.push(Run {
                    start: offset + columns.start,
                    end: offset + columns.end,
                    region: region as u32,
                });
            }
        });
    }
    let numbers = labels.into_final();
    let regions = numbers.iter().max().map_or(0, |&last| last + 1);
    let mut areas = vec![0; regions];
    for run in &mut runs {
        let region = numbers[run.region as usize];
        run.region = region as u32;
        areas[region] += (run.end - run.start) as u64;
    }
    Regions { runs, areas }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn areas_are_those_of_the_regions() {
        // Two arms that meet late, and a pixel for itself.
        #[rustfmt::skip]
        let mask = [
            1, 0, 0, 0, 1,
            1, 0, 1, 0, 1,
            1, 1, 1, 1, 1,
            0, 0, 0, 0, 0,
            0, 0, 0, 0, 9,
        ];
        let found = find(&mask, 5);
        assert_eq!(found.areas, [10, 1]);
        assert_eq!(found.area(), 11);
        let regions: Vec<u32> = found.runs.iter().map(|run| run.region).collect();
        assert_eq!(regions, [0, 0, 0, 0, 0, 0, 1]);
    }

    proptest! {
        /// Every pixel is in one run or one gap, as the mask says, and every run counts for its region.
        #[test]
        fn runs_and_gaps_are_the_mask(
            (width, mask) in (1_usize..12, 1_usize..12).prop_flat_map(|(width, height)| {
                (Just(width), prop::collection::vec(0_u8..2, width * height))
            })
        ) {
            let found = find(&mask, width);
            let mut pixels = vec![2; mask.len()];
            let mut areas = vec![0; found.areas.len()];
            for run in &found.runs {
                prop_assert!(run.start / width == (run.end - 1) / width, "a run is within a row");
                pixels[run.start..run.end].fill(1);
                areas[run.region as usize] += (run.end - run.start) as u64;
            }
            found.for_each_gap(mask.len(), |start, end| pixels[start..end].fill(0));
            prop_assert_eq!(pixels, mask);
            prop_assert_eq!(areas, found.areas);
        }
    }
}
