//! What a broker promises, told as stories. Most are true of both backends; those about connections are RabbitMQ's alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apt_ci::broker::{
    Broker, BrokerError, Failure, MessageState, QueueState, QueueUrl, Rotation, Selector, Settlement, Wait,
};
use apt_ci::release::{Context, QueueName};
use apt_ci::request::Request;
use testkit::{Services, Trial};
use tokio_util::sync::CancellationToken;

use self::fixture::{BrokerFixture, eventually, requests, submit, take, take_package};
use self::helper::Helper;
pub use self::helper::become_helper;

/// Stories under each backend. The name of a story is the function's.
macro_rules! on_each_backend {
    ($services:expr; $($story:ident),* $(,)?) => {{
        let mut trials = Vec::new();
        for backend in [Backend::RabbitMq, Backend::Quorum, Backend::Local] {
            $(
                let own = Arc::clone($services);
                let name = format!("broker::{}::{}", backend.name(), stringify!($story));
                trials.push(Trial::test(name, move || {
                    fixture::play(async {
                        let stage = BrokerFixture::set(&own, backend);
                        $story(&stage).await;
                    });
                    Ok(())
                }));
            )*
        }
        trials
    }};
}

mod amqp;
mod claims;
mod contents;
mod delays;
mod fixture;
mod helper;
mod ids;
mod slots;
mod types;

/// Where a story happens.
#[derive(Clone, Copy)]
enum Backend {
    RabbitMq,
    /// RabbitMQ whose queues are quorum queues.
    Quorum,
    Local,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Quorum => "quorum",
            Self::Local => "local",
        }
    }
}

/// Every story, under each backend that it is true of.
pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let subjects =
        [amqp::trials, types::trials, ids::trials, slots::trials, claims::trials, delays::trials, contents::trials];
    subjects.into_iter().flat_map(|trials| trials(services)).collect()
}

fn failed(reason: &str, attempt: u32) -> Failure {
    // Whole seconds, as some clocks have no more.
    let time = "2026-11-20T10:00:00Z".parse().unwrap();
    Failure { worker: "here".to_owned(), reason: reason.to_owned(), attempt, time, host: false }
}

fn later(after: u64, failure: Option<Failure>, counts: bool) -> Settlement {
    Settlement::Later { after: Duration::from_secs(after), failure, counts }
}
