//! The lines of the assembler, carried out one by one: what they compute, and where they read and write.

use super::{AmxBf16, AmxInt8, SIDE, STEP, Tiles, with_tiles};
use crate::dot::portable::{PortableBf16, PortableBytes};
use crate::{Dot, Portable};
use std::collections::HashMap;

/// Collects the lines.
macro_rules! lines {
    ([] $($line:expr),* $(,)?) => {
        vec![$($line),*]
    };
}

/// One of the tile registers: 16 rows of 16 groups.
type Tile = [[u32; 16]; 16];

/// A machine that knows the instructions of the program: memory is one list of words, addresses are bytes in it.
struct Machine<'a> {
    memory: &'a mut [u32],
    variables: HashMap<&'static str, usize>,
    tiles: [Tile; 8],
    zero: bool,
}

/// What an instruction does with a row of groups and one of another: the portable statement of it.
trait Instruction {
    fn dot(left: u32, right: u32, sum: u32) -> u32;
}

impl Instruction for PortableBf16 {
    fn dot(left: u32, right: u32, sum: u32) -> u32 {
        one_lane(Self(Portable::new()), left, right, sum)
    }
}

impl Instruction for PortableBytes {
    fn dot(left: u32, right: u32, sum: u32) -> u32 {
        one_lane(Self(Portable::new()), left, right, sum)
    }
}

fn one_lane<D: Dot>(dot: D, left: u32, right: u32, sum: u32) -> u32 {
    let mut words = [sum; <Portable as crate::Simd>::LANES];
    // SAFETY: the list has a word for each lane.
    unsafe {
        let sums = dot.load_sums(words.as_ptr());
        let sums = dot.multiply_add(dot.splat(left), dot.splat(right), sums);
        dot.store_sums(sums, words.as_mut_ptr());
    }
    words[0]
}

impl Machine<'_> {
    /// `[{name} + {other}*1 + 64]` → address and stride.
    fn place(&self, text: &str) -> (usize, usize) {
        let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
        let parts: Vec<&str> = inner.split(" + ").collect();
        let base = self.variables[name(parts[0])];
        let step = self.variables[name(parts[1].trim_end_matches("*1"))];
        let offset = parts.get(2).map_or(0, |text| text.parse().unwrap());
        (base + offset, step)
    }

    /// Runs to the end.
    fn run<I: Instruction>(&mut self, lines: &[&'static str]) {
        let mut at = 0;
        while at < lines.len() {
            let (operation, rest) = lines[at].split_once(' ').unwrap_or((lines[at], ""));
            let operands: Vec<&'static str> = rest.split(", ").collect();
            at += 1;
            match operation {
                "2:" => {}
                "tilezero" => self.tiles[tile(operands[0])] = [[0; 16]; 16],
                "tileloadd" => {
                    let (address, step) = self.place(operands[1]);
                    for row in 0..16 {
                        let from = (address + row * step) / 4;
                        self.tiles[tile(operands[0])][row]
                            .copy_from_slice(&self.memory[from..from + 16]);
                    }
                }
                "tilestored" => {
                    let (address, step) = self.place(operands[0]);
                    for row in 0..16 {
                        let to = (address + row * step) / 4;
                        self.memory[to..to + 16]
                            .copy_from_slice(&self.tiles[tile(operands[1])][row]);
                    }
                }
                "tdpbf16ps" | "tdpbusd" => {
                    let [sums, left, right] = [0, 1, 2].map(|index| tile(operands[index]));
                    for row in 0..16 {
                        for group in 0..16 {
                            for column in 0..16 {
                                self.tiles[sums][row][column] = I::dot(
                                    self.tiles[left][row][group],
                                    self.tiles[right][group][column],
                                    self.tiles[sums][row][column],
                                );
                            }
                        }
                    }
                }
                "add" | "sub" => {
                    let by: usize = operands[1].parse().unwrap();
                    let variable = self.variables.get_mut(name(operands[0])).unwrap();
                    *variable = if operation == "add" {
                        *variable + by
                    } else {
                        *variable - by
                    };
                    self.zero = *variable == 0;
                }
                "jnz" => {
                    if !self.zero {
                        at = lines.iter().position(|line| *line == "2:").unwrap();
                    }
                }
                other => panic!("{other} is no instruction of the program"),
            }
        }
    }
}

fn name(text: &str) -> &str {
    text.trim_start_matches('{').trim_end_matches('}')
}

fn tile(text: &str) -> usize {
    text.trim_start_matches("tmm").parse().unwrap()
}

/// Words that look random.
fn words(count: usize, mut state: u64) -> Vec<u32> {
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Pairs of bf16 that are no larger than 1.
fn small_pairs(words: &mut [u32]) {
    for word in words {
        let number = |bits: u32| (bits & 0xff) as f32 / 128.0 - 1.0;
        *word = crate::bf16_pair(number(*word), number(*word >> 8));
    }
}

/// The program on rows and columns, and the same sums in plain loops.
fn found_and_expected<I: Instruction>(
    lines: &[&'static str],
    count: usize,
    spare: usize,
    bf16: bool,
) -> [Vec<u32>; 2] {
    let step = STEP * count + spare;
    let (mut rows, mut columns) = (words(SIDE * step, 1), words(STEP * count * SIDE, 2));
    if bf16 {
        small_pairs(&mut rows);
        small_pairs(&mut columns);
    }
    let mut expected = vec![0; SIDE * SIDE];
    for i in 0..SIDE {
        for j in 0..SIDE {
            for group in 0..STEP * count {
                let sum = &mut expected[i * SIDE + j];
                *sum = I::dot(rows[i * step + group], columns[group * SIDE + j], *sum);
            }
        }
    }
    let mut memory = [rows, columns, vec![u32::MAX; SIDE * SIDE]].concat();
    let [columns_at, out_at] = [SIDE * step, SIDE * step + STEP * count * SIDE];
    let variables = HashMap::from([
        ("a", 0),
        ("low", 4 * (SIDE / 2 * step)),
        ("b", 4 * columns_at),
        ("out", 4 * out_at),
        ("step", 4 * step),
        ("columns", 4 * SIDE),
        ("count", count),
    ]);
    let mut machine = Machine {
        memory: &mut memory,
        variables,
        tiles: [[[7; 16]; 16]; 8],
        zero: false,
    };
    machine.run::<I>(lines);
    [memory[out_at..].to_vec(), expected]
}

#[test]
fn the_program_multiplies_rows_with_columns() {
    for (count, spare) in [(1, 0), (2, 0), (3, 16), (9, 5)] {
        let lines = program!(lines [] "tdpbusd");
        let [found, expected] = found_and_expected::<PortableBytes>(&lines, count, spare, false);
        assert_eq!(found, expected, "{count} steps of whole numbers");
        let lines = program!(lines [] "tdpbf16ps");
        let [found, expected] = found_and_expected::<PortableBf16>(&lines, count, spare, true);
        assert_eq!(found, expected, "{count} steps of bf16");
    }
}

/// Where there is AMX, the processor computes what the program says.
#[test]
fn the_processor_agrees() {
    fn check<I: Instruction>(
        unit: Option<impl Tiles>,
        lines: &[&'static str],
        bf16: bool,
        what: &str,
    ) {
        let Some(unit) = unit else {
            eprintln!("This machine has no {what}: it is not run.");
            return;
        };
        let [_, expected] = found_and_expected::<I>(lines, 3, 16, bf16);
        let step = STEP * 3 + 16;
        let (mut rows, mut columns) = (words(SIDE * step, 1), words(STEP * 3 * SIDE, 2));
        if bf16 {
            small_pairs(&mut rows);
            small_pairs(&mut columns);
        }
        let mut out = vec![0; SIDE * SIDE];
        // SAFETY: the lists have the sizes asked for.
        with_tiles(unit, || unsafe {
            unit.multiply(rows.as_ptr(), step, columns.as_ptr(), 3, out.as_mut_ptr());
        });
        if bf16 {
            for (found, expected) in out.iter().zip(&expected) {
                let [found, expected] = [found, expected].map(|bits| f32::from_bits(*bits));
                assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()));
            }
        } else {
            assert_eq!(out, expected);
        }
    }
    check::<PortableBytes>(
        AmxInt8::detect(),
        &program!(lines [] "tdpbusd"),
        false,
        "AMX-INT8",
    );
    check::<PortableBf16>(
        AmxBf16::detect(),
        &program!(lines [] "tdpbf16ps"),
        true,
        "AMX-BF16",
    );
}
