//! One client request on its way through keys: asks the core at every step, and keeps the snapshot
//! and the unwritten changes in step with what it says.

use std::rc::Rc;

use worker::web_sys::Response;

use super::env::Settings;
use super::inbound::Target;
use super::inspect::{self, Beginning};
use super::objects::Lookout;
use super::platform::{now, seed};
use super::store::Store;
use super::task::{Context, apart};
use super::trail::Step;
use super::upstream::Failure;
use super::{alerts, glue, log, pool, respond, sealing, usage};
use crate::balance::classify::{self, Answer, Standing};
use crate::balance::error::Refusal;
use crate::balance::health::{self, Attempt, Policy};
use crate::balance::isolate::Recorded;
use crate::balance::key::{KeyId, Secret};
use crate::balance::object::{self, Held};
use crate::balance::pick::Pick;
use crate::balance::provider::{self, Provider};
use crate::balance::retry::{Course, Next, Shape};
use crate::balance::route::ApiRoute;
use crate::balance::snapshot::{Change, Snapshot};
use crate::balance::usage::Outcome;
use crate::balance::verdict::{Reason, Scope, Verdict, Wait};
use crate::balance::{Millis, SECOND};

/// One client request on its way through keys.
pub struct Journey<'a> {
    /// Whose header carries the key. On `compat` the gateway translates, so it is `compat`'s own.
    pub credential: &'static Provider,
    /// The path behind the provider's segment.
    pub path: &'a str,
    /// Whether the headers of a success will be changed.
    pub changes_headers: bool,
    course: Course,
    began: Millis,
    target: &'a Target,
    /// The one key that can serve the request, since it holds what the request names.
    only: Option<KeyId>,
    method: &'a str,
    settings: &'a Settings,
    store: &'a Store,
    ctx: &'a Rc<Context>,
    /// Keys whose rejection is held back, with the status and the words of the answer.
    heard: Vec<(KeyId, u16, String)>,
    /// An empty answer was asked for again; once is enough.
    retried_empty: bool,
    /// The attempts that brought no success, and the last key.
    steps: Vec<Step>,
    last_key: Option<KeyId>,
}

/// One attempt.
#[derive(Clone, Copy)]
pub struct Try {
    key: KeyId,
    started: Millis,
    /// Since when the key was ready, as far as was known.
    ready_since: Millis,
    /// When its answer came. All that follows from the answer is of this time.
    ended: Millis,
}

/// What the last attempt left.
pub enum Last {
    /// There was none.
    Nothing,
    /// An answer.
    Failure {
        /// The answer.
        failure: Failure,
        /// The key that it may repeat.
        secret: Secret,
        /// The answer is about the key, so it says nothing to a caller if another one is used after it.
        about_key: bool,
    },
    /// No answer; what the platform said.
    Lost(String),
}

impl Last {
    /// An answer with its verdict.
    #[must_use]
    pub const fn failure(failure: Failure, secret: Secret, verdict: &Verdict) -> Self {
        let about_key = matches!(verdict, Verdict::Cool { .. } | Verdict::Reject { .. });
        Self::Failure { failure, secret, about_key }
    }

    /// Lets go of what is not needed to classify or to return it.
    pub fn discard(&mut self) {
        if let Self::Failure { failure, .. } = self {
            failure.discard();
        }
    }

    /// An attempt without an answer came after it. What the provider said of its own trouble is
    /// still worth more than that.
    #[must_use]
    pub fn or_lost(self, why: String) -> Self {
        match self {
            Self::Failure { about_key: false, .. } => self,
            _ => Self::Lost(why),
        }
    }
}

impl<'a> Journey<'a> {
    /// The journey of a request, before its first attempt.
    #[must_use]
    pub fn new(
        method: &'a str,
        api: &'a ApiRoute,
        target: &'a Target,
        only: Option<KeyId>,
        settings: &'a Settings,
        store: &'a Store,
        ctx: &'a Rc<Context>,
    ) -> Self {
        Self {
            credential: api.row,
            path: &api.path,
            changes_headers: false,
            course: Course::new(method, &api.path, settings.max_attempts)
                .of_conversation(target.conversation),
            began: now(),
            target,
            only,
            method,
            settings,
            store,
            ctx,
            heard: Vec::new(),
            retried_empty: false,
            steps: Vec::new(),
            last_key: None,
        }
    }

    /// The same with fewer attempts, for a question of ours that is not worth more.
    #[must_use]
    pub fn limited(mut self, attempts: u32) -> Self {
        self.course.limit(attempts);
        self
    }

    /// The gateway itself refused: worth telling an administrator.
    pub fn refused_by_gateway(&self, code: u32, status: u16, words: &str) {
        alerts::note("gateway", &self.target.provider, &code.to_string(), status, words);
    }

    /// The attempts that brought no success.
    pub fn take_steps(&mut self) -> Vec<Step> {
        core::mem::take(&mut self.steps)
    }

    /// The key of the last attempt, and how a list shows it.
    #[must_use]
    pub fn last_key(&self) -> Option<(KeyId, String)> {
        let key = self.last_key?;
        let hint = self.with_pool(|snapshot| snapshot.key(key).map(|key| key.secret.hint()));
        Some((key, hint.flatten().unwrap_or_default()))
    }

    /// Attempts so far.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.course.attempts()
    }

    /// The key of the next attempt; `None` when there is no other than those tried.
    ///
    /// # Errors
    /// Before the first attempt, when there is no key or all of them cool.
    pub async fn next_key(&self, last: &Last) -> Result<Option<(KeyId, Secret)>, Refusal> {
        if let Some(only) = self.only {
            return self.only_key(only, last);
        }
        let mut picked = self.pick();
        if !matches!(picked, Pick::Key { .. })
            && apart(pool::doubt(self.store, &self.target.provider, self.target.wanted())).await
        {
            picked = self.pick();
        }
        match (picked, last) {
            (Pick::Key { id, early }, _) => {
                let secret = self.with_pool(|snapshot| {
                    if early {
                        snapshot.retry_early(id, self.target.wanted(), now());
                    }
                    snapshot.key(id).map(|key| key.secret.clone())
                });
                Ok(secret.flatten().map(|secret| (id, secret)))
            }
            (Pick::Exhausted { until }, Last::Nothing) => {
                Err(Refusal::exhausted(&self.target.provider, &self.target.model, until, now()))
            }
            (picked, Last::Nothing) => Err(self.no_key(picked)),
            _ => Ok(None),
        }
    }

    /// Why nothing can be sent, when it is not that all keys cool.
    fn no_key(&self, picked: Pick) -> Refusal {
        let provider = &self.target.provider;
        let homes = self.credential.homes.zip(self.target.home.as_deref());
        let unsendable = || {
            self.with_pool(|pool| pool.keys().any(|key| self.needs_gateway(&key.secret)))
                .unwrap_or_default()
        };
        match (picked, homes) {
            (Pick::Elsewhere, Some((homes, home))) => {
                Refusal::no_keys_at_home(provider, homes.noun, home)
            }
            _ if self.settings.is_direct() && unsendable() => {
                Refusal::only_service_accounts(provider)
            }
            _ => Refusal::no_keys(provider),
        }
    }

    /// A service account is of use to an AI Gateway alone, which makes an access token of it. To the
    /// provider itself it would be a private key in a place where none is looked for.
    fn needs_gateway(&self, secret: &Secret) -> bool {
        self.settings.is_direct() && self.credential.is_service_account(secret.expose())
    }

    /// The key that holds what the request names, again if that may help, and no other.
    fn only_key(&self, only: KeyId, last: &Last) -> Result<Option<(KeyId, Secret)>, Refusal> {
        let state = self.holding(only);
        match (state, last) {
            (Held::Usable, _) if self.course.may_try(only) && self.open(only) => {
                let secret = self.with_pool(|pool| pool.key(only).map(|key| key.secret.clone()));
                Ok(secret.flatten().map(|secret| (only, secret)))
            }
            (Held::Cooling(until), Last::Nothing) => Err(Refusal::held_cooling(until, now())),
            (Held::Gone, Last::Nothing) => Err(Refusal::held_gone()),
            _ => Ok(None),
        }
    }

    fn holding(&self, only: KeyId) -> Held {
        self.with_pool(|pool| object::held(pool, only, self.target.wanted(), now()))
            .unwrap_or(Held::Gone)
    }

    /// Whether a success may have made or deleted a stored object: most requests can do neither.
    #[must_use]
    pub fn deals_with_objects(&self) -> bool {
        let objects = object::of(&self.target.provider);
        self.method == "DELETE"
            || objects.creation(self.method, self.path, self.target.store).is_some()
    }

    /// Remembers what a success made with this key, and forgets what it deleted.
    pub async fn note_objects(&self, attempt: &Try, response: Response) -> Response {
        let objects = object::of(&self.target.provider);
        let lookout = Lookout {
            provider: &self.target.provider,
            objects,
            key: attempt.key,
            store: self.store,
            ctx: self.ctx,
        };
        if let Some(name) = objects.deletion(self.method, self.path) {
            lookout.forget(&name);
        }
        match objects.creation(self.method, self.path, self.target.store) {
            Some(creation) if response.status() < 300 => lookout.note(response, creation).await,
            _ => response,
        }
    }

    fn pick(&self) -> Pick {
        loop {
            let picked = self
                .with_pool(|pool| self.course.pick(pool, self.target.wanted(), now()))
                .unwrap_or(Pick::Empty);
            match picked {
                Pick::Key { id, .. } if !self.open(id) => {} // it is locked now, so another is picked
                picked => return picked,
            }
        }
    }

    /// Opens the text of a key if it is still sealed. Tells whether it can be sent.
    fn open(&self, key: KeyId) -> bool {
        self.with_pool(|pool| {
            let Some(stored) = pool.key(key).map(|key| &key.secret) else { return true };
            if stored.sealed().is_none() && !self.needs_gateway(stored) {
                return true;
            }
            let opened = sealing::open(&self.target.provider, stored);
            if let Some(secret) = &opened {
                pool.opened(key, secret);
            }
            let usable = opened.is_some_and(|secret| !self.needs_gateway(&secret));
            if !usable {
                pool.lock(key, now());
            }
            usable
        })
        .unwrap_or(true)
    }

    /// An attempt with the key begins.
    #[must_use]
    pub fn begin(&mut self, key: KeyId) -> Try {
        self.last_key = Some(key);
        let started = now();
        let begun = self.with_pool(|snapshot| snapshot.started(key, self.target.wanted(), started));
        let ready_since = begun.flatten().unwrap_or_default();
        Try { key, started, ready_since, ended: started }
    }

    /// It has its answer, or will have none.
    pub fn end(&self, attempt: &mut Try) {
        attempt.ended = now();
        self.with_pool(|snapshot| snapshot.ended(attempt.key, attempt.started));
    }

    /// What a failed answer says.
    #[must_use]
    pub fn classify(&self, attempt: &Try, failure: &Failure) -> Verdict {
        let header = |name: &str| failure.headers.get(name).ok().flatten();
        let at = attempt.ended;
        classify::classify(&self.target.answer(failure.status, &header, &failure.head, at))
    }

    /// A key served the request. Its quota headers may say that it was the last time.
    pub fn succeeded(&mut self, attempt: &Try, response: &Response) {
        // An answer from the gateway's cache does not vouch for a key. Asked only where it matters.
        let cached = !self.heard.is_empty() && is_cached(response);
        let verdict = if cached { Verdict::Caller } else { Verdict::Success };
        let _ = self.course.take(attempt.key, &verdict, None, Shape::NONE, 0);
        let at = attempt.ended;
        self.with_pool(|snapshot| snapshot.succeeded(attempt.key, self.target.wanted(), at));
        if self.target.home.is_some() {
            self.settle_home(attempt, response);
        }
        usage::attempt(self.target, attempt.key, at, Outcome::Success);
        let slug = self.target.provider.as_str();
        if classify::gauges_of(slug).is_some_and(|set| glue::low(response, set, classify::LOW)) {
            self.heed_gauges(attempt, response);
        }
    }

    /// Little is left, or nothing.
    #[inline(never)]
    fn heed_gauges(&self, attempt: &Try, response: &Response) {
        let (at, headers) = (attempt.ended, response.headers());
        let header = |name: &str| headers.get(name).ok().flatten();
        match classify::standing(&self.target.provider, &header, at) {
            Standing::Spent(scope, wait, reason) => {
                let verdict = Verdict::Cool { scope, wait, reason };
                let change = self.target.change(attempt, &verdict, at, self.settings.policy);
                if let Some(change) = change {
                    self.target.record(change, at, response.status(), String::new());
                }
            }
            Standing::Low(told) => {
                let wanted = self.target.wanted();
                self.with_pool(|snapshot| snapshot.hear(attempt.key, wanted, told, at));
            }
            Standing::Plenty => {}
        }
    }

    /// A key served a request that names a home: if it was not known where the key is at home, it is now.
    #[inline(never)]
    fn settle_home(&self, attempt: &Try, response: &Response) {
        let about = self.target.attempt(attempt);
        let change = self.with_pool(|pool| health::settled(pool.key(attempt.key)?, about));
        if let Some(change) = change.flatten().filter(|_| !is_cached(response)) {
            let words = self.target.home.clone().unwrap_or_default();
            self.target.record(change, attempt.ended, response.status(), words);
        }
    }

    /// An attempt failed: what it means for its key, and what to do with the request.
    pub fn failed(
        &mut self,
        attempt: &Try,
        secret: &Secret,
        failure: &Failure,
        verdict: &Verdict,
    ) -> Next {
        if matches!(verdict, Verdict::Egress) {
            let what = format!("{} {}", self.target.provider, failure.status);
            respond::log("refused for the place that the request left from", &what);
            let words = words_of(&failure.head, secret);
            alerts::note("egress", &self.target.provider, "", failure.status, &words);
        }
        self.learn(attempt, failure, verdict);
        let shape = Shape::of(failure.status, &failure.head);
        self.react(attempt, verdict, shape, failure.status, || words_of(&failure.head, secret))
    }

    /// A 429 may say how many requests the key can send.
    fn learn(&self, attempt: &Try, failure: &Failure, verdict: &Verdict) {
        let Verdict::Cool { scope: Scope::Model, wait: Wait::Stated(until), .. } = *verdict else {
            return;
        };
        let (none, at) = (|_: &str| None, attempt.ended);
        let answer = self.target.answer(failure.status, &none, &failure.head, at);
        if let Some(lesson) = classify::lesson(&answer) {
            let wanted = self.target.wanted();
            self.with_pool(|snapshot| snapshot.learn(attempt.key, wanted, lesson, until, at));
        }
    }

    /// No answer at all: the connection broke, or the caller hung up.
    pub fn lost(&mut self, attempt: &Try) -> Next {
        let lost = Verdict::Transient { elsewhere: true, after: 0, unexecuted: false };
        self.react(attempt, &lost, Shape::NONE, 0, String::new)
    }

    /// The key could not even be sent. It came with an old database; none is added like that.
    pub fn unusable(&mut self, attempt: &Try) -> Next {
        let verdict = Verdict::Reject { reason: Reason::Invalid, certain: true };
        let words = || "The key has characters that cannot be sent. Add it again.".to_owned();
        self.react(attempt, &verdict, Shape::NONE, 0, words)
    }

    /// Takes the verdict of an attempt that brought no success: changes its key, or holds that back,
    /// and says what to do with the request. `words` are only asked for when they are kept.
    fn react(
        &mut self,
        attempt: &Try,
        verdict: &Verdict,
        shape: Shape,
        status: u16,
        words: impl FnOnce() -> String,
    ) -> Next {
        let at = attempt.ended;
        usage::attempt(self.target, attempt.key, at, verdict.into());
        self.steps.push(Step {
            key_id: attempt.key.0,
            status,
            verdict: verdict.as_str().into(),
            reason: match verdict {
                Verdict::Cool { reason, .. } | Verdict::Reject { reason, .. } => {
                    Some(reason.as_str().into())
                }
                _ => None,
            },
            ms: at.saturating_sub(attempt.started),
        });
        let change = self.target.change(attempt, verdict, at, self.settings.policy);
        let (next, due) = self.course.take(attempt.key, verdict, change, shape, seed());
        if let Some(change) = due {
            self.target.record(change, at, status, words());
        } else if matches!(verdict, Verdict::Reject { certain: false, .. }) {
            self.heard.push((attempt.key, status, words()));
        }
        Course::in_time(next, self.began, at)
    }

    /// Whether any success is looked into.
    #[must_use]
    pub const fn looks_into_successes(&self) -> bool {
        self.settings.check_streams || self.settings.retry_empty
    }

    /// Looks into a success if that is wanted. An error that it hides, or nothing in it, makes it a
    /// failure with a verdict.
    ///
    /// # Errors
    /// That failure.
    pub async fn inspect(
        &mut self,
        response: Response,
        attempt: &Try,
    ) -> Result<Response, (Failure, Verdict)> {
        let for_emptiness = self.settings.retry_empty
            && !self.retried_empty
            && provider::may_answer_nothing(&self.target.provider, self.path);
        if !self.settings.check_streams && !for_emptiness {
            return Ok(response);
        }
        let stream = inspect::is_stream(&response, self.path);
        let for_errors = self.settings.check_streams && stream;
        if !for_errors && !for_emptiness {
            return Ok(response);
        }
        let beginning = if stream { Beginning::Event } else { Beginning::Empty };
        let opened = match inspect::open(response, beginning).await {
            Ok(opened) => opened,
            Err(response) => return Ok(response),
        };
        if for_errors {
            let headers = opened.response.headers();
            let header = |name: &str| headers.get(name).ok().flatten();
            let answer =
                self.target.answer(opened.response.status(), &header, &opened.head, attempt.ended);
            if let Some(verdict) = classify::classify_stream_head(&answer) {
                return Err((opened.into_failure(), verdict));
            }
        }
        if for_emptiness && classify::is_empty_answer(&opened.head) {
            self.retried_empty = true;
            let again = Verdict::Transient { elsewhere: true, after: 0, unexecuted: true };
            return Err((opened.into_failure(), again));
        }
        Ok(opened.pass_on(self.watcher(attempt, for_errors)))
    }

    /// Sees the rest of a stream on its way to the caller. An error in it comes too late for this
    /// request, but not for its key.
    fn watcher(&self, attempt: &Try, wanted: bool) -> impl FnMut(&[u8]) -> bool + 'static {
        let target = self.target.clone();
        let policy = self.settings.policy;
        let attempt = *attempt;
        let store = self.store.clone();
        let ctx = Rc::clone(self.ctx);
        move |events| {
            let (none, at) = (|_: &str| None, now());
            let answer = target.answer(200, &none, events, at);
            let Some(verdict) = wanted.then(|| classify::classify_stream_head(&answer)).flatten()
            else {
                return wanted;
            };
            // A bare rejection in the midst of an answer is no rejection: the key was let in.
            if matches!(verdict, Verdict::Cool { .. } | Verdict::Reject { certain: true, .. })
                && let Some(change) = target.change(&attempt, &verdict, at, policy)
            {
                let words = pool::with(&target.provider, |snapshot| {
                    snapshot.key(attempt.key).map(|key| words_of(events, &key.secret))
                });
                target.record(change, at, 200, words.flatten().unwrap_or_default());
                let store = store.clone();
                ctx.wait_until(async move { pool::write_gathered(&store).await });
            }
            false
        }
    }

    /// Decides about the rejections that were held back.
    pub fn settle(&mut self) {
        let settled = self.course.settle();
        if settled.mass_failure {
            let what = format!("{} {}", self.target.provider, self.target.model);
            respond::log("keys rejected alike, none blocked", &what);
        }
        for change in settled.changes {
            let heard = self.heard.iter().find(|(key, ..)| *key == change.key());
            let (status, words) =
                heard.map_or((0, String::new()), |(_, status, words)| (*status, words.clone()));
            self.target.record(change, now(), status, words);
        }
    }

    /// The last attempt's answer as it is.
    ///
    /// # Errors
    /// When there was none.
    pub async fn pass(&self, last: Last) -> Result<Response, Refusal> {
        self.finish(last, None).await
    }

    /// The last attempt's answer, with the time at which a key is back.
    ///
    /// # Errors
    /// When there was none.
    pub async fn give_up(&self, last: Last) -> Result<Response, Refusal> {
        let until = match self.only.map(|only| self.holding(only)) {
            Some(Held::Cooling(until)) => Some(until),
            Some(Held::Usable) if self.only.is_some_and(|only| self.course.may_try(only)) => None,
            // It was rejected. Whoever asked would take that for a rejection of their token.
            Some(Held::Usable | Held::Gone) => return Err(Refusal::held_gone()),
            None => match self.pick() {
                Pick::Exhausted { until } => Some(until),
                // The caller would take what a stranger was told for a rejection of their token.
                Pick::Elsewhere => return Err(self.no_key(Pick::Elsewhere)),
                _ => None,
            },
        };
        let retry_after = until.map(|until| until.saturating_sub(now()).div_ceil(SECOND).max(1));
        self.finish(last, retry_after).await
    }

    async fn finish(&self, last: Last, retry_after: Option<u64>) -> Result<Response, Refusal> {
        match last {
            Last::Failure { failure, secret, .. } => {
                Ok(respond::pass_failure(failure, &secret, self.attempts(), retry_after).await)
            }
            Last::Lost(why) => Err(Refusal::unreachable(why)),
            Last::Nothing => Err(Refusal::no_keys(&self.target.provider)),
        }
    }

    fn with_pool<R>(&self, work: impl FnOnce(&mut Snapshot) -> R) -> Option<R> {
        pool::with(&self.target.provider, work)
    }
}

/// Whether the answer is from the gateway's cache: then it says nothing of a key.
fn is_cached(response: &Response) -> bool {
    let status = response.headers().get("cf-aig-cache-status");
    status.is_ok_and(|it| it.as_deref() == Some("HIT"))
}

/// The provider's words in a body, without the key. It is blotted out before the words are cut to
/// length, so that no part of it stays.
pub fn words_of(body: &[u8], secret: &Secret) -> String {
    let words = if secret.is_in(body) {
        classify::message(secret.redact(&String::from_utf8_lossy(body)).as_bytes())
    } else {
        classify::message(body)
    };
    words.unwrap_or_default()
}

impl Target {
    /// An answer to a request for it, as evidence.
    fn answer<'e>(
        &'e self,
        status: u16,
        headers: classify::HeaderOf<'e>,
        body: &'e [u8],
        now: Millis,
    ) -> Answer<'e> {
        Answer { provider: &self.provider, model: &self.model, status, headers, body, now }
    }

    /// An attempt for it, as far as the key's health is concerned.
    fn attempt(&self, attempt: &Try) -> Attempt<'_> {
        Attempt {
            provider: &self.provider,
            wanted: self.wanted(),
            started: attempt.started,
            ready_since: attempt.ready_since,
        }
    }

    /// What a verdict changes about the key of an attempt.
    fn change(
        &self,
        attempt: &Try,
        verdict: &Verdict,
        at: Millis,
        policy: Policy,
    ) -> Option<Change> {
        let about = self.attempt(attempt);
        pool::with(&self.provider, |snapshot| {
            health::change(snapshot.key(attempt.key)?, about, verdict, at, policy)
        })
        .flatten()
    }

    /// Applies a change to the snapshot at once and keeps it for D1.
    fn record(&self, change: Change, at: Millis, status: u16, message: String) {
        let (provider, model) = (self.provider.clone(), self.model.clone());
        let recorded = Recorded { change, at, provider, model, status, message };
        log::key(&recorded);
        pool::record(recorded);
    }
}
