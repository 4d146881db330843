//! More than the server can do at a time, clients that do not behave, and the end.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Reply, Server, multipart};
use crate::support::cli::Workplace;
use crate::support::photos;

/// A photo that takes a while to be inspected in windows.
fn slow_photo(workplace: &Workplace) -> Vec<u8> {
    photos::write(&workplace.path("slow.png"), 1200, 1000, 1);
    std::fs::read(workplace.path("slow.png")).unwrap()
}

/// Options with which that is so.
const SLOW: &str = "--tile=70";

#[test]
fn what_finds_no_place_is_refused_and_told_when_to_come_again() {
    let workplace = Workplace::new();
    let photo = slow_photo(&workplace);
    let server = Server::start(&workplace, &["--queue=2", SLOW]);
    let statuses = thread::scope(|scope| {
        let post = || server.post("/v1/segment", &photo);
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(post)).collect();
        // Meanwhile it is alive.
        let begun = Instant::now();
        server.get("/healthz").is(200);
        assert!(begun.elapsed() < Duration::from_secs(2));
        let replies = clients.into_iter().map(|client| client.join().unwrap());
        let statuses = replies.map(|reply| {
            if reply.status == 429 {
                let seconds = reply.header("retry-after").unwrap();
                assert!(seconds.parse::<u64>().unwrap() >= 1);
            }
            reply.status
        });
        statuses.collect::<Vec<_>>()
    });
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 429)),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().filter(|&&status| status == 200).count() >= 2,
        "{statuses:?}"
    );
    assert!(statuses.contains(&429), "{statuses:?}");
    server.post("/v1/segment", &photo).is(200);
}

#[test]
fn a_client_that_goes_away_frees_its_place() {
    let workplace = Workplace::new();
    // Nearly as many windows as are allowed.
    photos::write(&workplace.path("endless.png"), 1150, 1150, 1);
    let endless = std::fs::read(workplace.path("endless.png")).unwrap();
    workplace.photo("small.png", 1);
    let small = std::fs::read(workplace.path("small.png")).unwrap();
    let server = Server::start(&workplace, &["--queue=1", "--tile=16"]);
    let mut stream = server.connect();
    stream
        .write_all(&server.request("POST", "/v1/segment", &[], &endless))
        .unwrap();
    let begun = Instant::now();
    let has_place = || {
        let metrics = server.get("/metrics").body;
        String::from_utf8_lossy(&metrics).contains("vcp_clip_queue_depth 1")
    };
    while !has_place() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it never got a place"
        );
        thread::sleep(Duration::from_millis(10));
    }
    server.post("/v1/segment", &small).is(429);
    drop(stream);
    let begun = Instant::now();
    while server.post("/v1/segment", &small).status != 200 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "its place is not free"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn those_who_announce_much_take_nothing_from_others() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let server = Server::start(&workplace, &[]);
    let headers = [("content-length", "60000000")];
    let request = server.request("POST", "/v1/segment", &headers, &[0; 100]);
    let connections: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&request).unwrap();
            stream
        })
        .collect();
    server.post("/v1/segment", &photo).is(200);
    // 6 GB were announced.
    assert!(server.memory() < 1 << 30);
    drop(connections);
}

#[test]
fn each_photo_of_a_request_takes_a_place() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let small = std::fs::read(workplace.path("a.png")).unwrap();
    let photo = slow_photo(&workplace);
    let server = Server::start(&workplace, &["--queue=3", SLOW]);
    let send = |photos: &[&[u8]]| {
        let parts: Vec<_> = photos.iter().map(|it| ("image", "a", *it)).collect();
        let (kind, body) = multipart(&parts);
        let headers = [("content-type", kind.as_str())];
        server.ask("POST", "/v1/segment", &headers, &body)
    };
    thread::scope(|scope| {
        let five = scope.spawn(|| send(&[&photo, &small, &small, &small, &small]));
        let begun = Instant::now();
        while server.metric("vcp_clip_queue_depth") < 3 {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "it never got its places"
            );
            thread::sleep(Duration::from_millis(5));
        }
        server
            .post("/v1/segment", &small)
            .refuses(429, "places for 3 photos");
        send(&[&small, &small]).refuses(429, "places for 3 photos");
        let reply = five.join().unwrap().is(200).json();
        let results = reply["results"].as_array().unwrap();
        assert_eq!(results.len(), 5);
        assert!(results.iter().all(|it| it["record"].is_object()), "{reply}");
    });
    assert_eq!(server.metric("vcp_clip_queue_depth"), 0);
    send(&[&small, &small]).is(200);
}

#[test]
fn an_answer_has_so_many_bytes_and_no_more() {
    let workplace = Workplace::new();
    // Its map at full resolution has 51 MB, and 68 MB in Base64.
    let photo = vcp_image::Photo::from_grey(4000, 3200, vec![90; 4000 * 3200]).unwrap();
    let path = workplace.path("large.png");
    vcp_image::Picture::from(photo).write_png(&path).unwrap();
    let photo = std::fs::read(path).unwrap();
    let server = Server::start(&workplace, &["--tile=3200"]);
    server
        .post("/v1/segment?include=map&pictures=inline", &photo)
        .refuses(413, "Ask for links to them");
    let target = "/v1/segment?include=map&pictures=inline&map_format=png16";
    server.post(target, &photo).is(200);
    let reply = server.post("/v1/segment?include=map", &photo).is(200);
    let link = reply.json()["files"]["map"].as_str().unwrap().to_owned();
    assert!(server.get(&link).is(200).body.len() > 4 * 4000 * 3200);
}

#[cfg(unix)]
#[test]
fn what_was_begun_is_answered_before_the_end() {
    let workplace = Workplace::new();
    let photo = slow_photo(&workplace);
    let mut server = Server::start(&workplace, &[SLOW]);
    let mut busy = server.connect();
    let request = server.request("POST", "/v1/segment", &[], &photo);
    busy.write_all(&request).unwrap();
    thread::sleep(Duration::from_millis(50));
    server.signal("TERM");
    let begun = Instant::now();
    let status = loop {
        // Once it has ended, nobody listens.
        let Ok(mut stream) = TcpStream::connect(&server.address) else {
            break None;
        };
        if stream
            .write_all(&server.request("GET", "/readyz", &[], b""))
            .is_err()
        {
            break None;
        }
        match Reply::read(&mut stream) {
            Some(reply) if reply.status == 200 => {
                assert!(begun.elapsed() < Duration::from_secs(30));
            }
            reply => break reply.map(|reply| reply.status),
        }
    };
    assert!(matches!(status, None | Some(503)), "{status:?}");
    Reply::read(&mut busy).unwrap().is(200);
    assert_eq!(server.wait(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_it_at_once() {
    let workplace = Workplace::new();
    photos::write(&workplace.path("endless.png"), 1150, 1150, 1);
    let endless = std::fs::read(workplace.path("endless.png")).unwrap();
    let mut server = Server::start(&workplace, &["--tile=16"]);
    let mut busy = server.connect();
    busy.write_all(&server.request("POST", "/v1/segment", &[], &endless))
        .unwrap();
    thread::sleep(Duration::from_millis(200));
    server.signal("TERM");
    let begun = Instant::now();
    while server.get("/readyz").status != 503 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it takes work on"
        );
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(130));
}

#[test]
fn nothing_is_done_before_the_models_are_there() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    // The built-in model takes a moment, in which the server answers already.
    let server = Server::begin(&workplace, &[]);
    server.get("/healthz").is(200);
    let reply = server.post("/v1/segment", &photo);
    if reply.status != 200 {
        let reply = reply.refuses(503, "is starting");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}
