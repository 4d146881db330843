//! Samples of more than 8 bits become one byte each.

use crate::Warning;

/// How many of the 16 bits in which a file stores each sample hold the brightness. Machine-vision
/// cameras write 10 or 12 bits into the low end of 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SampleDepth {
    /// White is 255.
    Eight,
    /// White is 1023.
    Ten,
    /// White is 4095.
    Twelve,
    /// White is 16383.
    Fourteen,
    /// White is 65535.
    Sixteen,
}

impl SampleDepth {
    /// All of them, the lowest first.
    pub const ALL: [Self; 5] = [
        Self::Eight,
        Self::Ten,
        Self::Twelve,
        Self::Fourteen,
        Self::Sixteen,
    ];

    /// The depth of so many bits, if there is one.
    #[must_use]
    pub fn of(bits: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|depth| depth.bits() == bits)
    }

    /// 8 to 16.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Eight => 8,
            Self::Ten => 10,
            Self::Twelve => 12,
            Self::Fourteen => 14,
            Self::Sixteen => 16,
        }
    }

    /// The sample that is shown as 255. Larger ones are, too.
    #[must_use]
    pub fn white(self) -> u16 {
        u16::MAX >> (16 - self.bits())
    }

    /// The depth of photos whose largest sample this is. 14 bits are not guessed: no sample above
    /// 16383 is as well a photo of 16 bits that is a little dark. Black alone says nothing.
    #[must_use]
    pub fn guess(largest: u16) -> Self {
        match largest {
            1..=255 => Self::Eight,
            256..=1023 => Self::Ten,
            1024..=4095 => Self::Twelve,
            _ => Self::Sixteen,
        }
    }

    /// A sample in 8 bits.
    pub(super) fn narrow(self, sample: u16) -> u8 {
        (sample >> (self.bits() - 8)).min(255) as u8
    }
}

/// Where the depth of 16-bit samples is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bits {
    /// Guessed from the largest sample of each photo. Two photos of one camera may then be brightened
    /// differently, so for more than one photo [`settle_bits`](crate::settle_bits) is asked before.
    #[default]
    Auto,
    /// Guessed from many photos together: a photo whose samples are above white has a
    /// [`Warning`](crate::Warning).
    Settled(SampleDepth),
    /// Known.
    Fixed(SampleDepth),
}

/// What becomes of a sample of more than 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Narrowing {
    /// Brightness.
    Depth(SampleDepth),
    /// Zero if all bits are, and where alpha says so: masks.
    AnyBit,
}

impl Narrowing {
    pub(super) fn apply(self, sample: u16) -> u8 {
        match self {
            Self::Depth(depth) => depth.narrow(sample),
            Self::AnyBit => ((sample >> 8) as u8).max(u8::from(sample > 0)),
        }
    }
}

/// What should be known of a photo of 16-bit samples that was read with this depth.
pub(super) fn depth_warning(bits: Bits, depth: SampleDepth, largest: u16) -> Option<Warning> {
    let (white, bits_count) = (depth.white(), depth.bits());
    if largest > white {
        Some(Warning::AboveWhite {
            bits: bits_count,
            white,
        })
    } else if depth != SampleDepth::Sixteen && !matches!(bits, Bits::Fixed(_)) {
        Some(Warning::FewerBits { bits: bits_count })
    } else {
        None
    }
}

/// The largest of the first `keep` of each pixel's samples of 16 bits, in the machine's byte order.
pub(super) fn largest_sample(buffer: &[u8], channels: usize, keep: usize) -> u16 {
    let pixels = buffer.chunks_exact(channels * 2);
    let samples = pixels.flat_map(|pixel| pixel[..keep * 2].as_chunks::<2>().0);
    samples.fold(0, |largest, bytes| largest.max(u16::from_ne_bytes(*bytes)))
}

/// Drops the channels after the first `keep` and makes each sample one byte, in place.
pub(super) fn compact(
    buffer: &mut Vec<u8>,
    channels: usize,
    keep: usize,
    bytes_per_sample: usize,
    narrowing: Narrowing,
) {
    if channels == keep && bytes_per_sample == 1 {
        return;
    }
    let pixel = channels * bytes_per_sample;
    let count = buffer.len() / pixel;
    let sample = |buffer: &[u8], index: usize, channel: usize| {
        let at = index * pixel + channel * bytes_per_sample;
        if bytes_per_sample == 1 {
            return buffer[at];
        }
        // Decoders give 16-bit samples in the machine's byte order.
        narrowing.apply(u16::from_ne_bytes([buffer[at], buffer[at + 1]]))
    };
    // The channel after those that are kept is alpha.
    let alpha_speaks = narrowing == Narrowing::AnyBit
        && channels > keep
        && (1..count).any(|index| sample(buffer, index, keep) != sample(buffer, 0, keep));
    for index in 0..count {
        let most = if alpha_speaks {
            sample(buffer, index, keep)
        } else {
            u8::MAX
        };
        for channel in 0..keep {
            buffer[index * keep + channel] = sample(buffer, index, channel).min(most);
        }
    }
    buffer.truncate(count * keep);
    buffer.shrink_to_fit();
}
