//! `/metrics`: the totals and the pool in the text format of Prometheus.

use core::fmt::{Display, Write as _};

use serde::Deserialize;

use super::{DAY, MINUTE, Millis, SECOND};

/// Keys that a day of counting the pool may read: with their coolings 2 of the Free plan's 5 million
/// rows.
const KEYS_COUNTED_PER_DAY: Millis = 1_000_000;
/// A count is kept at least this long,
pub const COUNT_KEPT: Millis = MINUTE;
/// and this long for each key: 86 s for 1,000, a quarter of an hour for 10,000, a day for a million.
pub const COUNT_KEPT_PER_KEY: Millis = DAY / KEYS_COUNTED_PER_DAY;

/// The totals of a model: a row of `usage_totals`.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "the columns, which migrations/0002 explains")]
pub struct Totals {
    pub provider: String,
    pub model: String,
    pub requests: u64,
    pub successes: u64,
    pub refused: u64,
    pub rate_limited: u64,
    pub rejected: u64,
    pub transient: u64,
    pub egress: u64,
    pub gateway: u64,
    pub caller: u64,
}

/// Keys of a provider in a state, and how many of them can be used for some model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Counted(pub String, pub String, pub u64, pub u64);

/// All that `/metrics` shows.
#[derive(Debug, Default)]
pub struct Measured {
    /// Of every model.
    pub totals: Vec<Totals>,
    /// Of every provider and state.
    pub keys: Vec<Counted>,
    /// When they were counted.
    pub counted_at: Millis,
}

/// The states of a key as the pool is counted by.
const STATES: [&str; 4] = ["ready", "cooling", "blocked", "disabled"];

/// The text.
#[must_use]
pub fn render(measured: &Measured, version: &str) -> String {
    let mut page = Page(String::new());
    page.family("one_balance_build_info", "gauge", "The version that answers.");
    page.sample("one_balance_build_info", &[("version", version)], 1);

    page.family(
        "one_balance_requests_total",
        "counter",
        "Requests of clients. served: with a success; failed: with the upstream's error; refused: with an error of our own.",
    );
    for it in &measured.totals {
        let failed = it.requests.saturating_sub(it.successes + it.refused);
        for (outcome, count) in
            [("served", it.successes), ("failed", failed), ("refused", it.refused)]
        {
            let labels = [("provider", &*it.provider), ("model", &*it.model), ("outcome", outcome)];
            page.sample("one_balance_requests_total", &labels, count);
        }
    }

    page.family(
        "one_balance_attempts_total",
        "counter",
        "Requests to providers, each with one key, by what the answer said.",
    );
    for it in &measured.totals {
        let verdicts = [
            ("success", it.successes),
            ("rate_limited", it.rate_limited),
            ("rejected", it.rejected),
            ("transient", it.transient),
            ("egress", it.egress),
            ("gateway", it.gateway),
            ("caller", it.caller),
        ];
        for (verdict, count) in verdicts {
            let labels = [("provider", &*it.provider), ("model", &*it.model), ("verdict", verdict)];
            page.sample("one_balance_attempts_total", &labels, count);
        }
    }

    let mut providers: Vec<_> = measured.keys.iter().map(|Counted(slug, ..)| &**slug).collect();
    providers.sort_unstable();
    providers.dedup();
    let of = |provider: &str| {
        let provider = provider.to_owned();
        measured.keys.iter().filter(move |Counted(slug, ..)| *slug == provider)
    };
    page.family(
        "one_balance_keys",
        "gauge",
        "Keys in the pool by state. cooling: ready, but not for every model.",
    );
    for provider in &providers {
        // Every state is there, so that one that ends is seen to be 0. Others are of newer versions.
        let others = of(provider).map(|Counted(_, state, ..)| &**state);
        let others = others.filter(|state| !STATES.contains(state));
        for state in STATES.into_iter().chain(others) {
            let count = of(provider).filter(|it| it.1 == state).map(|it| it.2).sum::<u64>();
            page.sample("one_balance_keys", &[("provider", provider), ("state", state)], count);
        }
    }
    page.family(
        "one_balance_keys_usable",
        "gauge",
        "Keys that are neither blocked nor disabled nor cooling for every model.",
    );
    for provider in &providers {
        let count = of(provider).map(|it| it.3).sum::<u64>();
        page.sample("one_balance_keys_usable", &[("provider", provider)], count);
    }
    page.family(
        "one_balance_keys_counted_timestamp_seconds",
        "gauge",
        "When the keys were counted; the more there are, the less often.",
    );
    page.sample("one_balance_keys_counted_timestamp_seconds", &[], measured.counted_at / SECOND);
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if position == 0 { '{' } else { ',' });
            for char in text.chars() {
                match char {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    // Some readers take other line ends for one.
                    char if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                        self.0.push('\u{fffd}');
                    }
                    char => self.0.push(char),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_pool() {
        let totals = Totals {
            provider: "openai".into(),
            model: "gpt-5-mini".into(),
            requests: 10,
            successes: 7,
            refused: 1,
            rate_limited: 4,
            ..Totals::default()
        };
        let keys = vec![
            Counted("openai".into(), "ready".into(), 3, 3),
            Counted("openai".into(), "cooling".into(), 2, 1),
            Counted("groq".into(), "blocked".into(), 1, 0),
        ];
        let text = render(
            &Measured { totals: vec![totals], keys, counted_at: 1_764_531_000_999 },
            "0.1.0",
        );
        for line in [
            "# TYPE one_balance_requests_total counter",
            "one_balance_build_info{version=\"0.1.0\"} 1",
            "one_balance_requests_total{provider=\"openai\",model=\"gpt-5-mini\",outcome=\"served\"} 7",
            "one_balance_requests_total{provider=\"openai\",model=\"gpt-5-mini\",outcome=\"failed\"} 2",
            "one_balance_attempts_total{provider=\"openai\",model=\"gpt-5-mini\",verdict=\"rate_limited\"} 4",
            "one_balance_keys{provider=\"openai\",state=\"cooling\"} 2",
            "one_balance_keys{provider=\"openai\",state=\"blocked\"} 0",
            "one_balance_keys_usable{provider=\"openai\"} 4",
            "one_balance_keys_usable{provider=\"groq\"} 0",
            "one_balance_keys_counted_timestamp_seconds 1764531000",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }

    proptest! {
        #[test]
        fn a_hostile_name_stays_within_its_label(model in "\\PC*|[\\\\\"\n\r{},= ]*|.*") {
            let totals = Totals { model: model.clone(), ..Totals::default() };
            let text = render(&Measured { totals: vec![totals], ..Measured::default() }, "1");
            for line in text.lines().filter(|line| line.contains("model=")) {
                let start = line.find("model=\"").unwrap() + 7;
                let mut read = String::new();
                let mut chars = line.get(start..).unwrap().chars();
                loop {
                    match chars.next().unwrap() {
                        '"' => break,
                        '\\' => read.push(match chars.next().unwrap() {
                            'n' => '\n',
                            char => char,
                        }),
                        char => read.push(char),
                    }
                }
                let rest = chars.as_str();
                let is_rest = rest.starts_with(",outcome=\"") || rest.starts_with(",verdict=\"");
                prop_assert!(is_rest, "{}", line);
                let plain = |text: &str| -> String {
                    let odd = ['\u{fffd}', '\u{2028}', '\u{2029}'];
                    text.chars().filter(|it| !it.is_control() && !odd.contains(it)).collect()
                };
                prop_assert_eq!(plain(&read), plain(&model));
            }
        }
    }
}
