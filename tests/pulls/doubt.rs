//! Requests of users that are on their way to the queue when the client, or the queue, goes away: each is run once.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use apt_ci::forge::Forge;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::forge::deliver::post;
use testkit::proxy::{Hold, Proxy};
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, stories};

use super::fixture::PullFixture;

/// The trigger of requests that do not get through.
const HELD: &str = "held/1";

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    const STORIES: [(&str, Story); 1] = [("a_request_in_doubt_is_run_once_whoever_hangs_up", in_doubt)];
    stories("pulls", services, &STORIES)
}

/// A service whose way to the queue can be broken, and a user's key.
struct Doubtful {
    scene: PullFixture,
    proxy: Proxy,
    key: String,
    runtime: tokio::runtime::Runtime,
}

impl Doubtful {
    fn new(services: &Services) -> Self {
        let broker = services.rabbitmq();
        let vhost = broker.quorum_vhost();
        broker.limit_deliveries(&vhost, "^debci-", 20);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let proxy = runtime.block_on(Proxy::holding(broker.port(), HELD));
        let port = |port: u16| format!(":{port}/");
        let url = broker.url_in(&vhost).replace(&port(broker.port()), &port(proxy.port()));
        let site = TestSite::on(&url, "folder:results", Vec::new());
        let scene = PullFixture::new(Forge::GitHub, site);
        let key = scene.site.ok(&["credentials", "set", "api-key", "ann", "--generate"]).trim().to_owned();
        Self { scene, proxy, key, runtime }
    }

    fn headers(&self) -> String {
        let key = &self.key;
        format!("Authorization: Bearer {key}\r\nContent-Type: application/x-www-form-urlencoded\r\n")
    }

    fn body(&self, package: &str) -> String {
        format!("release={}&package={package}&trigger={HELD}", self.scene.site.release)
    }

    fn ask(&self, package: &str) -> (u16, Value) {
        let answer = post(&self.scene.url("/request.cgi"), &self.headers(), &self.body(package));
        let (status, answer) = answer.expect("an answer");
        (status, serde_json::from_str(&answer).expect("JSON"))
    }

    /// Asks, and breaks the connection to the queue when the request is on its way. Gives its id.
    fn ask_and_break(&self, package: &str, hold: Hold, then: impl FnOnce()) -> String {
        self.proxy.hold(hold);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| self.ask(package));
            self.runtime.block_on(self.proxy.held());
            then();
            self.proxy.cut();
            let (status, answer) = asking.join().expect("an answer");
            self.proxy.mend();
            assert_eq!(status, 202, "{answer}");
            id(&answer)
        })
    }

    /// Waits until so many requests wait: who looks into a queue takes them for a moment.
    #[track_caller]
    fn wait_for(&self, count: u64) {
        until("so many requests wait", || self.scene.site.queue()["ready"] == count);
    }

    /// Starts the service again, which then knows that nobody else takes care of this request.
    fn settle(&mut self, id: &str) {
        self.scene.kill_service();
        self.scene.serve();
        until("the request is looked for", || {
            self.scene.log().lines().any(|line| line.contains("asked for before is queued") && line.contains(id))
        });
    }
}

fn id(answer: &Value) -> String {
    answer["requests"][0]["uuid"].as_str().expect("an id").to_owned()
}

fn in_doubt(services: &Services) -> Result<(), Failed> {
    let mut doubtful = Doubtful::new(services);
    // A client hangs up while its request is on its way to the queue.
    doubtful.proxy.hold(Hold::Before);
    let (headers, body) = (doubtful.headers(), doubtful.body("left"));
    let mut client = TcpStream::connect(("127.0.0.1", doubtful.scene.port))?;
    write!(client, "POST /request.cgi HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())?;
    doubtful.runtime.block_on(doubtful.proxy.held());
    drop(client);
    // The service has seen that by the time it answers somebody else.
    assert_eq!(doubtful.scene.get("/requests/nobody-s").expect("an answer").0, 404);
    let (status, answer) = std::thread::scope(|scope| {
        let again = scope.spawn(|| doubtful.ask("left"));
        doubtful.proxy.go_on();
        again.join().expect("an answer")
    });
    assert_eq!((status, &answer["requests"][0]["state"]), (202, &json!("already-queued")), "{answer}");
    doubtful.wait_for(1);
    let mut ids = vec![id(&answer)];
    // The queue never gets it; or it gets it, and cannot say so. Who asks again is told of the first one.
    let lost = doubtful.ask_and_break("lost", Hold::Before, || {});
    until("the queue is there again", || doubtful.ask("lost").0 == 202);
    assert_eq!(id(&doubtful.ask("lost").1), lost);
    doubtful.settle(&lost);
    doubtful.wait_for(2);
    let unheard = doubtful.ask_and_break("unheard", Hold::After, || doubtful.wait_for(3));
    until("the queue is there again", || doubtful.ask("unheard").0 == 202);
    assert_eq!(id(&doubtful.ask("unheard").1), unheard);
    doubtful.settle(&unheard);
    // Where it could not be seen it waits twice now, with one id.
    ids.extend([lost, unheard]);
    ids.sort();
    doubtful.scene.site.ok(&["worker", "--drain"]);
    assert_eq!(doubtful.scene.site.finished(), ids);
    let mut starts = doubtful.scene.site.starts();
    starts.sort();
    assert_eq!(starts, ["left", "lost", "unheard"]);
    Ok(())
}
