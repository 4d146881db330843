//! Telling an MQTT broker.
//!
//! Messages wait in a queue of this module's own, and leave it when the broker has acknowledged them: what was on its
//! way when a connection broke is sent again. (In MQTT, quality of service 1: at least once.)

mod connecting;
mod queue;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Outgoing, Packet, QoS};
use serde::{Deserialize, Serialize};

use crate::status::StatusBoard;
use connecting::connecting;
use queue::{Message, Queue, WINDOW};

/// Pauses before connecting again, from the first to the longest.
const PAUSES: (Duration, Duration) = if cfg!(test) {
    (Duration::from_millis(10), Duration::from_millis(50))
} else {
    (Duration::from_millis(500), Duration::from_secs(30))
};

/// How often a connection on which nothing happens looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(250);

/// Longest message in bytes.
const LONGEST: usize = 16 << 20;

/// Most bytes of all messages that wait.
const MOST_BYTES: usize = 64 << 20;

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
    /// Most results that wait while the broker cannot be reached, 64 MiB at most; of more, the oldest are dropped.
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
    /// Results that wait, or are not acknowledged yet.
    pub backlog: u64,
    /// Messages that the broker has acknowledged.
    pub published: u64,
    /// Results that were given up: the backlog was full, or the broker does not take them.
    pub dropped: u64,
}

/// Is told of a result whose message the broker has acknowledged, or that was given up.
type Settled = Box<dyn Fn(&str) + Send + Sync>;

/// A connection that is kept up by a thread of its own, until this is dropped.
pub(crate) struct Mqtt {
    shared: Arc<Shared>,
}

struct Shared {
    topic: String,
    board: StatusBoard,
    settled: Settled,
    state: Mutex<State>,
    /// Told of everything that happens.
    changed: Condvar,
}

struct State {
    queue: Queue,
    /// While there is a connection, or one is being made. Without one, a connection ends.
    client: Option<AsyncClient>,
    status: MqttStatus,
    is_stopping: bool,
    has_ended: bool,
}

impl Mqtt {
    /// Begins to connect. Nothing waits for that. `settled` is told the key of each result that need not be kept for
    /// the broker any more.
    pub(crate) fn start(
        options: &MqttOptions,
        board: StatusBoard,
        settled: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, MqttError> {
        let connecting = connecting(options)?;
        let state = State {
            queue: Queue::new(options.backlog.max(1), MOST_BYTES),
            client: None,
            status: MqttStatus::default(),
            is_stopping: false,
            has_ended: false,
        };
        let shared = Arc::new(Shared {
            topic: options.topic.clone(),
            board,
            settled: Box::new(settled),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        shared.tell(&mut shared.hold());
        let work = Arc::clone(&shared);
        thread::Builder::new()
            .name("mqtt".to_owned())
            .spawn(move || work.run(&connecting))
            .map_err(MqttError::Thread)?;
        Ok(Self { shared })
    }

    /// Queues a result; `key` is told when it need not be kept any more.
    pub(crate) fn publish(&self, payload: Vec<u8>, key: Option<String>) {
        let message = Message::result(payload, key);
        if message.payload.len() > LONGEST {
            let size = message.payload.len() >> 20;
            self.shared.give_up(
                &message,
                &format!("it has {size} MiB, and none of more than 16 is sent"),
            );
        } else {
            self.shared.push(message);
        }
    }

    /// Says that the work has ended, and waits for messages to be acknowledged: so long while there is a connection,
    /// and a fifth of that for there to be one.
    pub(crate) fn stop(&self, patience: Duration) {
        let begun = Instant::now();
        let shared = &self.shared;
        shared.hold().is_stopping = true;
        shared.push(Message::status(shared.status_payload("offline")));
        let mut state = shared.wait(shared.hold(), begun + patience / 5, |state| {
            !state.queue.is_empty()
        });
        state = shared.wait(state, begun + patience, |state| {
            state.status.connected && !state.queue.is_empty()
        });
        if !state.queue.is_empty() {
            // "offline" waits behind what is not acknowledged: without a farewell, the last will says it.
            state.client = None;
        } else if let Some(client) = &state.client {
            let _ = client.try_disconnect();
        }
        // What is sent last is on its way then.
        let end = Instant::now() + Duration::from_millis(50);
        drop(shared.wait(state, end, |state| {
            state.client.is_some() && !state.has_ended
        }));
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        let mut state = self.shared.hold();
        state.is_stopping = true;
        state.client = None;
        self.shared.changed.notify_all();
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
    fn push(&self, message: Message) {
        let mut state = self.hold();
        let dropped = state.queue.push(message);
        state.status.dropped += dropped.len() as u64;
        self.pump(&mut state);
        drop(state);
        // Whoever keeps results may take a while to note it.
        for message in &dropped {
            self.settle(message);
        }
    }

    fn settle(&self, message: &Message) {
        if let Some(key) = &message.key {
            (self.settled)(key);
        }
    }

    /// Notes that a message will never be sent.
    fn give_up(&self, message: &Message, reason: &str) {
        let what = if message.is_status {
            "the status"
        } else {
            "a result"
        };
        self.board
            .went_wrong(&format!("The MQTT broker is not told of {what}: {reason}."));
        if !message.is_status {
            let mut state = self.hold();
            state.status.dropped += 1;
            self.tell(&mut state);
        }
        self.settle(message);
    }

    fn pump(&self, state: &mut State) {
        let State {
            queue,
            client,
            status,
            ..
        } = state;
        if let Some(client) = client.as_ref().filter(|_| status.connected) {
            while let Some(message) = queue.next() {
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
                queue.hand_out(Instant::now());
            }
        }
        self.tell(state);
    }

    fn tell(&self, state: &mut State) {
        state.status.backlog = state.queue.results() as u64;
        let status = state.status.clone();
        self.board.change(|board| board.mqtt = Some(status));
        self.changed.notify_all();
    }

    /// Connects again and again until the work is to end.
    fn run(&self, connecting: &rumqttc::MqttOptions) {
        let mut pause = PAUSES.0;
        loop {
            // Each connection has a client of its own, so that no message of an earlier one comes in between.
            let (client, connection) = AsyncClient::new(connecting.clone(), 2 * WINDOW + 16);
            let mut state = self.hold();
            if state.is_stopping {
                return;
            }
            state.client = Some(client);
            drop(state);
            let has_acknowledged = self.serve(connection);
            let mut state = self.hold();
            state.client = None;
            state.status.connected = false;
            let given_up = state.queue.interrupt();
            self.tell(&mut state);
            drop(state);
            if let Some(message) = given_up {
                self.give_up(
                    &message,
                    "each connection on which it was sent ended without its being acknowledged",
                );
            }
            pause = if has_acknowledged {
                PAUSES.0
            } else {
                (pause * 2).min(PAUSES.1)
            };
            let until = Instant::now() + pause;
            let mut state = self.wait(self.hold(), until, |state| !state.is_stopping);
            if state.is_stopping {
                state.has_ended = true;
                self.changed.notify_all();
                return;
            }
        }
    }

    /// What happens next on a connection; nothing when it is not wanted any more. What the connection is at is never left in
    /// the middle before that: it would take a message that is half written for one that is on its way.
    async fn event(&self, connection: &mut EventLoop) -> Option<Result<Event, ConnectionError>> {
        let mut next = std::pin::pin!(connection.poll());
        loop {
            self.hold().client.as_ref()?;
            if let Ok(event) = tokio::time::timeout(LOOK, &mut next).await {
                return Some(event);
            }
        }
    }

    /// Handles a connection until it ends; says whether anything was acknowledged.
    fn serve(&self, mut connection: EventLoop) -> bool {
        let (mut was_connected, mut has_acknowledged) = (false, false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                self.board.went_wrong(&format!(
                    "The connection to the MQTT broker cannot be made: {error}."
                ));
                return false;
            }
        };
        loop {
            let event = match runtime.block_on(self.event(&mut connection)) {
                Some(Ok(event)) => event,
                None => return has_acknowledged,
                Some(Err(error)) => {
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
                    return has_acknowledged;
                }
            };
            match event {
                Event::Incoming(Packet::ConnAck(_)) => {
                    was_connected = true;
                    let mut state = self.hold();
                    state.status.connected = true;
                    let is_stopping = state.is_stopping;
                    self.pump(&mut state);
                    drop(state);
                    if !is_stopping {
                        self.push(Message::status(self.status_payload("online")));
                    }
                }
                Event::Outgoing(Outgoing::Publish(packet)) => self.hold().queue.identify(packet),
                Event::Incoming(Packet::PubAck(acknowledged)) => {
                    has_acknowledged = true;
                    let mut state = self.hold();
                    let message = state.queue.acknowledge(acknowledged.pkid);
                    state.status.published += u64::from(message.is_some());
                    self.pump(&mut state);
                    drop(state);
                    if let Some(message) = message {
                        self.settle(&message);
                    }
                }
                Event::Outgoing(Outgoing::PingReq) => {
                    let state = self.hold();
                    let (is_stuck, is_stopping) =
                        (state.queue.is_stuck(Instant::now()), state.is_stopping);
                    drop(state);
                    if is_stuck {
                        self.board.went_wrong(
                            "The MQTT broker does not acknowledge a message, so it is connected to again.",
                        );
                        return has_acknowledged;
                    }
                    if !is_stopping {
                        self.push(Message::status(self.status_payload("online")));
                    }
                }
                Event::Outgoing(Outgoing::Disconnect) => {
                    self.hold().has_ended = true;
                    self.changed.notify_all();
                }
                _ => {}
            }
        }
    }
}
