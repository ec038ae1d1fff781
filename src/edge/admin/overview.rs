//! The overview: how the pool is, what to do about it, and what is set.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use worker::js_sys::Reflect;
use worker::wasm_bindgen::JsValue;

use super::{Answer, Call, VERSION};
use crate::balance::error::Refusal;
use crate::balance::key::EVERY_MODEL;
use crate::balance::problem::Problem;
use crate::balance::{DAY, HOUR, MINUTE, Millis, clock, provider};
use crate::edge::platform::now;
use crate::edge::store::keys::{Filter, Selection};
use crate::edge::store::overview::{Counts, Group, Usage};
use crate::edge::{alerts, pool};

/// Counting reads each key, so counts are kept the longer the more that cost: a page that is looked at
/// for an hour then costs 360,000 rows of the Free plan's 5 million, however many keys there are.
const KEPT_PER_ROW: Millis = 10;
/// Fewer rows are simply read again.
const CHEAP: u64 = 500;
const KEPT_AT_MOST: Millis = 5 * MINUTE;

thread_local! {
    static COUNTS: RefCell<Option<Rc<Counts>>> = const { RefCell::new(None) };
}

/// An administrator changed keys here: requests and counts see it at once.
pub fn changed() {
    pool::expire();
    COUNTS.set(None);
}

/// The counts, if they are fresh enough.
fn known_counts() -> Option<Rc<Counts>> {
    let counts = COUNTS.with_borrow(Clone::clone)?;
    let kept = if counts.cost < CHEAP { 0 } else { (counts.cost * KEPT_PER_ROW).min(KEPT_AT_MOST) };
    (now().saturating_sub(counts.at) < kept).then_some(counts)
}

/// How many keys a selection means, where the counts tell.
pub fn known_total(selection: &Selection) -> Option<u64> {
    if !selection.is_plain() {
        return None;
    }
    let counts = known_counts()?;
    let of =
        |group: &&Group| selection.provider.as_ref().is_none_or(|slug| *slug == group.provider);
    let sum = |count: fn(&Group) -> u64, state: Option<&str>| {
        let groups = counts.groups.iter().filter(of);
        groups.filter(|group| state.is_none_or(|state| group.state == state)).map(count).sum()
    };
    Some(match selection.state {
        None => sum(|it| it.n, None),
        Some(Filter::Ready) => sum(|it| it.n.saturating_sub(it.cooling), Some("ready")),
        Some(Filter::Cooling) => sum(|it| it.cooling, Some("ready")),
        Some(Filter::Blocked) => sum(|it| it.n, Some("blocked")),
        Some(Filter::Disabled) => sum(|it| it.n, Some("disabled")),
    })
}

/// The keys of a provider by state.
#[derive(Default, Clone, Copy)]
struct States {
    usable_at_all: u64,
    cooling: u64,
    stopped: u64,
    blocked: u64,
    disabled: u64,
}

impl States {
    fn of(counts: &Counts) -> BTreeMap<&str, Self> {
        let mut all: BTreeMap<&str, Self> = BTreeMap::new();
        for group in &counts.groups {
            let states = all.entry(group.provider.as_str()).or_default();
            match group.state.as_str() {
                "ready" => {
                    states.usable_at_all += group.n;
                    states.cooling += group.cooling;
                    states.stopped += group.stopped;
                }
                "blocked" => states.blocked += group.n,
                _ => states.disabled += group.n,
            }
        }
        all
    }

    const fn total(self) -> u64 {
        self.usable_at_all + self.blocked + self.disabled
    }

    const fn usable(self) -> u64 {
        self.usable_at_all.saturating_sub(self.stopped)
    }

    fn to_json(self, slug: &str) -> Value {
        json!({
            "slug": slug,
            "name": name_of(slug),
            "total": self.total(),
            "ready": self.usable_at_all.saturating_sub(self.cooling),
            "cooling": self.cooling,
            "blocked": self.blocked,
            "disabled": self.disabled,
            "usable": self.usable(),
        })
    }
}

/// A model for which no key of its provider can be used.
struct Exhausted<'a> {
    model: &'a str,
    keys: u64,
    until: Millis,
}

fn exhausted<'a>(counts: &'a Counts, slug: &str, states: States) -> Vec<Exhausted<'a>> {
    let of_provider = || counts.cooled.iter().filter(|it| it.provider == slug);
    let every = of_provider().find(|it| it.model == EVERY_MODEL);
    let (stopped, back) = every.map_or((0, None), |it| (it.n, Some(it.relief)));
    let ready = states.usable_at_all;
    let mut found: Vec<_> = of_provider()
        .filter_map(|it| {
            let is_every = it.model == EVERY_MODEL;
            let cooling = if is_every { it.n } else { (it.n + stopped).saturating_sub(it.both) };
            let until = if is_every {
                it.relief
            } else {
                back.map_or(it.relief, |back| back.min(it.relief))
            };
            (ready > 0 && cooling >= ready).then_some(Exhausted {
                model: &it.model,
                keys: cooling,
                until,
            })
        })
        .collect();
    // All of them cool for everything: the models add nothing.
    if let Some(every) = found.iter().position(|it| it.model == EVERY_MODEL) {
        found = vec![found.swap_remove(every)];
    }
    found.sort_by(|one, other| one.model.cmp(other.model));
    found
}

fn warning(code: &str, level: &str, values: Value, message: String) -> Value {
    json!({
        "code": code,
        "level": level,
        "at": values.get("at"),
        "count": values.get("count"),
        "values": values,
        "message": message,
    })
}

impl Call<'_> {
    async fn counts(&self) -> Result<Rc<Counts>, Refusal> {
        if let Some(counts) = known_counts() {
            return Ok(counts);
        }
        let counts = Rc::new(self.store.counts(now()).await?);
        COUNTS.set(Some(Rc::clone(&counts)));
        Ok(counts)
    }

    pub(super) async fn providers(&self) -> Answer {
        let counts = self.counts().await?;
        let mut providers: Vec<_> = States::of(&counts)
            .into_iter()
            .map(|(slug, states)| (states.total(), states.to_json(slug)))
            .collect();
        providers.sort_by_key(|(total, _)| core::cmp::Reverse(*total));
        let providers: Vec<_> = providers.into_iter().map(|(_, provider)| provider).collect();
        let known: Vec<_> = provider::all()
            .iter()
            .map(|row| {
                json!({
                    "slug": row.slug, "name": row.name, "key_prefixes": row.key_prefixes, "testable": row.probe.is_some(),
                })
            })
            .collect();
        Ok(json!({ "providers": providers, "known": known }))
    }

    pub(super) async fn overview(&self) -> Answer {
        let mut fields = self.fields_of_query(&["range", "provider"]);
        let ranges = [("24h", (HOUR, 24)), ("30d", (DAY, 30))];
        let (bucket, count): (Millis, u64) = fields.word("range", &ranges)?.unwrap_or((HOUR, 24));
        let one = fields.text("provider", 200)?;
        let at = now();
        let from = (at - at % bucket).saturating_sub((count - 1) * bucket);
        let counts = self.counts().await?;
        let (today, buckets) = self.store.usage(one.as_deref(), from, bucket, at).await?;
        let troubles = self.store.troubles(at).await?;

        let mut warnings = Vec::new();
        let mut providers = Vec::new();
        let states = States::of(&counts);
        if states.values().all(|it| it.total() == 0) {
            let sentence = "The pool has no key yet. Add some.".to_owned();
            warnings.push(warning("no_keys_at_all", "info", json!({}), sentence));
        }
        for (slug, states) in &states {
            let used = today
                .iter()
                .find(|used| used.of == *slug)
                .map_or_else(Usage::default, |used| used.usage);
            let out = exhausted(&counts, slug, *states);
            if states.usable_at_all == 0 && states.total() > 0 {
                let sentence =
                    format!("No key of {slug} can be used: all are blocked or disabled.");
                warnings.push(warning(
                    "no_usable_key",
                    "error",
                    json!({ "provider": slug }),
                    sentence,
                ));
            }
            for it in &out {
                let what = if it.model == EVERY_MODEL { "any model" } else { it.model };
                let sentence =
                    format!("No usable key for {what} of {slug} until {}.", clock_text(it.until));
                let values = json!({ "provider": slug, "model": it.model, "until": it.until });
                warnings.push(warning("exhausted", "warning", values, sentence));
            }
            let mut reasons = Vec::new();
            for group in
                counts.groups.iter().filter(|it| it.provider == *slug && it.state == "blocked")
            {
                reasons.push(json!({ "reason": group.reason, "count": group.n }));
                if group.fresh > 0 {
                    let reason = group.reason.as_deref().unwrap_or("unauthorized");
                    let keys = if group.fresh == 1 {
                        "1 key".to_owned()
                    } else {
                        format!("{} keys", group.fresh)
                    };
                    let sentence = format!("{keys} of {slug} blocked since yesterday: {reason}.");
                    let values =
                        json!({ "provider": slug, "reason": reason, "count": group.fresh });
                    warnings.push(warning("blocked_since_yesterday", "warning", values, sentence));
                }
            }
            let mut provider = states.to_json(slug);
            if let Some(provider) = provider.as_object_mut() {
                provider.insert("today".to_owned(), json!(used));
                provider.insert("blocked_reasons".to_owned(), Value::Array(reasons));
                let out = out
                    .iter()
                    .map(|it| json!({ "model": it.model, "keys": it.keys, "until": it.until }));
                provider.insert("exhausted".to_owned(), out.collect());
            }
            providers.push((states.total(), provider));
        }
        for it in &troubles {
            let provider = &it.provider;
            let (code, sentence) = match it.verdict.as_str() {
                "egress" => (
                    "egress_refused",
                    format!(
                        "{provider} refuses requests for the place that they leave from ({}).",
                        it.status
                    ),
                ),
                _ => (
                    "gateway_error",
                    format!(
                        "The AI Gateway refused requests for {provider} (Cloudflare error {}).",
                        it.reason
                    ),
                ),
            };
            let values = json!({
                "provider": provider, "status": it.status, "gateway_code": it.reason, "count": it.n, "at": it.at,
            });
            warnings.push(warning(code, "error", values, sentence));
        }
        if let Some((at, count)) = alerts::store_trouble() {
            let sentence = "The database (D1) did not answer lately.".to_owned();
            warnings.push(warning(
                "store_trouble",
                "error",
                json!({ "count": count, "at": at }),
                sentence,
            ));
        }
        let locked = self.store.locked_keys().await?;
        if locked > 0 {
            let sentence = format!(
                "{locked} keys are sealed with an ENCRYPTION_KEY that is not here. Set the right one: nothing is lost."
            );
            warnings.push(warning("locked_keys", "error", json!({ "count": locked }), sentence));
        }
        for problem in &self.settings.problems {
            let mut values = Value::Object(problem.values.clone());
            if let Some(values) = values.as_object_mut() {
                values.insert("problem".to_owned(), json!(problem.code));
            }
            warnings.push(warning("setting", "warning", values, problem.message.clone()));
        }
        providers.sort_by_key(|(total, _)| core::cmp::Reverse(*total));
        let providers: Vec<_> = providers.into_iter().map(|(_, provider)| provider).collect();
        let points: Vec<_> = (0..count)
            .map(|index| {
                let begin = from + index * bucket;
                let used = buckets
                    .iter()
                    .find(|used| used.of == begin)
                    .map_or_else(Usage::default, |used| used.usage);
                let mut point = json!(used);
                if let Some(point) = point.as_object_mut() {
                    point.insert("at".to_owned(), json!(begin));
                }
                point
            })
            .collect();
        Ok(json!({
            "now": at,
            "range": if bucket == HOUR { "24h" } else { "30d" },
            "day_start": at - at % DAY,
            "counted_at": counts.at,
            "today": sum(today.iter().map(|used| used.usage)),
            "providers": providers,
            "series": { "bucket": bucket, "from": from, "to": from + count * bucket, "points": points },
            "warnings": warnings,
        }))
    }

    pub(super) async fn tell_settings(&self) -> Value {
        let mut problems: Vec<Value> =
            self.settings.problems.iter().map(Problem::to_json).collect();
        // A setting that is wrong is among the problems already; one that is missing is not.
        if !self.settings.gateway_is_wrong()
            && let Err(refusal) = self.settings.reachable(self.env).await
        {
            problems.push(Problem::new("gateway", refusal.message).to_json());
        }
        let webhook = self.settings.webhook.as_ref();
        json!({
            "version": VERSION,
            "upstream": self.settings.upstream_word(),
            "gateway": self.gateway().await,
            "webhook": webhook.map(|it| json!({ "kind": it.kind.as_str(), "min_usable": it.min_usable })),
            "placement": self.placement(),
            "now": now(),
            "settings": {
                "max_attempts": self.settings.max_attempts,
                "consecutive_429_threshold": self.settings.policy.consecutive_429_threshold,
                "check_streams": self.settings.check_streams,
                "retry_empty": self.settings.retry_empty,
            },
            "problems": problems,
        })
    }

    /// Where this request arrived; the platform says so in `request.cf`.
    fn placement(&self) -> Value {
        let get = |of: &JsValue, name: &str| Reflect::get(of, &JsValue::from_str(name)).ok();
        let cf = get(self.request.as_ref(), "cf").filter(JsValue::is_object);
        let text =
            |name: &str| cf.as_ref().and_then(|cf| get(cf, name)).and_then(|it| it.as_string());
        if cf.is_none() {
            Value::Null
        } else {
            json!({ "colo": text("colo"), "country": text("country") })
        }
    }
}

fn sum(all: impl Iterator<Item = Usage>) -> Usage {
    all.fold(Usage::default(), |sum, it| Usage {
        requests: sum.requests + it.requests,
        successes: sum.successes + it.successes,
        attempts: sum.attempts + it.attempts,
        rate_limited: sum.rate_limited + it.rate_limited,
        errors: sum.errors + it.errors,
    })
}

/// A time for the English sentence; pages have the number.
fn clock_text(at: Millis) -> String {
    let date = clock::civil(at);
    let minutes = at % DAY / MINUTE;
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        date.year,
        date.month,
        date.day,
        minutes / 60,
        minutes % 60
    )
}

/// The provider's name for people.
fn name_of(slug: &str) -> &str {
    provider::find(slug).filter(|row| row.slug == slug).map_or(slug, |row| row.name)
}
