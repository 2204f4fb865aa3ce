//! The command line.

use std::io::BufRead;

use serde_json::json;

use crate::support::{
    PASSWORD, STUDENT, TEACHER, both,
    process::{Server, Site, send},
};

const UNKNOWN: &str = "44444444-4444-4444-4444-444444444444";

/// The flags of `serve`: name, environment variable, and how the default is written.
const FLAGS: &[(&str, &str, &str)] = &[
    ("listen", "HOMEROOM_LISTEN", "127.0.0.1:8080]"),
    ("public-url", "HOMEROOM_PUBLIC_URL", "http:// and the listen address;"),
    ("issuer", "HOMEROOM_ISSUER", "the public URL]"),
    ("log", "HOMEROOM_LOG", "info]"),
    ("log-format", "HOMEROOM_LOG_FORMAT", "human]"),
    ("metrics-listen", "HOMEROOM_METRICS_LISTEN", "no metrics]"),
    ("max-connections", "HOMEROOM_MAX_CONNECTIONS", "1024]"),
    ("max-connections-per-address", "HOMEROOM_MAX_CONNECTIONS_PER_ADDRESS", "half of --max-connections]"),
    ("keep-alive", "HOMEROOM_KEEP_ALIVE", "75]"),
    ("tls-cert", "HOMEROOM_TLS_CERT", "no TLS, as behind a proxy]"),
    ("tls-key", "HOMEROOM_TLS_KEY", "no TLS]"),
    ("hsts", "HOMEROOM_HSTS", "no such header]"),
    ("data-dir", "HOMEROOM_DATA_DIR", "data]"),
    ("database-url", "HOMEROOM_DATABASE_URL", "homeroom.db in the data directory]"),
    ("database-url-file", "HOMEROOM_DATABASE_URL_FILE", "none]"),
    ("database-connections", "HOMEROOM_DATABASE_CONNECTIONS", "16]"),
    ("smtp-url", "HOMEROOM_SMTP_URL", "none; mails are written to files"),
    ("smtp-url-file", "HOMEROOM_SMTP_URL_FILE", "none]"),
    ("smtp-ehlo-name", "HOMEROOM_SMTP_EHLO_NAME", "the host name]"),
    ("smtp-ca", "HOMEROOM_SMTP_CA", "those that Mozilla trusts]"),
    ("mail-from", "HOMEROOM_MAIL_FROM", "Homeroom at localhost, for a server without SMTP]"),
    ("mail-templates", "HOMEROOM_MAIL_TEMPLATES", "none]"),
    ("code-life", "HOMEROOM_CODE_LIFE", "60]"),
    ("refresh-reuse-interval", "HOMEROOM_REFRESH_REUSE_INTERVAL", "10]"),
    ("registration-rate", "HOMEROOM_REGISTRATION_RATE", "1000]"),
    ("reset-rate", "HOMEROOM_RESET_RATE", "600]"),
    ("classes-per-owner", "HOMEROOM_CLASSES_PER_OWNER", "500]"),
    ("join-page", "HOMEROOM_JOIN_PAGE", "none]"),
    ("student-domain", "HOMEROOM_STUDENT_DOMAIN", "none]"),
    ("student-passwords", "HOMEROOM_STUDENT_PASSWORDS", "change]"),
    ("student-account-rate", "HOMEROOM_STUDENT_ACCOUNT_RATE", "600]"),
    ("student-import-rate", "HOMEROOM_STUDENT_IMPORT_RATE", "10]"),
    ("join-code-life", "HOMEROOM_JOIN_CODE_LIFE", "10080]"),
    ("join-code-rate", "HOMEROOM_JOIN_CODE_RATE", "60]"),
    ("hash-engine", "HOMEROOM_HASH_ENGINE", "simd]"),
    ("hash-memory", "HOMEROOM_HASH_MEMORY", "19456]"),
    ("hash-passes", "HOMEROOM_HASH_PASSES", "2]"),
    ("hash-workers", "HOMEROOM_HASH_WORKERS", "one per core]"),
    ("hash-queue", "HOMEROOM_HASH_QUEUE", "half a second's worth, at least 32 per thread]"),
    ("password-min-length", "HOMEROOM_PASSWORD_MIN_LENGTH", "15]"),
    ("audit-retention", "HOMEROOM_AUDIT_RETENTION", "365]"),
    ("password-free-failures", "HOMEROOM_PASSWORD_FREE_FAILURES", "5]"),
    ("password-account-failures", "HOMEROOM_PASSWORD_ACCOUNT_FAILURES", "100]"),
    ("password-address-failures", "HOMEROOM_PASSWORD_ADDRESS_FAILURES", "100]"),
    ("password-address-spray", "HOMEROOM_PASSWORD_ADDRESS_SPRAY", "1000]"),
    ("password-server-spray", "HOMEROOM_PASSWORD_SERVER_SPRAY", "10000]"),
    ("join-user-failures", "HOMEROOM_JOIN_USER_FAILURES", "10]"),
    ("join-address-failures", "HOMEROOM_JOIN_ADDRESS_FAILURES", "300]"),
    ("trusted-proxies", "HOMEROOM_TRUSTED_PROXIES", "none]"),
];

/// The columns of each line.
fn columns(listing: &str) -> Vec<Vec<&str>> {
    listing.lines().map(|line| line.split('\t').collect()).collect()
}

/// Invalid commands about classes, with the flag that the message names.
const INVALID_OF_CLASSES: &[(&str, &str)] = &[
    ("roster cards --class A --out cards.pdf", "--join-page"),
    ("roster cards --out cards.pdf --join-page https://a.example", "--class"),
    ("roster cards --class A --join-page https://a.example", "--out"),
    ("roster cards --class A --out cards.pdf --join-page a.example", "--join-page"),
    ("roster cards --class A --out cards.pdf --join-page https://a.example --language fr", "--language"),
    ("roster cards --class A --out cards.pdf --join-page https://a.example --student linh", "--student"),
    ("class list --owner nobody", "--owner"),
    ("class show --id 1", "--id"),
    ("class set --id 22222222-2222-2222-2222-222222222222", "--max-students"),
    ("class set --id 22222222-2222-2222-2222-222222222222 --name=", "--name"),
    ("class set --id 22222222-2222-2222-2222-222222222222 --max-students 0", "--max-students"),
    ("class set --id 22222222-2222-2222-2222-222222222222 --active no", "--active"),
    ("class set --id 22222222-2222-2222-2222-222222222222 --owner nobody", "--owner"),
    ("class remove", "--id"),
    ("class roster --id 22222222-2222-2222-2222-222222222222 --json --csv", "--csv"),
    ("class roster --id 22222222-2222-2222-2222-222222222222 --status gone", "--status"),
];

#[tokio::test]
async fn invalid_value_is_one_line_and_exit_2_and_creates_nothing() {
    let site = Site::bare();
    for (arguments, named) in [
        ("serve --listen nowhere", "--listen"),
        ("serve --listen 0.0.0.0:0", "--public-url"),
        ("demo --listen [::]:0", "--public-url"),
        ("serve --public-url ftp://example.com", "--public-url"),
        ("serve --public-url https://host.example//x", "--public-url"),
        ("serve --public-url https://host.example/x//", "--public-url"),
        ("serve --code-life 9", "--code-life"),
        ("serve --code-life 601", "--code-life"),
        ("serve --join-code-life 0", "--join-code-life"),
        ("serve --join-code-life 527041", "--join-code-life"),
        ("serve --log homeroom=loud", "--log"),
        ("serve --hash-engine md5", "--hash-engine"),
        ("serve --hash-workers 0", "--hash-workers"),
        ("serve --hash-memory 7167", "--hash-memory"),
        ("serve --hash-memory 65537", "--hash-memory"),
        ("serve --hash-memory 12288", "--hash-passes 3 or more"),
        ("serve --hash-passes 1", "--hash-passes 2 or more"),
        ("serve --hash-passes 11", "--hash-passes"),
        ("serve --password-min-length 7", "--password-min-length"),
        ("serve --password-min-length 65", "--password-min-length"),
        ("demo --password-min-length 19", "must have at least 19 characters"),
        ("serve --audit-retention 36501", "--audit-retention"),
        ("audit --action login", "sign_in"),
        ("audit --outcome bad", "--outcome"),
        ("audit --app 1", "--app"),
        ("audit --since yesterday", "--since"),
        ("serve --password-account-failures many", "--password-account-failures"),
        ("serve --join-user-failures 4294967296", "--join-user-failures"),
        ("serve --trusted-proxies 10.0.0.0/8,proxy.example", "--trusted-proxies"),
        ("serve --database-url mysql://x", "--database-url"),
        ("serve --database-url postgres://a,b/c", "several hosts"),
        ("serve --database-url sqlite:a.db --database-url-file b", "--database-url-file"),
        ("migrate --database-url-file nowhere", "--database-url-file nowhere"),
        ("health --listen 127.0.0.1:0", "--listen"),
        ("serve --colour", "--colour"),
        ("teach", "teach"),
        ("openapi --format xml", "--format"),
        ("app add", "--name"),
        ("app add --name=", "--name"),
        ("app add --name A --redirect-uri http://example.com/", "--redirect-uri"),
        ("app add --name A --redirect-uri https://example.com/#a", "--redirect-uri"),
        ("app add --name A --login-domain https://example.com", "--login-domain"),
        ("app add --name A --access-token-minutes 1441", "--access-token-minutes"),
        ("app add --name A --session-minutes 0", "--session-minutes"),
        ("app add --name A --session-idle-minutes 525601", "--session-idle-minutes"),
        ("app add --name A --registration maybe", "--registration"),
        ("app add --name A --mail-domain a@b.example", "--mail-domain"),
        ("app add --name A --account-page http://app.example/", "--account-page"),
        ("app set 1", "<UUID>"),
        ("session revoke", "--all"),
        ("session revoke 1", "[ID]"),
        ("session revoke --all --email a@example.com", "--all"),
        ("session list --app 1", "--app"),
        ("user unlock", "--email"),
        ("user unlock --email nobody", "--email"),
        ("user add", "--email"),
        ("user set --email a@example.com", "--first-name"),
        ("user set --email a@example.com --date-of-birth 4.5.2012", "--date-of-birth"),
        ("user set --email a@example.com --phone-number call", "--phone-number"),
        ("user set --email a@example.com --avatar-url http://a.example/b", "--avatar-url"),
        ("user set --email a@example.com --language fr", "--language"),
        ("user set --email a@example.com --new-email nobody", "--new-email"),
        (
            "user remove --email a@example.com --hand-over-to b@example.com --delete-classes",
            "--delete-classes",
        ),
        ("user remove --email a@example.com --hand-over-to nobody", "--hand-over-to"),
        ("user reset-link --email a@example.com --app 1", "--app"),
        ("user add --email nobody", "--email"),
        ("user add --email a@example.com --password VeryStrongPass123!", "--password"),
        ("class add --owner a@example.com", "--name"),
        ("class add --owner nobody --name A", "--owner"),
        ("class add --owner a@example.com --name=", "--name"),
        ("keys retire 1", "<KID>"),
        ("serve --tls-cert a.pem", "--tls-key"),
        ("serve --tls-key a.pem", "--tls-cert"),
        ("serve --max-connections 0", "--max-connections"),
        ("serve --keep-alive 0", "--keep-alive"),
        ("serve --metrics-listen 9090", "--metrics-listen"),
        ("serve --log-format xml", "--log-format"),
        ("serve --hsts=-1", "--hsts"),
    ]
    .iter()
    .chain(INVALID_OF_CLASSES)
    {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let line = site.run(&arguments).await.refusal();
        assert!(line.starts_with("error: ") && line.contains(named), "{arguments:?}: {line}");
        assert!(!site.data().exists(), "{arguments:?} made a data directory");
    }
}

#[tokio::test]
async fn command_without_subcommand_lists_the_subcommands() {
    let site = Site::bare();
    for (arguments, subcommand) in [(&[][..], "serve"), (&["keys"], "rotate")] {
        let ended = site.run(arguments).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.out.is_empty() && ended.err.contains(subcommand), "{ended:?}");
    }
}

#[tokio::test]
async fn database_url_in_errors_and_help_shows_no_password() {
    for url in ["mysql://homeroom:marked-secret@db/homeroom", "postgres//homeroom:marked-secret@db/homeroom"]
    {
        let site = Site::bare().with("HOMEROOM_DATABASE_URL", url);
        let line = site.run(&["migrate"]).await.refusal();
        assert!(line.contains("--database-url") && !line.contains("marked-secret"), "{line}");
        let line = Site::bare().run(&["migrate", "--database-url", url]).await.refusal();
        assert!(!line.contains("marked-secret"), "{line}");
    }
    let url = "postgres://homeroom:marked-secret@127.0.0.1:1/homeroom";
    let site = Site::bare().with("HOMEROOM_DATABASE_URL", url);
    assert!(!site.run(&["serve", "--help"]).await.success().contains("marked-secret"));
}

#[tokio::test]
async fn help_names_every_flag_with_its_environment_variable_and_its_default() {
    let help = Site::bare().run(&["serve", "--help"]).await.success();
    let flags: Vec<String> = help
        .split("\n      --")
        .skip(1)
        .map(|flag| flag.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected = FLAGS;
    for flag in &flags {
        let name = flag.split(' ').next().unwrap();
        let known = expected.iter().find(|(known, ..)| *known == name);
        let (_, variable, default) = known.unwrap_or_else(|| panic!("--{name} is new: add it here"));
        assert!(flag.contains(&format!("[env: {variable}")), "{flag}");
        assert!(flag.contains(&format!("[default: {default}")), "{flag}");
    }
    assert_eq!(flags.len(), expected.len(), "{help}");
    let demo = Site::bare().run(&["demo", "--help"]).await.success();
    assert!(demo.contains("[default: data-demo]"), "{demo}");
}

both! {
    async fn app_is_registered_listed_and_changed(kind: Kind) {
        let site = Site::new(kind).await;
        let add = "app add --name Roll --redirect-uri https://roll.example/a --redirect-uri http://localhost/b \
                   --login-domain login.roll.example --policy-version 1 --demand-policy --require-pkce \
                   --access-token-minutes 5";
        let id = site.run(&add.split_whitespace().collect::<Vec<_>>()).await.success();
        let id = id.trim();
        let first = [
            &format!("{id}\tRoll\tenabled\n"),
            "\tredirect URI\thttp://localhost/b\n\tredirect URI\thttps://roll.example/a\n",
            "\tlogin domain\tlogin.roll.example\n\tprivacy policy\t1, demanded\n",
            "\tPKCE\trequired\n\taccess tokens\t5 minutes\n",
            "\tsessions\t43200 minutes, 1440 without a refresh\n\tregistration\tclosed\n",
        ];
        assert_eq!(site.run(&["app", "list"]).await.success(), first.concat());

        site.run(&["app", "set", id, "--name", "Call", "--enabled", "false"]).await.success();
        // Duplicate values count once.
        let uri = ["--redirect-uri", "https://call.example/"];
        let set = ["app", "set", id, "--require-pkce", "false"];
        site.run(&[&set[..], &uri, &uri].concat()).await.success();
        let domain = ["--login-domain", "login.call.example"];
        site.run(&[&["app", "set", id][..], &domain, &domain].concat()).await.success();
        site.run(&["app", "set", id, "--policy-version=", "--demand-policy", "false"]).await.success();
        let then = [
            &format!("{id}\tCall\tdisabled\n"),
            "\tredirect URI\thttps://call.example/\n\tlogin domain\tlogin.call.example\n",
            "\taccess tokens\t5 minutes\n",
            "\tsessions\t43200 minutes, 1440 without a refresh\n\tregistration\tclosed\n",
        ];
        assert_eq!(site.run(&["app", "list"]).await.success(), then.concat());

        // Invalid changes are refused.
        site.run(&["app", "add", "--id", id, "--name", "Again"]).await.refusal();
        site.run(&["app", "set", UNKNOWN, "--name", "Nobody"]).await.refusal();
        site.run(&["app", "set", id, "--demand-policy"]).await.refusal();
        site.run(&["app", "add", "--name", "B", "--login-domain", "login.call.example"]).await.refusal();
        assert_eq!(site.run(&["app", "list"]).await.success(), then.concat());
    }

    async fn user_add_reads_the_password_from_the_first_line(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let password = "ein Größen pass word é";
        let inputs = ["\n", "", "\r\nnot this\n"].map(|end| format!("{password}{end}"));
        for (number, input) in inputs.iter().enumerate() {
            let email = format!("new{number}@example.com");
            let id = site.add_user(&email, input).await.success();
            let users = site.run(&["user", "list"]).await.success();
            assert!(users.contains(&format!("{}\t{email}\tactive\n", id.trim())), "{users}");
            assert_eq!(server.try_sign_in(&email, password, false).await.0, 201, "{input:?}");
        }
        for (email, input) in [
            ("NEW0@Example.com", PASSWORD),
            ("short@example.com", "J7#kq!2vXz9&pL"),
            ("guessable@example.com", "abcdefghijklmnopqrst"),
            ("personal.wojciechowska@example.com", "Wojciechowska2026"),
            ("empty@example.com", ""),
            ("long@example.com", &"p".repeat(257)),
        ] {
            let line = site.add_user(email, input).await.refusal();
            assert!(input.is_empty() || !line.contains(input), "{line}");
        }
        assert_eq!(site.run(&["user", "list"]).await.success().lines().count(), 3 + 3);

        // The rule is the operator's.
        let site = site.with("HOMEROOM_PASSWORD_MIN_LENGTH", "8");
        let common = site.add_user("eight@example.com", "Password1").await.refusal();
        assert!(common.contains("one of the most common passwords"), "{common}");
        site.add_user("eight@example.com", "J7#kq!2v").await.success();
    }

    async fn user_unlock_on_a_running_server_resets_the_counts(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_PASSWORD_ACCOUNT_FAILURES", "3");
        let mut server = site.listen("demo").await;
        for _ in 0..3 {
            assert_eq!(server.try_sign_in(TEACHER, "wrong", false).await.0, 400);
        }
        for _ in 0..2 {
            assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 429);
            server = server.crash(&site).await;
        }
        assert_eq!(site.run(&["user", "unlock", "--email", TEACHER]).await.success(), "");
        assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 201);
        let unknown = site.run(&["user", "unlock", "--email", "nobody@example.com"]).await.refusal();
        assert_eq!(unknown, "error: --email nobody@example.com has no account\n");
    }

    async fn user_set_on_a_running_server_changes_password_and_state(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let set = ["user", "set", "--email", STUDENT];
        let status = async |password| server.try_sign_in(STUDENT, password, false).await.0;
        let output = site.run_saying(&[&set[..], &["--password"]].concat(), "another unlikely sentence\n").await.success();
        assert_eq!((output.as_str(), status(PASSWORD).await, status("another unlikely sentence").await), ("", 400, 201));
        for (enabled, expected, standing) in [("false", 400, "disabled"), ("true", 201, "active")] {
            site.run(&[&set[..], &["--enabled", enabled]].concat()).await.success();
            assert_eq!(status("another unlikely sentence").await, expected);
            let users = site.run(&["user", "list"]).await.success();
            assert!(users.contains(&format!("\t{STUDENT}\t{standing}\n")), "{users}");
        }
        site.run_saying(&[&set[..], &["--password"]].concat(), "short\n").await.refusal();
        site.run(&set).await.refusal();
        site.run(&["user", "set", "--email", "nobody@example.com", "--enabled", "true"]).await.refusal();
        assert_eq!(status("another unlikely sentence").await, 201);
    }

    async fn class_add_requires_an_owner_with_an_account(kind: Kind) {
        let site = Site::new(kind).await;
        let add = ["class", "add", "--owner", "teacher@example.com", "--name", "Größe 10"];
        site.run(&add).await.refusal();
        let owner = site.add_user("teacher@example.com", PASSWORD).await.success();
        let id = site.run(&add).await.success();
        let classes = site.run(&["class", "list"]).await.success();
        assert_eq!(columns(&classes), [[id.trim(), owner.trim(), "Größe 10", "active"]]);
    }

    async fn migrate_twice_succeeds(kind: Kind) {
        let site = Site::new(kind).await;
        for _ in 0..2 {
            let output = site.run(&["migrate"]).await.success();
            assert!(output.starts_with("the schema is up to date"), "{output}");
        }
    }
}

#[tokio::test]
async fn keys_rotate_publishes_the_key_and_retire_refuses_the_signing_key() {
    let site = Site::bare();
    let waiting = site.run(&["keys", "rotate"]).await.success();
    let keys = site.run(&["keys", "list"]).await.success();
    let keys = columns(&keys);
    assert_eq!(keys.len(), 2, "{keys:?}");
    let (signing, waiting) = (keys[0][0], waiting.trim());
    assert_eq!((keys[0][2], keys[1][0]), ("signing", waiting), "{keys:?}");
    assert!(keys[1][2].starts_with("signs at "), "{keys:?}");

    let server = site.listen("serve").await;
    let (status, set) = send(server.get("/.well-known/jwks.json")).await;
    assert_eq!(status, 200);
    let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(json!(kids), json!([signing, waiting]));

    for kid in [signing, UNKNOWN] {
        assert!(site.run(&["keys", "retire", kid]).await.refusal().contains(kid));
    }
    site.run(&["keys", "retire", waiting]).await.success();
    let left = site.run(&["keys", "list"]).await.success();
    assert_eq!(columns(&left).iter().map(|key| key[0]).collect::<Vec<_>>(), [signing]);
}

#[tokio::test]
async fn openapi_prints_the_served_document() {
    let site = Site::bare();
    let server = site.listen("serve").await;
    for (arguments, path) in [
        (&["openapi"][..], "/openapi.yaml"),
        (&["openapi", "--format", "yaml"], "/openapi.yaml"),
        (&["openapi", "--format", "json"], "/openapi.json"),
    ] {
        let document = server.get(path).send().await.unwrap().text().await.unwrap();
        assert_eq!(site.run(arguments).await.success(), document, "{path}");
    }
}

#[tokio::test]
async fn command_in_a_wrong_directory_fails_and_creates_nothing() {
    let site = Site::bare();
    for command in [
        "user list",
        "user show --email a@example.com",
        "user unlock --email a@example.com",
        "user disable --email a@example.com",
        "user export --email a@example.com",
        "user remove --email a@example.com",
        "user reset-link --email a@example.com",
        "app list",
        "class list",
        "class show --id 22222222-2222-2222-2222-222222222222",
        "class set --id 22222222-2222-2222-2222-222222222222 --active true",
        "class remove --id 22222222-2222-2222-2222-222222222222 --yes",
        "class roster --id 22222222-2222-2222-2222-222222222222",
        "roster cards --class A --out cards.pdf --join-page https://a.example",
        "session list",
        "session revoke --all",
        "audit",
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        let refusal = site.run(&arguments).await.refusal();
        assert!(refusal.contains("there is no ") && refusal.contains("--data-dir"), "{command}: {refusal}");
    }
    assert!(!site.data().exists());
}

#[tokio::test]
async fn empty_environment_variable_counts_as_unset() {
    let all = |site: Site| FLAGS.iter().fold(site, |site, (_, variable, _)| site.with(variable, ""));
    let site = all(Site::bare()).with("NO_COLOR", "");
    // All defaults but these two apply.
    let server = site.listen("serve").await;
    assert_eq!(send(server.get("/health/ready")).await.0, 200);
    let data = site.data().to_str().unwrap();
    assert!(site.data().join("homeroom.db").exists(), "it is the default directory, {data}");
    site.run(&["user", "list"]).await.success();
    // Other variables still apply.
    let site = all(Site::bare()).with("HOMEROOM_LISTEN", "nowhere");
    assert!(site.run(&["serve"]).await.refusal().contains("--listen"));
}

#[tokio::test]
async fn unwritable_output_fails_with_a_message_and_a_closed_pipe_without() {
    let site = Site::new(crate::support::Kind::Sqlite).await;
    site.run(&["app", "add", "--name", "A"]).await.success();
    site.add_user(TEACHER, PASSWORD).await.success();
    let class = site.run(&["class", "add", "--owner", TEACHER, "--name", "A"]).await.success();
    let of_class = |command: &str| format!("class {command} --id {}", class.trim());
    for (number, command) in [
        "--help",
        "--version",
        "help",
        "serve --help",
        "app add --help",
        "openapi",
        "openapi --format json",
        "migrate",
        "app list",
        "app add --name B",
        "user list",
        "user list --json",
        "user show --email user@example.com",
        "user export --email user@example.com",
        "user reset-link --email user@example.com",
        "session revoke --all",
        "class list",
        "class add --owner user@example.com --name B",
        &of_class("show"),
        &of_class("remove"),
        &of_class("roster --csv"),
        "keys list",
        "keys rotate",
        "doctor --listen 127.0.0.1:0",
        "backup --to",
    ]
    .iter()
    .enumerate()
    {
        let copies = [0, 1].map(|copy| format!("{number}-{copy}.db"));
        let [first, second] = copies.each_ref().map(|copy| {
            let mut arguments: Vec<&str> = command.split(' ').collect();
            arguments.extend(command.starts_with("backup").then_some(copy.as_str()));
            arguments
        });
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = site.run_into(full, &first).await;
        assert_eq!(ended.status.code(), Some(1), "{command}: {ended:?}");
        assert!(
            ended.err.starts_with("error: ") && ended.err.contains("No space left"),
            "{command}: {ended:?}"
        );
        assert_eq!(ended.err.lines().count(), 1, "{command}: {ended:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = site.run_into(writer, &second).await;
        assert_eq!((ended.status.code(), ended.err.as_str()), (Some(141), ""), "{command}: {ended:?}");
    }
}

#[tokio::test]
async fn server_with_closed_output_serves_and_with_unwritable_output_fails() {
    let site = Site::new(crate::support::Kind::Sqlite).await;
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = site.run_into(full, &["serve", "--listen", "127.0.0.1:0"]).await;
    assert!(ended.status.code() == Some(1) && ended.err.contains("No space left"), "{ended:?}");

    // An unwritable log and a closed standard output neither stop the server nor fail a request.
    let (reader, writer) = std::io::pipe().unwrap();
    let program = site.start_without_log(writer, &["demo", "--listen", "127.0.0.1:0"]);
    let mut line = String::new();
    std::io::BufReader::with_capacity(1, reader).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    let server = Server { program, url, client: reqwest::Client::builder().no_proxy().build().unwrap() };
    for _ in 0..3 {
        assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 201);
    }
}

both! {
    async fn database_url_file_line_break_is_ignored(kind: Kind) {
        let site = Site::new(kind).await;
        let file = site.data().with_file_name("secret");
        let url = match &site.location {
            homeroom::db::DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.with_file_name("other.db").display()),
            homeroom::db::DatabaseUrl::Postgres(url) => url.clone(),
        };
        let site = site.with("HOMEROOM_DATABASE_URL", "").with("HOMEROOM_DATABASE_URL_FILE", file.to_str().unwrap());
        let mut users = Vec::new();
        for (start, end) in [("", ""), ("", "\n"), ("", "\r\n"), ("\u{FEFF}", "\n")] {
            std::fs::write(&file, format!("{start}{url}{end}")).unwrap();
            users.push(site.add_user(&format!("u{}@example.com", users.len()), PASSWORD).await.success());
        }
        let listed = site.run(&["user", "list"]).await.success();
        assert!(users.iter().all(|id| listed.contains(id.trim())), "{listed}");
        assert_eq!(site.data().join("other.db").exists(), kind == crate::support::Kind::Sqlite);
        assert!(!site.data().join("homeroom.db").exists());
    }
}

#[tokio::test]
async fn database_url_file_invalid_error_names_the_file() {
    let site = Site::bare();
    let file = site.data().with_file_name("secret");
    let path = file.to_str().unwrap();
    for text in [
        &b"\n"[..],
        b"",
        b"mysql://u:marked-secret@a/b",
        b"sqlite:a.db\n\n?",
        b"\xff\xfe",
        b"postgres://u:marked-secret@a/b\nc\n",
    ] {
        std::fs::write(&file, text).unwrap();
        let line = site.run(&["migrate", "--database-url-file", path]).await.refusal();
        assert!(line.contains(path) && !line.contains("marked"), "{line}");
    }
    std::fs::remove_file(&file).unwrap();
    let line = site.run(&["serve", "--database-url-file", path]).await.refusal();
    assert!(line.contains(path) && line.contains("No such file"), "{line}");
    let site = site.with("HOMEROOM_DATABASE_URL_FILE", path).with("HOMEROOM_DATABASE_URL", "sqlite:a.db");
    let line = site.run(&["serve"]).await.refusal();
    assert!(line.contains("--database-url-file") && line.contains("--database-url"), "{line}");
    assert!(!site.data().exists());
}
