//! Roles, and the secrets that their keys open.

use super::*;

fn shown(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{} {}", entry.kind, entry.name)).collect()
}

/// Returns the entries that a user's key opens.
fn opens(scene: &CredentialsFixture, who: &str) -> Vec<String> {
    let credentials = scene.of(who).unwrap();
    let mut opened = Vec::new();
    for entry in credentials.list().unwrap() {
        match credentials.get(entry.kind, &entry.name) {
            Ok(Some(secret)) if secret.reveal().expose_secret() == SECRET => opened.push(entry),
            Err(CredentialsError::Sealed(..)) => {}
            other => panic!("{} {}: {:?}", entry.kind, entry.name, other.err()),
        }
    }
    shown(&opened)
}

#[test]
fn what_one_hosts_key_alone_opens_is_exactly_its_list() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    let now = Timestamp::now();
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    ann.add_recipient(scene.key("bob").with_roles(role("worker:host1"))).unwrap();
    ann.add_recipient(scene.key("eve").with_roles(role("web"))).unwrap();
    let needed = |readers: &str| Details { readers: Some(role(readers)), ..details() };
    for (kind, who, details) in [
        (Kind::Queue, "host1", details()),
        (Kind::Queue, "host2", needed("worker:host2")),
        (Kind::Queue, "web", details()),
        (Kind::Queue, "root", needed("operator")),
        (Kind::Swift, "store", needed("worker")),
        (Kind::Swift, "reader", needed("web,worker:host1")),
        (Kind::GithubHook, "me/x", details()),
        (Kind::GithubStatus, "me/x", details()),
        (Kind::ApiKey, "ann", details()),
    ] {
        ann.set(kind, &name(who), &SECRET.to_owned().into(), &details, now).unwrap();
    }
    let opens = |who: &str| opens(&scene, who);
    let of_host = ["queue host1", "swift reader", "swift store"];
    let of_web = ["queue web", "swift reader", "github-hook me/x", "github-status me/x", "api-key ann"];
    assert_eq!(
        (opens("bob"), opens("eve"), opens("ann").len()),
        (of_host.map(String::from).into(), of_web.map(String::from).into(), 9)
    );
    // The list contains the same entries, from the ciphertexts alone.
    for known in scene.of("eve").unwrap().known_recipients().unwrap() {
        let listed = shown(&known.opens);
        let who = known.recipient.to_string().replace("@example", "");
        assert_eq!(listed, opens(&who), "{who}");
    }
    // Another role has another list, with real keys.
    let added = ann.add_recipient(scene.key("bob").with_roles(role("worker:host2"))).unwrap();
    assert!(added.is_new && added.unsaid.is_empty());
    assert_eq!(
        (shown(&added.opens), shown(&added.lost)),
        (
            ["queue host2", "swift store"].map(String::from).into(),
            ["queue host1", "swift reader"].map(String::from).into()
        )
    );
    assert_eq!(opens("bob"), ["queue host2", "swift store"]);
    let (_, known) = ann.remove_recipient("bob@example").unwrap();
    assert_eq!((known.len(), opens("bob").len()), (2, 0), "it is said which ones it knew");
    // Without known readers it is stored for no role.
    let error = ann.set(Kind::Queue, &name("someone"), &SECRET.to_owned().into(), &details(), now).unwrap_err();
    assert!(matches!(error, CredentialsError::NoReaders(..)), "{error}");
    let error = ann.add_recipient(scene.key("ann").with_roles(role("web"))).unwrap_err();
    assert!(matches!(error, CredentialsError::LastRecipient(_)), "{error}");
}

#[test]
fn what_was_stored_before_there_were_roles_is_for_operators() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    // One is stored before the first recipient.
    let store = |kind: Kind, who: &str| {
        ann.set(kind, &name(who), &SECRET.to_owned().into(), &details(), Timestamp::now()).unwrap();
    };
    store(Kind::Queue, "admin");
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    for (kind, who) in [(Kind::Queue, "web"), (Kind::Queue, "host1"), (Kind::Swift, "ci"), (Kind::GithubHook, "me/x")] {
        store(kind, who);
    }
    let added = ann.add_recipient(scene.key("bob").with_roles(role("worker:host1"))).unwrap();
    assert_eq!((shown(&added.opens), opens(&scene, "bob")), (vec!["queue host1".to_owned()], shown(&added.opens)));
    assert_eq!(
        (shown(&added.unsaid), added.lost.len()),
        (["queue admin", "queue web", "swift ci"].map(String::from).into(), 0)
    );
    let added = ann.add_recipient(scene.key("eve").with_roles(role("web"))).unwrap();
    assert_eq!(opens(&scene, "eve"), ["queue web", "github-hook me/x"]);
    assert_eq!(shown(&added.unsaid), ["queue admin", "swift ci"]);
    // That stays so when all are encrypted again, until a user names readers.
    ann.remove_recipient("eve@example").unwrap();
    assert_eq!(opens(&scene, "bob"), ["queue host1"]);
    let said = Details { readers: Some(role("worker")), ..details() };
    ann.bind(Kind::Swift, &name("ci"), &said).unwrap();
    assert_eq!(opens(&scene, "bob"), ["queue host1", "swift ci"]);
}

#[test]
fn what_a_narrower_role_opens_no_more_is_named() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    ann.add_recipient(scene.key("bob")).unwrap();
    for (who, readers) in [("a", "worker:host1"), ("b", "worker:host2"), ("c", "operator")] {
        let details = Details { readers: Some(role(readers)), ..details() };
        ann.set(Kind::Queue, &name(who), &SECRET.to_owned().into(), &details, Timestamp::now()).unwrap();
    }
    let lost_as = |text: &str| shown(&ann.add_recipient(scene.key("bob").with_roles(role(text))).unwrap().lost);
    assert_eq!(lost_as("worker:host1"), ["queue b", "queue c"]);
    assert_eq!(lost_as("worker:host2"), ["queue a"]);
    assert!(lost_as("worker:host1,worker:host2") == [""; 0] && lost_as("operator") == [""; 0]);
    // Also named is an entry whose ciphertext, for example of an older version, has more keys than it should.
    let path = scene.root().join("credentials/queue/c.json");
    ann.add_recipient(scene.key("bob").with_roles(role("web"))).unwrap();
    let (entry, _) = Entry::from_json(&fs::read_to_string(&path).unwrap()).unwrap();
    let payload = OpenedCredential::payload(&entry, &SECRET.to_owned().into());
    fs::write(&path, entry.to_json(&sealed::seal(&payload, &ann.recipients().unwrap()).unwrap())).unwrap();
    assert_eq!(opens(&scene, "bob"), ["queue c"]);
    let added = ann.add_recipient(scene.key("eve").with_roles(role("worker:host2"))).unwrap();
    assert_eq!((shown(&added.lost), opens(&scene, "bob").len()), (vec!["queue c".to_owned()], 0));
}
