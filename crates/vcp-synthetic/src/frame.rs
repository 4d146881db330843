//! Where the pixels of a picture lie on the material that it shows.

use vcp_random::Random;

use crate::grid::Field;
use crate::noise::smooth;

/// From a pixel to the coordinates of a pattern: turned, tilted away, and warped. The image is one
/// unit wide.
pub(crate) struct Frame {
    sine: f32,
    cosine: f32,
    tilt: (f32, f32),
    warp: Option<(Field, Field)>,
    scale: f32,
    /// Width of a pixel.
    pub(crate) pixel: f32,
}

impl Frame {
    pub(crate) fn new(random: &mut Random, size: usize) -> Self {
        // Products mostly lie straight before the camera.
        let angle = match random.below(5) {
            0 => 0.0,
            1 => std::f32::consts::FRAC_PI_2,
            2 => random.between(-0.2, 0.2),
            _ => random.angle(),
        };
        let tilt = if random.chance(0.4) {
            (random.between(-0.4, 0.4), random.between(-0.4, 0.4))
        } else {
            (0.0, 0.0)
        };
        let warp = random.chance(0.45).then(|| {
            let cells = random.between(1.0, 5.0);
            let strength = random.between(0.005, 0.05);
            let mut shift = || smooth(random, size, cells, cells).map(|value| value * strength);
            (shift(), shift())
        });
        Self {
            sine: angle.sin(),
            cosine: angle.cos(),
            tilt,
            warp,
            scale: 1.0 / size as f32,
            pixel: 1.0 / size as f32,
        }
    }

    pub(crate) fn at(&self, x: usize, y: usize) -> (f32, f32) {
        let (mut u, mut v) = (x as f32 * self.scale - 0.5, y as f32 * self.scale - 0.5);
        let depth = 1.0 + self.tilt.0 * u + self.tilt.1 * v;
        u /= depth;
        v /= depth;
        if let Some((across, down)) = &self.warp {
            u += across[(x, y)];
            v += down[(x, y)];
        }
        (
            self.cosine * u + self.sine * v,
            self.cosine * v - self.sine * u,
        )
    }
}
