use std::fs;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn resolve(url: Option<&str>, variables: &[(&str, &str)]) -> Result<Account, StoreError> {
    let url = url.map(|url| Url::parse(url).unwrap());
    Account::resolve(url.as_ref(), &SwiftSettings::default(), &environment(variables), None)
}

fn complaint(variables: &[(&str, &str)]) -> String {
    match resolve(None, variables) {
        Err(StoreError::Misconfigured(text)) => text,
        other => panic!("not a complaint: {other:?}"),
    }
}

#[test]
fn without_credentials_a_named_account_is_read_as_anybody() {
    let account = resolve(Some("https://s/v1/AUTH_x"), &[]).unwrap();
    assert!(matches!(account.login, Login::Anonymous));
    assert!(complaint(&[]).contains("ST_AUTH"));
}

#[test]
fn the_old_variables_belong_together() {
    let old = [("ST_AUTH", "https://s/auth/v1.0"), ("ST_USER", "t:u"), ("ST_KEY", "k")];
    assert!(matches!(resolve(None, &old).unwrap().login, Login::TempAuth(_)));
    assert!(complaint(&old[..2]).contains("ST_KEY is not set"));
    assert!(complaint(&[("ST_KEY", "k")]).contains("ST_AUTH and ST_USER"));
}

#[test]
fn the_old_variables_can_hold_keystones_values() {
    let mixed = [
        ("ST_AUTH_VERSION", "3"),
        ("ST_AUTH", "https://k/v3"),
        ("ST_USER", "u"),
        ("ST_KEY", "k"),
        ("OS_PROJECT_NAME", "p"),
    ];
    assert!(matches!(resolve(None, &mixed).unwrap().login, Login::Keystone(_)));
}

#[test]
fn what_keystone_needs_is_named() {
    let all = [
        ("OS_AUTH_URL", "https://k:5000"),
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "very secret"),
        ("OS_PROJECT_NAME", "p"),
    ];
    assert!(matches!(resolve(None, &all).unwrap().login, Login::Keystone(_)));
    for (left_out, (name, _)) in all.iter().enumerate() {
        let mut rest = all.to_vec();
        rest.remove(left_out);
        let complaint = complaint(&rest);
        assert!(complaint.contains(name), "{name}: {complaint}");
        assert!(!complaint.contains("very secret"));
    }
    let mut typed = all.to_vec();
    typed.push(("OS_AUTH_TYPE", "v3applicationcredential"));
    assert!(complaint(&typed).contains("OS_APPLICATION_CREDENTIAL_ID"));
    typed.pop();
    typed.push(("OS_AUTH_TYPE", "v3kerberos"));
    assert!(complaint(&typed).contains("v3kerberos"));
}

#[test]
fn a_token_needs_no_login() {
    let account = resolve(None, &[("OS_AUTH_TOKEN", "secret"), ("OS_STORAGE_URL", "https://s/v1/AUTH_x")]).unwrap();
    assert!(matches!(account.login, Login::Token(_)));
    assert!(!format!("{account:?}").contains("secret"));
}

#[test]
fn a_token_goes_to_no_server_that_its_source_does_not_name() {
    let token = ("OS_AUTH_TOKEN", "secret");
    let refused = |url: &str, variables: &[(&str, &str)]| match resolve(Some(url), variables) {
        Err(StoreError::Misconfigured(text)) => text,
        other => panic!("not refused: {other:?}"),
    };
    let own = [token, ("OS_STORAGE_URL", "https://s/v1/AUTH_x")];
    assert!(resolve(Some("https://s/v1/AUTH_y"), &own).is_ok());
    assert!(
        refused("https://evil/v1/AUTH_x", &own).contains("refusing to send the token in OS_AUTH_TOKEN to https://evil")
    );
    assert!(refused("https://s/v1/AUTH_x", &[token]).contains("OS_STORAGE_URL"));
    // With a login, the address in its answer decides.
    let old = [("ST_AUTH", "https://s/auth/v1.0"), ("ST_USER", "t:u"), ("ST_KEY", "k")];
    let account = resolve(Some("https://evil/v1/AUTH_x"), &old).unwrap();
    let answered = Url::parse("https://s/v1/AUTH_x").unwrap();
    assert!(account.storage.unwrap().chosen([&answered]).is_err());
    let account = resolve(Some("https://s:443/v1/AUTH_other"), &old).unwrap();
    assert_eq!(account.storage.unwrap().chosen([&answered]).unwrap().path(), "/v1/AUTH_other");
}

#[test]
fn the_sites_cloud_says_not_who_gets_the_token_of_a_sealed_password() {
    let folder = tempfile::tempdir().unwrap();
    let site = |text: &str| {
        let file = folder.path().join("clouds.yaml");
        fs::write(&file, text).unwrap();
        SwiftSettings { cloud: Some("ci".into()), clouds_file: Some(file), ..SwiftSettings::default() }
    };
    let cloud = "clouds: {ci: {auth: {auth_url: 'https://k/v3', username: joe, project_name: x}";
    let over = format!("{cloud}, object_store_endpoint_override: 'https://evil/v1/AUTH_x'}}}}\n");
    let password = SecretString::from("verysecret".to_owned());
    let answered = Url::parse("https://s/v1/AUTH_x").unwrap();
    let account = |url: Option<&str>, settings: &SwiftSettings, environment: &Environment| {
        let url = url.map(|url| Url::parse(url).unwrap());
        Account::resolve(url.as_ref(), settings, environment, Some(&password))
    };
    let bare = Environment::default();
    for url in [None, Some("https://evil/v1/AUTH_y")] {
        let storage = account(url, &site(&over), &bare).unwrap().storage.unwrap();
        let error = storage.chosen([&answered]).unwrap_err();
        assert!(format!("{error:?}").contains("refusing to send the token to https://evil"), "{error:?}");
    }
    // The server in the login's answer is safe.
    let same = over.replace("evil", "s");
    assert!(account(None, &site(&same), &bare).unwrap().storage.unwrap().chosen([&answered]).is_ok());
    // Nor do the site's certificates prove who the server is; the user's own do.
    let trusting = format!("{cloud}, cacert: theirs.pem}}}}\n");
    let error = account(None, &site(&trusting), &bare).unwrap_err().to_string();
    assert!(error.contains("refusing to trust the certificates in cacert (cloud ci in"), "{error}");
    let own = environment(&[("OS_CACERT", "/ca.pem")]);
    assert_eq!(account(None, &site(&trusting), &own).unwrap().cacert, Some(PathBuf::from("/ca.pem")));
    // A cloud of the user's own may.
    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".config/openstack")).unwrap();
    fs::write(home.join(".config/openstack/clouds.yaml"), over.replace("}}\n", ", cacert: /ca.pem}}\n")).unwrap();
    let settings = SwiftSettings { cloud: Some("ci".into()), ..SwiftSettings::default() };
    let account = account(None, &settings, &environment(&[("HOME", home.to_str().unwrap())])).unwrap();
    assert_eq!(account.storage.unwrap().chosen([&answered]).unwrap().host_str(), Some("evil"));
    assert_eq!(account.cacert, Some(PathBuf::from("/ca.pem")));
}

#[test]
fn a_password_is_not_sent_in_plain_text_unless_the_site_allows_it() {
    let old = [("ST_AUTH", "http://s/auth/v1.0"), ("ST_USER", "t:u"), ("ST_KEY", "k")];
    let newer = [("OS_AUTH_URL", "http://k/v3"), ("OS_USERNAME", "u"), ("OS_PASSWORD", "k"), ("OS_PROJECT_NAME", "p")];
    for variables in [&old[..], &newer] {
        assert!(complaint(variables).contains("plain-text-passwords"));
        let settings = SwiftSettings { allows_plain_text: true, ..SwiftSettings::default() };
        assert!(Account::resolve(None, &settings, &environment(variables), None).is_ok());
    }
    assert!(resolve(None, &[("ST_AUTH", "http://127.0.0.1:8080/auth/v1.0"), old[1], old[2]]).is_ok());
}

#[test]
fn a_cloud_of_the_working_directory_does_not_count() {
    // A password in the user's secure.yaml would be sent to any server that the site's file names.
    let folder = tempfile::tempdir().unwrap();
    let settings = SwiftSettings { clouds_file: Some(folder.path().join("clouds.yaml")), ..SwiftSettings::default() };
    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".config/openstack")).unwrap();
    fs::write(home.join(".config/openstack/secure.yaml"), "clouds: {ci: {auth: {password: very secret}}}\n").unwrap();
    let cloud = "clouds: {ci: {auth: {auth_url: 'https://evil', username: joe, project_name: x}}}\n";
    fs::write(folder.path().join("clouds.yaml"), cloud).unwrap();
    let variables = environment(&[("HOME", home.to_str().unwrap()), ("OS_CLOUD", "ci")]);
    let error = Account::resolve(None, &settings, &variables, None).unwrap_err();
    assert!(error.to_string().contains("password (cloud ci in"), "{error}");
    let error = Account::resolve(None, &SwiftSettings::default(), &variables, None).unwrap_err();
    assert!(error.to_string().contains("no clouds.yaml found"), "{error}");
    assert!(!error.to_string().contains(" ./clouds.yaml"), "{error}");
}

#[test]
fn a_user_without_a_password_gets_the_one_that_is_found_elsewhere() {
    let password = SecretString::from("verysecret".to_owned());
    let settings = SwiftSettings::default();
    let old = [("ST_AUTH", "https://s/auth/v1.0"), ("ST_USER", "t:u")];
    let newer = [("OS_AUTH_URL", "https://k:5000/v3"), ("OS_USERNAME", "u"), ("OS_PROJECT_NAME", "p")];
    for (variables, user, server) in [(&old[..], "t:u", "https://s"), (&newer, "u", "https://k:5000")] {
        let variables = environment(variables);
        let known = login(&settings, &variables).unwrap().unwrap();
        assert_eq!((known.user.as_str(), known.server.to_string().as_str()), (user, server));
        assert!(!known.has_secret && Account::resolve(None, &settings, &variables, None).is_err());
        let account = Account::resolve(None, &settings, &variables, Some(&password)).unwrap();
        assert!(matches!(account.login, Login::TempAuth(_) | Login::Keystone(_)));
        assert!(!format!("{account:?}").contains("verysecret"));
    }
    let whole = environment(&[old[0], old[1], ("ST_KEY", "k")]);
    assert!(login(&settings, &whole).unwrap().unwrap().has_secret);
    assert_eq!(login(&settings, &environment(&[])).unwrap(), None);
}

#[test]
fn nothing_shows_passwords() {
    let account = resolve(
        None,
        &[("OS_AUTH_URL", "https://k"), ("OS_USERNAME", "u"), ("OS_PASSWORD", "verysecret"), ("OS_PROJECT_NAME", "p")],
    );
    assert!(!format!("{account:?}").contains("verysecret"));
    let account = resolve(None, &[("ST_AUTH", "https://s"), ("ST_USER", "u"), ("ST_KEY", "verysecret")]);
    assert!(!format!("{account:?}").contains("verysecret"));
}

#[test]
fn a_cloud_comes_from_the_users_files() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/openstack");
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("clouds.yaml"),
        "clouds:\n  ci:\n    profile: shared\n    auth:\n      username: joe\n      project_name: 12345\n    \
         regions: [{name: north}, south]\n  other: {}\n",
    )
    .unwrap();
    fs::write(folder.join("secure.yaml"), "clouds: {ci: {auth: {password: very secret}}}\n").unwrap();
    fs::write(
        folder.join("clouds-public.yaml"),
        "public-clouds: {shared: {auth: {auth_url: 'https://k.example/identity', username: nobody}}}\n",
    )
    .unwrap();
    let home = home.path().to_str().unwrap();
    let account = resolve(None, &[("HOME", home), ("OS_CLOUD", "ci"), ("OS_CACERT", "/ca.pem")]).unwrap();
    let Login::Keystone(keystone) = &account.login else { panic!("{account:?}") };
    let shown = format!("{keystone:?}");
    for expected in ["https://k.example/identity/v3/auth/tokens", "joe", "12345", "north"] {
        assert!(shown.contains(expected) || keystone.tokens_url().as_str() == expected, "{expected}: {shown}");
    }
    assert!(!shown.contains("very secret"));
    assert_eq!(account.cacert, Some(PathBuf::from("/ca.pem")));

    assert!(complaint(&[("HOME", home), ("OS_CLOUD", "CI")]).contains("ci, other"));
    assert!(complaint(&[("HOME", home), ("OS_CLOUD", "other")]).contains("auth_url (cloud other in"));
    assert!(complaint(&[("HOME", "/nonexistent"), ("OS_CLOUD", "ci")]).contains("/nonexistent/.config/openstack"));

    // The variables configure another login; the site's choice of a cloud is ignored.
    let settings = SwiftSettings { cloud: Some("ci".into()), ..SwiftSettings::default() };
    let old = [("HOME", home), ("ST_AUTH", "https://s"), ("ST_USER", "u"), ("ST_KEY", "k")];
    let account = Account::resolve(None, &settings, &environment(&old), None).unwrap();
    assert!(matches!(account.login, Login::TempAuth(_)));
    let account = Account::resolve(None, &settings, &environment(&old[..1]), None).unwrap();
    assert!(matches!(account.login, Login::Keystone(_)));
}

#[test]
fn a_damaged_file_is_named_but_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    for text in
        ["clouds:\n  ci:\n    auth: verysecret\n", "clouds: {ci: {auth: {password: [verysecret]}}}", "a: 'verysecret"]
    {
        fs::write(&file, text).unwrap();
        let complaint = complaint(&[("OS_CLOUD", "ci"), ("OS_CLIENT_CONFIG_FILE", file.to_str().unwrap())]);
        assert!(complaint.contains("c.yaml") && !complaint.contains("verysecret"), "{complaint}");
    }
}
