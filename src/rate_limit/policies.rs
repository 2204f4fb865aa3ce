//! The table of all limits on guessing.

use chrono::TimeDelta;

use crate::domain::{
    email::Email,
    id::{ClassId, UserId},
    network::Network,
    rate_limit_key::RateLimitKey,
};

/// How long a failure of an account is remembered: so much later another one may follow, however full its counts are.
const ACCOUNT_DRAIN: TimeDelta = TimeDelta::minutes(15);
/// In which time a full count that strangers share is empty again.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// How many sign-ins of one account may be judged at the same time, from all networks together.
const ACCOUNT_AT_ONCE: i64 = 16;
/// Failures of an account from all of a subscriber's IPv6 networks: as many as one network reaches by waiting.
const SITE_FAILURES: u32 = 15;
/// Shards of the count of sign-ins from everywhere, so that not every failure changes the same row.
const SHARDS: u8 = 16;

/// Which attempts a full count refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuses {
    /// Every attempt, for 1 s after the failure that fills the count and twice as long after each further one, at most 15
    /// minutes.
    BackOff,
    /// Every attempt.
    EveryAttempt,
    /// Attempts whose own count has a failure already; more than one if they are of an account that is known in its network.
    Repeated,
    /// Attempts on an account that did not sign in from this network within the last 90 days.
    Unknown,
}

/// Whose failures a count holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of the attempt's account from its network, or of its user.
    Own,
    /// Those of the attempt's account from other networks too.
    Account,
    /// Those of strangers too.
    Shared,
}

/// A count that an attempt is held against.
#[derive(Debug, Clone)]
pub struct Count {
    /// What is counted.
    pub key: RateLimitKey,
    /// Whose failures it holds.
    pub scope: Scope,
    /// How many failures fill it.
    pub limit: i64,
    /// After how many milliseconds one failure is forgotten.
    pub drain: i64,
    /// How many attempts may be judged at the same time, if they are counted: those of one account or user are.
    pub at_once: Option<i64>,
    /// Which attempts it refuses once it is full.
    pub refuses: Refuses,
}

impl Count {
    /// A count of which one failure is forgotten every `drain`. None if `limit` is 0, which sets no limit.
    fn draining(
        scope: Scope,
        key: RateLimitKey,
        limit: u32,
        drain: TimeDelta,
        refuses: Refuses,
    ) -> Option<Self> {
        let drain = drain.num_milliseconds().max(1);
        (limit > 0).then(|| Self { key, scope, limit: limit.into(), drain, at_once: None, refuses })
    }

    /// A count that is empty again [`WINDOW`] after it was full.
    fn in_window(scope: Scope, key: RateLimitKey, limit: u32, refuses: Refuses) -> Option<Self> {
        Self::draining(scope, key, limit, WINDOW / limit.max(1).try_into().unwrap_or(i32::MAX), refuses)
    }

    fn at_once(self, attempts: i64) -> Self {
        Self { at_once: Some(attempts), ..self }
    }
}

/// How many passwords may be guessed. 0 sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordLimits {
    /// Failures of an account from one network before there is a wait.
    pub free: u32,
    /// Failures of an account from all networks.
    pub account: u32,
    /// Failures from a network, before attempts are refused that have failed there already.
    pub address: u32,
    /// Failures from a network, before accounts are refused that are not known there.
    pub address_spray: u32,
    /// Failures from everywhere, before accounts are refused that are not known in their network.
    pub server_spray: u32,
}

impl PasswordLimits {
    /// The limits unless an operator sets others.
    pub const DEFAULT: Self =
        Self { free: 5, account: 100, address: 100, address_spray: 1_000, server_spray: 10_000 };
    /// No limits.
    pub const NONE: Self = Self { free: 0, account: 0, address: 0, address_spray: 0, server_spray: 0 };

    /// The counts that a sign-in to an account from a network is held against. The first is the account's from this network:
    /// it decides whether the account is known there.
    ///
    /// | counts failures of | limit | forgets | at once | a full count refuses |
    /// |---|---|---|---|---|
    /// | an account from a network (IPv6: /64) | 5 | one in 15 min | 5 | every attempt, for 1 s, 2 s, 4 s, ... 15 min |
    /// | an account from a subscriber (IPv6 alone: /48) | 15 | one in 15 min | | the unknown |
    /// | an account from everywhere | 100 | one in 15 min | 16 | the unknown |
    /// | a network (IPv6: /64, /56, /48) | 100 | all in 5 min | | the repeated |
    /// | a network, for spraying | 1,000 | all in 5 min | | the unknown |
    /// | everywhere, in 16 shards | 10,000 | all in 5 min | | the unknown |
    pub fn counts(self, email: &Email, network: Network) -> Vec<Count> {
        use Refuses::{BackOff, Repeated, Unknown};

        if self == Self::NONE {
            return Vec::new();
        }
        let pair = RateLimitKey::account_from(email, network);
        // Without a limit it is kept all the same, for it says whether the account is known.
        let free = if self.free == 0 { u32::MAX } else { self.free };
        let pair = Count::draining(Scope::Own, pair, free, ACCOUNT_DRAIN, BackOff);
        let site_key = RateLimitKey::account_from(email, network.site());
        let site = self.account.min(SITE_FAILURES);
        let site = Count::draining(Scope::Account, site_key, site, ACCOUNT_DRAIN, Unknown);
        let account = RateLimitKey::account(email);
        let account = Count::draining(Scope::Account, account, self.account, ACCOUNT_DRAIN, Unknown);
        let networks = network.enclosing();
        let address = |network: &Network| {
            Count::in_window(Scope::Shared, RateLimitKey::sign_ins_from(*network), self.address, Repeated)
        };
        let spray = |network: &Network| {
            Count::in_window(Scope::Shared, RateLimitKey::spray_from(*network), self.address_spray, Unknown)
        };
        // By chance, and not by the caller: a chosen shard could be filled to keep a chosen account out.
        let shard = RateLimitKey::sign_ins(fastrand::u8(..SHARDS));
        let server =
            Count::in_window(Scope::Shared, shard, self.server_spray.div_ceil(SHARDS.into()), Unknown);
        pair.map(|pair| pair.at_once(free.into()))
            .into_iter()
            .chain(site.filter(|_| network.site() != network))
            .chain(account.map(|account| account.at_once(ACCOUNT_AT_ONCE)))
            .chain(networks.iter().filter_map(address))
            .chain(networks.iter().filter_map(spray))
            .chain(server)
            .collect()
    }
}

/// Join codes generated for a class: `limit` at once, and then as many a minute. 0 sets no limit.
pub fn generated_codes(class: ClassId, limit: u32) -> Option<Count> {
    let drain = TimeDelta::minutes(1) / limit.max(1).try_into().unwrap_or(i32::MAX);
    Count::draining(Scope::Own, RateLimitKey::generated_codes(class), limit, drain, Refuses::EveryAttempt)
}

/// How many join codes may be guessed. 0 sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinLimits {
    /// Failed joins of a user.
    pub user: u32,
    /// Failed joins from a network, before users are refused who have failed already.
    pub address: u32,
}

impl JoinLimits {
    /// The limits unless an operator sets others.
    pub const DEFAULT: Self = Self { user: 10, address: 300 };
    /// No limits.
    pub const NONE: Self = Self { user: 0, address: 0 };

    /// The counts that a user's attempt to join is held against. The first is the user's own.
    ///
    /// | counts failures of | limit | forgets | at once | a full count refuses |
    /// |---|---|---|---|---|
    /// | a user | 10 | all in 5 min | 10 | every attempt |
    /// | a network (IPv6: /64, /56, /48) | 300 | all in 5 min | | the repeated |
    pub fn counts(self, user: UserId, network: Network) -> Vec<Count> {
        if self == Self::NONE {
            return Vec::new();
        }
        let own = RateLimitKey::joiner(user);
        // Without a limit it is kept all the same, for it says whether the user has failed.
        let own = match self.user {
            0 => Count::draining(Scope::Own, own, u32::MAX, WINDOW, Refuses::EveryAttempt),
            limit => Count::in_window(Scope::Own, own, limit, Refuses::EveryAttempt),
        };
        let networks = network.enclosing();
        let address = |network: &Network| {
            Count::in_window(
                Scope::Shared,
                RateLimitKey::joins_from(*network),
                self.address,
                Refuses::Repeated,
            )
        };
        let own = own.map(|own| own.clone().at_once(own.limit));
        own.into_iter().chain(networks.iter().filter_map(address)).collect()
    }
}
