//! From a generic kernel to a function that chooses among its copies.

use crate::Simd;

/// Work that is compiled once for each instruction set. [`kernel!`](crate::kernel!) writes
/// implementations.
pub trait Kernel {
    /// What the work gives.
    type Output;

    /// The work. It has to be `#[inline(always)]`, or it is compiled without the instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Makes a function out of a generic kernel: one compiled copy for each instruction set, and the choice
/// among them. The function's first argument is the [`Supported`](crate::Supported) set whose copy runs;
/// the kernel is given that set's token in its place.
///
/// The body is the kernel, where that is safe and needs nothing but [`Simd`](crate::Simd):
///
/// ```
/// # use vcp_simd::{Register as _, Supported, kernel};
/// kernel! {
///     /// The sum of the first register.
///     pub fn sum_of_first<S: Simd>(simd: S, values: &[f32]) -> f32 {
///         simd.read(values).sum()
///     }
/// }
///
/// assert_eq!(sum_of_first(Supported::detect(), &[0.5; 16]) % 4.0, 0.0);
/// ```
///
/// Or it is a function elsewhere, generic over the token and whatever constants depend on it. The name
/// behind `for` stands for the type of the token:
///
/// ```
/// # use vcp_simd::{Simd, Supported, kernel};
/// trait Unrolled: Simd {
///     const TIMES: usize;
/// }
/// # #[cfg(target_arch = "x86_64")]
/// impl Unrolled for vcp_simd::Avx512 {
///     const TIMES: usize = 4;
/// }
/// # #[cfg(target_arch = "x86_64")]
/// impl Unrolled for vcp_simd::Avx2 {
///     const TIMES: usize = 4;
/// }
/// impl Unrolled for vcp_simd::Portable {
///     const TIMES: usize = 2;
/// }
///
/// kernel! {
///     /// # Safety
///     /// `from` must be readable for whole registers, as many as are unrolled.
///     unsafe fn first(from: *const f32) -> f32 = for<Set> generic_first::<Set, { Set::TIMES }>;
/// }
///
/// #[inline(always)]
/// unsafe fn generic_first<S: Simd, const TIMES: usize>(simd: S, from: *const f32) -> f32 {
///     // …
///     # let _ = simd;
///     # assert!(TIMES > 0);
///     # unsafe { *from }
/// }
/// # assert_eq!(unsafe { first(Supported::detect(), [1.0_f32; 64].as_ptr()) }, 1.0);
/// ```
#[macro_export]
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident<$set:ident: Simd>(
            $simd:ident: $token:ident $(, $argument:ident: $type:ty)* $(,)?
        ) $(-> $result:ty)? $body:block
    ) => {
        $(#[$meta])*
        $visibility fn $name(
            instruction_set: $crate::Supported
            $(, $argument: $type)*
        ) $(-> $result)? {
            struct Arguments<T>(T);
            impl $crate::Kernel for Arguments<($($type,)*)> {
                type Output = $crate::kernel!(@output $($result)?);
                #[inline(always)]
                fn run<S: $crate::Simd>(self, simd: S) -> Self::Output {
                    // The compiler knows of arguments of a function, unlike of fields, that what is
                    // borrowed mutably overlaps nothing else.
                    #[inline(always)]
                    fn kernel_body<$set: $crate::Simd>(
                        $simd: $token
                        $(, $argument: $type)*
                    ) $(-> $result)? $body
                    let Arguments(($($argument,)*)) = self;
                    kernel_body(simd $(, $argument)*)
                }
            }
            instruction_set.run(Arguments(($($argument,)*)))
        }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?
            = for<$set:ident> $generic:path;
    ) => {
        $crate::kernel! {
            @define [$(#[$meta])*] [$visibility] [] $name [$($argument: $type),*] [$($result)?]
            $set $generic
        }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis unsafe fn $name:ident($($argument:ident: $type:ty),* $(,)?)
            $(-> $result:ty)?
            = for<$set:ident> $generic:path;
    ) => {
        $crate::kernel! {
            @define [$(#[$meta])*] [$visibility] [unsafe] $name [$($argument: $type),*]
            [$($result)?] $set $generic
        }
    };
    (
        @define [$(#[$meta:meta])*] [$visibility:vis] [$($unsafe:ident)?] $name:ident
        [$($argument:ident: $type:ty),*] [$($result:ty)?] $set:ident $generic:path
    ) => {
        $(#[$meta])*
        $visibility $($unsafe)? fn $name(
            instruction_set: $crate::Supported
            $(, $argument: $type)*
        ) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            $crate::features! { Avx512 enabled
                $($unsafe)? fn avx512(
                    simd: $crate::Avx512 $(, $argument: $type)*
                ) $(-> $result)? {
                    type $set = $crate::Avx512;
                    // SAFETY: the kernel's caller upholds its contract.
                    $($unsafe)? { $generic(simd $(, $argument)*) }
                }
            }
            #[cfg(target_arch = "x86_64")]
            $crate::features! { Avx2 enabled
                $($unsafe)? fn avx2(
                    simd: $crate::Avx2 $(, $argument: $type)*
                ) $(-> $result)? {
                    type $set = $crate::Avx2;
                    // SAFETY: as above.
                    $($unsafe)? { $generic(simd $(, $argument)*) }
                }
            }
            $($unsafe)? fn portable(
                simd: $crate::Portable $(, $argument: $type)*
            ) $(-> $result)? {
                type $set = $crate::Portable;
                // SAFETY: as above.
                $($unsafe)? { $generic(simd $(, $argument)*) }
            }
            match instruction_set {
                // SAFETY: the token proves the features that the function enables; the kernel's caller
                // upholds its contract.
                #[cfg(target_arch = "x86_64")]
                $crate::Supported::Avx512(simd) => unsafe { avx512(simd $(, $argument)*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Supported::Avx2(simd) => unsafe { avx2(simd $(, $argument)*) },
                // SAFETY: as above.
                $crate::Supported::Portable(simd) => $($unsafe)? { portable(simd $(, $argument)*) },
            }
        }
    };
    (@output) => { () };
    (@output $result:ty) => { $result };
}
