//! Telling an MQTT broker.
//!
//! Messages wait in a queue of this module's own, and leave it when the broker has acknowledged them: what was on its
//! way when a connection broke is sent again. (In MQTT, quality of service 1: at least once.)

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rumqttc::{
    Client, Connection, Event, LastWill, Outgoing, Packet, QoS, TlsConfiguration, Transport,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::status::StatusBoard;

/// Messages that are on their way at a time.
const WINDOW: usize = 32;

/// The status is told this often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Pauses before connecting again, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Longest message in bytes.
const LONGEST: usize = 16 << 20;

/// How a broker is reached, and what it is told.
#[derive(Debug, Clone)]
pub struct MqttOptions {
    /// `mqtt://HOST[:PORT]`, or `mqtts://` with TLS.
    pub url: String,
    /// Results go to `TOPIC/result`, the status to `TOPIC/status`.
    pub topic: String,
    /// How to log in.
    pub login: Option<Login>,
    /// Certificates in PEM by which the broker's is checked, instead of those that browsers trust.
    pub authority: Option<PathBuf>,
    /// Most messages that wait while the broker cannot be reached; of more, the oldest are dropped.
    pub backlog: usize,
}

/// By what a broker knows who connects.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password, which [`Debug`] does not tell.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What was said of MQTT cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MqttError {
    /// The address cannot be understood.
    #[error(
        "{url:?} is no address of an MQTT broker, such as mqtt://broker:1883 or mqtts://broker: {reason}."
    )]
    Url {
        /// The address, without a password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The topic cannot be one.
    #[error(
        "{topic:?} is no topic that can be published to: it is empty, begins or ends with /, or has +, # or a control character."
    )]
    Topic {
        /// The topic.
        topic: String,
    },
    /// The certificates cannot be read.
    #[error("{} holds no certificate in PEM that can be used: {reason}.", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// No thread can be started.
    #[error("No thread can be started")]
    Thread(#[source] io::Error),
}

/// The connection to a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MqttStatus {
    /// Whether there is one now.
    pub connected: bool,
    /// Messages that wait, or are not acknowledged yet.
    pub backlog: u64,
    /// Messages that the broker has acknowledged.
    pub published: u64,
    /// Messages that were dropped because the backlog was full.
    pub dropped: u64,
}

/// A connection that is kept up by a thread of its own.
pub(crate) struct Mqtt {
    shared: Arc<Shared>,
}

struct Shared {
    topic: String,
    backlog: usize,
    board: StatusBoard,
    state: Mutex<State>,
    /// Told of everything that happens.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Message>,
    /// How many of the queue's first are on their way.
    in_flight: usize,
    /// While there is a connection.
    client: Option<Client>,
    status: MqttStatus,
    is_stopping: bool,
    has_ended: bool,
}

struct Message {
    is_status: bool,
    payload: Vec<u8>,
}

impl Mqtt {
    /// Begins to connect. Nothing waits for that.
    pub(crate) fn start(options: &MqttOptions, board: StatusBoard) -> Result<Self, MqttError> {
        let topic = &options.topic;
        let is_unfit = |it: char| matches!(it, '+' | '#') || it.is_control();
        if topic.is_empty()
            || topic.starts_with('/')
            || topic.ends_with('/')
            || topic.contains(is_unfit)
        {
            let topic = topic.clone();
            return Err(MqttError::Topic { topic });
        }
        let connecting = connecting(options)?;
        let shared = Arc::new(Shared {
            topic: topic.clone(),
            backlog: options.backlog.max(1),
            board,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let work = Arc::clone(&shared);
        thread::Builder::new()
            .name("mqtt".to_owned())
            .spawn(move || work.run(&connecting))
            .map_err(MqttError::Thread)?;
        Ok(Self { shared })
    }

    /// Queues a result.
    pub(crate) fn publish(&self, payload: Vec<u8>) {
        let mut state = self.shared.hold();
        self.shared.push(
            &mut state,
            Message {
                is_status: false,
                payload,
            },
        );
    }

    /// Says that the work has ended, and waits for messages to be acknowledged, but not for long.
    pub(crate) fn stop(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let shared = &self.shared;
        let mut state = shared.hold();
        state.is_stopping = true;
        let payload = shared.status_payload("offline");
        shared.push(
            &mut state,
            Message {
                is_status: true,
                payload,
            },
        );
        shared.changed.notify_all();
        let waits = |state: &State| state.client.is_some() && !state.queue.is_empty();
        state = shared.wait(state, end, waits);
        if !state.queue.is_empty() {
            // "offline" waits behind what is not acknowledged: without a farewell, the last will says it.
            state.client = None;
        } else if let Some(client) = &state.client {
            let _ = client.try_disconnect();
        }
        // What is sent last is on its way then.
        let end = end.max(Instant::now() + Duration::from_millis(50));
        drop(shared.wait(state, end, |state| {
            state.client.is_some() && !state.has_ended
        }));
    }
}

impl Shared {
    fn hold(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as that holds, until `end`.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        end: Instant,
        holds: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !holds(&state) {
                return state;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn status_payload(&self, state: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Payload<'a> {
            state: &'a str,
            #[serde(flatten)]
            status: crate::Status,
        }
        let status = self.board.get();
        serde_json::to_vec(&Payload { state, status }).unwrap_or_default()
    }

    /// Puts a message at the end of the queue, and sends what can be sent.
    fn push(&self, state: &mut State, message: Message) {
        let waiting = state.in_flight;
        if message.is_status {
            // Nobody needs the older one.
            let mut index = 0;
            state.queue.retain(|it| {
                index += 1;
                index <= waiting || !it.is_status
            });
        }
        if state.queue.len() >= self.backlog.max(waiting + 1) {
            state.queue.remove(waiting);
            state.status.dropped += 1;
        }
        state.queue.push_back(message);
        self.pump(state);
    }

    fn pump(&self, state: &mut State) {
        if state.status.connected
            && let Some(client) = &state.client
        {
            while state.in_flight < WINDOW
                && let Some(message) = state.queue.get(state.in_flight)
            {
                let name = if message.is_status {
                    "status"
                } else {
                    "result"
                };
                let topic = format!("{}/{name}", self.topic);
                let payload = message.payload.clone();
                let sent = client.try_publish(topic, QoS::AtLeastOnce, message.is_status, payload);
                if sent.is_err() {
                    break;
                }
                state.in_flight += 1;
            }
        }
        self.tell(state);
    }

    fn tell(&self, state: &mut State) {
        state.status.backlog = state.queue.len() as u64;
        let status = state.status.clone();
        self.board.change(|board| board.mqtt = Some(status));
        self.changed.notify_all();
    }

    /// Connects again and again until the work is to end.
    fn run(&self, connecting: &rumqttc::MqttOptions) {
        let mut pause = PAUSES.0;
        loop {
            // Each connection has a client of its own, so that no message of an earlier one comes in between.
            let (client, connection) = Client::new(connecting.clone(), 2 * WINDOW + 16);
            self.hold().client = Some(client);
            let was_connected = self.serve(connection);
            let mut state = self.hold();
            state.client = None;
            state.in_flight = 0;
            state.status.connected = false;
            self.tell(&mut state);
            pause = if was_connected {
                PAUSES.0
            } else {
                (pause * 2).min(PAUSES.1)
            };
            let until = Instant::now() + pause;
            state = self.wait(state, until, |state| !state.is_stopping);
            if state.is_stopping {
                state.has_ended = true;
                self.changed.notify_all();
                return;
            }
        }
    }

    /// Handles a connection until it breaks; says whether there was one.
    fn serve(&self, mut connection: Connection) -> bool {
        let mut was_connected = false;
        loop {
            let event = match connection.recv() {
                Ok(Ok(event)) => event,
                Ok(Err(error)) => {
                    if !self.hold().is_stopping {
                        let what = if was_connected {
                            "broke"
                        } else {
                            "cannot be made"
                        };
                        self.board.went_wrong(&format!(
                            "The connection to the MQTT broker {what}: {error}."
                        ));
                    }
                    return was_connected;
                }
                Err(_) => return was_connected,
            };
            let mut state = self.hold();
            match event {
                Event::Incoming(Packet::ConnAck(_)) => {
                    was_connected = true;
                    state.status.connected = true;
                    self.tell(&mut state);
                    if !state.is_stopping {
                        let payload = self.status_payload("online");
                        self.push(
                            &mut state,
                            Message {
                                is_status: true,
                                payload,
                            },
                        );
                    }
                    self.pump(&mut state);
                }
                Event::Incoming(Packet::PubAck(_)) => {
                    // Brokers acknowledge in the order of sending (MQTT-4.6.0-2).
                    if state.in_flight > 0 {
                        state.in_flight -= 1;
                        state.queue.pop_front();
                        state.status.published += 1;
                    }
                    self.pump(&mut state);
                }
                Event::Outgoing(Outgoing::PingReq) if !state.is_stopping => {
                    let payload = self.status_payload("online");
                    self.push(
                        &mut state,
                        Message {
                            is_status: true,
                            payload,
                        },
                    );
                }
                Event::Outgoing(Outgoing::Disconnect) => {
                    state.has_ended = true;
                    self.changed.notify_all();
                }
                _ => {}
            }
        }
    }
}

/// How the broker is connected to.
fn connecting(options: &MqttOptions) -> Result<rumqttc::MqttOptions, MqttError> {
    let fail = |reason: &str| {
        let shown = options
            .url
            .rsplit_once('@')
            .map_or(options.url.as_str(), |(_, host)| host);
        MqttError::Url {
            url: shown.to_owned(),
            reason: reason.to_owned(),
        }
    };
    let url = Url::parse(&options.url).map_err(|error| fail(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fail(
            "others can read a password there; put user and password into a file",
        ));
    }
    let (usual, is_safe) = match url.scheme() {
        "mqtt" => (1883, false),
        "mqtts" => (8883, true),
        _ => return Err(fail("it begins with neither mqtt:// nor mqtts://")),
    };
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| fail("it names no host"))?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(fail("something follows the host; the topic is named apart"));
    }
    let process = RandomState::new().hash_one(std::process::id());
    let name = format!("vcp-clip-{process:016x}");
    let mut connecting = rumqttc::MqttOptions::new(name, host, url.port().unwrap_or(usual));
    connecting
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_session(true)
        .set_max_packet_size(1 << 20, LONGEST);
    let will = r#"{"state":"offline"}"#;
    let status = format!("{}/status", options.topic);
    connecting.set_last_will(LastWill::new(status, will, QoS::AtLeastOnce, true));
    if let Some(Login { user, password }) = &options.login {
        connecting.set_credentials(user, password);
    }
    if is_safe {
        let config = tls(options.authority.as_deref())?;
        let config = TlsConfiguration::Rustls(Arc::new(config));
        connecting.set_transport(Transport::tls_with_config(config));
    }
    Ok(connecting)
}

fn tls(authority: Option<&Path>) -> Result<rustls::ClientConfig, MqttError> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(file) = authority {
        let fail = |reason: String| MqttError::Authority {
            file: file.to_owned(),
            reason,
        };
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| fail(error.to_string()))?;
        if certificates.is_empty() {
            return Err(fail("it has no section CERTIFICATE".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| fail(error.to_string()))?;
        }
    } else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(MqttError::Tls)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str, topic: &str) -> MqttOptions {
        MqttOptions {
            url: url.to_owned(),
            topic: topic.to_owned(),
            login: None,
            authority: None,
            backlog: 3,
        }
    }

    #[test]
    fn addresses_are_understood_or_refused() {
        for (url, port) in [
            ("mqtt://broker", 1883),
            ("mqtts://broker/", 8883),
            ("mqtt://127.0.0.1:99", 99),
        ] {
            let made = connecting(&options(url, "a")).unwrap();
            assert_eq!(made.broker_address().1, port);
            let will = made.last_will().unwrap();
            assert_eq!((will.topic.as_str(), will.retain), ("a/status", true));
        }
        for url in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://broker/topic",
        ] {
            assert!(connecting(&options(url, "a")).is_err(), "{url}");
        }
        let told = connecting(&options("mqtt://me:secret@broker", "a")).unwrap_err();
        assert!(!told.to_string().contains("secret"), "{told}");
        for topic in ["", "/a", "a/", "a/#", "+", "a\n"] {
            let refused = Mqtt::start(
                &options("mqtt://127.0.0.1:9", topic),
                StatusBoard::default(),
            );
            assert!(matches!(refused, Err(MqttError::Topic { .. })), "{topic}");
        }
    }

    #[test]
    fn certificates_have_to_be_some() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for content in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, content).unwrap();
            let refused = tls(Some(&file));
            assert!(
                matches!(refused, Err(MqttError::Authority { .. })),
                "{content}"
            );
        }
        assert!(tls(None).is_ok());
    }

    #[test]
    fn the_backlog_is_bounded_and_the_newest_stay() {
        let board = StatusBoard::default();
        // Nobody listens there.
        let mqtt = Mqtt::start(&options("mqtt://127.0.0.1:9", "a"), board.clone()).unwrap();
        for number in 0..10_u8 {
            mqtt.publish(vec![number]);
        }
        let state = mqtt.shared.hold();
        let kept: Vec<u8> = state.queue.iter().map(|it| it.payload[0]).collect();
        assert_eq!(kept, [7, 8, 9]);
        drop(state);
        let status = board.get().mqtt.unwrap();
        assert_eq!(
            (status.backlog, status.dropped, status.connected),
            (3, 7, false)
        );
        let begun = Instant::now();
        mqtt.stop(Duration::from_millis(100));
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
