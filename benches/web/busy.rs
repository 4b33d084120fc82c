//! Load on the queue server: a steady stream of messages, which are consumed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tokio::time::{MissedTickBehavior, interval};

/// Messages per second.
const RATE: u64 = 1000;

/// Starts the load. The returned number of consumed messages grows as long as the runtime lives.
pub async fn begin(url: &str) -> Arc<AtomicU64> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a connection");
    let (publisher, consumer) =
        (connection.create_channel().await.expect("a channel"), connection.create_channel().await.expect("a channel"));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    consumer.queue_declare("busy".into(), durable, FieldTable::default()).await.expect("a queue");
    consumer.basic_qos(100, BasicQosOptions::default()).await.expect("a prefetch");
    publisher.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let options = BasicConsumeOptions::default();
    let mut messages =
        consumer.basic_consume("busy".into(), "".into(), options, FieldTable::default()).await.expect("a consumer");
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let _connection = connection;
        while let Some(Ok(message)) = messages.next().await {
            let _ = message.ack(BasicAckOptions::default()).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let properties = BasicProperties::default().with_delivery_mode(2);
        loop {
            ticks.tick().await;
            for _ in 0..RATE / 100 {
                let body = [b'x'; 500];
                let published = publisher.basic_publish(
                    "".into(),
                    "busy".into(),
                    BasicPublishOptions::default(),
                    &body,
                    properties.clone(),
                );
                if published.await.is_err() {
                    return;
                }
            }
        }
    });
    count
}
