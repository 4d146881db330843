use proptest::prelude::*;
use vcp_image::Photo;

use super::*;

/// Anything of this size, and a mask of some blots.
fn pair(width: usize, height: usize, channels: usize, seed: u64) -> (Photo, Photo) {
    let mut random = Random::new(seed);
    let pixels = (0..width * height * channels)
        .map(|_| random.below(256) as u8)
        .collect();
    let image = if channels == 1 {
        Photo::from_grey(width, height, pixels)
    } else {
        Photo::from_rgb(width, height, pixels)
    };
    let (x0, y0) = (random.below(width), random.below(height));
    let reach = 1 + random.below(width.max(height));
    let inside = |x: usize, y: usize| x.abs_diff(x0) + y.abs_diff(y0) < reach;
    let mask = (0..width * height)
        .map(|index| {
            if inside(index % width, index / width) {
                255
            } else {
                0
            }
        })
        .collect();
    (
        image.unwrap(),
        Photo::from_grey(width, height, mask).unwrap(),
    )
}

fn pairs() -> impl Strategy<Value = (Photo, Photo)> {
    let sizes = (
        1_usize..24,
        1_usize..24,
        prop::sample::select(vec![1, 3]),
        any::<u64>(),
    );
    sizes.prop_map(|(width, height, channels, seed)| pair(width, height, channels, seed))
}

/// All changes, always.
fn always() -> Augmentation {
    Augmentation {
        mosaic: 1.0,
        rotation: 1.0,
        quarter_turns: 1.0,
        brightness_contrast: 1.0,
        noise: 1.0,
        blur_or_jitter: 1.0,
        ..Augmentation::default()
    }
}

proptest! {
    #[test]
    fn without_any_probability_nothing_changes((image, mask) in pairs(), seed: u64) {
        let (changed, changed_mask) = Augmentation::none().apply(image.clone(), &mask, seed);
        prop_assert_eq!(changed, image);
        prop_assert_eq!(changed_mask, mask);
    }

    #[test]
    fn masks_stay_masks_of_their_image((image, mask) in pairs(), seed: u64) {
        let channels = image.channels();
        let (image, mask) = always().apply(image, &mask, seed);
        prop_assert_eq!(image.channels(), channels);
        prop_assert_eq!((mask.width(), mask.height()), (image.width(), image.height()));
        prop_assert!(mask.is_grey() && mask.pixels().iter().all(|value| [0, 255].contains(value)));
    }

    #[test]
    fn the_same_seed_makes_the_same_change((image, mask) in pairs(), seed: u64) {
        let official = Augmentation::official_mvtec();
        let apply = || official.apply(image.clone(), &mask, seed);
        prop_assert_eq!(apply(), apply());
        prop_assert_eq!(official.mosaic_parts(seed, 9), official.mosaic_parts(seed, 9));
    }

    #[test]
    fn quarter_turns_are_exact((image, _) in pairs(), turns in 0_usize..4) {
        let turned = turn::quarter_turns(image.clone(), turns);
        let (width, height, channels) = (image.width(), image.height(), image.channels());
        for y in 0..height {
            for x in 0..width {
                // To the left: what was on the right is above.
                let (column, row) = match turns {
                    0 => (x, y),
                    1 => (y, width - 1 - x),
                    2 => (width - 1 - x, height - 1 - y),
                    _ => (height - 1 - y, x),
                };
                let here = &image.row(y)[x * channels..][..channels];
                prop_assert_eq!(&turned.row(row)[column * channels..][..channels], here);
            }
        }
        prop_assert_eq!(turn::quarter_turns(turned, 4 - turns), image);
    }

    #[test]
    fn rotating_a_square_by_a_quarter_turn_is_one(
        side in 1_usize..20, channels in prop::sample::select(vec![1, 3]), seed: u64,
    ) {
        let (image, mask) = pair(side, side, channels, seed);
        let quarter = std::f64::consts::FRAC_PI_2;
        let (turned, turned_mask) = (turn::rotated(&image, quarter), turn::rotated_mask(&mask, quarter));
        prop_assert_eq!(turned, turn::quarter_turns(image, 1));
        prop_assert_eq!(turned_mask, turn::quarter_turns(mask, 1));
    }

    #[test]
    fn rotating_by_nothing_changes_nothing((image, mask) in pairs()) {
        prop_assert_eq!(turn::rotated(&image, 0.0), image);
        prop_assert_eq!(turn::rotated_mask(&mask, 0.0), mask);
    }

    #[test]
    fn even_images_stay_even_when_turned_or_blurred((image, _) in pairs(), value: u8, angle in -1.0..1.0) {
        let even = super::photo(
            &image,
            image.width(),
            image.height(),
            vec![value; image.pixels().len()],
        );
        prop_assert_eq!(&turn::rotated(&even, angle), &even);
        prop_assert_eq!(&blur::mean_of_three(&even), &even);
        for width in [3, 5, 7] {
            prop_assert_eq!(&blur::gaussian(&even, width), &even);
        }
    }

    #[test]
    fn mosaics_hold_their_parts(
        parts in prop::array::uniform4((1_usize..9, 1_usize..9, prop::sample::select(vec![1, 3]), any::<u64>())),
    ) {
        let (width, height, ..) = parts[0];
        // All of one size.
        let parts = parts.map(|(_, _, channels, seed)| pair(width, height, channels, seed));
        let (image, mask) = mosaic(&parts);
        prop_assert_eq!((image.width(), image.height()), (2 * width, 2 * height));
        prop_assert_eq!((mask.width(), mask.height()), (2 * width, 2 * height));
        for (part, (own, own_mask)) in parts.iter().enumerate() {
            let (x, y) = (part % 2 * width, part / 2 * height);
            let own = if image.is_grey() { own.clone() } else { own.to_rgb() };
            prop_assert_eq!(&image.crop(x..x + width, y..y + height), &own);
            prop_assert_eq!(&mask.crop(x..x + width, y..y + height), own_mask);
        }
    }

    #[test]
    fn any_settings_will_do((image, mask) in pairs(), seed: u64, numbers in prop::array::uniform13(prop::num::f32::ANY)) {
        let [mosaic, rotation, rotation_degrees, quarter_turns, brightness_contrast, brightness_limit, contrast_limit, noise, least, most, blur_or_jitter, jitter_limit, jitter_hue] = numbers;
        let strange = Augmentation {
            mosaic, rotation, rotation_degrees, quarter_turns, brightness_contrast, brightness_limit, contrast_limit, noise,
            noise_variance: [least, most], blur_or_jitter, jitter_limit, jitter_hue,
        };
        let _ = strange.mosaic_parts(seed, 3);
        let (image, mask) = strange.apply(image, &mask, seed);
        prop_assert_eq!((mask.width(), mask.height()), (image.width(), image.height()));
    }
}

#[test]
fn image_and_mask_turn_alike() {
    // The mask of a shape without symmetry, as a picture, turns as the mask itself does.
    let side = 64_usize;
    let inside = |x: usize, y: usize| {
        let (x, y) = (x as f32 - 26.0, y as f32 - 30.0);
        (x * x + 3.0 * y * y < 300.0) || (x > 0.0 && x < 24.0 && y > 0.0 && y < 8.0)
    };
    let pixels: Vec<u8> = (0..side * side)
        .map(|index| {
            if inside(index % side, index / side) {
                255
            } else {
                0
            }
        })
        .collect();
    let mask = Photo::from_grey(side, side, pixels).unwrap();
    let only_turns = Augmentation {
        rotation: 1.0,
        quarter_turns: 1.0,
        ..Augmentation::none()
    };
    let mut moved = 0;
    for seed in 0..40 {
        let (image, turned) = only_turns.apply(mask.clone(), &mask, seed);
        // Half-covered pixels may fall either way; all others agree.
        for (&value, &masked) in image.pixels().iter().zip(turned.pixels()) {
            assert!(
                value.abs_diff(masked) <= 192,
                "seed {seed}: {value} and {masked}"
            );
        }
        let wrong = image.pixels().iter().zip(turned.pixels());
        let wrong = wrong
            .filter(|(value, masked)| (**value > 127) != (**masked > 127))
            .count();
        assert!(wrong < 30, "seed {seed}: {wrong} pixels differ");
        moved += usize::from(turned != mask);
    }
    assert!(moved > 35, "only {moved} of 40 moved");
}

#[test]
fn probabilities_are_kept() {
    let (image, mask) = pair(9, 7, 3, 1);
    for (name, augmentation) in [
        (
            "rotation",
            Augmentation {
                rotation: 0.5,
                ..Augmentation::none()
            },
        ),
        (
            "brightness_contrast",
            Augmentation {
                brightness_contrast: 0.5,
                ..Augmentation::none()
            },
        ),
        (
            "noise",
            Augmentation {
                noise: 0.5,
                ..Augmentation::none()
            },
        ),
        (
            "blur_or_jitter",
            Augmentation {
                blur_or_jitter: 0.5,
                ..Augmentation::none()
            },
        ),
    ] {
        let changes = |seed: &u64| augmentation.apply(image.clone(), &mask, *seed).0 != image;
        let count = (0..1000).filter(changes).count();
        // Five standard deviations about one half.
        assert!((420..580).contains(&count), "{name}: {count} of 1000");
    }
    let turns = Augmentation {
        quarter_turns: 0.5,
        ..Augmentation::none()
    };
    let count = (0..1000)
        .filter(|&seed| turns.apply(image.clone(), &mask, seed).0 != image)
        .count();
    // A quarter of the turns are by nothing.
    assert!((300..450).contains(&count), "{count} of 1000");
    let official = Augmentation::official_mvtec();
    let count = (0..1000)
        .filter(|&seed| official.mosaic_parts(seed, 5).is_some())
        .count();
    assert!((140..260).contains(&count), "{count} of 1000");
    assert_eq!(always().mosaic_parts(1, 0), None);
}

#[test]
fn changes_do_not_depend_on_whether_others_are_made() {
    let (image, mask) = pair(9, 7, 3, 2);
    let noise = Augmentation {
        noise: 1.0,
        ..Augmentation::none()
    };
    // The others are made, but to no effect.
    let others = Augmentation {
        noise: 1.0,
        brightness_contrast: 1.0,
        brightness_limit: 0.0,
        contrast_limit: 0.0,
        rotation: 1.0,
        rotation_degrees: 0.0,
        ..Augmentation::none()
    };
    for seed in 0..20 {
        let alone = noise.apply(image.clone(), &mask, seed);
        assert_eq!(
            alone,
            others.apply(image.clone(), &mask, seed),
            "seed {seed}"
        );
        assert_ne!(alone.0, image);
    }
}

#[test]
fn noise_and_brightness_keep_to_their_ranges() {
    let grey = Photo::from_grey(200, 200, vec![128; 40_000]).unwrap();
    let mask = Photo::from_grey(200, 200, vec![0; 40_000]).unwrap();
    let statistics = |image: &Photo| {
        let values = image.pixels().iter().map(|&value| f64::from(value));
        let mean = values.clone().sum::<f64>() / 40_000.0;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / 40_000.0;
        (mean, variance)
    };
    let noise = Augmentation {
        noise: 1.0,
        ..Augmentation::none()
    };
    let brightness = Augmentation {
        brightness_contrast: 1.0,
        ..Augmentation::none()
    };
    let (mut variances, mut means) = (Vec::new(), Vec::new());
    for seed in 0..30 {
        let (mean, variance) = statistics(&noise.apply(grey.clone(), &mask, seed).0);
        assert!((mean - 128.0).abs() < 0.3, "seed {seed}: mean {mean}");
        variances.push(variance);
        let (mean, variance) = statistics(&brightness.apply(grey.clone(), &mask, seed).0);
        assert!(variance < 1e-6);
        means.push(mean);
    }
    let range = |values: &[f64]| {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (least, most)
    };
    // Rounding to bytes adds 1/12 to the variance.
    let (least, most) = range(&variances);
    assert!(
        least > 9.7 && least < 16.0 && most > 42.0 && most < 51.5,
        "{least} to {most}"
    );
    // 128 × (1 ± 0.2) ± 51.
    let (least, most) = range(&means);
    assert!(
        (51.0..90.0).contains(&least) && most <= 205.0 && most > 165.0,
        "{least} to {most}"
    );
}

#[test]
fn blurs_weigh_their_neighbours() {
    let mut pixels = vec![0; 15 * 15];
    pixels[7 * 15 + 7] = 255;
    let dot = Photo::from_grey(15, 15, pixels).unwrap();
    let at = |image: &Photo, x: usize, y: usize| image.row(y)[x];
    let mean = blur::mean_of_three(&dot);
    assert_eq!(
        [at(&mean, 7, 7), at(&mean, 8, 8), at(&mean, 9, 7)],
        [28, 28, 0]
    );
    let three = blur::gaussian(&dot, 3);
    assert_eq!(
        [at(&three, 7, 7), at(&three, 8, 7), at(&three, 8, 8)],
        [64, 32, 16]
    );
    let five = blur::gaussian(&dot, 5);
    assert_eq!(
        [at(&five, 7, 7), at(&five, 9, 7), at(&five, 10, 7)],
        [36, 6, 0]
    );
    let seven = blur::gaussian(&dot, 7);
    assert_eq!(
        [at(&seven, 7, 7), at(&seven, 10, 7), at(&seven, 11, 7)],
        [20, 2, 0]
    );
}

#[test]
fn jitters_do_what_they_say() {
    let image = Photo::from_rgb(2, 1, vec![100, 50, 50, 40, 40, 80]).unwrap();
    let nothing = colour::Jitter {
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        hue: 0.0,
        order: [
            colour::Part::Hue,
            colour::Part::Saturation,
            colour::Part::Contrast,
            colour::Part::Brightness,
        ],
    };
    assert_eq!(colour::jittered(image.clone(), &nothing), image);
    // Greys 64.95 and 44.56, of mean 55.
    for (name, jitter, expected) in [
        (
            "brightness",
            colour::Jitter {
                brightness: 1.2,
                ..nothing.clone()
            },
            [120, 60, 60, 48, 48, 96],
        ),
        (
            "contrast",
            colour::Jitter {
                contrast: 0.8,
                ..nothing.clone()
            },
            [91, 51, 51, 43, 43, 75],
        ),
        (
            "saturation",
            colour::Jitter {
                saturation: 0.0,
                ..nothing.clone()
            },
            [65, 65, 65, 45, 45, 45],
        ),
        (
            "hue",
            colour::Jitter {
                hue: 1.0 / 3.0,
                ..nothing.clone()
            },
            [50, 100, 50, 80, 40, 40],
        ),
    ] {
        let jittered = colour::jittered(image.clone(), &jitter);
        assert_eq!(jittered.pixels(), expected, "{name}");
    }
}

#[test]
fn masks_of_another_size_are_brought_to_the_images() {
    let (image, _) = pair(8, 6, 3, 3);
    let mask = Photo::from_grey(4, 3, [[0, 0, 7, 7]; 3].concat()).unwrap();
    let (_, mask) = Augmentation::none().apply(image, &mask, 0);
    assert_eq!(
        mask.pixels(),
        [[0, 0, 0, 0, 255, 255, 255, 255]; 6].concat()
    );
}

#[test]
fn settings_out_of_range_are_named() {
    Augmentation::default().check().unwrap();
    Augmentation::official_mvtec().check().unwrap();
    always().check().unwrap();
    for (wrong, name) in [
        (
            Augmentation {
                rotation: 1.5,
                ..always()
            },
            "rotation",
        ),
        (
            Augmentation {
                mosaic: f32::NAN,
                ..always()
            },
            "mosaic",
        ),
        (
            Augmentation {
                noise_variance: [50.0, 10.0],
                ..always()
            },
            "noise_variance",
        ),
        (
            Augmentation {
                noise_variance: [1.0, f32::INFINITY],
                ..always()
            },
            "noise_variance",
        ),
        (
            Augmentation {
                jitter_hue: 0.6,
                ..always()
            },
            "jitter_hue",
        ),
    ] {
        let error = wrong.check().unwrap_err().to_string();
        assert!(error.contains(&format!("'{name}'")), "{error}");
    }
}

#[test]
fn the_defaults_are_the_official_ones() {
    let read: Augmentation = serde_json::from_str(r#"{"mosaic": 0.2}"#).unwrap();
    assert_eq!(read, Augmentation::official_mvtec());
    assert!(serde_json::from_str::<Augmentation>(r#"{"rotaton": 0.2}"#).is_err());
    assert!(Augmentation::none().is_none() && !Augmentation::default().is_none());
}
