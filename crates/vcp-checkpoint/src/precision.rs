//! The numbers that the vision tower is computed with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The numbers that the products of the vision tower are computed with. Everything else is computed in `f32`.
///
/// Devices without the instructions compute in `f32` with the same weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bfloat16, the upper half of an `f32`; sums are `f32`.
    Bf16,
    /// 8-bit integers, with a scale for each output; sums are 32-bit integers.
    Int8,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// Its name, as in bundles and options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    // By reference, because that is how serde calls it.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_in_files() {
        for precision in Precision::ALL {
            let text = format!("\"{precision}\"");
            assert_eq!(serde_json::to_string(&precision).unwrap(), text);
            assert_eq!(serde_json::from_str::<Precision>(&text).unwrap(), precision);
        }
        assert!(serde_json::from_str::<Precision>("\"INT8\"").is_err());
    }
}
