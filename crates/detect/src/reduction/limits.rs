//! The numbers that decide, each with its unit and where it comes from.

/// All limits of a [`Reducer`](super::Reducer). The defaults were chosen on five networks of the AIT alert data set;
/// each may be 30 % smaller or larger without a lost attack phase or kind of event there.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Milliseconds without a sighting after which the next one begins a new episode: an hour.
    pub episode_gap_ms: i64,
    /// Milliseconds from the first alert in which the network is only being learned: a day, since the habits of
    /// people and of scheduled jobs repeat daily. Until then only alerts of a kind never seen anywhere are kept.
    pub learn_ms: i64,
    /// Episodes a day of one alert's name on one host, up to which it is rare there.
    pub rare_on_host: f64,
    /// Episodes a day of the alert's kind on the whole network, up to which it is rare there.
    pub rare_on_network: f64,
    /// Bound of the sum of both rates for something rare that comes in company. What returns alone must stay below
    /// half of it.
    pub rare_together: f64,
    /// Factor on the three limits above while a surge lasts.
    pub surge_factor: f64,
    /// Milliseconds within which rare alerts of one host are in company.
    pub company_ms: i64,
    /// Alerts of one name and host within `company_ms` that are company for each other.
    pub company_count: u64,
    /// Milliseconds within which one kind of alert on one host is kept only once while there is no surge.
    pub repeat_ms: i64,
    /// Milliseconds over which new things are counted to see a surge: ten minutes.
    pub surge_window_ms: i64,
    /// New things within the window that make a surge, at least.
    pub surge_count: usize,
    /// How many times as many new things as usual on this network make a surge.
    pub surge_ratio: f64,
    /// Milliseconds that a surge lasts after its last sign: an hour, so that the quiet step of an attack (cracking a
    /// password took up to 36 minutes) is still seen with the loud one.
    pub surge_lasts_ms: i64,
    /// Smallest count within an episode that is a burst while a surge lasts. Each doubling is kept once.
    pub burst_in_surge: u64,
    /// Smallest count within an episode of something rare on its host that is, at each doubling, a sign of a surge.
    pub burst_sign: u64,
    /// Smallest count within an episode that is a burst at any other time.
    pub burst_alone: u64,
    /// Milliseconds that the incident of unconnected alerts stays open: a day and a half.
    pub background_ms: i64,
    /// Kept alerts up to which an incident may grow in any case.
    pub incident_min: u64,
    /// Part of all kept alerts so far (one in this many) that one incident may hold beyond `incident_min`.
    pub incident_share: u64,
    /// Kept alerts within a surge after which a host gets an incident of its own.
    pub own_incident: u32,
    /// Alerts that may be kept at once, and milliseconds in which one more becomes allowed: of one host.
    pub host_budget: (u32, i64),
    /// The same for the whole network.
    pub network_budget: (u32, i64),
    /// Entries of the table of names on hosts. Kinds on hosts have half as many, kinds and hosts a quarter.
    pub table_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const HOUR: i64 = 3_600_000;
        Self {
            episode_gap_ms: HOUR,
            learn_ms: 24 * HOUR,
            rare_on_host: 1.5,
            rare_on_network: 3.25,
            rare_together: 4.0,
            surge_factor: 2.5,
            company_ms: 3_000,
            company_count: 6,
            repeat_ms: 60_000,
            surge_window_ms: HOUR / 6,
            surge_count: 5,
            surge_ratio: 10.0,
            surge_lasts_ms: HOUR,
            burst_in_surge: 8,
            burst_sign: 64,
            burst_alone: 16_384,
            background_ms: 36 * HOUR,
            incident_min: 25,
            incident_share: 6,
            own_incident: 4,
            host_budget: (200, HOUR / 50),
            network_budget: (600, HOUR / 200),
            table_size: 65_536,
        }
    }
}
