//! Keys as they stand in files: lines, CSV, JSON, `.env`, SQL, and exports of this and of other pools.
//!
//! Reading never fails: what is not understood as one of the formats is read as lines. Whether an entry can be a key,
//! stood there before, or looks as if it belonged elsewhere is told by [`judge`].

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::key::Secret;
use super::paste;
use super::problem::Problem;
use super::provider;

/// Tags of one key, and the characters of one.
pub const MOST_TAGS: usize = 20;
/// See [`MOST_TAGS`].
pub const LONGEST_TAG: usize = 40;
/// Characters of a remark or a project: a line of a list.
pub const LONGEST_NOTE: usize = 500;
/// Priorities, both ways.
pub const MOST_PRIORITY: i32 = 1_000;

/// How a text was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One key a line, or several with commas between.
    Lines,
    /// A table with a header row.
    Csv,
    /// JSON.
    Json,
    /// `NAME=value`.
    Env,
    /// `INSERT INTO`.
    Sql,
    /// Our own export.
    Export,
}

impl Format {
    /// The word for it in the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Env => "env",
            Self::Sql => "sql",
            Self::Export => "export",
        }
    }
}

/// One key of a text, and what the text says of it.
#[derive(Clone, Default)]
pub struct Entry {
    /// The line, or the number of the entry in JSON and SQL; from 1.
    pub line: usize,
    /// The key, bare.
    pub key: String,
    /// Something was taken off: quotes, invisible characters.
    pub trimmed: bool,
    /// The provider as it is named there.
    pub provider: Option<String>,
    /// A note.
    pub remark: Option<String>,
    /// Labels.
    pub tags: Option<Vec<String>>,
    /// Keys that share one quota.
    pub project: Option<String>,
    /// Higher is used first.
    pub priority: Option<i32>,
    /// It was switched off.
    pub disabled: bool,
    /// `key` is a sealed text, of an export, and not yet opened.
    pub sealed: bool,
    /// It is a service account, as text that is no JSON. Nothing of it is kept.
    pub broken: bool,
}

/// Reads a text in whichever format it has.
#[must_use]
pub fn read(text: &str) -> (Format, Vec<Entry>) {
    let text = text.trim_start_matches('\u{feff}');
    let start = text.trim_start();
    if start.starts_with(['{', '['])
        && let Some(value) = json_of(start)
    {
        let format = if value.get(EXPORT).is_some() { Format::Export } else { Format::Json };
        return (format, read_json(&value));
    }
    if start.starts_with(['{', '[']) && start.contains(PRIVATE_KEY) {
        let entry = Entry { line: 1, broken: true, ..Entry::default() };
        return (Format::Json, vec![entry]);
    }
    if let Some(entries) = read_sql(text) {
        return (Format::Sql, entries);
    }
    if let Some(entries) = read_csv(text) {
        return (Format::Csv, entries);
    }
    read_lines(text)
}

/// JSON, or several texts of it one behind the other, as files that were pasted together are.
fn json_of(text: &str) -> Option<Value> {
    let values: Result<Vec<Value>, _> =
        serde_json::Deserializer::from_str(text).into_iter().collect();
    let mut values = values.ok()?;
    if values.len() > 1 { Some(Value::Array(values)) } else { values.pop() }
}

/// Shows that a text is meant to be the file of a service account. As lines it would be a dozen keys that
/// are none, and parts of one that nobody is to see.
const PRIVATE_KEY: &str = "\"private_key\"";

/// Reads a text as lines, whatever it looks like.
#[must_use]
pub fn read_plain(text: &str) -> (Format, Vec<Entry>) {
    read_lines(text)
}

/// The member that tells our own export.
pub const EXPORT: &str = "one_balance_export";

// === lines and .env ===

fn read_lines(text: &str) -> (Format, Vec<Entry>) {
    let mut entries = Vec::new();
    let mut assignments = 0usize;
    let mut others = 0usize;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        if let Some((name, value)) = assignment(line) {
            assignments += 1;
            let of_key = ["KEY", "TOKEN", "SECRET"].iter().any(|word| name.contains(word));
            if !of_key {
                continue;
            }
            let provider = provider_of_variable(name).map(str::to_owned);
            let value = uncommented(value);
            for item in value.split([',', ';']) {
                push(&mut entries, number, item, |entry| entry.provider.clone_from(&provider));
            }
        } else {
            others += 1;
            for item in line.split([',', ';']) {
                push(&mut entries, number, item, |_| {});
            }
        }
    }
    (if assignments > others { Format::Env } else { Format::Lines }, entries)
}

fn push(entries: &mut Vec<Entry>, line: usize, item: &str, more: impl FnOnce(&mut Entry)) {
    let key = paste::bare(item);
    if key.is_empty() {
        return;
    }
    // Blanks around a key are nothing to speak of.
    let trimmed = key.len() != item.trim().len();
    let mut entry = Entry { line, key: key.to_owned(), trimmed, ..Entry::default() };
    more(&mut entry);
    complete(&mut entry);
    entries.push(entry);
}

/// A service account in base64 tells the same of itself as one in JSON.
fn complete(entry: &mut Entry) {
    if let Some(account) = provider::service_account(&entry.key) {
        let text = |name: &str| account.get(name).and_then(Value::as_str).map(note);
        entry.provider.get_or_insert_with(|| provider::VERTEX.to_owned());
        entry.remark = entry.remark.take().or_else(|| text("client_email"));
        // A quota of Vertex AI is its project's, and an account is at home there.
        entry.project = entry.project.take().or_else(|| text("project_id"));
    }
}

/// `NAME=value`, with or without `export`. Only names in capitals: a key may have a `=` in it.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end();
    let good = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.len() > 2
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    (good && !value.trim_start().starts_with('=') && !value.trim().is_empty())
        .then_some((name, value.trim()))
}

/// A value of a `.env` without the comment behind it.
fn uncommented(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && let Some((inside, _)) = rest.split_once(quote)
        {
            return inside;
        }
    }
    value.split(" #").next().unwrap_or(value)
}

/// The provider that a variable is named for: `OPENAI_API_KEY`, `GROQ_KEY_2`.
fn provider_of_variable(name: &str) -> Option<&'static str> {
    let words: Vec<String> = name.split('_').map(str::to_ascii_lowercase).collect();
    // The longest beginning that names one: `GOOGLE_AI_STUDIO_KEY`, then `GOOGLE_...`.
    (1..=words.len()).rev().find_map(|count| {
        let start = words.get(..count)?.join("-");
        resolve(&start)
    })
}

/// The slug that a name stands for: a slug, or a nickname of one.
fn resolve(name: &str) -> Option<&'static str> {
    provider::suggest(name.trim()).filter(|slug| provider::is_slug(slug))
}

/// The provider that a text names, as its pool is called.
#[must_use]
pub fn pool_of(name: &str) -> Option<String> {
    let name = name.trim();
    if provider::is_slug(name) {
        return Some(name.to_owned());
    }
    resolve(name).map(str::to_owned)
}

// === CSV ===

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Key,
    Provider,
    Remark,
    Tags,
    Project,
    Priority,
    State,
    Sealed,
    Other,
}

fn column(name: &str) -> Column {
    let name: String = name
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'))
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .collect::<String>()
        .to_ascii_lowercase();
    match name.as_str() {
        "key" | "apikey" | "keyvalue" | "secret" | "secretkey" | "token" | "accesstoken" => {
            Column::Key
        }
        "provider" | "slug" => Column::Provider,
        "remark" | "remarks" | "note" | "notes" | "name" | "label" | "description" | "comment" => {
            Column::Remark
        }
        "tags" | "tag" | "labels" => Column::Tags,
        "project" | "projectid" => Column::Project,
        "priority" => Column::Priority,
        "state" | "status" => Column::State,
        "sealed" => Column::Sealed,
        _ => Column::Other,
    }
}

/// A table whose first row names a column for the key. Quotes as in RFC 4180.
fn read_csv(text: &str) -> Option<Vec<Entry>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, header) = lines.next()?;
    let separator = [',', ';', '\t'].into_iter().max_by_key(|c| header.matches(*c).count())?;
    let columns: Vec<Column> = cells(header, separator).iter().map(|cell| column(cell)).collect();
    let alone = columns.len() == 1 && lines.clone().any(|(_, line)| line.contains(separator));
    if !columns.contains(&Column::Key) || alone {
        return None;
    }
    let mut entries = Vec::new();
    for (at, line) in lines {
        let mut entry = Entry { line: at + 1, ..Entry::default() };
        for (column, cell) in columns.iter().zip(cells(line, separator)) {
            set(&mut entry, *column, &cell);
        }
        finish(&mut entries, entry);
    }
    Some(entries)
}

fn cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(cell) = cells.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            c if c == separator && !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}

fn set(entry: &mut Entry, column: Column, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    match column {
        Column::Key => {
            let key = paste::bare(text);
            entry.trimmed = key.len() != text.len();
            key.clone_into(&mut entry.key);
        }
        Column::Provider => entry.provider = Some(text.to_owned()),
        Column::Remark => entry.remark = Some(note(text)),
        Column::Tags => entry.tags = Some(tags_of_text(text)),
        Column::Project => entry.project = Some(note(text)),
        Column::Priority => {
            entry.priority =
                text.parse().ok().map(|it: i32| it.clamp(-MOST_PRIORITY, MOST_PRIORITY));
        }
        Column::State => entry.disabled = text.eq_ignore_ascii_case("disabled"),
        Column::Sealed => {
            entry.sealed = true;
            text.clone_into(&mut entry.key);
        }
        Column::Other => {}
    }
}

fn note(text: &str) -> String {
    text.chars().take(LONGEST_NOTE).collect()
}

/// Only what can be one is taken; a file is not refused for a label.
fn tags_of_text(text: &str) -> Vec<String> {
    tidy_tags(text.split([',', '|', ';']))
}

fn tidy_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags {
        let tag = tag.trim();
        if is_tag(tag) && kept.len() < MOST_TAGS && !kept.iter().any(|it| it == tag) {
            kept.push(tag.to_owned());
        }
    }
    kept
}

/// Whether a text can be a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= LONGEST_TAG
        && !text.contains(',')
        && !text.chars().any(char::is_control)
}

fn finish(entries: &mut Vec<Entry>, mut entry: Entry) {
    complete(&mut entry);
    if !entry.key.is_empty() || entry.sealed {
        entries.push(entry);
    }
}

// === JSON ===

/// Reads JSON that was parsed already.
#[must_use]
pub fn read_json(value: &Value) -> Vec<Entry> {
    let mut entries = Vec::new();
    walk(value, None, false, &mut entries);
    for (line, entry) in (1..).zip(&mut entries) {
        entry.line = line;
    }
    entries
}

fn walk(value: &Value, provider: Option<&str>, bare: bool, entries: &mut Vec<Entry>) {
    match value {
        Value::String(text) if bare => {
            push(entries, 0, text, |entry| entry.provider = provider.map(str::to_owned));
        }
        Value::Array(list) => {
            for item in list {
                walk(item, provider, true, entries);
            }
        }
        Value::Object(map) => match of_object(map, provider) {
            Some(entry) => finish(entries, entry),
            None => {
                let own = map.get("provider").and_then(Value::as_str).or(provider);
                for (name, item) in map {
                    let named = resolve(name).or_else(|| {
                        assignment(&format!("{name}=x")).and_then(|_| provider_of_variable(name))
                    });
                    let custom = provider::is_slug(name).then_some(name.as_str());
                    let of_item = named.or(custom).or(own);
                    // A text is a key where its name says so; else it is something about keys.
                    walk(item, of_item, named.or(custom).is_some(), entries);
                }
            }
        },
        _ => {}
    }
}

/// The entry of an object that has a key in it.
fn of_object(map: &Map<String, Value>, provider: Option<&str>) -> Option<Entry> {
    if provider::is_service_account(map) {
        return Some(Entry {
            key: provider::key_of_service_account(map),
            provider: provider.map(str::to_owned),
            ..Entry::default()
        });
    }
    let mut entry = Entry { provider: provider.map(str::to_owned), ..Entry::default() };
    let mut found = false;
    for (name, value) in map {
        let column = column(name);
        match value {
            Value::String(text) => {
                // The first of several names that could hold the key.
                if column == Column::Key && found {
                    continue;
                }
                found |= matches!(column, Column::Key | Column::Sealed);
                set(&mut entry, column, text);
            }
            Value::Number(number) if column == Column::Priority => {
                set(&mut entry, column, &number.to_string())
            }
            Value::Array(list) if column == Column::Tags => {
                entry.tags = Some(tidy_tags(list.iter().filter_map(Value::as_str)));
            }
            Value::Bool(false) if name == "enabled" => entry.disabled = true,
            _ => {}
        }
    }
    found.then_some(entry)
}

// === SQL ===

/// The original's table, in the order of its columns.
const ORIGINAL: &[&str] = &[
    "id",
    "key",
    "provider",
    "model_coolings",
    "total_cooling_seconds",
    "status",
    "remark",
    "created_at",
    "updated_at",
];

/// The rows that a dump inserts into a table of keys.
fn read_sql(text: &str) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut found = false;
    let mut rest = text;
    while let Some(at) = find_insert(rest) {
        rest = rest.get(at + INSERT.len()..)?;
        let (table, behind) = identifier(rest);
        let mut behind = behind.trim_start();
        let mut columns: Vec<String> = ORIGINAL.iter().map(|name| (*name).to_owned()).collect();
        if behind.starts_with('(')
            && let Some((list, after)) = behind.get(1..).and_then(|it| it.split_once(')'))
        {
            columns = list.split(',').map(|name| identifier(name).0).collect();
            behind = after.trim_start();
        }
        let is_values = behind.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("values"));
        if !is_values || !matches!(table.as_str(), "keys" | "provider_keys") {
            continue;
        }
        let columns: Vec<Column> = columns.iter().map(|name| column(name)).collect();
        found = true;
        rest = behind.get(6..).unwrap_or_default();
        while let Some((values, after)) = tuple(rest) {
            rest = after;
            let mut entry = Entry::default();
            for (column, value) in columns.iter().zip(&values) {
                set(&mut entry, *column, value);
            }
            entry.line = entries.len() + 1;
            finish(&mut entries, entry);
        }
    }
    found.then_some(entries)
}

const INSERT: &str = "insert into";

fn find_insert(text: &str) -> Option<usize> {
    text.as_bytes()
        .windows(INSERT.len())
        .position(|part| part.eq_ignore_ascii_case(INSERT.as_bytes()))
}

/// A name with or without quotes, and what stands behind it.
fn identifier(text: &str) -> (String, &str) {
    let text = text.trim();
    let is_part =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | '`' | '\'' | '[' | ']' | '.');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let name: String =
        name.chars().filter(|c| !matches!(c, '"' | '`' | '\'' | '[' | ']')).collect();
    (name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase(), rest)
}

/// The next `(...)` of a list of rows, as texts, and what stands behind it.
fn tuple(text: &str) -> Option<(Vec<String>, &str)> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    let inside = text.strip_prefix('(')?;
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut chars = inside.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let value = values.last_mut()?;
        match c {
            '\'' if quoted && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
                value.push('\'');
            }
            '\'' => quoted = !quoted,
            ',' if !quoted => values.push(String::new()),
            ')' if !quoted => {
                for value in &mut values {
                    if value.trim().eq_ignore_ascii_case("null") {
                        value.clear();
                    }
                }
                return Some((values, inside.get(at + 1..)?));
            }
            c => value.push(c),
        }
    }
    None
}

// === judging ===

/// What an entry is.
#[derive(Debug)]
pub enum Status {
    /// It can be a key of this provider; its digest.
    Key {
        /// The slug of its pool.
        provider: String,
        /// [`Secret::digest`].
        digest: String,
        /// What looks odd about it.
        warnings: Vec<Problem>,
    },
    /// It stood there before.
    Repeated {
        /// Where.
        first_line: usize,
    },
    /// It cannot be one.
    Invalid(Problem),
}

/// Tells of the entries from `from` to `to` what they are. Keys that name no provider are of `fallback`.
#[must_use]
pub fn judge(entries: &[Entry], fallback: Option<&str>, from: usize, to: usize) -> Vec<Status> {
    let mut seen: HashMap<(&str, &str), usize> = HashMap::with_capacity(entries.len());
    let mut known: HashMap<&str, Option<String>> = HashMap::new();
    for name in entries.iter().filter_map(|entry| entry.provider.as_deref()) {
        known.entry(name).or_insert_with(|| pool_of(name));
    }
    let mut judged = Vec::with_capacity(to.saturating_sub(from));
    for (index, entry) in entries.iter().enumerate().take(to) {
        let named = entry.provider.as_deref();
        let pool = match named {
            Some(name) => known.get(name).and_then(Option::as_deref),
            None => fallback,
        };
        let problem = match (entry.sealed, pool, named) {
            _ if entry.broken => Some(Problem::new(
                "broken_service_account",
                "It looks like the file of a service account, but it is no JSON. Paste the whole file \
                 as it is, from { to }.",
            )),
            (true, ..) => Some(Problem::new(
                "sealed",
                "It is sealed, and no ENCRYPTION_KEY that is here opens it.",
            )),
            (_, None, Some(name)) => {
                let name = super::error::echo(name);
                Some(
                    Problem::new("unknown_provider", format!("There is no provider `{name}`."))
                        .with("provider", name),
                )
            }
            (_, None, None) => Some(Problem::new(
                "no_provider",
                "Nothing says whose key it is. Choose a provider.",
            )),
            (_, Some(_), _) => paste::objection(&entry.key),
        };
        let status = match (problem, pool) {
            (Some(problem), _) => Status::Invalid(problem),
            (None, pool) => {
                let pool = pool.unwrap_or_default();
                match seen.get(&(pool, entry.key.as_str())) {
                    Some(first_line) => Status::Repeated { first_line: *first_line },
                    None => {
                        seen.insert((pool, entry.key.as_str()), entry.line);
                        if index < from {
                            continue;
                        }
                        Status::Key {
                            provider: pool.to_owned(),
                            digest: Secret::new(entry.key.clone()).digest(),
                            warnings: warnings(entry, pool),
                        }
                    }
                }
            }
        };
        if index >= from {
            judged.push(status);
        }
    }
    judged
}

fn warnings(entry: &Entry, pool: &str) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if entry.trimmed {
        warnings.push(Problem::new(
            "trimmed",
            "Quotes or invisible characters around it were taken off.",
        ));
    }
    let own = provider::find(pool).map_or(&[][..], |row| row.key_prefixes);
    let longest = |prefixes: &[&str]| {
        prefixes
            .iter()
            .filter(|prefix| entry.key.starts_with(**prefix))
            .map(|prefix| prefix.len())
            .max()
    };
    let mine = longest(own).unwrap_or_default();
    let other = provider::all()
        .iter()
        .filter(|row| row.slug != pool)
        .filter_map(|row| Some((longest(row.key_prefixes)?, row.slug)))
        .filter(|(length, _)| *length > mine)
        .max_by_key(|(length, _)| *length);
    // The gateway's custom providers and those whose keys have no shape may look like anything.
    if own.is_empty() {
        return warnings;
    }
    if let Some((_, slug)) = other {
        let sentence = format!("It looks like a key of {slug}.");
        warnings.push(Problem::new("other_provider", sentence).with("provider", slug));
    } else if mine == 0 {
        let sentence = format!("Keys of {pool} usually begin with {}.", own.join(" or "));
        warnings.push(Problem::new("unusual_prefix", sentence).with("prefixes", own.to_vec()));
    }
    warnings
}

#[cfg(test)]
mod tests;
