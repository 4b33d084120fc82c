//! A bare client of RabbitMQ.

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};

/// Returns a channel with confirms, on its own connection.
pub async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    (connection, channel)
}

/// Declares a durable queue.
pub async fn declare(channel: &Channel, queue: &str) {
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await.expect("a queue");
}

/// Publishes a persistent message and waits for its confirm.
pub async fn publish(channel: &Channel, queue: &str, body: &[u8]) {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let published = channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), body, properties);
    published.await.expect("published").await.expect("confirmed");
}

/// Consumes a queue without acknowledgements.
pub async fn consume(channel: &Channel, queue: &str) -> Consumer {
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    consumer.await.expect("a consumer")
}

/// Consumes the completions that workers announce.
pub async fn completions(channel: &Channel) -> Consumer {
    let own = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), own, FieldTable::default()).await.expect("a queue");
    let (exchange, durable) = ("testcomplete.fanout", ExchangeDeclareOptions { durable: true, ..Default::default() });
    let declared = channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, durable, FieldTable::default());
    declared.await.expect("the exchange of the announcements");
    let (name, options) = (queue.name().clone(), QueueBindOptions::default());
    channel.queue_bind(name, exchange.into(), "".into(), options, FieldTable::default()).await.expect("a binding");
    consume(channel, queue.name().as_str()).await
}
