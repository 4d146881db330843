//! Maps and scores of a category on one scale.

/// The official scaling: the smallest value becomes 0, the largest 1, in single precision. All
/// values are 0 where there is only one (the official code divides by 0 there).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scaling {
    smallest: f32,
    largest: f32,
}

impl Scaling {
    pub(crate) fn of_range([smallest, largest]: [f32; 2]) -> Self {
        Self { smallest, largest }
    }

    pub(crate) fn over(values: impl Iterator<Item = f32> + Clone) -> Option<Self> {
        let smallest = values.clone().reduce(f32::min)?;
        let largest = values.reduce(f32::max)?;
        Some(Self { smallest, largest })
    }

    pub(crate) fn apply(self, value: f32) -> f32 {
        if self.largest > self.smallest {
            (value - self.smallest) / (self.largest - self.smallest)
        } else {
            0.0
        }
    }

    pub(crate) fn undo(self, scaled: f64) -> f64 {
        let (smallest, largest) = (f64::from(self.smallest), f64::from(self.largest));
        smallest + scaled * (largest - smallest)
    }

    pub(crate) fn range(self) -> [f32; 2] {
        [self.smallest, self.largest]
    }
}
