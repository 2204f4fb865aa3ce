//! `homeroom roster import` and `homeroom roster export`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use homeroom::{
    clock::{Clock, SystemClock},
    db::Db,
    domain::{max_students::MaxStudents, sourced_id::SourcedId},
    entity::{
        audit_event, class,
        enrollment::{self, Origin, Status},
        user::{self, PasswordState},
    },
    random::OsRandom,
    school::roster::{
        self,
        apply::{Reason, Unchanged, apply},
        existing::Existing,
        plan::Settings,
    },
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Kind, both,
    process::{Ended, Site},
};

/// Files of a roster, which a test changes.
pub struct Files {
    directory: TempDir,
    texts: BTreeMap<&'static str, String>,
}

impl Files {
    /// Two classes of two teachers with three students in OneRoster.
    pub fn one_roster() -> Self {
        let texts = [
            ("manifest.csv", "propertyName,value\noneroster.version,1.2\nfile.users,bulk\n"),
            ("orgs.csv", "sourcedId,name,type\no1,School,school\n"),
            (
                "users.csv",
                "sourcedId,status,enabledUser,username,givenName,familyName,email\n\
                 p1,,true,linh,Linh,Nguyễn,\np2,,true,max.gross@students.example,Max,Groß,\n\
                 p3,,true,,Иван,Петров,\nt1,,true,kern,Eva,Kern,eva@school.example\n\
                 t2,,true,voss,Ole,Voß,ole@school.example\n",
            ),
            ("classes.csv", "sourcedId,status,title,schoolSourcedId\nc1,,10A1,o1\nc2,,10A2,o1\n"),
            (
                "enrollments.csv",
                "sourcedId,classSourcedId,userSourcedId,role,primary\n\
                 e1,c1,p1,student,false\ne2,c1,p2,student,false\ne3,c2,p1,student,false\n\
                 e4,c2,p3,student,false\ne5,c1,t1,teacher,true\ne6,c2,t2,teacher,true\n",
            ),
        ];
        Self::of(texts.map(|(name, text)| (name, text.to_owned())))
    }

    /// The same in SDS.
    pub fn sds() -> Self {
        let texts = [
            ("orgs.csv", "sourcedId,name,type\no1,School,school\n"),
            (
                "users.csv",
                "sourcedId,username,givenName,familyName,password,email\n\
                 p1,linh,Linh,Nguyễn,never-read,\np2,max,Max,Groß,,\np3,ivan,Иван,Петров,,\n\
                 t1,kern,Eva,Kern,,eva@school.example\nt2,voss,Ole,Voß,,ole@school.example\n",
            ),
            ("classes.csv", "sourcedId,orgSourcedId,title\nc1,o1,10A1\nc2,o1,10A2\n"),
            (
                "enrollments.csv",
                "classSourcedId,userSourcedId,role\nc1,p1,student\nc1,p2,student\nc2,p1,student\n\
                 c2,p3,student\nc1,t1,teacher\nc2,t2,teacher\n",
            ),
        ];
        Self::of(texts.map(|(name, text)| (name, text.to_owned())))
    }

    /// Classes of three students each, all of one teacher.
    pub fn large(classes: usize) -> Self {
        let mut users =
            "sourcedId,username,givenName,familyName,email\nt,t,Eva,Kern,eva@school.example\n".to_owned();
        let (mut groups, mut enrollments) =
            ("sourcedId,title\n".to_owned(), "classSourcedId,userSourcedId,role\n".to_owned());
        for class in 0..classes {
            writeln!(groups, "c{class:04},Class {class}\n").unwrap();
            writeln!(enrollments, "c{class:04},t,teacher").unwrap();
            for pupil in 0..3 {
                writeln!(users, "p{class:04}-{pupil},,Linh,Nguyễn {pupil},").unwrap();
                writeln!(enrollments, "c{class:04},p{class:04}-{pupil},student").unwrap();
            }
        }
        Self::of([("users.csv", users), ("classes.csv", groups), ("enrollments.csv", enrollments)])
    }

    fn of<const N: usize>(texts: [(&'static str, String); N]) -> Self {
        let files = Self { directory: TempDir::new().unwrap(), texts: texts.into() };
        files.write();
        files
    }

    fn write(&self) {
        for (name, text) in &self.texts {
            fs::write(self.directory.path().join(name), text).unwrap();
        }
    }

    /// Replaces a text in a file.
    pub fn replace(&mut self, name: &'static str, old: &str, new: &str) {
        let text = self.texts.get_mut(name).unwrap();
        assert!(text.contains(old), "{text}");
        *text = text.replace(old, new);
        self.write();
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

pub async fn site(kind: Kind) -> Site {
    Site::new(kind).await.with("HOMEROOM_STUDENT_DOMAIN", "students.example")
}

/// Runs an import, and returns the totals of a successful one.
pub async fn import(site: &Site, directory: &Path, flags: &[&str]) -> Ended {
    let arguments = [&["roster", "import", "--json", directory.to_str().unwrap()], flags].concat();
    site.run(&arguments).await
}

/// The totals in the output: for each table new, linked, changed, ended, unchanged.
pub fn totals(out: &str) -> [[u64; 5]; 3] {
    let totals: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    ["user", "class", "enrollment"].map(|kind| {
        ["new", "linked", "changed", "ended", "unchanged"]
            .map(|change| totals["totals"][kind][change].as_u64().unwrap())
    })
}

pub async fn database(site: &Site) -> Db {
    Db::connect_with(&site.location, 1).await.unwrap()
}

/// What a test compares: classes with owners, and students with their state.
pub async fn outline(site: &Site) -> Vec<String> {
    let db = database(site).await;
    let users: BTreeMap<_, _> =
        user::Entity::find().all(db.read()).await.unwrap().into_iter().map(|user| (user.id, user)).collect();
    let mut lines = Vec::new();
    for user in users.values() {
        let name = |name: &Option<homeroom::domain::person::PersonName>| {
            name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default()
        };
        let state = if user.enabled { "enabled" } else { "disabled" };
        let (first, last) = (name(&user.first_name), name(&user.last_name));
        lines.push(format!("{} {first} {last} {:?} {state}", user.email.as_str(), user.password_state));
    }
    let classes: BTreeMap<_, _> = class::Entity::find()
        .all(db.read())
        .await
        .unwrap()
        .into_iter()
        .map(|class| (class.id, class))
        .collect();
    for class in classes.values() {
        let owner = users[&class.owner_id].email.as_str();
        lines.push(format!("{} of {owner} {}", class.name.as_str(), class.is_active));
    }
    for row in enrollment::Entity::find().all(db.read()).await.unwrap() {
        let (class, student) = (&classes[&row.class_id], &users[&row.student_id]);
        let (class, student) = (class.name.as_str(), student.email.as_str());
        lines.push(format!("{student} in {class} {:?} {:?}", row.status, row.origin));
    }
    db.close().await.unwrap();
    lines.sort();
    lines
}

/// What the sound files give.
fn imported(max: &str, ivan: &str) -> Vec<String> {
    let mut lines = vec![
        "10A1 of eva@school.example true".to_owned(),
        "10A2 of ole@school.example true".to_owned(),
        "eva@school.example Eva Kern Own enabled".to_owned(),
        "linh@students.example Linh Nguyễn None enabled".to_owned(),
        "linh@students.example in 10A1 Active Roster".to_owned(),
        "linh@students.example in 10A2 Active Roster".to_owned(),
        format!("{max}@students.example Max Groß None enabled"),
        format!("{max}@students.example in 10A1 Active Roster"),
        format!("{ivan}@students.example Иван Петров None enabled"),
        format!("{ivan}@students.example in 10A2 Active Roster"),
        "ole@school.example Ole Voß Own enabled".to_owned(),
    ];
    lines.sort();
    lines
}

both! {
    async fn import_new_files_makes_everything_and_a_second_run_changes_nothing(kind: Kind) {
        for (files, max, ivan) in
            [(Files::one_roster(), "max.gross", "ivan.petrov"), (Files::sds(), "max", "ivan")]
        {
            let site = site(kind).await;
            let migrated = site.run(&["migrate"]).await;
            migrated.success();
            let first = import(&site, files.path(), &[]).await.success();
            assert_eq!(totals(&first), [[5, 0, 0, 0, 0], [2, 0, 0, 0, 0], [4, 0, 0, 0, 0]]);
            assert_eq!(outline(&site).await, imported(max, ivan));
            let db = database(&site).await;
            let before = audit_event::Entity::find().all(db.read()).await.unwrap();
            for event in &before {
                assert_eq!(event.actor, audit_event::Actor::Operator);
            }
            assert_eq!(before.len(), 6);
            let second = import(&site, files.path(), &[]).await.success();
            assert_eq!(totals(&second), [[0, 0, 0, 0, 5], [0, 0, 0, 0, 2], [0, 0, 0, 0, 4]]);
            assert_eq!(second.lines().count(), 1);
            assert_eq!(audit_event::Entity::find().all(db.read()).await.unwrap(), before);
            let teacher = user::Entity::find().all(db.read()).await.unwrap();
            let teacher = teacher.into_iter().find(|user| user.email.as_str() == "eva@school.example").unwrap();
            assert!(!teacher.school_account && teacher.email_verified_at.is_none());
            db.close().await.unwrap();
        }
    }

    async fn import_dry_run_prints_and_changes_nothing(kind: Kind) {
        let (site, files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        let planned = import(&site, files.path(), &["--dry-run"]).await.success();
        assert_eq!(totals(&planned), [[5, 0, 0, 0, 0], [2, 0, 0, 0, 0], [4, 0, 0, 0, 0]]);
        assert!(outline(&site).await.is_empty());
        let table = site.run(&["roster", "import", files.path().to_str().unwrap()]).await.success();
        let expected = "                  new   linked  changed    ended  unchanged\n\
                        users               5        0        0        0          0\n\
                        classes             2        0        0        0          0\n\
                        enrollments         4        0        0        0          0\n";
        assert_eq!(table, expected);
    }

    async fn import_faulty_files_writes_nothing_and_names_all_faults(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        files.replace("users.csv", "Linh", "=1+1");
        files.replace("classes.csv", "10A2", "");
        files.replace("enrollments.csv", "c1,p2", "c1,p9");
        let ended = import(&site, files.path(), &[]).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        let expected = "users.csv, line 2, column 5 (givenName): must not begin with =, +, -, @, a tab or a line break\n\
                        classes.csv, line 3, column 3 (title): must have 1 to 50 characters, not only blanks, and no control character\n\
                        enrollments.csv, line 3, column 3 (userSourcedId): is not an id of the other file\n\
                        error: the files have faults; nothing was changed\n";
        assert_eq!((ended.err.as_str(), ended.out.as_str()), (expected, ""));
        assert!(outline(&site).await.is_empty());
    }

    async fn import_contradictions_with_the_database_are_faults(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        files.replace("users.csv", "ole@school.example", "");
        files.replace("users.csv", "eva@school.example", "eva@students.example");
        let ended = import(&site, files.path(), &[]).await;
        let expected = "users.csv, line 5: a teacher has no address in the student domain\n\
                        users.csv, line 6: a teacher needs an e-mail address\n\
                        error: the files have faults; nothing was changed\n";
        assert_eq!((ended.status.code(), ended.err.as_str()), (Some(2), expected));
        let mut files = Files::one_roster();
        files.replace("enrollments.csv", "e6,c2,t2,teacher,true\n", "");
        let ended = import(&site, files.path(), &[]).await;
        assert!(ended.err.contains("classes.csv, line 3: has no teacher; name an owner with --owner"), "{ended:?}");
        site.add_user("head@school.example", "VeryStrongPass123!").await.success();
        import(&site, files.path(), &["--owner", "head@school.example"]).await.success();
        assert!(outline(&site).await.contains(&"10A2 of head@school.example true".to_owned()));
        // The class has an owner now.
        import(&site, files.path(), &[]).await.success();
        let without = Site::new(kind).await;
        without.run(&["migrate"]).await.success();
        let ended = import(&without, Files::one_roster().path(), &[]).await;
        assert!(ended.refusal().contains("--student-domain"));
    }

    async fn import_rows_that_left_end_and_come_back(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let all = outline(&site).await;
        files.replace("users.csv", "p3,,true,", "p3,,false,");
        files.replace("users.csv", "Max,Groß", "Moritz,Groß");
        files.replace("enrollments.csv", "e3,c2,p1,student,false\n", "");
        files.replace("enrollments.csv", "e6,c2,t2", "e6,c2,t1");
        let changed = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&changed), [[0, 0, 1, 1, 2], [0, 0, 1, 0, 1], [0, 0, 0, 2, 2]]);
        let mut expected = all.clone();
        for (old, new) in [
            ("10A2 of ole@school.example true", "10A2 of eva@school.example true"),
            ("linh@students.example in 10A2 Active Roster", "linh@students.example in 10A2 Dropped JoinCode"),
            ("max.gross@students.example Max Groß None enabled", "max.gross@students.example Moritz Groß None enabled"),
            ("ivan.petrov@students.example Иван Петров None enabled", "ivan.petrov@students.example Иван Петров None disabled"),
            ("ivan.petrov@students.example in 10A2 Active Roster", "ivan.petrov@students.example in 10A2 Dropped JoinCode"),
        ] {
            new.clone_into(expected.iter_mut().find(|line| *line == old).unwrap());
        }
        expected.sort();
        assert_eq!(outline(&site).await, expected);
        let again = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&again), [[0, 0, 0, 0, 3], [0, 0, 0, 0, 2], [0, 0, 0, 0, 2]]);
        let back = import(&site, Files::one_roster().path(), &[]).await.success();
        assert_eq!(totals(&back), [[0, 0, 2, 0, 3], [0, 0, 1, 0, 1], [0, 0, 2, 0, 2]]);
        assert_eq!(outline(&site).await, all);
    }

    async fn import_class_that_its_owner_closed_stays_closed(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let db = database(&site).await;
        let class = class::Entity::find().all(db.read()).await.unwrap().remove(0);
        db.close().await.unwrap();
        let set = ["class", "set", "--id", &class.id.to_string(), "--active", "false"];
        site.run(&set).await.success();
        let closed = format!("{} of eva@school.example false", class.name.as_str());
        let again = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&again), [[0, 0, 0, 0, 5], [0, 0, 0, 0, 2], [0, 0, 0, 0, 4]]);
        assert!(outline(&site).await.contains(&closed));
        // The import ends the class, and the operator confirms it.
        site.run(&[&set[..4], &["--active", "true"]].concat()).await.success();
        files.replace("classes.csv", "c1,,", "c1,tobedeleted,");
        import(&site, files.path(), &[]).await.success();
        site.run(&set).await.success();
        import(&site, Files::one_roster().path(), &[]).await.success();
        assert!(outline(&site).await.contains(&closed));
    }

    async fn import_class_deleted_meanwhile_is_left_out(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        files.replace("classes.csv", "10A1", "10B1");
        files.replace("classes.csv", "10A2", "10B2");
        let db = database(&site).await;
        let roster = roster::files::read(files.path()).unwrap();
        let existing = Existing::read(&db, &roster, None).await.unwrap();
        let settings = Settings {
            domain: None,
            owner: None,
            max_ended: 100,
            now: SystemClock.now(),
            random: &OsRandom,
            unusable: &|| unreachable!("there is no new account"),
        };
        let plan = roster::plan::plan(&roster, &existing, &settings).unwrap();
        let first = class::Entity::find().all(db.read()).await.unwrap();
        let first = first.into_iter().find(|class| class.name.as_str() == "10A1").unwrap();
        class::Entity::delete_by_id(first.id).exec(db.writer()).await.unwrap();
        let unchanged = apply(&db, plan, SystemClock.now(), Arc::new(OsRandom), |_, _| {}).await.unwrap();
        let c1 = SourcedId::parse("c1").unwrap();
        assert_eq!(unchanged, [Unchanged { sourced_id: c1, reason: Reason::Deleted }]);
        let left: Vec<_> = class::Entity::find().all(db.read()).await.unwrap();
        assert_eq!(left.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["10B2"]);
        db.close().await.unwrap();
    }

    async fn import_new_teacher_of_a_class_is_recorded(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        files.replace("enrollments.csv", "e6,c2,t2", "e6,c2,t1");
        import(&site, files.path(), &[]).await.success();
        let db = database(&site).await;
        let class = class::Entity::find().all(db.read()).await.unwrap();
        let class = class.into_iter().find(|class| class.name.as_str() == "10A2").unwrap();
        let events = audit_event::Entity::find().all(db.read()).await.unwrap();
        let events = events.iter().filter(|event| event.action == audit_event::Action::ClassOwnerChange);
        let events: Vec<_> = events.map(|event| (event.class_id, event.user_id, event.actor)).collect();
        assert_eq!(events, [(Some(class.id), Some(class.owner_id), audit_event::Actor::Operator)]);
        db.close().await.unwrap();
    }

    async fn import_class_that_left_becomes_inactive_and_comes_back(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let all = outline(&site).await;
        files.replace("classes.csv", "c2,,", "c2,tobedeleted,");
        let left = import(&site, files.path(), &[]).await.success();
        // The student without a class is still in the files, so that the account stays enabled.
        assert_eq!(totals(&left), [[0, 0, 0, 0, 3], [0, 0, 0, 1, 1], [0, 0, 0, 2, 2]]);
        let found = outline(&site).await;
        assert!(found.contains(&"10A2 of ole@school.example false".to_owned()), "{found:#?}");
        import(&site, Files::one_roster().path(), &[]).await.success();
        assert_eq!(outline(&site).await, all);
    }

    async fn import_that_would_end_many_rows_is_refused(kind: Kind) {
        let (site, files) = (site(kind).await, Files::large(5));
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let fewer = Files::large(1);
        let refused = import(&site, fewer.path(), &[]).await.refusal();
        assert_eq!(
            refused,
            "error: 12 of 15 user rows are not in the files and would end; 12 of 15 enrollment rows are not in \
             the files and would end; if that is right, allow it with --max-ended 100\n"
        );
        let done = import(&site, fewer.path(), &["--max-ended", "100"]).await.success();
        assert_eq!(totals(&done), [[0, 0, 0, 12, 4], [0, 0, 0, 4, 1], [0, 0, 0, 12, 3]]);
    }

    async fn import_full_class_is_not_changed(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let db = database(&site).await;
        let classes = class::Entity::find().all(db.read()).await.unwrap();
        let class = classes.into_iter().find(|class| class.name.as_str() == "10A1").unwrap();
        let mut row = class.into_active_model();
        row.max_students = Set(Some(MaxStudents::new(2).unwrap()));
        row.update(db.writer()).await.unwrap();
        db.close().await.unwrap();
        files.replace("enrollments.csv", "e5,", "e7,c1,p3,student,false\ne5,");
        files.replace("users.csv", "Eva,Kern", "Eva,Korn");
        files.replace("enrollments.csv", "e3,c2,p1,student,false\n", "");
        let ended = import(&site, files.path(), &[]).await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.err.contains("class c1: not changed, because it would have 3 students and may have 2"), "{ended:?}");
        let found = outline(&site).await;
        assert!(!found.contains(&"ivan.petrov@students.example in 10A1 Active Roster".to_owned()), "{found:#?}");
        // The other class was changed.
        assert!(found.contains(&"linh@students.example in 10A2 Dropped JoinCode".to_owned()), "{found:#?}");
    }

    async fn import_counts_the_seats_that_are_taken_when_it_applies(kind: Kind) {
        let (site, sound) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, sound.path(), &[]).await.success();
        let db = database(&site).await;
        let classes = class::Entity::update_many().set(class::ActiveModel {
            max_students: Set(Some(MaxStudents::new(1).unwrap())),
            ..Default::default()
        });
        classes.exec(db.writer()).await.unwrap();
        let max = user::Entity::find().all(db.read()).await.unwrap();
        let max = max.into_iter().find(|user| user.email.as_str() == "max.gross@students.example").unwrap();
        let pending = enrollment::ActiveModel { status: Set(Status::Pending), ..Default::default() };
        let pending = enrollment::Entity::update_many().set(pending);
        pending.filter(enrollment::Column::StudentId.eq(max.id)).exec(db.writer()).await.unwrap();
        db.close().await.unwrap();
        // Of the two students of 10A1 one is pending and has no seat. He leaves, or his row moves to another class.
        for gone in ["", "e2,c2,p2,student,false\n"] {
            let mut files = Files::one_roster();
            files.replace("enrollments.csv", "e2,c1,p2,student,false\n", gone);
            files.replace("enrollments.csv", "e5,", "e7,c1,p3,student,false\ne5,");
            let ended = import(&site, files.path(), &[]).await;
            assert_eq!(ended.status.code(), Some(1), "{ended:?}");
            let full = "class c1: not changed, because it would have 2 students and may have 1";
            assert!(ended.err.contains(full), "{ended:?}");
        }
    }

    async fn import_links_accounts_and_keeps_their_properties(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        for email in ["eva@school.example", "max@home.example"] {
            site.add_user(email, "VeryStrongPass123!").await.success();
        }
        files.replace("users.csv", "Max,Groß,", "Max,Groß,max@home.example");
        let linked = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&linked), [[3, 2, 0, 0, 0], [2, 0, 0, 0, 0], [4, 0, 0, 0, 0]]);
        let found = outline(&site).await;
        for line in ["eva@school.example   Own enabled", "max@home.example   Own enabled", "max@home.example in 10A1 Active Roster"] {
            assert!(found.contains(&line.to_owned()), "{found:#?}");
        }
        let again = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&again), [[0, 0, 0, 0, 5], [0, 0, 0, 0, 2], [0, 0, 0, 0, 4]]);
    }

    async fn import_account_that_an_operator_disabled_stays_disabled(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let set = async |email: &str, enabled: &str| {
            site.run(&["user", "set", "--email", email, "--enabled", enabled]).await.success();
        };
        // In use, and in no class afterwards.
        set("linh@students.example", "false").await;
        files.replace("enrollments.csv", "e1,c1,p1,student,false\n", "");
        files.replace("enrollments.csv", "e3,c2,p1,student,false\n", "");
        // The import disables one more, and the operator confirms it.
        files.replace("users.csv", "p2,,true,", "p2,,false,");
        import(&site, files.path(), &[]).await.success();
        set("max.gross@students.example", "false").await;
        let back = import(&site, Files::one_roster().path(), &[]).await.success();
        assert_eq!(totals(&back), [[0, 0, 0, 0, 5], [0, 0, 0, 0, 2], [0, 0, 3, 0, 1]]);
        let found = outline(&site).await;
        for line in ["linh@students.example Linh Nguyễn None disabled", "max.gross@students.example Max Groß None disabled"] {
            assert!(found.contains(&line.to_owned()), "{found:#?}");
        }
    }

    async fn import_enrollment_made_by_a_code_becomes_one_of_the_roster(kind: Kind) {
        let (site, files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let all = outline(&site).await;
        let db = database(&site).await;
        let rows = enrollment::Entity::find().all(db.read()).await.unwrap();
        for (row, status) in rows.into_iter().zip([Status::Active, Status::Pending, Status::Graduated, Status::Dropped]) {
            let mut row = row.into_active_model();
            row.origin = Set(Origin::JoinCode);
            row.sourced_id = Set(None);
            row.status = Set(status);
            row.update(db.writer()).await.unwrap();
        }
        db.close().await.unwrap();
        let linked = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&linked), [[0, 0, 0, 0, 5], [0, 0, 0, 0, 2], [0, 4, 0, 0, 0]]);
        assert_eq!(outline(&site).await, all);
    }

    async fn import_enrollment_ids_that_move_are_given_to_the_new_pairs(kind: Kind) {
        let (site, mut files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        files.replace("enrollments.csv", "e1,c1,p1", "e9,c1,p1");
        files.replace("enrollments.csv", "e3,c2,p1", "e1,c2,p1");
        files.replace("enrollments.csv", "e2,c1,p2", "e3,c1,p2");
        let moved = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&moved), [[0, 0, 0, 0, 5], [0, 0, 0, 0, 2], [0, 0, 3, 0, 1]]);
        assert_eq!(outline(&site).await, imported("max.gross", "ivan.petrov"));
        let again = import(&site, files.path(), &[]).await.success();
        assert_eq!(totals(&again), [[0, 0, 0, 0, 5], [0, 0, 0, 0, 2], [0, 0, 0, 0, 4]]);
    }

    async fn export_can_be_imported_again(kind: Kind) {
        let (old, mut files) = (site(kind).await, Files::one_roster());
        old.run(&["migrate"]).await.success();
        files.replace("classes.csv", "10A1", "'=10A1");
        import(&old, files.path(), &[]).await.success();
        // A class, a teacher and a student that no import made.
        for email in ["head@school.example", "guest@home.example"] {
            old.add_user(email, "VeryStrongPass123!").await.success();
        }
        let added = ["class", "add", "--owner", "head@school.example", "--name", "@Art"];
        old.run(&added).await.success();
        let db = database(&old).await;
        let now = SystemClock.now();
        let users = user::Entity::find().all(db.read()).await.unwrap();
        let guest = users.into_iter().find(|user| user.email.as_str() == "guest@home.example").unwrap();
        let art = class::Entity::find().all(db.read()).await.unwrap();
        let art = art.into_iter().find(|class| class.name.as_str() == "@Art").unwrap();
        let template = enrollment::Entity::find().one(db.read()).await.unwrap().unwrap();
        let row = enrollment::Model {
            id: homeroom::domain::id::EnrollmentId::new(now, &homeroom::random::OsRandom),
            class_id: art.id,
            student_id: guest.id,
            origin: Origin::JoinCode,
            sourced_id: None,
            ..template
        };
        enrollment::Entity::insert(row.into_active_model()).exec_without_returning(db.writer()).await.unwrap();
        db.close().await.unwrap();
        let before = outline(&old).await;
        for format in ["oneroster", "sds"] {
            let directory = TempDir::new().unwrap();
            let exported = directory.path().join("new");
            let path = exported.to_str().unwrap();
            let said = old.run(&["roster", "export", path, "--format", format]).await.success();
            assert_eq!(said, "7 users, 3 classes, 5 enrollments\n");
            check_files(&exported);
            let refused = old.run(&["roster", "export", path, "--format", format]).await.refusal();
            assert!(refused.contains("not empty"), "{refused}");
            // Into an empty database.
            let new = site(kind).await;
            new.run(&["migrate"]).await.success();
            let rebuilt = import(&new, &exported, &[]).await.success();
            assert_eq!(totals(&rebuilt), [[7, 0, 0, 0, 0], [3, 0, 0, 0, 0], [5, 0, 0, 0, 0]]);
            let found = outline(&new).await;
            let expected = before.iter().filter(|line| !line.contains("guest@") && !line.contains("head@school.example "));
            for line in expected {
                assert!(found.contains(line), "{line} {found:#?}");
            }
        }
        // Into the same database: only links.
        let directory = TempDir::new().unwrap();
        let exported = directory.path().join("new");
        old.run(&["roster", "export", exported.to_str().unwrap()]).await.success();
        let linked = import(&old, &exported, &[]).await.success();
        assert_eq!(totals(&linked), [[0, 2, 0, 0, 5], [0, 1, 0, 0, 2], [0, 1, 0, 0, 4]]);
        // The student who joined with a code counts as one still.
        assert!(before.contains(&"guest@home.example in @Art Active JoinCode".to_owned()), "{before:#?}");
        assert_eq!(outline(&old).await, before);
        let second = import(&old, &exported, &[]).await.success();
        assert_eq!(totals(&second), [[0, 0, 0, 0, 7], [0, 0, 0, 0, 3], [0, 0, 0, 0, 5]]);
    }

    async fn import_account_cannot_be_used_to_sign_in(kind: Kind) {
        let (site, files) = (site(kind).await, Files::one_roster());
        site.run(&["migrate"]).await.success();
        import(&site, files.path(), &[]).await.success();
        let db = database(&site).await;
        for user in user::Entity::find().all(db.read()).await.unwrap() {
            assert!(user.password_hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
            assert_eq!(user.school_account, user.password_state == PasswordState::None);
        }
        db.close().await.unwrap();
    }
}

/// Checks the permissions, that no cell is a formula, and that no file has a password.
fn check_files(directory: &PathBuf) {
    assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("argon2"), "{text}");
        for cell in text.split([',', '\n', '\r']).filter(|cell| !cell.is_empty()) {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t']), "{cell}");
        }
    }
    let classes = fs::read_to_string(directory.join("classes.csv")).unwrap();
    assert!(classes.contains(",'=10A1,") && classes.contains(",'@Art,"), "{classes}");
}
