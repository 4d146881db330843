//! The page as a whole: well formed, escaped, self-contained, bounded.

mod support;

use support::{Markup, report};
use vcp_image::Photo;
use vcp_report::{
    Case, Category, Cell, Column, Curve, Error, Format, Report, Row, html, write_html,
};

const HOSTILE: &str = "<script>alert('1')</script>\"'>&lt;\u{0}\u{1b}<img src=http://evil.example/x onerror=alert(2)>]]><!--";

#[test]
fn every_tag_is_closed_and_every_reference_leads_somewhere() {
    let page = html(&report(2, 2, HOSTILE)).unwrap();
    let markup = Markup::parse(&page);
    let ids: Vec<&str> = markup.attributes("id").collect();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len(), "an id stands twice: {ids:?}");
    let links: Vec<&str> = markup.attributes("href").collect();
    assert!(!links.is_empty());
    for link in links {
        let target = link.strip_prefix('#').unwrap();
        assert!(ids.contains(&target), "{link} leads nowhere");
    }
    for id in markup.attributes("aria-labelledby") {
        assert!(ids.contains(&id), "{id} labels nothing");
    }
}

#[test]
fn hostile_texts_stay_texts() {
    let page = html(&report(2, 2, HOSTILE)).unwrap();
    let markup = Markup::parse(&page);
    let count = |name: &str| markup.tags.iter().filter(|tag| tag.name == name).count();
    assert_eq!(count("script"), 1, "only the page's own script");
    let harmless = html(&report(2, 2, "harmless")).unwrap();
    let names = |page: &str| -> Vec<String> {
        Markup::parse(page)
            .tags
            .into_iter()
            .map(|tag| tag.name)
            .collect()
    };
    assert_eq!(
        names(&page),
        names(&harmless),
        "texts changed the page's elements"
    );
    for tag in &markup.tags {
        for (name, _) in &tag.attributes {
            assert!(!name.starts_with("on"), "{name} in <{}>", tag.name);
        }
    }
    assert!(page.contains("&lt;script&gt;alert('1')&lt;/script&gt;"));
    assert!(!page.contains('\0') && !page.contains('\u{1b}') && page.contains('\u{FFFD}'));
}

#[test]
fn nothing_is_asked_of_the_network() {
    // Hostile texts stand in titles and alternative texts, which ask for nothing.
    let page = html(&report(2, 2, "harmless")).unwrap();
    let markup = Markup::parse(&page);
    let known = ["a", "abbr", "img", "meta"];
    for tag in &markup.tags {
        assert!(
            ![
                "link", "iframe", "object", "embed", "base", "form", "use", "image", "video",
                "audio", "source"
            ]
            .contains(&tag.name.as_str()),
            "<{}>",
            tag.name
        );
        for (name, value) in &tag.attributes {
            match name.as_str() {
                "src" => assert!(value.starts_with("data:image/"), "{value:.60}"),
                "href" => assert!(
                    value.starts_with('#') && known.contains(&tag.name.as_str()),
                    "{value:.60}"
                ),
                "srcset" | "style" | "action" | "xlink:href" | "poster" | "background" => {
                    panic!("{name} in <{}>", tag.name)
                }
                _ => assert!(
                    !value.contains("http") && !value.contains("//"),
                    "{name}={value:.200}"
                ),
            }
        }
    }
    for text in &markup.raw {
        assert!(!text.contains("url(") && !text.contains("@import") && !text.contains("http"));
        assert!(!text.contains("fetch") && !text.contains("XMLHttp") && !text.contains("import("));
    }
    let policy = markup
        .attributes_of("meta", "content")
        .find(|value| value.contains("default-src"));
    assert!(
        policy
            .unwrap()
            .starts_with("default-src 'none'; img-src data:;")
    );
}

#[test]
fn pictures_plots_and_headings_can_be_read_aloud() {
    let page = html(&report(2, 2, "harmless")).unwrap();
    let markup = Markup::parse(&page);
    let mut pictures = 0;
    for tag in &markup.tags {
        let has = |name: &str| {
            tag.attributes
                .iter()
                .any(|(found, value)| found == name && !value.is_empty())
        };
        match tag.name.as_str() {
            "img" => {
                pictures += 1;
                assert!(has("alt") && has("width") && has("height"));
            }
            "svg" => assert!(has("aria-label") && has("role")),
            "th" => assert!(has("scope")),
            "html" => assert!(has("lang")),
            _ => {}
        }
    }
    // Per category 2 false positives of three pictures (no truth) and 2 misses of four.
    assert_eq!(pictures, 2 * (2 * 3 + 2 * 4));
}

#[test]
fn figures_are_written_as_their_columns_say() {
    let page = html(&report(1, 0, "harmless")).unwrap();
    assert!(page.contains("<td data-value=\"0.95784\">95.78</td>"));
    assert!(page.contains(">1,725</td>"));
    assert!(page.contains("<td class=\"none\" title=\"no anomalous pixels\">–<sup>"));
    assert!(page.contains("<li id=\"reason-1\">no anomalous pixels</li>"));
    assert_eq!(page.matches("no anomalous pixels</li>").count(), 1);
    let body = page.find("<tbody>").unwrap();
    let foot = page.find("<tfoot>").unwrap();
    assert!(body < foot && page[foot..].contains("Mean"));
    assert!(page[body..foot].contains("tr class=\"defect\""));
}

#[test]
fn an_empty_report_is_a_page_too() {
    let page = html(&Report::default()).unwrap();
    let markup = Markup::parse(&page);
    assert!(
        markup
            .tags
            .iter()
            .all(|tag| tag.name != "table" && tag.name != "figure")
    );
    let page = html(&Report {
        categories: vec![Category::default()],
        ..Report::default()
    });
    Markup::parse(&page.unwrap());
}

#[test]
fn a_page_of_the_worst_photos_stays_small() {
    // Noise is what JPEG is worst at.
    let mut state = 1_u32;
    let mut noise = |count: usize| -> Vec<u8> {
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    };
    let photo = Photo::from_rgb(400, 400, noise(400 * 400 * 3)).unwrap();
    let truth = Photo::from_grey(
        400,
        400,
        noise(160_000)
            .into_iter()
            .map(|value| value / 254)
            .collect(),
    );
    let case = Case {
        title: "noise".to_owned(),
        path: "noise.png".to_owned(),
        score: 1.0,
        photo,
        map: noise(100 * 100).into_iter().map(f32::from).collect(),
        side: 100,
        truth: Some(truth.unwrap()),
    };
    // All cases alike: one says how much a hundred and fifty need.
    let page = |cases: usize| {
        let category = Category {
            name: "noise".to_owned(),
            pixel_threshold: Some(128.0),
            worst_misses: vec![case.clone(); cases],
            ..Category::default()
        };
        let report = Report {
            categories: vec![category],
            ..Report::default()
        };
        html(&report).unwrap().len()
    };
    let (one, two) = (page(1), page(2));
    let each = two - one;
    assert!(each * 150 < 10_000_000, "{each} bytes a case");
    let frame = one - each;
    let curves = Category {
        curves: vec![
            Curve::roc(
                (0..50_000)
                    .map(|at| [f64::from(at) / 5e4, f64::from(at % 2)])
                    .collect()
            );
            3
        ],
        normal_scores: (0..5000).map(|at| at as f32).collect(),
        anomalous_scores: (0..5000).map(|at| at as f32).collect(),
        ..Category::default()
    };
    let curves = html(&Report {
        categories: vec![curves],
        ..Report::default()
    })
    .unwrap()
    .len();
    assert!(
        frame < 20_000 && curves - frame < 80_000,
        "{frame} and {curves} bytes"
    );
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let mut short = report(1, 0, "bent");
    short.rows[0].defects[0].values.pop();
    let error = html(&short).unwrap_err();
    assert!(matches!(
        error,
        Error::CellCount {
            found: 3,
            expected: 4,
            ..
        }
    ));
    assert!(error.to_string().contains("bent"), "{error}");

    let mut wrong = report(1, 1, "bent");
    wrong.categories[0].worst_misses[0].map.pop();
    assert!(matches!(html(&wrong), Err(Error::MapSize { .. })));

    let mut wrong = report(1, 1, "bent");
    wrong.categories[0].color_range = Some((1.0, 1.0));
    assert!(matches!(html(&wrong), Err(Error::Range { .. })));
}

#[test]
fn odd_numbers_do_no_harm() {
    let mut odd = report(1, 1, "bent");
    odd.rows[0].values[1] = Cell::Number(f64::NAN);
    let category = &mut odd.categories[0];
    category.score_threshold = Some(f64::NAN);
    category.pixel_threshold = Some(f64::INFINITY);
    category.color_range = None;
    category.normal_scores = vec![f32::NAN, f32::MAX, f32::MIN, 0.0];
    category.worst_misses[0].score = f64::NAN;
    category.worst_misses[0].map.fill(f32::NAN);
    let page = html(&odd).unwrap();
    Markup::parse(&page);
    assert!(page.contains("the figure is not a finite number"));
    for text in ["NaN", "inf"] {
        let found = page.match_indices(text).any(|(at, _)| {
            !page[..at].contains("<script") && page[at - 1..at].starts_with(['"', ' ', '>', ','])
        });
        assert!(!found, "{text} stands in the page");
    }
}

#[test]
fn writing_leaves_a_whole_page_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let report = report(1, 1, "bent");
    write_html(&report, &path).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        html(&report).unwrap()
    );
    // Again over the old one.
    write_html(&Report::default(), &path).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        html(&Report::default()).unwrap()
    );

    let nowhere = folder.path().join("missing").join("report.html");
    let error = write_html(&report, &nowhere).unwrap_err();
    assert!(matches!(error, Error::Write { .. }));
    assert!(error.to_string().contains("report.html"), "{error}");

    let mut wrong = report.clone();
    wrong.rows[0].values.clear();
    assert!(write_html(&wrong, &folder.path().join("wrong.html")).is_err());
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    assert!(write_html(&report, &taken).is_err());
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn the_same_report_gives_the_same_page() {
    let report = report(2, 1, "bent");
    assert_eq!(html(&report).unwrap(), html(&report).unwrap());
}

#[test]
fn columns_say_what_they_mean() {
    let report = Report {
        columns: vec![Column {
            key: "pixel_auroc".to_owned(),
            label: "Pixel AUROC".to_owned(),
            help: "Area under the curve.".to_owned(),
            format: Format::Percent,
        }],
        rows: vec![Row {
            category: "bent".to_owned(),
            values: vec![Cell::Number(0.5)],
            ..Row::default()
        }],
        ..Report::default()
    };
    let page = html(&report).unwrap();
    assert!(
        page.contains("<th scope=\"col\" title=\"Area under the curve.\">Pixel AUROC</th>"),
        "{page}"
    );
    assert!(page.contains("<dd>Area under the curve.</dd>"));
    assert!(page.contains("Rates and areas are percent."));
}
