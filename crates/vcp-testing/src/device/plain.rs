//! Tensors without a device.

use vcp_model::Operations;
use vcp_random::Random;

use crate::{Tolerance, assert_close};

/// A tensor without a device: what an operation is expected to give.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    /// [batch, rows, channels].
    pub shape: [usize; 3],
    /// The values in row-major order.
    pub values: Vec<f32>,
}

impl Plain {
    /// The value of every place, computed from its place in batch, rows and channels.
    pub fn each(shape: [usize; 3], value: impl Fn(usize, usize, usize) -> f32) -> Self {
        let [batch, rows, channels] = shape;
        let mut values = Vec::with_capacity(batch * rows * channels);
        for b in 0..batch {
            for r in 0..rows {
                values.extend((0..channels).map(|c| value(b, r, c)));
            }
        }
        Self { shape, values }
    }

    /// Values from −1 to 1.
    #[must_use]
    pub fn random(shape: [usize; 3], random: &mut Random) -> Self {
        let count = shape.iter().product();
        let values = (0..count).map(|_| 2.0 * random.unit() - 1.0).collect();
        Self { shape, values }
    }

    /// The value at a place.
    #[must_use]
    pub fn at(&self, b: usize, r: usize, c: usize) -> f32 {
        let [_, rows, channels] = self.shape;
        self.values[(b * rows + r) * channels + c]
    }

    /// The value at a place of a larger tensor, where dimensions of 1 are repeated.
    #[must_use]
    pub fn repeated_at(&self, b: usize, r: usize, c: usize) -> f32 {
        let [batch, rows, channels] = self.shape;
        self.at(b.min(batch - 1), r.min(rows - 1), c.min(channels - 1))
    }

    /// The same on a device.
    pub fn on<O: Operations>(&self, device: &O) -> O::Tensor {
        device.constant(self.shape, &self.values).unwrap()
    }

    /// Asserts that a device's tensor is this, to the bit.
    #[track_caller]
    pub fn assert_is<O: Operations>(&self, what: &str, device: &O, found: &O::Tensor) {
        assert_eq!(device.shape(found), self.shape, "{what}: shape");
        assert_eq!(device.values(found).unwrap(), self.values, "{what}");
    }

    /// Asserts that a device's tensor is near this.
    #[track_caller]
    pub fn assert_near<O: Operations>(&self, what: &str, device: &O, found: &O::Tensor) {
        assert_eq!(device.shape(found), self.shape, "{what}: shape");
        let found = device.values(found).unwrap();
        assert_close(what, &found, &self.values, Tolerance::Rounding);
    }
}
