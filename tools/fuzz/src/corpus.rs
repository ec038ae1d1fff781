//! What mutations start from: captured answers, and the words that the tables look for.

use std::collections::BTreeSet;

use serde_json::Value;

const CASES: &str = include_str!("../../../src/balance/classify/cases.json");

/// The sources whose text literals are the dictionary: every word and phrase that decides
/// anything is in one of them.
const SOURCES: [&str; 11] = [
    include_str!("../../../src/balance/classify/body.rs"),
    include_str!("../../../src/balance/classify/gateway.rs"),
    include_str!("../../../src/balance/classify/google.rs"),
    include_str!("../../../src/balance/classify/quota_headers.rs"),
    include_str!("../../../src/balance/classify/rules.rs"),
    include_str!("../../../src/balance/classify/stream.rs"),
    include_str!("../../../src/balance/classify/tables.rs"),
    include_str!("../../../src/balance/retry_after.rs"),
    include_str!("../../../src/balance/route.rs"),
    include_str!("../../../src/balance/token.rs"),
    include_str!("../../../src/balance/provider.rs"),
];

/// A captured answer.
pub struct Case {
    pub provider: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

pub struct Corpus {
    pub cases: Vec<Case>,
    /// Words and phrases of the tables.
    pub words: Vec<String>,
    pub providers: Vec<&'static str>,
}

impl Corpus {
    pub fn load() -> Result<Self, String> {
        let cases: Vec<Value> =
            serde_json::from_str(CASES).map_err(|why| format!("cases.json: {why}"))?;
        let cases = cases.iter().map(case).collect::<Option<Vec<_>>>();
        let cases = cases.ok_or("cases.json: a case without a provider, status or body")?;
        let words: BTreeSet<String> = SOURCES.iter().flat_map(|source| literals(source)).collect();
        let mut providers: Vec<&'static str> =
            one_balance::balance::provider::all().iter().map(|row| row.slug).collect();
        providers.extend(["custom-mine", "compat", ""]);
        Ok(Self { cases, words: words.into_iter().collect(), providers })
    }
}

fn case(json: &Value) -> Option<Case> {
    let text = |name: &str| json.get(name)?.as_str().map(str::to_owned);
    let headers = json.get("headers").and_then(Value::as_object).into_iter().flatten();
    // The gateway is known by its body, whichever provider was asked.
    let provider = text("provider").map(|provider| match provider.as_str() {
        "ai-gateway" => "openai".to_owned(),
        _ => provider,
    })?;
    Some(Case {
        provider,
        status: u16::try_from(json.get("status")?.as_u64()?).ok()?,
        headers: headers
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        body: text("body")?.into_bytes(),
    })
}

/// The text literals of Rust sources, as good as the dictionary needs them.
fn literals(source: &str) -> impl Iterator<Item = String> {
    source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|text| (2..80).contains(&text.len()) && !text.contains('\\'))
        .map(str::to_owned)
}
