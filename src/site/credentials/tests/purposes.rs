//! Attempts of a committer to choose the purpose of the next secret.

use super::*;

/// Writes what anyone with a public key can: another secret, for any purpose.
fn forge(scene: &CredentialsFixture, of: &Entry, server: &str, readers: Option<&str>) {
    let entry = Entry { server: Some(server.parse().unwrap()), readers: readers.map(role), ..of.clone() };
    let payload = OpenedCredential::payload(&entry, &"theirs".to_owned().into());
    let sealed = sealed::seal(&payload, [&scene.key("ann")]).unwrap();
    fs::write(scene.root().join("credentials").join(of.file()), entry.to_json(&sealed)).unwrap();
}

const EVIL: &str = "amqps://evil.example";

#[test]
fn the_next_secret_goes_where_its_operator_has_said() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    let mq: ServerIdentity = "amqps://mq.example".parse().unwrap();
    let set = |credentials: &Credentials, kind, details: &Details| {
        credentials.set(kind, &name("me"), &SECRET.to_owned().into(), details, Timestamp::now())
    };
    let entry = set(&ann, Kind::Queue, &Details::for_server(mq.clone())).unwrap();
    set(&ann, Kind::Queue, &Details::default()).expect("it stays as it was");
    // The site's own setting cannot choose it either.
    let by_site = Details { usual: Some(EVIL.parse().unwrap()), ..Details::default() };
    forge(&scene, &entry, EVIL, None);
    for is_there in [true, false] {
        let error = set(&ann, Kind::Queue, &by_site).unwrap_err();
        assert!(matches!(&error, CredentialsError::Unagreed { is_there: there, .. } if *there == is_there), "{error}");
        for part in ["would be for amqps://evil.example and operator", "for amqps://mq.example and operator"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let _ = fs::remove_file(scene.root().join("credentials").join(entry.file()));
    }
    let error = ann.set_all(Kind::Queue, &[(name("me"), SECRET.to_owned().into(), by_site.clone())], Timestamp::now());
    assert!(matches!(error, Err(CredentialsError::Unagreed { .. })));
    // A given or confirmed purpose counts.
    set(&ann, Kind::Queue, &Details::for_server(mq.clone())).unwrap();
    forge(&scene, &entry, EVIL, None);
    let planned = ann.planned(Kind::Queue, &name("me"), &by_site, Timestamp::now()).unwrap();
    ann.agree([&planned.entry].into_iter()).unwrap();
    assert_eq!(set(&ann, Kind::Queue, &by_site).unwrap().server, Some(EVIL.parse().unwrap()));
    ann.bind(Kind::Queue, &name("me"), &Details::for_server(mq.clone())).unwrap();
    assert_eq!(set(&ann, Kind::Queue, &by_site).unwrap().server, Some(mq));
    // Another operator has confirmed nothing yet.
    ann.add_recipient(scene.key("bob").with_roles(role("operator"))).unwrap();
    let bob = scene.confirmed_by("bob");
    assert!(matches!(set(&bob, Kind::Queue, &by_site), Err(CredentialsError::Unagreed { before: None, .. })));
}

#[test]
fn the_next_hooks_secret_is_sent_where_its_operator_has_said() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    let [gitlab, own, evil] = ["https://gitlab.com", "https://ci.example", "https://evil.example"]
        .map(|server| server.parse::<ServerIdentity>().unwrap());
    let set = |details: &Details| {
        ann.set(Kind::GitlabHook, &name("me/x"), &SECRET.to_owned().into(), details, Timestamp::now())
    };
    let by_site = |service: &ServerIdentity| Details {
        usual: Some(gitlab.clone()),
        usual_service: Some(service.clone()),
        ..Details::default()
    };
    let entry = set(&by_site(&own)).unwrap();
    assert_eq!(set(&by_site(&evil)).unwrap().service, Some(own.clone()), "it stays as it was");
    // Neither a forged file nor the site's own setting chooses another service, whether or not there is a file.
    forge(&scene, &Entry { service: Some(evil.clone()), ..entry.clone() }, "https://gitlab.com", Some("web"));
    for _ in 0..2 {
        let error = set(&by_site(&evil)).unwrap_err();
        for part in
            ["which sends it to https://evil.example", "for https://gitlab.com, which sends it to https://ci.exa"]
        {
            assert!(error.to_string().contains(part), "{error}");
        }
        let _ = fs::remove_file(scene.root().join("credentials").join(entry.file()));
    }
    assert_eq!(set(&by_site(&own)).unwrap().service, Some(own));
    let said = Details { service: Some(evil.clone()), ..Details::default() };
    assert_eq!(set(&said).unwrap().service, Some(evil));
}

#[test]
fn the_next_secret_is_opened_by_whom_its_operator_has_said() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    ann.add_recipient(scene.key("eve").with_roles(role("worker:x"))).unwrap();
    let set = || ann.set(Kind::GithubStatus, &name("me/x"), &SECRET.to_owned().into(), &details(), Timestamp::now());
    let entry = set().unwrap();
    forge(&scene, &entry, "https://api.github.com", Some("web,worker"));
    let error = set().unwrap_err();
    assert!(error.to_string().contains("would be for https://api.github.com and web,worker,"), "{error}");
    let said = Details { readers: Some(role("web")), ..details() };
    ann.set(Kind::GithubStatus, &name("me/x"), &SECRET.to_owned().into(), &said, Timestamp::now()).unwrap();
    set().unwrap();
    assert!(scene.of("eve").unwrap().get(Kind::GithubStatus, &name("me/x")).is_err());
}
