//! How many connections each client address has, and may have.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use super::Limits;
use crate::domain::network::Network;

/// How many of the places are for addresses that have no connection, such as those of health probes; fewer if there are few
/// places.
const RESERVED: usize = 16;

/// How often refused connections are logged at most.
const LOG_PAUSE: Duration = Duration::from_mins(1);

/// The connections of each address.
#[derive(Default)]
struct Counts(Mutex<HashMap<Network, usize>>);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        // Every change is a single step, so that a panic elsewhere cannot have left half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides which connections are served.
pub(super) struct Shares {
    limits: Limits,
    exempt: Vec<IpNet>,
    counts: Arc<Counts>,
    logged: Option<Instant>,
}

/// A connection that is served. It counts until this is dropped.
pub(super) struct Admitted {
    /// Whether the connection may be kept for further requests.
    pub(super) is_kept: bool,
    /// Its address and where it is counted, unless its address is exempt.
    counted: Option<(Arc<Counts>, Network)>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((counts, network)) = self.counted.take() {
            let mut counts = counts.lock();
            if let Some(count) = counts.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&network);
                }
            }
        }
    }
}

impl Shares {
    /// `exempt` are the networks whose connections do not count, because many clients share one address there.
    pub(super) fn new(limits: Limits, exempt: Vec<IpNet>) -> Self {
        Self { limits, exempt, counts: Arc::default(), logged: None }
    }

    /// Counts one more connection, unless the share of its address is used up. `open` is how many there are.
    pub(super) fn admit(&mut self, address: IpAddr, open: usize) -> Option<Admitted> {
        let most = self.limits.max_connections;
        let is_half_full = open >= most / 2;
        let share = self.limits.max_connections_per_address;
        let address = address.to_canonical();
        if share == 0 || self.exempt.iter().any(|network| network.contains(&address)) {
            return Some(Admitted { is_kept: !is_half_full, counted: None });
        }
        let network = Network::of(Some(address)).site();
        let mut counts = self.counts.lock();
        let held = counts.get(&network).copied().unwrap_or_default();
        // Never more than there are free places: several addresses together leave some, too.
        let free = most.saturating_sub(open + RESERVED.min(most / 16));
        if held > 0 && held >= share.min(free) {
            drop(counts);
            self.refuse(network, held);
            return None;
        }
        counts.insert(network, held + 1);
        let is_kept = !is_half_full && held < share.div_ceil(2);
        Some(Admitted { is_kept, counted: Some((Arc::clone(&self.counts), network)) })
    }

    fn refuse(&mut self, network: Network, held: usize) {
        metrics::counter!(crate::metrics::CONNECTIONS_REFUSED).increment(1);
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_PAUSE) {
            self.logged = Some(Instant::now());
            tracing::warn!(%network, connections = held, "refusing connections of an address that has its share");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(max_connections: usize, max_connections_per_address: usize) -> Shares {
        let limits = Limits { max_connections, max_connections_per_address, ..Limits::default() };
        Shares::new(limits, vec!["10.0.0.0/8".parse().unwrap()])
    }

    /// Connects from this address until it is refused.
    fn fill(shares: &mut Shares, open: &mut Vec<Admitted>, address: &str) -> usize {
        let before = open.len();
        while open.len() < shares.limits.max_connections {
            let Some(admitted) = shares.admit(address.parse().unwrap(), open.len()) else { break };
            open.push(admitted);
        }
        open.len() - before
    }

    #[test]
    fn address_gets_its_share_and_others_connect_after_that() {
        let (mut shares, mut open) = (shares(1024, 512), Vec::new());
        assert_eq!(fill(&mut shares, &mut open, "192.0.2.1"), 504);
        assert_eq!(fill(&mut shares, &mut open, "::ffff:192.0.2.1"), 0);
        assert!(shares.admit("192.0.2.2".parse().unwrap(), open.len()).is_some());
        open.pop();
        assert_eq!(fill(&mut shares, &mut open, "192.0.2.1"), 1);
    }

    #[test]
    fn address_with_a_small_share_gets_no_more() {
        let (mut shares, mut open) = (shares(1024, 3), Vec::new());
        assert_eq!(fill(&mut shares, &mut open, "192.0.2.1"), 3);
        // The second half of a share is for single requests.
        assert_eq!(open.iter().map(|admitted| admitted.is_kept).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn site_of_ipv6_is_one_address() {
        let (mut shares, mut open) = (shares(1024, 3), Vec::new());
        for (address, admitted) in
            [("2001:db8:1::1", 3), ("2001:db8:1:2::3", 0), ("2001:db8:2::1", 3), ("2001:db8:2:ffff::1", 0)]
        {
            assert_eq!(fill(&mut shares, &mut open, address), admitted, "{address}");
        }
    }

    #[test]
    fn many_addresses_together_leave_places_for_a_new_one() {
        let (mut shares, mut open) = (shares(1024, 512), Vec::new());
        for host in 1..=20 {
            assert!(fill(&mut shares, &mut open, &format!("192.0.2.{host}")) > 0);
        }
        assert!(open.len() < 1024);
        assert!(shares.admit("198.51.100.1".parse().unwrap(), open.len()).is_some());
    }

    #[test]
    fn trusted_proxy_may_have_every_place() {
        for address in ["10.1.2.3", "::ffff:10.1.2.3"] {
            assert_eq!(fill(&mut shares(1024, 3), &mut Vec::new(), address), 1024);
        }
    }

    #[test]
    fn share_of_zero_is_no_limit() {
        assert_eq!(fill(&mut shares(1024, 0), &mut Vec::new(), "192.0.2.1"), 1024);
    }

    #[test]
    fn smallest_server_has_a_place_for_everyone_in_turn() {
        let mut shares = shares(1, 1);
        for _ in 0..2 {
            assert!(shares.admit("192.0.2.1".parse().unwrap(), 0).is_some());
        }
    }

    #[test]
    fn addresses_without_connections_are_forgotten() {
        let (mut shares, mut open) = (shares(8, 2), Vec::new());
        fill(&mut shares, &mut open, "192.0.2.1");
        open.clear();
        assert!(shares.counts.lock().is_empty());
    }
}
