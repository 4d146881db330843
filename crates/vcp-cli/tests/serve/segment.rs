//! Photos in, records out: the same as `segment` prints.

use serde_json::{Value, json};

use crate::client::{Server, multipart};
use crate::support::cli::Workplace;

/// A record without what differs from run to run.
fn lasting(mut record: Value) -> Value {
    record["milliseconds"] = json!(0);
    record
}

#[test]
fn a_photo_gives_the_record_that_segment_prints() {
    let workplace = Workplace::with_photos(&["a.png", "b.png"]);
    let server = Server::start(&workplace, &[]);
    for name in ["a.png", "b.png"] {
        let printed = workplace.segment(&[name]).ends_with(0);
        let photo = std::fs::read(workplace.path(name)).unwrap();
        let reply = server
            .post(&format!("/v1/segment?name={name}"), &photo)
            .is(200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("location"), None);
        // Also the order of the keys, and each digit.
        let mut text = String::from_utf8(reply.body.clone()).unwrap();
        let time = |text: &str| {
            let begin = text.find("\"milliseconds\":").unwrap();
            let end = begin + text[begin..].find(',').unwrap();
            text[begin..end].to_owned()
        };
        text = text.replace(&time(&text), &time(&printed.stdout));
        assert_eq!(text, printed.stdout.trim_end());
    }
}

#[test]
fn thresholds_and_areas_are_those_of_the_request() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &[]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let options = [
        "--score-threshold=0.9",
        "--review-threshold=0.1",
        "--pixel-threshold=0.2",
        "--min-area=7",
    ];
    let printed = workplace.segment(&["a.png", options[0], options[1], options[2], options[3]]);
    let query =
        "name=a.png&score_threshold=0.9&review_threshold=0.1&pixel_threshold=0.2&min_area=7";
    let reply = server.post(&format!("/v1/segment?{query}"), &photo).is(200);
    assert_eq!(lasting(reply.json()), lasting(printed.lines().remove(0)));
    for (query, words) in [
        (
            "score_threshold=nan",
            "score_threshold is a number from -1000 to 1000",
        ),
        ("score_threshold=much", "The query cannot be used"),
        ("min_area=0", "min_area is a whole number from 1"),
        ("include=overlay,picture", "not picture"),
        ("score=0.5", "unknown field"),
        (
            "score_threshold=0.1&review_threshold=0.2",
            "above the score threshold",
        ),
        ("pictures=files", "unknown variant"),
    ] {
        server
            .post(&format!("/v1/segment?{query}"), &photo)
            .refuses(400, words);
    }
}

#[test]
fn pictures_are_those_that_segment_writes() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let kinds = "--save=overlay,heatmap,mask,npy";
    workplace
        .segment(&["a.png", "--out=out", kinds])
        .ends_with(0);
    let server = Server::start(&workplace, &[]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let include = "include=overlay,heatmap,mask,map";
    let reply = server
        .post(&format!("/v1/segment?{include}"), &photo)
        .is(200);
    let record = reply.json();
    let location = reply.header("location").unwrap();
    for (kind, written) in [
        ("overlay", "out/a.overlay.png"),
        ("heatmap", "out/a.heatmap.png"),
        ("mask", "out/a.mask.png"),
        ("map", "out/a.map.npy"),
    ] {
        let link = record["files"][kind].as_str().unwrap();
        assert!(link.starts_with(location), "{link}");
        let file = server.get(link).is(200);
        assert_eq!(
            file.body,
            std::fs::read(workplace.path(written)).unwrap(),
            "{kind}"
        );
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    }
    let inline = server.post(&format!("/v1/segment?{include}&pictures=inline"), &photo);
    assert_eq!(inline.header("location"), None);
    let overlay = inline.json()["files"]["overlay"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        overlay.starts_with("data:image/png;base64,iVBOR"),
        "{overlay}"
    );
    let png16 = server
        .post("/v1/segment?include=map&map_format=png16", &photo)
        .json();
    let link = png16["files"]["map"].as_str().unwrap();
    let png = server.get(link).is(200);
    // 16 bits of grey, 70 pixels wide.
    assert_eq!(png.body[16..26], [0, 0, 0, 70, 0, 0, 0, 70, 16, 0]);
    server.get(&format!("{location}/../../etc/passwd")).is(404);
    server
        .get(&format!("{location}/photo.png"))
        .refuses(404, "no such file");
}

#[test]
fn images_in_parts_are_answered_in_their_order() {
    let workplace = Workplace::with_photos(&["a.png", "b.png"]);
    let server = Server::start(&workplace, &[]);
    let [a, b] = ["a.png", "b.png"].map(|name| std::fs::read(workplace.path(name)).unwrap());
    let (kind, body) = multipart(&[
        ("image", "a.png", &a),
        ("note", "note.txt", b"of the second shift"),
        (
            "image",
            "../../broken.png",
            &b"\x89PNG\r\n\x1a\n and no more"[..],
        ),
        ("image", "b.png", &b),
    ]);
    let headers = [("content-type", kind.as_str())];
    let reply = server.ask("POST", "/v1/segment", &headers, &body).is(200);
    let results = reply.json()["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0]["record"]["path"], "a.png");
    assert_eq!(results[1]["name"], "../../broken.png");
    assert_eq!(results[1]["status"], 422);
    assert_eq!(results[2]["record"]["path"], "b.png");
    let alone = server.post("/v1/segment?name=b.png", &b).json();
    assert_eq!(lasting(results[2]["record"].clone()), lasting(alone));

    let (kind, body) = multipart(&[("photo", "a.png", &a)]);
    let headers = [("content-type", kind.as_str())];
    let reply = server.ask("POST", "/v1/segment", &headers, &body);
    reply.refuses(400, "no part called image");
}

#[test]
fn models_are_called_by_their_names() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let bundle = crate::support::cli::bundle().display().to_string();
    let models = [format!("first={bundle}"), format!("second={bundle}")];
    let server = Server::start_with(
        &workplace,
        &[
            "--model",
            &models[0],
            "--model",
            &models[1],
            "--reference=second=a.png",
        ],
    );
    let list = server.get("/v1/models").is(200).json();
    assert_eq!(list["models"][0]["name"], "first");
    assert_eq!(list["models"][0]["default"], true);
    assert_eq!(list["models"][0]["references"], Value::Null);
    assert_eq!(list["models"][1]["default"], false);
    assert_eq!(list["models"][1]["references"]["photos"], 1);
    assert_eq!(list["models"][1]["thresholds"]["score"], 0.5);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let of = |query: &str| server.post(&format!("/v1/segment{query}"), &photo);
    let digest = &list["models"][1]["references"]["digest"];
    assert_eq!(
        of("?model=second").is(200).json()["references_sha256"],
        *digest
    );
    assert_eq!(of("").is(200).json()["references_sha256"], Value::Null);
    of("?model=third").refuses(
        404,
        "There is no model called third; the server has first, second.",
    );
    let info = server.get("/v1/info").is(200).json();
    assert_eq!(info["name"], "vcp-clip");
    assert_eq!(info["authentication"], false);
    assert_eq!(info["limits"]["queue"], 32);
}
