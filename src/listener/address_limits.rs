//! The limit on the connections of one client address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use super::Limits;
use crate::domain::network::Network;

/// The number of connections reserved for addresses without one, such as those of health checks. It is less on a server with few
/// connections.
const RESERVED: usize = 16;

/// The minimum time between two log lines about refused connections.
const LOG_PAUSE: Duration = Duration::from_mins(1);

/// The number of connections of each address.
#[derive(Default)]
struct Counts(Mutex<HashMap<Network, usize>>);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        // Every change is one step, so a panic cannot leave an inconsistent state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides whether a connection is served.
pub(super) struct AddressLimits {
    limits: Limits,
    exempt: Vec<IpNet>,
    counts: Arc<Counts>,
    logged: Option<Instant>,
}

/// A served connection. It is counted until this is dropped.
pub(super) struct Admitted {
    /// Whether the connection may be kept alive.
    pub(super) is_kept: bool,
    /// Its counter and its address, unless the address is exempt.
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

impl AddressLimits {
    /// Connections from the networks `exempt` are not counted: reverse proxies send the requests of many clients.
    pub(super) fn new(limits: Limits, exempt: Vec<IpNet>) -> Self {
        Self { limits, exempt, counts: Arc::default(), logged: None }
    }

    /// Counts a new connection. None if its address has reached its limit. `open` is the number of all open connections.
    pub(super) fn admit(&mut self, address: IpAddr, open: usize) -> Option<Admitted> {
        let most = self.limits.max_connections;
        let is_half_full = open >= most / 2;
        let limit = self.limits.max_connections_per_address;
        let address = address.to_canonical();
        if limit == 0 || self.exempt.iter().any(|network| network.contains(&address)) {
            return Some(Admitted { is_kept: !is_half_full, counted: None });
        }
        let network = Network::of(Some(address)).site();
        let mut counts = self.counts.lock();
        let own = counts.get(&network).copied().unwrap_or_default();
        // At most as many as are free, so that several addresses together leave some as well.
        let free = most.saturating_sub(open + RESERVED.min(most / 16));
        if own > 0 && own >= limit.min(free) {
            drop(counts);
            self.refuse(network, own);
            return None;
        }
        counts.insert(network, own + 1);
        let is_kept = !is_half_full && own < limit.div_ceil(2);
        Some(Admitted { is_kept, counted: Some((Arc::clone(&self.counts), network)) })
    }

    fn refuse(&mut self, network: Network, own: usize) {
        metrics::counter!(crate::metrics::CONNECTIONS_REFUSED).increment(1);
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_PAUSE) {
            self.logged = Some(Instant::now());
            tracing::warn!(%network, connections = own, "refusing connections of an address that has reached its limit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_limits(max_connections: usize, max_connections_per_address: usize) -> AddressLimits {
        let limits = Limits { max_connections, max_connections_per_address, ..Limits::default() };
        AddressLimits::new(limits, vec!["10.0.0.0/8".parse().unwrap()])
    }

    /// Connects from this address until a connection is refused.
    fn fill(addresses: &mut AddressLimits, open: &mut Vec<Admitted>, address: &str) -> usize {
        let before = open.len();
        while open.len() < addresses.limits.max_connections {
            let Some(admitted) = addresses.admit(address.parse().unwrap(), open.len()) else { break };
            open.push(admitted);
        }
        open.len() - before
    }

    #[test]
    fn address_at_its_limit_is_refused_and_others_are_admitted() {
        let (mut addresses, mut open) = (address_limits(1024, 512), Vec::new());
        assert_eq!(fill(&mut addresses, &mut open, "192.0.2.1"), 504);
        assert_eq!(fill(&mut addresses, &mut open, "::ffff:192.0.2.1"), 0);
        assert!(addresses.admit("192.0.2.2".parse().unwrap(), open.len()).is_some());
        open.pop();
        assert_eq!(fill(&mut addresses, &mut open, "192.0.2.1"), 1);
    }

    #[test]
    fn address_with_a_small_limit_is_refused_beyond_it() {
        let (mut addresses, mut open) = (address_limits(1024, 3), Vec::new());
        assert_eq!(fill(&mut addresses, &mut open, "192.0.2.1"), 3);
        // Connections beyond half of the limit are not kept alive.
        assert_eq!(open.iter().map(|admitted| admitted.is_kept).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn ipv6_site_counts_as_one_address() {
        let (mut addresses, mut open) = (address_limits(1024, 3), Vec::new());
        for (address, admitted) in
            [("2001:db8:1::1", 3), ("2001:db8:1:2::3", 0), ("2001:db8:2::1", 3), ("2001:db8:2:ffff::1", 0)]
        {
            assert_eq!(fill(&mut addresses, &mut open, address), admitted, "{address}");
        }
    }

    #[test]
    fn many_addresses_together_leave_connections_for_a_new_one() {
        let (mut addresses, mut open) = (address_limits(1024, 512), Vec::new());
        for host in 1..=20 {
            assert!(fill(&mut addresses, &mut open, &format!("192.0.2.{host}")) > 0);
        }
        assert!(open.len() < 1024);
        assert!(addresses.admit("198.51.100.1".parse().unwrap(), open.len()).is_some());
    }

    #[test]
    fn trusted_proxy_may_use_every_connection() {
        for address in ["10.1.2.3", "::ffff:10.1.2.3"] {
            assert_eq!(fill(&mut address_limits(1024, 3), &mut Vec::new(), address), 1024);
        }
    }

    #[test]
    fn limit_of_zero_is_no_limit() {
        assert_eq!(fill(&mut address_limits(1024, 0), &mut Vec::new(), "192.0.2.1"), 1024);
    }

    #[test]
    fn server_with_one_connection_admits_one_after_another() {
        let mut addresses = address_limits(1, 1);
        for _ in 0..2 {
            assert!(addresses.admit("192.0.2.1".parse().unwrap(), 0).is_some());
        }
    }

    #[test]
    fn address_without_connections_is_removed() {
        let (mut addresses, mut open) = (address_limits(8, 2), Vec::new());
        fill(&mut addresses, &mut open, "192.0.2.1");
        open.clear();
        assert!(addresses.counts.lock().is_empty());
    }
}
