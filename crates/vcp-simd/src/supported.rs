//! Which instruction sets there are, and which of them this machine has.

#[cfg(target_arch = "x86_64")]
use crate::{Avx2, Avx512};
use crate::{Kernel, Portable, Simd};
use core::fmt;

/// The name of an instruction set that there are kernels for, whether this machine has it or not.
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
    /// All of them, best first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The best set that this machine has.
    #[must_use]
    pub fn detect() -> Self {
        Supported::detect().name()
    }

    /// Every set that this machine can run, best first. Tests go through all of them.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Supported::all().into_iter().map(Supported::name).collect()
    }

    /// The proof that this machine has the set, if it has.
    #[must_use]
    pub fn supported(self) -> Option<Supported> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::detect().map(Supported::Avx512),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().map(Supported::Avx2),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => None,
            Self::Portable => Some(Supported::Portable(Portable::new())),
        }
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

/// An instruction set that this machine has, with the token that proves it. Kernels take one as their
/// first argument (see [`crate::kernel!`]).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Supported {
    /// See [`InstructionSet::Avx512`].
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// See [`InstructionSet::Avx2`].
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// See [`InstructionSet::Portable`].
    Portable(Portable),
}

impl Supported {
    /// The best set that this machine has. What the processor says is asked for once in a process.
    #[must_use]
    pub fn detect() -> Self {
        InstructionSet::ALL
            .into_iter()
            .find_map(InstructionSet::supported)
            .unwrap_or(Self::Portable(Portable::new()))
    }

    /// Every set that this machine has, best first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        InstructionSet::ALL
            .into_iter()
            .filter_map(InstructionSet::supported)
            .collect()
    }

    /// The set's name.
    #[must_use]
    pub fn name(self) -> InstructionSet {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::NAME,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::NAME,
            Self::Portable(_) => Portable::NAME,
        }
    }

    /// Runs the copy of a kernel that is compiled for this set. [`crate::kernel!`] calls this.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        crate::features! { Avx512 enabled
            fn avx512<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
                kernel.run(simd)
            }
        }
        #[cfg(target_arch = "x86_64")]
        crate::features! { Avx2 enabled
            fn avx2<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
                kernel.run(simd)
            }
        }
        match self {
            // SAFETY: the token proves the features that the function enables.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => unsafe { avx512(simd, kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => unsafe { avx2(simd, kernel) },
            Self::Portable(simd) => kernel.run(simd),
        }
    }
}

impl fmt::Debug for Supported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(formatter)
    }
}
