//! D1, as far as the statements of `src/edge/store` can tell: `tests/guards.test.mjs` and
//! `tests/pool.test.mjs` hold the real one against the same rules.

use std::collections::BTreeMap;

use one_balance::balance::Millis;
use one_balance::balance::home::{Belongs, Wanted, belongs};
use one_balance::balance::isolate::{Kind, Read, Recorded, Rows};
use one_balance::balance::key::{Cooling, Key, KeyId, Secret, State, covering_names};
use one_balance::balance::snapshot::{Change, STRIKES_KEPT};

/// Small, so that little pools reach them.
const MOST_CHANGED: usize = 12;
const SEARCHED: usize = 16;
const FOUND: usize = 6;

#[derive(Clone)]
pub struct Row {
    pub provider: String,
    pub state: State,
    pub priority: i32,
    pub project: String,
    pub slot: u64,
    pub version: Millis,
    pub ready_since: Millis,
    pub cooled_until: Millis,
    /// Its coolings as of a version, some of which are over by now.
    pub running: Vec<Cooling>,
    pub running_at: Millis,
    /// When it became ready, by the clock on the wall.
    pub epoch_began: Millis,
}

#[derive(Default)]
pub struct D1 {
    pub keys: BTreeMap<u64, Row>,
    pub coolings: BTreeMap<(u64, String), Cooling>,
}

impl D1 {
    pub fn add(
        &mut self,
        id: u64,
        provider: &str,
        project: &str,
        slot: u64,
        clock: Millis,
        wall: Millis,
    ) {
        let row = Row {
            provider: provider.to_owned(),
            state: State::Ready,
            priority: 0,
            project: project.to_owned(),
            slot,
            version: clock,
            ready_since: 0,
            cooled_until: 0,
            running: Vec::new(),
            running_at: 0,
            epoch_began: wall,
        };
        self.keys.insert(id, row);
    }

    /// Changes a key's row, which gives it a new version.
    pub fn update(&mut self, id: u64, clock: Millis, work: impl FnOnce(&mut Row)) {
        if let Some(row) = self.keys.get_mut(&id) {
            work(row);
            row.version = clock.max(row.version + 1);
        }
    }

    pub fn make_ready(&mut self, id: u64, clock: Millis, wall: Millis) {
        self.update(id, clock, |row| {
            row.state = State::Ready;
            row.ready_since = clock.max(row.ready_since + 1);
            row.epoch_began = wall;
        });
    }

    /// An administrator, whose clock shows `now`, ends the coolings of a key.
    pub fn clear(&mut self, id: u64, clock: Millis, now: Millis) {
        for ((key, _), cooling) in &mut self.coolings {
            if *key == id && cooling.until > 0 {
                (cooling.until, cooling.since, cooling.strikes) = (0, now, 0);
            }
        }
        self.update(id, clock, |_| {});
    }

    /// The coolings of a key that are worth reading.
    fn running(&self, id: u64, at: Millis) -> Vec<Cooling> {
        let coolings = self.coolings.range((id, String::new())..(id + 1, String::new()));
        let worth = coolings.map(|(_, cooling)| cooling).filter(|cooling| {
            cooling.until > at || (cooling.strikes > 0 && cooling.until + STRIKES_KEPT > at)
        });
        worth.cloned().collect()
    }

    fn key(&self, id: u64, at: Millis) -> Option<Key> {
        let row = self.keys.get(&id)?;
        let coolings = match row {
            Row { cooled_until, .. } if *cooled_until <= at => Vec::new(),
            Row { running_at, version, .. } if running_at == version => row.running.clone(),
            _ => self.running(id, at),
        };
        Some(Key {
            state: row.state,
            priority: row.priority,
            project: row.project.clone(),
            version: row.version,
            ready_since: row.ready_since,
            coolings,
            ..Key::new(KeyId(id), Secret::new(format!("secret-{id}")))
        })
    }

    fn window(&self, provider: &str, slot: u64) -> Vec<u64> {
        let mut found: Vec<_> = self
            .keys
            .iter()
            .filter(|(_, row)| row.provider == provider && row.state == State::Ready)
            .map(|(id, row)| (-row.priority, row.slot < slot, row.slot, *id))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(.., id)| id).collect()
    }

    pub fn read(&self, read: &Read, wanted: Wanted<'_>, working_set: usize, clock: Millis) -> Rows {
        let mut ids: Vec<u64> = match read.kind {
            Kind::Load => {
                let mut ids = self.window(&read.provider, read.slot);
                ids.truncate(working_set);
                ids
            }
            Kind::Search => {
                let names = covering_names(wanted);
                let cools = |id: u64| {
                    names.iter().any(|name| {
                        let cooling = self.coolings.get(&(id, name.to_string()));
                        cooling.is_some_and(|cooling| cooling.until > clock)
                    })
                };
                let window = self.window(&read.provider, read.slot);
                let at_home = |id: u64| {
                    let project = self.keys.get(&id).map_or("", |row| row.project.as_str());
                    wanted.home.is_none_or(|home| belongs(project, home) != Belongs::Elsewhere)
                };
                let free =
                    window.into_iter().take(SEARCHED).filter(|id| at_home(*id) && !cools(*id));
                free.take(FOUND).collect()
            }
            Kind::Refresh => {
                let mut changed: Vec<_> = self
                    .keys
                    .iter()
                    .filter(|(_, row)| row.provider == read.provider && row.version > read.since)
                    .map(|(id, row)| (row.version, *id))
                    .collect();
                changed.sort_unstable_by(|a, b| b.cmp(a));
                changed.truncate(MOST_CHANGED);
                changed.into_iter().map(|(_, id)| id).collect()
            }
            Kind::Keys => Vec::new(),
        };
        let more = match read.kind {
            Kind::Load => ids.len() >= working_set,
            Kind::Search => ids.len() >= FOUND,
            Kind::Refresh => ids.len() >= MOST_CHANGED,
            Kind::Keys => false,
        };
        if matches!(read.kind, Kind::Refresh | Kind::Keys) {
            ids.extend(read.doubted.iter().map(|id| id.0));
        }
        let keys = ids.into_iter().filter_map(|id| self.key(id, clock)).collect();
        Rows { keys, at: clock, more }
    }

    /// Tells whether the change did something.
    pub fn write(&mut self, recorded: &Recorded, clock: Millis) -> bool {
        let id = recorded.change.key().0;
        match &recorded.change {
            Change::Cool { cooling, .. } => {
                let gone = self.keys.get(&id).is_none_or(|row| row.state == State::Deleted);
                let name = (id, cooling.model.clone());
                if gone || self.coolings.get(&name).is_some_and(|old| !old.gives_way_to(cooling)) {
                    return false;
                }
                let kept = if cooling.strikes > 0 { STRIKES_KEPT } else { 0 };
                let until = cooling.until + kept;
                let told = Cooling { retried: false, disproved: false, ..cooling.clone() };
                self.coolings.insert(name, told.clone());
                let all = self.running(id, clock);
                self.update(id, clock, |row| {
                    row.running = if row.cooled_until <= clock { vec![told] } else { all };
                    row.cooled_until = row.cooled_until.max(until);
                });
                if let Some(row) = self.keys.get_mut(&id) {
                    row.running_at = row.version;
                }
                true
            }
            Change::Block { ready_since, .. } => {
                let applies = self.keys.get(&id).is_some_and(|row| {
                    row.state == State::Ready && row.ready_since == *ready_since
                });
                if applies {
                    self.update(id, clock, |row| row.state = State::Blocked);
                }
                applies
            }
            Change::Home { home, .. } => {
                let applies = self.keys.get(&id).is_some_and(|row| row.project.is_empty());
                if applies {
                    self.update(id, clock, |row| row.project.clone_from(home));
                }
                applies
            }
        }
    }
}
