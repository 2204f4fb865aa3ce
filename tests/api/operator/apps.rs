//! Apps, as an operator changes them.

use super::*;

both! {
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
}
