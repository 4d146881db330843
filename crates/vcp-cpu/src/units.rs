//! What multiplies narrow numbers: which of a processor's instructions, and the sizes that suit them.

use crate::blocking::{Blocking, NarrowBlocked};
use crate::pack::interleave;
#[cfg(test)]
use vcp_simd::dot::portable::{PortableBf16, PortableBytes, PortableSaturating};
#[cfg(target_arch = "x86_64")]
use vcp_simd::dot::{
    amx::{AmxBf16, AmxInt8},
    avx2::{Avx2Bytes, AvxVnni},
    avx512::{Avx512Bf16, Avx512Bytes, Avx512Vnni},
};
use vcp_simd::{Dot, IntegerDot, Supported};

/// Instructions that multiply bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bf16Unit {
    #[cfg(target_arch = "x86_64")]
    Amx(AmxBf16),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512Bf16),
    /// The plain statement: too slow for anything but tests.
    #[cfg(test)]
    Portable(PortableBf16),
    /// AMX's loops around the plain statement.
    #[cfg(all(test, target_arch = "x86_64"))]
    Tiled(PortableBf16),
}

/// Instructions that multiply whole numbers of 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Int8Unit {
    #[cfg(target_arch = "x86_64")]
    Amx(AmxInt8),
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512Bytes(Avx512Bytes),
    #[cfg(target_arch = "x86_64")]
    Avx2Bytes(Avx2Bytes),
    /// Plain statements: too slow for anything but tests.
    #[cfg(test)]
    PortableBytes(PortableBytes),
    #[cfg(test)]
    PortableSaturating(PortableSaturating),
    /// AMX's loops around the plain statement.
    #[cfg(all(test, target_arch = "x86_64"))]
    Tiled(PortableBytes),
}

/// Instructions that multiply queries with keys as whole numbers of 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScoreUnit {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    /// The plain statement: too slow for anything but tests.
    #[cfg(test)]
    Portable(PortableBytes),
}

/// What computes self-attention with narrow numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttentionUnit {
    pub(crate) bf16: Bf16Unit,
    /// Scores; with bf16 as all else if there is none.
    pub(crate) scores: Option<ScoreUnit>,
}

/// Instructions that multiply narrow numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NarrowUnit {
    Bf16(Bf16Unit),
    Int8(Int8Unit),
}

/// Does something with the token of a unit that multiplies bf16.
macro_rules! with_bf16 {
    ($unit:expr, $dot:ident => $body:expr) => {
        match $unit {
            #[cfg(target_arch = "x86_64")]
            $crate::units::Bf16Unit::Amx(unit) => {
                let $dot = unit.registers();
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::units::Bf16Unit::Avx512($dot) => $body,
            #[cfg(test)]
            $crate::units::Bf16Unit::Portable($dot) => $body,
            #[cfg(all(test, target_arch = "x86_64"))]
            $crate::units::Bf16Unit::Tiled($dot) => $body,
        }
    };
}

/// Does something with the token of a unit that multiplies whole numbers.
macro_rules! with_int8 {
    ($unit:expr, $dot:ident => $body:expr) => {
        match $unit {
            #[cfg(target_arch = "x86_64")]
            Int8Unit::Amx(unit) => {
                let $dot = unit.registers();
                $body
            }
            #[cfg(target_arch = "x86_64")]
            Int8Unit::Avx512Vnni($dot) => $body,
            #[cfg(target_arch = "x86_64")]
            Int8Unit::AvxVnni($dot) => $body,
            #[cfg(target_arch = "x86_64")]
            Int8Unit::Avx512Bytes($dot) => $body,
            #[cfg(target_arch = "x86_64")]
            Int8Unit::Avx2Bytes($dot) => $body,
            #[cfg(test)]
            Int8Unit::PortableBytes($dot) => $body,
            #[cfg(test)]
            Int8Unit::PortableSaturating($dot) => $body,
            #[cfg(all(test, target_arch = "x86_64"))]
            Int8Unit::Tiled($dot) => $body,
        }
    };
}

/// How rows of activations lie for a unit: panels of so many rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowPanels {
    pub(crate) height: usize,
    /// Whether the rows of a panel lie one after the other, and not group by group.
    pub(crate) is_by_row: bool,
}

/// What AMX's tiles ask for: whole tiles, and so whole rows of tiles.
const TILED: RowPanels = RowPanels {
    height: TILE_SIDE,
    is_by_row: true,
};

/// Groups of a tile's row.
#[cfg(target_arch = "x86_64")]
const TILE_STEP: usize = vcp_simd::dot::amx::STEP;
#[cfg(not(target_arch = "x86_64"))]
const TILE_STEP: usize = 1;

#[cfg(target_arch = "x86_64")]
const TILE_SIDE: usize = vcp_simd::dot::amx::SIDE;
#[cfg(not(target_arch = "x86_64"))]
const TILE_SIDE: usize = 1;

impl RowPanels {
    /// Lays at most a panel's rows of `groups` each into the panel; missing rows are zeros.
    pub(crate) fn lay(self, rows: &[u32], groups: usize, panel: &mut [u32]) {
        if self.is_by_row {
            let (present, missing) = panel.split_at_mut(rows.len());
            present.copy_from_slice(rows);
            missing.fill(0);
        } else {
            interleave(rows, groups, self.height, panel);
        }
    }
}

fn group<D: Dot>(_: D) -> usize {
    D::GROUP
}

fn largest_weight<D: IntegerDot>(_: D) -> i8 {
    D::LARGEST
}

fn row_panels<D: NarrowBlocked>(_: D) -> RowPanels {
    RowPanels {
        height: D::PRODUCT.rows,
        is_by_row: false,
    }
}

impl Bf16Unit {
    /// Whether it multiplies tiles.
    fn is_tiled(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => true,
            #[cfg(all(test, target_arch = "x86_64"))]
            Self::Tiled(_) => true,
            #[allow(
                unreachable_patterns,
                reason = "on other processors there are no others"
            )]
            _ => false,
        }
    }

    /// Those that go with an instruction set, best first.
    pub(crate) fn all(instruction_set: Supported) -> Vec<Self> {
        match instruction_set {
            #[cfg(target_arch = "x86_64")]
            Supported::Avx512(_) => [
                AmxBf16::detect().map(Self::Amx),
                Avx512Bf16::detect().map(Self::Avx512),
            ]
            .into_iter()
            .flatten()
            .collect(),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx2(_) => Vec::new(),
            #[cfg(not(test))]
            Supported::Portable(_) => Vec::new(),
            #[cfg(test)]
            Supported::Portable(simd) => vec![
                Self::Portable(PortableBf16(simd)),
                #[cfg(target_arch = "x86_64")]
                Self::Tiled(PortableBf16(simd)),
            ],
        }
    }

    /// For tables and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => "amx-bf16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512-bf16",
            #[cfg(test)]
            Self::Portable(_) => "portable-bf16",
            #[cfg(all(test, target_arch = "x86_64"))]
            Self::Tiled(_) => "tiled-bf16",
        }
    }

    pub(crate) fn row_panels(self) -> RowPanels {
        if self.is_tiled() {
            return TILED;
        }
        with_bf16!(self, dot => row_panels(dot))
    }
}

impl Int8Unit {
    /// Whether it multiplies tiles.
    fn is_tiled(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => true,
            #[cfg(all(test, target_arch = "x86_64"))]
            Self::Tiled(_) => true,
            #[allow(
                unreachable_patterns,
                reason = "on other processors there are no others"
            )]
            _ => false,
        }
    }

    /// Those that go with an instruction set, best first.
    pub(crate) fn all(instruction_set: Supported) -> Vec<Self> {
        match instruction_set {
            #[cfg(target_arch = "x86_64")]
            Supported::Avx512(_) => [
                AmxInt8::detect().map(Self::Amx),
                Avx512Vnni::detect().map(Self::Avx512Vnni),
                Avx512Bytes::detect().map(Self::Avx512Bytes),
                // AVX-512F stands for AVX2 too, and may come without BW.
                Avx2Bytes::detect().map(Self::Avx2Bytes),
            ]
            .into_iter()
            .flatten()
            .collect(),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx2(_) => [
                AvxVnni::detect().map(Self::AvxVnni),
                Avx2Bytes::detect().map(Self::Avx2Bytes),
            ]
            .into_iter()
            .flatten()
            .collect(),
            #[cfg(not(test))]
            Supported::Portable(_) => Vec::new(),
            #[cfg(test)]
            Supported::Portable(simd) => vec![
                Self::PortableBytes(PortableBytes(simd)),
                Self::PortableSaturating(PortableSaturating(simd)),
                #[cfg(target_arch = "x86_64")]
                Self::Tiled(PortableBytes(simd)),
            ],
        }
    }

    /// For tables and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => "amx-int8",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bytes(_) => "avx512-bytes",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Bytes(_) => "avx2-bytes",
            #[cfg(test)]
            Self::PortableBytes(_) => "portable-bytes",
            #[cfg(test)]
            Self::PortableSaturating(_) => "portable-saturating",
            #[cfg(all(test, target_arch = "x86_64"))]
            Self::Tiled(_) => "tiled-bytes",
        }
    }

    pub(crate) fn row_panels(self) -> RowPanels {
        if self.is_tiled() {
            return TILED;
        }
        with_int8!(self, dot => row_panels(dot))
    }

    /// Numbers in a group.
    pub(crate) fn group(self) -> usize {
        with_int8!(self, dot => group(dot))
    }

    /// How far from 0 weights may be.
    pub(crate) fn largest_weight(self) -> i8 {
        with_int8!(self, dot => largest_weight(dot))
    }
}

impl ScoreUnit {
    /// Those that go with a unit for bf16, whose registers are as wide.
    pub(crate) fn of(unit: Bf16Unit) -> Option<Self> {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Bf16Unit::Amx(_) | Bf16Unit::Avx512(_) => Avx512Vnni::detect().map(Self::Avx512Vnni),
            #[cfg(test)]
            Bf16Unit::Portable(unit) => Some(Self::Portable(PortableBytes(unit.0))),
            #[cfg(all(test, target_arch = "x86_64"))]
            Bf16Unit::Tiled(unit) => Some(Self::Portable(PortableBytes(unit.0))),
        }
    }
}

impl AttentionUnit {
    /// For tables and logs.
    pub(crate) fn name(self) -> &'static str {
        match self.scores {
            #[cfg(target_arch = "x86_64")]
            Some(ScoreUnit::Avx512Vnni(_)) => "avx512-bf16 and avx512-vnni",
            #[cfg(test)]
            Some(ScoreUnit::Portable(_)) => "portable-bf16 and portable-bytes",
            // Heads are too narrow for AMX's tiles.
            None if self.bf16.name() == "amx-bf16" => "avx512-bf16",
            None => self.bf16.name(),
        }
    }

    /// For the record of operations.
    pub(crate) fn precision(self) -> &'static str {
        match self.scores {
            None => "bf16 ",
            Some(_) => "bf16, int8 ",
        }
    }
}

impl NarrowUnit {
    /// For tables and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bf16(unit) => unit.name(),
            Self::Int8(unit) => unit.name(),
        }
    }

    /// Numbers in a group.
    pub(crate) fn group(self) -> usize {
        match self {
            Self::Bf16(unit) => with_bf16!(unit, dot => group(dot)),
            Self::Int8(unit) => unit.group(),
        }
    }

    fn is_tiled(self) -> bool {
        match self {
            Self::Bf16(unit) => unit.is_tiled(),
            Self::Int8(unit) => unit.is_tiled(),
        }
    }

    /// What the number of groups in a row has to be a multiple of.
    pub(crate) fn step(self) -> usize {
        if self.is_tiled() { TILE_STEP } else { 1 }
    }

    /// Sizes in groups.
    pub(crate) fn blocking(self) -> Blocking {
        match self {
            #[cfg(target_arch = "x86_64")]
            _ if self.is_tiled() => Blocking::tiled(),
            Self::Bf16(unit) => with_bf16!(unit, dot => Blocking::narrow(dot)),
            Self::Int8(unit) => with_int8!(unit, dot => Blocking::narrow(dot)),
        }
    }
}
pub(crate) use with_bf16;
