//! With a broker that does what brokers of others do.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use super::*;

const LONG: Duration = Duration::from_mins(1);

fn options(port: u16) -> MqttOptions {
    MqttOptions {
        url: format!("mqtt://127.0.0.1:{port}"),
        topic: "a".to_owned(),
        login: Some(Login {
            user: "line".to_owned(),
            password: "secret".to_owned(),
        }),
        authority: None,
        backlog: 3,
    }
}

/// Reads a packet: its kind and its content.
fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    let mut next = |stream: &mut TcpStream| {
        stream.read_exact(&mut byte).ok()?;
        Some(byte[0])
    };
    let kind = next(stream)? >> 4;
    let (mut length, mut shift) = (0, 0);
    loop {
        let part = next(stream)?;
        length |= usize::from(part & 0x7f) << shift;
        shift += 7;
        if part & 0x80 == 0 {
            break;
        }
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).ok()?;
    Some((kind, content))
}

/// Serves connections one after the other: `answer` says of each result which packets are acknowledged now; with none,
/// the connection ends. The status is always acknowledged. Gives the results as they come.
fn broker(
    mut answer: impl FnMut(u16, &[u8]) -> Option<Vec<u16>> + Send + 'static,
) -> (u16, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (give, heard) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some((kind, content)) = packet(&mut stream) {
                // CONNECT, PUBLISH, PINGREQ
                let reply = match kind {
                    1 => vec![0x20, 2, 0, 0],
                    3 => {
                        let topic = usize::from(content[1]) + 2;
                        let id = u16::from_be_bytes([content[topic], content[topic + 1]]);
                        let payload = &content[topic + 2..];
                        let acknowledged = if content[..topic].ends_with(b"/status") {
                            Some(vec![id])
                        } else {
                            give.send(payload.to_vec()).unwrap();
                            answer(id, payload)
                        };
                        let Some(acknowledged) = acknowledged else {
                            break;
                        };
                        let packets = acknowledged.into_iter().map(|id| {
                            let [high, low] = id.to_be_bytes();
                            [0x40, 2, high, low]
                        });
                        packets.flatten().collect()
                    }
                    12 => vec![0xd0, 0],
                    _ => vec![],
                };
                stream.write_all(&reply).unwrap();
            }
        }
    });
    (port, heard)
}

fn start(port: u16) -> (Mqtt, StatusBoard, Receiver<String>) {
    let board = StatusBoard::default();
    let (give, settled) = channel();
    let tell = move |key: &str| give.send(key.to_owned()).unwrap();
    let mqtt = Mqtt::start(&options(port), board.clone(), tell).unwrap();
    (mqtt, board, settled)
}

fn publish(mqtt: &Mqtt, text: &str) {
    mqtt.publish(text.as_bytes().to_vec(), Some(text.to_owned()));
}

#[test]
fn the_password_is_not_told() {
    let told = format!("{:?}", options(1));
    assert!(told.contains("line") && !told.contains("secret"), "{told}");
}

#[test]
fn the_backlog_is_bounded_and_the_newest_stay() {
    // Nobody listens there.
    let (mqtt, board, settled) = start(9);
    for number in 0..10 {
        publish(&mqtt, &number.to_string());
    }
    let given_up: Vec<String> = settled.try_iter().collect();
    assert_eq!(given_up, ["0", "1", "2", "3", "4", "5", "6"]);
    let status = board.get().mqtt.unwrap();
    assert_eq!(
        (status.backlog, status.dropped, status.connected),
        (3, 7, false)
    );
    mqtt.publish(vec![0; LONGEST + 1], Some("long".to_owned()));
    assert_eq!(settled.recv().unwrap(), "long");
    assert_eq!(board.get().mqtt.unwrap().dropped, 8);
    let begun = Instant::now();
    mqtt.stop(Duration::from_millis(100));
    assert!(begun.elapsed() < LONG);
    // What waits is not given up.
    assert!(settled.try_recv().is_err());
    assert_eq!(board.get().mqtt.unwrap().backlog, 3);
}

#[test]
fn a_message_that_the_broker_refuses_is_given_up_and_the_others_pass() {
    let (port, heard) = broker(|id, payload| (payload != b"refused").then(|| vec![id]));
    let (mqtt, board, settled) = start(port);
    for text in ["before", "refused", "after"] {
        publish(&mqtt, text);
    }
    let mut keys: Vec<_> = (0..3)
        .map(|_| settled.recv_timeout(LONG).unwrap())
        .collect();
    keys.sort();
    assert_eq!(keys, ["after", "before", "refused"]);
    assert!(heard.try_iter().any(|payload| payload == b"after"));
    let status = board.get();
    assert!(status.last_error.is_some());
    assert_eq!(status.mqtt.unwrap().dropped, 1);
}

#[test]
fn what_is_acknowledged_out_of_order_is_known() {
    let mut waiting = None;
    let mut connections = 0;
    let (port, heard) = broker(move |id, payload| {
        if connections > 0 {
            return Some(vec![id]);
        }
        match (payload, waiting.take()) {
            // The second is acknowledged, and then the connection ends without the first's being so.
            (b"two", Some(_)) => Some(vec![id]),
            (b"three", _) => {
                connections += 1;
                None
            }
            _ => {
                waiting = Some(id);
                Some(vec![])
            }
        }
    });
    let (mqtt, _, settled) = start(port);
    publish(&mqtt, "one");
    publish(&mqtt, "two");
    assert_eq!(settled.recv_timeout(LONG).unwrap(), "two");
    publish(&mqtt, "three");
    let rest = [
        settled.recv_timeout(LONG).unwrap(),
        settled.recv_timeout(LONG).unwrap(),
    ];
    assert_eq!(rest, ["one", "three"]);
    let texts: Vec<_> = heard.try_iter().collect();
    assert_eq!(texts.iter().filter(|it| *it == b"one").count(), 2);
    assert_eq!(texts.iter().filter(|it| *it == b"two").count(), 1);
}

#[test]
fn a_broker_that_reads_slowly_hears_of_each_result_once() {
    const LENGTH: usize = 4 << 20;
    let mut is_first = true;
    let (port, heard) = broker(move |id, _| {
        if std::mem::take(&mut is_first) {
            // Meanwhile what comes next is written as far as there is room for it.
            thread::sleep(Duration::from_secs(2));
        }
        Some(vec![id])
    });
    let (mqtt, board, settled) = start(port);
    for number in 0..3 {
        mqtt.publish(vec![number; LENGTH], Some(number.to_string()));
    }
    for number in 0..3 {
        assert_eq!(settled.recv_timeout(LONG).unwrap(), number.to_string());
    }
    let heard: Vec<_> = heard.try_iter().map(|it| (it[0], it.len())).collect();
    assert_eq!(heard, [(0, LENGTH), (1, LENGTH), (2, LENGTH)]);
    assert_eq!(board.get().last_error, None);
}

#[test]
fn the_end_waits_for_what_is_on_its_way() {
    // Longer than messages used to have in the end.
    let (port, heard) = broker(|id, _| {
        thread::sleep(Duration::from_millis(700));
        Some(vec![id])
    });
    let (mqtt, board, settled) = start(port);
    publish(&mqtt, "one");
    assert_eq!(heard.recv_timeout(LONG).unwrap(), b"one");
    publish(&mqtt, "two");
    mqtt.stop(LONG);
    assert_eq!(settled.try_iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(board.get().mqtt.unwrap().backlog, 0);
}

#[test]
fn the_thread_ends_with_what_it_serves() {
    let (port, _heard) = broker(|id, _| Some(vec![id]));
    for port in [9, port] {
        let (mqtt, board, settled) = start(port);
        if port != 9 {
            while !board.get().mqtt.unwrap().connected {
                thread::sleep(Duration::from_millis(10));
            }
        }
        let shared = Arc::downgrade(&mqtt.shared);
        drop(mqtt);
        let begun = Instant::now();
        while shared.upgrade().is_some() {
            assert!(begun.elapsed() < LONG, "it runs on");
            thread::sleep(Duration::from_millis(10));
        }
        drop(settled);
    }
}
