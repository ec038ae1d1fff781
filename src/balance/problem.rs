//! Something that an administrator is told, so that a page can say it in any language: a code that
//! never changes, the values of the sentence, and the sentence in English.

use core::fmt;

use serde_json::{Map, Value, json};

/// What to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Which sentence it is.
    pub code: &'static str,
    /// What the sentence is made of.
    pub values: Map<String, Value>,
    /// The sentence. It holds no secret.
    pub message: String,
}

impl Problem {
    /// A problem without values.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, values: Map::new(), message: message.into() }
    }

    /// The same with one value more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// Whether everybody may be told: it says nothing of tokens and addresses.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(
            self.code,
            "not_a_number"
                | "not_on_or_off"
                | "not_one_of_two"
                | "not_an_affinity"
                | "custom_header"
        )
    }

    /// As the admin API shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "code": self.code, "values": self.values, "message": self.message })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A sentence that has no code of its own.
impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::new("other", message)
    }
}
