//! How far the work is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::moves::Outcome;
use crate::mqtt::MqttStatus;

/// How far the watching of a folder is, since it began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "WatchStatus"))]
pub struct Status {
    /// The folder.
    pub folder: String,
    /// Whether photos are inspected; not before the first look at the folder and not after the end.
    pub running: bool,
    /// Photos that wait to be inspected, or of which it is not known yet whether they are whole.
    pub waiting: u64,
    /// Photos that were inspected.
    pub inspected: u64,
    /// Those with the decision `ok`.
    pub ok: u64,
    /// Those with the decision `review`.
    pub review: u64,
    /// Those with the decision `defect`.
    pub defect: u64,
    /// Photos that could not be inspected.
    pub failed: u64,
    /// Photos that were inspected, or failed, in the last minute.
    pub last_minute: u64,
    /// What went wrong besides: photos that could not be moved, connections that broke.
    pub errors: u64,
    /// The last that went wrong, also with a photo, as a sentence.
    pub last_error: Option<String>,
    /// The connection to the MQTT broker, if there is to be one.
    pub mqtt: Option<MqttStatus>,
}

impl Status {
    /// What to say when the watching has ended and the MQTT broker was not told of all; none if it was.
    #[must_use]
    pub fn untold(&self) -> Option<String> {
        let mqtt = self.mqtt.as_ref()?;
        let waiting = match mqtt.backlog {
            0 => None,
            waiting => Some(format!(
                "{waiting} results wait for the MQTT broker; those that are in the history are sent at the next start"
            )),
        };
        let dropped = match mqtt.dropped {
            0 => None,
            dropped => Some(format!("{dropped} were given up")),
        };
        let parts: Vec<_> = waiting.into_iter().chain(dropped).collect();
        match &parts[..] {
            [] => None,
            [dropped] if mqtt.backlog == 0 => {
                Some(format!("Of the results for the MQTT broker, {dropped}."))
            }
            parts => Some(format!("{}.", parts.join(", and "))),
        }
    }
}

/// A [`Status`] that one thread keeps and others read. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    status: Status,
    /// When photos were done with in the last minute.
    recent: VecDeque<Instant>,
}

impl Board {
    fn forget_old(&mut self) {
        const MINUTE: Duration = Duration::from_mins(1);
        while self.recent.front().is_some_and(|it| it.elapsed() > MINUTE) {
            self.recent.pop_front();
        }
        self.status.last_minute = self.recent.len() as u64;
    }
}

impl StatusBoard {
    fn hold(&self) -> MutexGuard<'_, Board> {
        // Counts are as good after a panic as before it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> Status {
        let mut board = self.hold();
        board.forget_old();
        board.status.clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.hold().status);
    }

    pub(crate) fn count(&self, outcome: Outcome, error: Option<&str>) {
        let mut board = self.hold();
        board.recent.push_back(Instant::now());
        board.forget_old();
        let status = &mut board.status;
        match outcome {
            Outcome::Ok => status.ok += 1,
            Outcome::Review => status.review += 1,
            Outcome::Defect => status.defect += 1,
            Outcome::Failed => status.failed += 1,
        }
        if outcome != Outcome::Failed {
            status.inspected += 1;
        }
        if let Some(error) = error {
            status.last_error = Some(error.to_owned());
        }
    }

    pub(crate) fn went_wrong(&self, error: &str) {
        self.change(|status| {
            status.errors += 1;
            status.last_error = Some(error.to_owned());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_was_not_told_is_said() {
        let of = |backlog, dropped| {
            let mqtt = MqttStatus {
                backlog,
                dropped,
                ..MqttStatus::default()
            };
            Status {
                mqtt: Some(mqtt),
                ..Status::default()
            }
            .untold()
        };
        assert_eq!(Status::default().untold(), None);
        assert_eq!(of(0, 0), None);
        assert!(of(3, 0).unwrap().starts_with("3 results wait"));
        assert_eq!(
            of(0, 2).unwrap(),
            "Of the results for the MQTT broker, 2 were given up."
        );
        assert!(of(3, 2).unwrap().ends_with(", and 2 were given up."));
    }
}
