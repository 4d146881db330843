//! What is counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Server;
use crate::support::cli::Workplace;

#[test]
fn requests_photos_and_refusals_are_counted() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &[]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    for _ in 0..3 {
        server.post("/v1/segment?score_threshold=1", &photo).is(200);
    }
    server.post("/v1/segment?score_threshold=0", &photo).is(200);
    server.post("/v1/segment", b"no picture").is(415);
    server.get("/somewhere/else").is(404);
    let reply = server.get("/metrics").is(200);
    let kind = reply.header("content-type").unwrap();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let text = String::from_utf8(reply.body).unwrap();
    for line in [
        r#"vcp_clip_http_requests_total{route="/v1/segment",method="POST",code="200"} 4"#,
        r#"vcp_clip_http_requests_total{route="/v1/segment",method="POST",code="415"} 1"#,
        r#"vcp_clip_http_requests_total{route="none",method="GET",code="404"} 1"#,
        r#"vcp_clip_refusals_total{reason="media_type"} 1"#,
        r#"vcp_clip_decisions_total{model="random",source="http",decision="ok"} 3"#,
        r#"vcp_clip_decisions_total{model="random",source="http",decision="defect"} 1"#,
        r#"vcp_clip_stage_duration_seconds_count{stage="model"} 4"#,
        r#"vcp_clip_score_count{model="random",source="http"} 4"#,
        "vcp_clip_queue_depth 0",
        "vcp_clip_queue_places 32",
        "vcp_clip_queue_wait_seconds_count 4",
        "# EOF",
    ] {
        assert!(
            text.lines().any(|it| it == line),
            "{line} is not in:\n{text}"
        );
    }
    let digest = server.get("/v1/models").json()["models"][0]["digest"].clone();
    let line = format!("vcp_clip_model_info{{name=\"random\",digest={digest}}} 1");
    assert!(text.contains(&line), "{line} is not in:\n{text}");
}

#[test]
fn photos_are_counted_whoever_sends_them() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &["--history=history"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    for query in ["", "?source=page", "?source=page&keep=false"] {
        server.post(&format!("/v1/segment{query}"), &photo).is(200);
    }
    let counted = |source: &str| {
        let text = String::from_utf8(server.get("/metrics").body).unwrap();
        let source = format!("source=\"{source}\"");
        let lines = text.lines().filter(|line| line.contains(&source));
        let decided: u64 = lines
            .filter(|line| line.starts_with("vcp_clip_decisions_total"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        let scores = format!("vcp_clip_score_count{{model=\"random\",{source}}} {decided}");
        assert!(
            text.lines().any(|line| line == scores),
            "{scores} is not in:\n{text}"
        );
        decided
    };
    assert_eq!((counted("http"), counted("page")), (1, 2));
    let results = server.get("/v1/results").json();
    assert_eq!(results["results"].as_array().unwrap().len(), 2);
}

/// The rules of `promtool check metrics` and of `OpenMetrics`, as far as they are about what a server gives.
#[test]
fn names_follow_the_conventions() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &["--history=history"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    server.post("/v1/segment", &photo).is(200);
    server.post("/v1/segment", b"no picture").is(415);
    let text = String::from_utf8(server.get("/metrics").is(200).body).unwrap();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let mut kinds = BTreeMap::new();
    let (mut helped, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                assert!(help.ends_with('.') && help.len() > 10, "{line}");
                assert!(helped.insert(name), "{name} is described twice");
            }
            ["#", "TYPE", name, kind] => {
                assert!(kinds.insert(name, kind).is_none(), "{name} has two types");
            }
            ["#", "UNIT", name, unit] => assert!(name.ends_with(&format!("_{unit}")), "{line}"),
            _ => {
                let (sample, _) = line.split_once([' ', '{']).unwrap();
                let known =
                    kinds
                        .iter()
                        .find(|(name, kind)| match (**kind, sample.strip_prefix(**name)) {
                            ("counter", Some(rest)) => rest == "_total",
                            ("histogram", Some(rest)) => {
                                matches!(rest, "_bucket" | "_sum" | "_count")
                            }
                            ("info", Some(rest)) => rest == "_info",
                            ("gauge", Some(rest)) => rest.is_empty(),
                            _ => false,
                        });
                let (name, _) = known.unwrap_or_else(|| panic!("{line} has no type"));
                seen.insert(*name);
                let labels = line.strip_prefix(sample).unwrap();
                let labels = labels.strip_prefix('{').and_then(|it| it.rsplit_once('}'));
                for label in labels.map_or("", |(labels, _)| labels).split("\",") {
                    let name = label.split_once('=').map_or("a", |(name, _)| name);
                    let is_plain = name
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                    assert!(is_plain, "{line}");
                }
                let (_, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }
    for (name, kind) in &kinds {
        assert!(name.starts_with("vcp_clip_"), "{name}");
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(name.bytes().all(is_plain), "{name}");
        assert!(helped.contains(name), "{name} is not described");
        assert!(
            matches!(*kind, "counter" | "gauge" | "histogram" | "info"),
            "{name}: {kind}"
        );
        let words: Vec<&str> = name.split('_').collect();
        for word in [
            // Of types, which the line TYPE says, and of units that are not the base unit.
            "counter",
            "gauge",
            "histogram",
            "total",
            "count",
            "sum",
            "bucket",
            "info",
            "ms",
            "milliseconds",
            "microseconds",
            "minutes",
            "hours",
            "kilobytes",
            "megabytes",
            "percent",
        ] {
            assert!(!words.contains(&word), "{name} has the word {word}");
        }
        let is_time = words
            .iter()
            .any(|word| matches!(*word, "duration" | "wait" | "time" | "age"));
        assert!(
            !is_time || words.ends_with(&["seconds"]),
            "{name} is a time without a unit"
        );
    }
    for name in ["vcp_clip_model", "vcp_clip_build"] {
        assert_eq!(kinds.get(name), Some(&"info"), "{name}");
    }
    assert!(seen.len() + 3 > kinds.len(), "{seen:?} of {kinds:?}");
}
