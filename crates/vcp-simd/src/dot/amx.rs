//! Products of narrow numbers in AMX's tiles: 32 rows times 32 columns at once.
//!
//! A tile is a register of 16 rows of 64 bytes. Four of them hold the sums, two a slice of the rows, two one of the
//! columns. The whole product is one piece of assembler (`program!`), since the language does not know the tiles;
//! tests carry its lines out one by one, on any machine. **It has not run on a processor that has AMX so far**: none
//! was at hand.

use super::avx512::{Avx512Bf16, Avx512Vnni};
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

/// Rows and columns of a product.
pub const SIDE: usize = 32;

/// Groups of 32 bits that one step multiplies: a tile's row.
pub const STEP: usize = 16;

/// The proof that this machine has AMX-BF16, and that the system lets this process use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmxBf16(Avx512Bf16);

/// The proof that this machine has AMX-INT8, and that the system lets this process use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmxInt8(Avx512Vnni);

/// What the processor says of AMX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Features {
    bf16: bool,
    int8: bool,
}

/// What this machine has and the system allows. The system is asked once in a process; its threads inherit the answer.
fn features() -> Features {
    static FEATURES: OnceLock<Features> = OnceLock::new();
    *FEATURES.get_or_init(|| {
        let none = Features {
            bf16: false,
            int8: false,
        };
        if !std::arch::is_x86_feature_detected!("avx512f") || __cpuid_count(0, 0).eax < 7 {
            return none;
        }
        let bits = __cpuid_count(7, 0).edx;
        let has = |bit: u32| bits >> bit & 1 == 1;
        // AMX-TILE; then the permission, without which the first use of a tile ends the process.
        if !has(24) || !permitted() {
            return none;
        }
        Features {
            bf16: has(22),
            int8: has(25),
        }
    })
}

/// Asks the system for the memory that tiles take in the state of a thread (Linux 5.16 and later).
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let answer: i64;
    // SAFETY: the call of a system function that takes two numbers and touches no memory of the program; `syscall` itself
    // changes rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

impl AmxBf16 {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let registers = Avx512Bf16::detect()?;
        features().bf16.then_some(Self(registers))
    }

    /// The registers that go with it.
    #[must_use]
    pub fn registers(self) -> Avx512Bf16 {
        self.0
    }
}

impl AmxInt8 {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let registers = Avx512Vnni::detect()?;
        features().int8.then_some(Self(registers))
    }

    /// The registers that go with it.
    #[must_use]
    pub fn registers(self) -> Avx512Vnni {
        self.0
    }
}

/// The lines of the assembler, given to `$then`: tiles 0 to 3 become the products of rows (tiles 4 and 5) with columns (6
/// and 7). `{a}` and `{low}` point to 16 rows each, `{step}` bytes apart; `{b}` to groups of 32 columns; `{out}` to where
/// the sums go, 32 a row; `{columns}` is 128, the bytes of both; `{count}` is the number of steps, at least one.
macro_rules! program {
    ($then:ident [$($argument:tt)*] $dot:literal) => {
        $then!(
            [$($argument)*]
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {step}*1]",
            "tileloadd tmm5, [{low} + {step}*1]",
            "tileloadd tmm6, [{b} + {columns}*1]",
            "tileloadd tmm7, [{b} + {columns}*1 + 64]",
            concat!($dot, " tmm0, tmm4, tmm6"),
            concat!($dot, " tmm1, tmm4, tmm7"),
            concat!($dot, " tmm2, tmm5, tmm6"),
            concat!($dot, " tmm3, tmm5, tmm7"),
            "add {a}, 64",
            "add {low}, 64",
            "add {b}, 2048",
            "sub {count}, 1",
            "jnz 2b",
            "tilestored [{out} + {columns}*1], tmm0",
            "tilestored [{out} + {columns}*1 + 64], tmm1",
            "add {out}, 2048",
            "tilestored [{out} + {columns}*1], tmm2",
            "tilestored [{out} + {columns}*1 + 64], tmm3",
        )
    };
}

/// How tiles are set up: eight of 16 rows of 64 bytes (Intel's manual, `LDTILECFG`).
#[repr(C, align(64))]
struct Configuration([u8; 64]);

static CONFIGURATION: Configuration = {
    let mut bytes = [0; 64];
    // The palette.
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        // Bytes of a row, 16 bits, and rows, 8 bits.
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Configuration(bytes)
};

/// Does what multiplies in tiles, with the tiles of this thread set up.
#[inline]
pub fn with_tiles<R>(unit: impl Tiles, work: impl FnOnce() -> R) -> R {
    unit.set_up();
    let result = work();
    // So that the system need not keep tiles that are not in use. Left out after a panic, which costs time alone.
    unit.release();
    result
}

/// Products in tiles.
pub trait Tiles: Copy + Send + Sync {
    /// Sets up the tiles of this thread: see [`with_tiles`].
    fn set_up(self);

    /// Undoes [`set_up`](Tiles::set_up).
    fn release(self);

    /// `out[i][j] = Σ_g rows[i][g] · columns[g][j]` over `16 · count` groups, for 32 rows and columns.
    ///
    /// # Safety
    /// It must be called within [`with_tiles`]; `rows` must be readable for 32 rows of as many groups, `step` groups apart, `columns` for as many times 32 groups, and
    /// `out` be writable for 32 · 32 sums. `count` must not be 0.
    unsafe fn multiply(
        self,
        rows: *const u32,
        step: usize,
        columns: *const u32,
        count: usize,
        out: *mut u32,
    );
}

/// The assembler itself.
macro_rules! assemble {
    (
        [$a:ident $low:ident $b:ident $out:ident $step:ident $columns:ident $count:ident]
        $($line:expr),* $(,)?
    ) => {
        asm!(
            $($line,)*
            a = inout(reg) $a => _,
            low = inout(reg) $low => _,
            b = inout(reg) $b => _,
            out = inout(reg) $out => _,
            step = in(reg) $step,
            columns = in(reg) $columns,
            count = inout(reg) $count => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// Implements [`Tiles`] with an instruction.
macro_rules! tiles {
    ($token:ident $dot:literal) => {
        impl Tiles for $token {
            #[inline]
            fn set_up(self) {
                // SAFETY: the token proves that the processor has the instruction; it reads 64 bytes that are there, and no
                // other code uses tiles.
                unsafe {
                    asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly));
                }
            }

            #[inline]
            fn release(self) {
                // SAFETY: as above.
                unsafe { asm!("tilerelease", options(nostack, nomem)) }
            }

            #[inline]
            unsafe fn multiply(
                self,
                rows: *const u32,
                step: usize,
                columns: *const u32,
                count: usize,
                out: *mut u32,
            ) {
                debug_assert!(count > 0, "a step at least");
                let low = rows.wrapping_add(SIDE / 2 * step);
                let (step, width) = (step * size_of::<u32>(), SIDE * size_of::<u32>());
                // SAFETY: the token proves that the processor has the instructions and that the system lets the process use
                // them; the pointers stay within what the caller promises.
                unsafe {
                    program!(assemble [rows low columns out step width count] $dot);
                }
            }
        }
    };
}
tiles!(AmxBf16 "tdpbf16ps");
tiles!(AmxInt8 "tdpbusd");

#[cfg(test)]
mod tests;
