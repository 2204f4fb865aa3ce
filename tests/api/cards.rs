//! `homeroom roster cards`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use homeroom::{
    clock::{Clock, SystemClock},
    db::Db,
    domain::{
        class_name::ClassName,
        email::Email,
        id::{ClassId, EnrollmentId, SessionId, UserId},
        person::PersonName,
        sort_key::SortKey,
        sourced_id::SourcedId,
    },
    entity::{
        audit_event::{self, Action, Actor},
        class,
        enrollment::{self, Origin, Status},
        session,
        user::{self, PasswordState},
    },
    identity::{
        accounts::{Accounts, Change},
        password_hashing::{PasswordHashing, Settings},
    },
    random::OsRandom,
    school::{
        cards::{Cards, Choice, CommitError},
        credentials::Credentials,
    },
};
use sea_orm::{ActiveEnum, ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel, PaginatorTrait};

use crate::support::{
    APP, Kind, OTHER_CLASS, OWN_CLASS, School, both, process::Site, signing_in::redirect_uri,
};

const PAGE: &str = "https://school.example.com/join";

/// A student of a class.
#[derive(Clone, Copy)]
struct Student<'s> {
    user_name: &'s str,
    state: PasswordState,
    origin: Origin,
    status: Status,
}

/// One to whom the school gave an account.
fn student(user_name: &str) -> Student<'_> {
    Student { user_name, state: PasswordState::None, origin: Origin::Roster, status: Status::Active }
}

async fn enroll(
    db: &Db,
    class: ClassId,
    user: UserId,
    Student { user_name, origin, status, .. }: Student<'_>,
) {
    let now = SystemClock.now();
    let row = enrollment::Model {
        id: EnrollmentId::new(now, &OsRandom),
        class_id: class,
        student_id: user,
        enrolled_at: now.date_naive(),
        status,
        created_at: now,
        updated_at: now,
        origin,
        student_key: SortKey::of(&[user_name]),
        sourced_id: None,
    };
    enrollment::Entity::insert(row.into_active_model()).exec_without_returning(db.writer()).await.unwrap();
}

async fn add(db: &Db, class: ClassId, student: Student<'_>) -> UserId {
    let now = SystemClock.now();
    let any = user::Entity::find().one(db.read()).await.unwrap().unwrap();
    let id = UserId::new(now, &OsRandom);
    let account = user::Model {
        first_name: Some(PersonName::parse("Linh").unwrap()),
        last_name: Some(PersonName::parse("Nguyễn").unwrap()),
        school_account: true,
        password_state: student.state,
        ..user::Model::new(id, Email::parse(student.user_name).unwrap(), any.password_hash, now)
    };
    user::Entity::create(db.writer(), account).await.unwrap();
    enroll(db, class, id, student).await;
    id
}

async fn account(db: &Db, id: UserId) -> user::Model {
    user::Entity::find_by_id(id).one(db.read()).await.unwrap().unwrap()
}

async fn database(site: &Site) -> Db {
    Db::connect_with(&site.location, 1).await.unwrap()
}

/// A site with the sample school, and an empty directory for files.
async fn site(kind: Kind) -> (Site, Db, PathBuf) {
    let site = Site::new(kind).await.with("HOMEROOM_JOIN_PAGE", PAGE);
    drop(site.listen("demo").await);
    let db = database(&site).await;
    let out = site.data().join("cards");
    fs::create_dir(&out).unwrap();
    (site, db, out)
}

fn files(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn pages(file: &Path) -> usize {
    let pdf = fs::read(file).unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    let text = String::from_utf8_lossy(&pdf);
    text.matches("/Type /Page\n").count() + text.matches("/Type/Page/").count()
}

/// The actions of the operator since the sample school was made, with the class.
async fn events(db: &Db) -> Vec<(String, Option<UserId>, Option<ClassId>)> {
    let events = audit_event::Entity::find().all(db.read()).await.unwrap();
    let events = events.into_iter().filter(|event| {
        event.actor == Actor::Operator
            && matches!(event.action, Action::Cards | Action::PasswordChange | Action::Unlock)
    });
    events.map(|event| (event.action.to_value(), event.user_id, event.class_id)).collect()
}

/// The service over a database of a test.
fn service(school: &School) -> Cards {
    let hashing = PasswordHashing::start(Settings::default(), &OsRandom).unwrap();
    let credentials = Credentials::new(school.db.clone(), Arc::new(OsRandom), Arc::new(hashing), None);
    Cards::new(school.db.clone(), Arc::new(OsRandom), credentials, PAGE.parse().unwrap())
}

async fn class_of(db: &Db, id: ClassId) -> class::Model {
    class::Entity::find_by_id(id).one(db.read()).await.unwrap().unwrap()
}

both! {
    async fn cards_give_passwords_to_students_without_one_of_their_own(kind: Kind) {
        let (site, db, directory) = site(kind).await;
        let new = add(&db, OWN_CLASS, student("new@s.example")).await;
        let initial = Student { state: PasswordState::Initial, ..student("initial@s.example") };
        let initial = add(&db, OWN_CLASS, initial).await;
        // None of these gets a card.
        let own = add(&db, OWN_CLASS, Student { state: PasswordState::Own, ..student("own@s.example") }).await;
        let code = add(&db, OWN_CLASS, Student { origin: Origin::JoinCode, ..student("code@s.example") }).await;
        let left = add(&db, OWN_CLASS, Student { status: Status::Dropped, ..student("left@s.example") }).await;
        let disabled = add(&db, OWN_CLASS, student("disabled@s.example")).await;
        let row = user::ActiveModel { id: Set(disabled), enabled: Set(false), ..Default::default() };
        row.update(db.writer()).await.unwrap();
        let before = [account(&db, own).await, account(&db, code).await, account(&db, left).await, account(&db, disabled).await];

        let file = directory.join("cards.pdf");
        let command = ["roster", "cards", "--class", "10A1", "--school", "School", "--out", file.to_str().unwrap()];
        let ended = site.run(&command).await;
        assert!(ended.err.contains("2 of 2 passwords\n"), "{ended:?}");
        assert!(ended.err.contains("note: class \"10A1\": no card for 3 students"), "{ended:?}");
        assert!(ended.err.contains("1 earlier password becomes invalid\n"), "{ended:?}");
        assert_eq!(ended.success(), format!("{OWN_CLASS}\t10A1\t2 cards\n"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((files(&directory), pages(&file)), (vec!["cards.pdf".to_owned()], 1));
        for id in [new, initial] {
            let account = account(&db, id).await;
            assert_eq!((account.password_state, account.password_version), (PasswordState::Initial, 1));
        }
        let after = [account(&db, own).await, account(&db, code).await, account(&db, left).await, account(&db, disabled).await];
        assert_eq!(after, before);
        let mut events = events(&db).await;
        events.sort_by_key(|(action, user, _)| (action.clone(), user.map(|id| id.to_string())));
        let mut changed = [new, initial];
        changed.sort_by_key(ToString::to_string);
        let event = |action: &str, user| (action.to_owned(), Some(user), Some(OWN_CLASS));
        let [change, unlock] = ["password_change", "unlock"].map(|action| changed.map(|user| event(action, user)));
        let expected = [vec![("cards".to_owned(), None, Some(OWN_CLASS))], change.to_vec(), unlock.to_vec()].concat();
        assert_eq!(events, expected);

        // A second run never overwrites the cards.
        assert!(site.run(&command).await.refusal().contains("exists"));
        assert_eq!(account(&db, new).await.password_version, 1);
        db.close().await.unwrap();
    }

    async fn cards_reset_replaces_a_chosen_password_and_ends_its_sessions(kind: Kind) {
        let (site, db, directory) = site(kind).await;
        let own = add(&db, OWN_CLASS, Student { state: PasswordState::Own, ..student("own@s.example") }).await;
        let other = add(&db, OWN_CLASS, student("other@s.example")).await;
        let now = SystemClock.now();
        let session = session::Model {
            id: SessionId::new(now, &OsRandom),
            user_id: own,
            app_id: APP,
            redirect_uri: redirect_uri("https://app.example.com/callback"),
            scope: homeroom::domain::scope::Scope::grant("openid"),
            address: None,
            user_agent: None,
            authenticated_at: now,
            created_at: now,
            last_used_at: now,
            idle_expires_at: now + chrono::TimeDelta::hours(1),
            expires_at: now + chrono::TimeDelta::hours(1),
        };
        session::Entity::begin(db.writer(), session).await.unwrap();
        let file = directory.join("own.pdf");
        let id = OWN_CLASS.to_string();
        let command = ["roster", "cards", "--class", &id, "--student", "own@s.example", "--out", file.to_str().unwrap()];
        let refused = site.run(&command).await;
        assert_eq!((refused.status.code(), files(&directory).len()), (Some(2), 0), "{refused:?}");
        assert!(refused.err.contains("--reset"), "{refused:?}");

        site.run(&[&command[..], &["--reset", "--language", "vi"]].concat()).await.success();
        let account_own = account(&db, own).await;
        assert_eq!((account_own.password_state, account_own.password_version), (PasswordState::Initial, 1));
        assert_eq!(session::Entity::find().count(db.read()).await.unwrap(), 0);
        assert_eq!(account(&db, other).await.password_version, 0);
        db.close().await.unwrap();
    }

    async fn cards_of_several_classes_have_a_student_once_and_begin_new_pages(kind: Kind) {
        let (site, db, directory) = site(kind).await;
        for number in 0..9 {
            add(&db, OWN_CLASS, student(&format!("p{number}@s.example"))).await;
        }
        let both = add(&db, OWN_CLASS, student("both@s.example")).await;
        enroll(&db, OTHER_CLASS, both, student("both@s.example")).await;
        add(&db, OTHER_CLASS, student("x@s.example")).await;
        let row = class::ActiveModel {
            id: Set(OTHER_CLASS),
            sourced_id: Set(Some(SourcedId::parse("c-2").unwrap())),
            ..Default::default()
        };
        row.update(db.writer()).await.unwrap();
        let file = directory.join("cards.pdf");
        let file = file.to_str().unwrap();
        let command = ["roster", "cards", "--class", "10a1", "--class", "c-2", "--class", "10A1", "--out", file];
        let printed = site.run(&command).await.success();
        assert_eq!(printed, format!("{OWN_CLASS}\t10A1\t10 cards\n{OTHER_CLASS}\t10A2\t1 card\n"));
        assert_eq!(pages(Path::new(file)), 3);
        assert_eq!(account(&db, both).await.password_version, 1);
        db.close().await.unwrap();
    }

    async fn class_that_is_unknown_or_ambiguous_is_refused(kind: Kind) {
        let (site, db, directory) = site(kind).await;
        let renamed = class::ActiveModel {
            id: Set(OTHER_CLASS),
            name: Set(ClassName::parse("10A1").unwrap()),
            name_key: Set(SortKey::of(&["10A1"])),
            ..Default::default()
        };
        renamed.update(db.writer()).await.unwrap();
        let id = OTHER_CLASS.to_string();
        let file = directory.join("cards.pdf");
        for (class, reason) in [
            ("10A3", "there is no such class"),
            ("10A1", id.as_str()),
            ("10a1", id.as_str()),
            ("99999999-9999-9999-9999-999999999999", "there is no such class"),
        ] {
            let command = ["roster", "cards", "--class", class, "--out", file.to_str().unwrap()];
            let refusal = site.run(&command).await.refusal();
            assert!(refusal.contains(reason), "{class}: {refusal}");
        }
        // A class without students.
        let command = ["roster", "cards", "--class", &id, "--out", file.to_str().unwrap()];
        site.run(&command).await.refusal();
        assert!(files(&directory).is_empty());
        db.close().await.unwrap();
    }

    async fn cards_that_cannot_be_written_or_are_killed_leave_no_file_and_no_change(kind: Kind) {
        let (site, db, directory) = site(kind).await;
        let mut students = Vec::new();
        for number in 0..100 {
            students.push(add(&db, OWN_CLASS, student(&format!("p{number}@s.example"))).await);
        }
        let missing = directory.join("missing").join("cards.pdf");
        let id = OWN_CLASS.to_string();
        let one = ["roster", "cards", "--class", &id, "--student", "p1@s.example", "--out", missing.to_str().unwrap()];
        let failed = site.run(&one).await;
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");

        let file = directory.join("cards.pdf");
        let program = site.start(&["roster", "cards", "--class", &id, "--out", file.to_str().unwrap()], "");
        while !program.err().contains("25 of 100 passwords\n") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        program.signal("KILL");
        assert_eq!(program.end().await.status.code(), None);
        assert!(files(&directory).is_empty(), "{:?}", files(&directory));
        for student in students {
            assert_eq!(account(&db, student).await.password_version, 0);
        }
        assert_eq!(events(&db).await, []);
        db.close().await.unwrap();
    }

    async fn password_of_a_card_signs_in(kind: Kind) {
        let school = School::start(kind).await;
        let id = add(&school.db, OWN_CLASS, student("linh@s.example")).await;
        let cards = service(&school);
        let class = class_of(&school.db, OWN_CLASS).await;
        let now = school.clock.now();
        let prepared = cards.prepare(vec![class], &Choice::default(), now, |_, _| ()).await.unwrap();
        assert_eq!(account(&school.db, id).await.password_version, 0);
        cards.commit(&prepared[0], now).await.unwrap();
        let card = prepared[0].cards().next().unwrap();
        assert_eq!((card.name.as_str(), card.link.as_str()), ("Linh Nguyễn", PAGE));
        let hash = account(&school.db, id).await.password_hash;
        let hashing = PasswordHashing::start(Settings::default(), &OsRandom).unwrap();
        let from = homeroom::domain::network::Network::of(None);
        assert!(hashing.verify(from, Some(hash), card.password.password()).await.unwrap());
    }

    async fn link_of_a_card_has_the_join_code_of_an_active_class(kind: Kind) {
        let school = School::start(kind).await;
        add(&school.db, OWN_CLASS, student("linh@s.example")).await;
        let code = school.generate_join_code(&school.token(crate::support::TEACHER).await).await;
        let cards = service(&school);
        let link = async || {
            let classes = vec![class_of(&school.db, OWN_CLASS).await];
            let prepared = cards.prepare(classes, &Choice::default(), school.clock.now(), |_, _| ()).await.unwrap();
            prepared[0].cards().next().unwrap().link
        };
        assert_eq!(link().await, format!("{PAGE}?code={}", code.expose()));
        let row = class::ActiveModel { id: Set(OWN_CLASS), is_active: Set(false), ..Default::default() };
        row.update(school.db.writer()).await.unwrap();
        assert_eq!(link().await, PAGE);
    }

    async fn class_with_a_student_who_changed_meanwhile_keeps_all_passwords(kind: Kind) {
        let school = School::start(kind).await;
        let (db, now) = (&school.db, school.clock.now());
        let first = add(db, OWN_CLASS, student("a@s.example")).await;
        let second = add(db, OWN_CLASS, student("b@s.example")).await;
        let cards = service(&school);
        let classes = vec![class_of(db, OWN_CLASS).await];
        let prepared = cards.prepare(classes, &Choice::default(), now, |_, _| ()).await.unwrap();
        let changed = account(db, second).await;
        let password = Change::Password(changed.password_hash.clone());
        Accounts::new(db.clone()).change(&changed, vec![password], now, &OsRandom).await.unwrap();
        let before = events(db).await;
        let refused = cards.commit(&prepared[0], now).await;
        assert!(matches!(refused, Err(CommitError::Changed)), "{refused:?}");
        assert_eq!(account(db, first).await.password_version, 0);
        assert_eq!(events(db).await, before);
    }
}
