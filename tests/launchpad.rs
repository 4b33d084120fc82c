//! PPAs' signing keys from a fake Launchpad, and apt's own judgement of an archive that is signed with one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use apt_ci::launchpad::{Launchpad, LaunchpadError, LaunchpadSettings, SigningKey};
use libtest_mimic::Failed;
use testkit::archive::{Archive, PACKAGE, VERSION};
use testkit::daemon::free_port;
use testkit::fake_server::FakeServer;
use testkit::launchpad::{Away, KnownPpa, LaunchpadStandIn};
use testkit::site::{Finished, TestSite, finish};
use testkit::{Services, Story, Trial, block_on, stories};

const KEY: &str = include_str!("../src/launchpad/test-keys/ed25519.asc");
const KEY_IS: &str = "E190F6E7C9A80C54874DE47CB181550D2AD9CC98";
const OTHER: &str = include_str!("../src/launchpad/test-keys/rsa2048.asc");
const OTHER_IS: &str = "27686EE6D6F5065281351925C7640B7BD0780958";

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("the_key_of_a_public_ppa_is_the_one_that_launchpad_names", public),
        ("a_ppa_with_another_key_than_asked_for_is_refused_by_both_names", wrong_fingerprint),
        ("a_key_that_is_not_the_one_that_launchpad_names_is_refused", wrong_key),
        ("a_ppa_that_nobody_knows_is_asked_for_once", unknown),
        ("a_ppa_without_a_key_says_why", no_key),
        ("the_key_of_a_private_ppa_comes_from_the_key_server_by_its_fingerprint", private),
        ("a_key_server_cannot_give_out_another_key", keyserver_is_checked),
        ("launchpad_that_stays_away_is_asked_four_times_and_then_a_passing_failure", away),
        ("launchpad_that_comes_back_in_time_is_not_noticed", back_in_time),
        ("a_known_fingerprint_is_enough_while_launchpad_is_away", known_fingerprint_while_away),
        ("what_is_no_key_is_called_that", garbage),
        ("answers_without_end_are_not_read_to_their_end", endless),
        ("an_api_that_moved_is_followed_but_not_for_ever", moved),
        ("an_api_without_the_operation_is_made_up_for_by_the_key_server", older_api),
        ("apt_takes_packages_from_a_ppa_with_the_key_that_launchpad_tells", apt_accepts),
        ("apt_takes_packages_from_a_private_ppa_with_its_token_alone", apt_logs_in),
        ("a_token_does_not_follow_a_redirection_to_another_server", token_stays),
        ("a_site_says_where_launchpad_is", site),
        ("a_trigger_that_is_not_published_is_refused_with_what_is", published),
    ];
    stories("launchpad", services, all)
}

/// The key of `owner/name` as these servers tell it.
fn ask(settings: LaunchpadSettings, expected: Option<&str>) -> Result<SigningKey, LaunchpadError> {
    let launchpad = Launchpad::new(settings).expect("a client");
    let expected = expected.map(|digits| digits.parse().expect("a fingerprint"));
    block_on(launchpad.signing_key("owner", "name", expected.as_ref()))
}

fn ask_at(fake_server: &LaunchpadStandIn, expected: Option<&str>) -> Result<SigningKey, LaunchpadError> {
    ask(fake_server.settings("http://127.0.0.1:9"), expected)
}

/// The same, which must fail: what is said, and whether it may pass.
#[track_caller]
fn refusal(fake_server: &LaunchpadStandIn, expected: Option<&str>) -> (String, bool) {
    let error = ask_at(fake_server, expected).expect_err("no key");
    (error.to_string(), error.is_transient())
}

const ARCHIVE: &str = "/devel/~owner/+archive/ubuntu/name";

fn public(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", KEY_IS, KEY);
    launchpad.add("owner/other", OTHER_IS, OTHER);
    for expected in [None, Some(KEY_IS), Some("0xe190f6e7c9a80c54874de47cb181550d2ad9cc98")] {
        let key = ask_at(&launchpad, expected)?;
        assert_eq!((key.fingerprint().as_str(), &key), (KEY_IS, &SigningKey::from_armored(KEY)?));
    }
    let once = [ARCHIVE.to_owned(), format!("{ARCHIVE}?ws.op=getSigningKeyData")];
    assert_eq!(launchpad.asked(), [once.clone(), once.clone(), once].concat());
    Ok(())
}

fn wrong_fingerprint(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", KEY_IS, KEY);
    launchpad.add_key(OTHER_IS, OTHER);
    let (said, may_pass) = refusal(&launchpad, Some(OTHER_IS));
    let api = launchpad.api();
    assert_eq!(said, format!("the signing key of the PPA owner/name must be {OTHER_IS}, but {api} has {KEY_IS}"));
    assert!(!may_pass);
    assert_eq!(launchpad.asked(), [ARCHIVE], "no key is fetched, from nowhere");
    Ok(())
}

fn wrong_key(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", KEY_IS, OTHER);
    for expected in [None, Some(KEY_IS)] {
        let (said, may_pass) = refusal(&launchpad, expected);
        assert!(said.contains(&format!("must be {KEY_IS}, but ")) && said.ends_with(OTHER_IS), "{said}");
        assert!(!may_pass);
    }
    Ok(())
}

fn unknown(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add_private("owner/name", KEY_IS, KEY);
    launchpad.add("owner/other", KEY_IS, KEY);
    let stranger = Launchpad::new(launchpad.settings("http://127.0.0.1:9"))?;
    let error = block_on(stranger.signing_key("owner", "nam", None)).expect_err("no such PPA");
    assert!(matches!(error, LaunchpadError::NoSuchPpa { .. }), "{error:?}");
    assert_eq!(launchpad.asked(), ["/devel/~owner/+archive/ubuntu/nam"]);
    // Launchpad does not tell whether there is a private one of that name; what helps then is said.
    let (said, may_pass) = refusal(&launchpad, None);
    assert!(said.contains("knows no PPA owner/name") && said.contains("name the fingerprint"), "{said}");
    assert!(!may_pass && !error.is_transient());
    Ok(())
}

fn no_key(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.put("owner/name", KnownPpa { fingerprint: None, key: String::new(), public: true });
    for expected in [None, Some(KEY_IS)] {
        let said = refusal(&launchpad, expected);
        let reason = "the PPA owner/name has no signing key: nothing was ever published in it";
        assert_eq!(said, (reason.to_owned(), false));
    }
    Ok(())
}

fn private(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add_private("owner/name", KEY_IS, KEY);
    let key = ask_at(&launchpad, Some(KEY_IS))?;
    assert_eq!((key.fingerprint().as_str(), &key), (KEY_IS, &SigningKey::from_armored(KEY)?));
    let lookup = format!("/pks/lookup?op=get&options=mr&search=0x{KEY_IS}");
    assert_eq!(launchpad.asked(), [ARCHIVE.to_owned(), lookup]);

    let (said, may_pass) = refusal(&launchpad, Some(OTHER_IS));
    assert!(said.contains(&format!("has no key with the fingerprint {OTHER_IS}")), "{said}");
    assert!(!may_pass);
    Ok(())
}

fn keyserver_is_checked(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add_key(KEY_IS, OTHER);
    let (said, _) = refusal(&launchpad, Some(KEY_IS));
    assert!(said.contains(&format!("must be {KEY_IS}, but ")) && said.ends_with(OTHER_IS), "{said}");
    launchpad.add_key(KEY_IS, &format!("{KEY}{OTHER}"));
    let (said, _) = refusal(&launchpad, Some(KEY_IS));
    assert!(said.ends_with("cannot be used: there is more than one key block"), "{said}");
    Ok(())
}

fn away(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", KEY_IS, KEY);
    launchpad.away(Away::Everything);
    let (said, may_pass) = refusal(&launchpad, None);
    assert!(said.ends_with("it answered 503 Service Unavailable") && said.contains(&launchpad.api()), "{said}");
    assert!(may_pass);
    assert_eq!(launchpad.asked().len(), 4);
    let (said, may_pass) = refusal(&launchpad, Some(KEY_IS));
    assert!(may_pass && said.contains(&launchpad.keyserver()), "{said}");

    let mut nobody = launchpad.settings("http://127.0.0.1:9");
    nobody.api = format!("http://127.0.0.1:{}", free_port()).parse()?;
    let error = ask(nobody, None).expect_err("nobody there");
    assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");
    Ok(())
}

fn back_in_time(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", KEY_IS, KEY);
    launchpad.away(Away::Api(2));
    assert_eq!(ask_at(&launchpad, None)?.fingerprint().as_str(), KEY_IS);
    assert_eq!(launchpad.asked().len(), 4);
    Ok(())
}

fn known_fingerprint_while_away(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", KEY_IS, KEY);
    launchpad.away(Away::Api(usize::MAX));
    assert_eq!(ask_at(&launchpad, Some(KEY_IS))?.fingerprint().as_str(), KEY_IS);
    assert!(refusal(&launchpad, None).1, "without one there is nothing to trust");
    Ok(())
}

fn garbage(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    let damaged = KEY.replacen("mDME", "mDMF", 1);
    for (text, reason) in [
        ("<html>Timeout error</html>", "it is no OpenPGP public key block"),
        ("", "it is no OpenPGP public key block"),
        (damaged.as_str(), "its checksum is wrong"),
    ] {
        launchpad.add("owner/name", KEY_IS, text);
        let (said, may_pass) = refusal(&launchpad, None);
        assert!(
            said.ends_with(&format!("as the signing key of the PPA owner/name cannot be used: {reason}")),
            "{said}"
        );
        assert!(!may_pass);
    }
    launchpad.put("owner/name", KnownPpa { fingerprint: Some("5".repeat(39)), key: KEY.to_owned(), public: true });
    let (said, _) = refusal(&launchpad, None);
    assert!(said.ends_with("the fingerprint in its answer is none"), "{said}");

    let page = FakeServer::start(|exchange| exchange.answer("200 OK", "", "<html>log in to the network first</html>"));
    let mut settings = launchpad.settings("http://127.0.0.1:9");
    settings.api = page.url().parse()?;
    let error = ask(settings, None).expect_err("a page is no archive");
    assert!(error.to_string().ends_with("its answer describes no archive"), "{error}");
    Ok(())
}

fn endless(_: &Services) -> Result<(), Failed> {
    let flood = FakeServer::start(|exchange| {
        // No length: it goes on until the line is closed.
        let spaces = " ".repeat(3 * 1024 * 1024);
        exchange.answer_raw(&format!("HTTP/1.1 200 OK\r\n\r\n{spaces}"));
    });
    let launchpad = LaunchpadStandIn::start();
    let mut settings = launchpad.settings("http://127.0.0.1:9");
    settings.api = flood.url().parse()?;
    let error = ask(settings, None).expect_err("too much");
    assert!(error.to_string().ends_with("its answer has more than 1048576 bytes"), "{error}");
    assert!(!error.is_transient());
    Ok(())
}

fn moved(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", KEY_IS, KEY);
    let api = launchpad.api();
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let old = FakeServer::start(move |exchange| {
        *counted.lock().expect("a number") += 1;
        let to = match exchange.target.strip_prefix("/old") {
            Some(rest) => format!("{api}{rest}"),
            None => exchange.target.clone(),
        };
        exchange.answer("301 Moved Permanently", &format!("Location: {to}\r\n"), "");
    });
    let mut settings = launchpad.settings("http://127.0.0.1:9");
    settings.api = format!("{}/old", old.url()).parse()?;
    assert_eq!(ask(settings.clone(), None)?.fingerprint().as_str(), KEY_IS);
    *asked.lock().expect("a number") = 0;
    settings.api = format!("{}/round", old.url()).parse()?;
    let error = ask(settings, None).expect_err("it goes round and round");
    assert!(error.to_string().ends_with("it redirects too often"), "{error}");
    assert!(!error.is_transient());
    assert_eq!(*asked.lock().expect("a number"), 5);
    Ok(())
}

fn older_api(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    launchpad.add_key(KEY_IS, KEY);
    let older = FakeServer::start(|exchange| {
        let archive = format!("{{\"signing_key_fingerprint\": \"{KEY_IS}\"}}");
        match exchange.target.contains("ws.op=") {
            false => exchange.answer("200 OK", "", &archive),
            true => exchange.answer("400 Bad Request", "", "No such operation: getSigningKeyData"),
        }
    });
    let mut settings = launchpad.settings("http://127.0.0.1:9");
    settings.api = older.url().parse()?;
    assert_eq!(ask(settings, None)?.fingerprint().as_str(), KEY_IS);
    assert_eq!(launchpad.asked(), [format!("/pks/lookup?op=get&options=mr&search=0x{KEY_IS}")]);
    Ok(())
}

/// apt with nothing but this archive, in a folder of its own.
fn apt(folder: &Path, url: &str, key: &SigningKey, arguments: &[&str]) -> Finished {
    let path = |name: &str| folder.join(name);
    for name in ["state/lists/partial", "cache/archives/partial", "auth"] {
        fs::create_dir_all(path(name)).expect("apt's folder");
    }
    fs::write(path("status"), "").expect("no packages");
    fs::write(path("key.gpg"), key.packets()).expect("the key");
    let line = format!("[signed-by={}] {url} bookworm main\n", path("key.gpg").display());
    fs::write(path("sources.list"), format!("deb {line}deb-src {line}")).expect("the sources");
    let mut command = Command::new("apt-get");
    for (option, value) in [
        ("Dir::State", path("state")),
        ("Dir::State::status", path("status")),
        ("Dir::Cache", path("cache")),
        ("Dir::Etc::sourcelist", path("sources.list")),
        ("Dir::Etc::sourceparts", "/dev/null".into()),
        ("Dir::Etc::netrcparts", path("auth")),
        ("APT::Architecture", "amd64".into()),
        ("APT::Sandbox::User", "root".into()),
        ("APT::Update::Error-Mode", "any".into()),
        ("Acquire::http::Proxy", "DIRECT".into()),
    ] {
        command.arg("-o").arg(format!("{option}={}", value.display()));
    }
    command.args(arguments).current_dir(folder);
    finish(command)
}

fn apt_accepts(_: &Services) -> Result<(), Failed> {
    let archive = Archive::start();
    archive.publish("owner/name");
    let fake_server = LaunchpadStandIn::start();
    fake_server.add("owner/name", archive.fingerprint(), archive.key());
    fake_server.add("owner/other", KEY_IS, KEY);
    let launchpad = Launchpad::new(fake_server.settings(&archive.url()))?;
    let url = launchpad.archive_url("owner", "name", false);
    let folder = tempfile::tempdir()?;

    let key = block_on(launchpad.signing_key("owner", "other", None))?;
    let refused = apt(folder.path(), &url, &key, &["update"]);
    assert!(!refused.status.success() && refused.err.contains("is not signed"), "{refused:#?}");

    let key = block_on(launchpad.signing_key("owner", "name", None))?;
    for arguments in [&["update"][..], &["download", PACKAGE], &["source", "--download-only", PACKAGE]] {
        let finished = apt(folder.path(), &url, &key, arguments);
        assert!(finished.status.success(), "{arguments:?}: {finished:#?}");
    }
    assert!(folder.path().join(format!("{PACKAGE}_{VERSION}_all.deb")).is_file());
    assert!(folder.path().join(format!("{PACKAGE}_{VERSION}.dsc")).is_file());
    Ok(())
}

fn apt_logs_in(_: &Services) -> Result<(), Failed> {
    let archive = Archive::start();
    archive.publish_private("owner/name", "me", "hunter2");
    let fake_server = LaunchpadStandIn::start();
    fake_server.add_private("owner/name", archive.fingerprint(), archive.key());
    let launchpad = Launchpad::new(fake_server.settings(&archive.url()))?;
    let url = launchpad.archive_url("owner", "name", true);
    let expected = archive.fingerprint().parse()?;
    let key = block_on(launchpad.signing_key("owner", "name", Some(&expected)))?;
    let folder = tempfile::tempdir()?;

    let refused = apt(folder.path(), &url, &key, &["update"]);
    assert!(!refused.status.success() && refused.err.contains("401"), "{refused:#?}");
    assert!(archive.log().iter().all(|asked| asked.status == 401 && !asked.with_login), "{:?}", archive.log());

    let login = format!("machine {}/owner/name login me password hunter2\n", archive.url());
    fs::write(folder.path().join("auth/private.conf"), login)?;
    for arguments in [&["update"][..], &["download", PACKAGE]] {
        let finished = apt(folder.path(), &url, &key, arguments);
        assert!(finished.status.success(), "{arguments:?}: {finished:#?}");
        assert!(!format!("{finished:?}").contains("hunter2"), "{finished:#?}");
    }
    assert!(
        archive.log().iter().any(|asked| asked.target.ends_with(".deb") && asked.status == 200 && asked.with_login)
    );
    Ok(())
}

fn token_stays(_: &Services) -> Result<(), Failed> {
    let given = Arc::new(Mutex::new(Vec::new()));
    let (here, there) = (Arc::clone(&given), Arc::clone(&given));
    let other = FakeServer::start(move |exchange| {
        there.lock().expect("a list").push(("other", exchange.header("authorization").is_some()));
        exchange.answer("200 OK", "", "");
    });
    let to = other.url();
    let archive = FakeServer::start(move |exchange| {
        here.lock().expect("a list").push(("archive", exchange.header("authorization").is_some()));
        let headers = format!("Location: {to}{}\r\n", exchange.target);
        exchange.answer("302 Found", &headers, "");
    });
    let launchpad = Launchpad::new(LaunchpadStandIn::start().settings(&archive.url()))?;
    block_on(launchpad.must_have(&"me:hunter2@owner/name".parse()?, &"noble".parse()?))?;
    assert_eq!(*given.lock().expect("a list"), [("archive", true), ("other", false)]);
    Ok(())
}

fn site(_: &Services) -> Result<(), Failed> {
    let fake_server = LaunchpadStandIn::start();
    let site = TestSite::local();
    let told = |site: &TestSite, wanted: &str| {
        let settings = site.json(&["config"]);
        let found = settings.as_array().and_then(|list| list.iter().find(|setting| setting["key"] == wanted)).cloned();
        let setting = found.expect("the setting is shown");
        [&setting["value"], &setting["origin"]].map(|text| text.as_str().expect("a text").to_owned())
    };
    assert_eq!(told(&site, "launchpad.api"), ["https://api.launchpad.net/devel", "default"]);
    let file = site.path().join("apt-ci.toml");
    let text = fs::read_to_string(&file)? + &fake_server.section("http://127.0.0.1:9");
    fs::write(&file, &text)?;
    let line = text.lines().position(|line| line.starts_with("api = ")).expect("its line") + 1;
    assert_eq!(told(&site, "launchpad.api"), [fake_server.api(), format!("{}:{line}", file.display())]);
    assert_eq!(told(&site, "launchpad.private-archive")[0], "http://127.0.0.1:9");
    fs::write(&file, text.replacen("api = \"http:", "api = \"gopher:", 1))?;
    let refused = site.run(&["config"]);
    let place = format!("{}:{line}:7: `api`: not the address of a server", file.display());
    assert!(!refused.status.success() && refused.err.contains(&place), "{refused:#?}");
    Ok(())
}

fn published(_: &Services) -> Result<(), Failed> {
    let launchpad = LaunchpadStandIn::start();
    let site = TestSite::local();
    site.configure_further(&launchpad.section("http://127.0.0.1:9"));
    launchpad.publish("glibc", "2.39-2", "Proposed", "Pending");
    launchpad.publish("glibc", "2.39-1", "Release", "Published");
    launchpad.publish("glibc", "2.38-1", "Release", "Superseded");
    let check = |release: &str, trigger: &str| {
        site.run(&["run", "-s", release, "-a", "amd64", "--check", "--trigger", trigger, "gzip"])
    };
    for version in ["glibc/2.39-1", "glibc/2.39-2"] {
        let sent = check(&site.release, version);
        assert!(sent.status.success() && sent.out.contains("gzip"), "{sent:#?}");
    }
    for (trigger, said) in [
        ("glibc/2.38-1", "glibc/2.38-1 is not published in"),
        ("glibc/2.38-1", "2.39-2 (Proposed), 2.39-1 (Release)"),
        ("nothing/1", "no version of nothing is"),
    ] {
        let refused = check(&site.release, trigger);
        assert_eq!((refused.status.code(), refused.out.as_str()), (Some(2), ""), "{refused:#?}");
        assert!(refused.err.contains(said) && refused.err.contains("hint: "), "{refused:#?}");
    }
    let unknown = check("nowhere", "glibc/2.39-1");
    assert_eq!(unknown.status.code(), Some(1), "{unknown:#?}");
    assert!(unknown.err.contains("has no release nowhere"), "{unknown:#?}");
    assert_eq!(site.queue()["ready"], 2, "nothing else is queued");
    Ok(())
}
