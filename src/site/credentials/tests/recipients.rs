//! Recipients that a commit restores, changes or doubles, and invalid ones.

use super::*;

const KIND: Kind = Kind::GithubHook;

/// A site with two recipients, and a secret for operators.
struct Pair {
    scene: CredentialsFixture,
    ann: Credentials,
}

impl Pair {
    fn new(role_of_eve: &str) -> Self {
        let scene = CredentialsFixture::new();
        let ann = scene.of("ann").unwrap();
        ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
        ann.add_recipient(scene.key("eve").with_roles(role(role_of_eve))).unwrap();
        let pair = Self { scene, ann };
        pair.store().unwrap();
        pair
    }

    fn store(&self) -> Result<(), CredentialsError> {
        let details = Details { readers: Some(role("operator")), ..details() };
        self.ann.set(KIND, &name("me/x"), &SECRET.to_owned().into(), &details, Timestamp::now()).map(drop)
    }

    /// Whether Eve's key opens the secret.
    fn eve_reads(&self) -> bool {
        self.scene.of("eve").unwrap().get(KIND, &name("me/x")).is_ok()
    }

    fn list(&self) -> String {
        fs::read_to_string(self.scene.root().join("credentials/recipients")).unwrap()
    }

    /// Replaces the list, as a pulled commit would.
    fn pull(&self, list: &str) {
        fs::write(self.scene.root().join("credentials/recipients"), list).unwrap();
    }

    fn line_of_eve(&self, role_of_eve: &str) -> String {
        self.scene.key("eve").with_roles(role(role_of_eve)).line() + "\n"
    }

    #[track_caller]
    fn is_refused(&self) {
        let error = self.store().unwrap_err();
        assert!(matches!(&error, CredentialsError::Unconfirmed(who) if who[0].contains("eve@example")), "{error}");
        assert!(!self.eve_reads());
    }
}

#[test]
fn a_recipient_that_comes_back_is_confirmed_anew() {
    let pair = Pair::new("operator");
    assert!(pair.eve_reads());
    pair.ann.remove_recipient("eve@example").unwrap();
    assert!(!pair.eve_reads());
    pair.pull(&(pair.list() + &pair.line_of_eve("operator")));
    assert!(!pair.ann.known_recipients().unwrap()[1].is_confirmed);
    pair.is_refused();
    // The same if another user removed it: every command that reads the list notices that.
    pair.ann.confirm(&pair.ann.unconfirmed().unwrap()).unwrap();
    pair.store().unwrap();
    let both = pair.list();
    pair.pull(&both.replace(&pair.line_of_eve("operator"), ""));
    pair.store().unwrap();
    pair.pull(&both);
    pair.is_refused();
}

#[test]
fn a_role_that_comes_back_is_confirmed_anew() {
    let pair = Pair::new("operator");
    pair.ann.add_recipient(pair.scene.key("eve").with_roles(role("worker:a"))).unwrap();
    pair.store().unwrap();
    assert!(!pair.eve_reads());
    pair.pull(&pair.list().replace("worker:a", "operator"));
    pair.is_refused();
}

#[test]
fn what_commits_took_away_and_brought_back_is_seen() {
    let pair = Pair::new("operator");
    let both = pair.list();
    let commit = |list: &str| {
        pair.pull(list);
        git(&pair.scene, &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-a", "-m", "x"]);
    };
    let without = both.replace(&pair.line_of_eve("operator"), "");
    // One pull brings both, as two users' commits; or an invalid list hides the one in between.
    for between in [without.as_str(), &both.replace("operator", "worker:a"), "no list\n"] {
        pair.ann.confirm(&pair.ann.unconfirmed().unwrap()).unwrap();
        pair.store().unwrap();
        assert!(pair.eve_reads());
        commit(between);
        commit(&both);
        let error = pair.store().unwrap_err();
        assert!(matches!(&error, CredentialsError::Unconfirmed(_)), "{between}: {error}");
    }
    // The same from a merged branch.
    pair.ann.confirm(&pair.ann.unconfirmed().unwrap()).unwrap();
    pair.store().unwrap();
    git(&pair.scene, &["checkout", "-q", "-b", "theirs"]);
    commit(&without);
    git(&pair.scene, &["checkout", "-q", "-"]);
    let merge =
        ["-c", "user.name=x", "-c", "user.email=x@x", "merge", "-q", "-s", "ours", "--no-ff", "-m", "x", "theirs"];
    git(&pair.scene, &merge);
    assert_eq!(pair.list(), both);
    assert!(matches!(pair.store(), Err(CredentialsError::Unconfirmed(_))));
    // Other commits change nothing, and a missing history confirms nothing.
    pair.ann.confirm(&pair.ann.unconfirmed().unwrap()).unwrap();
    fs::write(pair.scene.root().join("worker.conf"), "# x\n").unwrap();
    commit(&both);
    pair.store().unwrap();
    fs::remove_dir_all(pair.scene.root().join(".git")).unwrap();
    pair.store().unwrap();
    git(&pair.scene, &["init", "-q"]);
    git(&pair.scene, &["add", "."]);
    git(&pair.scene, &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "x"]);
    assert!(matches!(pair.store(), Err(CredentialsError::Unconfirmed(_))));
}

#[test]
fn what_was_not_done_confirms_nothing() {
    let pair = Pair::new("worker:a");
    // Without a key that opens the secrets.
    let stranger = pair.scene.of("bob").unwrap();
    stranger.confirm(&stranger.unconfirmed().unwrap()).unwrap();
    stranger.add_recipient(pair.scene.key("eve").with_roles(role("operator"))).unwrap_err();
    let operator = pair.scene.key("eve").with_roles(role("operator"));
    pair.pull(&pair.list().replace("worker:a", "operator"));
    let unconfirmed = stranger.unconfirmed().unwrap();
    assert_eq!(unconfirmed.iter().map(Recipient::line).collect::<Vec<_>>(), [operator.line()]);
}

#[test]
fn a_site_that_is_trusted_no_more_has_no_confirmed_recipients() {
    let pair = Pair::new("operator");
    pair.scene.trust("ann").untrust(&pair.scene.root()).unwrap();
    assert_eq!(pair.ann.unconfirmed().unwrap().len(), 2);
}

#[test]
fn every_line_of_a_key_is_changed_and_removed() {
    let pair = Pair::new("worker:a");
    let doubled = pair.list() + &pair.line_of_eve("operator").replace("eve@example", "ann@example");
    // Changing that key's roles does not confirm the second line.
    pair.pull(&doubled);
    pair.ann.add_recipient(pair.scene.key("eve").with_roles(role("worker:b"))).unwrap();
    assert_eq!(pair.list().lines().count(), 2);
    assert!(!pair.eve_reads());
    pair.pull(&(pair.list() + &pair.line_of_eve("operator")));
    let (removed, _) = pair.ann.remove_recipient("eve@example").unwrap();
    assert_eq!((removed.to_string().as_str(), pair.list().lines().count()), ("eve@example", 1));
    assert!(matches!(pair.ann.remove_recipient("eve@example"), Err(CredentialsError::NoRecipient(_))));
    // Two keys with the same comment are still two.
    pair.pull(&doubled);
    assert!(matches!(pair.ann.remove_recipient("ann@example"), Err(CredentialsError::Ambiguous(_))));
}

#[test]
fn a_host_may_have_the_name_of_a_key_type() {
    for host in ["ssh-gw1", "ssh-rsa", "ssh-ed25519.example"] {
        let pair = Pair::new(&format!("worker:{host}"));
        let known = pair.ann.recipients().unwrap();
        assert_eq!(known[1].roles(), Some(&role(&format!("worker:{host}"))));
        pair.ann.remove_recipient("eve@example").unwrap();
    }
    let line = "web,worker:ssh-a ssh-dss AAAA me".parse::<Recipient>().err().expect("no such key is taken");
    assert!(line.contains("ssh-ed25519 or ssh-rsa"), "{line}");
}

#[test]
fn a_known_key_keeps_its_roles() {
    let scene = CredentialsFixture::new();
    let known = scene.key("eve").with_roles(role("worker:a"));
    let bare = || scene.key("eve").key_line().replace(" eve@example", "");
    let with = |comment: &str| format!("{} {comment}", bare()).parse::<Recipient>().unwrap();
    assert!(with("root@host1").is_same(&known) && !scene.key("ann").is_same(&known));
    assert_eq!(with("root@host1").as_known(&known).line(), format!("worker:a {} root@host1", bare()));
    assert_eq!(with("").as_known(&known).line(), known.line());
    assert!(with("x").as_known(&scene.key("eve")).roles().is_none());
}

#[test]
fn a_private_key_is_no_recipient() {
    let scene = CredentialsFixture::new();
    let private = fs::read_to_string(scene.folder.path().join("ann")).unwrap();
    let error = private.trim().parse::<Recipient>().err().expect("it is private");
    assert!(error.contains("this is a private key") && error.contains(".pub"), "{error}");
    let secret = private.lines().nth(1).unwrap();
    assert!(!error.contains(secret), "{error}");
}

#[test]
fn what_is_no_key_is_not_called_several_keys() {
    let wrong = |text: &str| text.parse::<Recipient>().err().expect("no key");
    let no_key = "this is not an SSH public key of the type ssh-ed25519 or ssh-rsa";
    for text in ["", "x", "[autopkgtest]\nretry_delay = 5\n\n[virt]\nargs = null\n", "web\nssh-dss AAAA\n"] {
        assert_eq!(wrong(text), no_key, "{text:?}");
    }
    let scene = CredentialsFixture::new();
    let keys = ["ann", "bob"].map(|name| scene.key(name).line()).join("\n");
    assert!(wrong(&keys).contains("several keys"), "{}", wrong(&keys));
}
