//! The sums of a few pixels side by side, held in registers.

use super::{BLOCK, Call, Kernels, Line};
use crate::finish::Finish;
use std::ops::Range;
use vcp_model::Windows;
use vcp_simd::{Lanes as _, MOST_LANES, Register as _, Simd};

/// A tile: so many pixels from `column` on and registers of channels from `channel` on. If it is not
/// `WHOLE`, the channels end within its only register.
///
/// # Safety
/// Its pixels have to lie within the line, and to have those taps within the map; its channels have to be
/// there, within one block; nobody else may write them.
#[inline(always)]
pub(super) unsafe fn tile<
    S: Simd,
    const PIXELS: usize,
    const REGISTERS: usize,
    const WHOLE: bool,
>(
    simd: S,
    call: &Call<'_>,
    line: &Line,
    column: usize,
    columns: &Range<usize>,
    channel: usize,
) {
    const { assert!(S::LANES <= MOST_LANES && (WHOLE || REGISTERS == 1)) };
    let Kernels {
        channels, windows, ..
    } = *call.kernels;
    let Windows { side, stride } = windows;
    let present = if WHOLE { S::LANES } else { channels - channel };
    let step = stride * channels;
    let corner = line.first * call.from[1] + column * stride + columns.start - windows.margin();
    // SAFETY: the taps of all pixels lie within the map, and `present` channels from `channel` on in each
    // pixel; weights and biases are padded to whole blocks. Pointers may stand anywhere after the last tap.
    unsafe {
        let bias = call.kernels.bias.as_ptr().add(channel);
        let block = channel / BLOCK * side * side * BLOCK + channel % BLOCK;
        let weight = call.kernels.weight.as_ptr().add(block);
        let mut sums = [[simd.splat(0.0); REGISTERS]; PIXELS];
        for sums in &mut sums {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = simd.load(bias.add(j * S::LANES));
            }
        }
        for (index, row) in line.rows.clone().enumerate() {
            let first = (corner + index * call.from[1]) * channels + channel;
            let mut x = call.x.as_ptr().add(first);
            let mut w = weight.add((row * side + columns.start) * BLOCK);
            for _ in columns.clone() {
                let mut weights = [simd.splat(0.0); REGISTERS];
                for (j, weight) in weights.iter_mut().enumerate() {
                    *weight = simd.load(w.add(j * S::LANES));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (j, (sum, weight)) in sums.iter_mut().zip(&weights).enumerate() {
                        let x = load::<S, WHOLE>(simd, x.add(i * step + j * S::LANES), present);
                        *sum = x.mul_add(*weight, *sum);
                    }
                }
                x = x.wrapping_add(channels);
                w = w.wrapping_add(BLOCK);
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let at = (line.out + column + i) * channels + channel;
            for (j, sum) in sums.iter().enumerate() {
                finish::<S, WHOLE>(simd, call, *sum, at + j * S::LANES, present);
            }
        }
    }
}

/// As a [`tile`] of one whole register of channels with all taps of a kernel of this side that moves by one
/// pixel. Weights of a row of taps stay in registers, and each pixel is loaded once for all sums that it is
/// in: what is loaded is a third of what a tile loads, and of each sum the terms come in the same order.
///
/// # Safety
/// As [`tile`], of columns with all taps.
#[inline(always)]
pub(super) unsafe fn strip<S: Simd, const PIXELS: usize, const SIDE: usize>(
    simd: S,
    call: &Call<'_>,
    line: &Line,
    column: usize,
    channel: usize,
) {
    let Kernels {
        channels, windows, ..
    } = *call.kernels;
    let corner = line.first * call.from[1] + column - windows.margin();
    // SAFETY: as in a tile.
    unsafe {
        let block = channel / BLOCK * SIDE * SIDE * BLOCK + channel % BLOCK;
        let weight = call.kernels.weight.as_ptr().add(block);
        let bias = simd.load(call.kernels.bias.as_ptr().add(channel));
        let mut sums = [bias; PIXELS];
        for (index, row) in line.rows.clone().enumerate() {
            let first = (corner + index * call.from[1]) * channels + channel;
            let mut x = call.x.as_ptr().add(first);
            let mut weights = [bias; SIDE];
            for (tap, weight_of_tap) in weights.iter_mut().enumerate() {
                *weight_of_tap = simd.load(weight.add((row * SIDE + tap) * BLOCK));
            }
            for place in 0..PIXELS + SIDE - 1 {
                let pixel = simd.load(x);
                for (tap, weight) in weights.iter().enumerate() {
                    if let Some(sum) = place.checked_sub(tap).and_then(|i| sums.get_mut(i)) {
                        *sum = pixel.mul_add(*weight, *sum);
                    }
                }
                x = x.wrapping_add(channels);
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            let at = (line.out + column + i) * channels + channel;
            finish::<S, true>(simd, call, *sum, at, S::LANES);
        }
    }
}

/// Writes a register of finished sums, or the `present` ones.
///
/// # Safety
/// They have to lie within the result; nobody else may write them.
#[inline(always)]
unsafe fn finish<S: Simd, const WHOLE: bool>(
    simd: S,
    call: &Call<'_>,
    sum: S::F32,
    at: usize,
    present: usize,
) {
    // SAFETY: the caller's promise; a residual has the shape of the result.
    unsafe {
        let mut values = [0.0; MOST_LANES];
        let added = match call.finish {
            Finish::Add(residual) if WHOLE => residual.as_ptr().add(at),
            Finish::Add(residual) => {
                load::<S, WHOLE>(simd, residual.as_ptr().add(at), present).write(&mut values);
                values.as_ptr()
            }
            _ => core::ptr::null(),
        };
        let value = call.finish.apply(simd, sum, added);
        let to = call.out.get().add(at);
        if WHOLE {
            value.store(to);
        } else {
            value.write(&mut values);
            core::ptr::copy_nonoverlapping(values.as_ptr(), to, present);
        }
    }
}

/// A register, or the `present` values that are left of it and zeros.
///
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn load<S: Simd, const WHOLE: bool>(simd: S, from: *const f32, present: usize) -> S::F32 {
    // SAFETY: the caller's promise; `present` is at most the number of lanes.
    unsafe {
        if WHOLE {
            return simd.load(from);
        }
        let mut padded = [0.0; MOST_LANES];
        core::ptr::copy_nonoverlapping(from, padded.as_mut_ptr(), present.min(S::LANES));
        simd.read(&padded)
    }
}
