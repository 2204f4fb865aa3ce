//! The audit trail: what is recorded, and how an operator reads it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom::{
    clock::{Clock, SystemClock},
    db::Db,
    domain::id::{AuditEventId, UserId},
    entity::audit_event::{Action, ActiveModel, Actor, Entity, Filter, Model, Outcome},
    identity::audit::AuditReader,
    jobs::sweep::{delete_expired_if_clocks_agree, delete_old_events},
    random::OsRandom,
};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::{Value, json};

use crate::support::{
    ADDRESS, APP, COLLEAGUE, Kind, PASSWORD, STUDENT, School, TEACHER, both,
    process::Site,
    signing_in::{CREDENTIALS, refused},
};

const SOMEONE: UserId = UserId::from_u128(0x6666_6666_6666_6666_6666_6666_6666_6666);

impl School {
    /// The sign-ins.
    async fn sign_ins(&self) -> Vec<Model> {
        let filter = Filter { action: Some(Action::SignIn), ..Filter::default() };
        read(&self.db, filter).await
    }
}

/// All matching events.
async fn read(db: &Db, filter: Filter) -> Vec<Model> {
    let mut reader = AuditReader::new(db.clone(), filter);
    let mut events = Vec::new();
    loop {
        let next = reader.next().await.unwrap();
        if next.is_empty() {
            return events;
        }
        events.extend(next);
    }
}

/// Records an event of [`SOMEONE`].
async fn record(db: &Db, at: DateTime<Utc>) -> AuditEventId {
    let event =
        Model::new(Action::Unlock, at, &OsRandom).user(SOMEONE).by(Actor::Operator).from(Some(ADDRESS));
    Entity::record(db.writer(), event.clone()).await.unwrap();
    event.id
}

fn of_someone() -> Filter {
    Filter { user: Some(SOMEONE), ..Filter::default() }
}

fn ids(events: &[Model]) -> Vec<AuditEventId> {
    events.iter().map(|event| event.id).collect()
}

both! {
    async fn sign_in_is_recorded_with_user_app_address_and_reason(kind: Kind) {
        let school = School::start(kind).await;
        school.sign_in(TEACHER).await;
        school.change_account(STUDENT, |account| account.enabled = false).await;
        school.change_account(COLLEAGUE, |account| account.email_verified_at = None).await;
        for changes in [
            json!({ "password": "wrong" }),
            json!({ "email": STUDENT }),
            json!({ "email": COLLEAGUE }),
            json!({ "email": "marked@example.com" }),
        ] {
            assert_eq!(school.request_code(changes).await.whole(), refused(CREDENTIALS));
        }
        let events = school.sign_ins().await;
        let [teacher, student, colleague] = [
            school.account(TEACHER).await.id,
            school.account(STUDENT).await.id,
            school.account(COLLEAGUE).await.id,
        ];
        let mut expected = [
            (Some(teacher), Outcome::Success, None),
            (Some(teacher), Outcome::Failure, Some("password_wrong")),
            (Some(student), Outcome::Failure, Some("account_disabled")),
            (Some(colleague), Outcome::Failure, Some("account_unconfirmed")),
            (None, Outcome::Failure, Some("account_unknown")),
        ];
        // The events have one time. Their order is that of their ids.
        let mut found: Vec<_> = events.iter().map(|event| (event.user_id, event.outcome, event.reason.as_deref())).collect();
        expected.sort_by_key(|(_, _, reason)| *reason);
        found.sort_by_key(|(_, _, reason)| *reason);
        assert_eq!(found, expected);
        for event in &events {
            assert_eq!((event.at, event.actor, event.app_id), (school.clock.now(), Actor::User, Some(APP)));
            assert_eq!(event.address.as_deref(), Some("192.0.2.7"));
            assert_eq!(event.session_id, None);
            assert!(!format!("{event:?}").contains("marked"), "{event:?}");
        }
    }

    async fn sign_in_failure_without_limits_is_recorded(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        school.request_code(json!({ "password": "wrong" })).await;
        school.request_code(json!({ "email": "nobody@example.com" })).await;
        assert_eq!(school.sign_ins().await.len(), 2);
    }

    async fn sign_in_before_the_password_is_verified_is_not_recorded(kind: Kind) {
        let school = School::start(kind).await;
        for changes in [
            json!({ "redirectUri": "https://app.example.com/elsewhere" }),
            json!({ "appUuid": "44444444-4444-4444-4444-444444444444" }),
        ] {
            assert_eq!(school.request_code(changes).await.status, 400);
        }
        assert_eq!(school.sign_ins().await, []);
        for _ in 0..5 {
            assert_eq!(school.request_code(json!({ "password": "wrong" })).await.status, 400);
        }
        // An attempt that the limit refuses cannot fill the database.
        for _ in 0..3 {
            assert_eq!(school.request_code(json!({ "password": "wrong" })).await.status, 429);
        }
        assert_eq!(school.sign_ins().await.len(), 5);
    }

    async fn reader_returns_each_event_once_in_order_of_time(kind: Kind) {
        let school = School::start(kind).await;
        let now = school.clock.now();
        let rows = (0..1_200).map(|number| {
            let at = now + TimeDelta::milliseconds(number / 3);
            Model::new(Action::Unlock, at, &OsRandom).user(SOMEONE)
        });
        let mut rows: Vec<Model> = rows.collect();
        for part in rows.chunks(100) {
            let part = part.iter().cloned().map(IntoActiveModel::into_active_model).collect::<Vec<ActiveModel>>();
            Entity::insert_many(part).exec_without_returning(school.db.writer()).await.unwrap();
        }
        rows.sort_by_key(|event| (event.at, event.id));
        let mut reader = AuditReader::new(school.db.clone(), of_someone());
        let mut found = Vec::new();
        while found.len() < 1_200 {
            found.extend(reader.next().await.unwrap());
        }
        assert_eq!(ids(&found), ids(&rows));
        assert_eq!(reader.next().await.unwrap(), []);

        // Later events, and one that another node recorded late.
        let later = record(&school.db, now + TimeDelta::seconds(10)).await;
        assert_eq!(ids(&reader.next().await.unwrap()), [later]);
        assert_eq!(reader.next().await.unwrap(), []);
        let delayed = record(&school.db, now - TimeDelta::seconds(15)).await;
        let newest = record(&school.db, now + TimeDelta::seconds(11)).await;
        let mut appeared = Vec::new();
        while appeared.len() < 2 {
            appeared.extend(reader.next().await.unwrap());
        }
        assert_eq!(ids(&appeared), [delayed, newest]);
        for _ in 0..3 {
            assert_eq!(reader.next().await.unwrap(), []);
        }
    }

    async fn reader_with_filters_returns_the_matching_events(kind: Kind) {
        let school = School::start(kind).await;
        school.sign_in(TEACHER).await;
        school.request_code(json!({ "email": "nobody@example.com" })).await;
        let now = school.clock.now();
        record(&school.db, now + TimeDelta::minutes(1)).await;
        let teacher = school.account(TEACHER).await.id;
        let sign_ins = || Filter { action: Some(Action::SignIn), ..Filter::default() };
        for (filter, matching) in [
            (sign_ins(), 2),
            (Filter { outcome: Some(Outcome::Failure), ..Filter::default() }, 1),
            (Filter { outcome: Some(Outcome::Success), ..sign_ins() }, 1),
            (Filter { user: Some(teacher), ..sign_ins() }, 1),
            (Filter { app: Some(APP), ..sign_ins() }, 2),
            (Filter { app: Some(crate::support::signing_in::OTHER_APP), ..sign_ins() }, 0),
            (Filter { since: Some(now), until: Some(now + TimeDelta::minutes(1)), ..sign_ins() }, 2),
            (Filter { until: Some(now), ..sign_ins() }, 0),
            (Filter { since: Some(now + TimeDelta::milliseconds(1)), ..of_someone() }, 1),
            (Filter { until: Some(now + TimeDelta::minutes(1)), ..of_someone() }, 0),
        ] {
            assert_eq!(read(&school.db, filter.clone()).await.len(), matching, "{filter:?}");
        }
    }

    async fn sweep_deletes_events_older_than_the_retention(kind: Kind) {
        let school = School::start(kind).await;
        let now = SystemClock.now();
        for age in [0, 9, 10, 11] {
            record(&school.db, now - TimeDelta::days(age)).await;
        }
        let left = async || read(&school.db, of_someone()).await.len();
        // A wrong clock deletes nothing, and neither does a server without a retention.
        let wrong = now + TimeDelta::days(3_650);
        delete_expired_if_clocks_agree(&school.db, wrong, Some(TimeDelta::days(10))).await.unwrap();
        delete_expired_if_clocks_agree(&school.db, SystemClock.now(), None).await.unwrap();
        assert_eq!(left().await, 4);
        delete_old_events(&school.db, now - TimeDelta::days(10)).await.unwrap();
        assert_eq!(left().await, 3, "the event of exactly that age stays");
        delete_expired_if_clocks_agree(&school.db, SystemClock.now(), Some(TimeDelta::days(10))).await.unwrap();
        assert_eq!(left().await, 2);
        // More events than one statement deletes.
        let many = (0..1_100).map(|_| Model::new(Action::Unlock, now - TimeDelta::days(20), &OsRandom).user(SOMEONE));
        let many: Vec<ActiveModel> = many.map(IntoActiveModel::into_active_model).collect();
        for part in many.chunks(100) {
            Entity::insert_many(part.to_vec()).exec_without_returning(school.db.writer()).await.unwrap();
        }
        delete_old_events(&school.db, now - TimeDelta::days(10)).await.unwrap();
        assert_eq!(left().await, 2);
    }

    async fn events_of_a_deleted_user_stay_without_addresses(kind: Kind) {
        let school = School::start(kind).await;
        school.sign_in(TEACHER).await;
        school.sign_in(STUDENT).await;
        let teacher = school.account(TEACHER).await.id;
        Entity::forget_addresses(school.db.writer(), teacher).await.unwrap();
        let events = Entity::of_user(school.db.read(), teacher).await.unwrap();
        assert!(!events.is_empty() && events.iter().all(|event| event.address.is_none()), "{events:?}");
        let student = school.account(STUDENT).await.id;
        let events = Entity::of_user(school.db.read(), student).await.unwrap();
        assert!(events.iter().any(|event| event.address.is_some()), "{events:?}");
    }

    async fn audit_command_prints_filtered_lines_or_json(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 201);
        assert_eq!(server.try_sign_in(TEACHER, "marked-wrong", false).await.0, 400);
        assert_eq!(server.try_sign_in("marked@example.com", "marked-wrong", false).await.0, 400);
        let users = site.run(&["user", "list"]).await.success();
        let id = users.lines().find(|line| line.contains(TEACHER)).unwrap().split('\t').next().unwrap();

        let all = site.run(&["audit", "--action", "sign_in", "--json"]).await.success();
        let events: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!all.contains("marked"), "{all}");
        let expected = |outcome: &str, reason: Value, user: Value| {
            json!({
                "action": "sign_in", "outcome": outcome, "reason": reason, "actor": "user", "userId": user, "appId": APP,
                "sessionId": null, "address": "127.0.0.1", "byUserId": null, "classId": null,
            })
        };
        let mut shown = events.clone();
        for event in &mut shown {
            let fields = event.as_object_mut().unwrap();
            let at = fields.remove("at").unwrap();
            DateTime::parse_from_rfc3339(at.as_str().unwrap()).unwrap();
            assert!(at.as_str().unwrap().ends_with('Z') && fields.remove("id").is_some());
        }
        assert_eq!(
            shown,
            [
                expected("success", json!(null), json!(id)),
                expected("failure", json!("password_wrong"), json!(id)),
                expected("failure", json!("account_unknown"), json!(null)),
            ]
        );

        let of_user = ["audit", "--user", TEACHER, "--action", "sign_in"];
        let lines = site.run(&of_user).await.success();
        let at = events[1]["at"].as_str().unwrap();
        let line = format!("{at}\tsign_in\tfailure\tpassword_wrong\tuser\t{id}\t{APP}\t-\t127.0.0.1\t-\t-");
        assert_eq!(lines.lines().collect::<Vec<_>>()[1..], [line.as_str()]);
        assert_eq!(site.run(&["audit", "--user", id, "--action", "sign_in"]).await.success(), lines);
        for (filter, count) in [
            (&["--outcome", "failure"][..], 2),
            (&["--since", "1h"], 3),
            (&["--since", "2999-01-01"], 0),
            (&["--until", "1d"], 0),
            (&["--app", &APP.to_string()], 3),
        ] {
            let listed = site.run(&[&["audit", "--action", "sign_in"], filter].concat()).await.success();
            assert_eq!(listed.lines().count(), count, "{filter:?}: {listed}");
        }
        for (user, named) in [("nobody@example.com", "no account"), ("1", "UUID"), ("a@", "e-mail")] {
            let refusal = site.run(&["audit", "--user", user]).await.refusal();
            assert!(refusal.contains("--user") && refusal.contains(named), "{refusal}");
        }

        // The output is checked, as that of the other commands.
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = site.run_into(full, &["audit"]).await;
        assert!(ended.status.code() == Some(1) && ended.err.contains("No space left"), "{ended:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = site.run_into(writer, &["audit", "--follow"]).await;
        assert_eq!((ended.status.code(), ended.err.as_str()), (Some(141), ""), "{ended:?}");
    }

    async fn audit_command_with_follow_prints_new_events_until_it_is_interrupted(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 201);
        let following = site.start(&["audit", "--follow", "--action", "sign_in"], "");
        let shows = async |count: usize| {
            for _ in 0..6_000 {
                if following.out().lines().count() >= count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{}{}", following.out(), following.err());
        };
        shows(1).await;
        assert_eq!(server.try_sign_in(STUDENT, "wrong", false).await.0, 400);
        shows(2).await;
        following.signal("INT");
        let out = following.end().await.success();
        assert!(out.lines().count() == 2 && out.contains("password_wrong"), "{out}");
    }
}

#[tokio::test]
async fn event_of_a_failed_transaction_is_not_recorded() {
    let school = School::start(Kind::Sqlite).await;
    let event = Model::new(Action::Unlock, school.clock.now(), &OsRandom).user(SOMEONE);
    let twice = school.db.transaction(event, |db, event| {
        Box::pin(async move {
            Entity::record(db, event.clone()).await?;
            // The same id is refused.
            Entity::record(db, event.clone()).await
        })
    });
    twice.await.unwrap_err();
    assert_eq!(read(&school.db, of_someone()).await, []);
}
