//! The provider keys that the simulator knows, how each behaves, and what it has used.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::quota::{Counters, Limits, Windows};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    #[default]
    Valid,
    Invalid,
    Expired,
    Suspended,
    Leaked,
    DisabledApi,
    NoCredit,
    Region,
    Restricted,
    #[serde(rename = "bare_401")]
    Bare401,
    #[serde(rename = "bare_403")]
    Bare403,
    Slow,
    Drop,
}

/// A key as the control API writes it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    pub provider: String,
    pub key: String,
    #[serde(default)]
    pub state: KeyState,
    pub rpm: Option<u64>,
    pub rpd: Option<u64>,
    #[serde(default)]
    pub models: HashMap<String, ModelSettings>,
    #[serde(default)]
    pub delay_ms: u64,
    /// Keys of one project share one count.
    pub project: Option<String>,
    /// The only place where the key is known: an Azure resource, a project of Vertex, a Cloudflare
    /// account.
    pub home: Option<String>,
    /// The only deployments of its home; any when absent.
    pub deployments: Option<Vec<String>>,
}

/// What differs for one model.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    pub rpm: Option<u64>,
    pub rpd: Option<u64>,
    pub state: Option<KeyState>,
}

pub struct Key {
    pub settings: KeySettings,
    pub counters: Arc<Counters>,
}

impl Key {
    pub fn limits(&self, model: &str) -> Limits {
        let own = self.settings.models.get(model);
        Limits {
            rpm: own.and_then(|own| own.rpm).or(self.settings.rpm),
            rpd: own.and_then(|own| own.rpd).or(self.settings.rpd),
        }
    }

    pub fn state(&self, model: &str) -> KeyState {
        let own = self.settings.models.get(model).and_then(|own| own.state);
        if self.settings.state == KeyState::Valid {
            own.unwrap_or_default()
        } else {
            self.settings.state
        }
    }

    /// Whether the key is known where the request goes.
    pub fn at_home(&self, place: Option<&str>) -> bool {
        match (&self.settings.home, place) {
            (Some(home), Some(place)) => home.eq_ignore_ascii_case(place),
            _ => true,
        }
    }

    /// Whether there is a deployment of this name at its home.
    pub fn is_deployed(&self, model: &str) -> bool {
        let named = |list: &Vec<String>| list.iter().any(|it| it.eq_ignore_ascii_case(model));
        self.settings.deployments.as_ref().is_none_or(named)
    }

    /// Whose files and stored answers this key can see.
    pub fn owner(&self) -> &str {
        self.settings.project.as_deref().unwrap_or(&self.settings.key)
    }
}

#[derive(Default)]
pub struct Keys {
    /// provider -> key text -> key
    by_provider: RwLock<HashMap<String, HashMap<String, Arc<Key>>>>,
}

type Table = HashMap<String, HashMap<String, Arc<Key>>>;

impl Keys {
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.by_provider.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.by_provider.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, provider: &str, key: &str) -> Option<Arc<Key>> {
        self.read().get(provider)?.get(key).cloned()
    }

    /// The provider a key is registered for, when it is not `provider`.
    pub fn foreign_to(&self, provider: &str, key: &str) -> Option<String> {
        let table = self.read();
        if table.get(provider).is_some_and(|keys| keys.contains_key(key)) {
            return None;
        }
        table.iter().find(|(_, keys)| keys.contains_key(key)).map(|(other, _)| other.clone())
    }

    /// Adds a key, or changes one without losing its counts.
    pub fn put(&self, settings: KeySettings) {
        let mut table = self.write();
        let keys = table.entry(settings.provider.clone()).or_default();
        let counters = keys
            .values()
            .find(|other| match &settings.project {
                Some(project) => other.settings.project.as_ref() == Some(project),
                None => other.settings.project.is_none() && other.settings.key == settings.key,
            })
            .map(|other| other.counters.clone())
            .unwrap_or_default();
        keys.insert(settings.key.clone(), Arc::new(Key { settings, counters }));
    }

    /// The key, accepted as a free-tier key when nobody registered it (demonstration mode).
    pub fn get_or_invent(&self, provider: &str, key: &str) -> Arc<Key> {
        if let Some(known) = self.get(provider, key) {
            return known;
        }
        let mut table = self.write();
        let keys = table.entry(provider.to_owned()).or_default();
        keys.entry(key.to_owned())
            .or_insert_with(|| {
                Arc::new(Key { settings: invented(provider, key), counters: Arc::default() })
            })
            .clone()
    }

    pub fn clear(&self) {
        self.write().clear();
    }

    pub fn to_json(&self, windows: &Windows, now_ms: u64) -> Value {
        let table = self.read();
        let mut keys: Vec<&Arc<Key>> = table.values().flat_map(HashMap::values).collect();
        keys.sort_by(|a, b| {
            (&a.settings.provider, &a.settings.key).cmp(&(&b.settings.provider, &b.settings.key))
        });
        keys.into_iter()
            .map(|key| {
                let used: serde_json::Map<String, Value> = key
                    .counters
                    .used(windows, now_ms)
                    .into_iter()
                    .map(|(model, minute, day)| (model, json!({ "minute": minute, "day": day })))
                    .collect();
                let mut entry = serde_json::to_value(&key.settings).unwrap_or_default();
                entry["used"] = Value::Object(used);
                entry
            })
            .collect()
    }
}

/// What an unregistered key is taken for: its text says how it behaves, its provider what it may do.
fn invented(provider: &str, key: &str) -> KeySettings {
    let text = key.to_ascii_lowercase();
    let state = [
        ("invalid", KeyState::Invalid),
        ("suspended", KeyState::Suspended),
        ("leaked", KeyState::Leaked),
        ("expired", KeyState::Expired),
        ("nocredit", KeyState::NoCredit),
        ("slow", KeyState::Slow),
    ]
    .into_iter()
    .find(|(word, _)| text.contains(word))
    .map_or(KeyState::Valid, |(_, state)| state);
    let (rpm, rpd) = match provider {
        "google-ai-studio" => (Some(10), Some(250)),
        "groq" => (Some(30), Some(14_400)),
        "openrouter" => (Some(20), Some(50)),
        "cerebras" => (Some(30), Some(14_400)),
        "mistral" => (Some(60), None),
        "cohere" => (Some(20), None),
        "anthropic" => (Some(50), None),
        "openai" => (Some(500), Some(10_000)),
        _ => (None, None),
    };
    KeySettings {
        provider: provider.to_owned(),
        key: key.to_owned(),
        state,
        rpm,
        rpd,
        ..KeySettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(provider: &str, key: &str, project: Option<&str>) -> KeySettings {
        KeySettings {
            provider: provider.into(),
            key: key.into(),
            project: project.map(str::to_owned),
            rpm: Some(1),
            ..KeySettings::default()
        }
    }

    #[test]
    fn keys_of_a_project_share_their_counts() {
        let keys = Keys::default();
        for key in ["a", "b"] {
            keys.put(settings("openai", key, Some("p")));
        }
        keys.put(settings("openai", "c", None));
        let take = |key: &str| {
            let key = keys.get("openai", key).unwrap();
            key.counters.take("m", key.limits("m"), &Windows::default(), 0)
        };
        assert!(take("a").is_ok());
        assert!(take("b").is_err());
        assert!(take("c").is_ok());
    }

    #[test]
    fn a_key_with_a_home_is_known_there_alone() {
        let key = |home: Option<&str>| Key {
            settings: KeySettings {
                home: home.map(str::to_owned),
                deployments: home.map(|_| vec!["gpt".to_owned()]),
                ..settings("azure-openai", "a", None)
            },
            counters: Arc::default(),
        };
        let mine = key(Some("mine"));
        assert!(mine.at_home(Some("MINE")) && !mine.at_home(Some("other")));
        assert!(mine.is_deployed("GPT") && !mine.is_deployed("other"));
        assert!(key(None).at_home(Some("other")) && key(None).is_deployed("other"));
    }

    #[test]
    fn an_upsert_keeps_the_counts() {
        let keys = Keys::default();
        keys.put(settings("openai", "a", None));
        let key = keys.get("openai", "a").unwrap();
        assert!(key.counters.take("m", key.limits("m"), &Windows::default(), 0).is_ok());
        keys.put(settings("openai", "a", None));
        let key = keys.get("openai", "a").unwrap();
        assert!(key.counters.take("m", key.limits("m"), &Windows::default(), 0).is_err());
    }

    #[test]
    fn a_key_of_another_provider_is_foreign() {
        let keys = Keys::default();
        keys.put(settings("openai", "a", None));
        assert_eq!(keys.foreign_to("groq", "a").as_deref(), Some("openai"));
        assert_eq!(keys.foreign_to("openai", "a"), None);
        assert_eq!(keys.foreign_to("groq", "unknown"), None);
    }

    #[test]
    fn the_text_of_an_invented_key_says_how_it_behaves() {
        let keys = Keys::default();
        assert_eq!(keys.get_or_invent("openai", "sk-leaked-1").state("m"), KeyState::Leaked);
        let gemini = keys.get_or_invent("google-ai-studio", "AIza-1");
        assert_eq!(gemini.limits("m"), Limits { rpm: Some(10), rpd: Some(250) });
    }
}
