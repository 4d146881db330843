//! Colour has fewer samples than brightness in most photos. libjpeg's "fancy upsampling"
//! (`jdsample.c`) interpolates where there are half as many; it is repeated here to the bit.

/// How one component gets to the photo's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upsampling {
    /// Across, a triangle of 3/4 and 1/4.
    Across,
    /// Down, a triangle of 3/4 and 1/4.
    Down,
    /// Both.
    Both,
    /// Each sample this many times across and down.
    Repeat(usize, usize),
}

impl Upsampling {
    /// For a component that has `width` samples in a row and takes `across` and `down` pixels of the
    /// photo for each.
    pub(super) fn new(across: usize, down: usize, width: usize) -> Self {
        match (across, down) {
            (2, 1) if width > 2 => Self::Across,
            (1, 2) => Self::Down,
            (2, 2) if width > 2 => Self::Both,
            _ => Self::Repeat(across, down),
        }
    }

    /// The samples for row `y` of the photo, at least as many as `output` has columns needed, from the
    /// component's rows, which `row` gives (those outside the photo are the nearest inside).
    #[expect(clippy::inline_always, reason = "part of a kernel")]
    #[inline(always)]
    pub(super) fn line<'a>(
        self,
        y: usize,
        row: impl Fn(isize) -> &'a [u8],
        sums: &mut Vec<u16>,
        output: &mut [u8],
    ) {
        let halved = (y / 2) as isize;
        let is_upper = y.is_multiple_of(2);
        let neighbour = if is_upper { halved - 1 } else { halved + 1 };
        match self {
            Self::Repeat(across, down) => {
                let source = row((y / down) as isize);
                if across == 1 {
                    output[..source.len()].copy_from_slice(source);
                } else {
                    for (to, &sample) in output.chunks_mut(across).zip(source) {
                        to.fill(sample);
                    }
                }
            }
            Self::Across => {
                let source = row(y as isize);
                sums.clear();
                sums.extend(source.iter().map(|&sample| u16::from(sample)));
                spread(sums, 2, (1, 2), (0, 0), output);
            }
            Self::Down => {
                let bias = if is_upper { 1 } else { 2 };
                let pairs = row(halved).iter().zip(row(neighbour));
                for (to, (&near, &far)) in output.iter_mut().zip(pairs) {
                    *to = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
                }
            }
            Self::Both => {
                sums.clear();
                let pairs = row(halved).iter().zip(row(neighbour));
                sums.extend(pairs.map(|(&near, &far)| u16::from(near) * 3 + u16::from(far)));
                spread(sums, 4, (8, 7), (8, 7), output);
            }
        }
    }
}

/// Two samples from each, 3/4 of it and 1/4 of its neighbour, in `bits` fractional bits; at the ends
/// all of it. `biases` and `end_biases` round the left and the right of the two.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn spread(sums: &[u16], bits: u32, biases: (u16, u16), end_biases: (u16, u16), output: &mut [u8]) {
    let (left, right) = biases;
    // At least three samples, see `Upsampling::new`.
    let last = sums.len() - 1;
    output[0] = ((sums[0] * 4 + end_biases.0) >> bits) as u8;
    output[1] = ((sums[0] * 3 + sums[1] + right) >> bits) as u8;
    let pairs = output[2..2 * last].chunks_exact_mut(2);
    for (pair, three) in pairs.zip(sums.windows(3)) {
        pair[0] = ((three[1] * 3 + three[0] + left) >> bits) as u8;
        pair[1] = ((three[1] * 3 + three[2] + right) >> bits) as u8;
    }
    output[2 * last] = ((sums[last] * 3 + sums[last - 1] + left) >> bits) as u8;
    output[2 * last + 1] = ((sums[last] * 4 + end_biases.1) >> bits) as u8;
}
