//! Products of narrow numbers: every token that this machine has against the portable statement, against whole numbers
//! of 64 bits and against `f64`.

#![allow(
    clippy::print_stderr,
    reason = "says which instructions are not run on this machine"
)]

use vcp_simd::dot::portable::{PortableBf16, PortableBytes, PortableSaturating};
use vcp_simd::to_bf16;
use vcp_simd::{
    Dot, Exact, FloatDot, IntegerDot, Portable, Register as _, Simd as _, Supported, bf16_pair,
};

/// Groups side by side in these tests: whole registers of every token.
const WIDTH: usize = 16;

/// Half the distance from 1 to the next `f32`.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;

/// Random words (the generator is `SplitMix64`).
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Uniform in `low..=high`.
    fn between(&mut self, low: i32, high: i32) -> i32 {
        let count = i64::from(high) - i64::from(low) + 1;
        (i64::from(low) + (self.word() % count as u64) as i64) as i32
    }

    /// Uniform in -1..1.
    fn fraction(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Numbers of the left and the right side: [steps, `WIDTH`, numbers of a group].
struct Numbers<T> {
    left: Vec<T>,
    right: Vec<T>,
}

impl<T> Numbers<T> {
    fn new(count: usize, mut pair: impl FnMut() -> (T, T)) -> Self {
        let (left, right) = (0..count).map(|_| pair()).unzip();
        Self { left, right }
    }
}

/// Does something with every token for whole numbers that there is here, its name, and the portable token that it is
/// to equal.
macro_rules! each_integer {
    (|$name:ident, $dot:ident, $plain:ident| $body:expr) => {{
        let simd = Portable::new();
        let (bytes, saturating) = (PortableBytes(simd), PortableSaturating(simd));
        each_integer!(@one "portable bytes", Some(bytes), bytes, $name, $dot, $plain, $body);
        each_integer!(@one "portable, saturating", Some(saturating), saturating, $name, $dot, $plain, $body);
        #[cfg(target_arch = "x86_64")]
        {
            use vcp_simd::dot::{avx2, avx512};
            let token = avx512::Avx512Vnni::detect();
            each_integer!(@one "AVX512-VNNI", token, bytes, $name, $dot, $plain, $body);
            let token = avx512::Avx512Bytes::detect();
            each_integer!(@one "AVX-512BW", token, saturating, $name, $dot, $plain, $body);
            let token = avx2::AvxVnni::detect();
            each_integer!(@one "AVX-VNNI", token, bytes, $name, $dot, $plain, $body);
            let token = avx2::Avx2Bytes::detect();
            each_integer!(@one "AVX2", token, saturating, $name, $dot, $plain, $body);
        }
    }};
    (@one $text:literal, $token:expr, $other:expr, $name:ident, $dot:ident, $plain:ident, $body:expr) => {
        if let Some($dot) = $token {
            let ($name, $plain) = ($text, $other);
            $body;
        } else {
            eprintln!("This machine has no {}: it is not run.", $text);
        }
    };
}

/// Does something with every token for pairs of bf16 that there is here, and its name.
macro_rules! each_bf16 {
    (|$name:ident, $dot:ident| $body:expr) => {{
        {
            let ($name, $dot) = ("portable bf16", PortableBf16(Portable::new()));
            $body;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some($dot) = vcp_simd::dot::avx512::Avx512Bf16::detect() {
            let $name = "AVX512-BF16";
            $body;
        } else {
            eprintln!("This machine has no AVX512-BF16: it is not run.");
        }
    }};
}

/// Does something with the token of groups of one `f32` on every instruction set, and its name.
macro_rules! each_exact {
    (|$name:ident, $dot:ident| $body:expr) => {
        for set in Supported::all() {
            let $name = set.name().name();
            match set {
                #[cfg(target_arch = "x86_64")]
                Supported::Avx512(simd) => {
                    let $dot = Exact(simd);
                    $body;
                }
                #[cfg(target_arch = "x86_64")]
                Supported::Avx2(simd) => {
                    let $dot = Exact(simd);
                    $body;
                }
                Supported::Portable(simd) => {
                    let $dot = Exact(simd);
                    $body;
                }
            }
        }
    };
}

/// `start` plus the products of all steps, for `WIDTH` lanes. The left groups are loaded, or, of each register's first
/// lane, spread.
fn sums<D: Dot>(dot: D, left: &[u32], right: &[u32], start: &[u32], spread: bool) -> Vec<u32> {
    assert_eq!(start.len(), WIDTH);
    assert_eq!(left.len(), right.len());
    let mut out = vec![0; WIDTH];
    for first in (0..WIDTH).step_by(D::LANES) {
        // SAFETY: whole registers, each inside the slices.
        unsafe {
            let mut sums = dot.load_sums(start[first..first + D::LANES].as_ptr());
            for (left, right) in left.chunks_exact(WIDTH).zip(right.chunks_exact(WIDTH)) {
                let other = dot.load(right[first..first + D::LANES].as_ptr());
                let one = if spread {
                    dot.splat(left[0])
                } else {
                    dot.load(left[first..first + D::LANES].as_ptr())
                };
                sums = dot.multiply_add(one, other, sums);
            }
            dot.store_sums(sums, out[first..first + D::LANES].as_mut_ptr());
        }
    }
    out
}

/// The numbers as groups: of 8 bits or of 16.
fn groups<D: Dot>(_: D, numbers: &[i32]) -> Vec<u32> {
    let bits = 32 / D::GROUP;
    let mask = u32::MAX >> (32 - bits);
    let join = |group: &[i32]| {
        let parts = group.iter().enumerate();
        parts.fold(0, |word, (i, number)| {
            word | (number.cast_unsigned() & mask) << (i * bits)
        })
    };
    numbers.chunks_exact(D::GROUP).map(join).collect()
}

/// The sum of each lane in 64 bits.
fn wide_sums(group: usize, numbers: &Numbers<i32>, start: &[u32], spread: bool) -> Vec<i64> {
    let mut out: Vec<i64> = start
        .iter()
        .map(|sum| i64::from(sum.cast_signed()))
        .collect();
    for (index, right) in numbers.right.iter().enumerate() {
        let (lane, number) = (index / group % WIDTH, index % group);
        let step = index / group / WIDTH;
        let place = if spread {
            step * WIDTH * group + number
        } else {
            index
        };
        out[lane] += i64::from(numbers.left[place]) * i64::from(*right);
    }
    out
}

#[track_caller]
fn check_integers<D: IntegerDot, P: IntegerDot>(
    name: &str,
    dot: D,
    plain: P,
    numbers: &Numbers<i32>,
    start: &[u32],
) {
    assert_eq!(D::GROUP, P::GROUP, "{name}: groups");
    assert_eq!(D::LARGEST, P::LARGEST, "{name}: the largest numbers");
    // Beyond, sums are cut as the portable statement cuts them, and are not those of the products.
    let largest = i32::from(D::LARGEST);
    let is_exact = (numbers.right.iter()).all(|right| (-largest..=largest).contains(right));
    let (left, right) = (groups(dot, &numbers.left), groups(dot, &numbers.right));
    for spread in [false, true] {
        let found = sums(dot, &left, &right, start, spread);
        assert_eq!(found, sums(plain, &left, &right, start, spread), "{name}");
        let found: Vec<_> = found
            .iter()
            .map(|sum| i64::from(sum.cast_signed()))
            .collect();
        if is_exact {
            assert_eq!(found, wide_sums(D::GROUP, numbers, start, spread), "{name}");
        }
    }
}

#[test]
fn whole_numbers_are_multiplied_exactly() {
    each_integer!(|name, dot, plain| {
        let mut random = Random(1);
        for (steps, low, high) in [1, 2, 3, 17, 1000]
            .into_iter()
            .flat_map(|steps| [(steps, -128, 127), (steps, -64, 64)])
        {
            let count = steps * WIDTH * group_of(dot);
            let numbers = Numbers::new(count, || {
                (random.between(0, 255), random.between(low, high))
            });
            let start: Vec<u32> = (0..WIDTH)
                .map(|_| random.between(-1_000_000, 1_000_000).cast_unsigned())
                .collect();
            check_integers(name, dot, plain, &numbers, &start);
        }
    });
}

fn group_of<D: Dot>(_: D) -> usize {
    D::GROUP
}

/// As many of the largest products as a product of matrices may add up: nothing saturates, nothing overflows.
#[test]
fn the_largest_sums_fit() {
    const MOST: usize = 1 << 15;
    each_integer!(|name, dot, plain| {
        for right in [127, -127, -128, 64, -64, 1, -1] {
            for left in [255, 128] {
                let numbers = Numbers::new(MOST * WIDTH, || (left, right));
                check_integers(name, dot, plain, &numbers, &[0; WIDTH]);
            }
        }
        // Pairs of opposite signs: what saturates on the way would show.
        let mut turn = 0;
        let numbers = Numbers::new(1024 * WIDTH, || {
            turn += 1;
            (255, if turn % 2 == 0 { -128 } else { 127 })
        });
        check_integers(name, dot, plain, &numbers, &[0; WIDTH]);
    });
}

/// Sums of sums, and what becomes of them.
#[test]
fn sums_become_numbers() {
    each_integer!(|name, dot, plain| {
        let _ = plain;
        let mut random = Random(2);
        for _ in 0..200 {
            let mut numbers = |most: i32| -> Vec<i32> {
                (0..WIDTH).map(|_| random.between(-most, most)).collect()
            };
            let (one, other, offsets) = (numbers(1 << 28), numbers(1 << 28), numbers(1 << 22));
            let zero = random.between(0, 255);
            let found = minus(dot, [&one, &other], zero, &offsets);
            for lane in 0..WIDTH {
                let whole = i64::from(one[lane]) + i64::from(other[lane])
                    - i64::from(zero) * i64::from(offsets[lane]);
                let expected = whole as f32;
                assert_eq!(found[lane].to_bits(), expected.to_bits(), "{name}: {whole}");
            }
        }
    });
}

/// `one + other − zero · offsets`, lane by lane.
fn minus<D: IntegerDot>(dot: D, [one, other]: [&[i32]; 2], zero: i32, offsets: &[i32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; WIDTH];
    for first in (0..WIDTH).step_by(D::LANES) {
        let part = first..first + D::LANES;
        // SAFETY: whole registers, each inside the slices.
        unsafe {
            let one = dot.load_sums(one[part.clone()].as_ptr().cast());
            let other = dot.load_sums(other[part.clone()].as_ptr().cast());
            let sums = dot.add(dot.add(dot.zero(), one), other);
            dot.minus(sums, zero, offsets[part.clone()].as_ptr())
                .write(&mut out[part]);
        }
    }
    out
}

/// The nearest bf16 of a number, as `half` gives it.
fn nearest(value: f32) -> f32 {
    half::bf16::from_f32(value).to_f32()
}

/// Groups of two of these numbers.
fn pairs(numbers: &[f32]) -> Vec<u32> {
    let pairs = numbers.chunks_exact(2);
    pairs.map(|pair| bf16_pair(pair[0], pair[1])).collect()
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

/// The products of bf16 have 16 bits of significand, so each is exact in `f32`, and what is rounded are the sums, each
/// term once: Σ|terms| · (number of terms) · rounding (Higham, Accuracy and Stability of Numerical Algorithms, section
/// 3.1), whatever the order of the two products of a group. Small whole numbers are exact.
#[test]
fn bf16_are_multiplied() {
    each_bf16!(|name, dot| {
        let mut random = Random(3);
        for whole in [false, true] {
            for steps in [1, 2, 3, 50, 1000] {
                let mut number = || {
                    if whole {
                        random.between(-8, 8) as f32
                    } else {
                        random.fraction()
                    }
                };
                let numbers = Numbers::new(2 * steps * WIDTH, || (number(), number()));
                let start: Vec<f32> = (0..WIDTH).map(|_| number()).collect();
                let bits: Vec<u32> = start.iter().map(|sum| sum.to_bits()).collect();
                let (left, right) = (pairs(&numbers.left), pairs(&numbers.right));
                for spread in [false, true] {
                    let found = floats(&sums(dot, &left, &right, &bits, spread));
                    for lane in 0..WIDTH {
                        let mut sum = f64::from(start[lane]);
                        let mut magnitude = sum.abs();
                        for step in 0..steps {
                            for i in 0..2 {
                                let at = |lane| 2 * (step * WIDTH + lane) + i;
                                let left = numbers.left[at(if spread { 0 } else { lane })];
                                let right = numbers.right[at(lane)];
                                let term = f64::from(nearest(left)) * f64::from(nearest(right));
                                sum += term;
                                magnitude += term.abs();
                            }
                        }
                        let allowed = if whole {
                            0.0
                        } else {
                            magnitude * (2 * steps + 1) as f64 * ROUNDING
                        };
                        let off = (f64::from(found[lane]) - sum).abs();
                        assert!(
                            off <= allowed,
                            "{name}, {steps} steps: {off:e} where {allowed:e} is allowed"
                        );
                    }
                }
            }
        }
    });
}

/// What is no number stays in its lane, in either number of the group, on either side and in the sum; so does what is
/// infinite. Numbers too small to be normal may be zero.
#[test]
fn what_is_not_finite_stays_in_its_lane() {
    each_bf16!(|name, dot| {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in 0..5 {
                let mut numbers = Numbers::new(2 * WIDTH, || (1.0, 2.0));
                let mut start = vec![0.5_f32.to_bits(); WIDTH];
                match place {
                    0 | 1 => numbers.left[2 * 3 + place] = bad,
                    2 | 3 => numbers.right[2 * 3 + place - 2] = bad,
                    _ => start[3] = bad.to_bits(),
                }
                let (left, right) = (pairs(&numbers.left), pairs(&numbers.right));
                let found = floats(&sums(dot, &left, &right, &start, false));
                for (lane, found) in found.iter().enumerate() {
                    let kept = if bad.is_nan() {
                        found.is_nan()
                    } else {
                        found.to_bits() == bad.to_bits()
                    };
                    let right = if lane == 3 {
                        kept
                    } else {
                        found.to_bits() == 4.5_f32.to_bits()
                    };
                    assert!(
                        right,
                        "{name}: {found} in lane {lane}, {bad} in 3 at {place}"
                    );
                }
            }
        }
        let tiny = f32::MIN_POSITIVE / 4.0;
        let numbers = Numbers::new(2 * WIDTH, || (tiny, 1.0));
        let (left, right) = (pairs(&numbers.left), pairs(&numbers.right));
        for found in floats(&sums(dot, &left, &right, &[0; WIDTH], false)) {
            assert!((0.0..=2.0 * tiny).contains(&found), "{name}: {found:e}");
        }
    });
}

/// Joins numbers two by two: groups of `first` and `second`.
fn joined<D: FloatDot>(dot: D, first: &[f32], second: &[f32]) -> Vec<u32> {
    let mut out = vec![0; first.len()];
    for ((first, second), out) in first
        .chunks_exact(D::LANES)
        .zip(second.chunks_exact(D::LANES))
        .zip(out.chunks_exact_mut(D::LANES))
    {
        let groups = dot.join(dot.simd().read(first), dot.simd().read(second));
        // SAFETY: a group for each lane.
        unsafe { dot.store(groups, out.as_mut_ptr()) };
    }
    out
}

/// Numbers in 0..=1: zero, the smallest, all upper halves with what rounds down, up, and is a tie, and random ones.
fn unit_interval() -> Vec<f32> {
    let lower = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
    let mut numbers: Vec<f32> = (0..0x3f80_u32)
        .flat_map(|upper| lower.map(|lower| f32::from_bits(upper << 16 | lower)))
        .collect();
    let mut random = Random(4);
    numbers.extend((0..10_000).map(|_| random.fraction().abs()));
    numbers.push(1.0);
    numbers.resize(numbers.len().next_multiple_of(WIDTH), 1.0);
    numbers
}

/// To the nearest, the first in the lower half. Ties may go up.
#[test]
fn numbers_are_joined() {
    let first = unit_interval();
    let second: Vec<f32> = first.iter().rev().copied().collect();
    let same = |joined: u32, value: f32| {
        let bits = value.to_bits();
        let up = (bits >> 16) + 1;
        joined == u32::from(half::bf16::from_f32(value).to_bits())
            || bits & 0xffff == 0x8000 && joined == up
    };
    each_bf16!(|name, dot| {
        let found = joined(dot, &first, &second);
        let plain = joined(PortableBf16(Portable::new()), &first, &second);
        assert_eq!(found, plain, "{name}");
        for ((found, first), second) in found.iter().zip(&first).zip(&second) {
            assert!(same(found & 0xffff, *first), "{name}: {found:x}, {first:e}");
            assert!(same(found >> 16, *second), "{name}: {found:x}, {second:e}");
            let expected = u32::from(half::bf16::from_f32(*first).to_bits())
                | u32::from(half::bf16::from_f32(*second).to_bits()) << 16;
            assert_eq!(bf16_pair(*first, *second), expected, "{name}");
        }
    });
    each_exact!(|name, dot| {
        let bits: Vec<u32> = first.iter().map(|value| value.to_bits()).collect();
        assert_eq!(joined(dot, &first, &second), bits, "{name}");
    });
}

/// Groups of one: the arithmetic of `f32`, here with whole numbers, which are exact.
#[test]
fn groups_of_one_are_plain_numbers() {
    each_exact!(|name, dot| {
        let mut random = Random(5);
        let steps = 100;
        let numbers = Numbers::new(steps * WIDTH, || {
            (random.between(-8, 8), random.between(-8, 8))
        });
        let start: Vec<i32> = (0..WIDTH).map(|_| random.between(-8, 8)).collect();
        let bits = |numbers: &[i32]| -> Vec<u32> {
            numbers
                .iter()
                .map(|number| (*number as f32).to_bits())
                .collect()
        };
        let (left, right, first) = (bits(&numbers.left), bits(&numbers.right), bits(&start));
        let whole: Vec<u32> = start.iter().map(|sum| sum.cast_unsigned()).collect();
        for spread in [false, true] {
            let found = floats(&sums(dot, &left, &right, &first, spread));
            let expected = wide_sums(1, &numbers, &whole, spread);
            let found: Vec<i64> = found.iter().map(|sum| *sum as i64).collect();
            assert_eq!(found, expected, "{name}");
        }
    });
}

/// All upper halves, infinities and what is no number among them, with lower halves that round down, up, and are ties:
/// the same bits as `half` gives.
#[test]
fn rounding_to_bf16_is_that_of_half() {
    for upper in 0..=u32::from(u16::MAX) {
        for lower in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
            let value = f32::from_bits(upper << 16 | lower);
            let expected = half::bf16::from_f32(value).to_bits();
            assert_eq!(to_bf16(value), expected, "{value:e}, {:x}", value.to_bits());
            let pair = bf16_pair(value, 1.0);
            assert_eq!(pair, u32::from(expected) | 0x3f80 << 16, "{value:e}");
            assert_eq!(bf16_pair(1.0, value), pair.rotate_left(16), "{value:e}");
        }
    }
}
