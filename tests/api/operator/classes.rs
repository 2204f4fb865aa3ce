//! Classes, as an operator lists, changes and removes them.

use homeroom::{
    classroom::class_administration::{ClassReader, StudentReader},
    domain::{
        class_name::ClassName,
        id::{ClassId, EnrollmentId},
        person::PersonName,
        sort_key::SortKey,
    },
    entity::{
        class_row::Selection,
        enrollment::{Origin, Status},
        user::PasswordState,
    },
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};

use super::*;

/// A student of the sample teacher's class, with an account that the school made.
async fn add_student(db: &Db, address: &str, first: &str, last: &str, status: Status) -> UserId {
    let now = SystemClock.now();
    let teacher = Accounts::new(db.clone()).find(Email::parse(TEACHER).unwrap()).await.unwrap().unwrap();
    let id = UserId::new(now, &OsRandom);
    let account = user::Model {
        first_name: Some(PersonName::parse(first).unwrap()),
        last_name: Some(PersonName::parse(last).unwrap()),
        school_account: true,
        password_state: PasswordState::Initial,
        ..user::Model::new(id, Email::parse(address).unwrap(), teacher.password_hash, now)
    };
    user::Entity::create(db.writer(), account).await.unwrap();
    let row = enrollment::Model {
        id: EnrollmentId::new(now, &OsRandom),
        class_id: OWN_CLASS,
        student_id: id,
        enrolled_at: "2026-09-01".parse().unwrap(),
        status,
        created_at: now,
        updated_at: now,
        origin: Origin::Owner,
        student_key: SortKey::of(&[last, first, &id.to_string()]),
        sourced_id: None,
    };
    enrollment::Entity::insert(row.into_active_model()).exec_without_returning(db.writer()).await.unwrap();
    id
}

async fn own_class(db: &Db) -> class::Model {
    class::Entity::find_by_id(OWN_CLASS).one(db.read()).await.unwrap().unwrap()
}

both! {
    async fn classes_of_several_pages_are_read_once_each_in_order(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, now) = (school.account(TEACHER).await.id, school.clock.now());
        // Three names, so that pages begin between classes of the same name.
        let rows = (0..1_203).map(|number| {
            let name = ["Größe", "Musik", "Algebra"][number % 3];
            class::ActiveModel {
                id: Set(ClassId::new(now, &OsRandom)),
                owner_id: Set(teacher),
                name: Set(ClassName::parse(name).unwrap()),
                name_key: Set(SortKey::of(&[name])),
                is_active: Set(number % 100 != 0),
                created_at: Set(now),
                updated_at: Set(now),
                description: Set(None),
                settings: Set(None),
                max_students: Set(None),
                requires_approval: Set(false),
                version: Set(0),
                sourced_id: Set(None),
                left_roster: Set(false),
            }
        });
        let rows: Vec<_> = rows.collect();
        for rows in rows.chunks(400) {
            class::Entity::insert_many(rows.to_vec()).exec_without_returning(school.db.writer()).await.unwrap();
        }
        let mut by_id = class::Entity::find().all(school.db.read()).await.unwrap();
        by_id.sort_by_key(|class| class.id.to_string());
        let mut by_name = by_id.clone();
        by_name.sort_by_key(|class| (class.name_key.as_str().to_owned(), class.id.to_string()));
        let read = async |selection: Selection| {
            let mut reader = ClassReader::new(school.db.clone(), selection);
            let mut found = Vec::new();
            loop {
                let page = reader.next().await.unwrap();
                assert!(page.len() <= 500);
                if page.is_empty() {
                    return found;
                }
                found.extend(page.into_iter().map(|class| class.id));
            }
        };
        let ids = |classes: &[class::Model], chosen: &dyn Fn(&class::Model) -> bool| -> Vec<ClassId> {
            classes.iter().filter(|class| chosen(class)).map(|class| class.id).collect()
        };
        assert_eq!(read(Selection::default()).await, ids(&by_id, &|_| true));
        let own = Selection { owner: Some(teacher), ..Selection::default() };
        assert_eq!(read(own).await, ids(&by_id, &|class| class.owner_id == teacher));
        let inactive = Selection { is_active: Some(false), ..Selection::default() };
        assert_eq!(read(inactive).await, ids(&by_id, &|class| !class.is_active));
        // Nearly all names have an A, a G or an S. The wildcards of SQL are text.
        let search = |text: &str| Selection { search: Some(SortKey::of(&[text])), ..Selection::default() };
        assert_eq!(read(search("")).await, ids(&by_name, &|_| true));
        assert_eq!(read(search("GRÖ")).await, ids(&by_name, &|class| class.name.as_str() == "Größe"));
        assert!(read(search("%")).await.is_empty() && read(search("_")).await.is_empty());
    }

    async fn class_is_listed_and_shown_with_its_owner_students_and_code(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let teacher = user_id(&db, TEACHER).await;
        let token = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let code = server.generate_join_code(&token).await;
        add_student(&db, "a@s.example", "An", "Bo", Status::Active).await;
        add_student(&db, "b@s.example", "An", "Bo", Status::Active).await;
        add_student(&db, "c@s.example", "An", "Bo", Status::Dropped).await;
        let line = format!("{OWN_CLASS}\t{teacher}\t10A1\tactive\n");
        assert_eq!(site.run(&["class", "list", "--owner", TEACHER]).await.success(), line);
        assert_eq!(site.run(&["class", "list", "--search", "a1"]).await.success(), line);
        assert_eq!(site.run(&["class", "list", "--inactive"]).await.success(), "");
        assert_eq!(site.run(&["class", "list"]).await.success().lines().count(), 2);
        site.run(&["class", "list", "--owner", "nobody@example.com"]).await.refusal();

        let id = OWN_CLASS.to_string();
        let shown = site.run(&["class", "show", "--id", &id]).await.success();
        let code_line = format!("\tjoin code\t{code}\tvalid until 20");
        for part in [
            &line, "\towner\tuser@example.com\n", "\tmaximum of students\tno limit\n", "\tapproval\tnot required\n",
            "\tactive students\t2\n", "\tdropped students\t1\n", &code_line, "\tused 0 times\n",
        ] {
            assert!(shown.contains(part), "{part:?}: {shown}");
        }
        let shown = rows(&site.run(&["class", "show", "--json", "--id", &id]).await.success());
        let [class] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!(
            [&class["id"], &class["owner"], &class["students"], &class["joinCode"]["code"], &class["maxStudents"]],
            [&json!(OWN_CLASS), &json!(TEACHER), &json!({ "active": 2, "dropped": 1 }), &json!(code), &Value::Null],
        );
        let refusal = site.run(&["class", "show", "--id", &teacher.to_string()]).await.refusal();
        assert_eq!(refusal, format!("error: there is no class {teacher}\n"));
        drop(server);
        db.close().await.unwrap();
    }

    async fn class_set_changes_and_removes_every_property(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let id = OWN_CLASS.to_string();
        let set = ["class", "set", "--id", &id];
        let all = [
            "--name", "Größe", "--description", "Mathematik", "--active", "false", "--max-students", "30",
            "--requires-approval", "true",
        ];
        assert_eq!(site.run(&[&set[..], &all].concat()).await.success(), "");
        let changed = own_class(&db).await;
        assert_eq!(changed.name_key, SortKey::of(&["Größe"]));
        assert_eq!((changed.is_active, changed.requires_approval, changed.version), (false, true, 1));
        let shown = site.run(&["class", "show", "--id", &id]).await.success();
        for part in [
            "\tGröße\tinactive\n", "\tdescription\tMathematik\n", "\tmaximum of students\t30\n", "\tapproval\trequired\n",
        ] {
            assert!(shown.contains(part), "{part:?}: {shown}");
        }
        // The same again is no change.
        site.run(&[&set[..], &all].concat()).await.success();
        assert_eq!(own_class(&db).await, changed);
        site.run(&[&set[..], &["--description=", "--max-students", "none"]].concat()).await.success();
        let changed = own_class(&db).await;
        assert_eq!((changed.description, changed.max_students, changed.version), (None, None, 2));
        let unknown = ["class", "set", "--id", "99999999-9999-9999-9999-999999999999", "--active", "true"];
        site.run(&unknown).await.refusal();
        drop(server);
        db.close().await.unwrap();
    }

    async fn class_set_hands_over_and_ends_the_enrollment_of_the_new_owner(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let join_code = server.generate_join_code(&teacher).await;
        for email in [STUDENT, COLLEAGUE] {
            let token = server.token(&server.code(email, PASSWORD, false).await).await;
            assert_eq!(server.join(&token, &join_code).await, 201);
        }
        let pupil = add_student(&db, "pupil@s.example", "An", "Bo", Status::Active).await;
        let id = OWN_CLASS.to_string();
        let set = ["class", "set", "--id", &id, "--owner"];
        let refusal = site.run(&[&set[..], &["pupil@s.example"]].concat()).await.refusal();
        assert_eq!(refusal, "error: --owner is the account of a student\n");
        site.run(&[&set[..], &["nobody@example.com"]].concat()).await.refusal();
        assert_eq!(own_class(&db).await.version, 0);

        assert_eq!(site.run(&[&set[..], &[COLLEAGUE]].concat()).await.success(), "");
        let class = own_class(&db).await;
        assert_eq!((class.owner_id, class.version), (user_id(&db, COLLEAGUE).await, 1));
        let events = audit_event::Entity::find().all(db.read()).await.unwrap();
        let events = events.iter().filter(|event| event.action == audit_event::Action::ClassOwnerChange);
        let events: Vec<_> = events.map(|event| (event.class_id, event.user_id)).collect();
        assert_eq!(events, [(Some(OWN_CLASS), Some(class.owner_id))]);
        let enrolled = enrollment::Entity::find().all(db.read()).await.unwrap();
        let mut students: Vec<_> = enrolled.iter().map(|row| row.student_id.to_string()).collect();
        students.sort();
        let mut expected = [user_id(&db, STUDENT).await.to_string(), pupil.to_string()];
        expected.sort();
        assert_eq!(students, expected);
        // The new owner uses the class, and the former one is a stranger.
        let token = server.token(&server.code(COLLEAGUE, PASSWORD, false).await).await;
        server.generate_join_code(&token).await;
        let generate = server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(&teacher);
        assert_eq!(crate::support::process::send(generate).await.0, 403);
        drop(server);
        db.close().await.unwrap();
    }

    async fn class_is_removed_with_yes_only_and_recorded(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let token = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        server.generate_join_code(&token).await;
        add_student(&db, "pupil@s.example", "An", "Bo", Status::Active).await;
        let id = OWN_CLASS.to_string();
        let remove = ["class", "remove", "--id", &id];
        let ended = site.run(&remove).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.out.contains("\t10A1\t") && ended.out.contains("\tactive students\t1\n"), "{ended:?}");
        assert!(ended.err.starts_with("error: nothing was removed; with --yes"), "{ended:?}");
        own_class(&db).await;

        let remove = [&remove[..], &["--yes"]].concat();
        assert_eq!(site.run(&remove).await.success(), "");
        assert_eq!(class::Entity::find().count(db.read()).await.unwrap(), 1);
        assert_eq!(enrollment::Entity::find().count(db.read()).await.unwrap(), 0);
        user_id(&db, "pupil@s.example").await;
        let removed = audit_event::Entity::find().all(db.read()).await.unwrap();
        let removed: Vec<_> =
            removed.into_iter().filter(|event| event.action == audit_event::Action::ClassDelete).collect();
        let [event] = &removed[..] else { panic!("{removed:?}") };
        assert_eq!(
            (event.actor, event.user_id, event.class_id),
            (audit_event::Actor::Operator, Some(user_id(&db, TEACHER).await), Some(OWN_CLASS)),
        );
        assert_eq!(site.run(&remove).await.refusal(), format!("error: there is no class {OWN_CLASS}\n"));
        drop(server);
        db.close().await.unwrap();
    }

    async fn class_roster_is_sorted_and_its_csv_has_no_formula(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        let zoe = add_student(&db, "zoe@s.example", "Zoë", "Äpfel", Status::Active).await;
        let formula = add_student(&db, "b@s.example", "=1+1", "Ost, West", Status::Active).await;
        add_student(&db, "c@s.example", "Mai", "Lê", Status::Pending).await;
        let id = OWN_CLASS.to_string();
        let roster = ["class", "roster", "--id", &id];
        let printed = site.run(&roster).await.success();
        let expected = format!(
            "{zoe}\tÄpfel\tZoë\tzoe@s.example\tinitial\tactive\t2026-09-01\n\
             {formula}\tOst, West\t=1+1\tb@s.example\tinitial\tactive\t2026-09-01\n"
        );
        assert_eq!(printed, expected);
        let csv = site.run(&[&roster[..], &["--csv", "--status", "all"]].concat()).await.success();
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 4, "{csv}");
        assert_eq!(lines[0], "studentId,lastName,firstName,email,passwordState,status,enrolledAt");
        assert_eq!(lines[2], format!("{formula},\"Ost, West\",'=1+1,b@s.example,initial,active,2026-09-01"));
        assert!(lines[3].ends_with(",Lê,Mai,c@s.example,initial,pending,2026-09-01"), "{csv}");
        let pending = rows(&site.run(&[&roster[..], &["--json", "--status", "pending"]].concat()).await.success());
        let [row] = &pending[..] else { panic!("{pending:?}") };
        assert_eq!(
            [&row["lastName"], &row["schoolAccount"], &row["origin"]],
            [&json!("Lê"), &json!(true), &json!("owner")]
        );
        site.run(&["class", "roster", "--id", &zoe.to_string()]).await.refusal();
        drop(server);
        db.close().await.unwrap();
    }

    async fn students_of_several_pages_are_read_once_each_in_order(kind: Kind) {
        let school = School::start(kind).await;
        let template = user::Entity::find().one(school.db.read()).await.unwrap().unwrap();
        let now = school.clock.now();
        let ids: Vec<UserId> = (0..701).map(|_| UserId::new(now, &OsRandom)).collect();
        let users = ids.iter().map(|id| {
            let email = Email::parse(&format!("{id}@s.example")).unwrap();
            user::Model::new(*id, email, template.password_hash.clone(), now).into_active_model()
        });
        let users: Vec<_> = users.collect();
        // All have one key, which rows without names get in no other way.
        let enrollments = ids.iter().map(|id| enrollment::Model {
            id: EnrollmentId::new(now, &OsRandom),
            class_id: OWN_CLASS,
            student_id: *id,
            enrolled_at: now.date_naive(),
            status: Status::Active,
            created_at: now,
            updated_at: now,
            origin: Origin::Owner,
            student_key: SortKey::of(&["same"]),
            sourced_id: None,
        });
        let enrollments: Vec<_> = enrollments.map(IntoActiveModel::into_active_model).collect();
        for chunk in users.chunks(200) {
            user::Entity::insert_many(chunk.to_vec()).exec_without_returning(school.db.writer()).await.unwrap();
        }
        for chunk in enrollments.chunks(200) {
            enrollment::Entity::insert_many(chunk.to_vec()).exec_without_returning(school.db.writer()).await.unwrap();
        }
        let one = enrollment::Entity::find().one(school.db.read()).await.unwrap().unwrap();
        let first = enrollment::ActiveModel { id: Set(one.id), student_key: Set(SortKey::of(&["a"])), ..Default::default() };
        first.update(school.db.writer()).await.unwrap();
        let mut reader = StudentReader::new(school.db.clone(), OWN_CLASS, Status::Active);
        let mut read = Vec::new();
        loop {
            let page = reader.next().await.unwrap();
            if page.is_empty() {
                break;
            }
            read.extend(page.into_iter().map(|(row, user)| (row.student_key.as_str().to_owned(), row.id, user.id)));
        }
        assert_eq!((read.len(), read[0].1), (701, one.id));
        assert!(read.is_sorted_by_key(|(key, id, _)| (key.clone(), id.to_string())));
    }
}
