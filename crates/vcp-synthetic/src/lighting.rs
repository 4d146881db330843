//! Lamps and cameras at random.

use vcp_random::Random;

use crate::grid::{Field, step};
use crate::noise::clouds;
use crate::scene::{Camera, Light};

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
    }
}

/// Uneven light: slopes, dark corners, spots, blurred shadows of things outside the picture.
fn brightness(random: &mut Random, size: usize) -> Field {
    let base = random.between(0.75, 1.15);
    let around = random.angle();
    let (sine, cosine) = around.sin_cos();
    let slope = random.between(0.0, 0.7) * random.unit();
    let corners = if random.chance(0.4) {
        random.between(0.0, 0.9)
    } else {
        0.0
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
        base * (1.0 + slope * (x * cosine + y * sine) - corners * far) + glow
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

pub(crate) fn camera(random: &mut Random) -> Camera {
    let sharp = random.chance(0.5);
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
        saturation: if random.chance(0.2) {
            0.0
        } else {
            random.between(0.5, 1.2)
        },
        noise_seed: random.next_u64(),
    }
}
