//! A report to test with, and a strict little reader of markup.

// The lint's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used)]

use vcp_image::Photo;
use vcp_report::{Case, Category, Cell, Column, Curve, Format, Report, Row};

/// A report in which every text is or contains `text`.
pub(crate) fn report(categories: usize, cases: usize, text: &str) -> Report {
    let column = |key: &str, format| Column {
        key: format!("{key}{text}"),
        label: format!("{key} {text}"),
        help: text.to_owned(),
        format,
    };
    let row = |name: String| Row {
        category: name,
        values: vec![
            Cell::Number(1725.0),
            Cell::Number(0.957_84),
            Cell::Number(0.421_397),
            Cell::Undefined(if text == "harmless" {
                "no anomalous pixels".to_owned()
            } else {
                text.to_owned()
            }),
        ],
        ..Row::default()
    };
    let mut rows: Vec<Row> = (0..categories)
        .map(|at| Row {
            defects: vec![row(text.to_owned())],
            ..row(format!("{text} {at}"))
        })
        .collect();
    rows.push(Row {
        is_mean: true,
        ..row("Mean".to_owned())
    });
    Report {
        title: text.to_owned(),
        created: text.to_owned(),
        model: vec![(text.to_owned(), text.to_owned())],
        protocol: vec![(text.to_owned(), text.to_owned())],
        columns: vec![
            column("images", Format::Count),
            column("pixel_auroc", Format::Percent),
            column("threshold", Format::Number),
            column("pixel_ap", Format::Percent),
        ],
        rows,
        categories: (0..categories)
            .map(|at| Category {
                name: format!("{text} {at}"),
                curves: vec![
                    Curve::roc(vec![[0.0, 0.0], [0.1, 0.9], [1.0, 1.0]]).with_note(text),
                    Curve::precision_recall(vec![[0.0, 1.0], [1.0, 0.2]]),
                    Curve::per_region_overlap(vec![[0.0, 0.0], [1.0, 1.0]], 0.3),
                ],
                normal_scores: vec![0.1, 0.2, 0.3],
                anomalous_scores: vec![0.3, 0.5],
                score_threshold: Some(0.25),
                pixel_threshold: Some(0.5),
                color_range: Some((0.0, 1.0)),
                worst_false_positives: vec![case(text, false); cases],
                worst_misses: vec![case(text, true); cases],
            })
            .collect(),
        problems: vec![text.to_owned()],
    }
}

fn case(text: &str, has_truth: bool) -> Case {
    let photo = Photo::from_rgb(8, 6, (0..144).collect()).unwrap();
    let truth =
        Photo::from_grey(8, 6, (0..48).map(|at| u8::from(at > 30) * 255).collect()).unwrap();
    Case {
        title: text.to_owned(),
        path: text.to_owned(),
        score: 0.3,
        photo,
        map: vec![0.0, 0.4, 0.6, 1.0],
        side: 2,
        truth: has_truth.then_some(truth),
    }
}

/// An opening tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    /// Names and values as they stand there, references and all.
    pub(crate) attributes: Vec<(String, String)>,
}

/// What a page consists of.
#[derive(Default)]
pub(crate) struct Markup {
    pub(crate) tags: Vec<Tag>,
    /// Contents of `script` and `style`.
    pub(crate) raw: Vec<String>,
}

/// Elements that have no end.
const VOID: [&str; 4] = ["meta", "img", "br", "hr"];

impl Markup {
    /// Reads a page, and fails at everything a careless writer gets away with in a browser: tags
    /// without end or in the wrong order, values without quotes, bare `<` and `&`, attributes given
    /// twice.
    pub(crate) fn parse(page: &str) -> Self {
        let mut markup = Self::default();
        let mut open: Vec<String> = Vec::new();
        let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
        while !rest.is_empty() {
            let text = rest.find('<').unwrap_or(rest.len());
            check_text(&rest[..text]);
            rest = &rest[text..];
            if let Some(end) = rest.strip_prefix("</") {
                let (name, after) = end.split_once('>').unwrap();
                assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
                rest = after;
            } else if let Some(start) = rest.strip_prefix('<') {
                let (tag, after) = Tag::parse(start);
                rest = after;
                if ["script", "style"].contains(&tag.name.as_str()) {
                    let (raw, after) = rest.split_once(&format!("</{}>", tag.name)).unwrap();
                    assert!(!raw.contains("</") && !raw.contains("<!--"));
                    markup.raw.push(raw.to_owned());
                    rest = after;
                } else if !VOID.contains(&tag.name.as_str()) {
                    open.push(tag.name.clone());
                }
                markup.tags.push(tag);
            }
        }
        assert!(open.is_empty(), "never closed: {open:?}");
        markup
    }

    /// The values of an attribute anywhere.
    pub(crate) fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.tags.iter().flat_map(move |tag| tag.values(name))
    }

    /// The values of an attribute of one kind of element.
    pub(crate) fn attributes_of<'a>(
        &'a self,
        element: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let tags = self.tags.iter().filter(move |tag| tag.name == element);
        tags.flat_map(move |tag| tag.values(name))
    }
}

impl Tag {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// What follows the `<`, and what is left after the `>`.
    fn parse(text: &str) -> (Self, &str) {
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '-';
        let end = text.find(|character| !is_name(character)).unwrap();
        let name = text[..end].to_owned();
        assert!(!name.is_empty(), "a bare < before {text:.40}");
        let mut rest = &text[end..];
        let mut attributes: Vec<(String, String)> = Vec::new();
        loop {
            if let Some(after) = rest.strip_prefix('>') {
                return (Self { name, attributes }, after);
            }
            rest = rest
                .strip_prefix(' ')
                .unwrap_or_else(|| panic!("in <{name}>: {rest:.40}"));
            // viewBox is the one name with a capital.
            let end = rest.find(|character| !is_name(character)).unwrap();
            let (attribute, after) = rest.split_at(end);
            let value = after
                .strip_prefix("=\"")
                .unwrap_or_else(|| panic!("in <{name}>: {after:.40}"));
            let (value, after) = value.split_once('"').unwrap();
            check_text(value);
            assert!(!value.contains('<'), "{attribute}: {value:.40}");
            assert!(
                attributes.iter().all(|(known, _)| known != attribute),
                "{attribute} twice in <{name}>"
            );
            attributes.push((attribute.to_owned(), value.to_owned()));
            rest = after;
        }
    }
}

/// Every `&` begins one of the references that are used.
fn check_text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let known = ["&lt;", "&gt;", "&amp;", "&quot;"];
        assert!(
            known.iter().any(|name| text[at..].starts_with(name)),
            "{:.40}",
            &text[at..]
        );
    }
    assert!(!text.contains('>'), "a bare > in {text:.80}");
}
