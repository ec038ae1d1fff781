//! The whole state of the simulator. Locks are held for a look-up or an insertion, never across an await.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::config::Config;
use crate::faults::Faults;
use crate::files::Files;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::objects::Objects;
use crate::sockets::Sockets;

pub struct Simulator {
    config: RwLock<Arc<Config>>,
    pub keys: Keys,
    pub faults: Faults,
    pub files: Files,
    pub objects: Objects,
    pub sockets: Sockets,
    pub journal: Journal,
    next: AtomicU64,
    open: bool,
    pub quiet: bool,
}

impl Simulator {
    pub fn new(open: bool, quiet: bool) -> Self {
        Self {
            config: RwLock::new(Arc::new(Config::new(open))),
            keys: Keys::default(),
            faults: Faults::default(),
            files: Files::default(),
            objects: Objects::default(),
            sockets: Sockets::default(),
            journal: Journal::default(),
            next: AtomicU64::new(1),
            open,
            quiet,
        }
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn configure(&self, change: impl FnOnce(&mut Config)) -> Arc<Config> {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current));
        current.clone()
    }

    /// The number of a request; identifiers in answers are made from it, so none repeats.
    pub fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn reset(&self) {
        self.configure(|config| *config = Config::new(self.open));
        self.keys.clear();
        self.faults.clear();
        self.files.clear();
        self.objects.clear();
        self.sockets.clear();
        self.journal.clear();
    }
}

/// A poisoned lock only means that another request panicked; the data are still usable here.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 64-bit FNV-1a, the hash that the request log reports.
pub fn fnv1a(parts: &[&[u8]]) -> u64 {
    parts.iter().flat_map(|part| part.iter()).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
