//! How photos are processed, and whether a calibration was found with photos processed so.

use std::fmt;
use std::num::NonZero;

use vcp_checkpoint::{Calibration, CalibrationWindows, ReferenceDescription, Settings};
use vcp_image::{Bits, DecodeOptions};
use vcp_predict::tiling::Tiling;
use vcp_predict::{PredictorOptions, pixels_for_score};

use crate::inspection_mask::InspectionMask;

/// How photos are processed: everything beside the model and its settings that values of maps and scores
/// depend on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Viewing {
    /// How photos are cut into windows, if they are.
    pub tiling: Option<Tiling>,
    /// Whether they are turned as their metadata say; `None` where that is not compared.
    pub apply_orientation: Option<bool>,
    /// How many bits of 16-bit samples hold the brightness.
    pub bits: Bits,
    /// The part of them that counts, as [`InspectionMask::sha256`]; everything if `None`.
    pub mask_sha256: Option<String>,
    /// How maps are blended and smoothed and scores are made.
    pub constants: PredictorOptions,
    /// The memory of reference photos that they are compared with, by its digest, if they are.
    pub references: Option<String>,
}

impl Viewing {
    /// With photos decoded by these options, and the usual constants.
    #[must_use]
    pub fn of(decode: &DecodeOptions, tiling: Option<Tiling>) -> Self {
        Self {
            tiling,
            apply_orientation: Some(decode.apply_orientation),
            bits: decode.bits,
            mask_sha256: None,
            constants: PredictorOptions::default(),
            references: None,
        }
    }

    /// The same, of which only a part counts; everything if `None`.
    #[must_use]
    pub fn with_mask(self, mask: Option<&InspectionMask>) -> Self {
        Self {
            mask_sha256: mask.map(|mask| mask.sha256().to_owned()),
            ..self
        }
    }
}

/// In which way a calibration was found otherwise than photos are processed now. As text it stands behind
/// "was found": `with another image size`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Mismatch {
    /// Photos were resized to another size.
    ImageSize,
    /// Other vision blocks were used.
    Taps,
    /// The towers had another activation function.
    Activation,
    /// The context vectors depended on the photo and do not now, or the other way round.
    Context,
    /// The texts were others.
    Templates,
    /// The model's fractions of the branches in the map were others.
    Blend,
    /// Photos were cut into other windows, or processed whole (`None`).
    Windows(Option<CalibrationWindows>),
    /// So many bits of 16-bit samples were taken for brightness.
    Bits(u32),
    /// Only a part of photos counted, and now all of them does.
    WithMask,
    /// All of photos counted, and now only a part of them does.
    WithoutMask,
    /// Another part of photos counted.
    OtherMask,
    /// Photos were compared with other reference photos than now.
    OtherReferences,
    /// Photos were compared with reference photos, and are compared with none now.
    WithReferences,
    /// Photos were compared with no reference photos.
    NoReferences,
    /// Photos were turned as their metadata say (true), or left as they are stored.
    Orientation(bool),
    /// The score was made of other fractions of the largest pixels.
    ScoreFractions,
    /// Without the option `--blend`.
    BlendOption,
    /// Without the option `--smoothing`.
    SmoothingOption,
    /// Without the option `--score-pixels`.
    ScorePixelsOption,
}

impl Mismatch {
    /// In which way photos are processed now otherwise than those of a memory of reference photos, so that they cannot
    /// be compared with these.
    #[must_use]
    pub fn of_references(references: &ReferenceDescription, viewing: &Viewing) -> Option<Self> {
        if references.windows != viewing.tiling.as_ref().map(windows_of) {
            return Some(Self::Windows(references.windows));
        }
        let turned = viewing.apply_orientation;
        // Bits that other photos have settled are as wrong as those that somebody says.
        let mut viewing = viewing.clone();
        if let Bits::Settled(depth) = viewing.bits {
            viewing.bits = Bits::Fixed(depth);
        }
        other_bits(&viewing, references.bits).or_else(|| {
            let found = references.apply_orientation;
            (turned? != found).then_some(Self::Orientation(found))
        })
    }

    /// Whether `calibration`, that of a model with these settings, was found in another way than photos
    /// are processed now, and in which.
    #[must_use]
    pub fn between(
        calibration: &Calibration,
        settings: &Settings,
        viewing: &Viewing,
    ) -> Option<Self> {
        if calibration.windows != viewing.tiling.as_ref().map(windows_of) {
            return Some(Self::Windows(calibration.windows));
        }
        match (&calibration.mask_sha256, &viewing.mask_sha256) {
            (None, None) => {}
            (Some(_), None) => return Some(Self::WithMask),
            (None, Some(_)) => return Some(Self::WithoutMask),
            (Some(found_with), Some(now)) if found_with == now => {}
            (Some(_), Some(_)) => return Some(Self::OtherMask),
        }
        if let Some(bits) = other_bits(viewing, calibration.bits) {
            return Some(bits);
        }
        if calibration.references != viewing.references {
            return Some(match (&calibration.references, &viewing.references) {
                (None, _) => Self::NoReferences,
                (Some(_), None) => Self::WithReferences,
                (Some(_), Some(_)) => Self::OtherReferences,
            });
        }
        if let Some(option) = other_constants(settings, &viewing.constants) {
            return Some(option);
        }
        let turned = viewing.apply_orientation?;
        (turned != calibration.apply_orientation)
            .then_some(Self::Orientation(calibration.apply_orientation))
    }
}

fn other_bits(viewing: &Viewing, found_with: Option<u32>) -> Option<Mismatch> {
    match (viewing.bits, found_with) {
        (Bits::Fixed(depth), Some(found)) if found != depth.bits() => Some(Mismatch::Bits(found)),
        _ => None,
    }
}

/// Windows as a calibration records them.
pub(crate) fn windows_of(tiling: &Tiling) -> CalibrationWindows {
    CalibrationWindows {
        tile: tiling.tile(),
        overlap: tiling.overlap(),
        global_weight: tiling.global_weight(),
    }
}

/// A constant that makes other values of the same photo than `calibrate` has seen, if there is one.
fn other_constants(settings: &Settings, constants: &PredictorOptions) -> Option<Mismatch> {
    let usual_count = |count: NonZero<usize>| {
        settings.score_fractions.is_empty() && count.get() == pixels_for_score(settings.image_size)
    };
    let blend = constants.blend.unwrap_or(settings.blend);
    let smoothing = PredictorOptions::default().smoothing;
    if blend.map(f32::to_bits) != settings.blend.map(f32::to_bits) {
        Some(Mismatch::BlendOption)
    } else if constants.smoothing.to_bits() != smoothing.to_bits() {
        Some(Mismatch::SmoothingOption)
    } else if !constants.score_pixels.is_none_or(usual_count) {
        Some(Mismatch::ScorePixelsOption)
    } else {
        None
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Windows(Some(windows)) => {
                return write!(
                    formatter,
                    "with --tile {} --overlap {} --global-weight {}",
                    windows.tile, windows.overlap, windows.global_weight
                );
            }
            Self::Bits(bits) => return write!(formatter, "with --bits {bits}"),
            Self::ImageSize => "with another image size",
            Self::Taps => "with other taps",
            Self::Activation => "with another activation",
            Self::Context => "with another context",
            Self::Templates => "with other templates",
            Self::Blend => "with other fractions of the branches",
            Self::Windows(None) => "without --tile",
            Self::WithMask => "with --inspect-mask or --ignore-mask",
            Self::WithoutMask => "without a mask",
            Self::OtherMask => "with another mask",
            Self::OtherReferences => "with other reference photos",
            Self::WithReferences => "with reference photos",
            Self::NoReferences => "without reference photos",
            Self::Orientation(true) => "without --no-orientation",
            Self::Orientation(false) => "with --no-orientation",
            Self::ScoreFractions => "with other fractions of pixels in the score",
            Self::BlendOption => "without --blend",
            Self::SmoothingOption => "without --smoothing",
            Self::ScorePixelsOption => "without --score-pixels",
        };
        formatter.write_str(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_image::SampleDepth;

    fn calibration() -> Calibration {
        Calibration {
            version: Calibration::VERSION,
            pixel_threshold: 0.5,
            score_threshold: 0.5,
            range: (0.0, 1.0),
            data: String::new(),
            date: "2026-01-01".to_owned(),
            images: 10,
            apply_orientation: true,
            review_threshold: None,
            mask_sha256: None,
            windows: None,
            bits: None,
            references: None,
        }
    }

    #[test]
    fn what_values_depend_on_is_compared() {
        let settings = Settings::default();
        let usual = Viewing::of(&DecodeOptions::default(), None);
        let between = |calibration: &Calibration, viewing: &Viewing| {
            Mismatch::between(calibration, &settings, viewing).map(|it| it.to_string())
        };
        assert_eq!(between(&calibration(), &usual), None);

        let tiling = Tiling::new(64, 0.25, 0.0).ok();
        let tiled = Viewing {
            tiling,
            ..usual.clone()
        };
        assert_eq!(
            between(&calibration(), &tiled).as_deref(),
            Some("without --tile")
        );
        let mut found_tiled = calibration();
        found_tiled.windows = tiling.as_ref().map(windows_of);
        assert_eq!(between(&found_tiled, &tiled), None);
        assert_eq!(
            between(&found_tiled, &usual).as_deref(),
            Some("with --tile 64 --overlap 0.25 --global-weight 0")
        );

        let bits = Bits::Fixed(SampleDepth::Ten);
        let ten = Viewing {
            bits,
            ..usual.clone()
        };
        let mut found_with_bits = calibration();
        assert_eq!(
            between(&found_with_bits, &ten),
            None,
            "no photo had 16-bit samples"
        );
        found_with_bits.bits = Some(12);
        assert_eq!(
            between(&found_with_bits, &usual),
            None,
            "bits are settled by the calibration"
        );
        assert_eq!(
            between(&found_with_bits, &ten).as_deref(),
            Some("with --bits 12")
        );

        let mut found_unturned = calibration();
        found_unturned.apply_orientation = false;
        assert_eq!(
            between(&found_unturned, &usual).as_deref(),
            Some("with --no-orientation")
        );
        let not_compared = Viewing {
            apply_orientation: None,
            ..usual.clone()
        };
        assert_eq!(between(&found_unturned, &not_compared), None);

        let constants = |constants: PredictorOptions| Viewing {
            constants,
            ..usual.clone()
        };
        let plain = PredictorOptions::default();
        for (viewing, expected) in [
            (
                constants(PredictorOptions {
                    blend: Some(settings.blend),
                    ..plain
                }),
                None,
            ),
            (
                constants(PredictorOptions {
                    blend: Some([0.5, 0.5]),
                    ..plain
                }),
                Some("without --blend"),
            ),
            (
                constants(PredictorOptions {
                    smoothing: 0.0,
                    ..plain
                }),
                Some("without --smoothing"),
            ),
            (
                constants(PredictorOptions {
                    score_pixels: NonZero::new(1),
                    ..plain
                }),
                Some("without --score-pixels"),
            ),
        ] {
            assert_eq!(between(&calibration(), &viewing).as_deref(), expected);
        }
    }

    #[test]
    fn masks_are_compared() {
        let settings = Settings::default();
        let usual = Viewing::of(&DecodeOptions::default(), None);
        let between = |calibration: &Calibration, viewing: &Viewing| {
            Mismatch::between(calibration, &settings, viewing).map(|it| it.to_string())
        };
        let digest = |digit: &str| Some(digit.repeat(64));
        let masked = |mask_sha256| Viewing {
            mask_sha256,
            ..usual.clone()
        };
        let mut found_masked = calibration();
        found_masked.mask_sha256 = digest("a");
        for (found, now, expected) in [
            (&found_masked, masked(digest("a")), None),
            (
                &found_masked,
                masked(digest("b")),
                Some("with another mask"),
            ),
            (
                &found_masked,
                masked(None),
                Some("with --inspect-mask or --ignore-mask"),
            ),
            (&calibration(), masked(digest("a")), Some("without a mask")),
        ] {
            assert_eq!(between(found, &now).as_deref(), expected);
        }
    }

    #[test]
    fn a_calibration_is_of_its_reference_photos() {
        let settings = Settings::default();
        let usual = Viewing::of(&DecodeOptions::default(), None);
        let between = |calibration: &Calibration, viewing: &Viewing| {
            Mismatch::between(calibration, &settings, viewing).map(|it| it.to_string())
        };
        let compared = Viewing {
            references: Some("a".to_owned()),
            ..usual.clone()
        };
        let mut found_compared = calibration();
        found_compared.references = Some("b".to_owned());
        for (viewing, words) in [
            (&usual, "with reference photos"),
            (&compared, "with other reference photos"),
        ] {
            assert_eq!(between(&found_compared, viewing).as_deref(), Some(words));
        }
        assert_eq!(
            between(&calibration(), &compared).as_deref(),
            Some("without reference photos")
        );
        found_compared.references = Some("a".to_owned());
        assert_eq!(between(&found_compared, &compared), None);
    }
}
