//! The quick versions against plain ones that are right at a glance.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use proptest::prelude::*;
use vcp_image::{
    BandResizer, Photo, Region, ScaledMap, gaussian_blur, heatmap, mask_picture, normalise,
    overlay, regions, regions_of_area,
};

/// A photo of random size, channels and bytes.
fn photos(largest: usize) -> impl Strategy<Value = Photo> {
    (1..=largest, 1..=largest, any::<bool>()).prop_flat_map(|(width, height, grey)| {
        let channels = if grey { 1 } else { 3 };
        let pixels = prop::collection::vec(any::<u8>(), width * height * channels);
        pixels.prop_map(move |pixels| {
            if grey {
                Photo::from_grey(width, height, pixels).unwrap()
            } else {
                Photo::from_rgb(width, height, pixels).unwrap()
            }
        })
    })
}

/// A square map with values from a few levels, so that equal values and ties occur.
fn maps(largest: usize) -> impl Strategy<Value = (usize, Vec<f32>)> {
    (1..=largest).prop_flat_map(|side| {
        prop::collection::vec(0_u8..=8, side * side).prop_map(move |levels| {
            let values = levels.iter().map(|&level| f32::from(level) / 8.0);
            (side, values.collect())
        })
    })
}

fn cubic(x: f64) -> f64 {
    let (a, x) = (-0.5, x.abs());
    if x < 1.0 {
        (a + 2.0) * x.powi(3) - (a + 3.0) * x.powi(2) + 1.0
    } else if x < 2.0 {
        a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a
    } else {
        0.0
    }
}

/// One line resized with the stretched cubic filter, rounded and clipped to bytes.
fn resize_line(line: &[u8], output: usize) -> Vec<u8> {
    let scale = line.len() as f64 / output as f64;
    let stretch = scale.max(1.0);
    (0..output)
        .map(|x| {
            let center = (x as f64 + 0.5) * scale;
            let (mut sum, mut weights) = (0.0, 0.0);
            for (position, &value) in line.iter().enumerate() {
                let weight = cubic((position as f64 + 0.5 - center) / stretch);
                sum += weight * f64::from(value);
                weights += weight;
            }
            (sum / weights).round().clamp(0.0, 255.0) as u8
        })
        .collect()
}

/// Rows, then columns, one channel at a time.
fn resize_plainly(photo: &Photo, width: usize, height: usize) -> Vec<u8> {
    let channels = photo.channels();
    let mut result = vec![0; width * height * channels];
    for channel in 0..channels {
        let rows: Vec<Vec<u8>> = (0..photo.height())
            .map(|y| {
                let row = photo.row(y).iter().skip(channel).step_by(channels);
                resize_line(&row.copied().collect::<Vec<u8>>(), width)
            })
            .collect();
        for x in 0..width {
            let column: Vec<u8> = rows.iter().map(|row| row[x]).collect();
            for (y, value) in resize_line(&column, height).into_iter().enumerate() {
                result[(y * width + x) * channels + channel] = value;
            }
        }
    }
    result
}

fn reflect(index: i64, size: usize) -> usize {
    let size = size as i64;
    let mut index = index;
    // d c b a | a b c d | d c b a, as often as needed.
    while !(0..size).contains(&index) {
        index = if index < 0 {
            -index - 1
        } else {
            2 * size - 1 - index
        };
    }
    index as usize
}

fn blur_plainly(map: &[f32], width: usize, height: usize, sigma: f64) -> Vec<f64> {
    let radius = (4.0 * sigma + 0.5) as i64;
    let weight = |d: i64| (-0.5 * (d * d) as f64 / (sigma * sigma)).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    let mut columns = vec![0.0; map.len()];
    let mut result = vec![0.0; map.len()];
    for y in 0..height {
        for x in 0..width {
            for d in -radius..=radius {
                let value = map[reflect(y as i64 + d, height) * width + x];
                columns[y * width + x] += weight(d) / sum * f64::from(value);
            }
        }
    }
    for y in 0..height {
        for x in 0..width {
            for d in -radius..=radius {
                result[y * width + x] +=
                    weight(d) / sum * columns[y * width + reflect(x as i64 + d, width)];
            }
        }
    }
    result
}

/// Bilinear, pixel centres aligned, in `f64`.
fn scaled_plainly(map: &[f32], side: usize, width: usize, height: usize) -> Vec<f64> {
    let place = |index: usize, output: usize| {
        let at = (index as f64 + 0.5) * side as f64 / output as f64 - 0.5;
        let at = at.clamp(0.0, side as f64 - 1.0);
        let first = at.floor() as usize;
        (first, (first + 1).min(side - 1), at - at.floor())
    };
    let mut result = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let ((top, bottom, down), (left, right, along)) = (place(y, height), place(x, width));
            let at = |y: usize, x: usize| f64::from(map[y * side + x]);
            result.push(
                at(top, left) * (1.0 - down) * (1.0 - along)
                    + at(top, right) * (1.0 - down) * along
                    + at(bottom, left) * down * (1.0 - along)
                    + at(bottom, right) * down * along,
            );
        }
    }
    result
}

fn all_rows(map: &dyn vcp_image::MapRows) -> Vec<f32> {
    let mut values = vec![0.0; map.width() * map.height()];
    for (y, row) in values.chunks_exact_mut(map.width()).enumerate() {
        map.row(y, row);
    }
    values
}

/// Regions by flood fill from each pixel not yet seen.
fn regions_plainly(values: &[f32], width: usize, height: usize, threshold: f32) -> Vec<Region> {
    let mut seen = vec![false; values.len()];
    let mut found = Vec::new();
    for start in 0..values.len() {
        if seen[start] || values[start] < threshold {
            continue;
        }
        seen[start] = true;
        let (mut pixels, mut next) = (vec![start], 0);
        while next < pixels.len() {
            let (x, y) = (pixels[next] % width, pixels[next] / width);
            next += 1;
            for near_y in y.saturating_sub(1)..(y + 2).min(height) {
                for near_x in x.saturating_sub(1)..(x + 2).min(width) {
                    let near = near_y * width + near_x;
                    if !seen[near] && values[near] >= threshold {
                        seen[near] = true;
                        pixels.push(near);
                    }
                }
            }
        }
        pixels.sort_unstable();
        found.push(describe(&pixels, values, width));
    }
    found.sort_by_key(|region| std::cmp::Reverse(region.area));
    found
}

fn describe(pixels: &[usize], values: &[f32], width: usize) -> Region {
    let area = pixels.len() as f64;
    let (xs, ys) = (
        pixels.iter().map(|p| p % width),
        pixels.iter().map(|p| p / width),
    );
    let (left, right) = (xs.clone().min().unwrap(), xs.clone().max().unwrap());
    let (top, bottom) = (ys.clone().min().unwrap(), ys.clone().max().unwrap());
    let peak = pixels.iter().map(|&p| values[p]).fold(f32::MIN, f32::max);
    let at = pixels.iter().find(|&&p| values[p] >= peak).unwrap();
    Region {
        bounding_box: vcp_image::BoundingBox {
            x: left,
            y: top,
            width: right + 1 - left,
            height: bottom + 1 - top,
        },
        area: pixels.len() as u64,
        centroid: (
            xs.sum::<usize>() as f64 / area,
            ys.sum::<usize>() as f64 / area,
        ),
        peak,
        peak_position: (at % width, at / width),
        mean: (pixels.iter().map(|&p| f64::from(values[p])).sum::<f64>() / area) as f32,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_photo_in_bands_is_resized_as_the_whole(
        photo in photos(150), width in 1_usize..90, height in 1_usize..90, rows in 1_usize..200,
    ) {
        let size = (photo.width(), photo.height());
        let mut resizer = BandResizer::new(size, photo.channels(), (width, height));
        for top in (0..size.1).step_by(rows) {
            resizer.push(&photo.crop(0..size.0, top..(top + rows).min(size.1)));
        }
        prop_assert!(resizer.into_photo() == photo.resize_bicubic(width, height));
    }

    #[test]
    fn resizing_is_the_cubic_filter(photo in photos(40), width in 1_usize..60, height in 1_usize..60) {
        let found = photo.resize_bicubic(width, height);
        prop_assert_eq!(found.channels(), photo.channels());
        let expected = resize_plainly(&photo, width, height);
        let mut total = 0;
        for (found, expected) in found.pixels().iter().zip(&expected) {
            // The first pass may round a tie the other way. Between two such pixels the second one,
            // whose weights' sizes add up to 1.25, makes 1.25 of it, and then rounds.
            let difference = found.abs_diff(*expected);
            prop_assert!(difference <= 2, "{found} instead of {expected}");
            total += usize::from(difference);
        }
        prop_assert!(total * 4 <= expected.len() + 4, "{total} in all of {}", expected.len());
    }

    #[test]
    fn a_photo_of_one_colour_stays_so(value: u8, from in 1_usize..300, to in 1_usize..300) {
        let photo = Photo::from_grey(from, 2, vec![value; from * 2]).unwrap();
        prop_assert!(photo.resize_bicubic(to, 3).pixels().iter().all(|&v| v == value));
    }

    #[test]
    fn normalising_is_the_formula(photo in photos(12)) {
        let planes = normalise(&photo);
        let rgb = photo.to_rgb();
        let count = photo.width() * photo.height();
        prop_assert_eq!(planes.len(), 3 * count);
        for (index, pixel) in rgb.pixels().chunks_exact(3).enumerate() {
            for channel in 0..3 {
                let expected = (f32::from(pixel[channel]) / 255.0 - vcp_image::MEAN[channel])
                    / vcp_image::STANDARD_DEVIATION[channel];
                prop_assert!((planes[channel * count + index] - expected).abs() <= 1e-6);
            }
        }
    }

    #[test]
    fn blurring_is_the_sum(
        (width, height, map) in (1_usize..50, 1_usize..50).prop_flat_map(|(width, height)| {
            let map = prop::collection::vec(0.0_f32..1.0, width * height);
            map.prop_map(move |map| (width, height, map))
        }),
        sigma in 0.1_f32..9.0,
    ) {
        let found = gaussian_blur(&map, width, height, sigma);
        let expected = blur_plainly(&map, width, height, f64::from(sigma));
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected).abs() <= 1e-6, "{found}, {expected}");
        }
    }

    #[test]
    fn scaling_is_the_formula((side, map) in maps(12), width in 1_usize..40, height in 1_usize..40) {
        let found = all_rows(&ScaledMap::new(&map, side, width, height));
        let expected = scaled_plainly(&map, side, width, height);
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected).abs() <= 1e-6, "{found}, {expected}");
        }
    }

    #[test]
    fn regions_are_those_of_flood_fill(
        (side, map) in maps(14),
        width in 1_usize..40,
        height in 1_usize..40,
        threshold in 0.05_f32..1.0,
    ) {
        let scaled = ScaledMap::new(&map, side, width, height);
        let values = all_rows(&scaled);
        let found = regions(&scaled, threshold);
        let expected = regions_plainly(&values, width, height, threshold);
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((found.centroid.0 - expected.centroid.0).abs() < 1e-9);
            prop_assert!((found.centroid.1 - expected.centroid.1).abs() < 1e-9);
            prop_assert!((found.mean - expected.mean).abs() < 1e-6);
            let same = Region { centroid: expected.centroid, mean: expected.mean, ..found.clone() };
            prop_assert_eq!(&same, expected);
        }
        let mask = mask_picture(&scaled, threshold);
        let white: u64 = mask.as_photo().pixels().iter().map(|&value| u64::from(value) / 255).sum();
        let area: u64 = found.iter().map(|region| region.area).sum();
        prop_assert_eq!(area, white);
    }

    #[test]
    fn small_regions_are_as_if_they_were_not_there(
        (side, map) in maps(14),
        width in 1_usize..40,
        height in 1_usize..40,
        threshold in 0.05_f32..1.0,
        min_area in 0_u64..40,
    ) {
        let scaled = ScaledMap::new(&map, side, width, height);
        let all = regions(&scaled, threshold);
        let (found, small) = regions_of_area(&scaled, threshold, min_area);
        let large: Vec<Region> =
            all.into_iter().filter(|region| region.area >= min_area).collect();
        prop_assert_eq!(&found, &large);
        let cleared = small.cleared(&scaled);
        prop_assert_eq!(regions(&cleared, threshold), found);
        let (before, after) = (all_rows(&scaled), all_rows(&cleared));
        for (before, after) in before.iter().zip(&after) {
            let is_same = before.to_bits() == after.to_bits();
            prop_assert!(is_same || (*before >= threshold && *after < threshold));
        }
    }

    #[test]
    fn an_overlay_leaves_the_inside_unframed_and_the_rest_alone(
        (side, map) in maps(10),
        width in 1_usize..50,
        height in 1_usize..50,
        threshold in 0.05_f32..1.1,
    ) {
        let scaled = ScaledMap::new(&map, side, width, height);
        let values = all_rows(&scaled);
        let photo = Photo::from_rgb(width, height, vec![200; width * height * 3]).unwrap();
        // On a range that starts above all values nothing is tinted: what changed is the line.
        let lined = overlay(&photo, &scaled, (2.0, 3.0), threshold);
        for (index, pixel) in lined.as_photo().pixels().chunks_exact(3).enumerate() {
            let (x, y) = (index % width, index / width);
            let mut nearest = i64::MAX;
            for (other, &value) in values.iter().enumerate() {
                if value >= threshold {
                    let dx = (other % width) as i64 - x as i64;
                    let dy = (other / width) as i64 - y as i64;
                    nearest = nearest.min(dx * dx + dy * dy);
                }
            }
            // Small pictures: one bright pixel (discs of radius 1.5), one dark (2.5).
            let expected = match nearest {
                1..=2 => [64, 255, 255],
                3..=6 => [0, 0, 0],
                _ => [200, 200, 200],
            };
            prop_assert_eq!(pixel, expected, "at {}, {}", x, y);
        }
    }
}

#[test]
fn not_a_number_is_nowhere() {
    let map = [f32::NAN; 9];
    let scaled = ScaledMap::new(&map, 3, 7, 5);
    assert!(regions(&scaled, 0.0).is_empty());
    assert!(
        mask_picture(&scaled, 0.0)
            .as_photo()
            .pixels()
            .iter()
            .all(|&v| v == 0)
    );
    let black = heatmap(&scaled, (0.0, 1.0));
    assert_eq!(black.as_photo().pixels()[..3], [0, 0, 4]);
}

#[test]
fn a_heatmap_has_a_fixed_scale() {
    let map = [-1.0, 0.0, 0.5, 1.0, 7.0, 0.25, 0.0, 0.0, 0.0];
    let picture = heatmap(&ScaledMap::new(&map, 3, 3, 3), (0.0, 1.0));
    let pixels: Vec<&[u8]> = picture.as_photo().pixels().chunks_exact(3).collect();
    assert_eq!(pixels[0], pixels[1], "below the range is its low end");
    assert_eq!(pixels[3], pixels[4], "above the range is its high end");
    assert_eq!(
        pixels[3],
        [252, 255, 164],
        "the high end is Inferno's last colour"
    );
    let other = heatmap(&ScaledMap::new(&[0.5; 9], 3, 3, 3), (0.0, 1.0));
    assert_eq!(
        pixels[2],
        &other.as_photo().pixels()[..3],
        "a value has one colour everywhere"
    );
}

#[test]
fn odd_sigmas_do_no_harm() {
    let map = [0.0, 0.25, 0.5, 1.0];
    for sigma in [0.0, -1.0, f32::NAN, 1e-9] {
        assert_eq!(gaussian_blur(&map, 2, 2, sigma), map, "{sigma}");
    }
    for sigma in [1e3, 1e30, f32::INFINITY] {
        for value in gaussian_blur(&map, 2, 2, sigma) {
            assert!((value - 0.4375).abs() < 1e-4, "{sigma}: {value}");
        }
    }
    assert!(gaussian_blur(&[], 0, 0, 8.0).is_empty());
}
