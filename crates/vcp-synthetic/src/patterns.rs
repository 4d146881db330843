//! Patterns of tones, 0 to 1, that fill an image.

use vcp_random::Random;

use crate::frame::Frame;
use crate::grid::{Field, blend, step};
use crate::noise::{Seeds, clouds, of_cell, smooth, stretched_clouds, turned};
use crate::shapes::turn;

/// A pattern's tones, and how high (in pixels of a small image) light tones rise above dark ones.
pub(crate) struct Pattern {
    pub(crate) tone: Field,
    pub(crate) relief: f32,
}

type Draw = fn(&mut Random, &Frame, usize) -> Pattern;

/// A kind of pattern.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) draw: Draw,
    /// Whether a piece of it out of place can be told from the rest.
    pub(crate) is_regular: bool,
    /// Whether it is what most things are made of, rather than something printed or built.
    pub(crate) is_material: bool,
}

const fn regular(name: &'static str, draw: Draw) -> Kind {
    Kind {
        name,
        draw,
        is_regular: true,
        is_material: false,
    }
}

const fn material(name: &'static str, draw: Draw) -> Kind {
    Kind {
        name,
        draw,
        is_regular: false,
        is_material: true,
    }
}

pub(crate) const PATTERNS: &[Kind] = &[
    material("clouds", cloudy),
    material("brushed metal", brushed),
    regular("turned metal", turned_metal),
    regular("fluted metal", fluted),
    regular("woven", woven),
    regular("twill", twill),
    regular("dots", dots),
    regular("grid", grid),
    material("wood", wood),
    material("plain", plain),
    regular("tiles", tiles),
    regular("stripes", stripes),
    material("grains", grains),
    material("speckles", speckles),
    material("leather", leather),
    material("concrete", concrete),
    material("crackle", crackle),
    regular("traces", traces),
];

fn each(size: usize, frame: &Frame, mut tone: impl FnMut(f32, f32) -> f32) -> Field {
    Field::from_fn(size, |x, y| {
        let (u, v) = frame.at(x, y);
        tone(u, v)
    })
}

/// Position in a cell of a repeated pattern, 0 to 1, and the cell's number.
fn cell(at: f32) -> (f32, i64) {
    (at - at.floor(), at.floor() as i64)
}

fn cloudy(random: &mut Random, _: &Frame, size: usize) -> Pattern {
    let cells = random.log_between(1.5, 30.0);
    let gain = random.between(0.4, 0.8);
    Pattern {
        tone: clouds(random, size, cells, 5, gain),
        relief: random.between(-2.0, 4.0),
    }
}

fn brushed(random: &mut Random, _: &Frame, size: usize) -> Pattern {
    let across = random.between(0.5, 6.0);
    let down = random.between(30.0, 120.0);
    let streaks = stretched_clouds(random, size, (across, down), 2, 0.7);
    let angle = turn(random);
    Pattern {
        tone: turned(&streaks, angle, 1.3),
        relief: random.between(0.0, 1.0),
    }
}

/// The rings a lathe leaves, about a point that may lie outside.
fn turned_metal(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let middle = (random.between(-1.0, 1.0), random.between(-1.0, 1.0));
    let profile = smooth(random, 512, 250.0, 1.0).normalised();
    let glints = random.count(1, 3) as f32;
    let (turn, shine) = (random.angle(), random.between(0.0, 0.5));
    let stretch = random.between(60.0, 250.0);
    let tone = each(size, frame, |u, v| {
        let (u, v) = (u - middle.0, v - middle.1);
        let ring = profile.at((u * u + v * v).sqrt() * stretch, 0.0);
        // Rings reflect a lamp as a bow tie.
        let glint = (v.atan2(u) * glints + turn).cos();
        ring * (1.0 - shine) + shine * (0.5 + 0.5 * glint)
    });
    Pattern {
        tone,
        relief: random.between(0.0, 1.0),
    }
}

/// Machined flutes, threads, corrugation: one soft profile again and again.
fn fluted(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let profile = clouds(random, 64, 4.0, 2, 0.5);
    let count = random.between(1.5, 9.0);
    let hard = random.between(0.0, 1.0);
    let bend = random.between(-0.5, 0.5);
    let streaks = clouds(random, size, 20.0, 3, 0.7);
    let grain = random.between(0.0, 0.25);
    let mut tone = each(size, frame, |u, v| {
        let (at, _) = cell((u + bend * v * v) * count);
        let soft = profile.at(at * 64.0, 0.0);
        // The profile has to close: its end is blended into its beginning.
        let start = profile.at(0.0, 0.0);
        let soft = blend(soft, start, step(0.85, 1.0, at));
        blend(soft, step(0.45, 0.55, soft), hard)
    });
    tone.combine(&streaks, |tone, streak| tone + grain * (streak - 0.5));
    Pattern {
        tone,
        relief: random.between(0.0, 6.0),
    }
}

fn woven(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(8.0, 40.0);
    let ratio = random.between(0.6, 1.6);
    let seed = random.next_u64();
    let loose = random.between(0.0, 0.25);
    let tone = each(size, frame, |u, v| {
        let ((across, column), (down, row)) = (cell(u * count), cell(v * count * ratio));
        let over = (column + row).rem_euclid(2) == 0;
        let bow = |at: f32| 1.0 - (2.0 * at - 1.0).powi(2);
        // The thread on top is round across and dips where it goes under.
        let (thread, along) = if over { (across, down) } else { (down, across) };
        let own = of_cell(seed, if over { column } else { -row - 1 }, 0) - 0.5;
        0.25 + 0.6 * bow(thread) * (0.4 + 0.6 * bow(along)) + loose * own
            - if over { 0.0 } else { 0.12 }
    });
    Pattern {
        tone,
        relief: random.between(0.0, 2.5),
    }
}

fn twill(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(10.0, 45.0);
    let shift = random.pick(&[1.0 / 3.0, 0.25, 0.2]);
    let fibres = clouds(random, size, 60.0, 2, 0.7);
    let strength = random.between(0.1, 0.5);
    let mut tone = each(size, frame, |u, v| {
        let (across, column) = cell(u * count);
        let (along, _) = cell(v * count * 0.4 + column as f32 * shift);
        let round = 1.0 - (2.0 * across - 1.0).powi(2);
        round * step(0.0, 0.15, along) * step(1.0, 0.8, along)
    });
    tone.combine(&fibres, |tone, fibre| tone + strength * (fibre - 0.5));
    Pattern {
        tone: tone.map(|tone| 0.15 + 0.7 * tone),
        relief: random.between(0.0, 2.0),
    }
}

/// Dots, perforations, studs; square or staggered.
fn dots(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(4.0, 22.0);
    let radius = random.between(0.15, 0.42);
    let stagger = random.pick(&[0.0, 0.5]);
    let edge = frame.pixel * count * random.between(0.8, 2.5);
    let mut up = random.chance(0.5);
    let relief = random.between(0.0, 5.0);
    let tone = each(size, frame, |u, v| {
        let (down, row) = cell(v * count);
        let (across, _) = cell(u * count + stagger * row as f32);
        let distance = ((across - 0.5).powi(2) + (down - 0.5).powi(2)).sqrt();
        step(radius + edge, radius - edge, distance)
    });
    let low = random.between(0.0, 0.4);
    let tone = tone.map(|tone| {
        if up {
            low + tone * 0.6
        } else {
            1.0 - low - tone * 0.6
        }
    });
    up = random.chance(0.8);
    Pattern {
        tone,
        relief: if up { relief } else { 0.0 },
    }
}

/// Wires or bars across each other.
fn grid(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(3.0, 18.0);
    let (width_u, width_v) = (random.between(0.06, 0.3), random.between(0.06, 0.3));
    let edge = frame.pixel * count;
    let skew = if random.chance(0.3) {
        random.between(-0.6, 0.6)
    } else {
        0.0
    };
    let tone = each(size, frame, |u, v| {
        let bar = |at: f32, width: f32| {
            let distance = (cell(at).0 - 0.5).abs();
            step(width + edge, width - edge, distance) * (1.0 - 0.4 * distance / width)
        };
        bar((u + skew * v) * count, width_u).max(bar(v * count, width_v) * 0.9)
    });
    let dark = random.chance(0.5);
    Pattern {
        tone: tone.map(|tone| if dark { 1.0 - tone } else { tone }),
        relief: random.between(0.0, 2.0),
    }
}

fn wood(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let rings = random.between(4.0, 18.0);
    let wander = smooth(random, size, 1.5, 4.0);
    let fibre = stretched_clouds(random, size, (6.0, 90.0), 2, 0.7);
    let fibre = if random.chance(0.5) {
        fibre
    } else {
        turned(&fibre, 1.571, 1.0)
    };
    let (bend, sharp) = (random.log_between(0.008, 0.12), random.between(0.6, 2.5));
    let mut place = 0;
    let mut tone = each(size, frame, |_, v| {
        let (at, _) = cell((v + bend * wander.cells[place]) * rings);
        place += 1;
        at.powf(sharp) * step(1.0, 0.9, at)
    });
    let strength = random.between(0.1, 0.5);
    tone.combine(&fibre, |tone, fibre| tone * 0.7 + strength * fibre);
    Pattern {
        tone,
        relief: random.between(0.0, 0.8),
    }
}

fn plain(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let slope = random.between(0.0, 0.8);
    let fine = clouds(random, size, size as f32 * 0.4, 2, 0.7);
    let strength = random.between(0.0, 0.15);
    let mut tone = each(size, frame, |u, _| 0.5 + slope * u);
    tone.combine(&fine, |tone, fine| tone + strength * (fine - 0.5));
    Pattern {
        tone,
        relief: random.between(0.0, 2.0),
    }
}

fn tiles(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(2.0, 10.0);
    let ratio = random.pick(&[1.0, 1.0, 2.0, 3.0]);
    let stagger = random.pick(&[0.0, 0.5, 0.33]);
    let joint = random.between(0.02, 0.09);
    let edge = frame.pixel * count;
    let seed = random.next_u64();
    let uneven = random.between(0.0, 0.5);
    let stone = clouds(random, size, 12.0, 4, 0.7);
    let veins = random.between(0.0, 0.4);
    let light = random.chance(0.5);
    let mut tone = each(size, frame, |u, v| {
        let (down, row) = cell(v * count);
        let (across, column) = cell(u * count / ratio + stagger * row as f32);
        let from_edge = |at: f32| at.min(1.0 - at);
        let distance = from_edge(down).min(from_edge(across) * ratio);
        let own = 0.5 + uneven * (of_cell(seed, column, row) - 0.5);
        blend(
            if light { 1.0 } else { 0.0 },
            own,
            step(joint, joint + edge, distance),
        )
    });
    tone.combine(&stone, |tone, stone| tone + veins * (stone - 0.5));
    Pattern {
        tone,
        relief: if light { 0.0 } else { random.between(0.0, 4.0) },
    }
}

fn stripes(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(3.0, 40.0);
    let share = random.between(0.2, 0.8);
    let edge = (frame.pixel * count * random.between(0.7, 3.0)).min(0.5);
    let fade = random.pick(&[0.0, 0.0, 1.0]);
    let tone = each(size, frame, |u, _| {
        let (at, _) = cell(u * count);
        let distance = (at - 0.5).abs() * 2.0;
        blend(
            step(share + edge, share - edge, distance),
            1.0 - distance,
            fade,
        )
    });
    Pattern {
        tone,
        relief: random.between(0.0, 2.0),
    }
}

fn grains(random: &mut Random, _: &Frame, size: usize) -> Pattern {
    let cells = size as f32 * random.between(0.25, 0.9);
    let fine = smooth(random, size, cells, cells).normalised();
    let coarse = clouds(random, size, 4.0, 3, 0.6);
    let share = random.between(0.5, 1.0);
    let mut tone = fine;
    tone.combine(&coarse, |fine, coarse| blend(coarse, fine, share));
    Pattern {
        tone,
        relief: random.between(0.0, 1.5),
    }
}

/// Terrazzo, granulate, seeds.
fn speckles(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(8.0, 40.0);
    let seeds = Seeds::new(random, 1.0);
    let (share, gap) = (random.between(0.15, 1.0), random.between(0.0, 0.12));
    let ground = random.unit();
    let tone = each(size, frame, |u, v| {
        let found = seeds.at(u * count, v * count);
        let grain = if found.number < share {
            found.number / share
        } else {
            ground
        };
        blend(
            ground,
            grain,
            step(gap, gap + 0.1, found.second - found.nearest),
        )
    });
    Pattern {
        tone,
        relief: random.between(0.0, 1.5),
    }
}

fn leather(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(10.0, 45.0);
    let seeds = {
        let disorder = random.between(0.6, 1.0);
        Seeds::new(random, disorder)
    };
    let stretch = random.between(0.6, 1.6);
    let tone = each(size, frame, |u, v| {
        let found = seeds.at(u * count, v * count * stretch);
        step(0.0, 0.45, found.second - found.nearest)
    });
    Pattern {
        tone,
        relief: random.between(0.5, 3.0),
    }
}

fn concrete(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let mut tone = clouds(random, size, 4.0, 6, 0.75);
    let count = random.between(10.0, 30.0);
    let seeds = Seeds::new(random, 1.0);
    let share = random.between(0.05, 0.4);
    let pores = each(size, frame, |u, v| {
        let found = seeds.at(u * count, v * count);
        let radius = if found.number < share {
            0.25 * found.number / share
        } else {
            0.0
        };
        step(radius + 0.1, radius - 0.02, found.nearest) * step(0.0, 0.05, radius)
    });
    tone.combine(&pores, |tone, pore| 0.2 + 0.7 * tone - 0.5 * pore);
    Pattern {
        tone,
        relief: random.between(0.0, 3.0),
    }
}

/// A net of normal cracks all over: glaze, dry soil, hammered paint.
fn crackle(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.log_between(4.0, 14.0);
    let seeds = Seeds::new(random, 1.0);
    let width = random.between(0.02, 0.12);
    let uneven = random.between(0.0, 0.5);
    let tone = each(size, frame, |u, v| {
        let found = seeds.at(u * count, v * count);
        let own = 0.7 + uneven * (found.number - 0.5);
        own * step(0.0, width, found.second - found.nearest)
    });
    Pattern {
        tone,
        relief: random.between(0.0, 2.0),
    }
}

/// Straight paths between pads, as on circuit boards.
fn traces(random: &mut Random, frame: &Frame, size: usize) -> Pattern {
    let count = random.between(5.0, 14.0);
    let (width, pad) = (random.between(0.08, 0.2), random.between(0.18, 0.4));
    let seed = random.next_u64();
    let edge = frame.pixel * count;
    let tone = each(size, frame, |u, v| {
        let ((x, column), (y, row)) = (cell(u * count), cell(v * count));
        let (x, y) = (x - 0.5, y - 0.5);
        let open = |side: u64, column: i64, row: i64| of_cell(seed ^ side, column, row) < 0.5;
        let arm = |is_open: bool, along: f32, across: f32| {
            if is_open && along > 0.0 {
                across.abs()
            } else {
                1.0
            }
        };
        let path = arm(open(1, column, row), x, y)
            .min(arm(open(1, column - 1, row), -x, y))
            .min(arm(open(2, column, row), y, x))
            .min(arm(open(2, column, row - 1), -y, x));
        let path = step(width + edge, width - edge, path) * 0.7;
        let has_pad = of_cell(seed ^ 3, column, row) < 0.3;
        let distance = (x * x + y * y).sqrt();
        let pad = if has_pad {
            step(pad + edge, pad - edge, distance)
        } else {
            0.0
        };
        let hole = if has_pad {
            step(0.12, 0.1 - edge, distance)
        } else {
            0.0
        };
        path.max(pad) * (1.0 - hole)
    });
    Pattern {
        tone,
        relief: random.between(0.0, 1.5),
    }
}
