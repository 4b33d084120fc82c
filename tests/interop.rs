//! Programs that are not ours, on the same RabbitMQ: they publish requests, and they listen to what workers announce.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use apt_ci::store::{Entry, Query, StoreError};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::site::finish;
use testkit::{Services, Story, Trial, block_on, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("requests_of_another_client_are_run", publish),
        ("listeners_get_the_documented_messages", listen),
        ("listeners_learn_nothing_of_a_private_run", listen_to_private),
    ];
    stories("interop", services, all)
}

const PUBLISH: &str = r#"
import pika, sys
url, queue = sys.argv[1:3]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
channel.confirm_delivery()
for body in sys.argv[3:]:
    channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)
"#;

/// Listens to both exchanges, says so, and prints each message of a release until its test has completed.
const LISTEN: &str = r#"
import json, pika, sys
url, release = sys.argv[1:3]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
queue = channel.queue_declare("", exclusive=True).method.queue
channel.exchange_declare("teststatus.fanout", "fanout")
channel.exchange_declare("testcomplete.fanout", "fanout", durable=True)
for exchange in ["teststatus.fanout", "testcomplete.fanout"]:
    channel.queue_bind(queue, exchange)
print("listening", flush=True)
for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=300):
    if method is None:
        sys.exit("nothing comes")
    message = json.loads(body)
    if message["release"] == release:
        print(json.dumps({"exchange": method.exchange, "message": message}), flush=True)
        if method.exchange == "testcomplete.fanout":
            break
"#;

/// A listener that does not outlive its test.
pub struct Listener {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Listener {
    /// One that listens already.
    pub fn start(services: &Services, release: &str) -> Self {
        let mut command = python(LISTEN);
        command.args([&services.rabbitmq().url(), release]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert_eq!(lines.next().expect("a line").expect("text"), "listening");
        Self { child, lines }
    }

    /// All messages up to the first completion.
    pub fn messages(mut self) -> Vec<Value> {
        let messages = self.lines.by_ref().map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"));
        let messages = messages.collect();
        assert!(self.child.wait().expect("the listener ends").success());
        messages
    }
}

/// The messages of one exchange.
fn of(messages: &[Value], exchange: &str) -> Vec<Value> {
    messages.iter().filter(|one| one["exchange"] == exchange).map(|one| one["message"].clone()).collect()
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(script: &str) -> Command {
    // Debian's, which has pika: another one may come first in PATH.
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", script]);
    command
}

fn publish(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    // Makes the queue.
    site.ok(&["worker", "--drain"]);
    let mut command = python(PUBLISH);
    command.args([&services.rabbitmq().url(), &site.queue_name()]);
    command.args(["newline\n{\"triggers\": [\"a/1\"], \"x-other\": 7}", "space {\"triggers\": [\"b/2\"]}", "bare"]);
    let finished = finish(command);
    assert!(finished.status.success(), "{finished:#?}");
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.starts(), ["newline", "space", "bare"]);
    let results = site.results();
    assert!(results.iter().all(|run| run["outcome"] == "pass" && run["uuid"].is_string()), "{results:#?}");
    Ok(())
}

fn listen(services: &Services) -> Result<(), Failed> {
    let site = services.site().with_pocket("proposed");
    let listener = Listener::start(services, &site.release);
    let id = site.ok(&[
        "run",
        "-s",
        &site.release,
        "--trigger",
        "a/1",
        "--trigger",
        "b/2",
        "--env",
        "STUB_LINES=500",
        "--env",
        "STUB_EXIT=4",
        "--all-proposed",
        "--testname",
        "smoke",
        "--requester",
        "jane",
        "gzip",
    ]);
    let id = id.trim().rsplit('\t').next().expect("the request's id").to_owned();
    site.ok(&["worker", "--drain"]);
    let messages = listener.messages();
    let of = |exchange: &str| of(&messages, exchange);
    let status = of("teststatus.fanout");
    assert_eq!(
        (status.first().map(|one| &one["running"]), status.last().map(|one| &one["running"])),
        (Some(&json!(true)), Some(&json!(false)))
    );
    let last = status.last().expect("a status");
    assert_eq!((&last["package"], &last["architecture"]), (&json!("gzip"), &json!("amd64")));
    assert_eq!(last["params"]["triggers"], json!(["a/1", "b/2"]));
    assert_eq!(last["params"]["uuid"], json!(id));
    assert!(last["duration"].is_u64(), "{last}");
    let tail = last["logtail"].as_str().expect("a text");
    assert!(tail.starts_with("autopkgtest [stub]: starting gzip\nline 1\n"), "{tail}");
    assert!(tail.ends_with("line 500\nautopkgtest [stub]: the end\n") && !tail.contains("line 50\n"), "{tail}");

    let complete = of("testcomplete.fanout");
    let [complete] = complete.as_slice() else { panic!("one completion: {complete:#?}") };
    let path = complete["swift_dir"].as_str().expect("a folder");
    assert!(path.starts_with(&format!("{}/amd64/g/gzip/2", site.release)), "{path}");
    let mut known = complete.clone();
    for varying in ["swift_dir", "duration"] {
        assert!(known.as_object_mut().expect("an object").remove(varying).is_some(), "{varying} in {complete}");
    }
    let expected = json!({
        "architecture": "amd64",
        "container": format!("autopkgtest-{}", site.release),
        "env": "STUB_LINES=500,STUB_EXIT=4,all-proposed=1,testname=smoke",
        "exitcode": 4,
        "package": "gzip",
        "release": site.release,
        "requester": "jane",
        "testpkg_version": "1.0-1",
        "triggers": "a/1 b/2",
    });
    // Other parameters of the request may stand in env as well, in any order.
    let sorted = |value: &Value| {
        let mut parts: Vec<String> = value["env"].as_str().unwrap_or_default().split(',').map(str::to_owned).collect();
        parts.sort();
        parts
    };
    for part in ["all-proposed=1", "testname=smoke"] {
        assert!(sorted(&known).iter().any(|one| one == part), "{part} in {known}");
    }
    known["env"] = expected["env"].clone();
    assert_eq!(known, expected);
    Ok(())
}

fn listen_to_private(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    // Makes the queue.
    site.ok(&["worker", "--drain"]);
    let listener = Listener::start(services, &site.release);
    let mut command = python(PUBLISH);
    command.args([&services.rabbitmq().url(), &site.queue_name()]);
    command.arg(
        "hidden\n{\"swiftuser\": \"ann\", \"readable-by\": [\"bob\"], \"triggers\": [\"secret/1\"], \
         \"env\": [\"STUB_EXIT=4\", \"STUB_LINES=5\"], \"requester\": \"jane\", \"testname\": \"embargo\"}",
    );
    let finished = finish(command);
    assert!(finished.status.success(), "{finished:#?}");
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.starts(), ["hidden"]);

    let messages = listener.messages();
    let told = Value::from(messages.clone()).to_string();
    for word in ["hidden", "secret", "jane", "ann", "bob", "embargo", "STUB", "stub"] {
        assert!(!told.contains(word), "{word} in {told}");
    }
    let status = of(&messages, "teststatus.fanout");
    assert!(status.iter().all(|one| one["package"] == "private-test" && one["params"] == json!({})), "{status:#?}");
    let complete = of(&messages, "testcomplete.fanout");
    let [complete] = complete.as_slice() else { panic!("one completion: {complete:#?}") };
    let container = format!("private-autopkgtest-{}", site.release);
    assert_eq!((&complete["container"], &complete["exitcode"]), (&json!(container), &json!(4)));

    // Nothing of it is public, and its owner finds all of it.
    assert_eq!(site.results(), Vec::<Value>::new());
    let swift = services.swift();
    block_on(async {
        let refused = swift.anonymous().list(&container, &Query::default()).await;
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
        let entries = swift.store().list(&container, &Query::default()).await.expect("listed by its owner");
        let names = entries.into_iter().filter_map(|entry| match entry {
            Entry::Object(object) => object.name.rsplit_once('/').map(|(_, name)| name.to_owned()),
            Entry::Prefix(_) => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), ["artifacts.tar.gz", "log.gz", "readable-by", "result.tar"]);
    });
    Ok(())
}
