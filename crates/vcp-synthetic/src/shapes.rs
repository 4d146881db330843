//! Outlines of objects, as signed distances: below zero inside. An object is about 1 in radius.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use vcp_random::Random;

/// Signed distance of a point to an outline.
pub(crate) type Outline = Box<dyn Fn(f32, f32) -> f32>;

/// An angle at which things are put: straight or upright as often as at any other.
pub(crate) fn turn(random: &mut Random) -> f32 {
    let any = random.angle();
    random.pick(&[0.0, FRAC_PI_2, any])
}

/// A random outline and its name.
pub(crate) fn outline(random: &mut Random) -> (&'static str, Outline) {
    match random.below(21) {
        0 | 1 => ("disc", Box::new(|x, y| x.hypot(y) - 1.0)),
        2 => ("ellipse", ellipse(random.between(0.45, 0.9))),
        3 | 4 => {
            let (half, corner) = (random.between(0.35, 1.0), random.between(0.02, 0.35));
            ("rounded rectangle", rectangle(1.0, half, corner.min(half)))
        }
        5 => ("ring", ring(random.between(0.3, 0.75))),
        6 | 7 => ("blob", blob(random, 0.14)),
        8 => ("capsule", capsule(random.between(0.15, 0.5))),
        9 => ("gear", gear(random)),
        10 => (
            "polygon",
            polygon(random.count(3, 8), random.between(0.0, 0.3)),
        ),
        11 => ("nut", nut(random.between(0.3, 0.6))),
        12 => ("cross", cross(random.between(0.2, 0.45))),
        13 => ("plate with holes", plate(random)),
        14 => ("vial", vial(random)),
        15 => ("bracket", bracket(random)),
        16 => ("screw", screw(random)),
        17 => ("comb", comb(random)),
        18 => ("frame", frame(random)),
        19 => ("washer with tabs", tabs(random)),
        _ => ("lump", blob(random, 0.3)),
    }
}

fn ellipse(ratio: f32) -> Outline {
    // Near the outline, the distance follows from the gradient.
    Box::new(move |x, y| {
        let y = y / ratio;
        (x.hypot(y) - 1.0) * ratio.sqrt()
    })
}

fn rectangle(half_width: f32, half_height: f32, corner: f32) -> Outline {
    Box::new(move |x, y| {
        let (x, y) = (
            x.abs() - half_width + corner,
            y.abs() - half_height + corner,
        );
        x.max(0.0).hypot(y.max(0.0)) + x.max(y).min(0.0) - corner
    })
}

fn ring(inner: f32) -> Outline {
    Box::new(move |x, y| {
        let radius = x.hypot(y);
        (radius - 1.0).max(inner - radius)
    })
}

/// Round with soft lobes: fruit, dough, pebbles.
fn blob(random: &mut Random, strength: f32) -> Outline {
    let waves: Vec<[f32; 3]> = (2..8)
        .map(|wave| {
            let amount = random.between(-1.0, 1.0) * strength / (wave as f32 - 1.0);
            [wave as f32, amount, random.angle()]
        })
        .collect();
    let ratio = random.between(0.65, 1.0);
    Box::new(move |x, y| {
        let y = y / ratio;
        let angle = y.atan2(x);
        let lobes: f32 = waves
            .iter()
            .map(|[wave, amount, turn]| amount * (wave * angle + turn).sin())
            .sum();
        x.hypot(y) - 0.9 - lobes
    })
}

fn capsule(radius: f32) -> Outline {
    Box::new(move |x, y| (x - x.clamp(radius - 1.0, 1.0 - radius)).hypot(y) - radius)
}

fn gear(random: &mut Random) -> Outline {
    let teeth = random.count(6, 28) as f32;
    let (depth, hard) = (random.between(0.05, 0.2), random.between(2.0, 8.0));
    let hole = random.between(0.1, 0.5);
    Box::new(move |x, y| {
        let radius = x.hypot(y);
        let tooth = ((y.atan2(x) * teeth).sin() * hard).clamp(-1.0, 1.0);
        (radius - 1.0 + depth * (0.5 - 0.5 * tooth)).max(hole - radius)
    })
}

fn regular(sides: f32, x: f32, y: f32) -> f32 {
    let sector = TAU / sides;
    let angle = y.atan2(x);
    let folded = angle - sector * (angle / sector).round();
    x.hypot(y) * folded.cos() - (PI / sides).cos()
}

fn polygon(sides: usize, round: f32) -> Outline {
    Box::new(move |x, y| {
        let scale = 1.0 - round;
        let sharp = regular(sides as f32, x / scale, y / scale) * scale;
        (sharp - round * 0.3).max(x.hypot(y) - 1.0)
    })
}

fn nut(hole: f32) -> Outline {
    Box::new(move |x, y| regular(6.0, x, y).max(hole - x.hypot(y)))
}

fn cross(half: f32) -> Outline {
    let (flat, tall) = (rectangle(1.0, half, 0.08), rectangle(half, 1.0, 0.08));
    Box::new(move |x, y| flat(x, y).min(tall(x, y)))
}

fn plate(random: &mut Random) -> Outline {
    let half = random.between(0.4, 1.0);
    let body = rectangle(1.0, half, 0.08);
    let hole = random.between(0.06, 0.16);
    let (across, down) = (1.0 - hole * 2.0, half - hole * 2.0);
    let middle = if random.chance(0.5) {
        random.between(0.1, 0.35)
    } else {
        0.0
    };
    Box::new(move |x, y| {
        let corner = (x.abs() - across).hypot(y.abs() - down);
        body(x, y).max(hole - corner).max(middle - x.hypot(y))
    })
}

fn vial(random: &mut Random) -> Outline {
    let (belly, neck) = (random.between(0.25, 0.5), random.between(0.12, 0.22));
    let shoulder = random.between(0.1, 0.5);
    let body = rectangle(f32::midpoint(1.0, shoulder), belly, 0.15_f32.min(belly));
    let top = rectangle(0.5, neck, 0.05);
    let shift = (1.0 - shoulder) / 2.0;
    Box::new(move |x, y| body(x + shift, y).min(top(x - 0.5, y)))
}

/// Two legs at a right angle, perhaps with a hole in each.
fn bracket(random: &mut Random) -> Outline {
    let (thick, other) = (random.between(0.15, 0.4), random.between(0.4, 1.0));
    let (flat, tall) = (rectangle(1.0, thick, 0.05), rectangle(thick, other, 0.05));
    let hole = random.pick(&[0.0, 0.3, 0.5]) * thick;
    Box::new(move |x, y| {
        let body = flat(x, y - other + thick).min(tall(x + 1.0 - thick, y));
        let right = (x - 1.0 + 2.0 * thick).hypot(y - other + thick);
        let above = (x + 1.0 - thick).hypot(y + other - 2.0 * thick);
        body.max(hole - right.min(above))
    })
}

/// A head and a threaded shank, from the side.
fn screw(random: &mut Random) -> Outline {
    let (head, shank) = (random.between(0.3, 0.5), random.between(0.1, 0.22));
    let (long, threads) = (random.between(0.12, 0.3), random.between(20.0, 45.0));
    let depth = shank * random.between(0.1, 0.35);
    Box::new(move |x, y| {
        let top = (x + 1.0 - long).abs() - long;
        let top = top.max(y.abs() - head * (1.0 - 0.3 * ((x + 1.0) / long - 1.0).abs().min(1.0)));
        let thread = shank - depth * (0.5 + 0.5 * (threads * x + y.signum()).sin());
        let tip = ((1.0 - x) * 1.5).clamp(0.0, 1.0);
        let rod = (y.abs() - thread * tip).max(x - 1.0).max(-1.0 + long - x);
        top.min(rod)
    })
}

/// A body with equal pins or teeth on one side, or on two.
fn comb(random: &mut Random) -> Outline {
    let (half, pins) = (random.between(0.2, 0.5), random.count(3, 9) as f32);
    let (long, thick) = (random.between(0.15, 0.45), random.between(0.2, 0.35));
    let body = rectangle(1.0, half, 0.05);
    let both = random.chance(0.5);
    Box::new(move |x, y| {
        let apart = 2.0 / pins;
        let number = ((x + 1.0) / apart).floor().clamp(0.0, pins - 1.0);
        let across = x + 1.0 - (number + 0.5) * apart;
        let y = if both { y.abs() } else { y };
        let pin = (across.abs() - thick * apart).max(y - half - long).max(-y);
        body(x, y).min(pin)
    })
}

fn frame(random: &mut Random) -> Outline {
    let (half, thick) = (random.between(0.5, 1.0), random.between(0.1, 0.3));
    let (outer, inner) = (
        rectangle(1.0, half, 0.1),
        rectangle(1.0 - thick, half - thick, 0.05),
    );
    Box::new(move |x, y| outer(x, y).max(-inner(x, y)))
}

/// A ring with a few tabs outward.
fn tabs(random: &mut Random) -> Outline {
    let (inner, outer) = (random.between(0.2, 0.5), random.between(0.6, 0.85));
    let (count, half) = (random.count(2, 6) as f32, random.between(0.08, 0.2));
    Box::new(move |x, y| {
        let radius = x.hypot(y);
        let sector = TAU / count;
        let angle = y.atan2(x);
        let angle = angle - sector * (angle / sector).round();
        let tab = ((angle.sin() * radius).abs() - half).max(radius - 1.0);
        let tab = tab.max(-angle.cos() * radius);
        (radius - outer).min(tab).max(inner - radius)
    })
}
