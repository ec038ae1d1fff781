//! What an operator is told of the pool by a webhook: that a provider's usable keys run low, that keys
//! were blocked.
//!
//! [`Told`] is kept in D1 between the runs of the cron. Each run shows it what it found
//! ([`Told::take_in`]), which is remembered until it may be told ([`Told::due`]): at most one
//! message an hour, and what happens within the hour comes with the next one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::Problem;
use super::session::is_loopback;
use super::{HOUR, MINUTE, Millis};

/// One message within this time.
const BETWEEN: Millis = HOUR;
/// After a failure it is tried again after this, doubled each time up to [`BETWEEN`].
const FIRST_RETRY: Millis = 5 * MINUTE;
/// The longest message, in UTF-16 units as the strictest of them (Discord: 2,000) counts.
const LONGEST: usize = 1_900;
/// Providers that a message names, of each kind.
const NAMED: usize = 20;

/// Who takes the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anyone who reads JSON.
    Json,
    /// A Telegram bot.
    Telegram,
    /// A Discord channel.
    Discord,
    /// A Feishu or Lark group.
    Feishu,
}

impl Kind {
    /// The word for it in `WEBHOOK_KIND`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Feishu => "feishu",
        }
    }
}

/// Where messages go.
#[derive(Clone)]
pub struct Webhook {
    /// The address. It is a secret: whoever knows it can write there.
    pub url: String,
    /// Who reads there.
    pub kind: Kind,
    /// Telegram's chat.
    chat_id: Option<String>,
    /// A provider with fewer usable keys is low; 0: never.
    pub min_usable: u32,
}

impl core::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Webhook({:?})", self.kind)
    }
}

impl Webhook {
    /// The webhook of these settings: `WEBHOOK_URL`, `WEBHOOK_KIND`, `WEBHOOK_CHAT_ID`,
    /// `WEBHOOK_MIN_USABLE`.
    ///
    /// # Errors
    /// What the operator must know, without the address.
    pub fn new(
        url: &str,
        kind: Option<&str>,
        chat_id: Option<&str>,
        min_usable: u32,
    ) -> Result<Self, Problem> {
        let (host, local) = host_of(url).ok_or_else(|| {
            Problem::new(
                "webhook_url",
                "WEBHOOK_URL must be an address that begins with https:// (http:// is for this \
                 machine only).",
            )
        })?;
        let kind = match kind.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Kind::Json,
            Some("telegram") => Kind::Telegram,
            Some("discord") => Kind::Discord,
            Some("feishu" | "lark") => Kind::Feishu,
            Some(_) => {
                return Err(Problem::new(
                    "webhook_kind",
                    "WEBHOOK_KIND must be json, telegram, discord or feishu.",
                ));
            }
            None => match host {
                "api.telegram.org" => Kind::Telegram,
                "discord.com" | "discordapp.com" | "ptb.discord.com" | "canary.discord.com" => {
                    Kind::Discord
                }
                "open.feishu.cn" | "open.larksuite.com" => Kind::Feishu,
                _ => Kind::Json,
            },
        };
        if kind == Kind::Telegram && chat_id.is_none() {
            return Err(Problem::new(
                "webhook_chat",
                "A webhook to Telegram also needs WEBHOOK_CHAT_ID.",
            ));
        }
        if kind == Kind::Telegram && !local && !url.ends_with("/sendMessage") {
            return Err(Problem::new(
                "webhook_telegram",
                "WEBHOOK_URL for Telegram must be https://api.telegram.org/bot<token>/sendMessage.",
            ));
        }
        let (url, chat_id) = (url.to_owned(), chat_id.map(str::to_owned));
        Ok(Self { url, kind, chat_id, min_usable })
    }

    /// The body that carries a message.
    #[must_use]
    pub fn body(&self, message: &Message, now: Millis) -> Value {
        let text = message.text(self.min_usable);
        match self.kind {
            Kind::Json => json!({
                "source": "one-balance", "at": now, "text": text, "test": message.test,
                "min_usable": self.min_usable,
                "low": message.low.iter().map(|low| json!({
                    "provider": low.provider, "usable": low.usable, "recovered": low.recovered,
                })).collect::<Vec<_>>(),
                "blocked": message.blocked.iter().map(|blocked| json!({
                    "provider": blocked.provider, "reason": blocked.reason, "keys": blocked.keys,
                })).collect::<Vec<_>>(),
            }),
            // Without a parse mode the text is shown as it is, whatever stands in it.
            Kind::Telegram => json!({
                "chat_id": self.chat_id, "text": text, "link_preview_options": { "is_disabled": true },
            }),
            Kind::Discord => json!({
                "content": cut(&escaped(&text, "\\*_~|`>#-[]()<@:", "\\")), "allowed_mentions": { "parse": [] },
            }),
            // <at user_id="all"> would call everybody.
            Kind::Feishu => json!({
                "msg_type": "text", "content": { "text": text.replace('<', "‹").replace('>', "›") },
            }),
        }
    }

    /// Whether the answer says that the message arrived. Feishu says 200 to everything.
    #[must_use]
    pub fn arrived(&self, status: u16, body: &[u8]) -> bool {
        let code = || {
            let answer: Value = serde_json::from_slice(body).unwrap_or_default();
            ["code", "StatusCode"].into_iter().find_map(|name| answer.get(name)?.as_i64())
        };
        (200..300).contains(&status) && (self.kind != Kind::Feishu || code() == Some(0))
    }
}

/// The host of an address that may be used, and whether it is this machine.
fn host_of(url: &str) -> Option<(&str, bool)> {
    if url.chars().any(|char| char.is_whitespace() || char.is_control() || char == '\\') {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let bare = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    let local = is_loopback(authority);
    let good = !bare.is_empty() && !authority.contains('@');
    (good && (scheme == "https" || scheme == "http" && local)).then_some((bare, local))
}

fn escaped(text: &str, marks: &str, with: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, char| {
        if marks.contains(char) {
            out.push_str(with);
        }
        out.push(char);
        out
    })
}

/// The text within [`LONGEST`].
fn cut(text: &str) -> String {
    let mut units = 0;
    let end = text.char_indices().find(|(_, char)| {
        units += char.len_utf16();
        units > LONGEST
    });
    match end.and_then(|(at, _)| text.get(..at)) {
        Some(start) => format!("{}…", start.trim_end_matches('\\')),
        None => text.to_owned(),
    }
}

/// A provider with too few usable keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Low {
    /// Which.
    pub provider: String,
    /// The fewest that were found.
    pub usable: u64,
    /// It has enough again.
    pub recovered: bool,
}

/// Keys that were blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Of which provider.
    pub provider: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub keys: u64,
}

/// What is told at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Sent by hand.
    pub test: bool,
    /// Providers that ran low.
    pub low: Vec<Low>,
    /// Keys that were blocked.
    pub blocked: Vec<Blocked>,
}

impl Message {
    /// That nothing happened, but that messages arrive.
    #[must_use]
    pub fn test() -> Self {
        Self { test: true, ..Self::default() }
    }

    /// The message in words.
    #[must_use]
    pub fn text(&self, min_usable: u32) -> String {
        let mut text = "One Balance".to_owned();
        if self.test {
            text.push_str(": this is a test. Messages about the pool arrive here.");
        }
        for low in self.low.iter().take(NAMED) {
            let Low { provider, usable, recovered } = low;
            let keys = if *usable == 1 { "key" } else { "keys" };
            let _ = if *recovered {
                write!(
                    text,
                    "\n{provider}: was down to {usable} usable {keys} (fewer than {min_usable}), and has enough again"
                )
            } else {
                write!(text, "\n{provider}: {usable} usable {keys} left (fewer than {min_usable})")
            };
        }
        for Blocked { provider, reason, keys } in self.blocked.iter().take(NAMED) {
            let noun = if *keys == 1 { "key was" } else { "keys were" };
            let _ = write!(text, "\n{provider}: {keys} {noun} blocked ({reason})");
        }
        let unnamed =
            self.low.len().saturating_sub(NAMED) + self.blocked.len().saturating_sub(NAMED);
        if unnamed > 0 {
            let _ = write!(text, "\nand {unnamed} more");
        }
        cut(&text)
    }
}

/// What one run of the cron found.
#[derive(Debug, Default)]
pub struct Found {
    /// Every provider with keys, and how many of them are usable, counted up to the minimum.
    pub usable: Vec<(String, u64)>,
    /// Keys that were blocked since the last run.
    pub blocked: Vec<Blocked>,
    /// The last event that was looked at.
    pub event: u64,
}

/// What was told and what is yet to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Events up to this one were looked at.
    pub event: u64,
    /// When the last message arrived.
    sent_at: Millis,
    /// The next one is not tried before.
    not_before: Millis,
    failures: u32,
    /// Providers that are low and of which that was told.
    low: Vec<String>,
    /// To be told: providers that ran low, with the fewest usable keys that were seen.
    new_low: BTreeMap<String, u64>,
    /// To be told: blocked keys by provider and reason.
    new_blocked: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Told {
    /// Takes in what a run of the cron found.
    pub fn take_in(&mut self, found: &Found, min_usable: u32) {
        let lacks = |usable: u64| usable < u64::from(min_usable);
        for (provider, usable) in &found.usable {
            let known = self.low.contains(provider);
            if lacks(*usable) && !known {
                let fewest = self.new_low.entry(provider.clone()).or_insert(*usable);
                *fewest = (*fewest).min(*usable);
            }
        }
        // Who has enough again, or has no keys any more, may run low anew.
        self.low.retain(|provider| {
            found.usable.iter().any(|(other, usable)| other == provider && lacks(*usable))
        });
        for Blocked { provider, reason, keys } in &found.blocked {
            let reasons = self.new_blocked.entry(provider.clone()).or_default();
            *reasons.entry(reason.clone()).or_default() += keys;
        }
        self.event = self.event.max(found.event);
    }

    /// What to tell now, if anything.
    #[must_use]
    pub fn due(&self, found: &Found, min_usable: u32, now: Millis) -> Option<Message> {
        if self.new_low.is_empty() && self.new_blocked.is_empty() || now < self.not_before {
            return None;
        }
        let usable = |provider: &String| found.usable.iter().find(|(other, _)| other == provider);
        let low = self.new_low.iter().map(|(provider, fewest)| Low {
            provider: provider.clone(),
            usable: *fewest,
            recovered: usable(provider).is_none_or(|(_, now)| *now >= u64::from(min_usable)),
        });
        let blocked = self.new_blocked.iter().flat_map(|(provider, reasons)| {
            reasons.iter().map(|(reason, keys)| Blocked {
                provider: provider.clone(),
                reason: reason.clone(),
                keys: *keys,
            })
        });
        Some(Message { test: false, low: low.collect(), blocked: blocked.collect() })
    }

    /// The message arrived.
    pub fn arrived(&mut self, message: &Message, now: Millis) {
        let low = message.low.iter().filter(|low| !low.recovered).map(|low| low.provider.clone());
        self.low.extend(low);
        self.new_low.clear();
        self.new_blocked.clear();
        self.failures = 0;
        self.sent_at = now;
        self.not_before = now.saturating_add(BETWEEN);
    }

    /// It did not: all of it is told later.
    pub fn failed(&mut self, now: Millis) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(10)).min(BETWEEN);
        self.failures = self.failures.saturating_add(1);
        // A little less than whole runs of the cron, which do not come on the second.
        self.not_before = now.saturating_add(wait - MINUTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_764_531_000_000;

    fn found(usable: &[(&str, u64)], blocked: &[(&str, &str, u64)]) -> Found {
        Found {
            usable: usable.iter().map(|(slug, count)| ((*slug).into(), *count)).collect(),
            blocked: blocked
                .iter()
                .map(|(provider, reason, keys)| Blocked {
                    provider: (*provider).into(),
                    reason: (*reason).into(),
                    keys: *keys,
                })
                .collect(),
            event: 1,
        }
    }

    /// A run of the cron with a webhook that works; the text that it sent.
    fn run(told: &mut Told, found: &Found, now: Millis) -> Option<String> {
        told.take_in(found, 3);
        let message = told.due(found, 3, now)?;
        told.arrived(&message, now);
        Some(message.text(3))
    }

    #[test]
    fn says_once_that_a_provider_is_low() {
        let mut told = Told::default();
        assert_eq!(run(&mut told, &found(&[("openai", 3)], &[]), NOW), None);
        let low = found(&[("openai", 1), ("groq", 3)], &[]);
        let text = run(&mut told, &low, NOW).unwrap();
        assert_eq!(text, "One Balance\nopenai: 1 usable key left (fewer than 3)");
        assert_eq!(run(&mut told, &low, NOW + 2 * HOUR), None, "known");
        assert_eq!(run(&mut told, &found(&[("openai", 3)], &[]), NOW + 3 * HOUR), None);
        assert!(run(&mut told, &low, NOW + 4 * HOUR).is_some(), "low again");
    }

    #[test]
    fn what_happens_within_the_hour_is_told_after_it() {
        let mut told = Told::default();
        assert!(
            run(&mut told, &found(&[("openai", 9)], &[("openai", "invalid", 1)]), NOW).is_some()
        );
        let later = NOW + 10 * MINUTE;
        assert_eq!(
            run(&mut told, &found(&[("openai", 2)], &[("openai", "leaked", 2)]), later),
            None
        );
        assert_eq!(
            run(&mut told, &found(&[("openai", 0)], &[("openai", "leaked", 1)]), later),
            None
        );
        let calm = found(&[("openai", 3)], &[]);
        assert_eq!(run(&mut told, &calm, NOW + HOUR - 1), None);
        assert_eq!(
            run(&mut told, &calm, NOW + HOUR).unwrap(),
            "One Balance\nopenai: was down to 0 usable keys (fewer than 3), and has enough again\n\
             openai: 3 keys were blocked (leaked)"
        );
        assert_eq!(run(&mut told, &calm, NOW + 2 * HOUR), None);
    }

    #[test]
    fn what_did_not_arrive_is_told_again_ever_less_often() {
        let mut told = Told::default();
        let blocked = found(&[], &[("openai", "invalid", 1)]);
        told.take_in(&blocked, 3);
        let mut waits = Vec::new();
        let mut now = NOW;
        for _ in 0..6 {
            assert!(told.due(&blocked, 3, now).is_some());
            told.failed(now);
            waits.push((told.not_before - now).div_ceil(MINUTE) + 1);
            now = told.not_before;
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        let message = told.due(&blocked, 3, now).unwrap();
        assert_eq!(message.blocked[0].keys, 1);
        told.arrived(&message, now);
        assert_eq!((told.due(&blocked, 3, now + 2 * HOUR), told.failures), (None, 0));
    }

    #[test]
    fn state_is_kept_as_json_and_an_older_one_is_understood() {
        let mut told = Told::default();
        told.take_in(&found(&[("openai", 0)], &[("groq", "expired", 2)]), 3);
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told);
        assert_eq!(serde_json::from_str::<Told>("{}").unwrap(), Told::default());
    }

    #[test]
    fn addresses() {
        let kind = |url: &str| Webhook::new(url, None, Some("1"), 1).map(|it| it.kind);
        for (url, expected) in [
            ("https://api.telegram.org/bot1:x/sendMessage", Kind::Telegram),
            ("https://discord.com/api/webhooks/1/x", Kind::Discord),
            ("https://open.feishu.cn/open-apis/bot/v2/hook/x", Kind::Feishu),
            ("https://open.larksuite.com/open-apis/bot/v2/hook/x", Kind::Feishu),
            ("https://example.com/discord.com", Kind::Json),
            ("https://discord.com.example.com/", Kind::Json),
            ("http://127.0.0.1:9/hook", Kind::Json),
            ("http://[::1]:9", Kind::Json),
            ("http://hooks.localhost:9/", Kind::Json),
        ] {
            assert_eq!(kind(url), Ok(expected), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "http://127.0.0.1@example.com/",
            "http://[::1]example.com/",
            "https://user:pass@example.com/",
            "ftp://example.com",
            "example.com",
            "https://",
            "https://exa mple.com",
            "https:\\\\example.com",
            "https://api.telegram.org/bot1:x",
        ] {
            let problem = kind(url).expect_err(url).message;
            assert!(!problem.contains("example.com") && !problem.contains("bot1"), "{problem}");
        }
        assert!(
            Webhook::new("https://api.telegram.org/bot1:x/sendMessage", None, None, 1).is_err()
        );
        assert!(Webhook::new("https://example.com", Some("slack"), None, 1).is_err());
        let forced = Webhook::new("http://localhost:1/x", Some("Telegram"), Some("7"), 1).unwrap();
        assert_eq!(
            (forced.kind, format!("{forced:?}")),
            (Kind::Telegram, "Webhook(Telegram)".into())
        );
    }

    #[test]
    fn each_gets_the_message_in_its_own_form() {
        let message = Message {
            blocked: vec![Blocked {
                provider: "custom-a_b*<at user_id=\"all\">".into(),
                reason: "invalid".into(),
                keys: 2,
            }],
            ..Message::default()
        };
        let body = |kind: &str| {
            let hook = Webhook::new("https://example.com", Some(kind), Some("-100"), 1);
            hook.or_else(|_| Webhook::new("http://localhost", Some(kind), Some("-100"), 1))
                .unwrap()
                .body(&message, NOW)
        };
        assert_eq!(body("json")["blocked"][0]["keys"], 2);
        assert_eq!(body("json")["at"], NOW);
        assert_eq!(body("telegram")["chat_id"], "-100");
        assert!(body("telegram").get("parse_mode").is_none());
        let discord = body("discord")["content"].as_str().unwrap().to_owned();
        assert!(discord.contains("custom\\-a\\_b\\*\\<at"), "{discord}");
        assert_eq!(body("discord")["allowed_mentions"]["parse"], json!([]));
        assert!(!body("feishu")["content"]["text"].as_str().unwrap().contains('<'));
    }

    #[test]
    fn long_messages_are_cut() {
        let low = (0..100).map(|n| Low {
            provider: format!("custom-{}-{n}", "é_😀".repeat(60)),
            usable: 0,
            recovered: n % 2 == 0,
        });
        let message = Message { low: low.collect(), ..Message::default() };
        let hook = Webhook::new("https://discord.com/api/webhooks/1", None, None, 1).unwrap();
        let content = hook.body(&message, NOW)["content"].as_str().unwrap().to_owned();
        assert!(content.encode_utf16().count() <= 2_000 && content.ends_with('…'));
        let few = |n: u64| Message {
            low: (0..n)
                .map(|n| Low { provider: format!("p{n}"), usable: n, recovered: false })
                .collect(),
            ..Message::default()
        };
        assert!(few(25).text(1).ends_with("\nand 5 more"));
        assert!(Message::test().text(1).contains("test"));
    }

    #[test]
    fn feishu_says_200_to_everything() {
        let hook = |kind| Webhook::new("https://example.com", Some(kind), None, 1).unwrap();
        assert!(hook("feishu").arrived(200, br#"{"code":0,"msg":"success"}"#));
        assert!(hook("feishu").arrived(200, br#"{"StatusCode":0}"#));
        assert!(!hook("feishu").arrived(200, br#"{"code":19001,"msg":"param invalid"}"#));
        assert!(!hook("feishu").arrived(200, b"<html>"));
        assert!(hook("discord").arrived(204, b"") && hook("json").arrived(200, b"anything"));
        assert!(!hook("json").arrived(302, b"") && !hook("discord").arrived(429, b"{}"));
    }
}
