//! A folder that is watched while requests are answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Server;
use crate::support::cli::{Workplace, bundle};

/// Longest wait for anything, well above what it takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that watches the folder `in` and moves what it has done to `done` and `failed`.
fn start(workplace: &Workplace, more: &[&str]) -> Server {
    std::fs::create_dir_all(workplace.path("in")).unwrap();
    let mut arguments = vec!["--watch=in", "--settle=0.2", "--history=kept"];
    arguments.push("--move=ok=done,review=done,defect=done,failed=failed");
    arguments.extend(more);
    Server::start(workplace, &arguments)
}

/// What is heard on `/v1/events`.
struct Heard {
    stream: TcpStream,
    text: String,
}

impl Heard {
    fn of(server: &Server) -> Self {
        let mut stream = server.connect();
        let request = server.request("GET", "/v1/events", &[], b"");
        stream.write_all(&request).unwrap();
        let mut heard = Self {
            stream,
            text: String::new(),
        };
        while !heard.text.contains(": what happens follows") {
            heard.hear();
        }
        heard
    }

    fn hear(&mut self) {
        let mut piece = [0; 4096];
        let length = self.stream.read(&mut piece).unwrap();
        assert!(length > 0, "the events ended: {}", self.text);
        self.text += &String::from_utf8_lossy(&piece[..length]);
    }

    /// The first event of this kind whose data is wanted.
    #[track_caller]
    fn event(&mut self, kind: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let head = format!("event: {kind}\ndata: ");
        loop {
            let events = self.text.split(&head).skip(1);
            let data = events.filter_map(|event| event.split_once("\n\n"));
            let mut values = data.filter_map(|(data, _)| serde_json::from_str(data).ok());
            if let Some(value) = values.find(&is_wanted) {
                return value;
            }
            assert!(begun.elapsed() < PATIENCE, "{kind}: {}", self.text);
            self.hear();
        }
    }
}

/// The status, when it is as wanted.
#[track_caller]
fn status(server: &Server, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = server.get("/v1/info").is(200).json()["watch"].take();
        if is_wanted(&status) {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The names of the results, in their order.
fn names(server: &Server) -> Vec<String> {
    let list = server.get("/v1/results?limit=1000").is(200).json();
    let results = list["results"].as_array().unwrap().iter();
    let mut names: Vec<_> = results
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn photos_of_the_folder_are_shown_as_they_come() {
    let workplace = Workplace::new();
    let mut server = start(&workplace, &["--csv=table.csv"]);
    let mut heard = Heard::of(&server);
    workplace.photo("in/below/a.png", 1);
    let entry = heard.event("result", |_| true);
    assert_eq!(entry["source"], "watch:in");
    assert_eq!(entry["name"], "in/below/a.png");
    assert_eq!(entry["record"]["path"], "in/below/a.png");
    assert_eq!(entry["model"]["name"], "random");
    let decision = entry["record"]["decision"].as_str().unwrap();
    heard.event("watch", |status| status["inspected"] == 1);
    workplace.write("in/cut.png", b"\x89PNG\r\n\x1a\n");
    let status = status(&server, |status| status["failed"] == 1);
    assert_eq!(status["folder"], "in");
    assert_eq!(
        (&status["running"], &status["errors"]),
        (&true.into(), &0.into())
    );
    assert_eq!(
        (&status["waiting"], &status[decision]),
        (&0.into(), &1.into())
    );
    let error = status["last_error"].as_str().unwrap();
    assert!(error.contains("in/cut.png"), "{error}");

    // The same way as what is sent.
    let found = server.get("/v1/results?source=watch:in").is(200).json();
    assert_eq!(found["results"], serde_json::json!([entry]));
    let target = format!("/v1/results/{}", entry["id"].as_str().unwrap());
    let photo = server.get(&format!("{target}/photo")).is(200).body;
    server.get(&format!("{target}/overlay.png")).is(200);
    let sent = server
        .post("/v1/segment?name=in/below/a.png", &photo)
        .is(200);
    let (mut sent, mut own) = (sent.json(), entry["record"].clone());
    for record in [&mut sent, &mut own] {
        record.as_object_mut().unwrap().remove("milliseconds");
    }
    assert_eq!(sent, own);

    let text = String::from_utf8(server.get("/metrics").is(200).body).unwrap();
    let of = |outcome: &str| usize::from(outcome == decision);
    for line in [
        format!("vcp_clip_watch_photos_total{{outcome=\"ok\"}} {}", of("ok")),
        format!(
            "vcp_clip_watch_photos_total{{outcome=\"defect\"}} {}",
            of("defect")
        ),
        "vcp_clip_watch_photos_total{outcome=\"failed\"} 1".to_owned(),
        "vcp_clip_watch_backlog 0".to_owned(),
        "vcp_clip_watch_running 1".to_owned(),
        "vcp_clip_watch_errors_total 0".to_owned(),
        "vcp_clip_watch_last_minute_photos 2".to_owned(),
        format!(
            "vcp_clip_decisions_total{{model=\"random\",source=\"watch\",decision=\"{decision}\"}} 1"
        ),
        "vcp_clip_score_count{model=\"random\",source=\"watch\"} 1".to_owned(),
        "vcp_clip_stage_duration_seconds_count{stage=\"model\"} 2".to_owned(),
    ] {
        let is_there = text.lines().any(|it| it == line);
        assert!(is_there, "{line} is not in:\n{text}");
    }
    // Nobody learns where the folder lies.
    let place = workplace.path("").display().to_string();
    let answers = heard.text + &entry.to_string() + &status.to_string() + &text;
    assert!(!answers.contains(place.trim_end_matches('/')), "{answers}");
    assert_eq!(workplace.files("done"), ["below/a.png"]);
    assert_eq!(workplace.files("failed"), ["cut.png"]);
    let table = std::fs::read_to_string(workplace.path("table.csv")).unwrap();
    assert_eq!(table.lines().count(), 3);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_stop_amid_photos_loses_none_and_doubles_none() {
    const PHOTOS: usize = 12;
    const ROUNDS: usize = 2;
    let workplace = Workplace::new();
    let all: Vec<_> = (0..ROUNDS * PHOTOS)
        .map(|number| format!("in/{number:02}.png"))
        .collect();
    for round in 0..ROUNDS {
        // However far the round before came, there is work in this one.
        let begun = round * PHOTOS;
        for (number, name) in all.iter().enumerate().skip(begun).take(PHOTOS) {
            workplace.photo(name, number);
        }
        let mut server = start(&workplace, &[]);
        status(&server, |status| status["inspected"].as_u64() >= Some(1));
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
        assert_eq!(
            workplace.files("done").len() + workplace.files("in").len(),
            begun + PHOTOS
        );
    }
    let server = start(&workplace, &[]);
    status(&server, |_| workplace.files("done").len() == all.len());
    status(&server, |status| status["waiting"] == 0);
    assert_eq!(names(&server), all);
    assert!(workplace.files("in").is_empty());
}

#[test]
fn neither_those_who_send_nor_the_folder_starve() {
    const PHOTOS: usize = 20;
    let workplace = Workplace::with_photos(&["sent.png"]);
    let photo = std::fs::read(workplace.path("sent.png")).unwrap();
    let server = start(&workplace, &["--queue=4"]);
    let (sent, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let status = server.post("/v1/segment?keep=false", &photo).status;
                    assert!(matches!(status, 200 | 429), "{status}");
                    if status == 200 {
                        sent.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        while sent.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        for number in 0..PHOTOS {
            workplace.photo(&format!("in/{number:02}.png"), number);
        }
        let before = sent.load(Ordering::SeqCst);
        let begun = Instant::now();
        while workplace.files("done").len() < PHOTOS && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let during = sent.load(Ordering::SeqCst) - before;
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(workplace.files("done").len(), PHOTOS);
        // They take turns, so that each has had its share.
        assert!(during >= PHOTOS / 4, "{during} were answered meanwhile");
    });
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let workplace = Workplace::with_photos(&["in/a.png"]);
    workplace.write("table.csv", "my,own\n");
    let model = format!("--model=random={}", bundle().display());
    for (arguments, said) in [
        (&["--settle=1"][..], "--watch <FOLDER>"),
        (&["--move=ok=done"], "--watch <FOLDER>"),
        (&["--watch=none"], "is no folder"),
        (&["--watch=in", "--move=ok=in"], "Photos cannot be moved"),
        (&["--watch=in", "--csv=table.csv"], "no table that this"),
        (&["--watch=in", "--mqtt-login=x"], "--mqtt URL"),
        (&["--watch=in", "--journal=j"], "--history none"),
    ] {
        let mut words = vec!["serve", "--listen=127.0.0.1:0", "--history=kept", &model];
        words.extend(arguments);
        workplace.run(&words).ends_with(2).says(said);
    }
    assert_eq!(workplace.files("in"), ["a.png"]);
}

#[test]
fn without_a_history_a_journal_remembers() {
    let workplace = Workplace::with_photos(&["in/a.png"]);
    for expected in [1, 0] {
        let arguments = ["--watch=in", "--settle=0.1", "--journal=seen"];
        let mut server = Server::start(&workplace, &arguments);
        let status = status(&server, |status| {
            status["running"] == true && status["waiting"] == 0 && status["inspected"] == expected
        });
        assert_eq!(status["failed"], 0);
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
    }
}
