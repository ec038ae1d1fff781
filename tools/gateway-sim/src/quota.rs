//! Request quotas: fixed windows of a minute and a day, counted per model.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::simulator::lock;

/// One kind of window: its length, and where its grid starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub length_ms: u64,
    anchor_ms: u64,
    /// Grows when the grid moves, so that no count survives the move by coincidence.
    generation: u64,
}

/// Names one concrete window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct WindowId(u64, u64);

impl Window {
    pub const fn new(length_ms: u64) -> Self {
        Self { length_ms, anchor_ms: 0, generation: 1 }
    }

    /// Starts a new window now.
    pub fn roll(&mut self, now_ms: u64) {
        self.anchor_ms = now_ms;
        self.generation += 1;
    }

    pub fn resize(&mut self, length_ms: u64) {
        self.length_ms = length_ms.max(1);
        self.generation += 1;
    }

    fn id(&self, now_ms: u64) -> WindowId {
        WindowId(self.generation, now_ms.saturating_sub(self.anchor_ms) / self.length_ms)
    }

    pub fn remaining_ms(&self, now_ms: u64) -> u64 {
        self.length_ms - now_ms.saturating_sub(self.anchor_ms) % self.length_ms
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub minute: Window,
    pub day: Window,
}

impl Default for Windows {
    fn default() -> Self {
        Self { minute: Window::new(60_000), day: Window::new(86_400_000) }
    }
}

/// What a key may do with one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub rpm: Option<u64>,
    pub rpd: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Minute,
    Day,
}

/// One limit as it stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: u64,
    pub remaining: u64,
    pub resets_in_ms: u64,
    pub window_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    pub minute: Option<Standing>,
    pub day: Option<Standing>,
}

/// A request refused; `span` is the longest window that is used up, as providers report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub span: Span,
    pub standing: Standing,
    pub all: Standings,
}

#[derive(Default)]
struct Counter {
    minute: (WindowId, u64),
    day: (WindowId, u64),
}

/// The counts of one key, or of all the keys of one project.
#[derive(Default)]
pub struct Counters(Mutex<HashMap<String, Counter>>);

impl Counters {
    /// Counts one request, unless a limit forbids it. A refused request costs nothing.
    pub fn take(
        &self,
        model: &str,
        limits: Limits,
        windows: &Windows,
        now_ms: u64,
    ) -> Result<Standings, Exceeded> {
        let mut counters = lock(&self.0);
        if !counters.contains_key(model) {
            counters.insert(model.to_owned(), Counter::default());
        }
        let Some(counter) = counters.get_mut(model) else {
            return Ok(Standings::default());
        };
        for (count, window) in
            [(&mut counter.minute, &windows.minute), (&mut counter.day, &windows.day)]
        {
            let id = window.id(now_ms);
            if count.0 != id {
                *count = (id, 0);
            }
        }
        let standings = |used_minute: u64, used_day: u64| Standings {
            minute: limits.rpm.map(|limit| standing(limit, used_minute, &windows.minute, now_ms)),
            day: limits.rpd.map(|limit| standing(limit, used_day, &windows.day, now_ms)),
        };
        let before = standings(counter.minute.1, counter.day.1);
        for (span, standing) in [(Span::Day, before.day), (Span::Minute, before.minute)] {
            if let Some(standing) = standing.filter(|standing| standing.remaining == 0) {
                return Err(Exceeded { span, standing, all: before });
            }
        }
        counter.minute.1 += 1;
        counter.day.1 += 1;
        Ok(standings(counter.minute.1, counter.day.1))
    }

    /// `(model, used this minute, used today)`
    pub fn used(&self, windows: &Windows, now_ms: u64) -> Vec<(String, u64, u64)> {
        let current = |(id, count): (WindowId, u64), window: &Window| {
            if id == window.id(now_ms) { count } else { 0 }
        };
        lock(&self.0)
            .iter()
            .map(|(model, counter)| {
                (
                    model.clone(),
                    current(counter.minute, &windows.minute),
                    current(counter.day, &windows.day),
                )
            })
            .collect()
    }
}

fn standing(limit: u64, used: u64, window: &Window, now_ms: u64) -> Standing {
    Standing {
        limit,
        remaining: limit.saturating_sub(used),
        resets_in_ms: window.remaining_ms(now_ms),
        window_ms: window.length_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rpm: Some(2), rpd: Some(3) };

    #[test]
    fn refuses_within_the_minute_and_grants_in_the_next() {
        let (counters, windows) = (Counters::default(), Windows::default());
        assert_eq!(counters.take("m", LIMITS, &windows, 0).unwrap().minute.unwrap().remaining, 1);
        assert!(counters.take("m", LIMITS, &windows, 1_000).is_ok());
        let refused = counters.take("m", LIMITS, &windows, 20_000).unwrap_err();
        assert_eq!((refused.span, refused.standing.limit), (Span::Minute, 2));
        assert_eq!(refused.standing.resets_in_ms, 40_000);
        assert!(counters.take("m", LIMITS, &windows, 60_000).is_ok());
    }

    #[test]
    fn the_day_outranks_the_minute() {
        let (counters, windows) = (Counters::default(), Windows::default());
        for now in [0, 60_000, 120_000] {
            assert!(counters.take("m", LIMITS, &windows, now).is_ok());
        }
        let refused = counters.take("m", LIMITS, &windows, 120_001).unwrap_err();
        assert_eq!(refused.span, Span::Day);
        assert!(counters.take("m", LIMITS, &windows, 86_400_000).is_ok());
    }

    #[test]
    fn models_are_counted_apart_and_a_refusal_costs_nothing() {
        let (counters, windows) = (Counters::default(), Windows::default());
        let one = Limits { rpm: Some(1), rpd: Some(2) };
        assert!(counters.take("a", one, &windows, 0).is_ok());
        assert!(counters.take("a", one, &windows, 0).is_err());
        assert!(counters.take("b", one, &windows, 0).is_ok());
        assert!(counters.take("a", one, &windows, 60_000).is_ok());
    }

    #[test]
    fn a_roll_starts_a_whole_new_window() {
        let counters = Counters::default();
        let mut windows = Windows::default();
        let one = Limits { rpm: Some(1), rpd: None };
        assert!(counters.take("m", one, &windows, 1_000).is_ok());
        windows.minute.roll(2_000);
        let granted = counters.take("m", one, &windows, 2_000).unwrap();
        assert_eq!(granted.minute.unwrap().resets_in_ms, 60_000);
        windows.minute.resize(100);
        assert!(counters.take("m", one, &windows, 2_000).is_ok());
        assert!(counters.take("m", one, &windows, 2_099).is_err());
        assert!(counters.take("m", one, &windows, 2_100).is_ok());
    }

    #[test]
    fn no_limits_no_standings() {
        let granted = Counters::default().take("m", Limits::default(), &Windows::default(), 0);
        assert_eq!(granted, Ok(Standings::default()));
    }
}
