//! What the engine needs to know, as plain data.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dfly_translate::Rules;
use dfly_wire::Limits;
use redis_resp::connection::Endpoint;
use redis_sink::WindowLimits;
use redis_sink::cluster::{AddressMap, KnownNodes};

use crate::clock::Clock;

/// Settings of one replication.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The Dragonfly master.
    pub source: Endpoint,
    /// Other addresses of the source: after a switchover the master is found among them.
    pub other_sources: Vec<Endpoint>,
    /// What a run does about a source with another history than the one it has followed.
    pub on_new_source: OnNewSource,
    /// With [`OnNewSource::Wait`]: the share of the keys that the source had, in percent, from which it is synchronised
    /// without a question.
    pub new_source_share: u8,
    /// The share of the target's keys, in percent, that a full synchronisation may remove without a question.
    pub max_removals: u8,
    /// The Redis or Valkey server.
    pub target: Endpoint,
    /// Other nodes of the target, if it is a cluster: any of them will do.
    pub other_targets: Vec<Endpoint>,
    /// The nodes that the target has named, if it is a cluster. They are asked when no other answers.
    pub known_targets: KnownNodes,
    /// Whether the target is a cluster.
    pub target_mode: TargetMode,
    /// Where the nodes of a cluster are reached whose announced addresses cannot be used from here.
    pub target_addresses: AddressMap,
    /// Replicas per primary of a cluster that must acknowledge before a checkpoint is stored, or all that it has if it has
    /// fewer.
    pub wait_replicas: u16,
    /// Whether a target is written to that evicts keys when its memory is full.
    pub allows_evictions: bool,
    /// What reaches the target, under which names, and what to do with what it cannot hold.
    pub rules: Arc<Rules>,
    /// What a first start does with a target that holds keys.
    pub on_start: OnStart,
    /// With [`OnStart::Merge`], what becomes of keys that both hold.
    pub on_conflict: OnConflict,
    /// How many bytes of the snapshot are read in a second, over all flows.
    pub snapshot_bytes_per_second: Option<u64>,
    /// How many commands are sent to the target in a second, over all flows.
    pub target_ops_per_second: Option<u64>,
    /// The most memory, in bytes, for what is on its way from the source to the target, over all flows: read ahead, in
    /// flight, waiting for the disk, refetched values, and one value that has to be held whole. The sizes that follow are
    /// made smaller to keep within it. Not in it are names of keys that are to be refetched, or that have members with an
    /// expiry, and some 16 MiB of the program itself.
    pub memory_limit: usize,
    /// What may be in flight to the target for one flow.
    pub window: WindowLimits,
    /// How large a batch grows while the target keeps up, in bytes. It is one transaction.
    pub batch: usize,
    /// How large a batch for a cluster may grow while its nodes are behind, in bytes: records of a slot that share a batch share
    /// a transaction.
    pub gathered: usize,
    /// What the decoders accept. A record, an element or a document over `limits.string` ends the run: it has to be held
    /// whole.
    pub limits: Limits,
    /// How many bytes of one flow are read ahead while the target is behind, so that the source is not held up.
    pub read_ahead: usize,
    /// The size from which a frame of the relay log is written, in bytes.
    pub relay_frame: usize,
    /// The most that is kept of what was sent and not answered, so that it can go to the relay log, in bytes.
    pub recent: usize,
    /// The most bytes of records of one flow that wait for their key to be refetched. Beyond it the key is read later.
    pub parked: usize,
    /// The most bytes of refetched values, over all flows: a value counts as it arrives and as it is written. A larger value
    /// cannot be refetched.
    pub refetch_memory: usize,
    /// How many expiries of one flow's keys are remembered, by some 10 bytes each, so that few records have to be checked
    /// for keys that the target has let expire too early. Beyond it every record is.
    pub expiries: usize,
    /// How long the target may let records wait until it is looked at again which of their keys may have expired.
    pub expiry_horizon: Duration,
    /// The largest argument of a command that the target takes, in bytes. A run asks the target, if it may.
    pub largest_argument: usize,
    /// How often positions are acknowledged at the least.
    pub ack_interval: Duration,
    /// How often the control connection is asked whether the source is alive.
    pub ping_interval: Duration,
    /// A flow of the snapshot that sends nothing for this long while the target takes everything is silent: another attempt
    /// is made.
    pub progress_timeout: Duration,
    /// How often a [`crate::Report`] is published.
    pub report_interval: Duration,
    /// How often the state file is written at the most, while the phase stays the same.
    pub state_interval: Duration,
    /// The longest wait for the target to answer what is in flight when the run is stopped.
    pub drain_timeout: Duration,
    /// A target that answers nothing for this long while something is in flight counts as gone.
    pub target_timeout: Duration,
    /// How long a connection to the target is unused at the most, so that no server and no load balancer closes it for that.
    pub target_keepalive: Duration,
    /// How often the target is asked how many keys it has evicted.
    pub eviction_interval: Duration,
    /// How often members and fields are removed that are due.
    pub sweep_interval: Duration,
    /// What to do when the source or the target is gone.
    pub reconnect: Reconnect,
    /// Synchronise fully, whatever positions the target holds.
    pub force_resync: bool,
    /// Whether the run asks ([`Report::question`](crate::Report::question)) and waits where it would end because only a full
    /// synchronisation can go on, which replaces or removes what the target holds.
    pub asks: bool,
    /// Where the state file and the relay log are kept, if at all.
    pub state_dir: Option<PathBuf>,
    /// The most bytes of each flow's journal that are kept on disk while the target is slower; 0: none, and a slow target
    /// slows the source down once `read_ahead` is reached.
    pub relay_max_bytes: u64,
    /// What happens when the relay log is full.
    pub on_relay_full: OnRelayFull,
    /// Where the time comes from.
    pub clock: Clock,
}

/// What happens when the relay log is full: the target has taken too little for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRelayFull {
    /// The source is left, so that its clients do not wait. Once the target answers again, the source is asked for the rest,
    /// which is a full synchronisation if it has kept too little.
    #[default]
    Close,
    /// The source is read only as fast as the target takes. Its clients wait for that.
    Throttle,
    /// The run ends.
    Stop,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetMode {
    /// As it says itself (`cluster_enabled` of INFO).
    #[default]
    Auto,
    /// A single server, or something that behaves like one.
    Standalone,
    /// A cluster.
    Cluster,
}

/// What a first start does with a target that holds keys. A start that finds positions or an unfinished synchronisation
/// of its own goes on without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnStart {
    /// It refuses.
    #[default]
    RequireEmpty,
    /// Keys of the source replace those of the same name, others stay.
    Merge,
    /// Keys of the source replace those of the same name; others are removed when the snapshot is complete.
    Mirror,
    /// The target is emptied first.
    Flush,
}

/// What a run does about a source with another history: one that was restarted, or a server that was never a replica of the
/// one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnNewSource {
    /// It synchronises fully.
    Resync,
    /// It synchronises fully if the source still holds most of its keys. Otherwise it leaves the target as it is, and waits
    /// for the data to come back or for a person's word.
    #[default]
    Wait,
    /// It ends.
    Stop,
}

/// What becomes of keys that are on both sides when a first start merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// The source's value replaces the target's.
    #[default]
    Overwrite,
    /// The target's value stays, and what the source does with the key later is passed over.
    Skip,
    /// The run stops before the first write of such a key.
    Panic,
}

/// When the source or the target is gone in stable sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// The delay before the first attempt.
    pub first_delay: Duration,
    /// The longest delay between two attempts.
    pub longest_delay: Duration,
    /// How long attempts may fail in a row before the run ends; `None`: for ever.
    pub give_up_after: Option<Duration>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(200),
            longest_delay: Duration::from_secs(10),
            give_up_after: None,
        }
    }
}

/// Values up to this size are written as one command, which is several times cheaper for the target than growing them.
const PIECE: usize = 512 << 10;

impl EngineConfig {
    /// The defaults, for two servers.
    pub fn new(source: Endpoint, target: Endpoint) -> Self {
        Self {
            source,
            other_sources: Vec::new(),
            on_new_source: OnNewSource::default(),
            new_source_share: 50,
            max_removals: 50,
            target,
            other_targets: Vec::new(),
            known_targets: KnownNodes::default(),
            target_mode: TargetMode::default(),
            target_addresses: AddressMap::default(),
            wait_replicas: 1,
            allows_evictions: false,
            rules: Arc::default(),
            on_start: OnStart::default(),
            on_conflict: OnConflict::default(),
            snapshot_bytes_per_second: None,
            target_ops_per_second: None,
            memory_limit: 256 << 20,
            window: WindowLimits::default(),
            batch: 256 << 10,
            gathered: 8 << 20,
            limits: Limits { piece: PIECE, ..Limits::default() },
            read_ahead: 64 << 20,
            relay_frame: 1 << 20,
            recent: 2 << 20,
            parked: 4 << 20,
            refetch_memory: 1 << 30,
            expiries: 100 << 20,
            expiry_horizon: Duration::from_secs(10),
            largest_argument: 512 << 20,
            ack_interval: Duration::from_secs(1),
            ping_interval: Duration::from_secs(5),
            progress_timeout: Duration::from_secs(60),
            report_interval: Duration::from_millis(500),
            state_interval: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            target_timeout: Duration::from_secs(30),
            target_keepalive: Duration::from_secs(1),
            eviction_interval: Duration::from_secs(5),
            sweep_interval: Duration::from_secs(1),
            reconnect: Reconnect::default(),
            force_resync: false,
            asks: false,
            state_dir: None,
            relay_max_bytes: 8 << 30,
            on_relay_full: OnRelayFull::default(),
            clock: Clock::system(),
        }
    }
}
