//! Writes the teachers, students and classes of the database as files.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, BufWriter},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sea_orm::DbErr;

use super::model::Format;
use crate::{
    csv_table::Writer,
    db::Db,
    domain::{id::UserId, person::PersonName, sourced_id::SourcedId},
    entity::{class, enrollment::Status, roster_row, user},
};

/// The ids of the rows that stand for what Homeroom does not have.
const ORG: &str = "homeroom-school";
const SESSION: &str = "homeroom-session";
const COURSE: &str = "homeroom-course";

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The directory has files.
    #[error("the directory is not empty")]
    NotEmpty,
    /// A file cannot be written.
    #[error("a file cannot be written")]
    Io(#[from] io::Error),
    /// The database cannot be read.
    #[error("the database cannot be read")]
    Database(#[from] DbErr),
}

/// The rows of an export.
struct Rows {
    users: BTreeMap<UserId, user::Model>,
    teachers: BTreeSet<UserId>,
    classes: Vec<class::Model>,
    /// Class, student, and the id of the enrollment, of active enrollments.
    enrollments: Vec<(usize, UserId, String)>,
}

/// Exports the active classes with their owners and active students, and all accounts that the school made. Returns the number of users,
/// classes and enrollments. The directory is new or empty.
pub async fn export(
    db: &Db,
    directory: &Path,
    format: Format,
    org_name: &str,
) -> Result<[usize; 3], ExportError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    if fs::read_dir(directory)?.next().is_some() {
        return Err(ExportError::NotEmpty);
    }
    let rows = read(db).await?;
    let files = Files { directory: directory.to_owned(), format };
    files.write(&rows, org_name)?;
    Ok([rows.users.len(), rows.classes.len(), rows.enrollments.len()])
}

async fn read(db: &Db) -> Result<Rows, DbErr> {
    let db = db.read();
    let classes = roster_row::active_classes(db).await?;
    let places: HashMap<_, _> = classes.iter().enumerate().map(|(place, class)| (class.id, place)).collect();
    let enrollments = roster_row::enrollments_of_classes(db, classes.iter().map(|class| class.id)).await?;
    let enrollments: Vec<(usize, UserId, String)> = enrollments
        .into_iter()
        .filter(|row| row.status == Status::Active)
        .filter_map(|row| {
            let own_id = row.sourced_id.map_or_else(|| row.id.to_string(), |id| id.as_str().to_owned());
            Some((*places.get(&row.class_id)?, row.student_id, own_id))
        })
        .collect();
    let teachers: BTreeSet<UserId> = classes.iter().map(|class| class.owner_id).collect();
    let wanted: BTreeSet<UserId> =
        teachers.iter().copied().chain(enrollments.iter().map(|(_, student, _)| *student)).collect();
    let mut users: BTreeMap<UserId, user::Model> =
        roster_row::school_accounts(db).await?.into_iter().map(|user| (user.id, user)).collect();
    let others = wanted.into_iter().filter(|id| !users.contains_key(id)).collect::<Vec<_>>();
    users.extend(roster_row::users_with_ids(db, others).await?.into_iter().map(|user| (user.id, user)));
    // A disabled account is one that left the school.
    users.retain(|_, user| user.enabled);
    let enrollments = enrollments.into_iter().filter(|(_, student, _)| users.contains_key(student)).collect();
    Ok(Rows { users, teachers, classes, enrollments })
}

struct Files {
    directory: PathBuf,
    format: Format,
}

/// Every file of OneRoster 1.2, in the order of its manifest.
const ALL_FILES: [&str; 20] = [
    "academicSessions",
    "categories",
    "classes",
    "classResources",
    "courses",
    "courseResources",
    "demographics",
    "enrollments",
    "lineItemLearningObjectiveIds",
    "lineItems",
    "lineItemScoreScales",
    "orgs",
    "resources",
    "resultLearningObjectiveIds",
    "results",
    "resultScoreScales",
    "roles",
    "scoreScales",
    "userProfiles",
    "userResources",
];

impl Files {
    /// Creates a file with these columns. Its rows are given as pairs of column and cell, and all other cells are empty.
    fn table<'r>(
        &self,
        name: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<(&'r str, String)>>,
    ) -> io::Result<()> {
        let path = self.directory.join(name);
        let file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut out = Writer::new(BufWriter::new(file));
        out.row(columns.iter().copied())?;
        for row in rows {
            let cell = |column: &&str| {
                row.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.as_str()).unwrap_or_default()
            };
            out.row(columns.iter().map(cell))?;
        }
        out.finish()
    }

    fn write(&self, rows: &Rows, org_name: &str) -> io::Result<()> {
        let columns = match self.format {
            Format::OneRoster => &ONE_ROSTER,
            Format::Sds => &SDS,
        };
        let id = |user: &user::Model| own_id(user.sourced_id.as_ref(), &user.id);
        let role = |user: &user::Model| if rows.teachers.contains(&user.id) { "teacher" } else { "student" };
        if self.format == Format::OneRoster {
            self.manifest()?;
            let session = vec![
                ("sourcedId", SESSION.to_owned()),
                ("title", "Homeroom".to_owned()),
                ("type", "schoolYear".to_owned()),
                ("startDate", "2000-01-01".to_owned()),
                ("endDate", "2099-12-31".to_owned()),
                ("schoolYear", "2099".to_owned()),
            ];
            self.table("academicSessions.csv", ACADEMIC_SESSIONS, std::iter::once(session))?;
            let course = vec![
                ("sourcedId", COURSE.to_owned()),
                ("title", "Homeroom".to_owned()),
                ("orgSourcedId", ORG.to_owned()),
            ];
            self.table("courses.csv", COURSES, std::iter::once(course))?;
        }
        let org =
            vec![("sourcedId", ORG.to_owned()), ("name", org_name.to_owned()), ("type", "school".to_owned())];
        self.table("orgs.csv", columns.orgs, std::iter::once(org))?;
        let users = rows.users.values().map(|user| {
            let name = |name: &Option<PersonName>| {
                name.as_ref().map(PersonName::as_str).unwrap_or_default().to_owned()
            };
            let address = user.email.as_str().to_owned();
            vec![
                ("sourcedId", id(user)),
                ("enabledUser", "true".to_owned()),
                ("username", address.clone()),
                ("givenName", name(&user.first_name)),
                ("familyName", name(&user.last_name)),
                // The address of a school account is no mailbox.
                ("email", if user.school_account { String::new() } else { address }),
                ("primaryOrgSourcedId", ORG.to_owned()),
            ]
        });
        self.table("users.csv", columns.users, users)?;
        let roles = rows.users.values().map(|user| {
            vec![
                ("sourcedId", format!("{}/role", id(user))),
                ("userSourcedId", id(user)),
                ("roleType", "primary".to_owned()),
                ("role", role(user).to_owned()),
                ("orgSourcedId", ORG.to_owned()),
            ]
        });
        self.table("roles.csv", columns.roles, roles)?;
        let class_id = |class: &class::Model| own_id(class.sourced_id.as_ref(), &class.id);
        let classes = rows.classes.iter().map(|class| {
            let is_one_roster = self.format == Format::OneRoster;
            let course = if is_one_roster { COURSE.to_owned() } else { String::new() };
            vec![
                ("sourcedId", class_id(class)),
                ("title", class.name.as_str().to_owned()),
                ("courseSourcedId", course),
                ("classType", "homeroom".to_owned()),
                ("schoolSourcedId", ORG.to_owned()),
                ("termSourcedIds", SESSION.to_owned()),
                ("orgSourcedId", ORG.to_owned()),
            ]
        });
        self.table("classes.csv", columns.classes, classes)?;
        let enrollment = |own_id: String, class: &class::Model, user: &user::Model, role: &str| {
            vec![
                ("sourcedId", own_id),
                ("classSourcedId", class_id(class)),
                ("schoolSourcedId", ORG.to_owned()),
                ("userSourcedId", id(user)),
                ("role", role.to_owned()),
                ("primary", if role == "teacher" { "true" } else { "false" }.to_owned()),
            ]
        };
        let owners = rows.classes.iter().filter_map(|class| {
            let owner = rows.users.get(&class.owner_id)?;
            Some(enrollment(format!("{}/owner", class_id(class)), class, owner, "teacher"))
        });
        let students = rows.enrollments.iter().filter_map(|(class, student, own_id)| {
            let (class, student) = (rows.classes.get(*class)?, rows.users.get(student)?);
            Some(enrollment(own_id.clone(), class, student, "student"))
        });
        self.table("enrollments.csv", columns.enrollments, owners.chain(students))
    }

    fn manifest(&self) -> io::Result<()> {
        let bulk = ["academicSessions", "classes", "courses", "enrollments", "orgs", "roles"];
        let mut lines: Vec<(String, &str)> =
            vec![("manifest.version".to_owned(), "1.0"), ("oneroster.version".to_owned(), "1.2")];
        for file in ALL_FILES {
            let mode = if bulk.contains(&file) { "bulk" } else { "absent" };
            lines.push((format!("file.{file}"), mode));
        }
        lines.push(("file.users".to_owned(), "bulk"));
        lines.push(("source.systemName".to_owned(), "Homeroom"));
        let rows =
            lines.into_iter().map(|(name, value)| vec![("propertyName", name), ("value", value.to_owned())]);
        self.table("manifest.csv", &["propertyName", "value"], rows)
    }
}

/// The id of a row in the school's system, or else its id here.
fn own_id(sourced_id: Option<&SourcedId>, id: &impl ToString) -> String {
    sourced_id.map_or_else(|| id.to_string(), |id| id.as_str().to_owned())
}

/// The columns of the files of a format.
struct Columns {
    orgs: &'static [&'static str],
    users: &'static [&'static str],
    roles: &'static [&'static str],
    classes: &'static [&'static str],
    enrollments: &'static [&'static str],
}

#[rustfmt::skip]
const ACADEMIC_SESSIONS: &[&str] = &[
    "sourcedId", "status", "dateLastModified", "title", "type", "startDate", "endDate", "parentSourcedId", "schoolYear",
];
#[rustfmt::skip]
const COURSES: &[&str] = &[
    "sourcedId", "status", "dateLastModified", "schoolYearSourcedId", "title", "courseCode", "grades", "orgSourcedId", "subjects",
    "subjectCodes",
];
#[rustfmt::skip]
const ONE_ROSTER: Columns = Columns {
    orgs: &["sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId"],
    users: &[
        "sourcedId", "status", "dateLastModified", "enabledUser", "username", "userIds", "givenName", "familyName", "middleName",
        "identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password", "userMasterIdentifier",
        "resourceSourcedIds", "preferredGivenName", "preferredMiddleName", "preferredFamilyName", "primaryOrgSourcedId", "pronouns",
    ],
    roles: &[
        "sourcedId", "status", "dateLastModified", "userSourcedId", "roleType", "role", "beginDate", "endDate", "orgSourcedId",
        "userProfileSourcedId",
    ],
    classes: &[
        "sourcedId", "status", "dateLastModified", "title", "grades", "courseSourcedId", "classCode", "classType", "location",
        "schoolSourcedId", "termSourcedIds", "subjects", "subjectCodes", "periods",
    ],
    enrollments: &[
        "sourcedId", "status", "dateLastModified", "classSourcedId", "schoolSourcedId", "userSourcedId", "role", "primary",
        "beginDate", "endDate",
    ],
};
#[rustfmt::skip]
const SDS: Columns = Columns {
    orgs: &["sourcedId", "name", "type", "parentSourcedId"],
    users: &["sourcedId", "username", "givenName", "familyName", "password", "activeDirectoryMatchId", "email", "phone", "sms"],
    roles: &["userSourcedId", "orgSourcedId", "role"],
    classes: &["sourcedId", "orgSourcedId", "title", "sessionSourcedIds", "courseSourcedId"],
    enrollments: &["classSourcedId", "userSourcedId", "role"],
};
