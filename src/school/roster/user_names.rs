//! User names of students.

use std::collections::{HashMap, HashSet};

use super::model::Person;
use crate::domain::{email::Email, mail_domain::MailDomain, user_name::UserName};

/// Gives user names that are free.
pub(super) struct UserNames<'d> {
    domain: &'d MailDomain,
    taken: HashSet<Email>,
    next: HashMap<UserName, u32>,
}

impl<'d> UserNames<'d> {
    /// All names in the domain but these are free.
    pub(super) fn new(domain: &'d MailDomain, taken: &[Email]) -> Self {
        Self { domain, taken: taken.iter().cloned().collect(), next: HashMap::new() }
    }

    /// A free address for a student. A user name in the school's system that is an address in the domain is taken as it is, the local
    /// part of any other one is numbered.
    pub(super) fn take(&mut self, person: &Person) -> Option<Email> {
        let wish = person.username.as_deref();
        if let Some(wished) = wish.and_then(|wish| Email::parse(wish).ok())
            && MailDomain::of(&wished) == *self.domain
            && self.taken.insert(wished.clone())
        {
            return Some(wished);
        }
        let base = UserName::base(person.first_name.as_ref(), person.last_name.as_ref(), wish);
        let number = self.next.entry(base.clone()).or_insert(1);
        loop {
            let address = base.numbered(*number).at(self.domain).ok()?;
            *number += 1;
            if self.taken.insert(address.clone()) {
                return Some(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::person::PersonName, school::roster::model::Role};

    #[test]
    fn take_gives_each_student_a_free_name() {
        let domain = MailDomain::parse("students.example").unwrap();
        let taken = [Email::parse("linh.nguyen@students.example").unwrap()];
        let mut names = UserNames::new(&domain, &taken);
        let name = |text: &str| PersonName::parse(text).ok();
        for (first, last, wish, expected) in [
            ("Linh", "Nguyễn", "", "linh.nguyen2"),
            ("LINH", "Nguyen", "", "linh.nguyen3"),
            ("Иван", "Петров", "", "ivan.petrov"),
            ("Max", "Groß-Voß", "", "max.grossvoss"),
            ("💡", "!", "", "bulb"),
            ("!", "?", "", "pupil"),
            ("Max", "Roe", "mroe", "mroe"),
            ("Max", "Roe", "M.Roe@old.example", "m.roe"),
            ("Max", "Roe", "max_1@students.example", "max_1"),
            ("Max", "Roe", "MAX_1@students.example", "max1"),
            ("Max", "Roe", "!", "max.roe"),
            (&"a".repeat(90), "b", "", &"a".repeat(40)),
        ] {
            let person = Person {
                line: 2,
                role: Role::Student,
                first_name: name(first),
                last_name: name(last),
                username: (!wish.is_empty()).then(|| wish.to_owned()),
                email: None,
            };
            let found = names.take(&person).unwrap();
            assert_eq!(found.as_str(), format!("{expected}@students.example"), "{first} {last} {wish}");
        }
    }
}
