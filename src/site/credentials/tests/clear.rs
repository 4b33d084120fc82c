//! Unencrypted secrets.

use super::*;

#[test]
fn nothing_is_stored_in_clear_where_secrets_were_encrypted() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    let set = |who: &str| {
        scene.of(who)?.set(Kind::GithubHook, &name("me/x"), &SECRET.to_owned().into(), &details(), Timestamp::now())
    };
    set("ann").unwrap();
    let refused = |result: Result<Entry, CredentialsError>| matches!(result, Err(CredentialsError::NoRecipients(_)));
    fs::write(scene.root().join("credentials/recipients"), "# nobody\n").unwrap();
    assert!(refused(set("ann")) && refused(set("bob")), "bob has confirmed nobody, and sees what is encrypted");
    fs::remove_file(scene.root().join("credentials/recipients")).unwrap();
    assert!(refused(set("ann")) && refused(set("bob")));
    assert!(matches!(ann.set_all(Kind::Queue, &[], Timestamp::now()), Err(CredentialsError::NoRecipients(_))));
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    set("ann").unwrap();
    assert_eq!(opened(&ann, "me/x"), SECRET);
    fs::remove_dir_all(scene.root().join("credentials")).unwrap();
    assert!(refused(set("ann")), "ann knows that there were recipients");
    assert!(!scene.root().join(".credentials").exists());
    // A new site in the same place starts without decisions.
    scene.trust("ann").trust_new(&scene.root()).unwrap();
    set("ann").unwrap();
}

#[test]
fn git_ignores_secrets_in_clear_whatever_a_commit_says() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    let set = || ann.set(Kind::GithubHook, &name("me/x"), &SECRET.to_owned().into(), &details(), Timestamp::now());
    set().unwrap();
    fs::write(scene.root().join(".gitignore"), "").unwrap();
    fs::write(scene.root().join(".credentials/.gitignore"), "").unwrap();
    set().unwrap();
    assert!(!git(&scene, &["status", "--porcelain", "-uall"]).contains("credentials"));
    git(&scene, &["add", "-f", ".credentials/github-hook"]);
    git(&scene, &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]);
    let error = set().unwrap_err();
    assert!(matches!(error, CredentialsError::Clear(_)), "{error}");
}
