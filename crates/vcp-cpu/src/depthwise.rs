//! Depthwise convolutions: every channel with a kernel of its own.
//!
//! Registers lie along the channels, so that a tap is one multiply-add of a register of pixels and a register
//! of weights. A tile of a few pixels side by side is summed up in registers while its taps are walked over:
//! each weight is used for all of its pixels, and bias, activation and residual come in before it is
//! written (`tile`). Windows that reach into the margin skip what lies there: their pixels are summed up one by
//! one, with more channels at a time, and only in the first and last columns; in the first and last rows all
//! windows skip the same.
//!
//! Each element is one chain of multiply-adds that begins at the bias, in the order of the rows and columns
//! of the kernel, whatever tile it falls in.

mod tile;

use self::tile::{strip, tile};
use crate::blocking::Blocked as _;
use crate::buffer::{Buffer, Pool};
use crate::cpu::elements;
use crate::finish::Finish;
use crate::pointer::SharedMut;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use vcp_model::Windows;
use vcp_simd::{Simd, Supported, kernel};

/// Channels whose weights lie together: the most that a tile has on any instruction set.
const BLOCK: usize = 128;

/// Multiply-adds of one task at least; small maps stay on one thread.
const TASK: usize = 1 << 17;

/// The kernels of all channels as tiles read them.
pub(crate) struct Kernels {
    pub(crate) channels: usize,
    pub(crate) windows: Windows,
    /// [blocks of channels, side², `BLOCK`]; zeros for channels beyond the last.
    weight: Vec<f32>,
    /// One value per channel, padded to whole blocks.
    bias: Vec<f32>,
}

impl Kernels {
    /// `weight` is [channels, side²].
    pub(crate) fn pack(weight: &[f32], bias: &[f32], windows: Windows) -> Self {
        let (channels, taps) = (bias.len(), windows.side * windows.side);
        assert_eq!(weight.len(), channels * taps, "a kernel for each channel");
        let padded = channels.next_multiple_of(BLOCK);
        let mut packed = vec![0.0; padded * taps];
        for (channel, kernel) in weight.chunks_exact(taps).enumerate() {
            let (block, lane) = (channel / BLOCK, channel % BLOCK);
            for (tap, value) in kernel.iter().enumerate() {
                packed[(block * taps + tap) * BLOCK + lane] = *value;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self {
            channels,
            windows,
            weight: packed,
            bias,
        }
    }
}

/// One call's constants, shared by its tasks.
#[derive(Clone, Copy)]
struct Call<'a> {
    x: &'a [f32],
    kernels: &'a Kernels,
    finish: Finish<'a>,
    /// Height and width of the maps.
    from: [usize; 2],
    /// Height and width of the result.
    to: [usize; 2],
    out: SharedMut,
}

/// Maps `x` [batch, height, width, channels] convolved: [batch, windows, channels].
pub(crate) fn convolve(
    instruction_set: Supported,
    pool: &Arc<Pool>,
    x: &[f32],
    from: [usize; 2],
    kernels: &Kernels,
    finish: Finish<'_>,
) -> Buffer {
    let to = from.map(|length| kernels.windows.along(length));
    let [height, width] = from;
    let map = elements([height, width, kernels.channels]).max(1);
    let batch = x.len() / map;
    let mut out = pool.take(elements([batch, to[0] * to[1], kernels.channels]));
    // The kernel reads and writes through pointers, trusting these.
    assert_eq!(x.len(), batch * map, "whole maps");
    if let Finish::Add(residual) = finish {
        assert_eq!(residual.len(), out.len(), "the result's shape");
    }
    let call = Call {
        x,
        kernels,
        finish,
        from,
        to,
        out: SharedMut::new(&mut out),
    };
    let work = to[1] * kernels.channels * kernels.windows.side.pow(2);
    (0..batch * to[0])
        .into_par_iter()
        .with_min_len(TASK / work.max(1))
        .for_each(|line| {
            // SAFETY: the tasks write different lines of the output, which outlives them.
            unsafe { convolve_line(instruction_set, &call, line) };
        });
    out
}

kernel! {
    /// A line of the result: all columns and channels of a row of an image.
    ///
    /// # Safety
    /// There must be such a line, and nobody else may write it.
    unsafe fn convolve_line(call: &Call<'_>, line: usize) = for<Set> generic_line::<
        Set,
        { Set::DEPTHWISE.rows },
        { Set::DEPTHWISE.registers },
        { Set::DEPTHWISE.rows * Set::DEPTHWISE.registers },
    >;
}

#[inline(always)]
unsafe fn generic_line<S: Simd, const PIXELS: usize, const REGISTERS: usize, const WIDE: usize>(
    simd: S,
    call: &Call<'_>,
    line: usize,
) {
    const { assert!(WIDE == PIXELS * REGISTERS) };
    let [height, width] = call.from;
    let [down, across] = call.to;
    let windows = call.kernels.windows;
    let (image, row) = (line / down, line % down);
    let rows = taps(windows, row, height);
    let line = Line {
        // Whatever of the margin is above the map is skipped.
        first: image * height + row * windows.stride + rows.start - windows.margin(),
        rows,
        out: line * across,
    };
    let inner = inner(windows, width, PIXELS);
    // SAFETY: the columns lie within the line, and have the taps that are named.
    unsafe {
        let columns = Columns {
            range: inner.clone(),
            taps: 0..windows.side,
        };
        let channel = match (windows.side, windows.stride) {
            (3, 1) if inner.len() >= WIDE => {
                sweep_strips::<S, WIDE, REGISTERS, 3>(simd, call, &line, &inner)
            }
            (5, 1) if inner.len() >= WIDE => {
                sweep_strips::<S, WIDE, REGISTERS, 5>(simd, call, &line, &inner)
            }
            _ => sweep::<S, PIXELS, REGISTERS>(simd, call, &line, &columns, 0),
        };
        let channel = sweep::<S, PIXELS, 1>(simd, call, &line, &columns, channel);
        rest::<S, PIXELS>(simd, call, &line, &columns, channel);
        for column in (0..inner.start).chain(inner.end..across) {
            let columns = Columns {
                range: column..column + 1,
                taps: taps(windows, column, width),
            };
            let channel = sweep::<S, 1, WIDE>(simd, call, &line, &columns, 0);
            let channel = sweep::<S, 1, REGISTERS>(simd, call, &line, &columns, channel);
            let channel = sweep::<S, 1, 1>(simd, call, &line, &columns, channel);
            rest::<S, 1>(simd, call, &line, &columns, channel);
        }
    }
}

/// Where the terms of a line of the result are.
struct Line {
    /// The first row of pixels, counted over all images.
    first: usize,
    /// Rows of the kernel that lie within the map.
    rows: Range<usize>,
    /// The first window, counted over all images.
    out: usize,
}

/// Windows of a line that have the same columns of the kernel within the map.
struct Columns {
    range: Range<usize>,
    taps: Range<usize>,
}

/// The taps of the `index`-th window that lie within the map, along a side of it.
fn taps(windows: Windows, index: usize, length: usize) -> Range<usize> {
    let (first, margin) = (index * windows.stride, windows.margin());
    margin.saturating_sub(first)..windows.side.min(length + margin - first)
}

/// The windows along a side that lie within the map as a whole, if there are `least` of them.
fn inner(windows: Windows, length: usize, least: usize) -> Range<usize> {
    let start = windows.margin().div_ceil(windows.stride);
    let end = (length + windows.margin())
        .checked_sub(windows.side)
        .map_or(0, |last| last / windows.stride + 1)
        .min(windows.along(length));
    if end >= start + least {
        start..end
    } else {
        0..0
    }
}

/// The columns, with so many registers of channels from `channel` on, as long as there are as many. Gives
/// the channel that is next.
///
/// # Safety
/// The columns have to lie within the line and to have those taps, with room for a tile of them; nobody else
/// may write them.
#[inline(always)]
unsafe fn sweep<S: Simd, const PIXELS: usize, const REGISTERS: usize>(
    simd: S,
    call: &Call<'_>,
    line: &Line,
    columns: &Columns,
    mut channel: usize,
) -> usize {
    // Else a tile would read the weights of two blocks.
    const { assert!(BLOCK.is_multiple_of(REGISTERS * S::LANES)) };
    let wanted = REGISTERS * S::LANES;
    while channel + wanted <= call.kernels.channels {
        // Not so after a step of fewer registers, which only comes at the end.
        debug_assert!(channel % BLOCK + wanted <= BLOCK);
        // SAFETY: the caller's promise, and the channels are there.
        unsafe { tiles::<S, PIXELS, REGISTERS, true>(simd, call, line, columns, channel) };
        channel += wanted;
    }
    channel
}

/// The columns, which have all taps, in strips of so many pixels. The registers of a cache line take turns at
/// each place. Gives the channel that is next.
///
/// # Safety
/// As [`sweep`]; the kernels are of that side and move by one pixel.
#[inline(always)]
unsafe fn sweep_strips<S: Simd, const PIXELS: usize, const REGISTERS: usize, const SIDE: usize>(
    simd: S,
    call: &Call<'_>,
    line: &Line,
    columns: &Range<usize>,
) -> usize {
    let mut channel = 0;
    while channel + REGISTERS * S::LANES <= call.kernels.channels {
        for column in columns.clone().step_by(PIXELS) {
            let first = column.min(columns.end - PIXELS);
            for register in 0..REGISTERS {
                let channel = channel + register * S::LANES;
                // SAFETY: the caller's promise, and the channels are there.
                unsafe { strip::<S, PIXELS, SIDE>(simd, call, line, first, channel) };
            }
        }
        channel += REGISTERS * S::LANES;
    }
    channel
}

/// The columns, with the channels behind the last whole register.
///
/// # Safety
/// As [`sweep`]; fewer channels are left than a register has.
#[inline(always)]
unsafe fn rest<S: Simd, const PIXELS: usize>(
    simd: S,
    call: &Call<'_>,
    line: &Line,
    columns: &Columns,
    channel: usize,
) {
    if channel < call.kernels.channels {
        // SAFETY: the caller's promise.
        unsafe { tiles::<S, PIXELS, 1, false>(simd, call, line, columns, channel) };
    }
}

/// Tiles side by side. The last one begins where it still has room: some pixels are computed twice.
///
/// # Safety
/// As [`tile`], for all columns.
#[inline(always)]
unsafe fn tiles<S: Simd, const PIXELS: usize, const REGISTERS: usize, const WHOLE: bool>(
    simd: S,
    call: &Call<'_>,
    line: &Line,
    columns: &Columns,
    channel: usize,
) {
    let end = columns.range.end;
    for column in columns.range.clone().step_by(PIXELS) {
        let first = column.min(end - PIXELS);
        // SAFETY: `PIXELS` columns from there are among them.
        unsafe {
            tile::<S, PIXELS, REGISTERS, WHOLE>(simd, call, line, first, &columns.taps, channel);
        }
    }
}
