//! The watching of a folder by a thread, as servers use it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vcp_clip::checkpoint::{Geometry, TowerGeometry};
use vcp_clip::photos::PhotoPath;
use vcp_clip::{DecodedPhoto, Error, Inspection, Stop};
use vcp_clip::{
    Device, DeviceName, Inspector, InspectorOptions, ModelName, ModelOptions, Photo, Picture,
    ThresholdOptions,
};
use vcp_history::{Filter, History, HistoryOptions, ModelEntry, ResultId};
use vcp_watch::{
    FolderInspector, Inspect, MemoryOptions, MqttOptions, Outcome, Watch, WatchOptions,
};

const LONG: Duration = Duration::from_mins(1);

/// A small model with random weights.
fn inspector() -> Arc<FolderInspector> {
    let geometry = Geometry {
        embedding_width: 128,
        vision: TowerGeometry::new(2, 128),
        patch_size: 14,
        native_grid: 3,
        text: TowerGeometry::new(2, 128),
        tap_count: 2,
        ..Geometry::vit_l_14()
    };
    let mut options = ModelOptions::from(ModelName::Random(geometry));
    options.changes.taps = vec![1, 2];
    options.changes.image_size = Some(70);
    let model = options.open().unwrap();
    let device = Device::find(DeviceName::Cpu).unwrap();
    let thresholds = ThresholdOptions {
        score: Some(1000.0),
        ..ThresholdOptions::default()
    };
    let options = InspectorOptions {
        thresholds,
        ..InspectorOptions::default()
    };
    let inspector = Inspector::new(&model, &device, &options).unwrap();
    Arc::new(FolderInspector {
        decoding: inspector.decoding(|_| {}),
        inspector,
        model: ModelEntry {
            name: "random".to_owned(),
            digest: model.weights().fingerprint(),
        },
    })
}

/// The file of a photo that is `width` pixels wide.
fn photo(width: usize) -> Vec<u8> {
    let pixels = (0..width * 30 * 3).map(|index| (index % 251) as u8);
    let photo = Photo::from_rgb(width, 30, pixels.collect()).unwrap();
    Picture::from(photo).to_jpeg_bytes(90).unwrap()
}

struct Place {
    folder: tempfile::TempDir,
    inspector: Arc<FolderInspector>,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            inspector: inspector(),
        };
        fs::create_dir_all(place.at("in/below")).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn history(&self) -> History {
        History::open(&self.at("history"), HistoryOptions::default()).unwrap()
    }

    fn options(&self) -> WatchOptions {
        WatchOptions {
            folder: self.at("in"),
            name: Some("line".to_owned()),
            recursive: true,
            settle: Duration::from_millis(200),
            poll: None,
            memory: MemoryOptions::History(self.history()),
            table: None,
            moves: [
                (Outcome::Ok, self.at("ok")),
                (Outcome::Failed, self.at("in/failed")),
            ]
            .into(),
            mqtt: None,
        }
    }

    fn start(&self, options: WatchOptions) -> (Watch, Receiver<(Outcome, Option<ResultId>, bool)>) {
        let (tell, told) = channel();
        let listen = move |event: vcp_watch::Event<'_>| {
            tell.send((event.outcome, event.id.cloned(), event.is_late))?;
            Ok(())
        };
        let watch = Watch::start(Arc::clone(&self.inspector), options, listen).unwrap();
        (watch, told)
    }
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.to_str().unwrap().replace('\\', "/")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn photos_go_to_the_history_and_to_their_folders() {
    let place = Place::new();
    fs::write(place.at("in/there.jpg"), photo(40)).unwrap();
    fs::write(place.at("in/cut.jpg"), &photo(40)[..20]).unwrap();
    let (watch, told) = place.start(place.options());
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        outcomes.push(told.recv_timeout(LONG).unwrap().0);
    }
    outcomes.sort();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Failed]);
    fs::write(place.at("in/below/new.jpg"), photo(41)).unwrap();
    let (outcome, id, is_late) = told.recv_timeout(LONG).unwrap();
    assert_eq!((outcome, is_late), (Outcome::Ok, false));
    let entry = place.history().get(&id.unwrap()).unwrap().unwrap();
    assert_eq!(
        (entry.source.as_str(), &entry.record["width"]),
        ("watch:line", &41.into())
    );
    assert_eq!(entry.sha256, vcp_files::sha256(photo(41)));
    let nothing = told.recv_timeout(Duration::from_millis(700));
    assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
    let status = watch.status();
    assert_eq!(
        (status.inspected, status.ok, status.failed, status.waiting),
        (2, 2, 1, 0)
    );
    assert!(status.running && status.errors == 0 && !watch.has_ended());
    let board = watch.board();
    watch.stop().unwrap();
    assert!(!board.get().running);
    assert_eq!(files(&place.at("in")), ["failed/cut.jpg"]);
    assert_eq!(files(&place.at("ok")), ["below/new.jpg", "there.jpg"]);
    let all = place.history().list(&Filter::default(), None, 10).unwrap();
    assert_eq!(all.results.len(), 2);
}

/// Does something while it inspects the first photo.
struct Meanwhile<F> {
    inner: Arc<FolderInspector>,
    reads_later: bool,
    act: Mutex<Option<F>>,
}

impl<F: FnOnce() + Send + 'static> Inspect for Meanwhile<F> {
    type Decoded = DecodedPhoto;

    fn decode(
        &self,
        photo: &PhotoPath,
        content: &[u8],
        label: &str,
    ) -> Result<DecodedPhoto, Error> {
        self.inner.decode(photo, content, label)
    }

    fn inspect(&self, photo: DecodedPhoto, stop: &Stop) -> Result<(Inspection, Duration), Error> {
        if let Some(act) = self.act.lock().unwrap().take() {
            act();
        }
        self.inner.inspect(photo, stop)
    }

    fn reads_later(&self) -> bool {
        self.reads_later
    }

    fn model(&self) -> ModelEntry {
        self.inner.model()
    }
}

#[test]
fn a_photo_that_is_rewritten_meanwhile_is_judged_as_it_was_read_or_not_at_all() {
    for reads_later in [false, true] {
        let place = Place::new();
        let file = place.at("in/a.jpg");
        // It is known to be whole at once only where the system tells so.
        fs::write(place.at("a.jpg"), photo(40)).unwrap();
        let rewrite = {
            let file = file.clone();
            move || fs::write(&file, photo(41)).unwrap()
        };
        let inspect = Meanwhile {
            inner: Arc::clone(&place.inspector),
            reads_later,
            act: Mutex::new(Some(rewrite)),
        };
        let (tell, told) = channel();
        let options = WatchOptions {
            moves: [].into(),
            ..place.options()
        };
        let watch = Watch::start(Arc::new(inspect), options, move |event| {
            tell.send(event.id.cloned())?;
            Ok(())
        })
        .unwrap();
        while !watch.status().running {
            std::thread::sleep(Duration::from_millis(10));
        }
        fs::rename(place.at("a.jpg"), &file).unwrap();
        let digests = |count: usize| {
            let ids = (0..count).map(|_| told.recv_timeout(LONG).unwrap().unwrap());
            let entries = ids.map(|id| place.history().get(&id).unwrap().unwrap());
            entries.map(|entry| entry.sha256).collect::<Vec<_>>()
        };
        let new = vcp_files::sha256(photo(41));
        if reads_later || !cfg!(target_os = "linux") {
            assert_eq!(digests(1), [new]);
        } else {
            assert_eq!(digests(2), [vcp_files::sha256(photo(40)), new]);
        }
        let nothing = told.recv_timeout(Duration::from_millis(500));
        assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
        watch.stop().unwrap();
    }
}

#[test]
fn what_was_not_delivered_is_delivered_later() {
    let place = Place::new();
    fs::write(place.at("in/a.jpg"), photo(40)).unwrap();
    // Nobody hears of it, as when the process is killed.
    let refuse = |_: vcp_watch::Event<'_>| Err("nobody listens".into());
    let watch = Watch::start(Arc::clone(&place.inspector), place.options(), refuse).unwrap();
    let begun = std::time::Instant::now();
    while !watch.has_ended() {
        assert!(begun.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(matches!(watch.stop(), Err(vcp_watch::Error::Listener(_))));
    assert_eq!(files(&place.at("in")), ["a.jpg"]);

    // Nobody answers there.
    let mqtt = MqttOptions {
        url: "mqtt://127.0.0.1:9".to_owned(),
        topic: "line".to_owned(),
        login: None,
        authority: None,
        backlog: 10,
    };
    let (watch, told) = place.start(WatchOptions {
        mqtt: Some(mqtt),
        ..place.options()
    });
    let (outcome, id, is_late) = told.recv_timeout(LONG).unwrap();
    assert_eq!((outcome, is_late), (Outcome::Ok, true));
    let all = place.history().list(&Filter::default(), None, 10).unwrap();
    assert_eq!(all.results.len(), 1);
    assert_eq!(Some(&all.results[0].id), id.as_ref());
    let nothing = told.recv_timeout(Duration::from_millis(700));
    assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
    // The broker is to be told once.
    assert_eq!(watch.status().mqtt.unwrap().backlog, 1);
    watch.stop().unwrap();
    assert_eq!(files(&place.at("ok")), ["a.jpg"]);
}
