//! Results that are kept: found again, judged, counted, exported; and what follows for the model.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Reply, Server};
use crate::support::cli::Workplace;
use crate::support::photos;

const HISTORY: &str = "--history=history";

fn put(server: &Server, target: &str, body: &Value) -> Reply {
    send(server, "PUT", target, body)
}

fn send(server: &Server, method: &str, target: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    server.ask(method, target, &headers, body.to_string().as_bytes())
}

fn photo(workplace: &Workplace, seed: usize) -> Vec<u8> {
    let name = format!("{seed}.bmp");
    workplace.photo(&name, seed);
    std::fs::read(workplace.path(&name)).unwrap()
}

#[test]
fn what_was_answered_is_found_again() {
    let workplace = Workplace::new();
    let bytes = photo(&workplace, 1);
    let mut server = Server::start(&workplace, &[HISTORY]);
    assert_eq!(server.get("/v1/info").json()["history"], true);
    let target = "/v1/segment?name=one.bmp&include=overlay,heatmap,mask&score_threshold=1";
    let reply = server.post(target, &bytes).is(200);
    let (record, location) = (reply.json(), reply.header("location").unwrap().to_owned());
    server
        .post(
            "/v1/segment?name=two.bmp&source=page&score_threshold=0",
            &bytes,
        )
        .is(200);
    server.post("/v1/segment?keep=false", &bytes).is(200);

    let list = server.get("/v1/results").is(200).json();
    let names: Vec<_> = list["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["two.bmp", "one.bmp"]);
    assert_eq!(list["next_cursor"], Value::Null);
    let page = server.get("/v1/results?limit=1").is(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = server
        .get(&format!("/v1/results?limit=1&cursor={cursor}"))
        .is(200)
        .json();
    assert_eq!(page["results"][0]["name"], "one.bmp");
    for (query, count) in [
        ("outcome=defect", 1),
        ("source=page", 1),
        ("source=http", 1),
        ("model=random", 2),
        ("model=other", 0),
        ("verdict=none", 2),
        ("after=2020-01-01T00:00:00Z", 2),
        ("before=2020-01-01T00:00:00Z", 0),
    ] {
        let list = server.get(&format!("/v1/results?{query}")).is(200).json();
        assert_eq!(list["results"].as_array().unwrap().len(), count, "{query}");
    }
    for query in [
        "outcome=bad",
        "after=yesterday",
        "cursor=x",
        "limit=0",
        "order=up",
    ] {
        server.get(&format!("/v1/results?{query}")).refuses(400, "");
    }

    let entry = server.get(&location).is(200).json();
    let mut without_files = record.clone();
    without_files["files"] = json!({});
    assert_eq!(entry["record"], without_files);
    assert_eq!(
        entry["has"],
        json!({"photo": true, "overlay": true, "map": true})
    );
    let file = |name: &str| server.get(&format!("{location}/{name}")).is(200);
    let kept = file("photo");
    assert_eq!(kept.body, bytes);
    assert_eq!(kept.header("content-type"), Some("image/bmp"));
    assert_eq!(kept.header("content-disposition"), Some("inline"));
    assert!(file("thumbnail.jpg").body.starts_with(b"\xff\xd8\xff"));
    let map = file("map.npy").body;
    assert!(map.starts_with(b"\x93NUMPY"));
    assert_eq!(map.len(), 128 + 70 * 70 * 2);
    let exact = ["overlay.png", "heatmap.png", "mask.png"].map(|name| file(name).body);
    server
        .get("/v1/results/0123456789abcdef0123456789ab")
        .refuses(404, "no such result");
    server
        .get("/v1/results/..%2f..%2fetc")
        .refuses(404, "no such result");
    server
        .get(&format!("{location}/history.sqlite"))
        .refuses(404, "no such file");

    // After a restart what was not kept is made of the map that is.
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let server = Server::start(&workplace, &[HISTORY]);
    assert_eq!(server.get(&location).is(200).json(), entry);
    for (name, exact) in ["overlay.png", "heatmap.png", "mask.png"].iter().zip(exact) {
        let made = server.get(&format!("{location}/{name}")).is(200);
        let lasts = made.header("cache-control").unwrap();
        // The colours of a heatmap are those of the model's range, which may change.
        assert_eq!(lasts == "no-store", *name == "heatmap.png", "{lasts}");
        let made = made.body;
        // The same kind of picture, of the same size.
        assert_eq!(made[..26], exact[..26], "{name}");
        if *name == "overlay.png" {
            assert_eq!(made, exact);
        }
    }
}

#[test]
fn verdicts_are_counted_and_exported() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[HISTORY]);
    let locations: Vec<String> = (0..3)
        .map(|seed| {
            let threshold = if seed == 0 {
                "?score_threshold=0"
            } else {
                "?score_threshold=1"
            };
            let target = format!("/v1/segment{threshold}");
            let reply = server.post(&target, &photo(&workplace, seed)).is(200);
            reply.header("location").unwrap().to_owned()
        })
        .collect();
    let judge =
        |number: usize, body: Value| put(&server, &format!("{}/verdict", locations[number]), &body);
    let entry = judge(0, json!({"verdict": "good", "who": "Ada"}))
        .is(200)
        .json();
    assert_eq!(entry["verdict"]["verdict"], "good");
    assert_eq!(entry["verdict"]["who"], "Ada");
    judge(1, json!({"verdict": "defect"})).is(200);
    judge(2, json!({"verdict": "good"})).is(200);
    assert_eq!(
        judge(2, json!({"verdict": null})).is(200).json()["verdict"],
        Value::Null
    );
    judge(0, json!({"verdict": "bad"})).refuses(400, "The body cannot be used");
    // Only what is said takes a verdict back.
    judge(0, json!({"who": "Bob"})).refuses(400, "missing field `verdict`");
    judge(0, json!([null])).refuses(400, "The body has to be a JSON object");
    let form = [("content-type", "text/plain")];
    let target = format!("{}/verdict", locations[0]);
    server
        .ask("PUT", &target, &form, b"{\"verdict\":\"good\"}")
        .refuses(415, "has to be JSON");

    let summary = server.get("/v1/summary?buckets=4").is(200).json();
    for (key, value) in [
        ("inspected", 3),
        ("defect", 1),
        ("ok", 2),
        ("judged", 2),
        ("false_alarms", 1),
        ("misses", 1),
    ] {
        assert_eq!(summary[key], value, "{key}: {summary}");
    }
    assert_eq!(summary["scores"].as_array().unwrap().len(), 20);
    let csv = server.get("/v1/export?format=csv&verdict=good").is(200);
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = String::from_utf8(csv.body).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("Ada"), "{text}");
    let all = server.get("/v1/export?format=json").is(200).json();
    assert_eq!(all.as_array().unwrap().len(), 3);
    server
        .get("/v1/export?format=xls")
        .refuses(400, "format cannot be used");
}

#[test]
fn without_a_history_there_are_no_lists() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    for target in ["/v1/results", "/v1/summary", "/v1/export"] {
        server.get(target).refuses(404, "keeps no history");
    }
    let reply = server
        .post("/v1/segment?include=overlay", &photo(&workplace, 1))
        .is(200);
    let location = reply.header("location").unwrap();
    let entry = server.get(location).is(200).json();
    assert_eq!(entry["record"]["score"], reply.json()["score"]);
    assert_eq!(entry["has"]["overlay"], true);
    server.get(&format!("{location}/overlay.png")).is(200);
    server
        .get(&format!("{location}/photo"))
        .refuses(404, "no such file");
}

#[test]
fn thresholds_come_from_what_was_judged() {
    let workplace = Workplace::new();
    let mut server = Server::start(&workplace, &[HISTORY]);
    let mut ids = Vec::new();
    for seed in 0..12 {
        let reply = server.post("/v1/segment", &photo(&workplace, seed)).is(200);
        let location = reply.header("location").unwrap();
        let verdict = if seed < 10 { "good" } else { "defect" };
        put(
            &server,
            &format!("{location}/verdict"),
            &json!({ "verdict": verdict }),
        )
        .is(200);
        ids.push(location.strip_prefix("/v1/results/").unwrap().to_owned());
    }
    let before = server.get("/v1/models").json()["models"][0].clone();
    assert_eq!(before["calibration"], Value::Null);
    let found = send(
        &server,
        "POST",
        "/v1/calibrations",
        &json!({"model": "random"}),
    )
    .is(200)
    .json();
    assert_eq!((&found["good"], &found["defects"]), (&json!(10), &json!(2)));
    assert!(!found["sentences"].as_array().unwrap().is_empty());
    assert_eq!(server.get("/v1/models").json()["models"][0], before);
    let target = format!("/v1/calibrations/{}/accept", found["id"].as_str().unwrap());
    let model = server.post(&target, b"").is(200).json();
    assert_eq!(model["thresholds"]["score"], found["score_threshold"]);
    assert_eq!(model["thresholds"]["pixel"], found["pixel_threshold"]);
    assert_eq!(model["calibration"]["images"], 12);
    server
        .post("/v1/calibrations/0/accept", b"")
        .refuses(404, "no such thresholds");
    send(
        &server,
        "POST",
        "/v1/calibrations",
        &json!({"before": "2020-01-01T00:00:00Z"}),
    )
    .refuses(422, "0 photos were judged good");

    // Good photos to compare with: then other thresholds are needed.
    let body = json!({"model": "random", "results": ids[..2]});
    let compared = send(&server, "POST", "/v1/references", &body)
        .is(200)
        .json();
    assert_eq!(compared["references"]["photos"], 2);
    assert_eq!(compared["calibration"], Value::Null);
    let record = server
        .post("/v1/segment", &photo(&workplace, 3))
        .is(200)
        .json();
    assert_eq!(
        record["references_sha256"],
        compared["references"]["digest"]
    );
    for results in [
        json!([]),
        json!(["0123456789abcdef0123456789ab"]),
        json!(["../x"]),
    ] {
        let reply = send(
            &server,
            "POST",
            "/v1/references",
            &json!({ "results": results }),
        );
        assert!(matches!(reply.status, 400 | 404), "{reply:?}");
    }

    // All of it holds after a restart.
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let server = Server::start(&workplace, &[HISTORY]);
    assert_eq!(server.get("/v1/models").json()["models"][0], compared);
    let reply = server
        .ask("DELETE", "/v1/references?model=random", &[], b"")
        .is(200);
    assert_eq!(reply.json(), model);
}

#[test]
fn what_happens_is_told() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[HISTORY]);
    let mut stream = server.connect();
    stream
        .write_all(&server.request("GET", "/v1/events", &[], b""))
        .unwrap();
    let mut heard = String::new();
    let mut hear = |until: &str| {
        let begun = Instant::now();
        let mut piece = [0; 4096];
        while !heard.contains(until) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{until} was not heard: {heard}"
            );
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "the events ended: {heard}");
            heard += &String::from_utf8_lossy(&piece[..length]);
        }
    };
    hear(": what happens follows");
    let reply = server
        .post("/v1/segment?name=heard.bmp", &photo(&workplace, 1))
        .is(200);
    hear("event: result\ndata: {\"id\":");
    hear("heard.bmp");
    let location = reply.header("location").unwrap();
    put(
        &server,
        &format!("{location}/verdict"),
        &json!({"verdict": "unsure"}),
    )
    .is(200);
    hear("event: verdict\ndata: {\"id\":");
}

#[test]
fn a_history_of_another_kind_is_refused() {
    let workplace = Workplace::new();
    workplace.write("file", "no folder");
    let mut command = workplace.command(["serve", "--listen=127.0.0.1:0", "--history=file"]);
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[cfg(unix)]
#[test]
fn what_has_changed_is_said_also_before_the_end() {
    let workplace = Workplace::new();
    photos::write(&workplace.path("slow.png"), 500, 400, 1);
    let slow = std::fs::read(workplace.path("slow.png")).unwrap();
    let mut server = Server::start(&workplace, &[HISTORY, "--tile=70"]);
    let reply = server.post("/v1/segment", &slow).is(200);
    let id = reply
        .header("location")
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let body = json!({"results": [id]}).to_string();
    let headers = [("content-type", "application/json")];
    let mut stream = server.connect();
    let request = server.request("POST", "/v1/references", &headers, body.as_bytes());
    stream.write_all(&request).unwrap();
    let begun = Instant::now();
    // It takes a place as a photo does.
    while server.metric("vcp_clip_queue_depth") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    send(&server, "POST", "/v1/references", &json!({"results": [id]}))
        .refuses(429, "being changed already");
    server.signal("TERM");
    let reply = Reply::read(&mut stream).unwrap().is(200);
    assert_eq!(reply.json()["references"]["photos"], 1);
    assert_eq!(server.wait(), Some(0));
}
