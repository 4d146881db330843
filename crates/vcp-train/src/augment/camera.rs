//! Pictures as other cameras take them: without colour, framed otherwise, brighter or darker, less sharp.

use vcp_image::{Photo, resize_mask};
use vcp_random::Random;

use super::{colour, photo};

/// Mixed into seeds.
const STREAM: u64 = 0x6361_6d65_7261_0000;

/// Changes an image and its mask in ways that a good model does not care about: a fraction `grey` loses its colour;
/// some are cut by up to a thirtieth of their sides at each edge, mirrored, made brighter or darker, of more or less contrast, or
/// resized to half their size or more and back. The same seed makes the same change.
#[must_use]
pub(crate) fn disturbed(mut image: Photo, mut mask: Photo, grey: f32, seed: u64) -> (Photo, Photo) {
    let mut streams = Random::new(seed ^ STREAM);
    // Every stream is made, whether it is used or not: none depends on another's use.
    let [mut greyness, mut frame, mut mirror, mut light, mut size] =
        std::array::from_fn(|_| streams.fork());
    let (width, height) = (image.width(), image.height());
    if greyness.chance(grey) {
        image = without_colour(&image);
    }
    if frame.chance(0.5) {
        let mut cut = |length: usize| {
            let most = length / 30 + 1;
            let start = frame.below(most);
            start..(length - frame.below(most)).max(start + 1)
        };
        let (columns, rows) = (cut(width), cut(height));
        let cut_mask = mask.crop(columns.clone(), rows.clone());
        mask = resize_mask(&cut_mask, width, height);
        image = image.crop(columns, rows).resize_bicubic(width, height);
    }
    if mirror.chance(0.5) {
        image = mirrored(&image);
        mask = mirrored(&mask);
    }
    if light.chance(0.5) {
        let factor = light.between(0.8, 1.2);
        image = colour::scaled(image, factor, light.between(-20.0, 20.0));
    }
    if size.chance(0.3) {
        let share = size.between(0.45, 0.9);
        let small = [width, height].map(|it| ((it as f32 * share) as usize).max(1));
        image = image
            .resize_bicubic(small[0], small[1])
            .resize_bicubic(width, height);
    }
    (image, mask)
}

/// The image's luminance (ITU-R 601) in all of its channels.
fn without_colour(image: &Photo) -> Photo {
    if image.is_grey() {
        return image.clone();
    }
    let pixels = image.pixels().chunks_exact(3).flat_map(|pixel| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        [((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8; 3]
    });
    photo(image, image.width(), image.height(), pixels.collect())
}

/// Left and right exchanged.
fn mirrored(image: &Photo) -> Photo {
    let channels = image.channels();
    let pixels = (0..image.height()).flat_map(|y| {
        let row = image.row(y).chunks_exact(channels).rev();
        row.flatten().copied().collect::<Vec<u8>>()
    });
    photo(image, image.width(), image.height(), pixels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_and_mask_stay_together() {
        let (width, height) = (64, 40);
        let mut pixels = vec![0; width * height * 3];
        let mut mask = vec![0; width * height];
        for y in 10..20 {
            for x in 5..25 {
                pixels[(y * width + x) * 3..][..3].copy_from_slice(&[250, 120, 40]);
                mask[y * width + x] = 255;
            }
        }
        let image = Photo::from_rgb(width, height, pixels).unwrap();
        let mask = Photo::from_grey(width, height, mask).unwrap();
        let (mut seen, mut grey) = (std::collections::BTreeSet::new(), 0);
        for seed in 0..100 {
            let (changed, moved) = disturbed(image.clone(), mask.clone(), 0.4, seed);
            assert_eq!((changed.width(), changed.height()), (width, height));
            let same = changed
                .pixels()
                .chunks_exact(3)
                .zip(moved.pixels())
                .filter(|(pixel, mask)| (pixel[0] > 100) == (**mask > 0));
            assert!(same.count() > width * height * 95 / 100, "{seed}");
            let is_grey = |pixel: &[u8]| pixel[0] == pixel[1] && pixel[1] == pixel[2];
            grey += usize::from(changed.pixels().chunks_exact(3).all(is_grey));
            seen.insert(changed.into_pixels());
        }
        assert!(seen.len() > 60, "{}", seen.len());
        assert!((25..=55).contains(&grey), "{grey}");
    }
}
