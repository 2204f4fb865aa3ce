//! Compares the files with the database: what an import changes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;

use super::{
    existing::Existing,
    leaving::InUse,
    model::{Group, Roster},
    report::{Change, Kind, Report},
    user_names::UserNames,
};
use crate::{
    csv_table::{Fault, Faults},
    domain::{
        id::{ClassId, EnrollmentId, UserId},
        mail_domain::MailDomain,
        password::PasswordHash,
        sort_key::SortKey,
        sourced_id::SourcedId,
    },
    entity::{
        class,
        enrollment::{self, Origin, Status},
        user,
    },
    identity::password_hashing::HashError,
    random::RandomSource,
};

/// Below this number of rows, everything may end.
const FEW: usize = 10;

/// The settings of an import.
pub struct Settings<'a> {
    /// The domain of the addresses of students.
    pub domain: Option<&'a MailDomain>,
    /// The owner of new classes without a teacher.
    pub owner: Option<UserId>,
    /// The part of the rows that may end, in percent.
    pub max_ended: u8,
    /// The time of the import.
    pub now: DateTime<Utc>,
    /// The source of ids.
    pub random: &'a dyn RandomSource,
    /// Makes the hash of an account without a password, which no password matches.
    pub unusable: &'a dyn Fn() -> Result<PasswordHash, HashError>,
}

/// What an import changes.
#[derive(Debug, Default)]
pub struct Plan {
    /// Enrollments whose `sourcedId` the files give to others.
    pub released: Vec<EnrollmentId>,
    /// The changes of accounts.
    pub users: BTreeMap<SourcedId, UserStep>,
    /// The changes of classes, each in a transaction with the accounts that it needs.
    pub classes: Vec<ClassStep>,
    /// Accounts that left.
    pub left: Vec<UserId>,
    /// All changes, for the operator.
    pub report: Report,
}

impl Plan {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.report.entries.is_empty()
    }
}

/// The change of an account.
#[derive(Debug, Clone)]
pub enum UserStep {
    /// A new account.
    Insert(Box<user::Model>),
    /// Changed columns.
    Change(UserId, Box<user::ActiveModel>),
}

/// The changes of a class and of its enrollments.
#[derive(Debug, Clone)]
pub struct ClassStep {
    /// The class.
    pub id: ClassId,
    /// Its id in the files.
    pub sourced_id: SourcedId,
    /// A new class.
    pub new: Option<Box<class::Model>>,
    /// Changed columns.
    pub columns: Option<Box<class::ActiveModel>>,
    /// The owner and the students, who must exist before.
    pub members: Vec<SourcedId>,
    /// New enrollments.
    pub inserts: Vec<enrollment::Model>,
    /// Enrollments that stay or come back, and change.
    pub kept: Vec<Kept>,
    /// Enrollments that left.
    pub dropped: Vec<EnrollmentId>,
}

/// An enrollment that stays or comes back, and changes.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The enrollment.
    pub id: EnrollmentId,
    /// Its id in the files.
    pub sourced_id: SourcedId,
    /// Who put the student into the class.
    pub origin: Origin,
    /// Whether it was not active.
    pub returns: bool,
}

impl ClassStep {
    /// A step that changes nothing yet.
    pub(super) fn unchanged(id: ClassId, sourced_id: SourcedId) -> Self {
        Self {
            id,
            sourced_id,
            new: None,
            columns: None,
            members: Vec::new(),
            inserts: Vec::new(),
            kept: Vec::new(),
            dropped: Vec::new(),
        }
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Rows of the files contradict each other or the database.
    #[error("the files have faults")]
    Faulty(Faults),
    /// The files have new students, and the server has no student domain.
    #[error("the files have new students, whose user names need --student-domain")]
    NoDomain,
    /// The hash of an account could not be made.
    #[error("an account cannot be made")]
    Hash(#[from] HashError),
    /// Too many rows would end.
    #[error("{}", join(.0))]
    TooManyEnd(Vec<Ending>),
}

/// The number of rows of a table that would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The table.
    pub kind: Kind,
    /// The rows that would end.
    pub ended: usize,
    /// The rows in use.
    pub active: usize,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, ended, active } = self;
        write!(f, "{ended} of {active} {} rows are not in the files and would end", kind.as_str())
    }
}

fn join(endings: &[Ending]) -> String {
    let endings: Vec<String> = endings.iter().map(ToString::to_string).collect();
    format!("{}; if that is right, allow it with --max-ended 100", endings.join("; "))
}

/// An account of the files.
pub(super) struct Member {
    pub(super) id: UserId,
    pub(super) is_school_account: bool,
    pub(super) key: SortKey,
}

/// What was planned so far.
pub(super) struct Planner<'p> {
    pub(super) existing: &'p Existing,
    pub(super) settings: &'p Settings<'p>,
    pub(super) names: Option<UserNames<'p>>,
    pub(super) plan: Plan,
    pub(super) faults: Faults,
    pub(super) members: HashMap<SourcedId, Member>,
    /// Accounts of the files, to find one that two rows mean.
    pub(super) claimed: HashSet<UserId>,
    pub(super) needs_domain: bool,
    pub(super) by_class: HashMap<ClassId, Vec<&'p enrollment::Model>>,
    pub(super) released: HashSet<EnrollmentId>,
}

/// Plans an import.
pub fn plan(roster: &Roster, existing: &Existing, settings: &Settings<'_>) -> Result<Plan, PlanError> {
    let mut planner = Planner {
        existing,
        settings,
        names: settings.domain.map(|domain| UserNames::new(domain, &existing.user_names)),
        plan: Plan::default(),
        faults: Faults::with_full(1_000),
        members: HashMap::new(),
        claimed: HashSet::new(),
        needs_domain: false,
        by_class: HashMap::new(),
        released: HashSet::new(),
    };
    for row in existing.enrollments.values() {
        planner.by_class.entry(row.class_id).or_default().push(row);
    }
    planner.plan.report.notes.clone_from(&roster.notes);
    for (id, person) in &roster.users {
        planner.user(id, person)?;
    }
    if planner.needs_domain {
        return Err(PlanError::NoDomain);
    }
    planner.release(roster);
    for (id, group) in &roster.classes {
        planner.class(id, group);
    }
    let Planner { mut plan, faults, .. } = planner;
    if !faults.is_empty() {
        return Err(PlanError::Faulty(faults));
    }
    let in_use = InUse::of(existing);
    in_use.leave(existing, roster, &mut plan);
    let excess = in_use.excess(&plan, settings.max_ended, FEW);
    if excess.is_empty() { Ok(plan) } else { Err(PlanError::TooManyEnd(excess)) }
}

/// Whether an enrollment is in use.
pub(super) fn is_active(row: &enrollment::Model) -> bool {
    matches!(row.status, Status::Active | Status::Pending)
}

impl Planner<'_> {
    /// Adds a fault of a line.
    pub(super) fn fault(&mut self, file: &str, line: u64, rule: &str) {
        self.faults.add(Fault { file: Some(file.to_owned()), ..Fault::of_line(line, rule) });
    }

    /// Finds enrollments whose `sourcedId` the files give to another student or class.
    fn release(&mut self, roster: &Roster) {
        let mut pairs: HashMap<&SourcedId, (Option<ClassId>, Option<UserId>)> = HashMap::new();
        for (class, group) in &roster.classes {
            let class = self.existing.classes.get(class).map(|class| class.id);
            for (user, own_id) in &group.students {
                pairs.insert(own_id, (class, self.members.get(user).map(|member| member.id)));
            }
        }
        let moved = self.existing.enrollments.values().filter(|row| {
            let pair = row.sourced_id.as_ref().and_then(|id| pairs.get(id));
            pair.is_some_and(|pair| *pair != (Some(row.class_id), Some(row.student_id)))
        });
        self.plan.released = moved.map(|row| row.id).collect();
        self.released = self.plan.released.iter().copied().collect();
    }

    fn class(&mut self, id: &SourcedId, group: &Group) {
        let now = self.settings.now;
        let existing = self.existing.classes.get(id);
        let teacher = group.owner.as_ref().and_then(|owner| self.members.get(owner));
        if teacher.is_some_and(|teacher| teacher.is_school_account) {
            return self.fault("classes.csv", group.line, "the teacher has a student account");
        }
        let teacher = teacher.map(|teacher| teacher.id);
        let Some(owner) = teacher.or(existing.map(|class| class.owner_id)).or(self.settings.owner) else {
            // A teacher with a fault of its own is no member.
            if group.owner.is_none() {
                self.fault("classes.csv", group.line, "has no teacher; name an owner with --owner");
            }
            return;
        };
        if group.students.keys().any(|user| self.members.get(user).is_some_and(|member| member.id == owner)) {
            return self.fault("classes.csv", group.line, "the owner of the class is also its student");
        }
        let class_id = existing.map_or_else(|| ClassId::new(now, self.settings.random), |class| class.id);
        let mut step = ClassStep::unchanged(class_id, id.clone());
        step.members = group.owner.iter().chain(group.students.keys()).cloned().collect();
        match existing {
            None => {
                let class = class::Model {
                    id: step.id,
                    owner_id: owner,
                    name: group.name.clone(),
                    description: None,
                    settings: None,
                    is_active: true,
                    created_at: now,
                    updated_at: now,
                    name_key: SortKey::of(&[group.name.as_str()]),
                    max_students: None,
                    requires_approval: false,
                    version: 0,
                    sourced_id: Some(id.clone()),
                    left_roster: false,
                };
                step.new = Some(Box::new(class));
                self.plan.report.record(Kind::Class, id, Change::New, Vec::new());
            }
            Some(class) => step.columns = self.changed_class(id, class, group, owner).map(Box::new),
        }
        self.enrollments(&mut step, group);
        let changes = [step.inserts.len(), step.kept.len(), step.dropped.len()];
        if step.new.is_some() || step.columns.is_some() || changes.iter().sum::<usize>() > 0 {
            self.plan.classes.push(step);
        }
    }

    fn changed_class(
        &mut self,
        id: &SourcedId,
        class: &class::Model,
        group: &Group,
        owner: UserId,
    ) -> Option<class::ActiveModel> {
        let (mut columns, mut fields) = (class::ActiveModel::default(), Vec::new());
        let change = if class.sourced_id.is_some() { Change::Changed } else { Change::Linked };
        if class.sourced_id.is_none() {
            columns.sourced_id = Set(Some(id.clone()));
            fields.push("sourcedId");
        }
        if class.name.as_str().trim() != group.name.as_str() {
            columns.name = Set(group.name.clone());
            columns.name_key = Set(SortKey::of(&[group.name.as_str()]));
            fields.push("title");
        }
        if class.owner_id != owner {
            columns.owner_id = Set(owner);
            fields.push("owner");
        }
        // A class that its owner or an operator closed stays closed.
        if class.left_roster {
            columns.is_active = Set(true);
            columns.left_roster = Set(false);
            fields.push("isActive");
        }
        if fields.is_empty() {
            self.plan.report.keep(Kind::Class);
            return None;
        }
        self.plan.report.record(Kind::Class, id, change, fields);
        Some(columns)
    }

    fn enrollments(&mut self, step: &mut ClassStep, group: &Group) {
        let Settings { now, random, .. } = *self.settings;
        let mut present = HashSet::new();
        for (user, own_id) in &group.students {
            let Some(member) = self.members.get(user) else { continue };
            present.insert(member.id);
            let Some(row) = self.existing.enrollments.get(&(step.id, member.id)) else {
                step.inserts.push(enrollment::Model {
                    id: EnrollmentId::new(now, random),
                    class_id: step.id,
                    student_id: member.id,
                    enrolled_at: now.date_naive(),
                    status: Status::Active,
                    created_at: now,
                    updated_at: now,
                    origin: Origin::Roster,
                    student_key: member.key.clone(),
                    sourced_id: Some(own_id.clone()),
                });
                self.plan.report.record(Kind::Enrollment, own_id, Change::New, Vec::new());
                continue;
            };
            let returns = row.status != Status::Active || self.released.contains(&row.id);
            // An export of this database names the row by its own id. It says nothing about who put the student into the class.
            let is_own_id = own_id.as_str() == row.id.to_string();
            let is_same =
                row.sourced_id.as_ref() == Some(own_id) && (is_own_id || row.origin == Origin::Roster);
            if is_same && !returns {
                self.plan.report.keep(Kind::Enrollment);
                continue;
            }
            let origin = if is_own_id { row.origin } else { Origin::Roster };
            step.kept.push(Kept { id: row.id, sourced_id: own_id.clone(), origin, returns });
            let change = if row.sourced_id.is_none() { Change::Linked } else { Change::Changed };
            let fields = if returns { vec!["status"] } else { vec!["sourcedId"] };
            self.plan.report.record(Kind::Enrollment, own_id, change, fields);
        }
        let rows = self.by_class.get(&step.id).into_iter().flatten().filter(|row| is_active(row));
        for row in rows.filter(|row| !present.contains(&row.student_id)) {
            if let Some(own_id) = &row.sourced_id {
                step.dropped.push(row.id);
                self.plan.report.record(Kind::Enrollment, own_id, Change::Ended, Vec::new());
            }
        }
    }
}
