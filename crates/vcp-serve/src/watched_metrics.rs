//! Metrics of a watched folder: its status, as it is when they are asked for.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use vcp_watch::{Outcome, StatusBoard};

/// The status of a watched folder as metrics.
#[derive(Debug)]
pub(crate) struct Watched(pub(crate) StatusBoard);

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let status = self.0.get();
        let mut photos = encoder.encode_descriptor(
            "watch_photos",
            "Photos of the watched folder by how they came out",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in [
            (Outcome::Ok, status.ok),
            (Outcome::Review, status.review),
            (Outcome::Defect, status.defect),
            (Outcome::Failed, status.failed),
        ] {
            let labels = [("outcome", outcome.word())];
            let photos = photos.encode_family(&labels)?;
            ConstCounter::new(count).encode(photos)?;
        }
        let mut counter = |name: &str, help: &str, count: u64| {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(encoder)
        };
        counter(
            "watch_errors",
            "What went wrong besides photos that failed",
            status.errors,
        )?;
        if let Some(mqtt) = &status.mqtt {
            counter(
                "watch_mqtt_published",
                "Messages that the MQTT broker has acknowledged",
                mqtt.published,
            )?;
            counter(
                "watch_mqtt_dropped",
                "Messages that were given up",
                mqtt.dropped,
            )?;
        }
        let mut gauge = |name: &str, help: &str, value: u64| {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
        };
        gauge(
            "watch_running",
            "1 while photos of the folder are inspected",
            status.running.into(),
        )?;
        gauge(
            "watch_backlog",
            "Photos of the folder that wait",
            status.waiting,
        )?;
        gauge(
            "watch_last_minute_photos",
            "Photos of the folder that were done with in the last minute",
            status.last_minute,
        )?;
        if let Some(mqtt) = &status.mqtt {
            gauge(
                "watch_mqtt_connected",
                "1 while the MQTT broker is connected",
                mqtt.connected.into(),
            )?;
            gauge(
                "watch_mqtt_backlog",
                "Messages that wait for the MQTT broker, or for its acknowledgement",
                mqtt.backlog,
            )?;
        }
        Ok(())
    }
}
