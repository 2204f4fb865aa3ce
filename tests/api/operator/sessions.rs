//! Sessions, as an operator lists and revokes them.

use super::*;

both! {
    async fn sessions_are_listed_and_revoked_one_by_one_or_together(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let (teacher, student) = (user_id(&db, TEACHER).await, user_id(&db, STUDENT).await);
        let first = begin(&db, teacher).await;
        let mut ended = new_session(teacher, SystemClock.now());
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
        let codes = async || authorization_code::Entity::find().count(db.read()).await.unwrap();
        for user in [teacher, student] {
            authorization_code::Entity::store(db.writer(), new_code(user)).await.unwrap();
        }
        assert_eq!(site.run(&["session", "revoke", "--email", STUDENT]).await.success(), "2\n");
        assert_eq!(codes().await, 1, "a code could begin another session");
        assert_eq!(site.run(&["session", "revoke", "--app", &OTHER_APP.to_string()]).await.success(), "0\n");
        assert_eq!((codes().await, site.run(&["session", "revoke", "--all"]).await.success()), (1, "1\n".to_owned()));
        assert_eq!(codes().await, 0);
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
}
