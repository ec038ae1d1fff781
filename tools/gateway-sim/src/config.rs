//! What the control API can set for the whole simulator.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::quota::Windows;

#[derive(Clone, Debug)]
pub struct Config {
    pub windows: Windows,
    pub gateway_token: Option<String>,
    /// Strings that must never arrive in a header or in the query, such as a client's token.
    pub forbidden: Vec<String>,
    /// Where custom providers look for their key: a header's name, or `name: Scheme`.
    pub custom_headers: HashMap<String, String>,
    /// Accept keys that nobody registered.
    pub open: bool,
    pub latency_ms: u64,
    pub stream_chunks: usize,
    pub stream_delay_ms: u64,
    pub log: bool,
    pub log_bodies: bool,
}

impl Config {
    pub fn new(open: bool) -> Self {
        Self {
            windows: Windows::default(),
            gateway_token: None,
            forbidden: Vec::new(),
            custom_headers: HashMap::new(),
            open,
            latency_ms: 0,
            stream_chunks: 4,
            // A demonstration should look like a model that thinks.
            stream_delay_ms: if open { 60 } else { 0 },
            log: true,
            log_bodies: false,
        }
    }

    pub fn apply(&mut self, patch: Patch) {
        if let Some(length) = patch.minute_ms {
            self.windows.minute.resize(length);
        }
        if let Some(length) = patch.day_ms {
            self.windows.day.resize(length);
        }
        if let Some(token) = patch.gateway_token {
            self.gateway_token = token.filter(|token| !token.is_empty());
        }
        if let Some(forbidden) = patch.forbidden {
            self.forbidden = forbidden.into_iter().filter(|text| !text.is_empty()).collect();
        }
        set(&mut self.custom_headers, patch.custom_headers);
        set(&mut self.open, patch.open);
        set(&mut self.latency_ms, patch.latency_ms);
        set(&mut self.stream_chunks, patch.stream_chunks.map(|chunks| chunks.clamp(1, 100_000)));
        set(&mut self.stream_delay_ms, patch.stream_delay_ms);
        set(&mut self.log, patch.log);
        set(&mut self.log_bodies, patch.log_bodies);
    }

    pub fn to_json(&self) -> Value {
        json!({
            "minute_ms": self.windows.minute.length_ms,
            "day_ms": self.windows.day.length_ms,
            "gateway_token": self.gateway_token,
            "forbidden": self.forbidden,
            "custom_headers": self.custom_headers,
            "open": self.open,
            "latency_ms": self.latency_ms,
            "stream_chunks": self.stream_chunks,
            "stream_delay_ms": self.stream_delay_ms,
            "log": self.log,
            "log_bodies": self.log_bodies,
        })
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A partial [`Config`]; what is absent stays as it is.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    minute_ms: Option<u64>,
    day_ms: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    gateway_token: Option<Option<String>>,
    forbidden: Option<Vec<String>>,
    custom_headers: Option<HashMap<String, String>>,
    open: Option<bool>,
    latency_ms: Option<u64>,
    stream_chunks: Option<usize>,
    stream_delay_ms: Option<u64>,
    log: Option<bool>,
    log_bodies: Option<bool>,
}

/// Tells an explicit `null` (`Some(None)`) from an absent field (`None`).
fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
