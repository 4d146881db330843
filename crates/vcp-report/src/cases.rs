//! Photos with their maps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, html as markup};
use vcp_image::Picture;

use crate::digits::number;
use crate::panels::{LONGEST, Panels, fit, map_picture};
use crate::strip::{check_range, range_of};
use crate::{Case, Category, Error, Format};

/// Photos that need more bytes than this are shown smaller or coarser.
const MOST_BYTES: usize = 20_000;
/// Longest side and JPEG quality, tried in order.
const QUALITIES: [(usize, u8); 5] = [
    (LONGEST, 85),
    (LONGEST, 70),
    (LONGEST, 50),
    (240, 50),
    (160, 40),
];

/// How a category's maps become pictures.
pub(crate) struct Scale {
    pub(crate) range: (f32, f32),
    threshold: Option<f64>,
    cases: usize,
}

impl Scale {
    pub(crate) fn of(category: &Category) -> Result<Self, Error> {
        let cases = || {
            category
                .worst_false_positives
                .iter()
                .chain(&category.worst_misses)
        };
        let range = category
            .color_range
            .unwrap_or_else(|| range_of(cases().flat_map(|case| case.map.iter().copied())));
        check_range(range)?;
        Ok(Self {
            range,
            threshold: category.pixel_threshold.filter(|value| value.is_finite()),
            cases: cases().count(),
        })
    }

    /// Whether any photo is shown.
    pub(crate) fn is_needed(&self) -> bool {
        self.cases > 0
    }
}

/// Photos of one kind.
pub(crate) struct List<'a> {
    pub(crate) heading: &'a str,
    pub(crate) meaning: &'a str,
    /// What to say where there is no truth to show.
    pub(crate) no_truth: &'a str,
    pub(crate) cases: &'a [Case],
}

/// Cases beneath a heading; nothing if there are none.
pub(crate) fn list(list: &List<'_>, scale: &Scale) -> Result<Markup, Error> {
    let List {
        heading,
        meaning,
        no_truth,
        cases,
    } = *list;
    if cases.is_empty() {
        return Ok(markup! {});
    }
    Ok(markup! {
        h3 { (heading) " " span.note { (meaning) } }
        ol.cases { @for shown in cases { li { (case(shown, scale, no_truth)?) } } }
    })
}

fn case(case: &Case, scale: &Scale, no_truth: &str) -> Result<Markup, Error> {
    let (width, height) = fit(case.photo.width(), case.photo.height(), LONGEST);
    let panels = Panels::new(case, width, height)?;
    let photo = Picture::from(panels.photo.clone());
    let map = map_picture(case, scale.range, width, height);
    let thresholded = scale
        .threshold
        .map(|threshold| panels.thresholded(threshold));
    let outlined = if panels.truth.is_some() {
        ", with a line around the truth"
    } else {
        ""
    };
    Ok(markup! {
        article.case {
            div.words {
                h4 { bdi { (case.title) } }
                p { "Score " b { (number(case.score, Format::Number)) } }
                p.path { bdi { (case.path) } }
            }
            div.pictures {
                (figure("Photo", &format!("{}: the photo", case.title), &jpeg(&photo)?, width, height))
                (figure("Map", &format!("{}: the anomaly map", case.title), &jpeg(&map)?, width, height))
                @if let Some(picture) = thresholded {
                    (figure("At the threshold", &format!("{}: what reaches the threshold{outlined}", case.title), &jpeg(&picture?)?, width, height))
                } @else {
                    (missing("At the threshold", "no threshold", width, height))
                }
                @if let Some(picture) = panels.truth()? {
                    (figure("Truth", &format!("{}: the mask", case.title), &png(&picture)?, width, height))
                } @else {
                    (missing("Truth", no_truth, width, height))
                }
            }
        }
    })
}

fn figure(caption: &str, alt: &str, source: &str, width: usize, height: usize) -> Markup {
    markup! {
        figure {
            img src=(source) alt=(alt) width=(width) height=(height) loading="lazy" decoding="async";
            figcaption { (caption) }
        }
    }
}

/// As large as the pictures beside it. Why there is none stands below, since a picture may be narrower
/// than a word.
fn missing(caption: &str, why: &str, width: usize, height: usize) -> Markup {
    markup! {
        figure {
            svg.missing role="img" aria-label=(why) viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {}
            figcaption { (caption) " – " (why) }
        }
    }
}

/// A data address. A photo of noise needs five times the bytes of a usual one; rather than growing
/// the page without bound, such are shown coarser.
fn jpeg(picture: &Picture) -> Result<String, Error> {
    let photo = picture.as_photo();
    let mut bytes = Vec::new();
    for (longest, quality) in QUALITIES {
        let (width, height) = fit(photo.width(), photo.height(), longest);
        bytes = if (width, height) == (photo.width(), photo.height()) {
            picture.to_jpeg_bytes(quality)?
        } else {
            Picture::from(photo.resize_bicubic(width, height)).to_jpeg_bytes(quality)?
        };
        if bytes.len() <= MOST_BYTES {
            break;
        }
    }
    Ok(address("image/jpeg", &bytes))
}

/// A data address without loss, for masks.
fn png(picture: &Picture) -> Result<String, Error> {
    Ok(address("image/png", &picture.to_png_bytes()?))
}

fn address(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", BASE64.encode(bytes))
}
