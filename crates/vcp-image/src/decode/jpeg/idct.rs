//! From coefficients to samples, as libjpeg's accurate integer method does it (`jidctint.c`, after
//! Loeffler, Ligtenberg and Moschytz): to the bit, so that photos look to the model as they do through
//! Pillow.

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

/// Writes the samples of a block into `output`, whose rows are `stride` apart. Coefficients and
/// divisors are in natural order.
pub(super) fn inverse(
    coefficients: &[i16; 64],
    divisors: &[u16; 64],
    output: &mut [u8],
    stride: usize,
) {
    let mut values = [0_i32; 64];
    for ((value, &coefficient), &divisor) in values.iter_mut().zip(coefficients).zip(divisors) {
        // What a broken file holds may be larger than any sum here.
        *value = (i32::from(coefficient) * i32::from(divisor)).clamp(-0x7FFF, 0x7FFF);
    }
    if values[1..].iter().all(|&value| value == 0) {
        // The same as below, without the work: most blocks of a flat surface.
        let sample = sample(((values[0] << PASS_BITS) + (1 << (PASS_BITS + 2))) >> (PASS_BITS + 3));
        for row in output.chunks_mut(stride).take(8) {
            row[..8].fill(sample);
        }
        return;
    }
    for column in 0..8 {
        let line = std::array::from_fn(|row| values[row * 8 + column]);
        for (row, value) in pass(line, CONSTANT_BITS - PASS_BITS)
            .into_iter()
            .enumerate()
        {
            values[row * 8 + column] = value;
        }
    }
    let (lines, _) = values.as_chunks::<8>();
    for (line, row) in lines.iter().zip(output.chunks_mut(stride)) {
        let line = pass(*line, CONSTANT_BITS + PASS_BITS + 3);
        for (byte, value) in row.iter_mut().zip(line) {
            *byte = sample(value);
        }
    }
}

fn sample(value: i32) -> u8 {
    (value + 128).clamp(0, 255) as u8
}

/// One line of eight, rounded by `shift` bits.
#[inline]
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
