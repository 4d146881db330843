//! Sizes of tiles and blocks: one table for each instruction set. Kernels, the memory that they are
//! given and the panels that they read all take their sizes from here.

#[cfg(test)]
use vcp_simd::dot::portable::{PortableBf16, PortableBytes, PortableSaturating};
#[cfg(target_arch = "x86_64")]
use vcp_simd::dot::{
    avx2::{Avx2Bytes, AvxVnni},
    avx512::{Avx512Bf16, Avx512Bytes, Avx512Vnni},
};
#[cfg(target_arch = "x86_64")]
use vcp_simd::{Avx2, Avx512};
use vcp_simd::{Dot, Portable, Simd, kernel};

/// What a micro-kernel holds in registers: `rows · registers` sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    pub(crate) rows: usize,
    pub(crate) registers: usize,
}

/// The sizes that suit an instruction set: its number of registers, and the caches of the machines that
/// have it.
pub(crate) trait Blocked: Simd {
    /// Linear layers: rows of activations, registers of outputs.
    const PRODUCT: Tile;
    /// Row panels that one task of a linear layer works on: their activations should stay in the
    /// second-level cache.
    const PRODUCT_PANELS: usize;
    /// Terms of a linear layer's sums that are done before moving on to the next tile: whole
    /// [chains](crate::tile::CHAIN).
    const PRODUCT_DEPTH: usize;
    /// Self-attention's scores: keys, registers of queries.
    const SCORES: Tile;
    /// Self-attention's output: queries, registers of channels.
    const ATTENDED: Tile;
    /// Products of rows with rows: rows of the left side, rows of the right side, a register for each
    /// pair.
    const DOTS: Tile;
    /// Products of rows with columns: rows of the left side, registers of columns.
    const COLUMNS: Tile;
    /// Depthwise convolutions: pixels, registers of channels.
    const DEPTHWISE: Tile;
    /// Independent chains of multiply-adds that keep all units busy.
    const CHAINS: usize;
}

const fn tile(rows: usize, registers: usize) -> Tile {
    Tile { rows, registers }
}

#[cfg(target_arch = "x86_64")]
impl Blocked for Avx512 {
    const PRODUCT: Tile = tile(14, 2);
    const PRODUCT_PANELS: usize = 49;
    const PRODUCT_DEPTH: usize = 1024;
    const SCORES: Tile = tile(8, 3);
    const ATTENDED: Tile = tile(12, 2);
    const DOTS: Tile = tile(4, 4);
    const COLUMNS: Tile = tile(4, 4);
    const DEPTHWISE: Tile = tile(8, 1);
    const CHAINS: usize = 24;
}

#[cfg(target_arch = "x86_64")]
impl Blocked for Avx2 {
    const PRODUCT: Tile = tile(6, 2);
    const PRODUCT_PANELS: usize = 24;
    const PRODUCT_DEPTH: usize = 512;
    const SCORES: Tile = tile(4, 3);
    const ATTENDED: Tile = tile(6, 2);
    const DOTS: Tile = tile(2, 4);
    const COLUMNS: Tile = tile(4, 2);
    const DEPTHWISE: Tile = tile(4, 2);
    const CHAINS: usize = 12;
}

impl Blocked for Portable {
    const PRODUCT: Tile = tile(6, 2);
    const PRODUCT_PANELS: usize = 24;
    const PRODUCT_DEPTH: usize = 256;
    const SCORES: Tile = tile(4, 2);
    const ATTENDED: Tile = tile(4, 2);
    const DOTS: Tile = tile(2, 2);
    const COLUMNS: Tile = tile(4, 2);
    const DEPTHWISE: Tile = tile(4, 1);
    const CHAINS: usize = 8;
}

/// The sizes that suit instructions for narrow numbers: linear layers, in groups of them.
pub(crate) trait NarrowBlocked: Dot {
    /// As [`Blocked::PRODUCT`].
    const PRODUCT: Tile;
    /// As [`Blocked::PRODUCT_PANELS`].
    const PRODUCT_PANELS: usize;
    /// As [`Blocked::PRODUCT_DEPTH`].
    const PRODUCT_DEPTH: usize;
}

#[cfg(target_arch = "x86_64")]
impl NarrowBlocked for Avx512Bf16 {
    const PRODUCT: Tile = tile(14, 2);
    const PRODUCT_PANELS: usize = 49;
    const PRODUCT_DEPTH: usize = 1024;
}

#[cfg(target_arch = "x86_64")]
impl NarrowBlocked for Avx512Vnni {
    const PRODUCT: Tile = tile(14, 2);
    const PRODUCT_PANELS: usize = 33;
    const PRODUCT_DEPTH: usize = 1024;
}

#[cfg(target_arch = "x86_64")]
impl NarrowBlocked for Avx512Bytes {
    const PRODUCT: Tile = tile(13, 2);
    const PRODUCT_PANELS: usize = 49;
    const PRODUCT_DEPTH: usize = 1024;
}

#[cfg(target_arch = "x86_64")]
impl NarrowBlocked for AvxVnni {
    const PRODUCT: Tile = tile(6, 2);
    const PRODUCT_PANELS: usize = 24;
    const PRODUCT_DEPTH: usize = 512;
}

#[cfg(target_arch = "x86_64")]
impl NarrowBlocked for Avx2Bytes {
    const PRODUCT: Tile = tile(5, 2);
    const PRODUCT_PANELS: usize = 24;
    const PRODUCT_DEPTH: usize = 512;
}

#[cfg(test)]
impl NarrowBlocked for PortableBf16 {
    const PRODUCT: Tile = tile(6, 2);
    const PRODUCT_PANELS: usize = 24;
    const PRODUCT_DEPTH: usize = 256;
}

#[cfg(test)]
impl NarrowBlocked for PortableBytes {
    const PRODUCT: Tile = tile(5, 2);
    const PRODUCT_PANELS: usize = 3;
    const PRODUCT_DEPTH: usize = 256;
}

#[cfg(test)]
impl NarrowBlocked for PortableSaturating {
    const PRODUCT: Tile = tile(4, 2);
    const PRODUCT_PANELS: usize = 24;
    const PRODUCT_DEPTH: usize = 256;
}

/// The sizes of a linear layer, in elements, or in groups of narrow ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocking {
    /// Rows of a tile.
    pub(crate) rows: usize,
    /// Columns of a tile.
    pub(crate) columns: usize,
    /// [`Blocked::PRODUCT_PANELS`].
    pub(crate) panels: usize,
    /// [`Blocked::PRODUCT_DEPTH`].
    pub(crate) depth: usize,
}

impl Blocking {
    fn with<S: Blocked>(_: S) -> Self {
        Self {
            rows: S::PRODUCT.rows,
            columns: S::PRODUCT.registers * S::LANES,
            panels: S::PRODUCT_PANELS,
            depth: S::PRODUCT_DEPTH,
        }
    }

    /// The sizes for AMX's tiles. Sums stay in tiles over the whole depth, so that nothing is kept on the way.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn tiled() -> Self {
        use vcp_simd::dot::amx::{SIDE, STEP};
        Self {
            rows: SIDE,
            columns: SIDE,
            panels: 20,
            depth: STEP,
        }
    }

    /// The sizes for instructions for narrow numbers.
    pub(crate) fn narrow<D: NarrowBlocked>(_: D) -> Self {
        Self {
            rows: D::PRODUCT.rows,
            columns: D::PRODUCT.registers * D::LANES,
            panels: D::PRODUCT_PANELS,
            depth: D::PRODUCT_DEPTH,
        }
    }
}

kernel! {
    /// The sizes of a linear layer on an instruction set.
    pub(crate) fn product_blocking() -> Blocking = for<Set> Blocking::with::<Set>;
}

/// The sizes of self-attention, in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionBlocking {
    /// Queries in a block.
    pub(crate) queries: usize,
    /// Keys in a tile.
    pub(crate) keys: usize,
}

impl AttentionBlocking {
    /// The sizes on an instruction set.
    pub(crate) fn with<S: Blocked>(_: S) -> Self {
        Self {
            queries: S::SCORES.registers * S::LANES,
            keys: S::SCORES.rows,
        }
    }
}

kernel! {
    /// The sizes of self-attention on an instruction set.
    pub(crate) fn attention_blocking() -> AttentionBlocking = for<Set> AttentionBlocking::with::<Set>;
}
