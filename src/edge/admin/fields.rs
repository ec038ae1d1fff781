//! The fields of a call, from its query or its JSON body: taken one by one, each checked where it is
//! taken, so that a fault names it.

use serde_json::{Map, Value};
use web_sys::UrlSearchParams;

use super::fault::Fault;
use crate::balance::import::{LONGEST_NOTE, LONGEST_TAG, MOST_TAGS, is_tag};

/// What an administrator sent.
pub struct Fields {
    map: Map<String, Value>,
    /// From a query: numbers are texts there, and what nobody asks for does not matter.
    of_query: bool,
}

impl Fields {
    /// These of a query, as far as they are there and not empty.
    pub fn of_query(query: &UrlSearchParams, names: &[&str]) -> Self {
        let map = names.iter().filter_map(|name| {
            let text = query.get(name).filter(|text| !text.is_empty())?;
            Some(((*name).to_owned(), Value::String(text)))
        });
        Self { map: map.collect(), of_query: true }
    }

    /// Those of a JSON object.
    pub fn of_json(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Object(map) => Ok(Self { map, of_query: false }),
            _ => Err(Fault::new(400, "bad_body", "The body must be a JSON object.")),
        }
    }

    /// Whether it is there, `null` included.
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Whatever it is; `None` for `null` too.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// A text of at most so many characters.
    pub fn text(&mut self, name: &str, most: usize) -> Result<Option<String>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text)),
            Some(Value::String(_)) => {
                let sentence = format!("`{name}` is longer than {most} characters.");
                Err(Fault::of(name, "too_long", sentence).with("most", most))
            }
            Some(_) => Err(Fault::wrong_type(name, "text")),
        }
    }

    /// A remark or a project.
    pub fn note(&mut self, name: &str) -> Result<Option<String>, Fault> {
        self.text(name, LONGEST_NOTE)
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, least: i64, most: i64) -> Result<Option<i64>, Fault> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "only whole numbers far below 2^53"
                )]
                let whole = || {
                    number
                        .as_f64()
                        .filter(|it| it.fract() == 0.0 && it.abs() < 9e15)
                        .map(|it| it as i64)
                };
                number.as_i64().or_else(whole)
            }
            Some(Value::String(text)) if self.of_query => text.trim().parse().ok(),
            Some(_) => return Err(Fault::wrong_type(name, "a number")),
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => {
                let sentence = format!("`{name}` must be a number from {least} to {most}.");
                Err(Fault::of(name, "out_of_range", sentence)
                    .with("least", least)
                    .with("most", most))
            }
        }
    }

    /// A number that is not negative, or this one when it is not there.
    pub fn count(&mut self, name: &str, default: u32, least: u32, most: u32) -> Result<u32, Fault> {
        let number = self.number(name, least.into(), most.into())?;
        Ok(number.and_then(|it| u32::try_from(it).ok()).unwrap_or(default))
    }

    /// An id or a time.
    pub fn id(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        let number = self.number(name, 0, 9_007_199_254_740_991)?;
        Ok(number.and_then(|it| u64::try_from(it).ok()))
    }

    /// Yes or no; no when it is not there.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if self.of_query && matches!(text.as_str(), "true" | "1") => {
                Ok(Some(true))
            }
            Some(Value::String(text))
                if self.of_query && matches!(text.as_str(), "false" | "0") =>
            {
                Ok(Some(false))
            }
            Some(_) => Err(Fault::wrong_type(name, "true or false")),
        }
    }

    /// One of these words.
    pub fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(name, LONGEST_NOTE)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meant)) => Ok(Some(*meant)),
            None => Err(Fault::not_one_of(
                name,
                &words.iter().map(|(word, _)| *word).collect::<Vec<_>>(),
            )),
        }
    }

    /// A list of tags, each once.
    pub fn tags(&mut self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let list = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(Fault::wrong_type(name, "a list of texts")),
        };
        let mut tags: Vec<String> = Vec::new();
        for item in list {
            let Value::String(text) = item else {
                return Err(Fault::wrong_type(name, "a list of texts"));
            };
            let tag = text.trim();
            if !is_tag(tag) {
                let shown: String =
                    tag.chars().filter(|c| !c.is_control()).take(LONGEST_TAG).collect();
                let sentence = format!(
                    "A tag has 1 to {LONGEST_TAG} characters and no comma: `{}`.",
                    shown.replace('`', "")
                );
                return Err(Fault::of(name, "bad_tag", sentence).with("tag", shown));
            }
            if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        if tags.len() > MOST_TAGS {
            let sentence = format!("A key has at most {MOST_TAGS} tags.");
            return Err(Fault::of(name, "too_many_tags", sentence).with("most", MOST_TAGS));
        }
        Ok(Some(tags))
    }

    /// A list of ids.
    pub fn ids(&mut self, name: &str, most: usize) -> Result<Option<Vec<u64>>, Fault> {
        let list = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(Fault::wrong_type(name, "a list of ids")),
        };
        if list.len() > most {
            return Err(Fault::too_many(name, list.len(), most));
        }
        let ids: Option<Vec<u64>> = list.iter().map(Value::as_u64).collect();
        ids.map(Some).ok_or_else(|| Fault::wrong_type(name, "a list of ids"))
    }

    /// An object; an empty one when it is not there.
    pub fn object(&mut self, name: &str) -> Result<Fields, Fault> {
        match self.take(name) {
            None => Ok(Self { map: Map::new(), of_query: false }),
            Some(Value::Object(map)) => Ok(Self { map, of_query: false }),
            Some(_) => Err(Fault::wrong_type(name, "an object")),
        }
    }

    /// Nothing else was sent: a misspelt field must not be taken for one that is not there.
    pub fn finish(self) -> Result<(), Fault> {
        match self.map.keys().next() {
            Some(name) if !self.of_query => {
                let shown: String =
                    name.chars().filter(|c| !c.is_control() && *c != '`').take(60).collect();
                Err(Fault::of(
                    &shown,
                    "unknown_field",
                    format!("There is no field `{shown}` here."),
                ))
            }
            _ => Ok(()),
        }
    }
}
