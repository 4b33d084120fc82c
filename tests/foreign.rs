//! Programs that are not ours, on the same RabbitMQ: they publish requests, and they listen to what workers announce.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::support::site::finish;
use crate::support::{Services, Story, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] =
        &[("requests_of_another_client_are_run", publish), ("listeners_get_the_documented_messages", listen)];
    stories("foreign", services, all)
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
for method, _, body in channel.consume(queue, auto_ack=True):
    message = json.loads(body)
    if message["release"] == release:
        print(json.dumps({"exchange": method.exchange, "message": message}), flush=True)
        if method.exchange == "testcomplete.fanout":
            break
"#;

/// A listener that does not outlive its test.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
    let site = services.site();
    let mut command = python(LISTEN);
    command.args([&services.rabbitmq().url(), &site.release]).stdout(Stdio::piped());
    let mut listener = Listener(command.spawn().expect("python3 starts"));
    let mut lines = BufReader::new(listener.0.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line")?, "listening");

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
    let messages: Vec<Value> = lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect();
    assert!(listener.0.wait()?.success());

    let of = |exchange: &str| -> Vec<Value> {
        messages.iter().filter(|one| one["exchange"] == exchange).map(|one| one["message"].clone()).collect()
    };
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
