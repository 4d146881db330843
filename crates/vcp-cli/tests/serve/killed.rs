//! A server that is killed: what was answered is there afterwards, once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use vcp_random::Random;

use crate::client::{Reply, Server};
use crate::support::cli::Workplace;

const HISTORY: &str = "--history=history";

/// How often the server is killed.
const ROUNDS: u64 = 20;

const CLIENTS: usize = 4;

/// Sends the photo under one name after the other until the server is gone. The names that were answered.
fn answered(server: &Server, photo: &[u8], whose: &str) -> Vec<String> {
    let mut names = Vec::new();
    for count in 0.. {
        let name = format!("{whose}-{count}");
        let request = server.request("POST", &format!("/v1/segment?name={name}"), &[], photo);
        let Ok(mut stream) = std::net::TcpStream::connect(&server.address) else {
            break;
        };
        if stream.write_all(&request).is_err() {
            break;
        }
        match Reply::read(&mut stream) {
            Some(reply) if reply.status == 200 => names.push(name),
            _ => break,
        }
    }
    names
}

#[test]
fn nothing_that_was_answered_is_lost_and_nothing_is_there_twice() {
    let workplace = Workplace::new();
    let photos: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            let name = format!("{seed}.bmp");
            workplace.photo(&name, seed);
            std::fs::read(workplace.path(&name)).unwrap()
        })
        .collect();
    let mut random = Random::new(13);
    let mut promised = Vec::new();
    for round in 0..ROUNDS {
        let server = Server::start(&workplace, &[HISTORY]);
        std::thread::scope(|scope| {
            let clients = photos.iter().enumerate().map(|(number, photo)| {
                let server = &server;
                scope.spawn(move || answered(server, photo, &format!("{round}-{number}")))
            });
            let clients: Vec<_> = clients.collect();
            std::thread::sleep(Duration::from_millis(20 + random.below(280) as u64));
            server.signal("KILL");
            for client in clients {
                promised.extend(client.join().unwrap());
            }
        });
    }
    assert!(promised.len() >= CLIENTS, "the server answered too little");

    let server = Server::start(&workplace, &[HISTORY]);
    let all = server.get("/v1/export?format=json").is(200).json();
    let mut kept = BTreeMap::new();
    for result in all.as_array().unwrap() {
        let name = result["name"].as_str().unwrap();
        let id = result["id"].as_str().unwrap().to_owned();
        let before = kept.insert(name, id);
        assert_eq!(before, None, "{name} is there twice");
    }
    for name in &promised {
        assert!(kept.contains_key(name.as_str()), "{name} is lost");
    }
    // The photo of each, whole, also of those whose answers were cut off.
    let mut stream = server.connect();
    for (name, id) in &kept {
        let target = format!("/v1/results/{id}/photo");
        stream
            .write_all(&server.request("GET", &target, &[], b""))
            .unwrap();
        let reply = Reply::read(&mut stream).unwrap().is(200);
        let number: usize = name.split('-').nth(1).unwrap().parse().unwrap();
        assert!(
            reply.body == photos[number],
            "the photo of {name} is another"
        );
    }
    eprintln!(
        "killed {ROUNDS} times: {} answered, {} in the history",
        promised.len(),
        kept.len()
    );
}
