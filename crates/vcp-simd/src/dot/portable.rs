//! Products of narrow numbers in plain Rust: what the instructions compute, stated number by number. For tests, and for
//! whoever wants to read what it is; slower than `f32`.

use super::POWER;
use crate::simd::sealed::Sealed;
use crate::{Dot, FloatDot, IntegerDot, Portable, PortableF32, Simd};

const LANES: usize = <Portable as Simd>::LANES;

/// Pairs of bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortableBf16(pub Portable);

/// Groups of four whole numbers of 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortableBytes(pub Portable);

/// Groups of four whole numbers of 8 bits, of which pairs are summed up in 16 bits, as `vpmaddubsw` does: sums beyond are
/// cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortableSaturating(pub Portable);

impl Sealed for PortableBf16 {}
impl Sealed for PortableBytes {}
impl Sealed for PortableSaturating {}

/// Loading and spreading groups.
macro_rules! groups {
    () => {
        type Simd = Portable;
        type Groups = [u32; LANES];

        #[inline(always)]
        fn simd(self) -> Portable {
            self.0
        }
        #[inline(always)]
        unsafe fn load(self, from: *const u32) -> [u32; LANES] {
            // SAFETY: the caller's promise.
            unsafe { from.cast::<[u32; LANES]>().read_unaligned() }
        }
        #[inline(always)]
        fn splat(self, group: u32) -> [u32; LANES] {
            [group; LANES]
        }
    };
}

/// Sums of whole numbers.
macro_rules! whole_sums {
    () => {
        type Sums = [i32; LANES];

        #[inline(always)]
        fn zero(self) -> [i32; LANES] {
            [0; LANES]
        }
        #[inline(always)]
        fn add(self, one: [i32; LANES], other: [i32; LANES]) -> [i32; LANES] {
            core::array::from_fn(|lane| one[lane].wrapping_add(other[lane]))
        }
        #[inline(always)]
        unsafe fn load_sums(self, from: *const u32) -> [i32; LANES] {
            // SAFETY: the caller's promise.
            unsafe { from.cast::<[i32; LANES]>().read_unaligned() }
        }
        #[inline(always)]
        unsafe fn store_sums(self, sums: [i32; LANES], to: *mut u32) {
            // SAFETY: the caller's promise.
            unsafe { to.cast::<[i32; LANES]>().write_unaligned(sums) }
        }
    };
}

/// The value of a bf16.
fn value(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

/// As the instructions take and give them: numbers too small to be normal are zero.
fn flushed(value: f32) -> f32 {
    if value.is_subnormal() {
        0.0_f32.copysign(value)
    } else {
        value
    }
}

impl Dot for PortableBf16 {
    groups!();
    type Sums = PortableF32;
    const GROUP: usize = 2;

    #[inline(always)]
    fn zero(self) -> PortableF32 {
        self.0.splat(0.0)
    }
    /// The second numbers' product is added before the first ones', each rounded once.
    #[inline(always)]
    fn multiply_add(
        self,
        left: [u32; LANES],
        right: [u32; LANES],
        sums: PortableF32,
    ) -> PortableF32 {
        PortableF32(core::array::from_fn(|lane| {
            let mut sum = sums.0[lane];
            for shift in [16, 0] {
                let [left, right] =
                    [left[lane], right[lane]].map(|group| flushed(value(group >> shift & 0xffff)));
                sum = flushed(left.mul_add(right, flushed(sum)));
            }
            sum
        }))
    }
    #[inline(always)]
    fn add(self, one: PortableF32, other: PortableF32) -> PortableF32 {
        one + other
    }
    #[inline(always)]
    unsafe fn load_sums(self, from: *const u32) -> PortableF32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_sums(self, sums: PortableF32, to: *mut u32) {
        use crate::Register as _;
        // SAFETY: the caller's promise.
        unsafe { sums.store(to.cast()) }
    }
}

impl FloatDot for PortableBf16 {
    #[inline(always)]
    fn power(self, x: PortableF32) -> PortableF32 {
        PortableF32(x.0.map(|x| {
            let whole = x.max(-200.0).floor();
            let fraction = x - whole;
            let [a, b, c, d] = POWER;
            let p = (d.mul_add(fraction, c).mul_add(fraction, b)).mul_add(fraction, a);
            p * whole.exp2()
        }))
    }
    #[inline(always)]
    fn join(self, first: PortableF32, second: PortableF32) -> [u32; LANES] {
        // Halfway up, which differs from ties to even in ties alone.
        let half = |value: f32| (value.to_bits() + 0x8000) >> 16;
        core::array::from_fn(|lane| half(first.0[lane]) | half(second.0[lane]) << 16)
    }
    #[inline(always)]
    unsafe fn store(self, groups: [u32; LANES], to: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u32; LANES]>().write_unaligned(groups) }
    }
}

impl Dot for PortableBytes {
    groups!();
    whole_sums!();
    const GROUP: usize = 4;

    #[inline(always)]
    fn multiply_add(
        self,
        left: [u32; LANES],
        right: [u32; LANES],
        sums: [i32; LANES],
    ) -> [i32; LANES] {
        core::array::from_fn(|lane| {
            let pairs = left[lane]
                .to_le_bytes()
                .into_iter()
                .zip(right[lane].to_le_bytes());
            pairs.fold(sums[lane], |sum, (left, right)| {
                sum.wrapping_add(i32::from(left) * i32::from(right.cast_signed()))
            })
        })
    }
}

impl Dot for PortableSaturating {
    groups!();
    whole_sums!();
    const GROUP: usize = 4;

    #[inline(always)]
    fn multiply_add(
        self,
        left: [u32; LANES],
        right: [u32; LANES],
        sums: [i32; LANES],
    ) -> [i32; LANES] {
        core::array::from_fn(|lane| {
            let (left, right) = (left[lane].to_le_bytes(), right[lane].to_le_bytes());
            let product = |at: usize| i32::from(left[at]) * i32::from(right[at].cast_signed());
            let pair = |at: usize| {
                let sum = product(at) + product(at + 1);
                sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
            };
            sums[lane].wrapping_add(pair(0)).wrapping_add(pair(2))
        })
    }
}

/// What becomes of sums.
macro_rules! integers {
    ($token:ident $largest:literal) => {
        impl IntegerDot for $token {
            const LARGEST: i8 = $largest;

            #[inline(always)]
            unsafe fn minus(
                self,
                sums: [i32; LANES],
                zero: i32,
                offsets: *const i32,
            ) -> PortableF32 {
                // SAFETY: the caller's promise.
                let offsets = unsafe { offsets.cast::<[i32; LANES]>().read_unaligned() };
                PortableF32(core::array::from_fn(|lane| {
                    sums[lane].wrapping_sub(zero.wrapping_mul(offsets[lane])) as f32
                }))
            }
            #[inline(always)]
            fn float(self, sums: [i32; LANES]) -> PortableF32 {
                PortableF32(sums.map(|sum| sum as f32))
            }
        }
    };
}
integers!(PortableBytes 127);
integers!(PortableSaturating 64);
