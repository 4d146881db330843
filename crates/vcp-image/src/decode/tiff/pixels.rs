//! From rows of samples to 8-bit grey or RGB.

use super::page::{Colour, Page};
use crate::decode::bits::Narrowing;

/// How the samples of a page become bytes.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// What whole numbers of 16 bits become.
    pub(super) narrowing: Narrowing,
    /// The floating-point number that is white.
    pub(super) white: f64,
}

/// The `count` samples at the start of a row as bytes.
pub(super) fn narrow(page: &Page, row: &[u8], count: usize, scale: Scale, out: &mut Vec<u8>) {
    out.clear();
    let is_mask = scale.narrowing == Narrowing::AnyBit;
    if page.is_float {
        let size = (page.bits / 8) as usize;
        let numbers = row.chunks_exact(size).map(|bytes| float(page, bytes));
        out.extend(numbers.take(count).map(|number| {
            if is_mask {
                if number > 0.0 { 255 } else { 0 }
            } else {
                // What is no number becomes 0.
                (number / scale.white * 255.0).round() as u8
            }
        }));
        invert(page, out);
        return;
    }
    let largest = u16::MAX >> (16 - page.bits);
    let is_inverted = page.colour == Colour::Grey { is_inverted: true };
    let narrowed = |sample: u16| match page.bits {
        // Any value above 0 stays above it.
        _ if is_mask && page.bits > 8 => {
            let value = if is_inverted {
                largest - sample
            } else {
                sample
            };
            ((value >> (page.bits - 8)) as u8).max(u8::from(value > 0))
        }
        16 => scale.narrowing.apply(sample),
        9.. => (sample >> (page.bits - 8)) as u8,
        8 => sample as u8,
        _ if matches!(page.colour, Colour::Palette(_)) => sample as u8,
        _ => (u32::from(sample) * 255 / u32::from(largest)) as u8,
    };
    match page.bits {
        8 => out.extend_from_slice(&row[..count]),
        16 => {
            let (samples, _) = row.as_chunks::<2>();
            let samples = samples.iter().take(count);
            out.extend(samples.map(|bytes| narrowed(page.order.u16(*bytes))));
        }
        bits => out.extend(packed(row, bits as usize).take(count).map(narrowed)),
    }
    if !(is_mask && page.bits > 8) {
        invert(page, out);
    }
}

fn invert(page: &Page, samples: &mut [u8]) {
    if page.colour == (Colour::Grey { is_inverted: true }) {
        for sample in samples {
            *sample = !*sample;
        }
    }
}

/// Numbers of up to 16 bits, one after another, the highest bit first.
fn packed(row: &[u8], bits: usize) -> impl Iterator<Item = u16> {
    let byte = |at: usize| u32::from(row.get(at).copied().unwrap_or(0));
    (0..row.len() * 8 / bits).map(move |index| {
        let first = index * bits;
        let at = first / 8;
        let three = byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2);
        (three >> (24 - first % 8 - bits)) as u16 & (u16::MAX >> (16 - bits))
    })
}

pub(super) fn float(page: &Page, bytes: &[u8]) -> f64 {
    let number = page.order.number(bytes);
    if bytes.len() == 4 {
        f64::from(f32::from_bits(number as u32))
    } else {
        f64::from_bits(number)
    }
}

/// Pixels from the narrowed samples of a row, one list for each plane; `to` has room for them.
pub(super) fn colours(page: &Page, planes: &[Vec<u8>], to: &mut [u8]) {
    let together = page.samples_together() as usize;
    let sample = |pixel: usize, index: usize| {
        if planes.len() > 1 {
            planes[index][pixel]
        } else {
            planes[0][pixel * together + index]
        }
    };
    match &page.colour {
        Colour::Grey { .. } => {
            for (pixel, to) in to.iter_mut().enumerate() {
                *to = sample(pixel, 0);
            }
        }
        Colour::Rgb => {
            for (pixel, to) in to.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                *to = [0, 1, 2].map(|index| sample(pixel, index));
            }
        }
        Colour::Palette(palette) => {
            for (pixel, to) in to.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                *to = palette[usize::from(sample(pixel, 0))];
            }
        }
        Colour::Cmyk => {
            for (pixel, to) in to.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let black = 255 - u32::from(sample(pixel, 3));
                *to = [0, 1, 2].map(|index| {
                    // Rounded as Pillow rounds.
                    let ink = u32::from(sample(pixel, index)) * black + 128;
                    (black - (((ink >> 8) + ink) >> 8)) as u8
                });
            }
        }
        Colour::YCbCr => {
            for (pixel, to) in to.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                *to = rgb([0, 1, 2].map(|index| sample(pixel, index)));
            }
        }
    }
}

/// JPEG's conversion, in the whole numbers of libjpeg.
fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let half = 1 << 15;
    let red = y + ((91_881 * cr + half) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + half) >> 16);
    let blue = y + ((116_130 * cb + half) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// Brings each pixel of a mask down to its alpha: programs that erase leave any colour under what is
/// transparent. Alpha that is the same everywhere says nothing.
pub(super) fn cut_to_alpha(pixels: &mut [u8], channels: usize, alpha: &[u8]) {
    if alpha.iter().all(|value| Some(value) == alpha.first()) {
        return;
    }
    for (pixel, alpha) in pixels.chunks_exact_mut(channels).zip(alpha) {
        for value in pixel {
            *value = (*value).min(*alpha);
        }
    }
}
