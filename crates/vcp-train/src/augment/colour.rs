//! Brightness, contrast, noise, and colours.

use vcp_image::Photo;
use vcp_random::Random;

use super::{byte, photo};

/// Every value times `factor`, plus `shift`.
pub(super) fn scaled(image: Photo, factor: f32, shift: f32) -> Photo {
    mapped(image, |value| value * factor + shift)
}

/// Every value through the same function.
fn mapped(image: Photo, change: impl Fn(f32) -> f32) -> Photo {
    let table: [u8; 256] = std::array::from_fn(|value| byte(change(value as f32)));
    changed(image, |pixels| {
        for value in pixels {
            *value = table[usize::from(*value)];
        }
    })
}

/// The image with other bytes.
fn changed(image: Photo, change: impl FnOnce(&mut [u8])) -> Photo {
    let (width, height) = (image.width(), image.height());
    // Without its bytes, to say what kind of image it is.
    let like = image.crop(0..1, 0..1);
    let mut pixels = image.into_pixels();
    change(&mut pixels);
    photo(&like, width, height, pixels)
}

/// With Gaussian noise of this standard deviation.
pub(super) fn noisy(image: Photo, deviation: f32, random: &mut Random) -> Photo {
    changed(image, |pixels| {
        for value in pixels {
            *value = byte(f32::from(*value) + deviation * random.normal());
        }
    })
}

/// Random factors for brightness, contrast and saturation, a turn of the hues, and their order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Jitter {
    pub(super) brightness: f32,
    pub(super) contrast: f32,
    pub(super) saturation: f32,
    /// In turns of the colour circle.
    pub(super) hue: f32,
    pub(super) order: [Part; 4],
}

/// A step of a jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Brightness,
    Contrast,
    Saturation,
    Hue,
}

impl Jitter {
    pub(super) fn new(limit: f32, hue: f32, random: &mut Random) -> Self {
        let mut factor = || random.between(1.0 - limit, 1.0 + limit);
        let (brightness, contrast, saturation) = (factor(), factor(), factor());
        let hue = random.between(-hue, hue);
        let mut order = [
            Part::Brightness,
            Part::Contrast,
            Part::Saturation,
            Part::Hue,
        ];
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        Self {
            brightness,
            contrast,
            saturation,
            hue,
            order,
        }
    }
}

/// The image after each part of a jitter. A grey image has no saturation and no hue.
pub(super) fn jittered(image: Photo, jitter: &Jitter) -> Photo {
    jitter.order.iter().fold(image, |image, part| match part {
        Part::Brightness => scaled(image, jitter.brightness, 0.0),
        Part::Contrast => {
            let mean = mean_grey(&image);
            scaled(image, jitter.contrast, mean * (1.0 - jitter.contrast))
        }
        Part::Saturation => each_colour(image, |pixel| {
            let grey = grey(pixel);
            pixel.map(|value| grey + (value - grey) * jitter.saturation)
        }),
        Part::Hue => each_colour(image, |pixel| with_hue_turned(pixel, jitter.hue)),
    })
}

fn each_colour(image: Photo, change: impl Fn([f32; 3]) -> [f32; 3]) -> Photo {
    if image.is_grey() {
        return image;
    }
    changed(image, |pixels| {
        let (pixels, _) = pixels.as_chunks_mut::<3>();
        for pixel in pixels {
            *pixel = change(pixel.map(f32::from)).map(byte);
        }
    })
}

/// As television weighs colours.
fn grey([red, green, blue]: [f32; 3]) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}

/// The mean of an image's grey values, as a whole number.
fn mean_grey(image: &Photo) -> f32 {
    let pixels = image.pixels();
    let sum: f64 = if image.is_grey() {
        pixels.iter().map(|&value| f64::from(value)).sum()
    } else {
        let (pixels, _) = pixels.as_chunks::<3>();
        let greys = pixels.iter().map(|pixel| grey(pixel.map(f32::from)));
        greys.map(|grey| f64::from(grey.round())).sum()
    };
    let count = (image.width() * image.height()) as f64;
    (sum / count).round() as f32
}

/// The colour with its hue turned by so many turns; its largest and smallest channel's values stay.
fn with_hue_turned(pixel: [f32; 3], turns: f32) -> [f32; 3] {
    let most = pixel[0].max(pixel[1]).max(pixel[2]);
    let least = pixel[0].min(pixel[1]).min(pixel[2]);
    let spread = most - least;
    if spread == 0.0 {
        return pixel;
    }
    let [red, green, blue] = pixel;
    // In sixths of the circle, from red.
    let hue = if red >= most {
        (green - blue) / spread
    } else if green >= most {
        2.0 + (blue - red) / spread
    } else {
        4.0 + (red - green) / spread
    };
    let hue = (hue + 6.0 * turns).rem_euclid(6.0);
    // Each channel is full for two sixths about its own hue, and gone opposite to it.
    let channel = |own: f32| {
        let far = (hue - own + 3.0).rem_euclid(6.0) - 3.0;
        least + spread * (2.0 - far.abs()).clamp(0.0, 1.0)
    };
    [channel(0.0), channel(2.0), channel(4.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_turn() {
        let colours = [
            ([200.0, 50.0, 50.0], 1.0 / 3.0, [50.0, 200.0, 50.0]),
            ([200.0, 50.0, 50.0], -1.0 / 3.0, [50.0, 50.0, 200.0]),
            ([200.0, 50.0, 50.0], 0.5, [50.0, 200.0, 200.0]),
            ([10.0, 110.0, 60.0], 0.0, [10.0, 110.0, 60.0]),
            ([80.0, 80.0, 80.0], 0.2, [80.0, 80.0, 80.0]),
        ];
        for (from, turns, to) in colours {
            let turned = with_hue_turned(from, turns);
            for channel in 0..3 {
                assert!(
                    (turned[channel] - to[channel]).abs() < 1e-3,
                    "{from:?} turned by {turns} is {turned:?}"
                );
            }
        }
    }

    #[test]
    fn hues_turned_there_and_back_are_the_same() {
        let mut random = Random::new(5);
        for _ in 0..1000 {
            let pixel: [f32; 3] = std::array::from_fn(|_| random.below(256) as f32);
            let turns = random.between(-0.5, 0.5);
            let back = with_hue_turned(with_hue_turned(pixel, turns), -turns);
            let far = (0..3)
                .map(|at| (pixel[at] - back[at]).abs())
                .fold(0.0, f32::max);
            assert!(far < 0.01, "{pixel:?} became {back:?}");
        }
    }
}
