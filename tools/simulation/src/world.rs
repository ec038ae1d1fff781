//! Everything that happens in one seed.
//!
//! Clocks of isolates may be hours wrong, D1's steps back by up to a second.
//!
//! What must always hold:
//! 1. *blocked*: a key is not used by an isolate that has seen its block, until it sees it ready anew.
//! 2. *innocent*: a key that was good all the time since it last became ready is not blocked.
//! 3. *stated*: the end of a stated cooling never shrinks, in D1 or in an isolate, but by an
//!    administrator; in an isolate also by a newer answer, when D1 never took the older one.
//! 4. *served*: no request ends without an answer while its isolate knows a key that it may use.
//! 5. *agreed*: when all is quiet, isolates believe what D1 says.
//! 6. *home*: no key is sent to a home while its isolate knows that it belongs to another.
//!
//! In some seeds the keys of one provider belong to homes, as Azure's do to resources.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use one_balance::balance::health::{self, Attempt, Policy};
use one_balance::balance::home::{Belongs, Wanted, belongs};
use one_balance::balance::isolate::{
    Access, GATHER, Isolate, Kind, Limits, Read, Recorded, Rows, Taken, Write,
};
use one_balance::balance::key::{EVERY_MODEL, KeyId, Source, State};
use one_balance::balance::pick::Pick;
use one_balance::balance::quota::{Lesson, Per};
use one_balance::balance::retry::{Course, Next, Shape};
use one_balance::balance::verdict::{Reason, Scope, Verdict, Wait};
use one_balance::balance::{HOUR, MINUTE, Millis, SECOND};

use crate::d1::D1;
use crate::rng::Rng;

const START: Millis = 1_700_000_000_000;
const POLICY: Policy = Policy { consecutive_429_threshold: 5 };
/// Lines of what happened that a failure shows.
const TOLD: usize = 60;

/// A provider's side of a key.
struct Truth {
    good: bool,
    /// When it was last bad.
    last_bad: Option<Millis>,
    /// It says only a status when it refuses.
    bare: bool,
    /// Where it is good, if its provider has homes.
    home: &'static str,
}

struct Life {
    isolate: Isolate,
    generation: u64,
    skew: i64,
    /// The newest readiness of a key of which it has seen the end.
    seen: BTreeMap<u64, Millis>,
    /// Keys of whose quotas it learnt something.
    learnt: bool,
}

struct Request {
    life: usize,
    generation: u64,
    provider: &'static str,
    wanted: Wanted<'static>,
    course: Course,
    began: Millis,
    doubts: u8,
    doubted: Option<Kind>,
    waited: Millis,
    tried_any: bool,
    attempt: Option<(KeyId, Millis, Millis)>,
    tried: Vec<KeyId>,
}

enum Op {
    Read { read: Read, wanted: Wanted<'static> },
    Write(Write),
    Admin(Act, u64),
    Probe { id: u64, version: Millis, good: bool },
}

#[derive(Clone, Copy)]
enum Act {
    Add,
    Delete,
    Restore,
    Disable,
    Clear,
    Priority,
    Project,
}

enum Answer {
    Rows(Rows),
    Written(Vec<KeyId>),
    Done,
    Failed,
}

/// Who waits for D1.
#[derive(Clone, Copy)]
struct Caller {
    life: usize,
    generation: u64,
    request: Option<usize>,
    patience: Millis,
    asked: Millis,
}

enum Event {
    Arrive,
    Step(usize),
    Provide(usize),
    Answered(usize, Verdict, Option<(Lesson, Millis)>),
    Gather(usize, u64),
    Reaches(Op, Caller),
    Told(Op, Caller, Answer),
    World,
}

pub struct World {
    rng: Rng,
    wall: Millis,
    number: u64,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    events: BTreeMap<u64, Event>,
    lives: Vec<Life>,
    requests: BTreeMap<usize, Request>,
    d1: D1,
    d1_behind: Millis,
    d1_down_until: Millis,
    truths: BTreeMap<u64, Truth>,
    used: BTreeMap<(String, &'static str, u64), u64>,
    cleared: BTreeSet<u64>,
    next_key: u64,
    working_set: u32,
    limit: u64,
    providers: [&'static str; 2],
    quiet: bool,
    told: VecDeque<String>,
    pub wrong: Option<String>,
    pub served: u64,
    pub refused: u64,
}

const PROVIDERS: [&str; 2] = ["openai", "google-ai-studio"];
/// The same in one seed of [`HOMES_IN`].
const PROVIDERS_WITH_HOMES: [&str; 2] = ["azure-openai", "google-ai-studio"];
const HOMES_IN: u64 = 4;
const AZURE: &str = "azure-openai";
const HOMES: [&str; 2] = ["p", "q"];
const MODELS: [&str; 2] = ["a", "b"];

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let working_set = [4, 8, 16][rng.below(3)];
        let limit = rng.between(1, 12);
        let mut world = Self {
            wall: START,
            number: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            lives: Vec::new(),
            requests: BTreeMap::new(),
            d1: D1::default(),
            d1_behind: 0,
            d1_down_until: 0,
            truths: BTreeMap::new(),
            used: BTreeMap::new(),
            cleared: BTreeSet::new(),
            next_key: 0,
            working_set,
            limit,
            providers: if seed % HOMES_IN == 1 { PROVIDERS_WITH_HOMES } else { PROVIDERS },
            quiet: false,
            told: VecDeque::new(),
            wrong: None,
            served: 0,
            refused: 0,
            rng,
        };
        for _ in 0..world.rng.between(1, 4) {
            let life = world.born(0);
            world.lives.push(life);
        }
        for _ in 0..world.rng.between(0, 24) {
            world.add();
        }
        world
    }

    fn born(&mut self, generation: u64) -> Life {
        let limits = Limits { working_set: self.working_set, stale_after: 15 * SECOND };
        let skew = if self.rng.once_in(4) { self.jump() } else { 0 };
        let isolate = Isolate::new(self.rng.next(), limits);
        Life { isolate, generation, skew, seen: BTreeMap::new(), learnt: false }
    }

    fn jump(&mut self) -> i64 {
        let most = [2 * SECOND, 2 * MINUTE, 2 * HOUR][self.rng.below(3)];
        self.rng.between(0, 2 * most) as i64 - most as i64
    }

    fn add(&mut self) {
        self.next_key += 1;
        let id = self.next_key;
        let provider = self.providers[self.rng.below(2)];
        let home = HOMES[id as usize % 2];
        let mut project = ["", "", "p", "q"][self.rng.below(4)];
        if provider == AZURE && !project.is_empty() {
            project = home;
        }
        let (clock, slot) = (self.d1_clock(), self.rng.next() >> 33);
        self.d1.add(id, provider, project, slot, clock, self.wall);
        let good = !self.rng.once_in(6);
        let last_bad = (!good).then_some(self.wall);
        self.truths.insert(id, Truth { good, last_bad, bare: self.rng.once_in(2), home });
    }

    /// Plays the seed to its end; tells what went wrong.
    pub fn run(mut self) -> Result<(u64, u64), String> {
        let ends = START + self.rng.between(5, 40) * MINUTE;
        self.at(0, Event::Arrive);
        self.at(0, Event::World);
        while let Some(Reverse((at, number))) = self.queue.pop() {
            self.wall = self.wall.max(at);
            if self.wall > ends && !self.quiet {
                self.quiet = true;
                self.d1_down_until = 0;
            }
            if let Some(event) = self.events.remove(&number) {
                self.happen(event);
            }
            if self.wrong.is_some() {
                break;
            }
        }
        if self.wrong.is_none() {
            self.settle_down();
        }
        match self.wrong.take() {
            Some(wrong) => {
                let told: Vec<_> = self.told.drain(..).collect();
                Err(format!("{}\n{wrong}", told.join("\n")))
            }
            None => Ok((self.served, self.refused)),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Step(request) => self.step(request),
            Event::Provide(request) => self.provide(request),
            Event::Answered(request, verdict, lesson) => self.answered(request, verdict, lesson),
            Event::Gather(life, generation) => {
                if self.lives[life].generation == generation {
                    self.write(life);
                }
            }
            Event::Reaches(op, caller) => self.reaches(op, caller),
            Event::Told(op, caller, answer) => self.d1_told(op, caller, answer),
            Event::World => self.turn(),
        }
    }

    // --- the frame ---

    fn at(&mut self, after: Millis, event: Event) {
        self.number += 1;
        self.queue.push(Reverse((self.wall + after, self.number)));
        self.events.insert(self.number, event);
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        let line = format!("{:>8} {}", self.wall - START, what());
        self.told.push_back(line);
    }

    fn violated(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    fn now(&self, life: usize) -> Millis {
        (self.wall as i64 + self.lives[life].skew) as Millis
    }

    fn d1_clock(&self) -> Millis {
        self.wall - self.d1_behind
    }

    fn delay(&mut self) -> Millis {
        match self.rng.below(20) {
            _ if self.quiet => 5,
            0 => self.rng.between(0, 40 * SECOND),
            1..4 => self.rng.between(0, 3 * SECOND),
            _ => self.rng.between(1, 40),
        }
    }

    // --- requests ---

    fn arrive(&mut self) {
        if self.quiet {
            return;
        }
        let life = self.rng.below(self.lives.len());
        let id = self.number as usize;
        let provider = self.providers[usize::from(self.rng.once_in(3))];
        let model = if self.rng.once_in(12) { EVERY_MODEL } else { MODELS[self.rng.below(2)] };
        let home = (provider == AZURE).then(|| HOMES[id / 2 % 2]);
        let request = Request {
            life,
            generation: self.lives[life].generation,
            provider,
            wanted: Wanted { model, home },
            course: Course::new("POST", "chat/completions", 6),
            began: self.now(life),
            doubts: 0,
            doubted: None,
            waited: 0,
            tried_any: false,
            attempt: None,
            tried: Vec::new(),
        };
        self.requests.insert(id, request);
        self.step_access(id);
        let pause = if self.rng.once_in(30) { 2 * MINUTE } else { 2 * SECOND };
        let next = self.rng.between(0, pause);
        self.at(next, Event::Arrive);
    }

    /// The request, if it and its isolate still live.
    fn alive(&mut self, id: usize) -> Option<usize> {
        let request = self.requests.get(&id)?;
        if self.lives[request.life].generation == request.generation {
            return Some(request.life);
        }
        self.requests.remove(&id);
        None
    }

    fn caller(&self, life: usize, request: Option<usize>, patience: Millis) -> Caller {
        let generation = self.lives[life].generation;
        Caller { life, generation, request, patience, asked: self.wall }
    }

    fn read(
        &mut self,
        life: usize,
        provider: &str,
        wanted: Wanted<'static>,
        kind: Kind,
        request: Option<usize>,
        patience: Millis,
    ) {
        let now = self.now(life);
        let read = self.lives[life].isolate.begin(provider, kind, wanted, now);
        self.say(|| {
            format!(
                "isolate {life} reads {provider} {kind:?} since {}",
                read.since.saturating_sub(START)
            )
        });
        let caller = self.caller(life, request, patience);
        self.ask(Op::Read { read, wanted }, caller);
    }

    fn step_access(&mut self, id: usize) {
        let Some(life) = self.alive(id) else { return };
        let now = self.now(life);
        let Some(request) = self.requests.get_mut(&id) else { return };
        let (provider, wanted) = (request.provider, request.wanted);
        let late = request.waited > SECOND;
        match self.lives[life].isolate.access(provider, now) {
            Access::Ready(behind) => {
                if let Some(kind) = behind {
                    self.read(life, provider, "".into(), kind, None, 5 * SECOND);
                }
                self.step(id);
            }
            Access::Wait if !late => {
                request.waited += 100;
                if let Some(request) = self.requests.get_mut(&id) {
                    request.doubts = 100;
                }
                self.at(100, Event::Step(id));
            }
            Access::Wait => self.read(life, provider, wanted, Kind::Load, Some(id), 5 * SECOND),
            Access::First(kind) => self.read(life, provider, wanted, kind, Some(id), 5 * SECOND),
        }
    }

    fn step(&mut self, id: usize) {
        let Some(life) = self.alive(id) else { return };
        let now = self.now(life);
        let Some(request) = self.requests.get_mut(&id) else { return };
        if request.doubts == 100 {
            request.doubts = 0;
            return self.step_access(id);
        }
        let (provider, wanted) = (request.provider, request.wanted);
        let Some(snapshot) = self.lives[life].isolate.snapshot(provider) else {
            // D1 did not answer and nothing is known.
            self.refused += 1;
            self.requests.remove(&id);
            return;
        };
        let picked = request.course.pick(snapshot, wanted, now);
        if let Pick::Key { id: key, early } = picked {
            if early {
                snapshot.retry_early(key, wanted, now);
            }
            let before = snapshot.key(key).map(|key| (key.state, key.ready_since));
            let project = snapshot.key(key).map_or("", |key| key.project.as_str());
            let astray =
                wanted.home.is_some_and(|home| belongs(project, home) == Belongs::Elsewhere);
            let ready_since = snapshot.started(key, wanted, now).unwrap_or_default();
            request.attempt = Some((key, now, ready_since));
            request.tried_any = true;
            let seen = self.lives[life].seen.get(&key.0).copied();
            self.say(|| {
                format!(
                    "isolate {life} request {id} sends {wanted:?} with {} of {ready_since}{}",
                    key.0,
                    if early { " early" } else { "" }
                )
            });
            if before != Some((State::Ready, ready_since))
                || seen.is_some_and(|seen| ready_since <= seen)
            {
                self.violated(format!(
                    "blocked: isolate {life} uses key {} though it has seen it blocked",
                    key.0
                ));
            }
            if astray {
                self.violated(format!("home: isolate {life} sends key {} to {wanted:?}", key.0));
            }
            let wait = self.rng.between(1, 4 * SECOND);
            return self.at(wait, Event::Provide(id));
        }
        // As `pool::doubt` does.
        let doubt = self.lives[life].isolate.doubt(provider, wanted, now);
        let Some(request) = self.requests.get_mut(&id) else { return };
        let asked = request.doubted == doubt || request.doubted == Some(Kind::Search);
        if let Some(kind) = doubt.filter(|_| !asked && request.doubts < 3) {
            request.doubts += 1;
            request.doubted = Some(kind);
            return self.read(life, provider, wanted, kind, Some(id), SECOND);
        }
        self.check_served(id, life, picked);
        self.finish(id, false);
    }

    /// *served*, by counting instead of by lines.
    fn check_served(&mut self, id: usize, life: usize, picked: Pick) {
        let now = self.now(life);
        let Some(request) = self.requests.get(&id) else { return };
        let (provider, wanted, learnt) =
            (request.provider, request.wanted, self.lives[life].learnt);
        let tried = request.tried.clone();
        let Some(snapshot) = self.lives[life].isolate.snapshot(provider) else { return };
        let usable = |key: &one_balance::balance::key::Key| {
            // All reasons that are played here are shared by a project, but that a key is not at home.
            key.state == State::Ready
                && !tried.contains(&key.id)
                && wanted.home.is_none_or(|it| belongs(&key.project, it) != Belongs::Elsewhere)
                && key.cooling_for(wanted, now).is_none()
                && (key.project.is_empty()
                    || !snapshot.keys().any(|other| {
                        other.project == key.project
                            && other.cooling_for(wanted.model, now).is_some()
                    }))
        };
        let found = snapshot.keys().find(|key| usable(key)).map(|key| key.id.0);
        if let Some(key) = found.filter(|_| !learnt) {
            self.violated(format!("served: request {id} of isolate {life} ends with {picked:?} though key {key} can be used"));
        }
    }

    fn finish(&mut self, id: usize, good: bool) {
        let Some(mut request) = self.requests.remove(&id) else { return };
        let life = request.life;
        if good {
            self.served += 1;
        } else {
            self.refused += 1;
        }
        for change in request.course.settle().changes {
            self.record(life, request.provider, request.wanted.model, change);
        }
        let now = self.now(life);
        if self.lives[life].isolate.gathers(now) {
            let generation = self.lives[life].generation;
            self.at(GATHER, Event::Gather(life, generation));
        }
    }

    fn record(
        &mut self,
        life: usize,
        provider: &str,
        model: &str,
        change: one_balance::balance::snapshot::Change,
    ) {
        use one_balance::balance::snapshot::Change;
        let now = self.now(life);
        let seen = match &change {
            Change::Block { key, ready_since, .. } => Some((key.0, *ready_since)),
            Change::Cool { .. } | Change::Home { .. } => None,
        };
        let what = format!("isolate {life} decides {change:?}");
        let recorded = Recorded {
            change,
            at: now,
            provider: provider.to_owned(),
            model: model.to_owned(),
            status: 0,
            message: String::new(),
        };
        if self.lives[life].isolate.record(recorded, now) {
            self.say(|| what);
            if let Some((key, ready_since)) = seen {
                self.see(life, key, ready_since);
            }
        }
    }

    fn see(&mut self, life: usize, key: u64, ready_since: Millis) {
        let seen = self.lives[life].seen.entry(key).or_insert(ready_since);
        *seen = (*seen).max(ready_since);
    }

    /// A request reaches its provider.
    fn provide(&mut self, id: usize) {
        let Some(request) = self.requests.get(&id) else { return };
        let Some((key, ..)) = request.attempt else { return };
        let Wanted { model, home } = request.wanted;
        let project = self.d1.keys.get(&key.0).map_or("", |row| row.project.as_str());
        let group = if project.is_empty() {
            format!("{}", key.0)
        } else {
            format!("{}/{project}", request.provider)
        };
        let (window, wall) = (self.wall / MINUTE, self.wall);
        let ends = (window + 1) * MINUTE - wall;
        let Some(truth) = self.truths.get_mut(&key.0) else { return };
        let mut lesson = None;
        let verdict = if !truth.good {
            truth.last_bad = Some(wall);
            let (certain, reason) =
                (!truth.bare, if truth.bare { Reason::Unauthorized } else { Reason::Invalid });
            Verdict::Reject { reason, certain }
        } else if home.is_some_and(|home| home != truth.home) {
            Verdict::Reject { reason: Reason::Invalid, certain: true }
        } else if self.rng.once_in(25) {
            Verdict::Transient { elsewhere: true, after: 0, unexecuted: true }
        } else if self.rng.once_in(40) {
            Verdict::Cool {
                scope: Scope::Model,
                wait: Wait::Guessed(MINUTE),
                reason: Reason::RateLimit,
            }
        } else if self.rng.once_in(60) {
            Verdict::Cool {
                scope: Scope::Key,
                wait: Wait::Recheck(10 * MINUTE),
                reason: Reason::Billing,
            }
        } else {
            let used = self.used.entry((group, model, window)).or_default();
            if *used >= self.limit {
                lesson = Some((Lesson { limit: self.limit, per: Per::Minute }, ends.max(SECOND)));
                Verdict::Cool {
                    scope: Scope::Model,
                    wait: Wait::Stated(ends.max(SECOND)),
                    reason: Reason::RateLimit,
                }
            } else {
                *used += 1;
                Verdict::Success
            }
        };
        if self.rng.once_in(50) {
            // The caller hangs up, and nobody hears the answer.
            self.requests.remove(&id);
            return;
        }
        let wait = self.rng.between(1, 2 * SECOND);
        self.at(wait, Event::Answered(id, verdict, lesson));
    }

    fn answered(&mut self, id: usize, verdict: Verdict, lesson: Option<(Lesson, Millis)>) {
        let Some(life) = self.alive(id) else { return };
        let now = self.now(life);
        let Some(request) = self.requests.get_mut(&id) else { return };
        let Some((key, started, ready_since)) = request.attempt.take() else { return };
        let (provider, wanted, began) = (request.provider, request.wanted, request.began);
        let model = wanted.model;
        let shape = Shape::of(401, format!("{}", key.0).as_bytes());
        // Relative in the provider's answer, as `RetryInfo` is.
        let verdict = match verdict {
            Verdict::Cool { scope, wait: Wait::Stated(after), reason } => {
                Verdict::Cool { scope, wait: Wait::Stated(now + after), reason }
            }
            other => other,
        };
        let Some(snapshot) = self.lives[life].isolate.snapshot(provider) else { return };
        snapshot.ended(key, started);
        if verdict == Verdict::Success {
            snapshot.succeeded(key, wanted, now);
        }
        if let Some((lesson, after)) = lesson {
            snapshot.learn(key, wanted, lesson, now + after, now);
        }
        let attempt = Attempt { provider, wanted, started, ready_since };
        let settled = (verdict == Verdict::Success)
            .then(|| health::settled(snapshot.key(key)?, attempt))
            .flatten();
        let change =
            snapshot.key(key).and_then(|key| health::change(key, attempt, &verdict, now, POLICY));
        self.lives[life].learnt |= lesson.is_some();
        let seed = self.rng.next();
        if matches!(verdict, Verdict::Cool { .. } | Verdict::Reject { .. }) {
            request.tried.push(key);
        }
        let (next, due) = request.course.take(key, &verdict, change, shape, seed);
        let next = Course::in_time(next, began, now);
        request.doubts = 0;
        request.doubted = None;
        self.say(|| format!("isolate {life} request {id} hears {verdict:?}"));
        for change in due.into_iter().chain(settled) {
            self.record(life, provider, model, change);
        }
        match next {
            Next::TryNext { after } => self.at(after, Event::Step(id)),
            Next::Return => self.finish(id, verdict == Verdict::Success),
            Next::GiveUp => self.finish(id, false),
        }
    }

    // --- D1 ---

    fn write(&mut self, life: usize) {
        let now = self.now(life);
        if let Some(write) = self.lives[life].isolate.begin_write(now) {
            self.say(|| format!("isolate {life} writes {}", write.changes.len()));
            let caller = self.caller(life, None, 25 * SECOND);
            self.ask(Op::Write(write), caller);
        }
    }

    fn ask(&mut self, op: Op, caller: Caller) {
        let wait = self.delay();
        self.at(wait, Event::Reaches(op, caller));
    }

    fn reaches(&mut self, op: Op, caller: Caller) {
        let down = self.wall < self.d1_down_until;
        let clock = self.d1_clock();
        let answer = if down || (!self.quiet && self.rng.once_in(30)) {
            Answer::Failed
        } else {
            match &op {
                Op::Read { read, wanted } => {
                    Answer::Rows(self.d1.read(read, *wanted, self.working_set as usize, clock))
                }
                Op::Write(write) => Answer::Written(self.carry_out(write, clock)),
                Op::Admin(act, id) => {
                    self.administer(*act, *id, clock, caller.life);
                    Answer::Done
                }
                Op::Probe { id, version, good } => {
                    let row = self.d1.keys.get(id);
                    let applies = row
                        .is_some_and(|row| row.version == *version && row.state == State::Blocked);
                    if applies && *good {
                        self.d1.make_ready(*id, clock, self.wall);
                    } else if applies {
                        self.d1.update(*id, clock, |_| {});
                    }
                    Answer::Done
                }
            }
        };
        // The answer may get lost.
        let lost = !self.quiet && self.rng.once_in(30);
        let wait = self.delay();
        let late = self.wall + wait > caller.asked + caller.patience;
        let answer = if lost || late { Answer::Failed } else { answer };
        let wait = if lost || late {
            (caller.asked + caller.patience).saturating_sub(self.wall)
        } else {
            wait
        };
        self.at(wait, Event::Told(op, caller, answer));
    }

    fn carry_out(&mut self, write: &Write, clock: Millis) -> Vec<KeyId> {
        use one_balance::balance::snapshot::Change;
        let mut refused = Vec::new();
        for recorded in &write.changes {
            let key = recorded.change.key();
            let before = match &recorded.change {
                Change::Cool { cooling, .. } => {
                    self.d1.coolings.get(&(key.0, cooling.model.clone())).cloned()
                }
                Change::Block { .. } | Change::Home { .. } => None,
            };
            let applied = self.d1.write(recorded, clock);
            self.say(|| {
                format!("D1 {} {:?}", if applied { "takes" } else { "refuses" }, recorded.change)
            });
            if !applied {
                refused.push(key);
                continue;
            }
            match (&recorded.change, before) {
                (Change::Cool { cooling, .. }, Some(old))
                    if old.source == Source::Stated && cooling.until < old.until =>
                {
                    self.violated(format!("stated: D1 shortens {old:?} to {cooling:?}"));
                }
                (Change::Block { reason, .. }, _) if *reason != Reason::Billing => {
                    let began = self.d1.keys.get(&key.0).map_or(0, |row| row.epoch_began);
                    let guilty = self.truths.get(&key.0).and_then(|truth| truth.last_bad);
                    if guilty.is_none_or(|bad| bad < began) {
                        self.violated(format!(
                            "innocent: key {} is blocked, but was good since it became ready",
                            key.0
                        ));
                    }
                }
                _ => {}
            }
        }
        refused
    }

    fn administer(&mut self, act: Act, id: u64, clock: Millis, life: usize) {
        let now = self.now(life);
        let wall = self.wall;
        let Some(state) = self.d1.keys.get(&id).map(|row| row.state) else { return };
        if state == State::Deleted {
            return;
        }
        match act {
            Act::Add => {}
            Act::Delete => self.d1.update(id, clock, |row| row.state = State::Deleted),
            Act::Disable => self.d1.update(id, clock, |row| row.state = State::Disabled),
            Act::Restore => {
                self.d1.make_ready(id, clock, wall);
                self.d1.clear(id, clock, now);
                self.cleared.insert(id);
            }
            Act::Clear => {
                self.d1.clear(id, clock, now);
                self.cleared.insert(id);
            }
            Act::Priority => {
                let priority = self.rng.below(3) as i32 - 1;
                self.d1.update(id, clock, |row| row.priority = priority);
            }
            Act::Project => {
                let mut project = ["", "p", "q"][self.rng.below(3)];
                let azure = self.d1.keys.get(&id).is_some_and(|row| row.provider == AZURE);
                if azure && !project.is_empty() {
                    project = self.truths.get(&id).map_or("", |truth| truth.home);
                }
                self.d1.update(id, clock, |row| row.project = project.to_owned());
            }
        }
        self.say(|| format!("an administrator changes key {id}, which was {state:?}"));
    }

    fn d1_told(&mut self, op: Op, caller: Caller, answer: Answer) {
        let life = caller.life;
        if self.lives[life].generation != caller.generation {
            return;
        }
        let now = self.now(life);
        match (op, answer) {
            (Op::Read { read, wanted }, Answer::Rows(rows)) => {
                let ids: Vec<_> = rows.keys.iter().map(|key| key.id).collect();
                let stated = self.stated(life, &read.provider, &ids, now);
                let shown: Vec<_> =
                    rows.keys.iter().map(|key| (key.id.0, key.state, key.ready_since)).collect();
                let taken = self.lives[life].isolate.finish(&read, rows, wanted, now);
                self.say(|| {
                    format!(
                        "isolate {life} is given {:?} of {:?}: {taken:?} {:?}",
                        read.kind,
                        read.provider,
                        shown.iter().map(|it| it.0).collect::<Vec<_>>()
                    )
                });
                if taken == Taken::Yes {
                    for (key, state, ready_since) in shown {
                        if state != State::Ready {
                            self.see(life, key, ready_since);
                        }
                    }
                    self.check_stated(life, &read.provider, stated, now);
                }
                if taken == Taken::Reload {
                    return self.read(
                        life,
                        &read.provider.clone(),
                        wanted,
                        Kind::Load,
                        caller.request,
                        caller.patience,
                    );
                }
            }
            (Op::Read { read, .. }, _) => self.lives[life].isolate.failed(&read),
            (Op::Write(write), Answer::Written(refused)) => {
                self.lives[life].isolate.wrote(&write, &refused, now);
            }
            (Op::Write(write), _) => self.lives[life].isolate.not_written(&write, now),
            (Op::Admin(..), Answer::Done) => self.lives[life].isolate.expire(),
            (Op::Admin(..) | Op::Probe { .. }, _) => {}
        }
        if let Some(request) = caller.request {
            self.step(request);
        }
    }

    /// The stated coolings of these keys that an isolate believes in.
    fn stated(
        &mut self,
        life: usize,
        provider: &str,
        ids: &[KeyId],
        now: Millis,
    ) -> Vec<(KeyId, String, Millis, Millis)> {
        let Some(snapshot) = self.lives[life].isolate.snapshot(provider) else { return Vec::new() };
        let keys = ids.iter().filter_map(|id| snapshot.key(*id));
        keys.flat_map(|key| key.coolings.iter().map(|it| (key.id, it)))
            .filter(|(_, it)| it.source == Source::Stated && it.runs(now))
            .map(|(id, it)| (id, it.model.clone(), it.since, it.until))
            .collect()
    }

    fn check_stated(
        &mut self,
        life: usize,
        provider: &str,
        before: Vec<(KeyId, String, Millis, Millis)>,
        now: Millis,
    ) {
        for (id, model, since, until) in before {
            let Some(snapshot) = self.lives[life].isolate.snapshot(provider) else { return };
            let Some(key) = snapshot.key(id) else { continue };
            // D1 may never have taken it, since it had a guess that was made later; then what a still
            // newer answer said stands there.
            let kept =
                key.cooling_named(&model).is_some_and(|it| it.until >= until || it.since > since);
            if !kept && !self.cleared.contains(&id.0) && until > now.max(self.wall) {
                self.violated(format!(
                    "stated: isolate {life} forgets that key {} cools for {model} until {until}",
                    id.0
                ));
            }
        }
    }

    // --- the world turns ---

    fn turn(&mut self) {
        if self.quiet {
            return;
        }
        let id = 1 + self.rng.below(self.next_key as usize) as u64;
        let life = self.rng.below(self.lives.len());
        match self.rng.below(16) {
            0 => self.d1_down_until = self.wall + self.rng.between(SECOND, 4 * MINUTE),
            1 => {
                let skew = self.jump();
                self.lives[life].skew = skew;
                self.say(|| format!("the clock of isolate {life} is {skew} off"));
            }
            2 => self.d1_behind = self.rng.between(0, SECOND),
            3 => {
                let generation = self.lives[life].generation + 1;
                self.lives[life] = self.born(generation);
                self.say(|| format!("isolate {life} starts anew"));
            }
            4 | 5 => {
                let wall = self.wall;
                if let Some(truth) = self.truths.get_mut(&id) {
                    if !truth.good {
                        truth.last_bad = Some(wall);
                    }
                    truth.good = !truth.good;
                    let good = truth.good;
                    if !good {
                        truth.last_bad = Some(wall);
                    }
                    self.say(|| format!("key {id} is {}", if good { "good" } else { "bad" }));
                }
            }
            6 => self.add(),
            7 | 8 => {
                // A probe: the question now, the answer later.
                let row = self.d1.keys.get(&id).filter(|row| row.state == State::Blocked);
                if let Some(version) = row.map(|row| row.version) {
                    let good = self.truths.get(&id).is_some_and(|truth| truth.good);
                    let caller = self.caller(life, None, MINUTE);
                    self.ask(Op::Probe { id, version, good }, caller);
                }
            }
            what => {
                let act = match what {
                    9 => Act::Delete,
                    10 | 11 => Act::Restore,
                    12 => Act::Disable,
                    13 => Act::Clear,
                    14 => Act::Priority,
                    15 => Act::Project,
                    _ => Act::Add,
                };
                let caller = self.caller(life, None, MINUTE);
                self.ask(Op::Admin(act, id), caller);
            }
        }
        let next = self.rng.between(0, 20 * SECOND);
        self.at(next, Event::World);
    }

    // --- the end ---

    fn drain(&mut self) {
        while let Some(Reverse((at, number))) = self.queue.pop() {
            self.wall = self.wall.max(at);
            if let Some(event) = self.events.remove(&number) {
                self.happen(event);
            }
        }
    }

    /// All is quiet: everything is written, everyone reads what changed, and then all must agree.
    fn settle_down(&mut self) {
        for _ in 0..200 {
            self.wall += 2 * MINUTE;
            let lacking: Vec<_> = (0..self.lives.len())
                .filter(|life| self.lives[*life].isolate.has_unwritten())
                .collect();
            if lacking.is_empty() {
                break;
            }
            lacking.into_iter().for_each(|life| self.write(life));
            self.drain();
        }
        for _ in 0..3 {
            self.wall += 16 * SECOND;
            for life in 0..self.lives.len() {
                for provider in self.providers {
                    let now = self.now(life);
                    match self.lives[life].isolate.access(provider, now) {
                        Access::Ready(Some(kind)) | Access::First(kind) => {
                            self.read(life, provider, "".into(), kind, None, MINUTE);
                        }
                        Access::Ready(None) | Access::Wait => {}
                    }
                }
            }
            self.drain();
        }
        for life in 0..self.lives.len() {
            for provider in self.providers {
                self.compare(life, provider);
            }
        }
    }

    fn compare(&mut self, life: usize, provider: &str) {
        let now = self.now(life).max(self.wall);
        let Some(snapshot) = self.lives[life].isolate.snapshot(provider) else {
            return self.violated(format!("agreed: isolate {life} knows nothing of {provider}"));
        };
        let mut wrong = None;
        for key in snapshot.keys() {
            let id = key.id.0;
            let Some(row) = self.d1.keys.get(&id) else {
                wrong = Some(format!("agreed: isolate {life} knows key {id} that is not there"));
                continue;
            };
            if (key.state, key.ready_since, key.priority, &key.project)
                != (row.state, row.ready_since, row.priority, &row.project)
            {
                wrong = Some(format!(
                    "agreed: isolate {life} believes {key:?}, D1 has {:?} {:?} {:?}",
                    row.state, row.ready_since, row.priority
                ));
            }
            let mut theirs: BTreeMap<&str, Millis> = BTreeMap::new();
            for ((_, model), cooling) in
                self.d1.coolings.range((id, String::new())..(id + 1, String::new()))
            {
                if cooling.until > now {
                    theirs.insert(model, cooling.until);
                }
            }
            for cooling in key.coolings.iter().filter(|it| it.until > now) {
                if theirs.remove(cooling.model.as_str()) != Some(cooling.until) {
                    wrong =
                        Some(format!("agreed: isolate {life} believes of key {id} {cooling:?}"));
                }
            }
            if let Some((model, until)) = theirs.first_key_value() {
                wrong = Some(format!(
                    "agreed: isolate {life} does not know that key {id} cools for {model} until {until}"
                ));
            }
        }
        if let Some(wrong) = wrong {
            self.violated(wrong);
        }
    }
}
