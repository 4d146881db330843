//! Pictures as the bytes of a file.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use vcp_image::{DecodeOptions, Error, Photo, Picture, decode_bytes, is_own_png};

fn slopes(width: usize, height: usize) -> Photo {
    let pixels = (0..width * height)
        .flat_map(|at| {
            let (x, y) = (at % width, at / width);
            [
                (x * 255 / width) as u8,
                (y * 255 / height) as u8,
                ((x + y) * 255 / (width + height)) as u8,
            ]
        })
        .collect();
    Photo::from_rgb(width, height, pixels).unwrap()
}

#[test]
fn png_bytes_decode_to_the_same_pixels() {
    let rgb = slopes(31, 17);
    let grey = Photo::from_grey(3, 2, vec![0, 255, 7, 128, 1, 254]).unwrap();
    for photo in [rgb, grey] {
        let bytes = Picture::from(photo.clone()).to_png_bytes().unwrap();
        let decoded = decode_bytes(&bytes, "picture", &DecodeOptions::default()).unwrap();
        assert_eq!(decoded, photo);
    }
}

#[test]
fn a_png_says_who_wrote_it() {
    let rgb = slopes(31, 17);
    let own = Picture::from(rgb.clone()).to_png_bytes().unwrap();
    assert!(is_own_png(&own[..]).unwrap());

    let mut other = Vec::new();
    let mut encoder = png::Encoder::new(&mut other, 31, 17);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .add_text_chunk("Software".to_owned(), "gimp".to_owned())
        .unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(rgb.pixels()).unwrap();
    writer.finish().unwrap();
    assert!(!is_own_png(&other[..]).unwrap());
    let jpeg = Picture::from(rgb).to_jpeg_bytes(80).unwrap();
    assert!(!is_own_png(&jpeg[..]).unwrap());
    for end in 0..60 {
        assert!(!is_own_png(&own[..end]).unwrap() || end >= 58, "{end}");
    }
}

#[test]
fn jpeg_bytes_decode_to_nearly_the_same_pixels_and_shrink_with_the_quality() {
    let photo = slopes(64, 48);
    let picture = Picture::from(photo.clone());
    let sizes: Vec<usize> = [0, 40, 95, 255]
        .map(|quality| picture.to_jpeg_bytes(quality).unwrap().len())
        .to_vec();
    assert!(sizes.is_sorted(), "{sizes:?}");

    let bytes = picture.to_jpeg_bytes(95).unwrap();
    let decoded = decode_bytes(&bytes, "picture", &DecodeOptions::default()).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (64, 48));
    for (before, after) in photo.pixels().iter().zip(decoded.pixels()) {
        assert!(before.abs_diff(*after) <= 12, "{before} became {after}");
    }
}

#[test]
fn a_side_too_long_for_jpeg_is_an_error() {
    let long = Photo::from_grey(70_000, 1, vec![0; 70_000]).unwrap();
    let error = Picture::from(long).to_jpeg_bytes(80).unwrap_err();
    assert!(matches!(error, Error::Encode { format: "JPEG", .. }));
    assert!(error.to_string().contains("70000 × 1"), "{error}");
}
