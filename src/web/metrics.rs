//! Metrics for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Service;
use super::reply::Reply;
use crate::forge::Forge;
use crate::pulls::Stage;
use crate::pulls::status_reporter::StatusCounts;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivery {
    forge: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    forge: &'static str,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedKey {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStage {
    stage: &'static str,
}

/// All metrics of the service.
pub(super) struct Metrics {
    registry: Registry,
    deliveries: Family<Delivery, Counter>,
    refusals: Family<Refusal, Counter>,
    refused_keys: Family<RefusedKey, Counter>,
    seconds: Histogram,
    requests: Counter,
    statuses: Counter,
    failures: Counter,
    tests: Family<OfStage, Gauge<u64, AtomicU64>>,
    unshown: Gauge<u64, AtomicU64>,
    troubled: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let mut metrics = Self {
            registry: Registry::with_prefix("apt_ci"),
            deliveries: Family::default(),
            refusals: Family::default(),
            refused_keys: Family::default(),
            seconds: Histogram::new(buckets),
            requests: Counter::default(),
            statuses: Counter::default(),
            failures: Counter::default(),
            tests: Family::default(),
            unshown: Gauge::default(),
            troubled: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "deliveries",
            "Deliveries of forges, by the status of the answer",
            metrics.deliveries.clone(),
        );
        registry.register("refused_deliveries", "Deliveries that were refused", metrics.refusals.clone());
        registry.register("refused_keys", "Keys of users that were refused", metrics.refused_keys.clone());
        registry.register("delivery_seconds", "How long deliveries waited for their answer", metrics.seconds.clone());
        registry.register("queued_requests", "Requests that the broker has confirmed", metrics.requests.clone());
        registry.register("shown_statuses", "Statuses that a forge has taken", metrics.statuses.clone());
        registry.register("failed_statuses", "Attempts to show a status that failed", metrics.failures.clone());
        registry.register("pull_tests", "Tests of pull requests, by stage", metrics.tests.clone());
        registry.register("unshown_statuses", "Statuses that no forge has taken yet", metrics.unshown.clone());
        registry.register("troubled_statuses", "Those of them that failed at least once", metrics.troubled.clone());
        metrics
    }

    pub(super) fn delivered(&self, forge: Forge, status: StatusCode, took: Duration) {
        self.deliveries.get_or_create(&Delivery { forge: forge.as_str(), status: status.as_u16() }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn refused(&self, forge: Forge, reason: &str) {
        self.refusals.get_or_create(&Refusal { forge: forge.as_str(), reason: reason.to_owned() }).inc();
    }

    pub(super) fn refused_key(&self, reason: &'static str) {
        self.refused_keys.get_or_create(&RefusedKey { reason }).inc();
    }

    pub(super) fn queued(&self, requests: usize) {
        self.requests.inc_by(requests as u64);
    }

    pub(super) fn count_statuses(&self, told: StatusCounts) {
        self.statuses.inc_by(told.taken as u64);
        self.failures.inc_by(told.failed as u64);
    }
}

/// Returns all metrics in the OpenMetrics text format.
pub(super) async fn show(State(service): State<Arc<Service>>) -> Response {
    let metrics = &service.metrics;
    match service.journal.counts().await {
        Ok(counts) => {
            for (stage, count) in Stage::ALL.iter().zip(counts.stages) {
                metrics.tests.get_or_create(&OfStage { stage: stage.as_str() }).set(count);
            }
            metrics.unshown.set(counts.unshown);
            metrics.troubled.set(counts.troubled);
        }
        Err(failure) => return Reply::later(failure.to_string()).into_response(),
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &metrics.registry);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
