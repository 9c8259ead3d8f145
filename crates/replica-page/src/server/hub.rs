//! One look at the run a second for all readers, as long as there are any.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use replica_api::wire::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{MissedTickBehavior, interval};

use super::frames::{Frame, Parts};
use super::source::Source;
use crate::render::Reader;
use crate::seen::Seen;

/// How many readers there may be.
const READERS: usize = 64;

/// How many frames a slow reader may lag behind before it is sent everything anew.
const FRAMES: usize = 8;

/// How often the run is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Over how many looks the rates of single flows are taken.
const EARLIER: usize = 5;

/// Who reads, and what they are sent. Copies share it.
#[derive(Debug, Clone)]
pub(super) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Source,
    readers: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    audiences: HashMap<Reader, Audience>,
    /// Whether somebody looks at the run.
    is_looking: bool,
    /// The last looks.
    earlier: VecDeque<Status>,
}

/// Those who read in one language and over one period.
#[derive(Debug)]
struct Audience {
    parts: Parts,
    frames: broadcast::Sender<Frame>,
}

/// A reader that is sent what changes.
#[derive(Debug)]
pub(super) struct Listener {
    pub frames: broadcast::Receiver<Frame>,
    _place: OwnedSemaphorePermit,
}

impl Hub {
    pub(super) fn new(source: Source) -> Self {
        let readers = Arc::new(Semaphore::new(READERS));
        Self(Arc::new(Shared { source, readers, state: Mutex::default() }))
    }

    /// What there is to see now.
    pub(super) async fn look(&self) -> Seen {
        let seen = self.0.source.look().await;
        let before = self.0.lock().earlier.front().cloned();
        Seen { before, ..seen }
    }

    /// Begins to listen, and gives all parts as they are; `None` if there are too many readers.
    pub(super) async fn listen(&self, reader: Reader) -> Option<(Frame, Listener)> {
        let place = Arc::clone(&self.0.readers).try_acquire_owned().ok()?;
        let seen = self.look().await;
        let mut state = self.0.lock();
        let audience = state
            .audiences
            .entry(reader)
            .or_insert_with(|| Audience { parts: Parts::default(), frames: broadcast::channel(FRAMES).0 });
        // Those who listen already hear of what is new too.
        if let Some(change) = audience.parts.change(&seen, reader) {
            let _heard = audience.frames.send(change).is_ok();
        }
        let frames = audience.frames.subscribe();
        let all = audience.parts.all();
        if !std::mem::replace(&mut state.is_looking, true) {
            tokio::spawn(Arc::clone(&self.0).go_on_looking());
        }
        Some((all, Listener { frames, _place: place }))
    }

    /// All parts, for a reader that was too slow.
    pub(super) fn all(&self, reader: Reader) -> Option<Frame> {
        self.0.lock().audiences.get(&reader).map(|audience| audience.parts.all())
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks once a second until nobody listens.
    async fn go_on_looking(self: Arc<Self>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let seen = self.source.look().await;
            let mut state = self.lock();
            state.audiences.retain(|_, audience| audience.frames.receiver_count() > 0);
            if state.audiences.is_empty() {
                *state = State::default();
                return;
            }
            state.show(seen);
        }
    }
}

impl State {
    fn show(&mut self, seen: Seen) {
        self.earlier.push_back(seen.status.clone());
        if self.earlier.len() > EARLIER {
            self.earlier.pop_front();
        }
        let seen = Seen { before: self.earlier.front().cloned(), ..seen };
        for (reader, audience) in &mut self.audiences {
            if let Some(change) = audience.parts.change(&seen, *reader) {
                let _heard = audience.frames.send(change).is_ok();
            }
        }
    }
}
