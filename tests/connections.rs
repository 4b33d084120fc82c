//! The connection to RabbitMQ, and what other clients and the broker itself send through it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apt_ci::broker::{Broker, BrokerError, Message, MessageState, Settlement, Wait};
use apt_ci::release::QueueName;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use testkit::proxy::{Hold, Proxy};
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, block_on, stories};
use tokio_util::sync::CancellationToken;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_message_with_large_headers_holds_up_nobody", large_headers),
        ("garbage_on_the_wire_is_a_lost_connection", garbage),
        ("a_message_with_deeply_nested_headers_ends_nobody", nested_headers),
        ("a_look_leaves_no_error_in_the_brokers_log", quiet_log),
        ("an_alarm_is_named_and_stops_neither_looking_nor_removing", alarm),
        ("copies_are_refused_under_an_alarm_before_anything_is_held", alarm_before_copies),
        ("a_batch_asks_no_more_questions_than_one_request", questions),
        ("requests_that_were_not_confirmed_are_sent_again_without_doubles", unconfirmed),
        ("a_missing_permission_is_named_with_the_command_that_grants_it", permission),
        ("the_end_of_a_test_is_heard_and_a_queue_without_a_worker_is_named", heard),
        ("without_a_site_what_cannot_be_seen_is_said", no_site),
        ("a_worker_with_wrong_credentials_does_not_start", wrong_credentials),
    ];
    stories("connections", services, all)
}

/// Publishes a request with headers of this size, as another program may.
fn publish_with_headers(site: &TestSite, package: &str, size: usize) {
    block_on(async {
        let connection = Connection::connect(site.addresses().0, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let mut headers = FieldTable::default();
        headers.insert("x-theirs".into(), AMQPValue::LongString("h".repeat(size).into()));
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        let (key, options) = (site.queue_name().as_str().into(), BasicPublishOptions::default());
        let body = format!("{package} {{\"triggers\": [\"a/1\"]}}");
        channel.basic_publish("".into(), key, options, body.as_bytes(), properties).await.unwrap().await.unwrap();
        connection.close(200, "done".into()).await.unwrap();
    });
}

fn large_headers(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    let mut ids: Vec<String> = (0..5).map(|number| site.request(&format!("before{number}"), &[])).collect();
    // Once as it was seen, and once as large as the broker lets it be.
    publish_with_headers(&site, "forty", 40 * 1024);
    publish_with_headers(&site, "largest", 131_072 - 200);
    ids.extend((0..5).map(|number| site.request(&format!("after{number}"), &[])));
    let mut worker = site.start(&["worker"]);
    until("all of them have results", || site.count_results() == 12);
    let finished = site.finished();
    assert!(ids.iter().all(|id| finished.contains(id)), "{finished:?}");
    assert_eq!(site.starts().len(), 12, "each ran once");
    // It waits now. A further one comes to a consumer, where the others were fetched.
    until("the worker waits", || site.sees(|queue| queue.consumers == 1));
    publish_with_headers(&site, "later", 40 * 1024);
    until("it has a result", || site.count_results() == 13);
    until("the worker waits again", || site.sees(|queue| queue.consumers == 1));
    worker.signal(Signal::SIGTERM);
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert!(!finished.err.contains("interrupted"), "no connection was lost: {}", finished.err);

    // With a limit of one's own that is too small, the connection is lost, which is said; and the worker can be stopped.
    publish_with_headers(&site, "toolarge", 40 * 1024);
    let small = format!("{}?frame_max=32768", site.addresses().0);
    let mut worker = site.start(&["worker", "--queue", &small]);
    until("the loss is said", || worker.stderr().contains("frame too large"));
    worker.signal(Signal::SIGTERM);
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.queue()["ready"], 1, "the request is still there");
    Ok(())
}

fn garbage(services: &Services) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let proxy = runtime.block_on(Proxy::to(services.rabbitmq().port()));
    let site = services.site_with_folder();
    site.configure(&services.rabbitmq().url_at(proxy.port()), "folder:results");
    let gate = site.path().join("gate");
    let held = site.request("held", &[&format!("STUB_WAIT={}", gate.display())]);
    let mut worker = site.start(&["worker", "--slots", "2"]);
    until("the test runs, and the other slot waits", || {
        site.starts().len() == 1 && site.sees(|queue| queue.consumers == 1)
    });
    proxy.garble();
    until("the loss is said", || worker.stderr().contains("announced again"));
    until("the claim is held again, and the other slot waits", || {
        site.sees(|queue| queue.claimed == 1 && queue.consumers == 1)
    });
    let next = site.request("next", &[]);
    until("the next one has its result", || site.has_results_of(&[&next]));
    std::fs::write(gate, "")?;
    until("so has the first", || site.has_result_of(&held));
    assert_eq!(site.starts().len(), 2, "each ran once");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

/// Publishes a request whose headers are tables within tables. By hand: a client library would need as much stack as it takes to read it.
fn publish_nested(site: &TestSite, depth: usize) -> std::io::Result<()> {
    let address = site.addresses().0.strip_prefix("amqp://guest:guest@").expect("the address");
    let (address, vhost) = address.split_once('/').expect("a virtual host");
    let mut stream = TcpStream::connect(address)?;
    let short = |text: &str| [&[u8::try_from(text.len()).expect("a short text")][..], text.as_bytes()].concat();
    let long = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("a length").to_be_bytes()[..], bytes].concat();
    let frame = |kind: u8, channel: u16, payload: &[u8]| {
        [&[kind][..], &channel.to_be_bytes(), &long(payload), b"\xce"].concat()
    };
    let method = |channel, class: u8, method: u8, arguments: &[u8]| {
        frame(1, channel, &[&[0, class, 0, method][..], arguments].concat())
    };
    let receive = |stream: &mut TcpStream| -> std::io::Result<()> {
        let mut head = [0; 7];
        stream.read_exact(&mut head)?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        std::io::copy(&mut stream.take(u64::from(size) + 1), &mut std::io::sink()).map(drop)
    };
    let mut table = long(&[]);
    for _ in 0..depth {
        table = long(&[&short("a")[..], b"F", &table].concat());
    }
    let body = b"nested {\"triggers\": [\"a/1\"]}";
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    receive(&mut stream)?;
    let login = [long(&[]), short("PLAIN"), long(b"\0guest\0guest"), short("en_US")].concat();
    stream.write_all(&method(0, 10, 11, &login))?;
    receive(&mut stream)?;
    stream.write_all(&method(
        0,
        10,
        31,
        &[&100_u16.to_be_bytes()[..], &131_072_u32.to_be_bytes(), &[0, 0]].concat(),
    ))?;
    stream.write_all(&method(0, 10, 40, &[short(vhost), short(""), vec![0]].concat()))?;
    receive(&mut stream)?;
    stream.write_all(&method(1, 20, 10, &short("")))?;
    receive(&mut stream)?;
    stream.write_all(&method(1, 60, 40, &[vec![0, 0], short(""), short(&site.queue_name()), vec![0]].concat()))?;
    let size = u64::try_from(body.len()).expect("a size").to_be_bytes();
    stream.write_all(&frame(2, 1, &[&[0, 60, 0, 0][..], &size, &[0x20, 0], &table].concat()))?;
    stream.write_all(&frame(3, 1, body))?;
    // The broker answers to this when it has taken the message.
    stream.write_all(&method(1, 20, 40, &[vec![0, 200], short("done"), vec![0; 4]].concat()))?;
    receive(&mut stream)
}

fn nested_headers(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    let before = site.request("before", &[]);
    publish_nested(&site, 18_600)?;
    let after = site.request("after", &[]);
    assert!(site.ok(&["queues", &site.queue_name()]).contains("nested"));
    let mut worker = site.start(&["worker"]);
    until("all have results", || site.count_results() == 3 || !worker.is_running());
    assert!(worker.is_running(), "{}", worker.stderr());
    let finished = site.finished();
    assert!(finished.contains(&before) && finished.contains(&after), "{finished:?}");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn quiet_log(services: &Services) -> Result<(), Failed> {
    // A broker of its own, whose log is short.
    let broker = services.private_rabbitmq();
    for url in [broker.url(), broker.quorum_url()] {
        let site = TestSite::on(&url, "folder:results", Vec::new());
        let vhost = site.vhost();
        let look = || {
            site.ok(&["queues"]);
            site.ok(&["queues", "dead"]);
            site.ok(&["queues", "dedupe", "--dry-run"]);
            site.run(&["cancel", "0000"]);
            site.ok(&["running"]);
        };
        look();
        look();
        site.request("gzip", &[]);
        let look_into = || {
            look();
            site.ok(&["queues", &site.queue_name()]);
            site.ok(&["run", "-s", &site.release, "--trigger", "a/1", "gzip", "dpkg"]);
            site.ok(&["queues", "remove", &site.queue_name(), "--match", "package=nothing", "--yes"]);
        };
        look_into();
        look_into();
        let mut worker = site.start(&["worker"]);
        until("all three have run", || site.count_results() == 3);
        look_into();
        worker.signal(Signal::SIGTERM);
        worker.wait();
        site.ok(&["worker", "--drain"]);
        // The broker writes its log late, but in order.
        site.run(&["queues", "debci-nowhere-amd64"]);
        let complaints = || broker.complaints(&vhost);
        until("the last line is written", || complaints().iter().any(|line| line.contains("'debci-nowhere-amd64'")));
        // The first look of all asks for each of the site's queues, and makes it. A quorum queue is found out once.
        let queues = complaints().into_iter().map(|line| line.split("queue '").nth(1).unwrap_or(&line).to_owned());
        let names = queues.map(|rest| rest.split('\'').next().unwrap_or_default().to_owned());
        let mut queues: Vec<String> = names.filter(|name| name != "debci-nowhere-amd64").collect();
        assert!(queues.iter().all(|name| name.starts_with("debci-")), "{:#?}", complaints());
        queues.sort();
        let all = queues.len();
        queues.dedup();
        assert!(all - queues.len() <= 1, "{:#?}", complaints());
    }
    Ok(())
}

fn alarm(services: &Services) -> Result<(), Failed> {
    let broker = services.private_rabbitmq();
    let site = TestSite::on(&broker.url(), "folder:results", Vec::new());
    let queue = site.queue_name();
    let gate = site.path().join("gate");
    let held = site.request("held", &[&format!("STUB_WAIT={}", gate.display())]);
    let mut worker = site.start(&["worker", "--slots", "2"]);
    until("the test runs, and the other slot waits", || {
        site.starts().len() == 1 && site.sees(|queue| queue.consumers == 1)
    });
    broker.alarm(true);

    let refused = site.run(&["run", "-s", &site.release, "--trigger", "a/1", "gzip"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
    assert!(refused.err.contains("memory alarm"), "{refused:#?}");
    assert!(!refused.err.contains("check that the server is up"), "{refused:#?}");
    // It is said before anything was sent, so nothing comes when the alarm is over.
    assert!(!refused.err.contains("may be queued"), "{refused:#?}");
    assert!(site.run(&["queues"]).status.success());
    assert!(site.run(&["queues", &queue]).status.success());
    let running = site.run(&["running"]);
    assert!(running.status.success() || running.err.contains("memory alarm"), "{running:#?}");
    assert!(!running.err.contains("check that the server is up"), "{running:#?}");
    let cancelled = site.run(&["cancel", "--match", "package=nothing", "--yes"]);
    assert!(!cancelled.err.contains("check that the server is up"), "{cancelled:#?}");
    let purged = site.run(&["queues", "purge", &queue, "--yes"]);
    assert!(purged.status.success(), "{purged:#?}");
    // The claim's renewal waits for the end of the alarm, and nothing is lost by that.
    std::thread::sleep(Duration::from_secs(20));
    assert!(!worker.stderr().contains("announced again"), "{}", worker.stderr());

    broker.alarm(false);
    let next = site.request("next", &[]);
    until("the next one has its result", || site.has_results_of(&[&next]));
    std::fs::write(gate, "")?;
    until("so has the one that ran during the alarm", || site.has_result_of(&held));
    assert_eq!(site.starts().len(), 2, "each ran once, and nothing that was refused");

    // An idle worker that was asked something, and so published, is blocked: it ends all the same.
    broker.alarm(true);
    site.run(&["running"]);
    worker.signal(Signal::SIGTERM);
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    // With nobody who runs anything, everything can be looked at.
    assert_eq!(site.json(&["queues"])[0]["ready"], 0);
    assert_eq!(site.json(&["running"]), serde_json::json!({}));
    Ok(())
}

fn alarm_before_copies(services: &Services) -> Result<(), Failed> {
    let rabbitmq = Arc::new(services.private_rabbitmq());
    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
    let (name, huge) = (site.queue_name(), format!("debci-huge-{}-amd64", site.release));
    let [queue, to]: [QueueName; 2] = [name.parse()?, huge.parse()?];
    site.request("dead", &[]);
    block_on(async {
        let broker = Broker::connect(&rabbitmq.url().parse().unwrap()).await.unwrap();
        broker.declare(std::slice::from_ref(&to)).await.unwrap();
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        let claim = slot.claim(Wait::ForOne, &CancellationToken::new()).await.unwrap().unwrap();
        claim.settle(Settlement::Dead("for the story".to_owned())).await.unwrap();
        drop(slot);
        broker.close().await;
    });
    let ids: Vec<String> = ["a", "b", "c"].map(|package| site.request(package, &[])).into();
    let counts = || {
        let state = site.queue();
        (state["ready"].clone(), state["dead"].clone())
    };
    until("all are there", || counts() == (3.into(), 1.into()));

    rabbitmq.alarm(true);
    for arguments in [&["queues", "move", &name, &huge, "--yes"][..], &["queues", "dead", "requeue", &name, "--yes"]] {
        let refused = site.run(arguments);
        assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
        assert!(refused.err.contains("memory alarm blocks publishing"), "{refused:#?}");
        assert_eq!(counts(), (3.into(), 1.into()), "{arguments:?}");
    }
    // What waits can be cancelled, although no worker can be asked.
    site.ok(&["cancel", &ids[0]]);
    assert_eq!(counts(), (2.into(), 1.into()));
    rabbitmq.alarm(false);

    // The questions of one process share a connection, on which the broker reads nothing after the first one.
    rabbitmq.alarm(true);
    block_on(async {
        let broker = Broker::connect(&rabbitmq.url().parse().unwrap()).await.unwrap();
        for answer in futures_util::future::join_all((0..20).map(|_| broker.running())).await {
            answer.expect("an answer under the alarm");
        }
        broker.close().await;
    });
    rabbitmq.alarm(false);

    // An alarm that begins in the middle.
    block_on(async {
        let broker = Broker::connect(&rabbitmq.url().parse().unwrap()).await.unwrap();
        let begin = Arc::clone(&rabbitmq);
        let choice = Box::new(move |messages: &[Message]| {
            begin.alarm(true);
            Ok((0..messages.len()).collect())
        });
        let error = broker.take_out(&queue, MessageState::Ready, Some(&to), choice).await.unwrap_err();
        assert!(matches!(error, BrokerError::Blocked { .. }), "{error}");
        assert_eq!(counts(), (2.into(), 1.into()), "what was held is back before the alarm is over");
        broker.close().await;
    });
    rabbitmq.alarm(false);
    site.ok(&["queues", "move", &name, &huge, "--yes"]);
    assert_eq!(counts(), (0.into(), 1.into()));
    let there = site.ok(&["queues", "show", &huge]);
    let there: Vec<&str> = there.lines().filter_map(|line| line.split('\t').nth(3)).collect();
    assert_eq!(there, [&ids[1], &ids[2]], "each once");

    // Quorum queues are looked into only when it was tried out what that does, which takes a publication.
    let quorum = TestSite::on(&rabbitmq.quorum_url(), "folder:results", Vec::new());
    quorum.request("gzip", &[]);
    rabbitmq.alarm(true);
    let ready = |count: &str| {
        let lengths = quorum.run(&["queues"]);
        assert!(lengths.out.contains(&format!("{}\t{count}\t", quorum.queue_name())), "{lengths:#?}");
    };
    ready("1");
    let hidden = quorum.run(&["queues", &quorum.queue_name()]);
    assert!(hidden.err.contains("an alarm of the broker blocks publishing"), "{hidden:#?}");
    let purged = quorum.run(&["queues", "purge", &quorum.queue_name(), "--yes"]);
    assert!(purged.status.success(), "{purged:#?}");
    ready("0");
    Ok(())
}

fn questions(services: &Services) -> Result<(), Failed> {
    /// Class and method of `queue.declare`, with which the program asks about queues.
    const DECLARE: &str = "\0\x32\0\x0a";
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let site = services.site_with_folder();
    let queue = site.queue_name();
    let questions = |count: usize| {
        let proxy = runtime.block_on(Proxy::holding(services.rabbitmq().port(), DECLARE));
        let batch: String = (0..count).map(|n| format!("{queue}:p{n} {{\"triggers\": [\"a/1\"]}}\n")).collect();
        std::fs::write(site.path().join("batch"), batch).expect("a file");
        site.ok(&["run", "--batch", "batch", "--queue", &services.rabbitmq().url_at(proxy.port())]);
        site.ok(&["queues", "purge", &queue, "--yes"]);
        proxy.seen()
    };
    // The first process creates the queues.
    questions(1);
    let one = questions(1);
    assert!((1..50).contains(&one), "{one}");
    assert_eq!(questions(300), one, "300 requests of one queue");
    Ok(())
}

fn unconfirmed(services: &Services) -> Result<(), Failed> {
    const REQUESTS: usize = 8_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let proxy = runtime.block_on(Proxy::holding(services.rabbitmq().port(), "p4000"));
    proxy.hold(Hold::After);
    let site = services.site_with_folder();
    site.ok(&["run", "-s", &site.release, "--trigger", "a/1", "first"]);
    let direct = services.rabbitmq().url();
    let queue = site.queue_name();
    let batch: String = (0..REQUESTS).map(|n| format!("{queue}:p{n} {{\"triggers\": [\"a/1\"]}}\n")).collect();
    std::fs::write(site.path().join("batch"), batch)?;
    let ready = || {
        let length = runtime.block_on(async {
            let connection = Connection::connect(&direct, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            let options = QueueDeclareOptions { passive: true, ..Default::default() };
            channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await
        });
        length.expect("the queue").message_count() as usize
    };
    let through = services.rabbitmq().url_at(proxy.port());
    let mut sending = site.start(&["run", "--batch", "batch", "--queue", &through]);
    runtime.block_on(proxy.held());
    until("some are queued", || ready() > 100);
    proxy.cut();
    let finished = sending.wait();
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("more may be queued"), "{}", finished.err);
    let file = finished.err.split_once("--batch ").expect("the file").1.split('`').next().expect("its name");
    let rest = std::fs::read_to_string(site.path().join(file))?;
    assert!(rest.lines().count() > 0 && rest.lines().count() < REQUESTS, "{}", rest.lines().count());
    assert!(ready() < REQUESTS, "it ended in the middle");

    // What is queued already is found by its id, also where the same test is wanted once more.
    let again = site.run(&["run", "--force", "--batch", file]);
    assert!(again.status.success(), "{again:#?}");
    assert_eq!(ready(), REQUESTS + 1, "each is there once");
    // A third time, after they have run, nothing is run twice.
    let one = rest.lines().last().expect("a request").to_owned();
    site.ok(&["queues", "purge", &queue, "--yes"]);
    std::fs::write(site.path().join("one"), format!("{one}\n"))?;
    site.ok(&["run", "--batch", "one"]);
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.starts().len(), 1);
    site.ok(&["run", "--batch", "one"]);
    let drained = site.run(&["worker", "--drain"]);
    assert_eq!((site.starts().len(), site.results().len()), (1, 1), "{drained:#?}");
    Ok(())
}

fn permission(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    site.request("gzip", &[]);
    let name = format!("reader-{}", site.release);
    let url = services.rabbitmq().user(&name, ["^apt-ci\\..*", "^apt-ci\\..*", ".*"]);
    let refused = site.run(&["run", "-s", &site.release, "--trigger", "a/1", "dpkg", "--queue", &url]);
    assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
    for said in [
        format!("permission denied: user '{name}' lacks the write permission for exchange 'amq.default'"),
        "rabbitmqctl set_permissions -p ".to_owned(),
        format!(" {name} CONFIGURE-PATTERN 'WRITE-PATTERN|^amq\\.default$' READ-PATTERN"),
    ] {
        assert!(refused.err.contains(&said), "{said}: {}", refused.err);
    }
    assert!(!refused.err.contains("are queued"), "{}", refused.err);
    assert_eq!(site.queue()["ready"], 1);

    let name = format!("outsider-{}", site.release);
    let url = services.rabbitmq().outsider(&name);
    let refused = site.run(&["queues", "--queue", &url]);
    assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
    assert!(refused.err.contains(&format!("permission denied: user '{name}' may not use")), "{}", refused.err);
    assert!(!refused.err.contains("check that the server is up"), "{}", refused.err);
    let command = refused.err.split('`').find(|part| part.starts_with("rabbitmqctl ")).expect("a command");
    services.rabbitmq().obey(command);
    assert!(site.run(&["queues", "--queue", &url]).status.success(), "{command}");

    let missing = site.run(&["queues", "--queue", &services.rabbitmq().url_in("nowhere")]);
    assert_eq!(missing.status.code(), Some(1), "{missing:#?}");
    assert!(missing.err.contains("no virtual host 'nowhere'"), "{}", missing.err);
    assert!(missing.err.contains("`rabbitmqctl add_vhost nowhere`"), "{}", missing.err);
    Ok(())
}

fn heard(services: &Services) -> Result<(), Failed> {
    for site in [services.site_with_folder(), TestSite::local()] {
        let mut waiting = site.start(&["run", "-s", &site.release, "--trigger", "a/1", "--wait", "gzip"]);
        let unserved = format!("no worker serves {}", site.queue_name());
        until("it is said that no worker is there", || waiting.stderr().contains(&unserved));
        until("it is queued", || waiting.stderr().contains("is queued"));
        let _worker = site.start(&["worker"]);
        until("it has its result", || site.count_results() == 1);
        let begin = Instant::now();
        assert!(waiting.wait().status.success());
        // Looking from time to time takes up to ten seconds.
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());

        let mut waiting = site.start(&["run", "-s", &site.release, "--trigger", "a/2", "--wait", "gzip"]);
        let finished = waiting.wait();
        assert!(!finished.err.contains("no worker serves"), "{}", finished.err);
    }
    Ok(())
}

fn no_site(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    let dead = site.request("gzip", &[]);
    site.ok(&["worker", "--once"]);
    assert_eq!(site.finished(), [dead]);
    site.request("dpkg", &["STUB_EXIT=16"]);
    site.worker_options("retry_delay = 3600");
    let _worker = site.start(&["worker"]);
    until("it is delayed", || site.sees(|queue| queue.delayed == 1));
    std::fs::remove_file(site.path().join("apt-ci.toml"))?;
    let queue = ["--queue", site.addresses().0];
    let shown = site.run(&[&["queues"][..], &queue].concat());
    assert!(shown.status.success(), "{shown:#?}");
    assert!(shown.out.contains(&site.queue_name()), "what is in use is shown: {shown:#?}");
    for arguments in [&["queues"][..], &["queues", "dead", "--json"]] {
        let shown = site.run(&[arguments, &queue].concat());
        assert!(shown.err.contains("RabbitMQ does not list its queues"), "{shown:#?}");
    }
    Ok(())
}

fn wrong_credentials(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    assert!(site.ok(&["worker", "check"]).contains("no faults"));
    let wrong = site.addresses().0.replace("guest:guest", "guest:wrong");
    for arguments in [&["worker", "check"][..], &["worker"]] {
        let finished = site.run(&[arguments, &["--queue", &wrong]].concat());
        assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
        let said = finished.out + &finished.err;
        assert!(said.contains("ACCESS_REFUSED") && !said.contains("wrong"), "{said}");
    }
    // Who may log in, but not do what a worker does, learns it from the check.
    let name = format!("nobody-{}", site.release);
    let url = services.rabbitmq().user(&name, ["^$", ".*", ".*"]);
    let checked = site.run(&["worker", "check", "--queue", &url]);
    assert_eq!(checked.status.code(), Some(1), "{checked:#?}");
    assert!(checked.out.contains("permission denied"), "{checked:#?}");
    site.request("gzip", &[]);
    let refused = site.run(&["worker", "--queue", &url]);
    assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
    for said in ["permission denied", "`rabbitmqctl set_permissions -p ", "'CONFIGURE-PATTERN|^apt-ci\\..*'"] {
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
    Ok(())
}
