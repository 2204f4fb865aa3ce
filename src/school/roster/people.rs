//! The accounts of an import.

use sea_orm::ActiveValue::Set;

use super::{
    model::{Person, Role},
    plan::{Member, Planner, Settings, UserStep},
    report::{Change, Kind},
};
use crate::{
    domain::{id::UserId, mail_domain::MailDomain, person::PersonName, sourced_id::SourcedId},
    entity::user::{self, PasswordState},
    identity::password_hashing::HashError,
};

impl<'p> Planner<'p> {
    /// Plans the account of a row.
    pub(super) fn user(&mut self, id: &SourcedId, person: &Person) -> Result<(), HashError> {
        let existing = self.existing;
        let by_id = existing.users_by_sourced_id.get(id).and_then(|user| existing.users.get(user));
        let found = match by_id {
            Some(user) => Some(user),
            None => match self.by_address(person) {
                Ok(found) => found,
                Err(rule) => {
                    self.fault("users.csv", person.line, rule);
                    return Ok(());
                }
            },
        };
        let Some(user) = found else { return self.new_user(id, person) };
        if !self.claimed.insert(user.id) {
            self.fault("users.csv", person.line, "means the same account as another row");
            return Ok(());
        }
        let (mut row, mut fields) = (user::ActiveModel::default(), Vec::new());
        let change = if user.sourced_id.is_some() { Change::Changed } else { Change::Linked };
        if user.sourced_id.is_none() {
            row.sourced_id = Set(Some(id.clone()));
            fields.push("sourcedId");
        }
        let (mut first, mut last) = (&user.first_name, &user.last_name);
        if user.school_account {
            if differs(person.first_name.as_ref(), user.first_name.as_ref()) {
                first = &person.first_name;
                row.first_name = Set(first.clone());
                fields.push("givenName");
            }
            if differs(person.last_name.as_ref(), user.last_name.as_ref()) {
                last = &person.last_name;
                row.last_name = Set(last.clone());
                fields.push("familyName");
            }
            // An account that an operator disabled stays disabled.
            if user.left_roster {
                row.enabled = Set(true);
                row.left_roster = Set(false);
                fields.push("enabledUser");
            }
        }
        let key = user::sort_key(user.id, first.as_ref(), last.as_ref());
        self.members.insert(id.clone(), Member { id: user.id, is_school_account: user.school_account, key });
        if fields.is_empty() {
            self.plan.report.keep(Kind::User);
            return Ok(());
        }
        row.updated_at = Set(Some(self.settings.now));
        self.plan.users.insert(id.clone(), UserStep::Change(user.id, Box::new(row)));
        self.plan.report.record(Kind::User, id, change, fields);
        Ok(())
    }

    /// The account of the row's address, if the import may link it.
    fn by_address(&self, person: &Person) -> Result<Option<&'p user::Model>, &'static str> {
        let Some(email) = &person.email else {
            return match person.role {
                Role::Teacher => Err("a teacher needs an e-mail address"),
                Role::Student => Ok(None),
            };
        };
        let is_user_name = self.settings.domain.is_some_and(|domain| MailDomain::of(email) == *domain);
        let user = self.existing.users_by_address.get(email).and_then(|user| self.existing.users.get(user));
        match (person.role, user) {
            (Role::Teacher, _) if is_user_name => Err("a teacher has no address in the student domain"),
            (_, Some(user)) if user.sourced_id.is_some() && !user.school_account => {
                Err("the address belongs to an account with another sourcedId")
            }
            (Role::Teacher, Some(user)) if user.school_account => Err("the address is that of a student"),
            (Role::Student, Some(user)) if user.school_account => Ok(None),
            (_, user) => Ok(user),
        }
    }

    fn new_user(&mut self, id: &SourcedId, person: &Person) -> Result<(), HashError> {
        let Settings { now, random, unusable, .. } = *self.settings;
        let email = match person.role {
            Role::Teacher => person.email.clone(),
            Role::Student => {
                if person.username.is_none() && (person.first_name.is_none() || person.last_name.is_none()) {
                    let rule = "a new student needs givenName and familyName, or a username";
                    self.fault("users.csv", person.line, rule);
                    return Ok(());
                }
                let Some(names) = &mut self.names else {
                    self.needs_domain = true;
                    return Ok(());
                };
                names.take(person)
            }
        };
        let Some(email) = email else {
            self.fault("users.csv", person.line, "has no possible user name");
            return Ok(());
        };
        let user_id = UserId::new(now, random);
        let is_school_account = person.role == Role::Student;
        let mut user = user::Model {
            first_name: person.first_name.clone(),
            last_name: person.last_name.clone(),
            sourced_id: Some(id.clone()),
            school_account: is_school_account,
            ..user::Model::new(user_id, email, unusable()?, now)
        };
        if is_school_account {
            user.password_state = PasswordState::None;
        } else {
            // The link of "forgotten password" confirms the address.
            user.email_verified_at = None;
        }
        let key = user::sort_key(user_id, user.first_name.as_ref(), user.last_name.as_ref());
        self.members.insert(id.clone(), Member { id: user_id, is_school_account, key });
        self.plan.users.insert(id.clone(), UserStep::Insert(Box::new(user)));
        self.plan.report.record(Kind::User, id, Change::New, Vec::new());
        Ok(())
    }
}

/// Whether the file has a name, and another one than the account.
fn differs(file: Option<&PersonName>, account: Option<&PersonName>) -> bool {
    let account = account.map(|name| name.as_str().trim());
    file.is_some_and(|name| Some(name.as_str()) != account)
}
