//! By how much the loss is scaled up in mixed precision, so that gradients do not vanish in 16-bit
//! floats: as much as they bear (Micikevicius et al., 2018; PyTorch's `GradScaler`).

use serde::{Deserialize, Serialize};

/// A factor that is halved when gradients leave the range of 16-bit floats, and doubled when they have
/// not for long. Powers of two, so that scaling rounds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    factor: f32,
    /// Steps since it changed.
    steps: u32,
}

/// Where it starts.
const FIRST: f32 = 65_536.0;
/// Steps after which a larger one is tried.
const PATIENCE: u32 = 2000;
const LARGEST: f32 = 16_777_216.0;

impl Default for LossScale {
    fn default() -> Self {
        Self {
            factor: FIRST,
            steps: 0,
        }
    }
}

impl LossScale {
    /// What the loss is multiplied by.
    #[must_use]
    pub fn factor(self) -> f32 {
        self.factor
    }

    /// Half of it, after gradients that are no numbers. Nothing once it is 1: then scaling is not what
    /// makes them so.
    pub(crate) fn halved(self) -> Option<Self> {
        (self.factor > 1.0).then_some(Self {
            factor: self.factor / 2.0,
            steps: 0,
        })
    }

    /// What it is after a step that was made with it.
    pub(crate) fn after_step(self) -> Self {
        if self.steps + 1 < PATIENCE {
            return Self {
                steps: self.steps + 1,
                ..self
            };
        }
        Self {
            factor: (self.factor * 2.0).min(LARGEST),
            steps: 0,
        }
    }

    /// Whether it can have been made here: a file may say anything.
    pub(crate) fn is_possible(self) -> bool {
        // No bit of the 23 after the leading one is set.
        let is_power_of_two = self.factor.to_bits().trailing_zeros() >= 23;
        is_power_of_two && (1.0..=LARGEST).contains(&self.factor) && self.steps < PATIENCE
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "powers of two")]
mod tests {
    use super::*;

    #[test]
    fn it_falls_to_one_and_no_further() {
        let mut scale = LossScale::default();
        let mut halvings = 0;
        while let Some(halved) = scale.halved() {
            assert_eq!(halved.factor() * 2.0, scale.factor());
            assert!(halved.is_possible());
            scale = halved;
            halvings += 1;
        }
        assert_eq!((scale.factor(), halvings), (1.0, 16));
    }

    #[test]
    fn it_rises_after_enough_steps_in_a_row() {
        let after = |mut scale: LossScale, steps: u32| {
            for _ in 0..steps {
                scale = scale.after_step();
            }
            scale
        };
        let start = LossScale::default();
        assert_eq!(after(start, PATIENCE - 1).factor(), FIRST);
        assert_eq!(after(start, PATIENCE).factor(), 2.0 * FIRST);
        let interrupted = after(start, PATIENCE - 1).halved().unwrap();
        assert_eq!(after(interrupted, PATIENCE - 1).factor(), FIRST / 2.0);
        let long = after(start, 100 * PATIENCE);
        assert_eq!(long.factor(), LARGEST);
        assert!(long.is_possible());
    }

    #[test]
    fn impossible_ones_are_known() {
        for factor in [0.0, 0.5, 3.0, -2.0, f32::NAN, f32::INFINITY, 1e30] {
            let scale = LossScale { factor, steps: 0 };
            assert!(!scale.is_possible(), "{factor}");
        }
        let scale = LossScale {
            factor: FIRST,
            steps: PATIENCE,
        };
        assert!(!scale.is_possible());
    }
}
