//! What the processor has to have for each token, stated once: for detection and for the compiler.

/// Passes the features of a token to another macro, before the rest.
#[doc(hidden)]
#[macro_export]
macro_rules! features {
    (Avx512 $then:ident $($rest:tt)*) => {
        $crate::$then! { ("avx512f" "avx2" "fma" "f16c") $($rest)* }
    };
    (Avx512Bf16 $then:ident $($rest:tt)*) => {
        $crate::$then! { ("avx512f" "avx2" "fma" "f16c" "avx512bw" "avx512dq" "avx512bf16") $($rest)* }
    };
    (Avx512Bf16Vnni $then:ident $($rest:tt)*) => {
        $crate::$then! {
            ("avx512f" "avx2" "fma" "f16c" "avx512bw" "avx512dq" "avx512bf16" "avx512vnni") $($rest)*
        }
    };
    (Avx512Vnni $then:ident $($rest:tt)*) => {
        $crate::$then! { ("avx512f" "avx2" "fma" "f16c" "avx512bw" "avx512vnni") $($rest)* }
    };
    (Avx512Bytes $then:ident $($rest:tt)*) => {
        $crate::$then! { ("avx512f" "avx2" "fma" "f16c" "avx512bw") $($rest)* }
    };
    (AvxVnni $then:ident $($rest:tt)*) => {
        $crate::$then! { ("avx2" "fma" "f16c" "avxvnni") $($rest)* }
    };
    (Avx2 $then:ident $($rest:tt)*) => {
        $crate::$then! { ("avx2" "fma" "f16c") $($rest)* }
    };
}

/// A function with the features enabled.
#[doc(hidden)]
#[macro_export]
macro_rules! enabled {
    (($($feature:tt)*) $($function:tt)*) => {
        #[target_feature($(enable = $feature),*)]
        $($function)*
    };
}

/// Whether this machine has the features.
#[doc(hidden)]
#[macro_export]
macro_rules! detected {
    (($($feature:tt)*)) => {
        $(::std::arch::is_x86_feature_detected!($feature))&&*
    };
}
