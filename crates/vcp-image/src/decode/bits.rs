//! Samples of other depths become one byte each.

/// What becomes of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Narrowing {
    /// The upper 8: brightness.
    UpperByte,
    /// Zero if all 16 are, and where alpha says so: masks.
    AnyBit,
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
        let value = u16::from_ne_bytes([buffer[at], buffer[at + 1]]);
        match narrowing {
            Narrowing::UpperByte => (value >> 8) as u8,
            Narrowing::AnyBit => ((value >> 8) as u8).max(u8::from(value > 0)),
        }
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
