//! From components to grey or RGB, with libjpeg's integers (`jdcolor.c`) and, for four inks, Pillow's.

/// What the components of a picture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    /// Brightness and two differences.
    Ycc,
    /// Four inks, stored inverted, as Adobe's programs do it.
    Cmyk,
    /// Four inks, of which three as brightness and differences.
    Ycck,
}

impl Colour {
    pub(super) fn channels(self) -> usize {
        if self == Self::Grey { 1 } else { 3 }
    }
}

const BITS: u32 = 16;
const HALF: i32 = 1 << (BITS - 1);
const RED_OF_CR: i32 = 91_881;
const BLUE_OF_CB: i32 = 116_130;
const GREEN_OF_CR: i32 = 46_802;
const GREEN_OF_CB: i32 = 22_554;

/// A row of pixels from a row of samples of each component.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
pub(super) fn convert(colour: Colour, lines: &[Vec<u8>], output: &mut [u8]) {
    let (pixels, _) = output.as_chunks_mut::<3>();
    match (colour, lines) {
        (Colour::Grey, [grey, ..]) => {
            let width = output.len();
            output.copy_from_slice(&grey[..width]);
        }
        (Colour::Rgb, [red, green, blue, ..]) => {
            let samples = red.iter().zip(green).zip(blue);
            for (pixel, ((&red, &green), &blue)) in pixels.iter_mut().zip(samples) {
                *pixel = [red, green, blue];
            }
        }
        (Colour::Ycc, [y, cb, cr, ..]) => {
            let samples = y.iter().zip(cb).zip(cr);
            for (pixel, ((&y, &cb), &cr)) in pixels.iter_mut().zip(samples) {
                *pixel = rgb(y, cb, cr);
            }
        }
        (Colour::Cmyk, [cyan, magenta, yellow, black]) => {
            let samples = cyan.iter().zip(magenta).zip(yellow).zip(black);
            for (pixel, (((&cyan, &magenta), &yellow), &black)) in pixels.iter_mut().zip(samples) {
                *pixel = [cyan, magenta, yellow].map(|ink| printed(ink, black));
            }
        }
        (Colour::Ycck, [y, cb, cr, black]) => {
            let samples = y.iter().zip(cb).zip(cr).zip(black);
            for (pixel, (((&y, &cb), &cr), &black)) in pixels.iter_mut().zip(samples) {
                *pixel = rgb(y, cb, cr).map(|value| printed(255 - value, black));
            }
        }
        // The number of components was checked against the colour.
        _ => {}
    }
}

#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((RED_OF_CR * cr + HALF) >> BITS);
    let green = y + ((-GREEN_OF_CB * cb - GREEN_OF_CR * cr + HALF) >> BITS);
    let blue = y + ((BLUE_OF_CB * cb + HALF) >> BITS);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// What is left of white under an ink and black, both stored inverted: as Pillow turns CMYK to RGB.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn printed(ink: u8, black: u8) -> u8 {
    let product = u32::from(255 - ink) * u32::from(black) + 128;
    black - (((product >> 8) + product) >> 8) as u8
}
