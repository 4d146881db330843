//! Pulling from a server on the loopback interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
#[cfg(unix)]
use std::process::Command;
use std::time::{Duration, Instant};

use support::server::{Reply, Server};
use tempfile::TempDir;
use vcp_clip::pull::download::{Silent, WORTHWHILE, is_https, sha256};
use vcp_clip::pull::{
    BaseUrls, BundleRecipe, Catalogue, Connection, Place, Progress, PullError, Pulled, Puller,
    Source,
};

/// A file that is neither a page nor small enough for one read.
fn content() -> Vec<u8> {
    (0..1_000_000_u32)
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect()
}

/// A cache, and a catalogue with one file under both kinds of address.
struct Setup {
    cache: TempDir,
    catalogue: Catalogue,
    base_urls: BaseUrls,
    connection: Connection,
    offline: bool,
}

impl Setup {
    fn new(url: &str, file: &[u8]) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let sha256 = digest(file);
        let source = |name: &str, place| Source {
            name: name.to_owned(),
            file: format!("{name}.pt"),
            sha256: sha256.clone(),
            size_limit: 5_000_000,
            about: String::new(),
            place,
        };
        let drive = Place::Drive {
            id: "some-id".to_owned(),
        };
        Self {
            cache,
            catalogue: Catalogue {
                sources: vec![source("clip", Place::Clip), source("drive", drive)],
                bundles: Vec::new(),
            },
            base_urls: BaseUrls {
                clip: format!("{url}/models"),
                drive: url.to_owned(),
            },
            connection: Connection {
                attempts: 1,
                pause: Duration::from_millis(1),
                ..Connection::default()
            },
            offline: false,
        }
    }

    fn pull(&self, name: &str) -> Result<Pulled, PullError> {
        self.pull_with(name, &Silent)
    }

    fn pull_with(&self, name: &str, progress: &dyn Progress) -> Result<Pulled, PullError> {
        let puller = Puller {
            catalogue: &self.catalogue,
            cache: self.cache.path(),
            base_urls: &self.base_urls,
            offline: self.offline,
            connection: self.connection.clone(),
        };
        puller.pull(name, progress)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.cache.path().join(name)
    }

    /// What lies in the cache besides the lock.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.cache.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".lock")
            .collect();
        names.sort();
        names
    }

    /// The message of a pull that must fail, which always says how to go on by hand.
    fn failure(&self, name: &str) -> String {
        let message = self.pull(name).unwrap_err().to_string();
        let page = if name == "clip" {
            "https://github.com/openai/CLIP"
        } else {
            "https://github.com/xiaozhen228/VCP-CLIP"
        };
        assert!(message.contains(page), "{message}");
        assert!(
            message.contains(&self.catalogue.sources[0].sha256),
            "{message}"
        );
        let path = self.path(&format!("{name}.pt"));
        assert!(message.contains(&path.display().to_string()), "{message}");
        message
    }
}

fn digest(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    sha256(&path).unwrap()
}

#[test]
fn the_right_file_arrives_once() {
    let server = Server::always(Reply::File(content()));
    let place = Setup::new(&server.url, &content());
    let pulled = place.pull("clip").unwrap();
    assert_eq!(
        pulled,
        Pulled {
            path: place.path("clip.pt"),
            already_there: false
        }
    );
    assert!(fs::read(&pulled.path).unwrap() == content());
    assert!(place.pull("clip").unwrap().already_there);
    assert!(
        place.pull("clip.pt").unwrap().already_there,
        "the file's name will do as well"
    );
    place.pull("drive").unwrap();
    assert_eq!(place.files(), ["clip.pt", "drive.pt"]);
    let targets: Vec<String> = server
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    let sha256 = digest(&content());
    assert_eq!(
        targets,
        [
            format!("/models/{sha256}/clip.pt"),
            "/download?id=some-id&export=download&confirm=t".to_owned()
        ]
    );
}

#[test]
fn a_wrong_file_is_refused_and_removed() {
    let server = Server::always(Reply::File(b"PK something else".to_vec()));
    let place = Setup::new(&server.url, &content());
    let message = place.failure("drive");
    assert!(message.contains(&digest(b"PK something else")), "{message}");
    assert!(place.files().is_empty(), "{:?}", place.files());
    assert_eq!(
        server.requests().len(),
        1,
        "the same again would be no better"
    );
}

#[test]
fn a_cut_connection_is_resumed_by_the_next_call() {
    let server = Server::in_turn(vec![
        Reply::Cut(content(), 700_000),
        Reply::Cut(content(), 50_000),
        Reply::File(content()),
    ]);
    let place = Setup::new(&server.url, &content());
    assert!(
        place
            .failure("clip")
            .contains("broke off after 700000 bytes")
    );
    assert_eq!(place.files(), ["clip.pt.part"]);
    assert!(
        place
            .failure("clip")
            .contains("broke off after 750000 bytes")
    );
    place.pull("clip").unwrap();
    assert_eq!(server.ranges(), [None, Some(700_000), Some(750_000)]);
    assert_eq!(place.files(), ["clip.pt"]);
}

#[test]
fn a_cut_connection_is_resumed_at_once_while_it_gets_further() {
    let replies = vec![Reply::Cut(content(), 900_000); 9];
    let server = Server::in_turn(replies);
    let mut place = Setup::new(&server.url, &content());
    place.connection.attempts = 2;
    place.pull("clip").unwrap();
    let ranges = [
        None,
        Some(900_000),
        Some(1_800_000),
        Some(2_700_000),
        Some(3_600_000),
    ];
    assert_eq!(server.ranges(), ranges);
}

#[test]
fn a_line_that_never_gets_further_is_given_up() {
    let server =
        Server::start(|number, _| Reply::Cut(content(), if number == 0 { 1000 } else { 0 }));
    let mut place = Setup::new(&server.url, &content());
    place.connection.attempts = 3;
    place.failure("clip");
    assert_eq!(server.ranges(), [None, Some(1000), Some(1000)]);
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let server = Server::in_turn(vec![
        Reply::Cut(content(), 700_000),
        Reply::WholeFile(content()),
    ]);
    let place = Setup::new(&server.url, &content());
    place.failure("clip");
    place.pull("clip").unwrap();
    assert_eq!(server.ranges(), [None, Some(700_000)]);
}

#[test]
fn a_part_that_does_not_fit_is_thrown_away() {
    let cases = [
        ("the beginning of something else", 1000),
        ("longer than the file", 4_100_000),
        ("as long as the file", 4_000_000),
    ];
    for (case, length) in cases {
        let server = Server::always(Reply::File(content()));
        let place = Setup::new(&server.url, &content());
        fs::write(place.path("clip.pt.part"), vec![7; length]).unwrap();
        place
            .pull("clip")
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(server.ranges(), [Some(length), None], "{case}");
        assert_eq!(place.files(), ["clip.pt"], "{case}");
    }
}

#[test]
fn a_missing_file_is_an_error_with_the_status() {
    for status in [404, 403, 410] {
        let server = Server::always(Reply::Status(status));
        let mut place = Setup::new(&server.url, &content());
        place.connection.attempts = 3;
        assert!(place.failure("drive").contains(&format!("status {status}")));
        assert_eq!(server.requests().len(), 1);
        assert!(place.files().is_empty());
    }
}

#[test]
fn a_busy_server_is_asked_again() {
    let server = Server::in_turn(vec![
        Reply::Status(503),
        Reply::Status(429),
        Reply::File(content()),
    ]);
    let mut place = Setup::new(&server.url, &content());
    place.connection.attempts = 3;
    place.pull("clip").unwrap();
}

#[test]
fn a_redirect_is_followed_and_keeps_the_range() {
    let target = Server::always(Reply::File(content()));
    let server = Server::always(Reply::Redirect(format!("{}/there", target.url)));
    let place = Setup::new(&server.url, &content());
    fs::write(place.path("clip.pt.part"), &content()[..1234]).unwrap();
    place.pull("clip").unwrap();
    assert_eq!(target.ranges(), [Some(1234)]);
    assert_eq!(target.requests()[0].target, "/there");
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::start(|_, request| Reply::Redirect(request.target.clone()));
    let place = Setup::new(&server.url, &content());
    place.failure("clip");
}

#[test]
fn a_page_instead_of_the_file_is_recognised() {
    let replies = [
        ("by its type", Reply::Page("Download limit reached")),
        (
            "by its beginning",
            Reply::Typed("application/octet-stream", b"\n <!DOCTYPE html>".to_vec()),
        ),
        ("by both", Reply::Page("<html>")),
    ];
    for (case, reply) in replies {
        let server = Server::always(reply);
        let place = Setup::new(&server.url, &content());
        let message = place.failure("drive");
        assert!(
            message.contains("web page instead of the file"),
            "{case}: {message}"
        );
        assert!(place.files().is_empty(), "{case}: {:?}", place.files());
    }
}

#[test]
fn a_page_does_not_spoil_what_is_here() {
    let server = Server::in_turn(vec![
        Reply::Cut(content(), 700_000),
        Reply::Page("<html>"),
        Reply::File(content()),
    ]);
    let place = Setup::new(&server.url, &content());
    place.failure("drive");
    assert!(place.failure("drive").contains("web page"));
    place.pull("drive").unwrap();
}

#[test]
fn too_much_is_refused() {
    for reply in [
        Reply::Announce(6_000_000),
        Reply::Unannounced(vec![1; 6_000_000]),
    ] {
        let server = Server::always(reply);
        let place = Setup::new(&server.url, &content());
        assert!(place.failure("clip").contains("more than 5000000 bytes"));
        assert!(place.files().is_empty());
    }
}

#[test]
fn a_length_need_not_be_announced() {
    let server = Server::always(Reply::Unannounced(content()));
    let place = Setup::new(&server.url, &content());
    place.pull("clip").unwrap();
}

#[test]
fn silence_ends_an_attempt() {
    let server = Server::start(|number, _| match number {
        0 => Reply::Silence(Duration::from_secs(3)),
        _ => Reply::File(content()),
    });
    let mut place = Setup::new(&server.url, &content());
    place.connection.silence = Duration::from_millis(200);
    let begun = Instant::now();
    assert!(place.failure("clip").contains("broke off after 2 bytes"));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_server_that_drips_is_given_up() {
    let server = Server::start(|number, _| match number {
        0 => Reply::Drip(content(), Duration::from_millis(20)),
        _ => Reply::File(content()),
    });
    let mut place = Setup::new(&server.url, &content());
    place.connection.silence = Duration::from_millis(300);
    let begun = Instant::now();
    let message = place.failure("clip");
    assert!(
        message.contains("fewer than 8192 bytes a second"),
        "{message}"
    );
    assert!(begun.elapsed() < Duration::from_secs(2));
    // What has arrived is not lost.
    place.pull("clip").unwrap();
    assert!(fs::read(place.path("clip.pt")).unwrap() == content());
}

#[test]
fn attempts_are_counted_over_the_whole_pull() {
    let long = WORTHWHILE as usize;
    let server = Server::start(move |_, _| Reply::Cut(content(), long));
    let mut place = Setup::new(&server.url, &content());
    place.connection.attempts = 2;
    place.connection.attempts_in_all = 5;
    place.failure("clip");
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_file_that_changes_between_two_attempts_is_fetched_anew() {
    let older: Vec<u8> = content().iter().map(|byte| !byte).collect();
    let server = Server::in_turn(vec![Reply::Cut(older, 700_000), Reply::File(content())]);
    let mut place = Setup::new(&server.url, &content());
    place.connection.attempts = 2;
    place.pull("clip").unwrap();
    assert_eq!(server.ranges(), [None, Some(700_000), None]);
    assert!(fs::read(place.path("clip.pt")).unwrap() == content());
}

#[test]
fn an_address_in_capitals_is_as_encrypted_as_any() {
    // The server speaks no TLS and would send the file to whoever takes the redirection.
    let plain = Server::always(Reply::File(content()));
    for scheme in ["https", "HTTPS", "Https"] {
        let url = plain.url.replacen("http", scheme, 1);
        let place = Setup::new(&url, &content());
        place.failure("clip");
        assert!(plain.requests().is_empty(), "{scheme}");
    }
    assert!(is_https("HTTPS://x/y") && is_https("https://x"));
    assert!(!is_https("http://https://x") && !is_https("ftp://x") && !is_https("https:x"));
}

#[cfg(unix)]
#[test]
fn neither_links_nor_pipes_are_written_through() {
    use std::os::unix::fs::symlink;
    let server = Server::always(Reply::File(content()));
    for name in ["clip.pt.part", ".lock"] {
        let place = Setup::new(&server.url, &content());
        let victim = place.path("victim");
        fs::write(&victim, "precious").unwrap();

        for link in [symlink::<&PathBuf, PathBuf> as fn(_, _) -> _, |a, b| {
            fs::hard_link(a, b)
        }] {
            link(&victim, place.path(name)).unwrap();
            let message = place.pull("clip").unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            fs::remove_file(place.path(name)).unwrap();
        }
        // A link to nothing would make a file elsewhere.
        let elsewhere = place.path("elsewhere");
        symlink(&elsewhere, place.path(name)).unwrap();
        place.pull("clip").unwrap_err();
        assert!(!elsewhere.exists());
        fs::remove_file(place.path(name)).unwrap();
    }
    for name in ["clip.pt.part", ".lock", "clip.pt"] {
        let place = Setup::new(&server.url, &content());
        let made = Command::new("mkfifo").arg(place.path(name)).status();
        assert!(made.unwrap().success());
        let message = place.pull("clip").unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn nobody_at_the_address() {
    let place = Setup::new("http://127.0.0.1:1", &content());
    assert!(place.failure("clip").contains("cannot be reached"));
}

#[test]
fn offline_uses_what_is_here_and_asks_nobody() {
    let server = Server::always(Reply::File(content()));
    let mut place = Setup::new(&server.url, &content());
    place.offline = true;
    assert!(place.failure("clip").contains("--offline"));
    fs::write(place.path("clip.pt"), content()).unwrap();
    assert!(place.pull("clip").unwrap().already_there);
    fs::write(place.path("drive.pt"), "something else").unwrap();
    assert!(
        place
            .failure("drive")
            .contains("this is not the published file")
    );
    assert!(server.requests().is_empty());
}

#[test]
fn a_wrong_file_put_there_by_hand_is_replaced() {
    let server = Server::always(Reply::File(content()));
    let place = Setup::new(&server.url, &content());
    fs::write(place.path("clip.pt"), "something else").unwrap();
    assert!(!place.pull("clip").unwrap().already_there);
    assert!(fs::read(place.path("clip.pt")).unwrap() == content());
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let place = Setup::new("http://127.0.0.1:1", &content());
    let message = place.pull("resnet").unwrap_err().to_string();
    assert!(
        message.contains("resnet") && message.contains("clip, drive"),
        "{message}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let place = Setup::new("http://127.0.0.1:1", &content());
    let below = Puller {
        catalogue: &place.catalogue,
        cache: &file.join("cache"),
        base_urls: &place.base_urls,
        offline: false,
        connection: place.connection.clone(),
    };
    let message = below.pull("clip", &Silent).unwrap_err().to_string();
    assert!(message.contains(&file.display().to_string()), "{message}");
}

/// Keeps notes.
#[derive(Default)]
struct Notes(RefCell<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, _: &str, _: u64, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn note(&self, message: &str) {
        self.0.borrow_mut().push(message.to_owned());
    }
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let server = Server::start(|_, _| {
        std::thread::sleep(Duration::from_millis(300));
        Reply::File(content())
    });
    let place = Setup::new(&server.url, &content());
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| place.pull("clip").unwrap());
        (place.pull("clip").unwrap(), other.join().unwrap())
    });
    assert_ne!(first.already_there, second.already_there);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_bundle_is_packed_from_its_parts() {
    let mini = vcp_testing::mini();
    let mini = &mini.folder;
    let clip = fs::read(mini.join("clip.pt")).unwrap();
    let checkpoint = fs::read(mini.join("vcp.pth")).unwrap();
    let mut place = Setup::new("", &content());
    place.catalogue.sources[0].sha256 = digest(&clip);
    place.catalogue.sources[0].size_limit = clip.len() as u64;
    place.catalogue.sources[1].sha256 = digest(&checkpoint);
    let server = Server::start(move |_, request| {
        let is_drive = request.target.starts_with("/download");
        Reply::File(if is_drive {
            checkpoint.clone()
        } else {
            clip.clone()
        })
    });
    place.base_urls = BaseUrls {
        clip: server.url.clone(),
        drive: server.url.clone(),
    };
    place.catalogue.bundles.push(BundleRecipe {
        name: "mini".to_owned(),
        about: String::new(),
        clip: "clip".to_owned(),
        checkpoint: "drive".to_owned(),
        settings: vcp_checkpoint::Settings {
            taps: vec![1, 2],
            image_size: 70,
            ..vcp_checkpoint::Settings::default()
        },
    });
    let notes = Notes::default();
    let pulled = place.pull_with("mini", &notes).unwrap();
    assert_eq!(
        pulled,
        Pulled {
            path: place.path("mini.safetensors"),
            already_there: false
        }
    );
    assert!(
        notes
            .0
            .borrow()
            .iter()
            .any(|note| note.starts_with("Packing"))
    );
    let weights = vcp_checkpoint::Weights::open_bundle(&pulled.path).unwrap();
    assert_eq!(weights.settings().image_size, 70);
    assert!(place.pull("mini").unwrap().already_there);
    assert_eq!(server.requests().len(), 2);

    // Damaged, it is packed anew from what is here.
    fs::write(&pulled.path, "nonsense").unwrap();
    place.offline = true;
    assert!(!place.pull("mini").unwrap().already_there);

    // So is a sound bundle of that name which was made of something else.
    let packed = fs::read(&pulled.path).unwrap();
    support::cli::weights()
        .write_bundle(&pulled.path, vcp_checkpoint::Storing::AsStored)
        .unwrap();
    assert!(!place.pull("mini").unwrap().already_there);
    assert_eq!(fs::read(&pulled.path).unwrap(), packed);
}
