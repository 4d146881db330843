//! The part of photos that counts.

use std::ops::Range;

use crate::error::Error;

/// The pixels of photos that count, all others being without influence on score and largest value. It has a
/// size of its own, and photos of any size are laid over it corner to corner.
///
/// At any size, a pixel counts if any part of it does. So the region is at no size empty, and at its own size
/// exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionOfInterest {
    width: usize,
    height: usize,
    counts: Vec<bool>,
}

impl RegionOfInterest {
    /// A region of `width` × `height` pixels, row by row: which of them count.
    ///
    /// # Errors
    /// [`Error::RegionLength`] when there are more or fewer, and [`Error::NothingCounts`] when none counts.
    pub fn new(width: usize, height: usize, counts: Vec<bool>) -> Result<Self, Error> {
        if counts.len() != width.saturating_mul(height) {
            return Err(Error::RegionLength {
                found: counts.len(),
                width,
                height,
            });
        }
        if !counts.contains(&true) {
            return Err(Error::NothingCounts);
        }
        Ok(Self {
            width,
            height,
            counts,
        })
    }

    /// Pixels per row of the region.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of the region.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Which pixels of a photo of this width and height count, row by row.
    #[must_use]
    pub fn over(&self, size: (usize, usize)) -> RegionRows<'_> {
        self.rows(size, &(0..size.0), &(0..size.1), size)
    }

    /// Which pixels count of a photo of this width and height that was resized to a square, [side, side].
    #[must_use]
    pub fn squeezed(&self, size: (usize, usize), side: usize) -> Vec<bool> {
        self.of_window(size, &(0..size.0), &(0..size.1), side)
    }

    /// As [`RegionOfInterest::squeezed`], of some columns and rows of the photo.
    pub(crate) fn of_window(
        &self,
        size: (usize, usize),
        columns: &Range<usize>,
        rows: &Range<usize>,
        side: usize,
    ) -> Vec<bool> {
        let region = self.rows(size, columns, rows, (side, side));
        let mut counts = vec![false; side * side];
        for (y, row) in counts.chunks_exact_mut(side.max(1)).enumerate() {
            region.row(y, row);
        }
        counts
    }

    /// Columns and rows of a photo, seen at another size.
    fn rows(
        &self,
        size: (usize, usize),
        columns: &Range<usize>,
        rows: &Range<usize>,
        seen: (usize, usize),
    ) -> RegionRows<'_> {
        RegionRows {
            region: self,
            columns: overlaps(columns, size.0, seen.0, self.width),
            rows: overlaps(rows, size.1, seen.1, self.height),
        }
    }
}

/// A region of interest at another size, row by row.
#[derive(Clone, Debug)]
pub struct RegionRows<'a> {
    region: &'a RegionOfInterest,
    /// The region's columns that each pixel of a row overlaps.
    columns: Vec<Range<usize>>,
    rows: Vec<Range<usize>>,
}

impl RegionRows<'_> {
    /// Writes which pixels of row `y` count.
    ///
    /// # Panics
    /// If there is no such row, or `out` is not as long as a row.
    pub fn row(&self, y: usize, out: &mut [bool]) {
        assert_eq!(out.len(), self.columns.len(), "values of a row");
        // Of the region's rows, only what is overlapped: many windows may share them.
        let first = self.columns.first().map_or(0, |columns| columns.start);
        let end = self.columns.last().map_or(0, |columns| columns.end);
        let mut line = vec![false; end - first];
        for row in self.rows[y].clone() {
            let counts = &self.region.counts[row * self.region.width..][first..end];
            for (any, counts) in line.iter_mut().zip(counts) {
                *any |= counts;
            }
        }
        for (out, columns) in out.iter_mut().zip(&self.columns) {
            *out = line[columns.start - first..columns.end - first].contains(&true);
        }
    }
}

/// A `part` of a line of `size` pixels is seen as `count` pixels: those of `own` pixels along the same line
/// that each of them overlaps.
fn overlaps(part: &Range<usize>, size: usize, count: usize, own: usize) -> Vec<Range<usize>> {
    // Positions along the line, in units in which all borders are whole numbers: no rounding decides.
    let (length, unit) = (part.len() as u128, size as u128 * count as u128);
    let border = |at: usize| {
        let position = part.start as u128 * count as u128 + at as u128 * length;
        position * own as u128
    };
    (0..count)
        .map(|at| {
            let first = (border(at) / unit) as usize;
            let end = border(at + 1).div_ceil(unit) as usize;
            first..end
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(width: usize, text: &str) -> RegionOfInterest {
        let counts: Vec<bool> = text.bytes().map(|byte| byte == b'#').collect();
        RegionOfInterest::new(width, text.len() / width, counts).expect("a region")
    }

    fn text(counts: &[bool]) -> String {
        let mark = |&counts: &bool| if counts { '#' } else { '.' };
        counts.iter().map(mark).collect()
    }

    #[test]
    fn a_pixel_counts_if_any_part_of_it_does() {
        let small = region(2, "#...");
        assert_eq!(text(&small.squeezed((2, 2), 2)), "#...");
        assert_eq!(text(&small.squeezed((7, 5), 1)), "#");
        assert_eq!(text(&small.squeezed((3, 3), 3)), "##.##....");
        assert_eq!(text(&small.squeezed((4, 9), 4)), "##..##..........");
        // A corner of a photo: the right half of the left half, and both rows.
        let corner = small.of_window((8, 2), &(2..6), &(0..2), 4);
        assert_eq!(text(&corner), "##..##..........");
        let nothing = small.of_window((8, 2), &(4..8), &(0..2), 4);
        assert_eq!(text(&nothing), "................");
    }

    #[test]
    fn nothing_is_no_region() {
        assert!(matches!(
            RegionOfInterest::new(2, 1, vec![false; 2]),
            Err(Error::NothingCounts)
        ));
        assert!(matches!(
            RegionOfInterest::new(2, 2, vec![true; 3]),
            Err(Error::RegionLength { found: 3, .. })
        ));
    }

    proptest! {
        /// Against the definition, pixel by pixel: two intervals overlap in more than a border.
        #[test]
        fn equals_the_plain_statement(
            (width, height) in (1_usize..9, 1_usize..9),
            (columns, rows) in (1_usize..12, 1_usize..12),
            side in 1_usize..9,
            seed in any::<u64>(),
            from in 0_usize..6,
        ) {
            let mut counts: Vec<bool> =
                (0..width * height).map(|at| seed >> (at % 64) & 3 == 3).collect();
            counts[seed as usize % (width * height)] = true;
            let region = RegionOfInterest::new(width, height, counts.clone()).expect("a region");
            let start = from.min(columns - 1);
            let window = region.of_window((columns, rows), &(start..columns), &(0..rows), side);
            let meet = |at: usize, start: usize, end: usize, size: usize, own: usize, of: usize| {
                // Both ends of pixel `at` and of the region's pixel `own`, as fractions of the line.
                let low = (start * side + at * (end - start)) * of;
                let high = (start * side + (at + 1) * (end - start)) * of;
                own * size * side < high && low < (own + 1) * size * side
            };
            for (place, found) in window.iter().enumerate() {
                let (x, y) = (place % side, place / side);
                let expected = (0..width * height).any(|own| {
                    counts[own]
                        && meet(x, start, columns, columns, own % width, width)
                        && meet(y, 0, rows, rows, own / width, height)
                });
                prop_assert_eq!(*found, expected, "{} {}", x, y);
            }
            // What counts in a photo counts in the window that shows it.
            let over = region.over((columns, rows));
            let mut row = vec![false; columns];
            let mut any = false;
            for y in 0..rows {
                over.row(y, &mut row);
                any |= row[start..].contains(&true);
            }
            prop_assert_eq!(any, window.contains(&true));
        }
    }
}
