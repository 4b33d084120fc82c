//! What only a server can do to us: it is away, falls silent, breaks off in the middle, or sends damaged bytes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apt_ci::environment::Environment;
use apt_ci::store::swift::SwiftSettings;
use apt_ci::store::{Query, Store, StoreError, StoreUrl};
use testkit::daemon::free_port;
use testkit::fake_server::{Exchange, FakeServer};
use testkit::{Services, block_on};
use tokio::io::AsyncReadExt;

use super::{names, put, text};

/// A test that takes what it needs.
pub(super) type Story = fn(&Services);

/// The tests, each with its name.
pub(super) const STORIES: [(&str, Story); 8] = [
    ("server::nobody_listening_is_reported_soon", nobody_listens),
    ("server::a_silent_host_is_reported_within_ten_seconds", silent_host),
    ("server::a_server_that_never_answers_is_reported_within_ten_seconds", never_answers),
    ("server::an_upload_begins_anew_after_an_outage_in_the_middle", rewound),
    ("server::a_listing_that_breaks_off_is_asked_for_again", listing_breaks_off),
    ("server::a_listing_that_stays_damaged_is_an_error", listing_damaged),
    ("server::an_object_cut_short_is_an_error_not_an_end", cut_short),
    ("server::many_refused_requests_log_in_once", single_flight),
];

fn nobody_listens(_: &Services) {
    let address = format!("http://127.0.0.1:{}", free_port());
    let url: StoreUrl = format!("swift:{address}/v1/AUTH_x").parse().unwrap();
    let logins = [
        vec![],
        vec![("ST_AUTH", format!("{address}/auth/v1.0")), ("ST_USER", "t:u".into()), ("ST_KEY", "secret-key".into())],
        vec![
            ("OS_AUTH_URL", address.replace("http://", "http://joe:secret-key@")),
            ("OS_USERNAME", "u".into()),
            ("OS_PASSWORD", "secret-key".into()),
            ("OS_PROJECT_NAME", "p".into()),
        ],
    ];
    for variables in logins {
        let environment: Environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let store = Store::open(&url, &SwiftSettings::default(), &environment).expect("complete settings");
        let begin = Instant::now();
        let error = block_on(store.list("c", &Query::default())).expect_err("nobody listens");
        assert!(matches!(error, StoreError::Unreachable { .. }) && error.is_transient(), "{error}");
        let shown = error.to_string();
        assert!(shown.contains(&address) && shown.contains("refused"), "{shown}");
        assert!(!shown.contains("secret-key"), "{shown}");
        // It is tried again for a moment, not for as long as bytes are that took hours to make.
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
}

fn silent_host(_: &Services) {
    // A listener that accepts nobody: once its queue is full, a connection gets no answer at all, as from a dead host.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("bound");
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        queue.push(stream);
        assert!(queue.len() < 100_000, "the queue never fills");
    }
    let url: StoreUrl = format!("swift:http://{address}/v1/AUTH_x").parse().unwrap();
    let store = Store::open(&url, &SwiftSettings::default(), &Environment::default()).expect("complete settings");
    let begin = Instant::now();
    let error = block_on(store.list("c", &Query::default())).expect_err("nobody answers");
    // Once, and not again: on a machine that is not busy it takes less than ten.
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("no connection within 8 seconds"), "{error}");
}

fn never_answers(_: &Services) {
    // The kernel takes the connections, and nobody ever reads from them.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let server = format!("http://{}", listener.local_addr().expect("bound"));
    let variables =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let tempauth = [("ST_AUTH", server.as_str()), ("ST_USER", "a:b"), ("ST_KEY", "secret-key")];
    let keystone = [
        ("OS_AUTH_URL", server.as_str()),
        ("OS_USERNAME", "a"),
        ("OS_PASSWORD", "secret-key"),
        ("OS_PROJECT_NAME", "p"),
    ];
    let ways: [(String, Environment); 3] = [
        (format!("swift:{server}/v1/AUTH_x"), Environment::default()),
        ("swift:".to_owned(), variables(&tempauth)),
        ("swift:".to_owned(), variables(&keystone)),
    ];
    for (url, environment) in ways {
        let store =
            Store::open(&url.parse().unwrap(), &SwiftSettings::default(), &environment).expect("complete settings");
        let begin = Instant::now();
        let error = block_on(store.list("c", &Query::default())).expect_err("nobody answers");
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        let shown = error.to_string();
        assert!(shown.contains(&server) && shown.contains("no answer within 8 seconds"), "{shown}");
        assert!(!shown.contains("secret-key"), "{shown}");
    }
}

fn open_anonymous(server: &FakeServer) -> Store {
    let url: StoreUrl = format!("swift:{}/v1/AUTH_x", server.url()).parse().unwrap();
    Store::open(&url, &SwiftSettings::default(), &Environment::default()).expect("complete settings")
}

fn rewound(_: &Services) {
    // Larger than what the kernel takes in advance, so that the client is still sending when the server gives up.
    let content = "0123456789abcdef".repeat(1 << 19);
    let (uploads, expected) = (Arc::new(Mutex::new(Vec::new())), content.clone());
    let arrived = Arc::clone(&uploads);
    let server = FakeServer::start(move |mut exchange: Exchange| {
        if exchange.method != "PUT" {
            return exchange.answer("204 No Content", "", "");
        }
        let length = exchange.length();
        let nth = {
            let mut uploads = arrived.lock().unwrap();
            uploads.push(length);
            uploads.len()
        };
        let sum = exchange.header("etag").expect("a sum").to_owned();
        match nth {
            1 => {
                exchange.read(length / 2);
                exchange.answer("503 Service Unavailable", "", "");
            }
            2 => {
                exchange.read(length / 3);
                // And once without a word.
                drop(exchange);
            }
            _ => {
                let whole = exchange.read(length) == expected.as_bytes();
                let status = if whole { "201 Created" } else { "422 Unprocessable Entity" };
                exchange.answer(status, &format!("ETag: \"{sum}\"\r\n"), "");
            }
        }
    });
    let store = open_anonymous(&server);
    let files = tempfile::tempdir().unwrap();
    block_on(put(&store, files.path(), "c", "a/b@/c", &content, &text())).expect("stored at the third try");
    assert_eq!(*uploads.lock().unwrap(), [content.len(); 3]);
}

fn listing_breaks_off(_: &Services) {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let server = FakeServer::start(move |exchange: Exchange| {
        let row = |name: &str| format!("{{\"subdir\": \"{name}\"}}");
        if exchange.target.contains("marker=b") {
            return exchange.answer("204 No Content", "", "");
        }
        let page = format!("[{}, {}]", row("a@"), row("b@"));
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            let half = &page[..page.len() / 2];
            let raw = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{half}", page.len());
            return exchange.answer_raw(&raw);
        }
        exchange.answer("200 OK", "Content-Type: application/json\r\n", &page);
    });
    let listed = block_on(open_anonymous(&server).list("c", &Query { delimiter: Some('@'), ..Query::default() }));
    assert_eq!(names(listed.expect("the second try is whole")), ["a@", "b@"]);
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

fn listing_damaged(_: &Services) {
    let damaged = [
        ("[{\"subdir\": \"a@\"}, {\"sub", "its listing is damaged"),
        ("<html>Please log in</html>", "its listing is damaged"),
        ("[{\"subdir\": \"b\"}, {\"subdir\": \"a\"}]", "its listing is not in order"),
        // The same page whatever the marker says: it would be listed for ever.
        ("[{\"subdir\": \"a@\"}]", "its listing is not in order"),
    ];
    std::thread::scope(|scope| {
        for (page, reason) in damaged {
            scope.spawn(move || {
                let server = FakeServer::start(move |exchange: Exchange| exchange.answer("200 OK", "", page));
                let listed = block_on(open_anonymous(&server).list("c", &Query::default()));
                let error = listed.expect_err("never a part");
                assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
                assert!(error.to_string().contains(reason), "{error}");
            });
        }
    });
}

fn cut_short(_: &Services) {
    let server = FakeServer::start(|exchange: Exchange| {
        exchange.answer_raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly the beginning");
    });
    block_on(async {
        let mut object = open_anonymous(&server).get("c", "o").await.expect("it begins well");
        let mut bytes = Vec::new();
        let error = object.read_to_end(&mut bytes).await.expect_err("82 bytes are missing");
        assert_eq!(bytes, b"only the beginning");
        assert!(error.to_string().contains(&server.url()), "{error}");
    });
}

fn single_flight(_: &Services) {
    // Each login makes a new token; only the second one is good, as if the first had just ended.
    let logins = Arc::new(AtomicUsize::new(0));
    let (counted, address) = (Arc::clone(&logins), Arc::new(Mutex::new(String::new())));
    let storage = Arc::clone(&address);
    let server = FakeServer::start(move |exchange: Exchange| {
        if exchange.target == "/auth/v1.0" {
            let nth = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let storage = storage.lock().unwrap().clone();
            return exchange.answer("200 OK", &format!("X-Auth-Token: t{nth}\r\nX-Storage-Url: {storage}\r\n"), "");
        }
        match exchange.header("x-auth-token") {
            Some("t1") => exchange.answer("401 Unauthorized", "", ""),
            Some("t2") => exchange.answer("200 OK", "", "[]"),
            other => panic!("an unknown token: {other:?}"),
        }
    });
    *address.lock().unwrap() = format!("{}/v1/AUTH_x", server.url());
    let variables =
        [("ST_AUTH", format!("{}/auth/v1.0", server.url())), ("ST_USER", "t:u".into()), ("ST_KEY", "k".into())];
    let environment: Environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let store =
        Store::open(&StoreUrl::Swift(None), &SwiftSettings::default(), &environment).expect("complete settings");
    block_on(async {
        let query = Query::default();
        let requests = (0..20).map(|_| store.list("c", &query));
        for listed in futures_util::future::join_all(requests).await {
            assert!(listed.expect("listed").is_empty());
        }
    });
    assert_eq!(logins.load(Ordering::SeqCst), 2, "one login to begin with, one when the token ended");
}
