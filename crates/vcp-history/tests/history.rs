//! Histories, from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use vcp_history::{
    Error, ExportFormat, FileKind, Filter, History, HistoryOptions, NewResult, Outcome, ResultId,
    Time, Verdict, VerdictFilter,
};

/// 2026-11-27T00:00:00Z.
const DAY: i64 = 1_795_737_600_000;

fn record(score: f64) -> String {
    let decision = match score {
        ..0.4 => "ok",
        0.4..0.6 => "review",
        _ => "defect",
    };
    format!(
        r#"{{"path":"photo","score":{score},"score_threshold":0.6,"anomalous":false,"max":0.75,"pixel_threshold":0.5,"regions":[{{"area":3}},{{"area":2}}],"width":4,"height":2,"files":{{}},"milliseconds":1.5,"decision":"{decision}","review_threshold":0.4}}"#
    )
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn open(&self, options: HistoryOptions) -> History {
        History::open(self.path(), options).unwrap()
    }

    /// The files beside the database.
    fn files(&self) -> usize {
        let days = fs::read_dir(self.path().join("files"));
        let days = days.into_iter().flatten().map(|day| day.unwrap().path());
        days.map(|day| fs::read_dir(day).unwrap().count()).sum()
    }
}

/// Adds a result so many minutes after midnight.
fn add(history: &History, minutes: i64, score: f64) -> ResultId {
    let name = format!("photo {minutes}.png");
    let source = if minutes % 2 == 0 { "http" } else { "page" };
    let new = NewResult {
        time: Some(Time::from_milliseconds(DAY + minutes * 60_000)),
        source,
        name: &name,
        photo: b"\x89PNG\r\n\x1a\n and so on",
        record: &record(score),
        model_name: "built-in",
        model_digest: "abc",
        overlay: Some(b"overlay"),
        thumbnail: b"thumbnail",
        map: Some((&[0.5; 16], 4)),
        durations: &[("model", Duration::from_millis(40))],
        ..NewResult::default()
    };
    history.add(&new).unwrap()
}

#[test]
fn what_was_added_is_found_again() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let id = add(&history, 1, 0.7);
    // Another process, later.
    drop(history);
    let history = History::open_existing(place.path()).unwrap();
    let entry = history.get(&id).unwrap().unwrap();
    assert_eq!(entry.time.to_string(), "2026-11-27T00:01:00.000Z");
    assert_eq!(entry.record.to_string(), record(0.7));
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(json["source"], "page");
    assert_eq!(json["model"]["name"], "built-in");
    assert_eq!(json["durations"]["model"], 0.04);
    assert_eq!(
        json["has"],
        serde_json::json!({"photo": true, "overlay": true, "map": true})
    );
    assert!(json["verdict"].is_null());
    assert_eq!(
        serde_json::from_value::<vcp_history::Entry>(json).unwrap(),
        entry
    );
    for (kind, ending, content) in [
        (FileKind::Photo, "png", &b"\x89PNG\r\n\x1a\n and so on"[..]),
        (FileKind::Overlay, "png", b"overlay"),
        (FileKind::Thumbnail, "jpg", b"thumbnail"),
    ] {
        let file = history.file(&id, kind).unwrap().unwrap();
        assert_eq!(file.extension().unwrap(), ending);
        assert_eq!(fs::read(file).unwrap(), content);
    }
    let nobody: ResultId = "0".repeat(28).parse().unwrap();
    assert_eq!(history.get(&nobody).unwrap(), None);
    assert_eq!(history.file(&nobody, FileKind::Photo).unwrap(), None);
    assert_eq!(history.set_verdict(&nobody, None, "").unwrap(), None);
}

#[test]
fn only_what_is_wanted_is_kept_and_thumbnails_always() {
    let place = Place::new();
    let history = place.open(HistoryOptions {
        photos: false,
        overlays: false,
        maps: false,
        ..HistoryOptions::default()
    });
    let id = add(&history, 1, 0.7);
    assert_eq!(place.files(), 1);
    assert!(history.file(&id, FileKind::Thumbnail).unwrap().is_some());
    for kind in [FileKind::Photo, FileKind::Overlay, FileKind::Map] {
        assert_eq!(history.file(&id, kind).unwrap(), None);
    }
    assert!(!history.get(&id).unwrap().unwrap().has.photo);
}

#[test]
fn what_fails_leaves_nothing() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let good = record(0.5);
    let new = NewResult {
        source: "watch:x",
        key: Some("1"),
        record: &good,
        photo: b"p",
        thumbnail: b"t",
        ..NewResult::default()
    };
    for (record, map) in [
        ("{", None),
        ("{}", None),
        (good.as_str(), Some((&[0.5_f32; 3][..], 2))),
    ] {
        let failed = history.add(&NewResult { record, map, ..new });
        assert!(failed.is_err());
        assert_eq!(place.files(), 0);
    }
    assert!(!history.contains("watch:x", "1").unwrap());
    history.add(&new).unwrap();
    assert!(history.contains("watch:x", "1").unwrap());
    let again = history.add(&new);
    assert!(matches!(again, Err(Error::Known { .. })), "{again:?}");
    assert_eq!(place.files(), 2);
    assert_eq!(history.summary(&Filter::default(), 1).unwrap().inspected, 1);
    let missing = History::open_existing(&place.path().join("files"));
    assert!(matches!(missing, Err(Error::Missing { .. })));
}

#[test]
fn lists_continue_where_a_page_ends() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let ids: Vec<_> = (0..25)
        .map(|it| add(&history, it, it as f64 / 25.0))
        .collect();
    let mut listed = Vec::new();
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let page = history
            .list(&Filter::default(), cursor.as_ref(), 10)
            .unwrap();
        listed.extend(page.results.into_iter().map(|it| it.id));
        pages += 1;
        match page.next_cursor {
            // As text, as it travels.
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert!(listed.iter().eq(ids.iter().rev()));
}

#[test]
fn all_conditions_of_a_filter_hold() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let ids: Vec<_> = (0..25)
        .map(|it| add(&history, it, it as f64 / 25.0))
        .collect();
    history
        .set_verdict(&ids[3], Some(Verdict::Good), "Ada")
        .unwrap();
    history
        .set_verdict(&ids[4], Some(Verdict::Unsure), "")
        .unwrap();
    let time = |minutes: i64| Some(Time::from_milliseconds(DAY + minutes * 60_000));
    let all = Filter::default;
    for (filter, expected) in [
        (
            Filter {
                after: time(20),
                ..all()
            },
            5,
        ),
        (
            Filter {
                before: time(20),
                ..all()
            },
            20,
        ),
        (
            Filter {
                after: time(3),
                before: time(4),
                ..all()
            },
            1,
        ),
        (
            Filter {
                outcome: Some(Outcome::Ok),
                ..all()
            },
            10,
        ),
        (
            Filter {
                outcome: Some(Outcome::Review),
                ..all()
            },
            5,
        ),
        (
            Filter {
                verdict: Some(VerdictFilter::None),
                ..all()
            },
            23,
        ),
        (
            Filter {
                verdict: Some(VerdictFilter::Is(Verdict::Good)),
                ..all()
            },
            1,
        ),
        (
            Filter {
                source: Some("page".into()),
                ..all()
            },
            12,
        ),
        (
            Filter {
                model: Some("other' OR 1=1 --".into()),
                ..all()
            },
            0,
        ),
    ] {
        let page = history.list(&filter, None, 100).unwrap();
        assert_eq!(page.results.len(), expected, "{filter:?}");
        assert_eq!(page.next_cursor, None);
        let summary = history.summary(&filter, 7).unwrap();
        assert_eq!(summary.inspected, expected as u64);
        let sum: u64 = summary.rejects.iter().map(|it| it.inspected).sum();
        assert_eq!(sum, expected as u64, "{filter:?}");
        assert_eq!(summary.scores.iter().sum::<u64>(), expected as u64);
    }
    assert_eq!(history.models().unwrap(), ["built-in"]);
    assert_eq!(history.sources().unwrap(), ["http", "page"]);
}

#[test]
fn verdicts_come_and_go_and_are_counted() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let scores = [0.1, 0.5, 0.9, 1.0];
    let ids = scores.map(|score| add(&history, (score * 10.0) as i64, score));
    let judged = history.set_verdict(&ids[2], Some(Verdict::Good), "Ada");
    let given = judged.unwrap().unwrap().verdict.unwrap();
    assert_eq!((given.verdict, given.who.as_str()), (Verdict::Good, "Ada"));
    history
        .set_verdict(&ids[0], Some(Verdict::Defect), "")
        .unwrap();
    history
        .set_verdict(&ids[1], Some(Verdict::Unsure), "")
        .unwrap();
    let summary = history.summary(&Filter::default(), 3).unwrap();
    assert_eq!((summary.ok, summary.review, summary.defect), (1, 1, 2));
    assert_eq!(
        (summary.judged, summary.false_alarms, summary.misses),
        (2, 1, 1)
    );
    assert_eq!(summary.scores[2], 1);
    assert_eq!(summary.scores[19], 1, "1 belongs to the last");
    assert_eq!(summary.rejects.len(), 3);
    assert_eq!(summary.rejects[2].defect, 2);
    assert_eq!(summary.rejects[1].review, 1);
    let taken_back = history.set_verdict(&ids[2], None, "Ada").unwrap().unwrap();
    assert_eq!(taken_back.verdict, None);
    assert_eq!(
        history.summary(&Filter::default(), 3).unwrap().false_alarms,
        0
    );
    let nothing = place.path().join("empty");
    let nothing = History::open(&nothing, HistoryOptions::default()).unwrap();
    let summary = nothing.summary(&Filter::default(), 48).unwrap();
    assert_eq!((summary.inspected, summary.rejects.len()), (0, 0));
}

#[test]
fn exports_hold_everything() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let export = |format| {
        let mut out = Vec::new();
        let count = history
            .export(&Filter::default(), format, &mut out)
            .unwrap();
        (count, String::from_utf8(out).unwrap())
    };
    assert_eq!(export(ExportFormat::Json), (0, "[\n]\n".to_owned()));
    for minutes in 0..450 {
        add(&history, minutes, 0.25);
    }
    let id = history
        .add(&NewResult {
            time: Some(Time::from_milliseconds(DAY * 2)),
            source: "page",
            name: "=cmd|'/c calc'!A1, \"quoted\"\nline",
            record: &record(0.1),
            ..NewResult::default()
        })
        .unwrap();
    history
        .set_verdict(&id, Some(Verdict::Defect), "@me")
        .unwrap();
    let (count, text) = export(ExportFormat::Csv);
    assert_eq!(count, 451);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 451);
    let cell = |row: usize, name: &str| {
        let column = heading.iter().position(|it| it == name).unwrap();
        rows[row][column].to_owned()
    };
    assert_eq!(cell(0, "time"), "2026-11-27T00:00:00.000Z");
    assert_eq!(cell(0, "largest_area"), "3");
    assert_eq!(cell(0, "score"), "0.25");
    assert_eq!(cell(450, "name"), "'=cmd|'/c calc'!A1, \"quoted\"\nline");
    assert_eq!(cell(450, "verdict_who"), "'@me");
    assert_eq!(cell(450, "verdict"), "defect");
    let (_, text) = export(ExportFormat::Json);
    let entries: Vec<vcp_history::Entry> = serde_json::from_str(&text).unwrap();
    assert_eq!(entries.len(), 451);
    assert!(entries.is_sorted_by_key(|entry| &entry.id));
    let (_, text) = export(ExportFormat::JsonLines);
    assert_eq!(text.lines().count(), 451);
    for (line, entry) in text.lines().zip(&entries) {
        let read: vcp_history::Entry = serde_json::from_str(line).unwrap();
        assert_eq!(&read, entry);
    }
}

#[test]
fn limits_remove_the_oldest_and_judged_ones_last() {
    let place = Place::new();
    let unlimited = place.open(HistoryOptions::default());
    let ids: Vec<_> = (0..10).map(|it| add(&unlimited, it, 0.1)).collect();
    unlimited
        .set_verdict(&ids[0], Some(Verdict::Good), "")
        .unwrap();
    let each = {
        let files = place.path().join("files/2026-11-27");
        let files = fs::read_dir(files).unwrap();
        let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
        sizes.sum::<u64>() / 10
    };
    drop(unlimited);
    let history = place.open(HistoryOptions {
        max_bytes: Some((each + record(0.1).len() as u64 + 16) * 4),
        ..HistoryOptions::default()
    });
    let left = |history: &History| {
        let page = history.list(&Filter::default(), None, 100).unwrap();
        page.results.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let expected = [&ids[9], &ids[8], &ids[7], &ids[0]];
    assert!(left(&history).iter().eq(expected));
    assert_eq!(place.files(), 16);
    let next = add(&history, 11, 0.1);
    assert!(left(&history).iter().eq([&next, &ids[9], &ids[8], &ids[0]]));
    drop(history);
    // All of it is from another day.
    let history = place.open(HistoryOptions {
        max_age: Some(Duration::from_secs(1)),
        ..HistoryOptions::default()
    });
    if Time::now().milliseconds() > DAY + 12 * 60_000 + 1000 {
        assert!(left(&history).is_empty());
        assert_eq!(place.files(), 0);
    }
}

#[test]
fn sources_remember_what_they_have_done_with() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let (source, good) = ("watch:/x", record(0.5));
    let id = history
        .add(&NewResult {
            source,
            key: Some("a"),
            record: &good,
            ..NewResult::default()
        })
        .unwrap();
    history.remember(source, "failed").unwrap();
    history.remember(source, "failed").unwrap();
    assert!(history.contains(source, "failed").unwrap());
    assert!(!history.contains("watch:/y", "failed").unwrap());
    assert_eq!(history.undelivered(source).unwrap(), [("a".to_owned(), id)]);
    history.defer(source, "a").unwrap();
    assert!(history.undelivered(source).unwrap().is_empty());
    assert_eq!(history.deferred(source).unwrap()[0].0, "a");
    history.deliver(source, "a").unwrap();
    assert!(history.undelivered(source).unwrap().is_empty());
    assert!(history.deferred(source).unwrap().is_empty());
    let pause = || std::thread::sleep(Duration::from_millis(5));
    pause();
    let between = Time::now();
    pause();
    let later = Time::from_milliseconds(between.milliseconds() + 100_000);
    assert_eq!(history.forget(source, later, |key| key == "a").unwrap(), 1);
    // It was there after that.
    assert_eq!(history.forget(source, between, |_| false).unwrap(), 0);
    assert!(history.contains(source, "a").unwrap());
    assert!(!history.contains(source, "failed").unwrap());
}

#[test]
fn what_killed_processes_have_left_goes_when_it_is_old() {
    let place = Place::new();
    let history = place.open(HistoryOptions::default());
    let id = add(&history, 1, 0.5);
    let photo = history.file(&id, FileKind::Photo).unwrap().unwrap();
    let day = photo.parent().unwrap();
    // As of one that was killed before its file had a name, and of a result that is there no more.
    std::fs::write(day.join(".vcp-clip-Ab12Cd.part"), "half").unwrap();
    let database = rusqlite::Connection::open(place.path().join("history.sqlite")).unwrap();
    let note = |time: i64| {
        let sql = "INSERT OR REPLACE INTO unfinished VALUES (?, ?)";
        let values = rusqlite::params![id.as_str(), time];
        database.execute(sql, values).unwrap();
    };
    let names = || {
        let entries = std::fs::read_dir(day).into_iter().flatten();
        entries
            .map(|it| it.unwrap().file_name())
            .collect::<Vec<_>>()
    };
    note(Time::now().milliseconds());
    history.prune().unwrap();
    assert_eq!(names().len(), 5, "somebody may be at it");
    note(Time::now().before(Duration::from_hours(2)).milliseconds());
    history.prune().unwrap();
    assert!(!day.exists(), "{:?}", names());
}
