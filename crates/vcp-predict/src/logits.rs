//! What the model says of a photo on the patch grid.

use crate::error::Error;

/// Differences of logits (anomalous minus normal) of one photo on the patch grid, for every branch and
/// tap: all that has to be kept of a photo to make its maps, `(side/patch)²` values for each.
///
/// All values lie in one block: the taps of branch 1, then those of branch 2, each a grid in row-major
/// order.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    shape: LogitsShape,
    values: Vec<f32>,
}

/// How logits lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogitsShape {
    /// Taps of branch 1 and of branch 2.
    pub(crate) taps: [usize; 2],
    /// Values of one tap.
    pub(crate) patches: usize,
    /// Whether a grid of the comparison with reference photos follows the taps.
    pub(crate) has_references: bool,
}

/// Logits in somebody else's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogitsView<'a> {
    shape: LogitsShape,
    values: &'a [f32],
}

impl LogitsShape {
    /// Values in all grids together.
    pub(crate) fn len(self) -> usize {
        (self.taps[0] + self.taps[1] + usize::from(self.has_references)) * self.patches
    }
}

impl Logits {
    /// Logits that were kept elsewhere: so many taps of branch 1 and of branch 2, and the values of all of
    /// them, as [`Logits::values`] gives them.
    ///
    /// # Errors
    /// [`Error::LogitsLength`], when the values cannot be shared out among the taps, or a branch has none.
    pub fn new(taps: [usize; 2], values: Vec<f32>) -> Result<Self, Error> {
        let [first, second] = taps;
        let all = first.saturating_add(second);
        if first == 0 || second == 0 || values.is_empty() || !values.len().is_multiple_of(all) {
            return Err(Error::LogitsLength {
                found: values.len(),
                taps,
            });
        }
        let shape = LogitsShape {
            taps,
            patches: values.len() / all,
            has_references: false,
        };
        Ok(Self::of(shape, values))
    }

    /// The same with a comparison with reference photos, a value from 0 to 1 for each patch
    /// ([`Logits::references`]), in place of one that there may have been. As many values are taken as there are
    /// patches, and zeros where there are fewer.
    #[must_use]
    pub fn with_references(self, values: &[f32]) -> Self {
        let shape = LogitsShape {
            has_references: true,
            ..self.shape
        };
        let mut all = self.values;
        all.truncate((shape.taps[0] + shape.taps[1]) * shape.patches);
        all.extend(values.iter().take(shape.patches));
        all.resize(shape.len(), 0.0);
        Self::of(shape, all)
    }

    /// How unlike the reference photos each patch is, 0 to 1, if there was a comparison.
    #[must_use]
    pub fn references(&self) -> Option<&[f32]> {
        self.view().references()
    }

    /// `values` has the length that the shape says.
    pub(crate) fn of(shape: LogitsShape, values: Vec<f32>) -> Self {
        debug_assert_eq!(values.len(), shape.len());
        Self { shape, values }
    }

    /// Taps of branch 1 and of branch 2.
    #[must_use]
    pub fn taps(&self) -> [usize; 2] {
        self.shape.taps
    }

    /// Patches of the grid: values of one tap.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.shape.patches
    }

    /// The values of all taps, branch 1 before branch 2, and those of the comparison with reference photos, if there was
    /// one.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The grids of branch 1, one for each tap.
    #[must_use]
    pub fn branch1(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.view().branch(0)
    }

    /// The grids of branch 2, one for each tap.
    #[must_use]
    pub fn branch2(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.view().branch(1)
    }

    pub(crate) fn shape(&self) -> LogitsShape {
        self.shape
    }

    pub(crate) fn view(&self) -> LogitsView<'_> {
        LogitsView::new(self.shape, &self.values)
    }
}

impl<'a> LogitsView<'a> {
    /// `values` has the length that the shape says.
    pub(crate) fn new(shape: LogitsShape, values: &'a [f32]) -> Self {
        debug_assert_eq!(values.len(), shape.len());
        Self { shape, values }
    }

    /// The grids of the first branch (0) or the second (1), one for each tap.
    pub(crate) fn branch(self, branch: usize) -> impl ExactSizeIterator<Item = &'a [f32]> {
        let LogitsShape { taps, patches, .. } = self.shape;
        let (first, second) = self.values.split_at(taps[0] * patches);
        let second = &second[..taps[1] * patches];
        let values = if branch == 0 { first } else { second };
        values.chunks_exact(patches.max(1))
    }

    /// The grid of the comparison with reference photos.
    pub(crate) fn references(self) -> Option<&'a [f32]> {
        let LogitsShape { taps, patches, .. } = self.shape;
        let values = &self.values[(taps[0] + taps[1]) * patches..];
        self.shape.has_references.then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shared_out_among_the_taps() {
        let logits =
            Logits::new([1, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("three taps of two");
        assert_eq!(logits.branch1().collect::<Vec<_>>(), [[1.0, 2.0]]);
        assert_eq!(
            logits.branch2().collect::<Vec<_>>(),
            [[3.0, 4.0], [5.0, 6.0]]
        );
        assert_eq!((logits.taps(), logits.patches()), ([1, 2], 2));
        for (taps, count) in [
            ([1, 1], 0),
            ([0, 2], 4),
            ([2, 0], 4),
            ([1, 2], 4),
            ([usize::MAX, 1], 4),
        ] {
            assert!(
                matches!(
                    Logits::new(taps, vec![0.0; count]),
                    Err(Error::LogitsLength { found, .. }) if found == count
                ),
                "{count} values for {taps:?} taps"
            );
        }
    }
}
