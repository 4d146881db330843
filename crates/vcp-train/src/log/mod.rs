//! What a training run writes down.
//!
//! A [`RunLog`] keeps three things in the run's folder, each readable while the run goes on:
//!
//! - `metrics.jsonl`, one [`Record`] a line ([`MetricsLog`]). A resumed run cuts it back to the step
//!   it starts from, so it reads as the log of an unbroken run.
//! - `events.out.tfevents.…`, the same scalars for `TensorBoard` ([`EventWriter`]). A resumed run adds
//!   a file that tells `TensorBoard` to forget the steps that are trained again.
//! - `loss.png`, the curves of the loss and of the validation figures ([`write_loss_chart`]).

mod chart;
mod error;
mod events;
mod metrics;
mod protobuf;
mod record;
mod run;
mod series;

pub use chart::{ChartOptions, write_loss_chart};
pub use error::Error;
pub use events::EventWriter;
pub use metrics::{MetricsLog, read_metrics};
pub use record::Record;
pub use run::RunLog;
