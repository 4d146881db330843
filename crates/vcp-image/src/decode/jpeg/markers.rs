//! The segments between markers: sizes, tables, and what the components mean.

use std::sync::Arc;

use super::colour::Colour;
use super::huffman::{Table, next_marker};
use super::scan::{Scan, ScanComponent};
use super::{Failure, invalid};

/// Scans that a picture may have. Each goes over all of it, and real ones have about ten.
const MAX_SCANS: usize = 100;

/// The place in natural order of each coefficient in the order of the file.
#[rustfmt::skip]
pub(super) const NATURAL_ORDER: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What is said of a picture before its first scan.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) is_progressive: bool,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
}

/// A component of a picture: brightness or one of the colours.
#[derive(Clone, Debug)]
pub(super) struct Component {
    id: u8,
    /// Sampling factors of the component: its blocks in a unit.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Which table of divisors is its own.
    table: usize,
}

impl Frame {
    /// Units side by side, and one above the other.
    pub(super) fn units(&self) -> (usize, usize) {
        (
            self.width.div_ceil(8 * self.across),
            self.height.div_ceil(8 * self.down),
        )
    }

    /// Samples of a component that belong to the picture: in a row, and rows.
    pub(super) fn samples(&self, component: &Component) -> (usize, usize) {
        (
            (self.width * component.across).div_ceil(self.across),
            (self.height * component.down).div_ceil(self.down),
        )
    }
}

/// The segments of a file, read one after the other.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) is_ended: bool,
    /// The metadata of the camera.
    pub(super) exif: Option<&'a [u8]>,
    /// What the picture is said to be, until it is taken.
    pub(super) frame: Option<Frame>,
    components: Vec<Component>,
    is_progressive: bool,
    scans: usize,
    divisors: [Option<[u16; 64]>; 4],
    direct: [Option<Arc<Table>>; 4],
    alternating: [Option<Arc<Table>>; 4],
    restart_interval: usize,
    has_jfif: bool,
    /// Adobe's number for the colours.
    adobe: Option<u8>,
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 2,
            is_ended: false,
            exif: None,
            frame: None,
            components: Vec::new(),
            is_progressive: false,
            scans: 0,
            divisors: [None; 4],
            direct: Default::default(),
            alternating: Default::default(),
            restart_interval: 0,
            has_jfif: false,
            adobe: None,
        }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Says that entropy-coded data were read up to here.
    pub(super) fn go_on_at(&mut self, at: usize) {
        self.at = at;
    }

    /// Reads up to the next scan's data; none if the end marker, or the end, comes first.
    pub(super) fn next_scan(&mut self) -> Result<Option<Scan>, Failure> {
        while !self.is_ended {
            let Some((marker, at)) = next_marker(self.bytes, self.at) else {
                return Ok(None);
            };
            self.at = at;
            match marker {
                0xD9 => self.is_ended = true,
                // They stand alone.
                0x01 | 0xD0..=0xD8 => {}
                _ => {
                    let Some(segment) = self.segment() else {
                        return if self.components.is_empty() {
                            Err(invalid("it ends before its end marker"))
                        } else {
                            Ok(None)
                        };
                    };
                    if marker == 0xDA {
                        return self.scan(segment).map(Some);
                    }
                    self.keep(marker, segment)?;
                }
            }
        }
        Ok(None)
    }

    /// What stands in the segment here; nothing if it reaches past the end.
    fn segment(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let segment = rest.get(2..length.max(2))?;
        self.at += length.max(2);
        Some(segment)
    }

    fn keep(&mut self, marker: u8, segment: &'a [u8]) -> Result<(), Failure> {
        match marker {
            0xC0..=0xC2 => self.keep_frame(marker, segment),
            0xC4 => self.keep_codes(segment),
            0xDB => self.keep_divisors(segment),
            0xDD => {
                let interval = segment.first_chunk().ok_or_else(cut)?;
                self.restart_interval = usize::from(u16::from_be_bytes(*interval));
                Ok(())
            }
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCC..=0xCF | 0xF7 => {
                Err(Failure::Unsupported(other_process(marker)))
            }
            0xE0 => {
                self.has_jfif |= segment.starts_with(b"JFIF\0") && segment.len() >= 14;
                Ok(())
            }
            0xE1 => {
                if self.exif.is_none() {
                    self.exif = segment.strip_prefix(b"Exif\0\0");
                }
                Ok(())
            }
            0xEE => {
                if segment.starts_with(b"Adobe") {
                    self.adobe = segment.get(11).copied().or(self.adobe);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn keep_frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), Failure> {
        if !self.components.is_empty() {
            return Err(invalid("it begins a second picture within the first"));
        }
        let (&[bits, h1, h0, w1, w0, count], rest) = segment.split_first_chunk().ok_or_else(cut)?;
        if bits != 8 {
            return Err(Failure::Unsupported(
                "its samples have more than 8 bits (`djpeg IN > OUT.ppm` of libjpeg-turbo 3 writes a \
                 file that is read)",
            ));
        }
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if height == 0 {
            return Err(Failure::Unsupported(
                "its height stands behind the picture instead of before it",
            ));
        }
        let (parts, _) = rest.as_chunks::<3>();
        let parts = parts.get(..usize::from(count)).ok_or_else(cut)?;
        for &[id, factors, table] in parts {
            let (across, down) = (usize::from(factors >> 4), usize::from(factors & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) || table > 3 {
                return Err(invalid(
                    "the sampling of its components is none that exists",
                ));
            }
            self.components.push(Component {
                id,
                across,
                down,
                table: usize::from(table),
            });
        }
        if let [only] = &mut self.components[..] {
            // With nothing beside it, its factors mean nothing.
            (only.across, only.down) = (1, 1);
        }
        let across = self.components.iter().map(|it| it.across).max();
        let down = self.components.iter().map(|it| it.down).max();
        let (across, down) = (across.unwrap_or(1), down.unwrap_or(1));
        let is_whole =
            |it: &Component| across.is_multiple_of(it.across) && down.is_multiple_of(it.down);
        if !self.components.iter().all(is_whole) {
            return Err(Failure::Unsupported(
                "its components are sampled so that pixels lie across samples",
            ));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Failure::Unsupported(
                "it has a number of components other than 1, 3 or 4, whose meaning is not known",
            ));
        }
        self.is_progressive = marker == 0xC2;
        self.frame = Some(Frame {
            width: usize::from(width),
            height: usize::from(height),
            is_progressive: self.is_progressive,
            components: self.components.clone(),
            across,
            down,
        });
        Ok(())
    }

    fn keep_codes(&mut self, mut segment: &[u8]) -> Result<(), Failure> {
        while let Some((&[place], rest)) = segment.split_first_chunk() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
            let count: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let symbols = rest.get(..count).ok_or_else(cut)?;
            segment = &rest[count..];
            let is_direct = place >> 4 == 0;
            let tables = if is_direct {
                &mut self.direct
            } else {
                &mut self.alternating
            };
            let table = tables.get_mut(usize::from(place & 15));
            let table = table.filter(|_| place < 32).ok_or_else(unknown_table)?;
            if is_direct && symbols.iter().any(|&symbol| symbol > 15) {
                return Err(invalid(
                    "one of its Huffman tables has symbols that mean nothing",
                ));
            }
            *table = Some(Arc::new(Table::new(*counts, symbols)?));
        }
        Ok(())
    }

    fn keep_divisors(&mut self, mut segment: &[u8]) -> Result<(), Failure> {
        while let Some((&[place], rest)) = segment.split_first_chunk() {
            let width = if place >> 4 == 0 { 1 } else { 2 };
            let values = rest.get(..64 * width).ok_or_else(cut)?;
            segment = &rest[64 * width..];
            let table = self.divisors.get_mut(usize::from(place & 15));
            let table = table.filter(|_| place < 32).ok_or_else(unknown_table)?;
            let mut divisors = [0; 64];
            for (value, &to) in values.chunks_exact(width).zip(&NATURAL_ORDER) {
                divisors[usize::from(to)] = match value {
                    [high, low] => u16::from_be_bytes([*high, *low]),
                    value => u16::from(value[0]),
                };
            }
            *table = Some(divisors);
        }
        Ok(())
    }

    /// A scan and its tables, from the segment before its data.
    fn scan(&mut self, segment: &[u8]) -> Result<Scan, Failure> {
        if self.components.is_empty() {
            return Err(invalid(
                "it does not say what its picture is before the picture",
            ));
        }
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(invalid("it has more scans than any encoder writes"));
        }
        let (&[count], rest) = segment.split_first_chunk().ok_or_else(cut)?;
        let (parts, rest) = rest
            .split_at_checked(2 * usize::from(count))
            .ok_or_else(cut)?;
        let (start, end, high, low) = if self.is_progressive {
            let &[start, end, approximation] = rest.first_chunk().ok_or_else(cut)?;
            let (high, low) = (approximation >> 4, approximation & 15);
            let is_possible = match start {
                0 => end == 0,
                _ => start <= end && end < 64 && count == 1,
            };
            if !is_possible || low > 13 {
                return Err(invalid("one of its scans holds what no scan can hold"));
            }
            (start, end, high, low)
        } else {
            // Whatever stands there, it is all of them.
            (0, 63, 0, 0)
        };
        let is_direct = !self.is_progressive || (start == 0 && high == 0);
        let is_alternating = !self.is_progressive || start > 0;
        let mut components: Vec<ScanComponent> = Vec::new();
        for part in parts.chunks_exact(2) {
            let (id, direct, alternating) = (part[0], part[1] >> 4, part[1] & 15);
            let place = |(place, component): (usize, &Component)| {
                let is_new = components.iter().all(|it| it.place != place);
                (component.id == id && is_new).then_some(place)
            };
            let place = self.components.iter().enumerate().find_map(place);
            let place = place
                .ok_or_else(|| invalid("one of its scans is of a component it does not have"))?;
            let own = self.components[place].table;
            let divisors = self.divisors[own].ok_or_else(|| {
                invalid("the quantisation table of one of its components is missing")
            })?;
            components.push(ScanComponent {
                place,
                divisors,
                direct: self.table(true, direct, is_direct)?,
                alternating: self.table(false, alternating, is_alternating)?,
            });
        }
        if components.is_empty() {
            return Err(invalid("one of its scans is of no component"));
        }
        Ok(Scan {
            components,
            start,
            end,
            high,
            low,
            restart_interval: self.restart_interval,
            at: self.at,
        })
    }

    /// A Huffman table, if it is needed. Cameras that write video leave out those that are standard.
    fn table(
        &self,
        is_direct: bool,
        index: u8,
        is_needed: bool,
    ) -> Result<Option<Arc<Table>>, Failure> {
        if !is_needed {
            return Ok(None);
        }
        let index = usize::from(index);
        let tables = if is_direct {
            &self.direct
        } else {
            &self.alternating
        };
        let own = tables.get(index).cloned().flatten();
        let table = own.or_else(|| Table::standard(is_direct, index).map(Arc::new));
        table.map(Some).ok_or_else(unknown_table)
    }

    /// What the components are, judged as libjpeg does it.
    pub(super) fn colour(&self, frame: &Frame) -> Colour {
        let ids: Vec<u8> = frame.components.iter().map(|it| it.id).collect();
        match (&ids[..], self.adobe) {
            ([_], _) => Colour::Grey,
            ([_, _, _], _) if self.has_jfif => Colour::Ycc,
            ([_, _, _], Some(0)) | ([b'R', b'G', b'B'], None) => Colour::Rgb,
            ([_, _, _], _) => Colour::Ycc,
            (_, None | Some(0)) => Colour::Cmyk,
            (_, Some(_)) => Colour::Ycck,
        }
    }
}

fn cut() -> Failure {
    invalid("one of its segments is shorter than what it holds")
}

fn unknown_table() -> Failure {
    invalid("it refers to a table that it does not have")
}

/// What the markers of the processes mean that are not decoded.
fn other_process(marker: u8) -> &'static str {
    match marker {
        0xC3 => {
            "it is compressed without loss (`djpeg IN > OUT.ppm` of libjpeg-turbo 3 writes a file that \
             is read)"
        }
        0xF7 => "it is JPEG-LS (`ffmpeg -i IN OUT.png` writes a file that is read)",
        0xC9 | 0xCA | 0xCC => {
            "it is compressed with arithmetic coding (`jpegtran IN > OUT.jpg` of libjpeg-turbo writes \
             the same picture with Huffman codes)"
        }
        _ => "it is compressed by a process that no common program reads",
    }
}
