//! What a kernel is written against: tokens, registers and lanes.

use crate::InstructionSet;
use core::fmt::Debug;
use core::ops::{Add, Div, Mul, Sub};

/// Lanes of `f32` in the widest register: scratch arrays of this size take any of them.
pub const MOST_LANES: usize = 16;

/// Pairs of 16-bit numbers that [`Simd::add_pair_products`] takes together.
pub const PAIRS: usize = 8;

/// Keeps [`Simd`] to the tokens of this crate, since kernels trust what it says.
pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A token: the proof that this machine has an instruction set. It has no size and only detection
/// makes it.
pub trait Simd: Copy + Debug + Eq + Send + Sync + sealed::Sealed + 'static {
    /// A register of `f32`.
    type F32: Register;
    /// Number of `f32` in a register.
    const LANES: usize;
    /// The name of the instruction set.
    const NAME: InstructionSet;

    /// A register with the same value in all lanes.
    fn splat(self, value: f32) -> Self::F32;

    /// Loads [`Simd::LANES`] values. No alignment is asked for.
    ///
    /// # Safety
    /// `from` must be readable for that many values.
    unsafe fn load(self, from: *const f32) -> Self::F32;

    /// Loads [`Simd::LANES`] half-precision values, exactly converted. No alignment is asked for.
    ///
    /// # Safety
    /// `from` must be readable for that many values.
    unsafe fn load_half(self, from: *const u16) -> Self::F32;

    /// Loads [`Simd::LANES`] whole numbers of 8 bits, exactly converted. No alignment is asked for.
    ///
    /// # Safety
    /// `from` must be readable for that many values.
    unsafe fn load_codes(self, from: *const i8) -> Self::F32;

    /// Stores all lanes, each rounded to the nearest bf16 ([`to_bf16`](crate::to_bf16)). No alignment is asked for.
    ///
    /// # Safety
    /// `to` must be writable for [`Simd::LANES`] numbers.
    unsafe fn store_bf16(self, values: Self::F32, to: *mut u16);

    /// The first [`Simd::LANES`] values of a slice. The check of its length costs nothing where the
    /// compiler knows it, as of `chunks_exact(S::LANES)`.
    ///
    /// # Panics
    /// If the slice is shorter.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::F32 {
        assert!(from.len() >= Self::LANES, "a whole register");
        // SAFETY: the slice has as many values.
        unsafe { self.load(from.as_ptr()) }
    }

    /// Adds to each sum what its pair of numbers, times the pair of factors, adds up to; modulo 2³². The compiler
    /// does not find the instruction that does this by itself.
    #[inline(always)]
    fn add_pair_products(
        self,
        sums: &mut [i32; PAIRS],
        pairs: &[[i16; 2]; PAIRS],
        factors: [i16; 2],
    ) {
        for (sum, pair) in sums.iter_mut().zip(pairs) {
            let [one, two] = [0, 1].map(|place| i32::from(pair[place]) * i32::from(factors[place]));
            *sum = sum.wrapping_add(one.wrapping_add(two));
        }
    }

    /// Asks for the cache line at `at` ahead of its use: a hint that never faults, whatever the address.
    fn prefetch<T>(self, at: *const T);
}

/// Arithmetic on one or more lanes of `f32`: on a register, or on a single `f32` in a loop that the
/// compiler vectorises. What [`crate::math`] is written against.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The same value in all lanes. What `self` holds does not matter; that it exists shows that the
    /// machine has its instruction set.
    #[must_use]
    fn all(self, value: f32) -> Self;

    /// `self · factor + term`, rounded once where the machine has an instruction for that and otherwise
    /// twice.
    #[must_use]
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// The larger in each lane; `other` where one of them is NaN.
    #[must_use]
    fn max(self, other: Self) -> Self;

    /// The smaller in each lane; `other` where one of them is NaN.
    #[must_use]
    fn min(self, other: Self) -> Self;

    /// The nearest whole number n, ties to even, and 2ⁿ, for lanes whose n is in -126..=127. NaN gives
    /// NaN and any power.
    #[must_use]
    fn nearest_whole(self) -> (Self, Self);
}

/// A register of [`Simd::LANES`] lanes.
pub trait Register: Lanes {
    /// The sum of all lanes, always added in the same order: the upper half to the lower until one lane is
    /// left.
    #[must_use]
    fn sum(self) -> f32;

    /// Whether a lane is greater than that of `other`; NaN is not.
    #[must_use]
    fn is_above(self, other: Self) -> bool;

    /// Stores all lanes. No alignment is asked for.
    ///
    /// # Safety
    /// `to` must be writable for as many values.
    unsafe fn store(self, to: *mut f32);

    /// Writes all lanes to the beginning of a slice; as cheap as [`Simd::read`].
    ///
    /// # Panics
    /// If the slice is shorter.
    fn write(self, to: &mut [f32]);
}

/// Implements arithmetic and [`Register`] for a register that is a new type around the processor's.
#[cfg(target_arch = "x86_64")]
macro_rules! register {
    (
        $register:ident of $simd:ident:
        add $add:ident, sub $sub:ident, mul $mul:ident, div $div:ident, mul_add $mul_add:ident,
        max $max:ident, min $min:ident, splat $splat:ident, store $store:ident;
        $nearest_whole:item
        $sum:item
        $is_above:item
    ) => {
        $crate::simd::register!(@operator $register Add add $add);
        $crate::simd::register!(@operator $register Sub sub $sub);
        $crate::simd::register!(@operator $register Mul mul $mul);
        $crate::simd::register!(@operator $register Div div $div);

        impl $crate::Lanes for $register {
            #[inline(always)]
            fn all(self, value: f32) -> Self {
                // SAFETY: `self` was made by a token, so the machine has the instruction.
                unsafe { Self($splat(value)) }
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                // SAFETY: as above.
                unsafe { Self($mul_add(self.0, factor.0, term.0)) }
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { Self($max(self.0, other.0)) }
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { Self($min(self.0, other.0)) }
            }
            $nearest_whole
        }

        impl $crate::Register for $register {
            $sum
            $is_above
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: `self` was made by a token; the caller vouches for the pointer.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            fn write(self, to: &mut [f32]) {
                assert!(to.len() >= <$simd as $crate::Simd>::LANES, "a whole register");
                // SAFETY: the slice has as many values.
                unsafe { self.store(to.as_mut_ptr()) }
            }
        }
    };
    (@operator $register:ident $trait:ident $method:ident $instruction:ident) => {
        impl core::ops::$trait for $register {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: both were made by a token, so the machine has the instruction.
                unsafe { Self($instruction(self.0, other.0)) }
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use register;
