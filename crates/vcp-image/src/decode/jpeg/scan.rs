//! Scans: from entropy-coded data to coefficients.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::colour::Colour;
use super::huffman::{Bits, Table};
use super::markers::{Frame, NATURAL_ORDER, Segments};
use super::render::Renderer;
use super::{Damage, Failure, invalid, reserve};

/// A scan: which coefficients of which components follow, and with which tables.
pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    /// First and last coefficient, in the order of the file.
    pub(super) start: u8,
    pub(super) end: u8,
    /// How many of the lower bits are not here, and how many were not before; 0 before the first.
    pub(super) low: u8,
    pub(super) high: u8,
    /// Units between restart markers; 0 without.
    pub(super) restart_interval: usize,
    /// Where its data begin.
    pub(super) at: usize,
}

/// A component of a scan.
pub(super) struct ScanComponent {
    /// Which of the picture's.
    pub(super) place: usize,
    /// In natural order.
    pub(super) divisors: [u16; 64],
    /// For the first coefficient.
    pub(super) direct: Option<Arc<Table>>,
    /// For the others.
    pub(super) alternating: Option<Arc<Table>>,
}

/// With less of a picture than this there is none. A few bytes could otherwise ask for hundreds of
/// megabytes of filler.
const LEAST_SHARE: f64 = 0.01;

fn nothing() -> Failure {
    invalid("its data end almost where they begin")
}

type Block = [i16; 64];

/// What is carried from block to block.
#[derive(Default)]
struct Carried {
    /// The last first coefficient of each component of the scan.
    predictions: [i32; 4],
    /// Blocks to come that have no new coefficient.
    empty_blocks: u32,
}

/// The data of a scan, unit by unit.
struct Units<'a> {
    bits: Bits<'a>,
    carried: Carried,
    interval: usize,
    /// Units up to the next restart marker.
    left: usize,
    /// Number of the restart marker that comes next.
    number: u8,
    /// Whether data are missing up to the next restart marker.
    is_over: bool,
    /// Units that went by, and those of them without data.
    seen: usize,
    missing: usize,
}

impl<'a> Units<'a> {
    fn new(bytes: &'a [u8], scan: &Scan) -> Self {
        Self {
            bits: Bits::new(bytes, scan.at),
            carried: Carried::default(),
            interval: scan.restart_interval,
            left: scan.restart_interval,
            number: 0,
            is_over: false,
            seen: 0,
            missing: 0,
        }
    }

    /// Decodes the next unit, if there are data for it; gives whether there are.
    fn next(&mut self, decode: impl FnOnce(&mut Bits<'a>, &mut Carried)) -> bool {
        self.seen += 1;
        if self.interval > 0 {
            if self.left == 0 {
                self.is_over = !self.bits.restart(self.number);
                self.number = (self.number + 1) % 8;
                self.left = self.interval;
                self.carried = Carried::default();
            }
            self.left -= 1;
        }
        if self.is_over {
            self.missing += 1;
            return false;
        }
        decode(&mut self.bits, &mut self.carried);
        if self.bits.is_exhausted {
            self.is_over = true;
            self.missing += 1;
        }
        true
    }

    /// The share of so many units that was decoded so far.
    fn share_of(&self, all: usize) -> f64 {
        (self.seen - self.missing) as f64 / all as f64
    }

    /// Whether no data can come any more.
    fn is_at_end(&self) -> bool {
        self.is_over && (self.interval == 0 || self.bits.is_ended)
    }
}

/// Decodes a picture that is all in one scan; each unit is drawn as soon as it is there.
pub(super) fn decode_at_once(
    segments: &mut Segments<'_>,
    frame: &Frame,
    scan: &Scan,
    colour: Colour,
) -> Result<(Vec<u8>, Damage), Failure> {
    let mut renderer = Renderer::new(frame, colour)?;
    let mut units = Units::new(segments.bytes(), scan);
    let (across, down) = frame.units();
    for row in 0..down {
        for column in 0..across {
            if units.is_at_end() && units.share_of(across * down) < LEAST_SHARE {
                return Err(nothing());
            }
            let is_there = units.next(|bits, carried| {
                for (index, of_scan) in scan.components.iter().enumerate() {
                    let component = &frame.components[of_scan.place];
                    let prediction = &mut carried.predictions[index];
                    for y in 0..component.down {
                        for x in 0..component.across {
                            let mut block = [0; 64];
                            sequential(bits, of_scan, prediction, &mut block);
                            let x = column * component.across + x;
                            renderer.draw(of_scan.place, (row, x, y), &block, &of_scan.divisors);
                        }
                    }
                }
            });
            if !is_there {
                renderer.fill(row, column);
            }
        }
        renderer.finish_row(row);
    }
    segments.go_on_at(units.bits.position());
    let damage = Damage {
        missing: units.missing as f64 / (across * down) as f64,
        is_corrupt: units.bits.is_damaged,
        ..Damage::default()
    };
    Ok((renderer.into_pixels(), damage))
}

/// The coefficients of a component.
struct Coefficients {
    /// Blocks side by side, with those that only fill up units.
    across: usize,
    blocks: Vec<Block>,
    divisors: [u16; 64],
    /// How many of the lower bits of each coefficient, in the order of the file, have not come; none
    /// have where it is negative.
    missing_bits: [i8; 64],
}

/// Decodes a picture whose coefficients come in several scans.
pub(super) fn decode_in_passes(
    segments: &mut Segments<'_>,
    frame: &Frame,
    first: Scan,
    colour: Colour,
) -> Result<(Vec<u8>, Damage), Failure> {
    let (across, down) = frame.units();
    let mut planes = Vec::with_capacity(frame.components.len());
    for component in &frame.components {
        let row = across * component.across;
        planes.push(Coefficients {
            across: row,
            blocks: reserve([0; 64], row * down * component.down)?,
            divisors: [0; 64],
            missing_bits: [-1; 64],
        });
    }
    let mut damage = Damage::default();
    let mut next = Some(first);
    while let Some(scan) = next {
        let mut units = Units::new(segments.bytes(), &scan);
        let (columns, rows) = match &scan.components[..] {
            // Alone, a component has no blocks that only fill up units.
            [only] => {
                let (width, height) = frame.samples(&frame.components[only.place]);
                (width.div_ceil(8), height.div_ceil(8))
            }
            _ => (across, down),
        };
        'scan: for row in 0..rows {
            for column in 0..columns {
                if units.is_at_end() {
                    units.missing += (rows - row) * columns - column;
                    break 'scan;
                }
                units.next(|bits, carried| {
                    let is_alone = scan.components.len() == 1;
                    for (index, of_scan) in scan.components.iter().enumerate() {
                        let component = &frame.components[of_scan.place];
                        let (across, down) = if is_alone {
                            (1, 1)
                        } else {
                            (component.across, component.down)
                        };
                        let plane = &mut planes[of_scan.place];
                        for y in row * down..(row + 1) * down {
                            for x in column * across..(column + 1) * across {
                                let block = &mut plane.blocks[y * plane.across + x];
                                let coder = Coder {
                                    scan: &scan,
                                    of_scan,
                                };
                                if frame.is_progressive {
                                    coder.progressive(bits, carried, index, block);
                                } else {
                                    let prediction = &mut carried.predictions[index];
                                    sequential(bits, of_scan, prediction, block);
                                }
                            }
                        }
                    }
                });
            }
        }
        let missing = units.missing as f64 / (columns * rows) as f64;
        if scan.start == 0 && scan.high == 0 {
            damage.missing = damage.missing.max(missing);
        } else {
            damage.lacks_detail |= missing > 0.0;
        }
        damage.is_corrupt |= units.bits.is_damaged;
        for of_scan in &scan.components {
            let plane = &mut planes[of_scan.place];
            if plane.missing_bits[0] < 0 {
                plane.divisors = of_scan.divisors;
            }
            plane.missing_bits[usize::from(scan.start)..=usize::from(scan.end)]
                .fill(scan.low as i8);
        }
        segments.go_on_at(units.bits.position());
        next = segments.next_scan()?;
    }
    for plane in &planes {
        if plane.missing_bits[0] < 0 {
            damage.missing = damage.missing.max(0.5);
        }
        damage.lacks_detail |= plane.missing_bits.iter().any(|&bits| bits != 0);
    }
    if 1.0 - damage.missing < LEAST_SHARE {
        return Err(nothing());
    }
    Ok((draw(&planes, frame, colour)?, damage))
}

/// The pixels of a picture whose coefficients are all there.
fn draw(planes: &[Coefficients], frame: &Frame, colour: Colour) -> Result<Vec<u8>, Failure> {
    let (_, down) = frame.units();
    let mut renderer = Renderer::new(frame, colour)?;
    for row in 0..down {
        for (place, (plane, component)) in planes.iter().zip(&frame.components).enumerate() {
            for y in 0..component.down {
                let first = (row * component.down + y) * plane.across;
                let blocks = &plane.blocks[first..first + plane.across];
                for (x, block) in blocks.iter().enumerate() {
                    renderer.draw(place, (row, x, y), block, &plane.divisors);
                }
            }
        }
        renderer.finish_row(row);
    }
    Ok(renderer.into_pixels())
}

/// All coefficients of a block, one after the other.
fn sequential(
    bits: &mut Bits<'_>,
    of_scan: &ScanComponent,
    prediction: &mut i32,
    block: &mut Block,
) {
    let (Some(direct), Some(alternating)) = (&of_scan.direct, &of_scan.alternating) else {
        return;
    };
    *prediction = prediction.wrapping_add(bits.number(direct).1);
    block[0] = *prediction as i16;
    alternating_part(bits, alternating, 1..=63, 0, block);
}

/// Coefficients at these places in the order of the stream, of which none was there, shifted by `low`. Ends
/// behind the last of them, or at a symbol that ends the block: that symbol's upper half is given back then.
#[inline]
fn alternating_part(
    bits: &mut Bits<'_>,
    table: &Table,
    places: RangeInclusive<usize>,
    low: u32,
    block: &mut Block,
) -> Option<usize> {
    let mut own = *bits;
    let mut zeros_at_end = None;
    let mut place = *places.start();
    while place <= *places.end() {
        let (zeros, value) = own.number(table);
        if value == 0 {
            if zeros < 15 {
                zeros_at_end = Some(zeros);
                break;
            }
            place += 16;
            continue;
        }
        place += zeros;
        let Some(&natural) = NATURAL_ORDER.get(place) else {
            own.is_damaged |= !own.is_exhausted;
            break;
        };
        block[usize::from(natural)] = (value << low) as i16;
        place += 1;
    }
    *bits = own;
    zeros_at_end
}

/// How a progressive scan refines a block of one of its components.
struct Coder<'a> {
    scan: &'a Scan,
    of_scan: &'a ScanComponent,
}

impl Coder<'_> {
    fn progressive(
        &self,
        bits: &mut Bits<'_>,
        carried: &mut Carried,
        index: usize,
        block: &mut Block,
    ) {
        let Scan {
            start, high, low, ..
        } = *self.scan;
        let empty_blocks = &mut carried.empty_blocks;
        match (start, high, &self.of_scan.direct, &self.of_scan.alternating) {
            (0, 0, Some(direct), _) => {
                let prediction = &mut carried.predictions[index];
                *prediction = prediction.wrapping_add(bits.number(direct).1);
                block[0] = (*prediction << low) as i16;
            }
            (0, _, _, _) if bits.bit() => {
                block[0] |= 1 << low;
            }
            (_, 0, _, Some(alternating)) => self.first(bits, alternating, empty_blocks, block),
            (_, _, _, Some(alternating)) => self.refine(bits, alternating, empty_blocks, block),
            _ => {}
        }
    }

    /// The upper bits of coefficients of which none were there.
    fn first(&self, bits: &mut Bits<'_>, table: &Table, empty_blocks: &mut u32, block: &mut Block) {
        if *empty_blocks > 0 {
            *empty_blocks -= 1;
            return;
        }
        let places = usize::from(self.scan.start)..=usize::from(self.scan.end);
        let low = self.scan.low.into();
        if let Some(zeros) = alternating_part(bits, table, places, low, block) {
            *empty_blocks = run(bits, zeros) - 1;
        }
    }

    /// One bit more of coefficients of which the upper ones were there.
    fn refine(
        &self,
        bits: &mut Bits<'_>,
        table: &Table,
        empty_blocks: &mut u32,
        block: &mut Block,
    ) {
        let one = 1_i16 << self.scan.low;
        let end = usize::from(self.scan.end);
        let mut place = usize::from(self.scan.start);
        if *empty_blocks == 0 {
            while place <= end {
                let symbol = bits.symbol(table);
                let (mut zeros, size) = (usize::from(symbol >> 4), symbol & 15);
                let mut fresh = 0;
                if size > 0 {
                    // A coefficient that is new has one bit, and its sign is the next.
                    bits.is_damaged |= size > 1 && !bits.is_exhausted;
                    fresh = if bits.bit() { one } else { -one };
                } else if zeros < 15 {
                    *empty_blocks = run(bits, zeros);
                    break;
                }
                while place <= end {
                    let coefficient = &mut block[usize::from(NATURAL_ORDER[place])];
                    if *coefficient != 0 {
                        correct(bits, coefficient, one);
                    } else if zeros == 0 {
                        *coefficient = fresh;
                        place += 1;
                        break;
                    } else {
                        zeros -= 1;
                    }
                    place += 1;
                }
            }
        }
        if *empty_blocks > 0 {
            for &natural in &NATURAL_ORDER[place..=end] {
                let coefficient = &mut block[usize::from(natural)];
                if *coefficient != 0 {
                    correct(bits, coefficient, one);
                }
            }
            *empty_blocks -= 1;
        }
    }
}

/// How many blocks end here, this one included.
fn run(bits: &mut Bits<'_>, size: usize) -> u32 {
    (1 << size) + bits.take(size as u32)
}

/// Reads the next lower bit of a coefficient.
fn correct(bits: &mut Bits<'_>, coefficient: &mut i16, one: i16) {
    if bits.bit() && *coefficient & one == 0 {
        *coefficient = if *coefficient >= 0 {
            coefficient.wrapping_add(one)
        } else {
            coefficient.wrapping_sub(one)
        };
    }
}
