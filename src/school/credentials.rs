//! User names and passwords of the accounts that the school makes.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use sea_orm::DbErr;

use crate::{
    db::Db,
    domain::{
        email::{Email, InvalidEmail},
        mail_domain::MailDomain,
        password::PasswordHash,
        person::PersonName,
        user_name::UserName,
        word_password::WordPassword,
    },
    entity::school_account,
    identity::password_hashing::{HashError, PasswordHashing},
    metrics::{GENERATED_PASSWORDS, GENERATED_PASSWORDS_WAITING},
    random::{self, RandomSource},
};

/// The number of passwords per hash thread that one request has in the queue of the hash threads.
const QUEUED_PER_THREAD: usize = 2;
/// After so many passwords there is a log line.
const LOGGED: usize = 500;
/// The number of user names that are looked up at once after the first one was taken. It doubles with each query.
const CANDIDATES: u32 = 20;
/// The maximum of [`CANDIDATES`].
const MAX_CANDIDATES: u32 = 1_000;

/// Chooses user names, and generates passwords.
#[derive(Clone)]
pub struct Credentials {
    db: Db,
    random: Arc<dyn RandomSource>,
    hashing: Arc<PasswordHashing>,
    domain: Option<MailDomain>,
}

/// A person who gets an account.
#[derive(Debug, Clone)]
pub struct Person {
    /// The first name.
    pub first: PersonName,
    /// The last name.
    pub last: PersonName,
    /// An address whose local part is the wish for the user name.
    pub wish: Option<Email>,
}

/// A generated password and its hash.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// The password, to show it once.
    pub password: WordPassword,
    /// Its hash, to store it.
    pub hash: PasswordHash,
}

/// The reason why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The operator has set no domain for user names.
    #[error("the operator has set no student domain")]
    NoDomain,
    /// The domain is too long for user names. The command line refuses such a domain.
    #[error("the student domain is too long")]
    Domain(#[from] InvalidEmail),
    /// The passwords were not hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Credentials {
    /// Creates the service. Without a domain it makes passwords alone.
    pub fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        hashing: Arc<PasswordHashing>,
        domain: Option<MailDomain>,
    ) -> Self {
        Self { db, random, hashing, domain }
    }

    /// Whether there is a domain for user names.
    pub fn has_domain(&self) -> bool {
        self.domain.is_some()
    }

    /// A free user name for each person, in the same order. Another request may take it first: the unique index of addresses decides.
    pub async fn user_names(&self, people: &[Person]) -> Result<Vec<Email>, MakeError> {
        let domain = self.domain.as_ref().ok_or(MakeError::NoDomain)?;
        let mut groups = groups(people);
        let mut names: Vec<Option<Email>> = vec![None; people.len()];
        let mut claimed = HashSet::new();
        while groups.iter().any(|group| !group.people.is_empty()) {
            groups.retain(|group| !group.people.is_empty());
            let mut candidates = Vec::new();
            for group in &mut groups {
                candidates.push(group.candidates(domain)?);
            }
            let taken = school_account::taken(self.db.read(), &candidates.concat()).await?;
            for (group, candidates) in groups.iter_mut().zip(candidates) {
                let mut free = candidates.into_iter().filter(|candidate| !taken.contains(candidate));
                group.people.retain(|person| {
                    match free.find(|candidate| claimed.insert(candidate.clone())) {
                        Some(name) => {
                            names[*person] = Some(name);
                            false
                        }
                        None => true,
                    }
                });
            }
        }
        Ok(names.into_iter().flatten().collect())
    }

    /// Generates a password and hashes it. A user waits for it.
    pub async fn password(&self) -> Result<NewPassword, HashError> {
        let mut waiting = Waiting::start(1);
        let password = self.generate();
        let hash = self.hashing.hash(password.password(), random::bytes(&*self.random)).await?;
        waiting.one_done();
        Ok(NewPassword { password, hash })
    }

    /// Generates many passwords and hashes them behind those of users who sign in. `progress` gets the number of finished ones after
    /// each.
    pub async fn passwords(
        &self,
        count: usize,
        progress: impl Fn(usize),
    ) -> Result<Vec<NewPassword>, HashError> {
        let mut waiting = Waiting::start(count);
        let queued = QUEUED_PER_THREAD * self.hashing.workers().get();
        let hash = |_| async {
            let password = self.generate();
            let salt = random::bytes(&*self.random);
            let hash = self.hashing.hash_in_background(password.password(), salt).await?;
            Ok::<_, HashError>(NewPassword { password, hash })
        };
        let mut hashed = pin!(stream::iter(0..count).map(hash).buffered(queued));
        let mut passwords = Vec::with_capacity(count);
        while let Some(password) = hashed.next().await {
            passwords.push(password?);
            waiting.one_done();
            let done = passwords.len();
            if done.is_multiple_of(LOGGED) && done < count {
                tracing::info!(done, of = count, "passwords generated");
            }
            progress(done);
        }
        Ok(passwords)
    }

    fn generate(&self) -> WordPassword {
        WordPassword::generate(&*self.random)
    }
}

/// People who would all get the same user name.
struct Group {
    base: UserName,
    /// The indexes of those who have no user name yet.
    people: Vec<usize>,
    /// The number of the next candidate.
    next: u32,
    /// The number of candidates in the next query.
    size: u32,
}

impl Group {
    fn candidates(&mut self, domain: &MailDomain) -> Result<Vec<Email>, InvalidEmail> {
        let numbers = self.next..self.next.saturating_add(self.size);
        self.next = numbers.end;
        self.size = (self.size * 2).clamp(CANDIDATES, MAX_CANDIDATES);
        numbers.map(|number| self.base.numbered(number).at(domain)).collect()
    }
}

/// People by the user name that they would get.
fn groups(people: &[Person]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: HashMap<UserName, usize> = HashMap::new();
    for (index, Person { first, last, wish }) in people.iter().enumerate() {
        let base = UserName::base(Some(first), Some(last), wish.as_ref().map(Email::as_str));
        let group = *known.entry(base.clone()).or_insert_with(|| {
            groups.push(Group { base, people: Vec::new(), next: 1, size: 0 });
            groups.len() - 1
        });
        groups[group].people.push(index);
        groups[group].size = (groups[group].size + 1).min(MAX_CANDIDATES);
    }
    groups
}

/// The passwords of a request that wait for their hash, in the metrics. Dropping it subtracts the rest, as of a cancelled request.
struct Waiting(u32);

impl Waiting {
    fn start(count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        metrics::gauge!(GENERATED_PASSWORDS_WAITING).increment(count);
        Self(count)
    }

    fn one_done(&mut self) {
        self.0 = self.0.saturating_sub(1);
        metrics::gauge!(GENERATED_PASSWORDS_WAITING).decrement(1);
        metrics::counter!(GENERATED_PASSWORDS).increment(1);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!(GENERATED_PASSWORDS_WAITING).decrement(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_people_of_one_name_in_their_order() {
        let person = |first, last| Person {
            first: PersonName::parse(first).unwrap(),
            last: PersonName::parse(last).unwrap(),
            wish: None,
        };
        let people = [person("Linh", "Nguyễn"), person("Max", "Roe"), person("LINH", "Nguyen")];
        let groups = groups(&people);
        let shown: Vec<_> =
            groups.iter().map(|group| (group.base.as_str(), group.people.as_slice(), group.size)).collect();
        assert_eq!(shown, [("linh.nguyen", &[0, 2][..], 2), ("max.roe", &[1], 1)]);
    }

    #[test]
    fn candidates_continue_where_the_previous_ones_ended() {
        let name = PersonName::parse("Max").unwrap();
        let base = UserName::base(Some(&name), Some(&name), None);
        let domain = MailDomain::parse("students.example").unwrap();
        let mut group = Group { base, people: vec![0], next: 1, size: 1 };
        let mut next = || group.candidates(&domain).unwrap();
        assert_eq!(next().iter().map(Email::as_str).collect::<Vec<_>>(), ["max.max@students.example"]);
        let (second, third) = (next(), next());
        assert_eq!((second.len(), second[0].as_str()), (20, "max.max2@students.example"));
        assert_eq!((third.len(), third[0].as_str()), (40, "max.max22@students.example"));
    }
}
