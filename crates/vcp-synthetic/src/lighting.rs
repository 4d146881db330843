//! Lamps and cameras at random.

use vcp_random::Random;

use crate::grid::{Field, step};
use crate::noise::clouds;
use crate::scene::{Camera, Light};
use crate::shapes::turn;

pub(crate) fn light(random: &mut Random, size: usize) -> Light {
    let (around, low) = (random.angle(), random.between(0.35, 1.1));
    let (sine, cosine) = low.sin_cos();
    let glossy = random.chance(0.35);
    Light {
        from: [around.cos() * cosine, around.sin() * cosine, sine],
        relief: random.between(0.3, 1.0),
        shadow: random.between(0.1, 0.8),
        softness: random.log_between(0.8, 8.0),
        gloss: if glossy {
            random.between(0.05, 0.6)
        } else {
            0.0
        },
        shine: random.log_between(6.0, 80.0),
        colour: {
            let warm = random.between(-0.12, 0.12);
            [1.0 + warm, 1.0 + random.between(-0.03, 0.03), 1.0 - warm]
        },
        field: brightness(random, size),
        glare: random.chance(0.12).then(|| glare(random, size)),
    }
}

/// Uneven light: slopes, dark corners, spots, blurred shadows of things outside the picture.
fn brightness(random: &mut Random, size: usize) -> Field {
    let base = random.between(0.75, 1.15);
    let around = random.angle();
    let (sine, cosine) = around.sin_cos();
    let slope = random.between(0.0, 0.7) * random.unit();
    let corners = match random.below(10) {
        0 => random.between(0.9, 1.8),
        1..=4 => random.between(0.0, 0.9),
        _ => 0.0,
    };
    let spot = if random.chance(0.3) {
        random.between(0.1, 0.7)
    } else {
        0.0
    };
    let (spot_x, spot_y) = (random.between(-0.5, 0.5), random.between(-0.5, 0.5));
    let narrow = random.log_between(4.0, 30.0);
    let mut field = Field::from_fn(size, |x, y| {
        let (x, y) = (x as f32 / size as f32 - 0.5, y as f32 / size as f32 - 0.5);
        let far = x * x + y * y;
        let from_spot = (x - spot_x).powi(2) + (y - spot_y).powi(2);
        let glow = spot / (1.0 + narrow * from_spot).powi(2);
        base * (1.0 + slope * (x * cosine + y * sine) - corners * far).max(0.08) + glow
    });
    if random.chance(0.2) {
        // A shadow or a reflected window: a band with edges from hard to very soft.
        let (middle, half) = (random.between(-0.5, 0.5), random.between(0.05, 0.4));
        let soft = random.log_between(0.01, 0.3);
        let amount = random.between(-0.5, 0.4);
        let turn = random.angle();
        let (sine, cosine) = turn.sin_cos();
        let band = Field::from_fn(size, |x, y| {
            let (x, y) = (x as f32 / size as f32 - 0.5, y as f32 / size as f32 - 0.5);
            let distance = (x * cosine + y * sine - middle).abs();
            1.0 + amount * step(half + soft, half, distance)
        });
        field.combine(&band, |field, band| field * band);
    }
    if random.chance(0.3) {
        let strength = random.between(0.05, 0.4);
        let cells = random.between(1.0, 3.0);
        let patches = clouds(random, size, cells, 2, 0.5);
        field.combine(&patches, |field, patch| {
            field * (1.0 + strength * (patch - 0.5))
        });
    }
    field
}

/// Reflected lamps, windows and light boxes: spots and bars, from hard to very soft.
fn glare(random: &mut Random, size: usize) -> Field {
    let mut field = Field::new(size, 0.0);
    for _ in 0..random.count(1, 3) {
        let (middle_x, middle_y) = (random.unit(), random.unit());
        let (long, wide) = (
            random.log_between(0.02, 0.5),
            random.log_between(0.01, 0.12),
        );
        let soft = random.log_between(0.1, 2.0);
        let amount = random.between(0.1, 0.8);
        let round = random.chance(0.5);
        let (sine, cosine) = turn(random).sin_cos();
        let spot = Field::from_fn(size, |x, y| {
            let x = x as f32 / size as f32 - middle_x;
            let y = y as f32 / size as f32 - middle_y;
            let (u, v) = (
                (cosine * x + sine * y) / long,
                (cosine * y - sine * x) / wide,
            );
            let far = if round {
                u.hypot(v)
            } else {
                u.abs().max(v.abs())
            };
            amount * step(1.0 + soft, 1.0, far)
        });
        field.combine(&spot, f32::max);
    }
    field
}

pub(crate) fn camera(random: &mut Random) -> Camera {
    let sharp = random.chance(0.5);
    let dull = random.chance(0.15);
    Camera {
        blur: if sharp {
            random.between(0.0, 0.4)
        } else {
            random.between(0.3, 1.3)
        },
        sharpening: if random.chance(0.25) {
            random.between(0.3, 1.2)
        } else {
            0.0
        },
        noise: random.between(0.0, 1.0).powi(2) * 0.05,
        grain: if random.chance(0.4) {
            random.between(0.4, 0.9)
        } else {
            0.0
        },
        gamma: random.log_between(0.75, 1.35),
        contrast: if dull {
            random.between(0.35, 0.85)
        } else {
            1.0
        },
        level: random.between(0.15, 0.85),
        // Many of those who inspect have no colour, or hardly any.
        saturation: match random.below(20) {
            0..=5 => 0.0,
            6..=8 => random.between(0.03, 0.3),
            _ => random.between(0.5, 1.2),
        },
        quality: random.chance(0.3).then(|| random.between(35.0, 95.0)),
        noise_seed: random.next_u64(),
    }
}
