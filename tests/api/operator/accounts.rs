//! Accounts, as an operator changes, unlocks and resets them.

use super::*;

both! {
    async fn account_disabled_or_with_new_password_or_address_has_no_session_no_code_and_no_reset(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let accounts = Accounts::new(school.db.clone());
        let hash = school.account(STUDENT).await.password_hash;
        for (change, event) in [
            (Change::Enabled(false), ("account_change", Some("disabled"))),
            (Change::Password(hash), ("password_change", None)),
            (Change::Email(Email::parse("renamed@example.com").unwrap()), ("account_change", Some("email"))),
        ] {
            let user = school.account(TEACHER).await;
            let bystander = begin(&school.db, school.account(COLLEAGUE).await.id).await;
            begin(&school.db, user.id).await;
            accounts.reset_link(&user, school.clock.now(), &OsRandom).await.unwrap();
            let code = school.code(TEACHER).await;
            accounts.change(&user, vec![change], school.clock.now(), &OsRandom).await.unwrap();
            let left: Vec<_> = session::Entity::find().all(school.db.read()).await.unwrap();
            assert_eq!(left.iter().map(|session| session.id).collect::<Vec<_>>(), [bystander], "{event:?}");
            assert_eq!(password_reset::Entity::find().count(school.db.read()).await.unwrap(), 0, "{event:?}");
            assert_eq!(school.request_tokens(&code, json!({})).await.status, 400, "{event:?}");
            assert!(events(&school.db, user.id).await.contains(&expected(&[event])[0]), "{event:?}");

            session::Entity::end(school.db.writer(), left[0].user_id, bystander).await.unwrap();
            let original = [Change::Enabled(true), Change::Email(user.email.clone())];
            accounts.change(&user, original.into(), school.clock.now(), &OsRandom).await.unwrap();
        }
    }

    async fn account_with_a_new_profile_keeps_its_sessions(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let user = user_id(&db, STUDENT).await;
        begin(&db, user).await;
        let set = [
            "user", "set", "--email", STUDENT, "--first-name", "Thị", "--last-name", "Nguyễn", "--date-of-birth",
            "2012-05-04", "--phone-number", "+84 24 1234", "--avatar-url", "https://a.example/b.png", "--language", "vi",
        ];
        assert_eq!(site.run(&set).await.success(), "");
        assert_eq!(sessions(&db).await, 1);
        let shown = site.run(&["user", "show", "--email", STUDENT]).await.success();
        for line in [
            "\tfirst name\tThị\n", "\tlast name\tNguyễn\n", "\tdate of birth\t2012-05-04\n", "\tphone number\t+84 24 1234\n",
            "\tavatar URL\thttps://a.example/b.png\n", "\tlanguage\tvi\n", "\towned classes\t0\n", "\tsession\t",
        ] {
            assert!(shown.contains(line), "{line:?}: {shown}");
        }
        let shown = rows(&site.run(&["user", "show", "--json", "--email", STUDENT]).await.success());
        let [account] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!((&account["firstName"], &account["sessions"][0]["appId"]), (&json!("Thị"), &json!(APP)));
        site.run(&["user", "set", "--email", STUDENT, "--first-name=", "--date-of-birth="]).await.success();
        let shown = site.run(&["user", "show", "--email", STUDENT]).await.success();
        assert!(!shown.contains("first name") && shown.contains("last name"), "{shown}");
        // One event for each command, however many properties it changed.
        let profile = ("account_change", Some("profile"));
        assert_eq!(events(&db, user).await, expected(&[("account_create", None), profile, profile]));
        drop(server);
        db.close().await.unwrap();
    }

    async fn address_of_another_account_is_refused_for_an_account(kind: Kind) {
        let site = Site::new(kind).await;
        for email in [TEACHER, STUDENT] {
            site.add_user(email, PASSWORD).await.success();
        }
        let refusal = site.run(&["user", "set", "--email", STUDENT, "--new-email", TEACHER]).await.refusal();
        assert_eq!(refusal, "error: another account has this e-mail address\n");
        site.run(&["user", "set", "--email", STUDENT, "--new-email", "new@example.com"]).await.success();
        let listed = site.run(&["user", "list"]).await.success();
        assert!(listed.contains("\tnew@example.com\tactive\n") && !listed.contains(STUDENT), "{listed}");
    }

    async fn account_disabled_and_enabled_again_signs_in(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        for (command, state, status) in [("disable", "disabled", 400), ("enable", "active", 201)] {
            site.run(&["user", command, "--email", STUDENT]).await.success();
            let listed = rows(&site.run(&["user", "list", "--json"]).await.success());
            let student = listed.iter().find(|row| row["email"] == STUDENT).unwrap();
            assert_eq!(student["state"], state);
            assert_eq!(server.try_sign_in(STUDENT, PASSWORD, false).await.0, status, "{command}");
        }
    }

    async fn lockout_of_an_account_ends_when_the_limiter_allows_an_attempt(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits { account: 7, ..PasswordLimits::DEFAULT };
        let limiter = Limiter::new(school.db.clone());
        let email = Email::parse(TEACHER).unwrap();
        let attempt = async |address: &str| {
            let counts = limits.counts(&email, Network::of(Some(address.parse().unwrap())));
            match limiter.check(Action::SignIn, counts, school.clock.now()).await {
                Ok(attempt) => Some(limiter.reserve(attempt).await.unwrap()),
                Err(_) => None,
            }
        };
        for (address, failures) in [("192.0.2.1", 5), ("2001:db8:1:2::1", 2)] {
            for _ in 0..failures {
                attempt(address).await.unwrap().commit().await.unwrap();
            }
        }
        let lockouts = Lockouts::read(&school.db, limits, school.clock.now()).await.unwrap();
        let found = lockouts.of(&email);
        let from: Vec<_> = found.iter().map(|lockout| lockout.from).collect();
        assert_eq!(from, [LockedAddresses::One, LockedAddresses::Unknown]);
        assert_eq!(lockouts.of(&Email::parse(STUDENT).unwrap()), []);
        // The account has waited long enough everywhere at the later time, and nowhere a millisecond before.
        let wait = found[1].until - school.clock.now();
        school.clock.advance(wait - chrono::TimeDelta::milliseconds(1));
        assert!(attempt("192.0.2.1").await.is_none() && attempt("192.0.2.3").await.is_none());
        school.clock.advance(chrono::TimeDelta::milliseconds(1));
        assert!(attempt("192.0.2.3").await.is_some());
        let lockouts = Lockouts::read(&school.db, limits, school.clock.now()).await.unwrap();
        assert_eq!(lockouts.of(&email), []);
    }

    async fn locked_account_is_listed_with_the_end_of_its_lock_until_it_is_unlocked(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_PASSWORD_ACCOUNT_FAILURES", "3");
        let server = site.listen("demo").await;
        let line = async || {
            let listed = site.run(&["user", "list"]).await.success();
            listed.lines().find(|line| line.contains(TEACHER)).unwrap().to_owned()
        };
        assert!(line().await.ends_with("\tactive"));
        for _ in 0..3 {
            assert_eq!(server.try_sign_in(TEACHER, "wrong", false).await.0, 400);
        }
        let locked = line().await;
        let columns: Vec<&str> = locked.split('\t').skip(3).collect();
        assert!(matches!(columns[..], [column] if column.starts_with("sign-ins from unknown addresses are refused until 20")), "{locked}");
        let shown = rows(&site.run(&["user", "show", "--json", "--email", TEACHER]).await.success());
        assert_eq!(shown[0]["lockouts"][0]["from"], "unknownAddresses");
        // The same counts with the limits of another server.
        let listed = site.run(&["user", "list", "--password-account-failures", "0"]).await.success();
        assert!(!listed.contains("unknown addresses"), "{listed}");

        site.run(&["user", "unlock", "--email", TEACHER]).await.success();
        assert!(line().await.ends_with("\tactive"));
        let db = database(&site).await;
        let teacher = user_id(&db, TEACHER).await;
        assert_eq!(events(&db, teacher).await.last(), expected(&[("unlock", None)]).first());
        db.close().await.unwrap();
    }

    async fn reset_link_of_an_operator_leads_to_the_page_of_the_app(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let link = ["user", "reset-link", "--email", STUDENT];
        let secret = site.run(&link).await.success();
        assert_eq!(secret.trim().len(), 43, "{secret}");
        let app = APP.to_string();
        let refusal = site.run(&[&link[..], &["--app", &app]].concat()).await.refusal();
        assert!(refusal.contains("has no account page"), "{refusal}");
        site.run(&["app", "set", &app, "--account-page", "https://app.example.com/account"]).await.success();
        for arguments in [link.to_vec(), [&link[..], &["--app", &app]].concat()] {
            let printed = site.run(&arguments).await.success();
            assert!(printed.starts_with("https://app.example.com/account?action=reset&confirmHash="), "{printed}");
        }
        // With two pages, the command cannot know which one is meant.
        let other = ["app", "add", "--name", "Other", "--account-page", "https://other.example/"];
        site.run(&other).await.success();
        assert_eq!(site.run(&link).await.success().trim().len(), 43);
        site.run(&["user", "disable", "--email", STUDENT]).await.success();
        let refusal = site.run(&link).await.refusal();
        assert!(refusal.contains("disabled"), "{refusal}");
        drop(server);
    }
}
