//! What an operator does with accounts, sessions and apps, and what it means for a running server.

use homeroom::{
    clock::Clock,
    db::Db,
    domain::{
        email::Email,
        id::{MailId, SessionId, UserId},
        label::Label,
        language::Language,
        network::Network,
        person::PhoneNumber,
        rate_limit_key::RateLimitKey,
        scope::Scope,
        secret_token::{ConfirmHash, RefreshToken},
        user_agent::UserAgent,
    },
    entity::{
        audit_event, authorization_code, class, enrollment, outgoing_mail, password_reset, policy_acceptance,
        rate_limit, refresh_token, registration, session, user,
    },
    identity::{
        accounts::{Accounts, Change, Removal},
        apps::{Apps, RegisterError},
        session_administration,
    },
    random::OsRandom,
    rate_limit::{
        limiter::{Action, Limiter},
        lockouts::{LockedAddresses, Lockouts},
        policies::PasswordLimits,
    },
};
use sea_orm::{ActiveEnum, EntityTrait, IntoActiveModel, PaginatorTrait};
use serde_json::{Value, json};

use crate::support::{
    APP, COLLEAGUE, OWN_CLASS, PASSWORD, STUDENT, School, TEACHER, both,
    process::Site,
    signing_in::{OTHER_APP, redirect_uri},
};

/// The database of a site, read by a connection of its own.
async fn database(site: &Site) -> Db {
    Db::connect_with(&site.location, 1).await.unwrap()
}

/// The actions and reasons of the events about a user, without those of sign-ins and sessions that begin.
async fn events(db: &Db, user: UserId) -> Vec<(String, Option<String>)> {
    let events = audit_event::Entity::of_user(db.read(), user).await.unwrap();
    let shown = events.into_iter().filter(|event| event.actor == audit_event::Actor::Operator);
    shown.map(|event| (event.action.to_value(), event.reason)).collect()
}

/// The events, as they are written in a test.
fn expected(events: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    events.iter().map(|(action, reason)| ((*action).to_owned(), reason.map(str::to_owned))).collect()
}

async fn user_id(db: &Db, email: &str) -> UserId {
    Accounts::new(db.clone()).find(Email::parse(email).unwrap()).await.unwrap().unwrap().id
}

/// A session that begins now and lasts for an hour.
fn new_session(user: UserId, now: chrono::DateTime<chrono::Utc>) -> session::Model {
    session::Model {
        id: SessionId::new(now, &OsRandom),
        user_id: user,
        app_id: APP,
        redirect_uri: redirect_uri("https://app.example.com/callback"),
        scope: Scope::grant("openid"),
        address: Some("192.0.2.99".to_owned()),
        user_agent: UserAgent::from_header(b"Browser 1.0"),
        authenticated_at: now,
        created_at: now,
        last_used_at: now,
        idle_expires_at: now + chrono::TimeDelta::hours(1),
        expires_at: now + chrono::TimeDelta::hours(1),
    }
}

/// Begins a session without a sign-in.
async fn begin(db: &Db, user: UserId) -> SessionId {
    let session = new_session(user, homeroom::clock::SystemClock.now());
    let id = session.id;
    session::Entity::begin(db.writer(), session).await.unwrap();
    id
}

async fn sessions(db: &Db) -> u64 {
    session::Entity::find().count(db.read()).await.unwrap()
}

/// The JSON objects of an output, one per line.
fn rows(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Stores one row of each kind about a user, with secrets that contain `marked`.
async fn store_everything(db: &Db, user: &user::Model, now: chrono::DateTime<chrono::Utc>) {
    let session = new_session(user.id, now);
    let token = refresh_token::Model {
        digest: RefreshToken::presented("marked").digest(),
        session_id: session.id,
        issued_at: now,
        rotated_at: None,
    };
    session::Entity::begin(db.writer(), session).await.unwrap();
    refresh_token::Entity::insert(token.into_active_model())
        .exec_without_returning(db.writer())
        .await
        .unwrap();
    let acceptance = policy_acceptance::Model {
        user_id: user.id,
        app_id: APP,
        policy_version: Label::parse("2026-05").unwrap(),
        accepted_at: now,
        address: "192.0.2.99".to_owned(),
    };
    policy_acceptance::Entity::record(db.writer(), acceptance).await.unwrap();
    let mail = outgoing_mail::Model {
        id: MailId::new(now, &OsRandom),
        recipient: user.email.clone(),
        kind: "reset".to_owned(),
        subject: "A new password".to_owned(),
        text_body: "marked".to_owned(),
        html_body: "marked".to_owned(),
        created_at: now,
        expires_at: now,
        next_attempt_at: now,
        attempts: 0,
        dead_at: None,
        last_error: None,
    };
    outgoing_mail::Entity::enqueue(db.writer(), mail).await.unwrap();
    let registration = registration::Model {
        digest: ConfirmHash::presented("marked").digest(),
        user_id: UserId::new(now, &OsRandom),
        app_id: APP,
        email: user.email.clone(),
        password_hash: "marked".to_owned().into(),
        phone_number: Some(PhoneNumber::parse("110").unwrap()),
        language: Language::German,
        accepted_policy_version: None,
        address: "192.0.2.99".to_owned(),
        created_at: now,
        expires_at: now,
    };
    registration::Entity::insert(registration.into_active_model())
        .exec_without_returning(db.writer())
        .await
        .unwrap();
    let reset = password_reset::Model {
        digest: ConfirmHash::presented("marked too").digest(),
        user_id: user.id,
        app_id: Some(APP),
        created_at: now,
        expires_at: now,
    };
    password_reset::Entity::insert(reset.into_active_model())
        .exec_without_returning(db.writer())
        .await
        .unwrap();
}

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

    async fn app_disabled_has_no_session_and_no_code(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        let user = school.account(TEACHER).await.id;
        begin(&school.db, user).await;
        let other = session::Model { app_id: OTHER_APP, ..new_session(user, school.clock.now()) };
        session::Entity::begin(school.db.writer(), other.clone()).await.unwrap();
        let code = school.code(TEACHER).await;
        for enabled in [false, true] {
            school.register(|registration| registration.app.enabled = enabled).await;
        }
        assert_eq!(session::Entity::find().all(school.db.read()).await.unwrap(), [other]);
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 400);
    }

    async fn app_with_lifetimes_out_of_order_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let apps = Apps::new(school.db.clone());
        let before = school.registration().await;
        for (access, idle, lifetime, accepted) in
            [(60, 60, 60, true), (60, 59, 60, false), (60, 61, 60, false), (1, 1, 525_600, true)]
        {
            let mut registration = before.clone();
            registration.app.access_token_minutes = access;
            registration.app.session_idle_minutes = idle;
            registration.app.session_minutes = lifetime;
            let result = apps.register(&registration).await;
            let fits = match result {
                Ok(()) => true,
                Err(RegisterError::IdleTooShort) if idle < access => false,
                Err(RegisterError::SessionTooShort) if lifetime < idle => false,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(fits, accepted, "{access} {idle} {lifetime}");
        }
    }

    async fn app_set_changes_and_removes_every_property(kind: Kind) {
        let site = Site::new(kind).await;
        let add = [
            "app", "add", "--name", "Roll", "--registration", "open", "--mail-domain", "münchen.example", "--mail-domain",
            "school.example", "--mail-domain", "school.example", "--session-minutes", "100", "--session-idle-minutes", "70",
            "--account-page", "https://roll.example/account",
        ];
        let id = site.run(&add).await.success();
        let id = id.trim();
        let lines = [
            &format!("{id}\tRoll\tenabled\n"),
            "\taccess tokens\t60 minutes\n\tsessions\t100 minutes, 70 without a refresh\n\tregistration\topen\n",
            "\tmail domain\tschool.example\n\tmail domain\txn--mnchen-3ya.example\n",
            "\taccount page\thttps://roll.example/account\n",
        ];
        assert_eq!(site.run(&["app", "list"]).await.success(), lines.concat());
        let refusal = site.run(&["app", "set", id, "--session-idle-minutes", "101"]).await.refusal();
        assert_eq!(refusal, "error: the lifetime of a session must be at least its idle lifetime\n");
        let refusal = site.run(&["app", "set", id, "--access-token-minutes", "71"]).await.refusal();
        assert!(refusal.contains("at least the lifetime of an access token"), "{refusal}");
        site.run(&["app", "set", id, "--registration", "closed", "--mail-domain=", "--account-page="]).await.success();
        let listed = rows(&site.run(&["app", "list", "--json"]).await.success());
        let [app] = &listed[..] else { panic!("{listed:?}") };
        for (property, value) in [
            ("id", json!(id)), ("name", json!("Roll")), ("enabled", json!(true)), ("registration", json!("closed")),
            ("mailDomains", json!([])), ("accountPage", json!(null)), ("sessionMinutes", json!(100)),
            ("sessionIdleMinutes", json!(70)), ("accessTokenMinutes", json!(60)), ("pkceRequired", json!(false)),
            ("redirectUris", json!([])), ("loginDomains", json!([])), ("policyVersion", json!(null)),
        ] {
            assert_eq!(app[property], value, "{property}");
        }
        let db = database(&site).await;
        site.run(&["app", "set", id, "--enabled", "false"]).await.success();
        let recorded: Vec<_> = audit_event::Entity::find().all(db.read()).await.unwrap();
        let mut reasons: Vec<_> = recorded.iter().filter_map(|event| event.reason.as_deref()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["changed", "disabled", "registered"]);
        assert!(recorded.iter().all(|event| event.app_id.is_some_and(|app| app.to_string() == id)));
        db.close().await.unwrap();
    }

    async fn sessions_are_listed_and_revoked_one_by_one_or_together(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let (teacher, student) = (user_id(&db, TEACHER).await, user_id(&db, STUDENT).await);
        let first = begin(&db, teacher).await;
        let mut ended = new_session(teacher, homeroom::clock::SystemClock.now());
        ended.idle_expires_at = ended.created_at;
        session::Entity::begin(db.writer(), ended).await.unwrap();
        for user in [teacher, student, student] {
            begin(&db, user).await;
        }
        let listed = site.run(&["session", "list", "--email", TEACHER]).await.success();
        assert_eq!(listed.lines().count(), 2, "{listed}");
        assert!(listed.lines().all(|line| line.ends_with("\t192.0.2.99\tBrowser 1.0")), "{listed}");
        let listed = rows(&site.run(&["session", "list", "--json", "--app", &APP.to_string()]).await.success());
        assert_eq!(listed.len(), 4);
        assert_eq!((&listed[0]["email"], &listed[0]["userAgent"]), (&json!(TEACHER), &json!("Browser 1.0")));

        let id = first.to_string();
        assert_eq!(site.run(&["session", "revoke", &id]).await.success(), "1\n");
        let refusal = site.run(&["session", "revoke", &id]).await.refusal();
        assert_eq!(refusal, format!("error: there is no session {id}, or it has ended\n"));
        assert_eq!(site.run(&["session", "revoke", "--email", STUDENT]).await.success(), "2\n");
        assert_eq!(site.run(&["session", "revoke", "--app", &OTHER_APP.to_string()]).await.success(), "0\n");
        assert_eq!(site.run(&["session", "revoke", "--all"]).await.success(), "1\n");
        assert_eq!(site.run(&["session", "list"]).await.success(), "");
        let ended = ("session_end", Some("revoked"));
        let created = ("account_create", None);
        assert_eq!(events(&db, student).await, expected(&[created, ended, ended]));
        site.run(&["session", "list", "--email", "nobody@example.com"]).await.refusal();
        drop(server);
        db.close().await.unwrap();
    }

    async fn sessions_of_more_than_one_transaction_are_all_revoked(kind: Kind) {
        let school = School::start(kind).await;
        let user = school.account(TEACHER).await.id;
        for _ in 0..501 {
            session::Entity::begin(school.db.writer(), new_session(user, school.clock.now())).await.unwrap();
        }
        let selection = session::Selection { user: Some(user), ..Default::default() };
        let ended = session_administration::revoke(&school.db, selection, school.clock.now(), &OsRandom).await;
        assert_eq!((ended.unwrap(), sessions(&school.db).await), (501, 0));
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

    async fn account_removed_leaves_no_personal_data(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let db = &school.db;
        let now = school.clock.now();
        let teacher = school.token(TEACHER).await;
        let join_code = school.generate_join_code(&teacher).await;
        let student = school.token(STUDENT).await;
        assert_eq!(school.join(&student, join_code.expose()).await.status, 201);
        assert_eq!(school.request_code(json!({ "email": STUDENT, "password": "wrong" })).await.status, 400);
        let account = school.account(STUDENT).await;
        store_everything(db, &account, now).await;
        let event = audit_event::Model::new(audit_event::Action::SessionEnd, now, &OsRandom).user(account.id);
        let event = event.from(Some("192.0.2.99".parse().unwrap()));
        audit_event::Entity::record(db.writer(), event).await.unwrap();
        let before = (class::Entity::find().count(db.read()).await.unwrap(), school.account(TEACHER).await);

        let event = audit_event::Model::new(audit_event::Action::AccountDelete, now, &OsRandom).user(account.id);
        let event = event.from(Some("192.0.2.99".parse().unwrap()));
        let removal = Removal { user: account.id, hand_over_to: None, event, notice: None };
        let removed = Accounts::new(db.clone()).remove(removal.clone()).await.unwrap();
        assert_eq!(removed, Some(account.clone()));
        let selection = session::Selection { user: Some(account.id), ..Default::default() };
        assert!(session_administration::list(db, selection, now).await.unwrap().is_empty());
        assert_eq!(authorization_code::Entity::of_user(db.read(), account.id).await.unwrap(), []);
        assert_eq!(policy_acceptance::Entity::of_user(db.read(), account.id).await.unwrap(), []);
        assert_eq!(enrollment::Entity::of_student(db.read(), account.id).await.unwrap(), []);
        assert_eq!(outgoing_mail::Entity::to(db.read(), &account.email).await.unwrap(), []);
        assert_eq!(registration::Entity::of_address(db.read(), &account.email).await.unwrap(), []);
        assert_eq!(password_reset::Entity::of_user(db.read(), account.id).await.unwrap(), []);
        let events = audit_event::Entity::of_user(db.read(), account.id).await.unwrap();
        assert!(events.iter().all(|event| event.address.is_none()), "{events:?}");
        assert!(events.iter().any(|event| event.action == audit_event::Action::AccountDelete), "{events:?}");
        assert_eq!(before, (class::Entity::find().count(db.read()).await.unwrap(), school.account(TEACHER).await));
        let counts = rate_limit::Entity::with_failures(db.read(), 0).await.unwrap();
        let own = RateLimitKey::account(&account.email);
        assert!(counts.iter().all(|row| row.key.account_half() != own.account_half()), "{counts:?}");

        assert_eq!(Accounts::new(db.clone()).remove(removal).await.unwrap(), None);
        // A node reads the state of a session every five seconds.
        school.clock.advance(chrono::TimeDelta::seconds(5));
        assert_eq!(school.get(&format!("/classes/{OWN_CLASS}")).bearer(&student).send().await.status, 401);
        // The address is free.
        school.add_account(STUDENT).await;
        school.sign_in(STUDENT).await;
    }

    async fn account_removed_with_classes_needs_a_decision_about_them(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let join_code = server.generate_join_code(&teacher).await;
        let db = database(&site).await;
        for email in [STUDENT, COLLEAGUE] {
            let token = server.token(&server.code(email, PASSWORD, false).await).await;
            assert_eq!(server.join(&token, &join_code).await, 201);
        }
        let remove = ["user", "remove", "--email", TEACHER];
        let refusal = site.run(&remove).await.refusal();
        assert!(refusal.contains("owns 1 classes") && refusal.contains("--hand-over-to"), "{refusal}");
        site.run(&[&remove[..], &["--hand-over-to", TEACHER]].concat()).await.refusal();
        site.run(&[&remove[..], &["--hand-over-to", "nobody@example.com"]].concat()).await.refusal();
        assert_eq!(site.run(&[&remove[..], &["--hand-over-to", COLLEAGUE]].concat()).await.success(), "");

        let colleague = user_id(&db, COLLEAGUE).await;
        let class = class::Entity::find_by_id(OWN_CLASS).one(db.read()).await.unwrap().unwrap();
        assert_eq!(class.owner_id, colleague);
        // An owner is not a student of the own class. Other students stay.
        let enrolled = enrollment::Entity::find().all(db.read()).await.unwrap();
        let student = user_id(&db, STUDENT).await;
        assert_eq!(enrolled.iter().map(|row| row.student_id).collect::<Vec<_>>(), [student]);
        let token = server.token(&server.code(COLLEAGUE, PASSWORD, false).await).await;
        server.generate_join_code(&token).await;

        site.run(&["user", "remove", "--email", COLLEAGUE, "--delete-classes"]).await.success();
        assert_eq!(site.run(&["class", "list"]).await.success(), "");
        assert_eq!(enrollment::Entity::find().count(db.read()).await.unwrap(), 0);
        drop(server);
        db.close().await.unwrap();
    }

    async fn export_contains_every_row_about_the_person_and_no_secret(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let join_code = server.generate_join_code(&teacher).await;
        let student = server.token(&server.code(STUDENT, PASSWORD, false).await).await;
        assert_eq!(server.join(&student, &join_code).await, 201);
        site.run(&["class", "add", "--owner", STUDENT, "--name", "Chess"]).await.success();
        let code = server.code(STUDENT, PASSWORD, false).await;
        let db = database(&site).await;
        let account = Accounts::new(db.clone()).find(Email::parse(STUDENT).unwrap()).await.unwrap().unwrap();
        store_everything(&db, &account, homeroom::clock::SystemClock.now()).await;

        let text = site.run(&["user", "export", "--email", STUDENT]).await.success();
        let export: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&export["account"]["email"], &export["account"]["language"]), (&json!(STUDENT), &json!("en")));
        for (section, property, value) in [
            ("sessions", "userAgent", json!("Browser 1.0")),
            ("authorizationCodes", "state", json!("state-from-client")),
            ("policyAcceptances", "policyVersion", json!("2026-05")),
            ("ownedClasses", "name", json!("Chess")),
            ("enrollments", "classId", json!(OWN_CLASS)),
            ("auditEvents", "action", json!("account_export")),
            ("mails", "subject", json!("A new password")),
            ("registrations", "phoneNumber", json!("110")),
            ("passwordResets", "appId", json!(APP)),
        ] {
            let found = export[section].as_array().unwrap().iter().any(|row| row[property] == value);
            assert!(found, "{section}: {export:#}");
        }
        let argon2 = account.password_hash.expose().to_owned();
        for secret in ["marked", code.as_str(), join_code.as_str(), "$argon2", argon2.as_str(), PASSWORD] {
            assert!(!text.contains(secret), "{secret}");
        }
        assert!(!text.contains(TEACHER), "another person's data");
        drop(server);
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

    async fn every_list_as_json_has_one_object_per_line(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        begin(&db, user_id(&db, STUDENT).await).await;
        for (command, count) in [("user", 3), ("app", 1), ("class", 2), ("session", 1), ("keys", 1)] {
            let listed = rows(&site.run(&[command, "list", "--json"]).await.success());
            assert_eq!(listed.len(), count, "{command}: {listed:?}");
            assert!(listed.iter().all(|row| row["id"].is_string()), "{command}: {listed:?}");
        }
        drop(server);
        db.close().await.unwrap();
    }
}
