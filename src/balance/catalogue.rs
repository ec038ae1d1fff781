//! Which models does a provider list, and how is that said to a client?
//!
//! A provider's own list is read leniently, since there are four forms of it, and kept in one. What a
//! client gets is put together from the lists of several providers, in the client's dialect.

use super::clock;
use super::error::Refusal;
use super::retry_after::rfc3339;
use super::route::decode;
use super::{Millis, SECOND};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest list that is read, in bytes. The longest known, OpenRouter's, has 700 KB.
pub const LONGEST_LIST: usize = 8 * 1024 * 1024;

/// The most models of one provider that are kept: at 100 bytes each half a megabyte.
const MOST_MODELS: usize = 5_000;

/// A model in a provider's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// As requests to the provider name it.
    pub id: String,
    /// Since when there is one; 0 where the provider does not say.
    #[serde(default)]
    pub created: Millis,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The whole entry, where a dialect shows more of it than the above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Value>,
}

impl Model {
    /// A model of which only the name is known.
    pub fn named(id: &str) -> Self {
        Model { id: id.to_owned(), created: 0, name: None, whole: None }
    }
}

/// One entry of any of the forms.
#[derive(Deserialize)]
struct Entry {
    id: Option<String>,
    name: Option<String>,
    model_id: Option<String>,
    #[serde(alias = "displayName")]
    display_name: Option<String>,
    created: Option<Value>,
    created_at: Option<Value>,
}

/// Where the entries are.
#[derive(Deserialize)]
struct Page<T> {
    data: Option<Vec<T>>,
    models: Option<Vec<T>>,
}

/// The entries of a list, which may also be bare.
fn entries<T: serde::de::DeserializeOwned>(body: &[u8]) -> Option<Vec<T>> {
    if body.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(body).ok();
    }
    let page: Page<T> = serde_json::from_slice(body).ok()?;
    page.data.or(page.models)
}

/// Reads a provider's list; `None` when it is none. `whole` keeps the entries as they are.
pub fn read(body: &[u8], whole: bool) -> Option<Vec<Model>> {
    let mut models: Vec<Model> = if whole {
        entries::<Value>(body)?
            .into_iter()
            .filter_map(|value| {
                let model = Entry::deserialize(&value).ok()?.read()?;
                Some(Model { whole: Some(value), ..model })
            })
            .collect()
    } else {
        entries::<Entry>(body)?.into_iter().filter_map(Entry::read).collect()
    };
    let mut seen = std::collections::HashSet::new();
    models.retain(|model| seen.insert(model.id.clone()));
    models.truncate(MOST_MODELS);
    Some(models)
}

impl Entry {
    fn read(self) -> Option<Model> {
        let has_id = self.id.is_some() || self.model_id.is_some();
        let id = self.id.or(self.model_id).or_else(|| self.name.clone())?;
        let id = super::model::clean(&id).ok()?;
        // Beside an id, `name` is for people.
        let name = self.display_name.or(if has_id { self.name } else { None });
        let created = self.created.or(self.created_at).map_or(0, |value| time(&value));
        Some(Model { id, created, name: name.filter(|name| !name.is_empty()), whole: None })
    }
}

/// Seconds since 1970, or a date.
fn time(value: &Value) -> Millis {
    if let Some(seconds) = value.as_u64() {
        return seconds.saturating_mul(SECOND);
    }
    value.as_str().and_then(rfc3339).unwrap_or_default()
}

/// A model with the provider whose it is, and its name in a list of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<'a> {
    /// The slug.
    pub provider: &'a str,
    /// As requests to us name it.
    pub id: String,
    /// The model.
    pub model: &'a Model,
}

impl<'a> Listing<'a> {
    /// With the provider in front of its name, so that every name in a list is another, and leads
    /// where it says.
    pub fn prefixed(provider: &'a str, model: &'a Model) -> Self {
        Listing { provider, id: [provider, "/", &model.id].concat(), model }
    }

    /// With its own name.
    pub fn bare(provider: &'a str, model: &'a Model) -> Self {
        Listing { provider, id: model.id.clone(), model }
    }
}

/// OpenAI's form. It has no pages.
pub fn openai(list: &[Listing<'_>]) -> Value {
    let entry = |one: &Listing<'_>| {
        json!({
            "id": one.id,
            "object": "model",
            "created": one.model.created / SECOND,
            "owned_by": one.provider,
        })
    };
    json!({ "object": "list", "data": list.iter().map(entry).collect::<Vec<_>>() })
}

/// Anthropic's form: `limit` (20 when absent), `after_id` or `before_id`.
///
/// # Errors
///
/// When a parameter is not what it must be.
pub fn anthropic(list: &[Listing<'_>], query: Option<&str>) -> Result<Value, Refusal> {
    let limit = number(query, "limit", 20, 1..=1000)?;
    let place = |name: &str| {
        let Some(id) = parameter(query, name) else { return Ok(None) };
        let at = list.iter().position(|one| one.id == id);
        at.map(Some)
            .ok_or_else(|| Refusal::bad_request(format!("`{name}` names no model of this list.")))
    };
    let end = place("before_id")?.unwrap_or(list.len());
    let (start, more) = match place("after_id")? {
        Some(at) => (at + 1, at + 1 + limit < end),
        // What is wanted is what stands right in front.
        None if end < list.len() => (end.saturating_sub(limit), end > limit),
        None => (0, limit < end),
    };
    let page: Vec<_> = list.iter().take(end).skip(start).take(limit).collect();
    let entry = |one: &&Listing<'_>| {
        json!({
            "type": "model",
            "id": one.id,
            "display_name": one.model.name.as_deref().unwrap_or(&one.model.id),
            "created_at": date(one.model.created),
        })
    };
    Ok(json!({
        "data": page.iter().map(entry).collect::<Vec<_>>(),
        "has_more": more,
        "first_id": page.first().map(|one| &one.id),
        "last_id": page.last().map(|one| &one.id),
    }))
}

/// Gemini's form: `pageSize` (50 when absent) and `pageToken`.
///
/// # Errors
///
/// When a parameter is not what it must be.
pub fn gemini(list: &[Listing<'_>], query: Option<&str>) -> Result<Value, Refusal> {
    let size = number(query, "pageSize", 50, 1..=1000)?;
    let start = number(query, "pageToken", 0, 0..=usize::MAX)?;
    let entry = |one: &Listing<'_>| match &one.model.whole {
        Some(whole) => whole.clone(),
        None => json!({ "name": format!("models/{}", one.id), "displayName": one.model.name }),
    };
    let page: Vec<_> = list.iter().skip(start).take(size).map(entry).collect();
    let mut body = json!({ "models": page });
    let next = start.saturating_add(size);
    if next < list.len()
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("nextPageToken".to_owned(), next.to_string().into());
    }
    Ok(body)
}

/// The decoded value of a parameter that is there and not empty.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, value)| decode(key) == name && !value.is_empty())
        .map(|(_, value)| decode(value))
        .next()
}

fn number(
    query: Option<&str>,
    name: &str,
    default: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<usize, Refusal> {
    let Some(text) = parameter(query, name) else { return Ok(default) };
    match text.parse::<usize>() {
        // Zero is what some clients send for "as you like".
        Ok(0) if *range.start() > 0 => Ok(default),
        Ok(number) => Ok(number.min(*range.end())),
        Err(_) => {
            Err(Refusal::bad_request(format!("`{name}` is not a number that this list gave.")))
        }
    }
}

/// RFC 3339, to the second.
fn date(at: Millis) -> String {
    let day = clock::civil(at);
    let seconds = at / SECOND % 86_400;
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        day.year,
        day.month,
        day.day,
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(models: &[Model]) -> Vec<&str> {
        models.iter().map(|model| model.id.as_str()).collect()
    }

    #[test]
    fn every_form_of_a_list_is_read() {
        for (body, expected) in [
            (
                r#"{"object":"list","data":[{"id":"gpt-5","object":"model","created":1,"owned_by":"x"}]}"#,
                &["gpt-5"][..],
            ),
            (
                r#"{"models":[{"name":"models/gemini-2.5-pro","displayName":"Gemini"}],"nextPageToken":"x"}"#,
                &["gemini-2.5-pro"],
            ),
            (
                r#"{"data":[{"type":"model","id":"claude","display_name":"C","created_at":"2025-10-01T00:00:00Z"}],"has_more":false}"#,
                &["claude"],
            ),
            (r#"{"models":[{"name":"command-a","endpoints":["chat"]}]}"#, &["command-a"]),
            (r#"[{"model_id":"eleven_v3","name":"Eleven"}]"#, &["eleven_v3"]),
            (
                r#"{"data":[{"id":"a"},{"id":""},{},{"id":"a"},{"id":"b","created":1.5}]}"#,
                &["a", "b"],
            ),
            (r#"{"data":[]}"#, &[]),
        ] {
            for whole in [false, true] {
                assert_eq!(ids(&read(body.as_bytes(), whole).unwrap()), expected, "{body}");
            }
        }
        for body in
            ["", "x", "{}", r#"{"error":{"message":"no"}}"#, r#"{"data":{"id":"x"}}"#, "<html>"]
        {
            assert_eq!(read(body.as_bytes(), false), None, "{body}");
        }
    }

    #[test]
    fn times_and_names_are_kept() {
        let body = r#"{"data":[
            {"id":"a","created":1700000000,"name":"For people"},
            {"id":"b","created_at":"2025-10-01T12:30:05Z","display_name":"B"},
            {"id":"c","created_at":"soon"}]}"#;
        let models = read(body.as_bytes(), false).unwrap();
        assert_eq!(models[0].created, 1_700_000_000_000);
        assert_eq!(models[0].name.as_deref(), Some("For people"));
        assert_eq!(date(models[1].created), "2025-10-01T12:30:05Z");
        assert_eq!((models[2].created, models[2].name.as_deref()), (0, None));
        let again: Vec<Model> =
            serde_json::from_str(&serde_json::to_string(&models).unwrap()).unwrap();
        assert_eq!(again, models);
    }

    fn five() -> Vec<Model> {
        read(br#"{"data":[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d"},{"id":"e"}]}"#, false)
            .unwrap()
    }

    #[test]
    fn openai_gets_all_with_the_provider_in_front() {
        let models = five();
        let list: Vec<_> = models.iter().map(|model| Listing::prefixed("groq", model)).collect();
        let body = openai(&list);
        assert_eq!(body["data"].as_array().unwrap().len(), 5);
        assert_eq!(
            body["data"][0],
            json!({"id": "groq/a", "object": "model", "created": 0, "owned_by": "groq"})
        );
    }

    #[test]
    fn anthropic_gets_pages() {
        let models = five();
        let list: Vec<_> = models.iter().map(|model| Listing::bare("anthropic", model)).collect();
        for (query, expected, more) in [
            (None, &["a", "b", "c", "d", "e"][..], false),
            (Some("limit=2"), &["a", "b"], true),
            (Some("limit=2&after_id=b"), &["c", "d"], true),
            (Some("limit=2&after_id=d"), &["e"], false),
            (Some("after_id=e"), &[], false),
            (Some("limit=2&before_id=d"), &["b", "c"], true),
            (Some("limit=9&before_id=c"), &["a", "b"], false),
            (Some("limit=0"), &["a", "b", "c", "d", "e"], false),
            (Some("limit=9999"), &["a", "b", "c", "d", "e"], false),
        ] {
            let body = anthropic(&list, query).unwrap();
            let got: Vec<_> = body["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["id"].as_str().unwrap())
                .collect();
            assert_eq!(got, expected, "{query:?}");
            assert_eq!(body["has_more"], more, "{query:?}");
            assert_eq!(body["first_id"].as_str(), expected.first().copied());
            assert_eq!(body["last_id"].as_str(), expected.last().copied());
        }
        for query in ["limit=x", "after_id=nope", "before_id=nope"] {
            assert_eq!(anthropic(&list, Some(query)).unwrap_err().status(), 400, "{query}");
        }
    }

    #[test]
    fn gemini_gets_pages() {
        let body =
            br#"{"models":[{"name":"models/a","x":1},{"name":"models/b"},{"name":"models/c"}]}"#;
        let models = read(body, true).unwrap();
        let list: Vec<_> =
            models.iter().map(|model| Listing::bare("google-ai-studio", model)).collect();
        let first = gemini(&list, Some("pageSize=2")).unwrap();
        assert_eq!(first["models"][0], json!({"name": "models/a", "x": 1}));
        let next = format!("pageSize=2&pageToken={}", first["nextPageToken"].as_str().unwrap());
        let second = gemini(&list, Some(&next)).unwrap();
        assert_eq!(second, json!({"models": [{"name": "models/c"}]}));
        assert_eq!(gemini(&list, None).unwrap()["models"].as_array().unwrap().len(), 3);
        assert_eq!(gemini(&list, Some("pageToken=nope")).unwrap_err().status(), 400);
    }
}
