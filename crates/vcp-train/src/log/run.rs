//! All that a run writes down, in one folder.

use std::path::{Path, PathBuf};

use super::{ChartOptions, Error, EventWriter, MetricsLog, Record, read_metrics, write_loss_chart};

/// The logs of one run: `metrics.jsonl`, the event files and `loss.png` in the run's folder.
#[derive(Debug)]
pub struct RunLog {
    folder: PathBuf,
    metrics: MetricsLog,
    events: EventWriter,
}

impl RunLog {
    /// Name of the file with one record a line.
    pub const METRICS: &'static str = "metrics.jsonl";
    /// Name of the picture of the curves.
    pub const CHART: &'static str = "loss.png";

    /// Begins the logs of a new run in `folder`, which has to exist.
    ///
    /// # Errors
    /// As [`MetricsLog::create`] and [`EventWriter::create`]: among others where the folder already
    /// holds the log of a run.
    pub fn create(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            folder: folder.to_owned(),
            metrics: MetricsLog::create(&folder.join(Self::METRICS))?,
            events: EventWriter::create(folder)?,
        })
    }

    /// Goes on with the logs of a run whose last finished step is `step`; what they say of later
    /// steps is dropped.
    ///
    /// # Errors
    /// As [`MetricsLog::resume`] and [`EventWriter::resume`].
    pub fn resume(folder: &Path, step: u64) -> Result<Self, Error> {
        Ok(Self {
            folder: folder.to_owned(),
            metrics: MetricsLog::resume(&folder.join(Self::METRICS), step)?,
            events: EventWriter::resume(folder, step)?,
        })
    }

    /// Writes a record to the event file and to `metrics.jsonl`, in this order: what is in
    /// `metrics.jsonl` is in both, wherever the process is killed.
    ///
    /// # Errors
    /// As [`EventWriter::scalars`] and [`MetricsLog::append`].
    pub fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.events.scalars(record.step, &record.scalars())?;
        self.metrics.append(record)
    }

    /// The step of the last record in `metrics.jsonl`.
    #[must_use]
    pub fn last_step(&self) -> Option<u64> {
        self.metrics.last_step()
    }

    /// The last record in `metrics.jsonl`.
    #[must_use]
    pub fn last(&self) -> Option<&Record> {
        self.metrics.last()
    }

    /// Waits until `metrics.jsonl` is on the disk; to be called before a checkpoint is written.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<(), Error> {
        self.metrics.sync()
    }

    /// Draws `loss.png` of everything in `metrics.jsonl`.
    ///
    /// # Errors
    /// As [`read_metrics`] and [`write_loss_chart`].
    pub fn draw(&self, options: &ChartOptions) -> Result<(), Error> {
        let records = read_metrics(&self.folder.join(Self::METRICS))?;
        write_loss_chart(&self.folder.join(Self::CHART), &records, options)
    }
}
