//! One register of `f32` lanes, and the choice of instruction set.
//!
//! Kernels are written once, generic over [`Vector`], and instantiated for every
//! instruction set by [`kernel!`]. Everything generic is `#[inline(always)]`, so that it is
//! compiled inside the function that enables the instruction set.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod math;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// The instruction set that the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// x86-64 with AVX-512F: 16 lanes, 32 registers.
    Avx512,
    /// x86-64 with AVX2, FMA and F16C: 8 lanes, 16 registers.
    Avx2,
    /// Plain Rust that the compiler vectorises for whatever the build targets.
    Portable,
}

impl InstructionSet {
    /// The best set this machine has.
    #[must_use]
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Every set that this machine can run, best first. Tests go through all of them.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if avx2 && is_x86_feature_detected!("avx512f") {
                sets.push(Self::Avx512);
            }
            if avx2 {
                sets.push(Self::Avx2);
            }
        }
        sets.push(Self::Portable);
        sets
    }

    /// A short name for tables and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// A register of `f32` lanes.
///
/// # Safety
/// The methods of an implementation may only run on a machine that has its instruction set;
/// pointers must be valid for `LANES` elements. No alignment is asked for.
pub(crate) unsafe trait Vector: Copy {
    /// Number of `f32` in one register.
    const LANES: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// Loads `LANES` half-precision values, exactly converted.
    unsafe fn load_half(from: *const u16) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self · factor + term` (one rounding where the machine has it).
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// Nearest integer, ties to even.
    unsafe fn round(self) -> Self;
    /// `2^self` for lanes that hold whole numbers in -126..=127.
    unsafe fn power_of_two(self) -> Self;
    /// Asks for the cache line at `at` ahead of its use: a hint, any address will do.
    unsafe fn prefetch(at: *const f32);
    /// The sum of all lanes, always added in the same order.
    unsafe fn sum(self) -> f32;
}

/// Makes a safe-to-select entry point out of a generic kernel: one compiled copy per
/// instruction set and a `match` that picks it.
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $visibility:vis unsafe fn $name:ident($($argument:ident : $type:ty),* $(,)?) $(-> $result:ty)?
            = $generic:ident;
        avx512 $avx512:tt, avx2 $avx2:tt, portable $portable:tt
    ) => {
        $(#[$meta])*
        $visibility unsafe fn $name(
            instruction_set: $crate::simd::InstructionSet,
            $($argument: $type),*
        ) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma,f16c")]
            unsafe fn avx512($($argument: $type),*) $(-> $result)? {
                // SAFETY: the caller of the entry point upholds the kernel's contract.
                unsafe { $crate::simd::kernel!(@call $generic $avx512 ($($argument),*)) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($argument: $type),*) $(-> $result)? {
                // SAFETY: as above.
                unsafe { $crate::simd::kernel!(@call $generic $avx2 ($($argument),*)) }
            }
            unsafe fn portable($($argument: $type),*) $(-> $result)? {
                // SAFETY: as above.
                unsafe { $crate::simd::kernel!(@call $generic $portable ($($argument),*)) }
            }
            // SAFETY: whoever takes an `InstructionSet` from outside (`Cpu::with_instruction_set`,
            // `fma_peak_gflops`) replaces one that is not in `available`, so this machine has
            // the instructions; the rest is the caller's contract.
            unsafe {
                match instruction_set {
                    #[cfg(target_arch = "x86_64")]
                    $crate::simd::InstructionSet::Avx512 => avx512($($argument),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::simd::InstructionSet::Avx2 => avx2($($argument),*),
                    _ => portable($($argument),*),
                }
            }
        }
    };
    (@call $generic:ident ($($parameter:tt)*) ($($argument:ident),*)) => {
        $generic::<$($parameter),*>($($argument),*)
    };
}
pub(crate) use kernel;

/// A kernel whose only parameter is the vector type.
macro_rules! vector_kernel {
    (
        $(#[$meta:meta])*
        $visibility:vis unsafe fn $name:ident($($argument:ident : $type:ty),* $(,)?) $(-> $result:ty)?
            = $generic:ident;
    ) => {
        $crate::simd::kernel! {
            $(#[$meta])*
            $visibility unsafe fn $name($($argument: $type),*) $(-> $result)? = $generic;
            avx512 (Avx512), avx2 (Avx2), portable (Portable)
        }
    };
}
pub(crate) use vector_kernel;
