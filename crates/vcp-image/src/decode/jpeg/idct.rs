//! From coefficients to samples, as libjpeg's accurate integer method does it (`jidctint.c`, after
//! Loeffler, Ligtenberg and Moschytz): to the bit, so that photos look to the model as they do through
//! Pillow.

use vcp_simd::kernel;

const CONSTANT_BITS: u32 = 13;
const PASS_BITS: u32 = 2;

const FIX_0_298631336: i32 = 2446;
const FIX_0_390180644: i32 = 3196;
const FIX_0_541196100: i32 = 4433;
const FIX_0_765366865: i32 = 6270;
const FIX_0_899976223: i32 = 7373;
const FIX_1_175875602: i32 = 9633;
const FIX_1_501321110: i32 = 12299;
const FIX_1_847759065: i32 = 15137;
const FIX_1_961570560: i32 = 16069;
const FIX_2_053119869: i32 = 16819;
const FIX_2_562915447: i32 = 20995;
const FIX_3_072711026: i32 = 25172;

/// Eight lines of eight values.
type Square<T> = [[T; 8]; 8];

kernel! {
    /// The samples of a block, line by line. Coefficients and divisors are in natural order.
    pub(super) fn inverse<S: Simd>(
        _simd: S,
        coefficients: &[i16; 64],
        divisors: &[u16; 64],
    ) -> Square<u8> {
        let mut values = [0; 64];
        for ((value, &coefficient), &divisor) in values.iter_mut().zip(coefficients).zip(divisors) {
            // What a broken file holds may be larger than any sum here.
            *value = (i32::from(coefficient) * i32::from(divisor)).clamp(-0x7FFF, 0x7FFF);
        }
        let mut others = *coefficients;
        others[0] = 0;
        if others.iter().fold(0, |all, other| all | other) == 0 {
            // The same as below, without the work: most blocks of a flat surface.
            let value = (values[0] << PASS_BITS) + (1 << (PASS_BITS + 2));
            return [[sample(value >> (PASS_BITS + 3)); 8]; 8];
        }
        let columns = passes(&values, CONSTANT_BITS - PASS_BITS);
        let lines = passes(&transposed(&columns), CONSTANT_BITS + PASS_BITS + 3);
        let mut samples = [[0; 8]; 8];
        for (to, &value) in samples.as_flattened_mut().iter_mut().zip(&transposed(&lines)) {
            *to = sample(value);
        }
        samples
    }
}

#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn sample(value: i32) -> u8 {
    (value + 128).clamp(0, 255) as u8
}

#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn transposed(square: &[i32; 64]) -> [i32; 64] {
    std::array::from_fn(|place| square[place % 8 * 8 + place / 8])
}

/// A [`pass`] over each column. They are side by side in a loop because that is what the compiler vectorises.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn passes(square: &[i32; 64], shift: u32) -> [i32; 64] {
    let mut output = [0; 64];
    for column in 0..8 {
        let line = pass(std::array::from_fn(|row| square[row * 8 + column]), shift);
        for (row, value) in line.into_iter().enumerate() {
            output[row * 8 + column] = value;
        }
    }
    output
}

/// One line of eight, rounded by `shift` bits.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn pass(line: [i32; 8], shift: u32) -> [i32; 8] {
    let times = i32::wrapping_mul;
    // The even half.
    let shared = times(line[2] + line[6], FIX_0_541196100);
    let low = shared.wrapping_sub(times(line[6], FIX_1_847759065));
    let high = shared.wrapping_add(times(line[2], FIX_0_765366865));
    let sum = (line[0] + line[4]) << CONSTANT_BITS;
    let difference = (line[0] - line[4]) << CONSTANT_BITS;
    let even = [
        sum.wrapping_add(high),
        difference.wrapping_add(low),
        difference.wrapping_sub(low),
        sum.wrapping_sub(high),
    ];
    // The odd half.
    let [a, b, c, d] = [line[7], line[5], line[3], line[1]];
    let shared = times(a + c + b + d, FIX_1_175875602);
    let outer = times(a + d, -FIX_0_899976223);
    let inner = times(b + c, -FIX_2_562915447);
    let first = times(a + c, -FIX_1_961570560).wrapping_add(shared);
    let second = times(b + d, -FIX_0_390180644).wrapping_add(shared);
    let odd = [
        times(d, FIX_1_501321110)
            .wrapping_add(outer)
            .wrapping_add(second),
        times(c, FIX_3_072711026)
            .wrapping_add(inner)
            .wrapping_add(first),
        times(b, FIX_2_053119869)
            .wrapping_add(inner)
            .wrapping_add(second),
        times(a, FIX_0_298631336)
            .wrapping_add(outer)
            .wrapping_add(first),
    ];
    let half = 1 << (shift - 1);
    std::array::from_fn(|index| {
        let total = if index < 4 {
            even[index].wrapping_add(odd[index])
        } else {
            even[7 - index].wrapping_sub(odd[7 - index])
        };
        total.wrapping_add(half) >> shift
    })
}

#[cfg(test)]
mod tests {
    use vcp_random::Random;
    use vcp_simd::Supported;

    use super::*;

    /// Line by line, and without a short cut.
    fn plain(coefficients: &[i16; 64], divisors: &[u16; 64]) -> Square<u8> {
        let value = |place: usize| {
            let value = i32::from(coefficients[place]) * i32::from(divisors[place]);
            value.clamp(-0x7FFF, 0x7FFF)
        };
        let columns: [[i32; 8]; 8] = std::array::from_fn(|column| {
            let line = std::array::from_fn(|row| value(row * 8 + column));
            pass(line, CONSTANT_BITS - PASS_BITS)
        });
        std::array::from_fn(|row| {
            let line = columns.map(|column| column[row]);
            pass(line, CONSTANT_BITS + PASS_BITS + 3).map(sample)
        })
    }

    #[test]
    fn squares_are_transformed_as_line_by_line() {
        let random = &mut Random::new(17);
        for round in 0..3000_usize {
            // From one coefficient to all, and from usual ones to those of broken files.
            let largest = [4, 64, 1024, i16::MAX as usize][round % 4];
            let mut coefficients = [0; 64];
            for _ in 0..random.pick(&[0, 1, 5, 64]) {
                let value = random.count(0, largest) as i16;
                coefficients[random.below(64)] = value * random.pick(&[1, -1]);
            }
            coefficients[0] = random.count(0, largest) as i16;
            let divisors =
                std::array::from_fn(|_| random.count(1, [16, 255, 65_535][round % 3]) as u16);
            let expected = plain(&coefficients, &divisors);
            for set in Supported::all() {
                let found = inverse(set, &coefficients, &divisors);
                assert_eq!(found, expected, "{coefficients:?} on {set:?}");
            }
        }
    }
}
