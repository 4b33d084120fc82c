//! Binding of secrets: to kind, name, readers, the server that gets them, and the service to which GitLab sends them.

use super::*;

#[test]
fn a_secret_is_given_out_for_what_it_was_stored_for_alone() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann")).unwrap();
    let now = Timestamp::now();
    let mq: ServerIdentity = "amqps://mq.example".parse().unwrap();
    ann.set(Kind::Queue, &name("me"), &SECRET.to_owned().into(), &Details::for_server(mq.clone()), now).unwrap();
    for other in ["amqp://mq.example", "amqps://mq.example:1", "amqps://evil.example", "https://mq.example"] {
        let error = ann.get_for(Kind::Queue, &name("me"), &other.parse().unwrap()).unwrap_err();
        assert!(
            matches!(&error, CredentialsError::OtherServer { .. }) && !error.to_string().contains(SECRET),
            "{error}"
        );
    }
    assert!(ann.get_for(Kind::Queue, &name("me"), &mq).unwrap().is_some());
    // Its ciphertext in a file of another kind, with that kind in clear.
    let sealed = scene.root().join("credentials/queue/me.json");
    let text = fs::read_to_string(&sealed).unwrap();
    let status = scene.root().join("credentials/github-status");
    fs::create_dir(&status).unwrap();
    let copied = text.replace("\"queue\"", "\"github-status\"").replace("amqps://mq.example", "https://api.github.com");
    fs::write(status.join("me.json"), &copied).unwrap();
    let error = ann.get(Kind::GithubStatus, &name("me")).unwrap_err();
    assert!(matches!(error, CredentialsError::Foreign(..)), "{error}");
    // Unchanged, under another name.
    fs::write(sealed.with_file_name("you.json"), &text).unwrap();
    assert!(matches!(ann.get(Kind::Queue, &name("you")), Err(CredentialsError::Foreign(..))));
    fs::write(sealed.with_file_name("you.json"), text.replace("\"me\"", "\"you\"")).unwrap();
    assert!(matches!(ann.get(Kind::Queue, &name("you")), Err(CredentialsError::Foreign(..))));
    // With another server, or other readers, in clear.
    for (from, to) in [("mq.example", "evil.example"), ("\"created\"", "\"readers\": [\"web\"], \"created\"")] {
        fs::write(&sealed, text.replace(from, to)).unwrap();
        assert!(matches!(ann.get(Kind::Queue, &name("me")), Err(CredentialsError::Foreign(..))), "{to}");
    }
    fs::write(&sealed, &text).unwrap();
    // Unencrypted in the folder that git tracks.
    let clear = text.split("\"secret\": \"").next().unwrap().to_owned() + "\"secret\": \"hunter2\"}";
    fs::write(&sealed, clear).unwrap();
    let error = ann.get(Kind::Queue, &name("me")).unwrap_err();
    assert!(matches!(&error, CredentialsError::Clear(_)) && !error.to_string().contains("hunter2"), "{error}");
    fs::write(&sealed, "x".repeat(2 << 20)).unwrap();
    assert!(ann.get(Kind::Queue, &name("me")).unwrap_err().to_string().contains("longer than 1 MiB"));
    // A new secret replaces an unusable file.
    ann.set(Kind::Queue, &name("me"), &SECRET.to_owned().into(), &Details::for_server(mq.clone()), now).unwrap();
    assert!(ann.get_for(Kind::Queue, &name("me"), &mq).unwrap().is_some());
}

#[test]
fn a_secret_that_gitlab_sends_goes_to_the_service_that_it_is_bound_to() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann")).unwrap();
    let [gitlab, own, evil] = ["https://gitlab.com", "https://ci.example", "https://evil.example"]
        .map(|server| server.parse::<ServerIdentity>().unwrap());
    let store = |kind, service: Option<&ServerIdentity>| {
        let details = Details { service: service.cloned(), ..Details::for_server(gitlab.clone()) };
        ann.set(kind, &name("me/x"), &SECRET.to_owned().into(), &details, Timestamp::now()).unwrap()
    };
    let given = |kind, service| ann.get_for_service(kind, &name("me/x"), &gitlab, service);
    // A secret of an older version is for no service.
    store(Kind::GitlabHook, None);
    assert!(ann.get(Kind::GitlabHook, &name("me/x")).unwrap().unwrap().needs_service());
    let error = given(Kind::GitlabHook, &own).unwrap_err();
    assert!(error.to_string().contains("is for no web service yet, not for https://ci.example"), "{error}");
    let details = Details { service: Some(own.clone()), ..Details::default() };
    ann.bind(Kind::GitlabHook, &name("me/x"), &details).unwrap();
    assert_eq!(given(Kind::GitlabHook, &own).unwrap().unwrap().expose_secret(), SECRET);
    let error = given(Kind::GitlabHook, &evil).unwrap_err();
    assert!(
        error.to_string().contains("is for the web service at https://ci.example, not for https://evil"),
        "{error}"
    );
    // A new secret stays bound, and a commit cannot bind it to another service.
    store(Kind::GitlabHook, None);
    assert!(given(Kind::GitlabHook, &own).is_ok() && given(Kind::GitlabHook, &evil).is_err());
    let file = scene.root().join("credentials/gitlab-hook/me%2Fx.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("ci.example", "evil.example")).unwrap();
    assert!(matches!(given(Kind::GitlabHook, &evil), Err(CredentialsError::Foreign(..))));
    // GitHub signs with the secret and does not send it.
    assert_eq!(store(Kind::GithubHook, Some(&own)).service, None);
    assert!(given(Kind::GithubHook, &evil).is_ok());
}

#[test]
fn a_secret_from_before_secrets_were_bound_is_bound_first() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann")).unwrap();
    ann.set(Kind::GithubHook, &name("me/x"), &SECRET.to_owned().into(), &details(), Timestamp::now()).unwrap();
    let path = scene.root().join("credentials/github-hook/me%2Fx.json");
    let (mut entry, _) = Entry::from_json(&fs::read_to_string(&path).unwrap()).unwrap();
    (entry.server, entry.readers) = (None, None);
    let old = sealed::seal(&SECRET.to_owned().into(), &ann.recipients().unwrap()).unwrap();
    fs::write(&path, entry.to_json(&old)).unwrap();
    let refused =
        || matches!(ann.get_for(Kind::GithubHook, &name("me/x"), &server()), Err(CredentialsError::Unbound(..)));
    assert!(refused() && ann.get(Kind::GithubHook, &name("me/x")).unwrap().unwrap().for_comparison().is_err());
    // Encrypting it again does not bind it: it stays only for operators, whatever its file says in the meantime.
    entry.readers = Some(role("worker"));
    entry.server = Some("https://evil.example".parse().unwrap());
    fs::write(&path, entry.to_json(&old)).unwrap();
    ann.add_recipient(scene.key("bob").with_roles(role("worker:x"))).unwrap();
    assert!(refused() && scene.of("bob").unwrap().get(Kind::GithubHook, &name("me/x")).is_err());
    assert!(matches!(
        ann.bind(Kind::GithubHook, &name("me/x"), &Details::default()),
        Err(CredentialsError::NoServer(..))
    ));
    ann.bind(Kind::GithubHook, &name("me/x"), &details()).unwrap();
    assert_eq!(opened(&ann, "me/x"), SECRET);
    assert!(git(&scene, &["status", "--porcelain"]).is_empty(), "it is committed");
}
