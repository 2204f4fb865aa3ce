//! The table of all limits on guessing and flooding.

use chrono::TimeDelta;

use self::{
    Exempt::{First, Known, Nothing},
    Forget::{AllIn, OneEvery},
    Subject::{
        Account, AccountAtNetwork, AccountAtSite, GeneratedCodes, JoinsFrom, RegistrationsFrom, ResetsFrom,
        Server, SignInsFrom, SprayFrom, StudentAccountsBy, StudentImportsBy, User,
    },
    Wait::{BackOff, UntilForgotten},
};
use crate::domain::{
    email::Email,
    id::{ClassId, UserId},
    network::Network,
    rate_limit_key::{AccountScope, RateLimitKey},
};

const MINUTE: TimeDelta = TimeDelta::minutes(1);
const MINUTES_5: TimeDelta = TimeDelta::minutes(5);
const MINUTES_15: TimeDelta = TimeDelta::minutes(15);
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Sign-ins. The first policy also decides whether the account is known in its network.
///
/// An IPv6 client belongs to several networks: its /64, /56 and /48. The limit of a site (/48) is 15, the number of failures that
/// one network reaches by waiting.
const SIGN_IN: [Policy<PasswordLimits>; 6] = [
    policy(AccountAtNetwork, |limits| limits.free, OneEvery(MINUTES_15), BackOff, Nothing),
    policy(AccountAtSite, |limits| limits.account.min(15), OneEvery(MINUTES_15), UntilForgotten, Known),
    policy(Account, |limits| limits.account, OneEvery(MINUTES_15), UntilForgotten, Known),
    policy(SignInsFrom, |limits| limits.address, AllIn(MINUTES_5), UntilForgotten, First),
    policy(SprayFrom, |limits| limits.address_spray, AllIn(MINUTES_5), UntilForgotten, Known),
    policy(Server, |limits| limits.server_spray.div_ceil(SHARDS), AllIn(MINUTES_5), UntilForgotten, Known),
];

/// Joins.
const JOIN: [Policy<JoinLimits>; 2] = [
    policy(User, |limits| limits.user, AllIn(MINUTES_5), UntilForgotten, Nothing),
    policy(JoinsFrom, |limits| limits.address, AllIn(MINUTES_5), UntilForgotten, First),
];

/// Generated join codes. Every one counts, not only failures.
const GENERATE: [Policy<u32>; 1] =
    [policy(GeneratedCodes, |limit| *limit, AllIn(MINUTE), UntilForgotten, Nothing)];

/// Registrations, and requests to reset a password. Every one counts, not only failures.
const REGISTER: [Policy<AccountLimits>; 1] =
    [policy(RegistrationsFrom, |limits| limits.registrations, AllIn(HOUR), UntilForgotten, Nothing)];
const REQUEST_RESET: [Policy<AccountLimits>; 1] =
    [policy(ResetsFrom, |limits| limits.resets, AllIn(HOUR), UntilForgotten, Nothing)];

/// Requests of a teacher that make accounts or passwords of students, and files of students. Every one counts, not only failures.
const MAKE_STUDENT_ACCOUNTS: [Policy<u32>; 1] =
    [policy(StudentAccountsBy, |limit| *limit, AllIn(HOUR), UntilForgotten, Nothing)];
const IMPORT_STUDENTS: [Policy<u32>; 1] =
    [policy(StudentImportsBy, |limit| *limit, AllIn(HOUR), UntilForgotten, Nothing)];

/// Concurrent sign-ins of one account from all networks.
const ACCOUNT_CONCURRENCY: i64 = 16;
/// Shards of the count of the whole server, so that failures do not all update one row.
const SHARDS: u32 = 16;

/// One limit.
struct Policy<Limits> {
    subject: Subject,
    /// The number of failures that fills the count. 0 is no limit.
    limit: fn(&Limits) -> u32,
    forget: Forget,
    wait: Wait,
    exempt: Exempt,
}

const fn policy<Limits>(
    subject: Subject,
    limit: fn(&Limits) -> u32,
    forget: Forget,
    wait: Wait,
    exempt: Exempt,
) -> Policy<Limits> {
    Policy { subject, limit, forget, wait, exempt }
}

/// The subject of a count. The key of the count is derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// An account, tried from one network (IPv6: /64).
    AccountAtNetwork,
    /// An account, tried from one IPv6 site (/48).
    AccountAtSite,
    /// An account, tried from everywhere.
    Account,
    /// A network, for repeated failures.
    SignInsFrom,
    /// A network, for one password tried on many accounts (password spraying).
    SprayFrom,
    /// The server, in shards.
    Server,
    /// A user who joins classes.
    User,
    /// A network from which users join.
    JoinsFrom,
    /// A class whose join code is generated.
    GeneratedCodes,
    /// A network from which people register.
    RegistrationsFrom,
    /// A network from which people ask to reset passwords.
    ResetsFrom,
    /// A teacher who makes accounts or passwords of students.
    StudentAccountsBy,
    /// A teacher who imports files of students.
    StudentImportsBy,
}

impl Subject {
    fn scope(self) -> Scope {
        match self {
            AccountAtNetwork | User | GeneratedCodes | StudentAccountsBy | StudentImportsBy => Scope::Own,
            AccountAtSite | Account => Scope::Account,
            SignInsFrom | SprayFrom | Server | JoinsFrom | RegistrationsFrom | ResetsFrom => Scope::Shared,
        }
    }
}

/// The pace at which a count forgets failures.
#[derive(Debug, Clone, Copy)]
enum Forget {
    /// One failure in each such period.
    OneEvery(TimeDelta),
    /// As many failures as fill the count, in such a period.
    AllIn(TimeDelta),
}

/// The time for which a full count refuses attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// 1 s after the failure that fills the count, doubled with each further failure, at most 15 minutes.
    BackOff,
    /// Until the count has forgotten a failure.
    UntilForgotten,
}

/// The attempts that a full count lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exempt {
    /// None.
    Nothing,
    /// Attempts whose own count has no failure yet. An account that is known in its network may have one failure.
    First,
    /// Sign-ins to an account that signed in from this network within the last 90 days.
    Known,
}

/// The accounts and users whose failures a count contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Failures of the attempt's account from its network, or of its user.
    Own,
    /// Also failures of the same account from other networks.
    Account,
    /// Also failures of other accounts or users.
    Shared,
}

/// A policy applied to one attempt.
#[derive(Debug, Clone)]
pub struct Count {
    /// The row's key.
    pub key: RateLimitKey,
    /// Whose failures it contains.
    pub scope: Scope,
    /// The number of failures that fills it.
    pub limit: i64,
    /// Milliseconds until one failure is forgotten.
    pub drain: i64,
    /// The number of concurrent attempts, for counts of one account or user.
    pub concurrency: Option<i64>,
    /// The time for which it refuses attempts once it is full.
    pub wait: Wait,
    /// The attempts that are allowed even if the count is full.
    pub exempt: Exempt,
}

impl<Limits> Policy<Limits> {
    /// The counts of this policy, one for each key. None if there is no limit.
    fn counts(&self, limits: &Limits, keys: Vec<RateLimitKey>) -> Vec<Count> {
        let limit = (self.limit)(limits);
        let scope = self.subject.scope();
        let drain = match self.forget {
            OneEvery(period) => period,
            AllIn(period) => period / limit.max(1).try_into().unwrap_or(i32::MAX),
        };
        // An unlimited own count is still kept: it shows whether the account is known, and whether the attempt is the first.
        let limit = match (limit, self.subject) {
            (0, AccountAtNetwork | User) => u32::MAX,
            (0, _) => return Vec::new(),
            _ => limit,
        };
        let concurrency = match self.subject {
            AccountAtNetwork | User => Some(limit.into()),
            Account => Some(ACCOUNT_CONCURRENCY),
            _ => None,
        };
        let count = |key| Count {
            key,
            scope,
            limit: limit.into(),
            drain: drain.num_milliseconds().max(1),
            concurrency,
            wait: self.wait,
            exempt: self.exempt,
        };
        keys.into_iter().map(count).collect()
    }
}

/// The operator's limits on passwords. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordLimits {
    /// Failures of one account from one network before there is a wait.
    pub free: u32,
    /// Failures of one account from all networks.
    pub account: u32,
    /// Failures from one network, until repeated attempts from there are refused.
    pub address: u32,
    /// Failures from one network, until unknown accounts are refused there.
    pub address_spray: u32,
    /// Failures on the whole server, until unknown accounts are refused.
    pub server_spray: u32,
}

impl PasswordLimits {
    /// The default limits.
    pub const DEFAULT: Self =
        Self { free: 5, account: 100, address: 100, address_spray: 1_000, server_spray: 10_000 };
    /// No limits.
    pub const NONE: Self = Self { free: 0, account: 0, address: 0, address_spray: 0, server_spray: 0 };

    /// The counts of a sign-in to an account from a network. The first is the attempt's own.
    pub fn counts(self, email: &Email, network: Network) -> Vec<Count> {
        if self == Self::NONE {
            return Vec::new();
        }
        let enclosing = || network.enclosing().into_iter();
        let keys = |subject| match subject {
            AccountAtNetwork => vec![RateLimitKey::account_from(email, network)],
            AccountAtSite if network.site() == network => Vec::new(),
            AccountAtSite => vec![RateLimitKey::account_at_site(email, network.site())],
            Account => vec![RateLimitKey::account(email)],
            SignInsFrom => enclosing().map(RateLimitKey::sign_ins_from).collect(),
            SprayFrom => enclosing().map(RateLimitKey::spray_from).collect(),
            // A random shard: a client that could choose the shard could fill that of a chosen account.
            Server => vec![RateLimitKey::sign_ins(fastrand::u32(..SHARDS))],
            User | JoinsFrom | GeneratedCodes | RegistrationsFrom | ResetsFrom | StudentAccountsBy
            | StudentImportsBy => Vec::new(),
        };
        SIGN_IN.iter().flat_map(|policy| policy.counts(&self, keys(policy.subject))).collect()
    }

    /// The count that a stored key of an account belongs to. `None` if it has no limit.
    pub(super) fn count_of_account(self, key: &RateLimitKey) -> Option<Count> {
        let subject = match key.account_scope() {
            AccountScope::Everywhere => Account,
            AccountScope::Network => AccountAtNetwork,
            AccountScope::Site => AccountAtSite,
        };
        let policy = SIGN_IN.iter().find(|policy| policy.subject == subject)?;
        policy.counts(&self, vec![key.clone()]).pop()
    }
}

/// The count of the join codes generated for a class: `limit` at once, then as many per minute. 0 is no limit.
pub fn generated_codes(class: ClassId, limit: u32) -> Option<Count> {
    only(&GENERATE, &limit, RateLimitKey::generated_codes(class))
}

/// The count of the requests of a teacher that make accounts or passwords of students: `limit` at once, then as many per hour. 0 is
/// no limit.
pub fn student_accounts_by(owner: UserId, limit: u32) -> Option<Count> {
    only(&MAKE_STUDENT_ACCOUNTS, &limit, RateLimitKey::student_accounts_by(owner))
}

/// The count of the files of students of a teacher: `limit` at once, then as many per hour. 0 is no limit.
pub fn student_imports_by(owner: UserId, limit: u32) -> Option<Count> {
    only(&IMPORT_STUDENTS, &limit, RateLimitKey::student_imports_by(owner))
}

/// The operator's limits on registrations and resets. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// Registrations from one network at once, and then in an hour.
    pub registrations: u32,
    /// Requests to reset a password from one network at once, and then in an hour.
    pub resets: u32,
}

impl AccountLimits {
    /// The default limits. A school behind one address registers in an evening.
    pub const DEFAULT: Self = Self { registrations: 1_000, resets: 600 };
    /// No limits.
    pub const NONE: Self = Self { registrations: 0, resets: 0 };

    /// The count of the registrations from a network.
    pub fn registrations_from(self, network: Network) -> Option<Count> {
        only(&REGISTER, &self, RateLimitKey::registrations_from(network.site()))
    }

    /// The count of the requests to reset a password from a network.
    pub fn resets_from(self, network: Network) -> Option<Count> {
        only(&REQUEST_RESET, &self, RateLimitKey::resets_from(network.site()))
    }
}

/// The count of a table with one policy and one key.
fn only<Limits>(policies: &[Policy<Limits>; 1], limits: &Limits, key: RateLimitKey) -> Option<Count> {
    let [policy] = policies;
    policy.counts(limits, vec![key]).pop()
}

/// The operator's limits on join codes. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinLimits {
    /// Failed joins of one user.
    pub user: u32,
    /// Failed joins from one network, until users with a failure are refused there.
    pub address: u32,
}

impl JoinLimits {
    /// The default limits.
    pub const DEFAULT: Self = Self { user: 10, address: 300 };
    /// No limits.
    pub const NONE: Self = Self { user: 0, address: 0 };

    /// The counts of a user's attempt to join from a network. The first is the attempt's own.
    pub fn counts(self, user: UserId, network: Network) -> Vec<Count> {
        if self == Self::NONE {
            return Vec::new();
        }
        let keys = |subject| match subject {
            User => vec![RateLimitKey::joiner(user)],
            JoinsFrom => network.enclosing().into_iter().map(RateLimitKey::joins_from).collect(),
            _ => Vec::new(),
        };
        JOIN.iter().flat_map(|policy| policy.counts(&self, keys(policy.subject))).collect()
    }
}
