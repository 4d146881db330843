//! A watched folder, whose photos take turns at the model with those that are sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::sleep;
use vcp_clip::photos::{Decoding, PhotoPath};
use vcp_clip::record::Line;
use vcp_clip::{DecodedPhoto, Error, Inspection, Inspector, Stop};
use vcp_history::ModelEntry;
use vcp_watch::{Inspect, Status, StatusBoard, Watch, WatchOptions};

use crate::events::Event;
use crate::model_thread::Wanted;
use crate::models::ServedModel;
use crate::state::State;

/// How often it is looked whether there is something to tell of the folder.
const INTERVAL: Duration = Duration::from_millis(500);

/// Inspects photos of the folder with a model of the server, as it is at the time.
struct ThroughServer {
    state: State,
    model: Arc<ServedModel>,
    decoding: Decoding,
    runtime: Handle,
}

impl Inspect for ThroughServer {
    type Decoded = (DecodedPhoto, Arc<Inspector>);

    fn decode(
        &self,
        photo: &PhotoPath,
        content: &[u8],
        label: &str,
    ) -> Result<Self::Decoded, Error> {
        let begun = Instant::now();
        let inspector = self.model.inspector();
        let decoded = inspector.decode_bytes(content, label, &self.decoding.of(photo))?;
        self.state.metrics.stage("decode", begun.elapsed());
        Ok((decoded, inspector))
    }

    fn inspect(
        &self,
        (decoded, inspector): Self::Decoded,
        stop: &Stop,
    ) -> Result<(Inspection, Duration), Error> {
        let (stop, begun) = (stop.clone(), Instant::now());
        let work = move |_: &Wanted| {
            let (waited, begun) = (begun.elapsed(), Instant::now());
            let outcome = inspector.inspect_decoded(decoded, &mut |_, _| stop.flow());
            (outcome, waited, begun.elapsed())
        };
        // The thread takes one at a time in the order in which they come, and there is never more than one from here.
        let done = self.runtime.block_on(self.state.thread.run(work));
        let (outcome, waited, time) = done.map_err(|refusal| {
            self.state.tell(&refusal.detail.unwrap_or(refusal.sentence));
            Error::Internal
        })?;
        self.state.queue.took(time);
        self.state.metrics.stage("model", time);
        self.state.metrics.waited(waited);
        Ok((outcome?, time))
    }

    fn model(&self) -> ModelEntry {
        ModelEntry {
            name: self.model.name().to_owned(),
            digest: self.model.digest().to_owned(),
        }
    }
}

/// Begins to watch a folder, once there is what inspects its photos.
pub(crate) fn start(
    state: &State,
    model: &Arc<ServedModel>,
    options: WatchOptions,
) -> Result<Watch, vcp_watch::Error> {
    let teller = Arc::clone(state);
    let inspect = ThroughServer {
        state: Arc::clone(state),
        model: Arc::clone(model),
        decoding: model
            .inspector()
            .decoding(move |settled| teller.tell(&settled.to_string())),
        runtime: Handle::current(),
    };
    let (hearer, name) = (Arc::clone(state), model.name().to_owned());
    let watch = Watch::start(Arc::new(inspect), options, move |event| {
        match event.line {
            Line::Done(record) if !event.is_late => {
                let (decision, score) = (record.decision, record.score);
                hearer.metrics.decided(&name, "watch", decision, score);
            }
            Line::Done(_) => {}
            Line::Failed(failure) => hearer.tell(&failure.error),
        }
        if let Some(id) = event.id {
            hearer.announce(id);
        }
        Ok(())
    })?;
    state.metrics.watches(watch.board());
    state.watches(watch.board());
    tokio::spawn(tell(Arc::clone(state), watch.board()));
    Ok(watch)
}

/// Tells those who listen how far the watching is, and the operator what goes wrong.
async fn tell(state: State, board: StatusBoard) {
    let mut last = Status::default();
    loop {
        let status = board.get();
        if status.errors > last.errors
            && let Some(error) = &status.last_error
        {
            state.tell(error);
        }
        if status != last {
            state.events.send(Event::Watch, &shown(status.clone()));
            last = status;
        }
        sleep(INTERVAL).await;
    }
}

/// The status as clients see it. What ends the watching may name files of this machine.
pub(crate) fn shown(status: Status) -> Status {
    Status {
        last_error: status.last_error.filter(|_| status.running),
        ..status
    }
}
