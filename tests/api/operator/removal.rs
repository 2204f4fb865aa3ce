//! The data of a person: its export and its removal.

use super::*;

both! {
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
        let removal = Removal { user: account.id, hand_over: None, event, notice: None };
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
        store_everything(&db, &account, SystemClock.now()).await;

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
}
