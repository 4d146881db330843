//! From samples of the components, a row of units at a time, to rows of pixels.

use vcp_simd::{Supported, kernel};

use crate::instruction_set::instruction_set;

use super::colour::{Colour, convert};
use super::markers::Frame;
use super::upsample::Upsampling;
use super::{Failure, idct, reserve};

/// A picture that is being drawn from the top down.
pub(super) struct Renderer {
    set: Supported,
    width: usize,
    height: usize,
    /// Rows of pixels in a row of units.
    rows: usize,
    /// Rows of pixels for one sample of the component that has fewest: they are held back until what is
    /// below them is known.
    held_back: usize,
    colour: Colour,
    planes: Vec<Plane>,
    /// A row of pixels of each component.
    lines: Vec<Vec<u8>>,
    sums: Vec<u16>,
    drawn: usize,
    pixels: Vec<u8>,
}

/// The last two rows of units of a component.
struct Plane {
    /// Samples in a row that belong to the picture, and rows of them.
    width: usize,
    height: usize,
    /// Samples in a row.
    stride: usize,
    /// Blocks across and down in a unit.
    across: usize,
    down: usize,
    upsampling: Upsampling,
    samples: Vec<u8>,
}

impl Renderer {
    pub(super) fn new(frame: &Frame, colour: Colour) -> Result<Self, Failure> {
        let (across, _) = frame.units();
        let mut planes = Vec::with_capacity(frame.components.len());
        let mut lines = Vec::with_capacity(frame.components.len());
        for component in &frame.components {
            let (width, height) = frame.samples(component);
            let stride = across * component.across * 8;
            let wider = frame.across / component.across;
            planes.push(Plane {
                width,
                height,
                stride,
                across: component.across,
                down: component.down,
                upsampling: Upsampling::new(wider, frame.down / component.down, width),
                samples: reserve(0, 2 * 8 * component.down * stride)?,
            });
            lines.push(vec![0; width * wider]);
        }
        Ok(Self {
            set: instruction_set(),
            width: frame.width,
            height: frame.height,
            rows: 8 * frame.down,
            held_back: frame.down,
            colour,
            planes,
            lines,
            sums: Vec::new(),
            drawn: 0,
            pixels: reserve(0, frame.width * frame.height * colour.channels())?,
        })
    }

    /// Draws a block: block `x` of a component's row, in line `y` of the row of units `row`.
    pub(super) fn draw(
        &mut self,
        component: usize,
        (row, x, y): (usize, usize, usize),
        block: &[i16; 64],
        divisors: &[u16; 64],
    ) {
        let plane = &mut self.planes[component];
        let line = ((row % 2) * plane.down + y) * 8;
        let samples = idct::inverse(self.set, block, divisors);
        let lines = plane.samples[line * plane.stride..].chunks_exact_mut(plane.stride);
        for (line, samples) in lines.zip(&samples) {
            line[8 * x..][..8].copy_from_slice(samples);
        }
    }

    /// Makes a unit grey, as libjpeg does where it has no data.
    pub(super) fn fill(&mut self, row: usize, column: usize) {
        for plane in &mut self.planes {
            let first = (row % 2) * plane.down * 8;
            let width = 8 * plane.across;
            for line in first..first + 8 * plane.down {
                let start = line * plane.stride + column * width;
                plane.samples[start..start + width].fill(128);
            }
        }
    }

    /// Draws what can be drawn now that the row of units `row` is there.
    pub(super) fn finish_row(&mut self, row: usize) {
        let known = (row + 1) * self.rows;
        let end = if known >= self.height {
            self.height
        } else {
            known - self.held_back
        };
        let stride = self.width * self.colour.channels();
        for y in self.drawn..end {
            draw_line(
                self.set,
                y,
                &self.planes,
                &mut self.lines,
                &mut self.sums,
                self.colour,
                &mut self.pixels[y * stride..(y + 1) * stride],
            );
        }
        self.drawn = end;
    }

    pub(super) fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

kernel! {
    /// Draws row `y` of the photo. `lines` and `sums` are written over.
    fn draw_line<S: Simd>(
        _simd: S,
        y: usize,
        planes: &[Plane],
        lines: &mut [Vec<u8>],
        sums: &mut Vec<u16>,
        colour: Colour,
        pixels: &mut [u8],
    ) {
        for (plane, line) in planes.iter().zip(&mut *lines) {
            let row = |y: isize| {
                let y = y.clamp(0, plane.height as isize - 1) as usize % (16 * plane.down);
                &plane.samples[y * plane.stride..][..plane.width]
            };
            plane.upsampling.line(y, row, sums, line);
        }
        convert(colour, lines, pixels);
    }
}
