//! Reads the files of a roster, and finds all faults of all files.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
};

use super::{
    model::{Format, Group, Person, Role, Roster},
    rows::Reader,
    tables::{
        self, CLASSES, ENROLLMENTS, File, ID, Ids, MANIFEST, Presence, ROLES, SDS_ENROLLMENTS, STATUS, USERS,
    },
};
use crate::{
    csv_table::{Column, Fault, Faults},
    domain::{class_name::ClassName, email::Email, person::PersonName, sourced_id::SourcedId},
};

/// The number of faults that are printed in full.
const FAULTS: usize = 1_000;

/// Why files cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("the files cannot be read")]
    Io(#[from] io::Error),
    /// The files have faults.
    #[error("the files have faults")]
    Faulty(Faults),
}

/// Reads the files of a directory. With `manifest.csv` they are OneRoster, otherwise SDS.
pub fn read(directory: &Path) -> Result<Roster, ReadError> {
    let mut reader = Reader { faults: Faults::with_full(FAULTS), roster: Roster::default() };
    reader.read(directory)?;
    if reader.faults.is_empty() { Ok(reader.roster) } else { Err(ReadError::Faulty(reader.faults)) }
}

/// The places of columns in `users.csv`.
mod user {
    pub(super) const ENABLED: usize = 2;
    pub(super) const USERNAME: usize = 3;
    pub(super) const GIVEN_NAME: usize = 4;
    pub(super) const FAMILY_NAME: usize = 5;
    pub(super) const EMAIL: usize = 6;
    pub(super) const ROLE: usize = 7;
}

/// The places of columns in `classes.csv`.
mod class {
    pub(super) const TITLE: usize = 2;
    pub(super) const COURSE: usize = 3;
    pub(super) const SCHOOL: usize = 4;
    pub(super) const TERMS: usize = 5;
    pub(super) const ORG: usize = 6;
    pub(super) const SESSIONS: usize = 7;
}

/// The places of columns in `enrollments.csv`.
mod enrollment {
    pub(super) const CLASS: usize = 2;
    pub(super) const USER: usize = 3;
    pub(super) const ROLE: usize = 4;
    pub(super) const PRIMARY: usize = 5;
}

/// The place of the role in `roles.csv`.
const ROLE_OF_USER: usize = 2;

/// The teacher of a class so far: the id, and whether the file calls the teacher primary.
type Owners = HashMap<SourcedId, (SourcedId, bool)>;

impl Reader {
    fn read(&mut self, directory: &Path) -> io::Result<()> {
        if !directory.is_dir() {
            self.faults.add(Fault::of_file("the directory does not exist"));
            return Ok(());
        }
        let faults = &mut self.faults;
        let manifest = tables::read(directory, "manifest.csv", faults)?;
        if !faults.is_empty() {
            return Ok(());
        }
        let (format, absent) = match manifest {
            Some(manifest) => (Format::OneRoster, self.manifest(&manifest)),
            None => (Format::Sds, Vec::new()),
        };
        let mut open = |name: &'static str| {
            let is_absent = absent.iter().any(|absent| name.strip_suffix(".csv") == Some(absent));
            if is_absent { Ok(None) } else { tables::read(directory, name, &mut self.faults) }
        };
        let [orgs, sessions, courses] =
            [open("orgs.csv")?, open("academicSessions.csv")?, open("courses.csv")?];
        let [users, roles] = [open("users.csv")?, open("roles.csv")?];
        let [classes, enrollments] = [open("classes.csv")?, open("enrollments.csv")?];
        if !self.faults.is_empty() {
            return Ok(());
        }
        let [Some(users), Some(classes), Some(enrollments)] = [users, classes, enrollments] else {
            let rule = "users.csv, classes.csv and enrollments.csv are required, and at least one is missing";
            self.faults.add(Fault::of_file(rule));
            return Ok(());
        };
        let [orgs, sessions, courses] =
            [orgs, sessions, courses].map(|file| file.and_then(|file| self.ids(&file)));
        let mut found: HashMap<SourcedId, Role> = HashMap::new();
        let user_ids = self.users(&users, &mut found);
        let class_ids = self.classes(&classes, orgs.as_ref(), sessions.as_ref(), courses.as_ref());
        if let Some(roles) = roles {
            self.roles(&roles, &user_ids, &mut found);
        }
        self.enrollments(&enrollments, format, &user_ids, &class_ids, &mut found);
        self.keep_teachers_and_students(&found);
        self.check_owners(&classes, &enrollments);
        Ok(())
    }

    /// The names of the files that the manifest calls absent.
    fn manifest(&mut self, file: &File) -> Vec<String> {
        let mut absent = Vec::new();
        let Some(lines) = file.lines(MANIFEST, &mut self.faults) else { return absent };
        for line in lines.iter() {
            let (name, value) = (line.get(0).unwrap_or_default(), line.get(1).unwrap_or_default());
            let rule = match (name, value) {
                ("oneroster.version", "1.1" | "1.2") => continue,
                ("oneroster.version", _) => "must be 1.1 or 1.2",
                (name, "absent") if name.starts_with("file.") => {
                    absent.extend(name.strip_prefix("file.").map(str::to_owned));
                    continue;
                }
                (name, "bulk") if name.starts_with("file.") => continue,
                (name, "delta") if name.starts_with("file.") => {
                    "is delta, and only complete files can be imported: export with bulk"
                }
                (name, _) if name.starts_with("file.") => "must be bulk or absent",
                _ => continue,
            };
            self.faults.add(file.fault(line.fault(1, rule)));
        }
        absent
    }

    fn users(&mut self, file: &File, roles: &mut HashMap<SourcedId, Role>) -> Ids {
        let mut ids = Ids::new();
        let Some(lines) = file.lines(USERS, &mut self.faults) else { return ids };
        let mut addresses: HashMap<Email, u64> = HashMap::new();
        for line in lines.iter() {
            let Some(id) = self.id(file, line, &mut ids) else { continue };
            match line.get(user::ENABLED).map(str::to_ascii_lowercase).as_deref() {
                None | Some("true" | "1") => {}
                Some("false" | "0") => {
                    ids.insert(id, Presence::Deleted);
                    continue;
                }
                Some(_) => {
                    self.faults.add(file.fault(line.fault(user::ENABLED, "must be empty, true or false")));
                }
            }
            let email = self.optional(file, line, user::EMAIL, Email::parse);
            if let Some(email) = &email
                && let Some(other) = addresses.insert(email.clone(), line.number)
            {
                let rule = format!("is the address on line {other} too");
                self.faults.add(file.fault(line.fault(user::EMAIL, rule)));
            }
            // OneRoster 1.1 has the role here.
            if let Some(role) = line.get(user::ROLE).and_then(role) {
                add_role(roles, id.clone(), role);
            }
            let person = Person {
                line: line.number,
                role: Role::Student,
                first_name: self.optional(file, line, user::GIVEN_NAME, PersonName::parse),
                last_name: self.optional(file, line, user::FAMILY_NAME, PersonName::parse),
                username: line.get(user::USERNAME).map(str::to_owned),
                email,
            };
            self.roster.users.insert(id, person);
        }
        ids
    }

    fn classes(
        &mut self,
        file: &File,
        orgs: Option<&Ids>,
        sessions: Option<&Ids>,
        courses: Option<&Ids>,
    ) -> Ids {
        let mut ids = Ids::new();
        let Some(lines) = file.lines(CLASSES, &mut self.faults) else { return ids };
        for line in lines.iter() {
            let Some(id) = self.id(file, line, &mut ids) else { continue };
            for (column, known) in [(class::COURSE, courses), (class::SCHOOL, orgs), (class::ORG, orgs)] {
                self.references(file, line, column, known, line.get(column));
            }
            for column in [class::TERMS, class::SESSIONS] {
                let terms = line.get(column).into_iter().flat_map(|terms| terms.split(',')).map(str::trim);
                for term in terms.filter(|term| !term.is_empty()) {
                    self.references(file, line, column, sessions, Some(term));
                }
            }
            let title = match line.text(class::TITLE) {
                Ok(title) => title.unwrap_or_default(),
                Err(fault) => {
                    self.faults.add(file.fault(fault));
                    continue;
                }
            };
            let shown = shortened(title);
            if let Some(shown) = &shown {
                let note =
                    format!("{}, line {}: the title is shortened to {shown:?}", file.name, line.number);
                self.roster.notes.push(note);
            }
            match ClassName::parse(shown.as_deref().unwrap_or(title)) {
                Ok(name) => {
                    let group = Group { line: line.number, name, owner: None, students: BTreeMap::new() };
                    self.roster.classes.insert(id, group);
                }
                Err(error) => self.faults.add(file.fault(line.fault(class::TITLE, error.to_string()))),
            }
        }
        ids
    }

    fn roles(&mut self, file: &File, users: &Ids, roles: &mut HashMap<SourcedId, Role>) {
        let Some(lines) = file.lines(ROLES, &mut self.faults) else { return };
        for line in lines.iter().filter(|line| line.get(STATUS) != Some("tobedeleted")) {
            let id = self.reference(file, line, ID, users);
            let found = self.required(file, line, ROLE_OF_USER, |text| Ok::<_, String>(role(text)));
            if let (Some(id), Some(Some(role))) = (id, found) {
                add_role(roles, id, role);
            }
        }
    }

    fn enrollments(
        &mut self,
        file: &File,
        format: Format,
        users: &Ids,
        classes: &Ids,
        roles: &mut HashMap<SourcedId, Role>,
    ) {
        let columns: &'static [Column] = match format {
            Format::OneRoster => ENROLLMENTS,
            Format::Sds => SDS_ENROLLMENTS,
        };
        let Some(lines) = file.lines(columns, &mut self.faults) else { return };
        let (mut ids, mut owners) = (Ids::new(), Owners::new());
        let (mut others, mut doubled, mut teachers) = (0_u64, 0_u64, 0_u64);
        // The roles of enrollments decide about a user whatever the other files say.
        let mut enrolled: HashMap<SourcedId, Role> = HashMap::new();
        for line in lines.iter() {
            let own_id = match format {
                Format::OneRoster => match self.id(file, line, &mut ids) {
                    Some(id) => Some(id),
                    None => continue,
                },
                Format::Sds => None,
            };
            let class = self.reference(file, line, enrollment::CLASS, classes);
            let user = self.reference(file, line, enrollment::USER, users);
            let role = self.required(file, line, enrollment::ROLE, |text| Ok::<_, String>(role(text)));
            let (Some(class), Some(user), Some(role)) = (class, user, role) else { continue };
            let Some(role) = role else {
                others += 1;
                continue;
            };
            add_role(&mut enrolled, user.clone(), role);
            if role == Role::Teacher {
                let primary =
                    line.get(enrollment::PRIMARY).is_some_and(|text| text.eq_ignore_ascii_case("true"));
                match owners.get_mut(&class) {
                    Some(owner) => {
                        teachers += u64::from(owner.0 != user);
                        if primary && !owner.1 {
                            *owner = (user, true);
                        }
                    }
                    None => {
                        owners.insert(class, (user, primary));
                    }
                }
                continue;
            }
            let own_id = match own_id {
                Some(id) => Ok(id),
                None => SourcedId::parse(&format!("{}/{}", class.as_str(), user.as_str())),
            };
            let Ok(own_id) = own_id else {
                let long = "is too long: class and user must have at most 254 characters together";
                self.faults.add(file.fault(line.fault(enrollment::USER, long)));
                continue;
            };
            if let Some(group) = self.roster.classes.get_mut(&class) {
                match group.students.entry(user) {
                    std::collections::btree_map::Entry::Occupied(_) => doubled += 1,
                    std::collections::btree_map::Entry::Vacant(free) => {
                        free.insert(own_id);
                    }
                }
            }
        }
        roles.extend(enrolled);
        for (class, (owner, _)) in owners {
            if let Some(group) = self.roster.classes.get_mut(&class) {
                group.owner = Some(owner);
            }
        }
        for (count, one, several) in [
            (
                others,
                "enrollment has another role than student and teacher, and is ignored",
                "enrollments have other roles than student and teacher, and are ignored",
            ),
            (
                doubled,
                "enrollment repeats student and class of an earlier line, and is ignored",
                "enrollments repeat student and class of an earlier line, and are ignored",
            ),
            (
                teachers,
                "further teacher of a class is not stored: a class has one owner",
                "further teachers of a class are not stored: a class has one owner",
            ),
        ] {
            if count > 0 {
                let what = if count == 1 { one } else { several };
                self.roster.notes.push(format!("{count} {what}"));
            }
        }
    }

    /// Gives every user the role, and removes users of other roles.
    fn keep_teachers_and_students(&mut self, roles: &HashMap<SourcedId, Role>) {
        let before = self.roster.users.len();
        let all = std::mem::take(&mut self.roster.users);
        self.roster.present = all.keys().cloned().collect();
        let with_role = |(id, person): (SourcedId, Person)| {
            let role = *roles.get(&id)?;
            Some((id, Person { role, ..person }))
        };
        self.roster.users = all.into_iter().filter_map(with_role).collect();
        let ignored = before - self.roster.users.len();
        if ignored > 0 {
            let what = if ignored == 1 {
                "user is neither a teacher nor a student, and is ignored"
            } else {
                "users are neither teachers nor students, and are ignored"
            };
            self.roster.notes.push(format!("{ignored} {what}"));
        }
    }

    /// The owner of a class cannot be its student.
    fn check_owners(&mut self, classes: &File, enrollments: &File) {
        for group in self.roster.classes.values() {
            if group.owner.as_ref().is_some_and(|owner| group.students.contains_key(owner)) {
                let rule = format!("the owner of the class is also its student in {}", enrollments.name);
                self.faults.add(classes.fault(Fault::of_line(group.line, rule)));
            }
        }
    }
}

/// The role of this name, or `None` for a role that is not imported.
fn role(name: &str) -> Option<Role> {
    match name.to_ascii_lowercase().as_str() {
        "student" => Some(Role::Student),
        "teacher" => Some(Role::Teacher),
        _ => None,
    }
}

/// A user who teaches somewhere is a teacher.
fn add_role(roles: &mut HashMap<SourcedId, Role>, user: SourcedId, role: Role) {
    let known = roles.entry(user).or_insert(role);
    if role == Role::Teacher {
        *known = role;
    }
}

/// A title that is too long for a class name, with its end cut off.
fn shortened(title: &str) -> Option<String> {
    let kept = ClassName::MAX - 1;
    (title.chars().count() > ClassName::MAX)
        .then(|| title.chars().take(kept).collect::<String>().trim_end().to_owned() + "…")
}
