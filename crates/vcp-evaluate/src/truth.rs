//! What is known about where an image's defects are.

use vcp_image::{Photo, resize_mask};

/// The truth about an image, at the model's image size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// The image is normal.
    Normal,
    /// The image is anomalous, and the defects are here.
    Mask(Bits),
    /// The image is anomalous, but nobody knows where. It counts for image figures only.
    Unknown,
}

/// A mask with one bit for each pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    pixels: usize,
    words: Vec<u64>,
}

impl Bits {
    /// From bytes, one for each pixel, in row-major order: those not 0 are defect.
    #[must_use]
    pub fn new(mask: &[u8]) -> Self {
        let words = mask.chunks(64).map(|pixels| {
            let bits = pixels.iter().enumerate();
            bits.fold(0, |word, (at, &pixel)| word | u64::from(pixel != 0) << at)
        });
        Self {
            pixels: mask.len(),
            words: words.collect(),
        }
    }

    /// Back to bytes: 255 for defect, else 0.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bit = |pixel: usize| self.words[pixel / 64] >> (pixel % 64) & 1;
        (0..self.pixels)
            .map(|pixel| 255 * bit(pixel) as u8)
            .collect()
    }

    /// How much of the image is defect, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        let defect: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        f64::from(defect) / self.pixels.max(1) as f64
    }

    /// Whether no pixel is defect.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }
}

impl Truth {
    /// From a mask of any size.
    pub(crate) fn of_mask(mask: &Photo, side: usize) -> Self {
        Self::Mask(Bits::new(resize_mask(mask, side, side).pixels()))
    }

    /// A byte for each pixel, not 0 where there is a defect; `None` if the image is normal or nobody
    /// knows.
    #[must_use]
    pub fn mask(&self) -> Option<Vec<u8>> {
        match self {
            Self::Normal | Self::Unknown => None,
            Self::Mask(bits) => Some(bits.to_bytes()),
        }
    }

    /// Whether pixel figures can use the image.
    #[must_use]
    pub fn is_known(&self) -> bool {
        *self != Self::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_keep_masks() {
        for length in [0, 1, 63, 64, 65, 200] {
            let mask: Vec<u8> = (0..length)
                .map(|at| if at * 7 % 5 == 0 { 255 } else { 0 })
                .collect();
            let bits = Bits::new(&mask);
            assert_eq!(bits.to_bytes(), mask, "{length} pixels");
            assert_eq!(bits.is_empty(), length == 0);
            let defect = mask.iter().filter(|&&pixel| pixel > 0).count();
            assert!((bits.share() * f64::from(length) - defect as f64).abs() < 1e-9);
        }
        assert!(Bits::new(&[0; 100]).is_empty());
        assert!(!Bits::new(&[0, 1]).is_empty());
    }
}
