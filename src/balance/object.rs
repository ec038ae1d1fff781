//! Stored objects: a file, a batch, a stored response, a voice, ... can be used with the key (or its
//! project) that made it, and with no other.
//!
//! One table says, per provider, which requests make one and where the answer has its name, and
//! where requests name one: in the path, in the query, in the body. What is remembered of an object is
//! a digest of its name, since some names are all that a stranger would need (a resumable upload's).

use sha2::{Digest as _, Sha256};

use super::home::Wanted;
use super::key::{KeyId, State, hex};
use super::route::decode;
use super::snapshot::Snapshot;
use super::{DAY, Millis};

/// How long an object is remembered that its provider keeps until it is deleted.
const KEPT: Millis = 3_650 * DAY;
/// The same where the provider's own time is a month.
const MONTH: Millis = 31 * DAY;
/// The same where it is a day or two.
const DAYS: Millis = 3 * DAY;

/// What the name of a resumable upload begins with.
pub const UPLOAD: &str = "upload_id/";

/// How much of an answer is read for a name. It is among the first fields wherever one is made; what a
/// finished batch adds to that is a few hundred bytes.
pub const LONGEST_HEAD: usize = 16 * 1024;

/// The longest name. Bedrock's ARNs are the longest known.
const MAX_NAME: usize = 512;
/// The shortest. Whatever is shorter (`latest`, `me`) is no provider's random id.
const MIN_NAME: usize = 5;

/// The most segments that stand in front of a collection: `{resource}/openai/deployments/{deployment}`.
const MOST_FRONT: usize = 5;

/// The most names of one request that are looked for: a vector store takes 500 files at once, all of
/// one key if of any.
pub const MOST_NAMES: usize = 32;

/// A field of a JSON text that is looked for. See [`super::model::Scanner::watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Only in the outermost object.
    pub top: bool,
    /// When the field is an object, the name of the member that is meant.
    pub member: Option<&'static str>,
    /// What it is good for.
    pub what: What,
}

/// What a field is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It names an object, or several in a list.
    Name,
    /// Whether the answer is to be stored.
    Store,
    /// It tells the conversation, so well ([`super::affinity`]).
    Session(u8),
    /// What the conversation begins with.
    Opening,
    /// Whose words a message of it are.
    Role,
}

const fn names(name: &'static str) -> Field {
    Field { name, top: false, member: None, what: What::Name }
}

/// A name, or an object with an `id`.
const fn names_by_id(name: &'static str) -> Field {
    Field { member: Some("id"), ..names(name) }
}

const fn top(name: &'static str) -> Field {
    Field { top: true, ..names(name) }
}

const fn top_member(name: &'static str, member: &'static str) -> Field {
    Field { member: Some(member), ..top(name) }
}

const STORE: Field = Field { what: What::Store, ..top("store") };

/// When an answer is stored at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Always.
    Always,
    /// Unless the request says `"store": false`.
    ByDefault,
    /// Only if it says `"store": true`.
    OnRequest,
}

/// A kind of object. `POST {collection}` makes one, a path `{collection}/{name}` names it, and
/// `DELETE {collection}/{name}` ends it.
#[derive(Debug)]
struct Family {
    /// Segments behind the version.
    collection: &'static str,
    made: Creation,
    /// Segments that stand where a name would, and are none.
    not: &'static [&'static str],
}

/// What a request makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Where the answer has the name. The first ones are looked for in events, too.
    pub fields: &'static [Field],
    /// How long it is remembered.
    pub life: Millis,
    /// When it is made at all.
    pub stored: Stored,
}

const ID: &[Field] = &[top("id")];
const NAME: &[Field] = &[top("name")];

const fn family(collection: &'static str, life: Millis) -> Family {
    Family { collection, made: made(ID, life), not: &[] }
}

const fn family_by(collection: &'static str, fields: &'static [Field], life: Millis) -> Family {
    Family { collection, made: made(fields, life), not: &[] }
}

const fn made(fields: &'static [Field], life: Millis) -> Creation {
    Creation { fields, life, stored: Stored::Always }
}

/// How a provider's objects are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// By an id that nothing else has, whatever it is of.
    Id,
    /// By `collection/id`, with more in front or behind in some places.
    Google,
}

/// The objects of a provider.
#[derive(Debug)]
pub struct Objects {
    naming: Naming,
    families: &'static [Family],
    /// Further requests that make one: method, path (`*`: any one segment), what.
    others: &'static [(&'static str, &'static str, Creation)],
    /// Where else a path names one.
    named: &'static [&'static str],
    /// Query parameters that name one.
    query: &'static [&'static str],
    /// Fields of a body that do.
    fields: &'static [Field],
    /// Segments that the account chose stand in front of a collection.
    anywhere: bool,
}

const NONE: Objects = Objects {
    naming: Naming::Id,
    families: &[],
    others: &[],
    named: &[],
    query: &[],
    fields: &[],
    anywhere: false,
};

static NO_OBJECTS: Objects = NONE;

const RESPONSES: Family = Family {
    collection: "responses",
    made: Creation {
        fields: &[top_member("response", "id"), top("id")],
        life: MONTH,
        stored: Stored::ByDefault,
    },
    not: &["input_tokens", "compact"],
};

const STORED_CHATS: Family = Family {
    collection: "chat/completions",
    made: Creation { fields: ID, life: MONTH, stored: Stored::OnRequest },
    not: &[],
};

/// What a finished job wrote.
const RESULTS: &[Field] = &[
    names("output_file_id"),
    names("error_file_id"),
    names("output_file"),
    names("error_file"),
    names("result_files"),
];

/// OpenAI, and all who have copied its files, batches and responses.
const OPENAI_ROW: Objects = Objects {
    families: &[
        RESPONSES,
        STORED_CHATS,
        family("files", KEPT),
        family("uploads", DAYS),
        family_by("batches", &[top("id"), top("batch_id")], KEPT),
        family("conversations", KEPT),
        family("vector_stores", KEPT),
        family("assistants", KEPT),
        Family { not: &["runs"], ..family("threads", KEPT) },
        family("fine_tuning/jobs", KEPT),
        family("containers", DAYS),
        Family {
            not: &["edits", "extensions", "characters", "generations"],
            ..family("videos", MONTH)
        },
        family("evals", KEPT),
        family("skills", KEPT),
    ],
    others: &[
        ("POST", "threads/runs", made(&[top("thread_id")], KEPT)),
        ("POST", "uploads/*/complete", made(&[top_member("file", "id")], KEPT)),
        ("POST", "videos/*/remix", made(ID, MONTH)),
        ("POST", "videos/edits", made(ID, MONTH)),
        ("POST", "videos/extensions", made(ID, MONTH)),
        ("GET", "batches/*", made(RESULTS, KEPT)),
        ("GET", "fine_tuning/jobs/*", made(RESULTS, KEPT)),
    ],
    fields: &[
        STORE,
        top("previous_response_id"),
        Field { top: true, ..names_by_id("conversation") },
        names("file_id"),
        names("file_ids"),
        top("input_file_id"),
        names("vector_store_ids"),
        top("vector_store_id"),
        top("training_file"),
        top("validation_file"),
        top("assistant_id"),
        top("thread_id"),
        names("container"),
        names("container_id"),
        names("skill_id"),
        top("eval_id"),
    ],
    ..NONE
};

static OPENAI: Objects = OPENAI_ROW;

/// `{resource}/{deployment}/...`, `{resource}/openai/...`
static AZURE: Objects = Objects { anywhere: true, ..OPENAI_ROW };

static GROK: Objects = Objects {
    families: &[
        RESPONSES,
        family("files", KEPT),
        family_by("batches", &[top("batch_id"), top("id")], KEPT),
        Family { not: &["generations", "edits"], ..family("videos", DAYS) },
        Family {
            collection: "chat/completions",
            // Only a deferred one has that.
            made: Creation { fields: &[top("request_id")], life: DAYS, stored: Stored::OnRequest },
            not: &[],
        },
        family("collections", KEPT),
    ],
    others: &[
        ("POST", "videos/generations", made(&[top("request_id")], DAYS)),
        ("POST", "videos/edits", made(&[top("request_id")], DAYS)),
        ("GET", "batches/*", made(RESULTS, KEPT)),
    ],
    named: &["chat/deferred-completion/{}"],
    fields: &[
        STORE,
        Field { name: "deferred", ..STORE },
        top("previous_response_id"),
        names("file_id"),
        names("file_ids"),
        names("collection_ids"),
        names("vector_store_ids"),
    ],
    ..NONE
};

static MISTRAL: Objects = Objects {
    families: &[
        family("files", KEPT),
        family("batch/jobs", KEPT),
        family("fine_tuning/jobs", KEPT),
        Family { not: &["completions"], ..family("agents", KEPT) },
        family_by("conversations", &[top("conversation_id")], KEPT),
        family("libraries", KEPT),
    ],
    others: &[("GET", "batch/jobs/*", made(RESULTS, KEPT))],
    fields: &[
        names("file_id"),
        names("file_ids"),
        top("input_files"),
        names("agent_id"),
        names("library_ids"),
    ],
    ..NONE
};

static ANTHROPIC: Objects = Objects {
    families: &[
        family("files", KEPT),
        family("messages/batches", MONTH),
        family("skills", KEPT),
        family("agents", KEPT),
        family("sessions", KEPT),
        family("environments", KEPT),
        family("vaults", KEPT),
        family("memory_stores", KEPT),
    ],
    fields: &[names("file_id"), names_by_id("container"), names("skill_id")],
    ..NONE
};

static GEMINI: Objects = Objects {
    naming: Naming::Google,
    families: &[
        family_by("files", &[top_member("file", "name"), top("id")], DAYS),
        family_by("cachedContents", NAME, MONTH),
        family_by("batches", &[top("name"), top("id")], MONTH),
        family_by("operations", NAME, MONTH),
        family_by("tunedModels", NAME, KEPT),
        family_by("fileSearchStores", NAME, KEPT),
        family_by("corpora", NAME, KEPT),
        family("interactions", MONTH),
        family("videos", DAYS),
    ],
    others: &[
        ("PUT", "files", made(&[top_member("file", "name")], DAYS)),
        ("POST", "models/*:batchGenerateContent", made(NAME, MONTH)),
        ("POST", "models/*:asyncBatchEmbedContent", made(NAME, MONTH)),
        ("POST", "models/*:predictLongRunning", made(NAME, MONTH)),
        ("POST", "fileSearchStores/*:uploadToFileSearchStore", made(NAME, MONTH)),
        ("POST", "fileSearchStores/*:importFile", made(NAME, MONTH)),
        // What a finished job wrote.
        (
            "GET",
            "batches/*",
            made(&[names("fileName"), names("responsesFile"), names("output_file_id")], DAYS),
        ),
        ("GET", "models/*/operations/*", made(&[names("uri")], DAYS)),
        ("GET", "operations/*", made(&[names("uri")], DAYS)),
    ],
    named: &["models/*/operations/{}"],
    query: &["upload_id"],
    fields: &[
        names("fileUri"),
        names("file_uri"),
        names("fileName"),
        names("file_name"),
        names("cachedContent"),
        names("cached_content"),
        names("fileSearchStoreNames"),
        names("file_search_store_names"),
        top("previous_interaction_id"),
        top("input_file_id"),
    ],
    ..NONE
};

static VERTEX: Objects = Objects {
    naming: Naming::Google,
    families: &[
        family_by("cachedContents", NAME, MONTH),
        family_by("batchPredictionJobs", NAME, KEPT),
        family_by("operations", NAME, MONTH),
    ],
    others: &[("POST", "models/*:predictLongRunning", made(NAME, MONTH))],
    fields: &[names("cachedContent"), names("cached_content"), names("operationName")],
    ..NONE
};

static REPLICATE: Objects = Objects {
    families: &[family("predictions", MONTH), family("trainings", KEPT), family("files", KEPT)],
    others: &[
        ("POST", "models/*/*/predictions", made(ID, MONTH)),
        ("POST", "deployments/*/*/predictions", made(ID, MONTH)),
        ("POST", "models/*/*/versions/*/trainings", made(ID, KEPT)),
    ],
    ..NONE
};

const VOICE: &[Field] = &[top("voice_id")];

static ELEVENLABS: Objects = Objects {
    families: &[
        Family { not: &["add", "settings", "pvc"], ..family_by("voices", VOICE, KEPT) },
        family_by("dubbing", &[top("dubbing_id")], KEPT),
        Family { not: &["create"], ..family_by("convai/agents", &[top("agent_id")], KEPT) },
        family_by("studio/projects", &[top_member("project", "project_id")], KEPT),
        family("pronunciation-dictionaries", KEPT),
    ],
    others: &[
        ("POST", "voices/add", made(VOICE, KEPT)),
        ("POST", "voices/add/*/*", made(VOICE, KEPT)),
        ("POST", "voices/pvc", made(VOICE, KEPT)),
        ("POST", "text-to-voice", made(VOICE, KEPT)),
        ("POST", "text-to-voice/create-voice-from-preview", made(VOICE, KEPT)),
        ("POST", "convai/agents/create", made(&[top("agent_id")], KEPT)),
        ("POST", "pronunciation-dictionaries/add-from-file", made(ID, KEPT)),
        ("POST", "pronunciation-dictionaries/add-from-rules", made(ID, KEPT)),
    ],
    named: &["text-to-speech/{}", "speech-to-speech/{}", "voices/pvc/{}", "history/{}"],
    query: &["agent_id", "voice_id"],
    fields: &[names("voice_id"), names("pronunciation_dictionary_id"), top("agent_id")],
    ..NONE
};

static CARTESIA: Objects = Objects {
    families: &[Family { not: &["clone", "localize"], ..family("voices", KEPT) }],
    others: &[
        ("POST", "voices/clone", made(ID, KEPT)),
        ("POST", "voices/localize", made(ID, KEPT)),
    ],
    fields: &[names_by_id("voice")],
    ..NONE
};

static COHERE: Objects = Objects {
    families: &[
        family("datasets", KEPT),
        family_by("embed-jobs", &[top("job_id")], MONTH),
        family_by("connectors", &[top_member("connector", "id")], KEPT),
    ],
    fields: &[names("dataset_id"), names("input_dataset_id")],
    ..NONE
};

static PERPLEXITY: Objects =
    Objects { families: &[family("async/chat/completions", DAYS)], ..NONE };

static PARALLEL: Objects = Objects {
    families: &[
        family_by("tasks/runs", &[top("run_id")], MONTH),
        family_by("tasks/groups", &[top("taskgroup_id")], MONTH),
        family_by("findall/runs", &[top("findall_id")], MONTH),
    ],
    fields: &[names("previous_interaction_id")],
    ..NONE
};

/// In its queue. An application may have paths of its own, up to four segments deep.
static FAL: Objects = Objects {
    others: &[
        ("POST", "queue.fal.run/*/*", made(REQUEST, MONTH)),
        ("POST", "queue.fal.run/*/*/*", made(REQUEST, MONTH)),
        ("POST", "queue.fal.run/*/*/*/*", made(REQUEST, MONTH)),
        ("POST", "queue.fal.run/*/*/*/*/*", made(REQUEST, MONTH)),
        ("POST", "queue.fal.run/*/*/*/*/*/*", made(REQUEST, MONTH)),
    ],
    named: &[
        "queue.fal.run/*/*/requests/{}",
        "queue.fal.run/*/*/*/requests/{}",
        "queue.fal.run/*/*/*/*/requests/{}",
        "queue.fal.run/*/*/*/*/*/requests/{}",
        "queue.fal.run/*/*/*/*/*/*/requests/{}",
    ],
    ..NONE
};

const REQUEST: &[Field] = &[top("request_id")];

static BEDROCK: Objects =
    Objects { families: &[family_by("async-invoke", &[top("invocationArn")], MONTH)], ..NONE };

/// The objects of a provider. Those that are not known have OpenAI's, as their other ways are.
#[must_use]
pub fn of(slug: &str) -> &'static Objects {
    match slug {
        "google-ai-studio" => &GEMINI,
        "anthropic" => &ANTHROPIC,
        "grok" => &GROK,
        "mistral" => &MISTRAL,
        "google-vertex-ai" => &VERTEX,
        "replicate" => &REPLICATE,
        "elevenlabs" => &ELEVENLABS,
        "cartesia" => &CARTESIA,
        "cohere" => &COHERE,
        "perplexity-ai" => &PERPLEXITY,
        "parallel" => &PARALLEL,
        "aws-bedrock" => &BEDROCK,
        "fal" => &FAL,
        "azure-openai" => &AZURE,
        "deepgram" | "huggingface" | "ideogram" | "workers-ai" => &NO_OBJECTS,
        _ => &OPENAI,
    }
}

// === impl Objects ===

impl Objects {
    /// Fields of a body that name objects, or say whether one is made.
    #[must_use]
    pub const fn fields(&self) -> &'static [Field] {
        self.fields
    }

    fn segments(&self, path: &str) -> Vec<String> {
        let mut segments = segments(path);
        if self.anywhere {
            let is_head = |segment: &String| {
                self.families
                    .iter()
                    .any(|family| family.collection.split('/').next() == Some(segment))
            };
            let front = segments.iter().take(MOST_FRONT).position(is_head).unwrap_or(0);
            segments.drain(..front);
        }
        segments
    }

    /// The objects that an address names, as they are remembered.
    #[must_use]
    pub fn in_address(&self, path: &str, query: Option<&str>) -> Vec<String> {
        let mut found = Vec::new();
        // Google's OpenAI layer calls them by ids alone.
        let by_id = self.naming == Naming::Id || path.split('/').any(|segment| segment == "openai");
        let path = self.segments(path);
        let mut take = |long: &str, short: &str| {
            let name = if by_id || short.contains('/') { short } else { long };
            self.clean(name, &mut found);
        };
        for family in self.families {
            if let Some(name) = behind(&path, family.collection)
                && !family.not.contains(&name)
            {
                // `{name}:{method}`; an ARN has colons of its own.
                let method = if self.naming == Naming::Google { name.find(':') } else { None };
                let name = method.and_then(|at| name.get(..at)).unwrap_or(name);
                take(&[family.collection, "/", name].concat(), name);
                break;
            }
        }
        for pattern in self.named {
            if let Some(name) = matches(&path, pattern, false).flatten() {
                take(&path.join("/"), name);
            }
        }
        for pair in query.unwrap_or_default().split('&').filter(|_| !self.query.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if self.query.contains(&name) && !value.is_empty() {
                let value = decode(value);
                take(&[name, "/", &value].concat(), &value);
            }
        }
        found
    }

    /// Adds what a field's text names, as it is remembered; nothing when it can be no name.
    pub fn clean(&self, text: &str, found: &mut Vec<String>) {
        let fits = |name: &str| {
            (MIN_NAME..=MAX_NAME).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_graphic())
        };
        let mut add = |name: String| {
            if fits(&name) && !found.contains(&name) && found.len() < MOST_NAMES {
                found.push(name);
            }
        };
        match self.naming {
            Naming::Id => add(text.to_owned()),
            Naming::Google => {
                let text = text.split(['?', '#']).next().unwrap_or_default();
                let parts: Vec<&str> = text.split('/').collect();
                let mut pairs = parts.iter().zip(parts.iter().skip(1));
                let mut known = false;
                while let Some((collection, id)) = pairs.next() {
                    let is_known = ["upload_id", "interactions"].contains(collection)
                        || self.families.iter().any(|family| family.collection == *collection);
                    if is_known && !id.is_empty() {
                        let id = id.split(':').next().unwrap_or(id);
                        add([collection, "/", id].concat());
                        known = true;
                        pairs.next();
                    }
                }
                // An interaction's id, and a file's in the OpenAI layer.
                if !known && parts.len() == 1 {
                    add(text.to_owned());
                }
            }
        }
    }

    /// What the request makes, if anything. `store` is what its body says about that.
    #[must_use]
    pub fn creation(&self, method: &str, path: &str, store: Option<bool>) -> Option<Creation> {
        let path = self.segments(path);
        let family = || {
            let family = self.families.iter().find(|family| {
                method == "POST" && matches(&path, family.collection, true).is_some()
            });
            family.map(|family| family.made)
        };
        let other = || {
            let other = self
                .others
                .iter()
                .find(|(on, pattern, _)| *on == method && matches(&path, pattern, true).is_some());
            other.map(|(_, _, made)| *made)
        };
        family().or_else(other).filter(|made| match made.stored {
            Stored::Always => true,
            Stored::ByDefault => store != Some(false),
            Stored::OnRequest => store == Some(true),
        })
    }

    /// The object that a successful request of this kind ends.
    #[must_use]
    pub fn deletion(&self, method: &str, path: &str) -> Option<String> {
        if method != "DELETE" {
            return None;
        }
        let parts = self.segments(path);
        let of_family = self.families.iter().any(|family| {
            parts.len() == family.collection.split('/').count() + 1
                && behind(&parts, family.collection).is_some()
        });
        of_family.then(|| self.in_address(path, None).into_iter().next()).flatten()
    }
}

/// What a name is remembered by.
#[must_use]
pub fn digest(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    hex(digest.get(..16).unwrap_or_default())
}

/// The segments of a path, decoded, without what stands in front of a collection: versions, and the
/// prefixes of uploads and of OpenAI layers.
fn segments(path: &str) -> Vec<String> {
    let mut segments: Vec<String> =
        path.split('/').map(decode).filter(|segment| !segment.is_empty()).collect();
    let is_prefix = |segment: &String| {
        matches!(segment.as_str(), "openai" | "upload" | "download")
            || segment
                .strip_prefix('v')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let front = match segments.first().map(String::as_str) {
        // Vertex and Bedrock: projects/p/locations/l/[publishers/p/], bedrock-runtime/region/
        Some("bedrock-runtime") => 2,
        _ => segments.iter().take_while(|segment| is_prefix(segment)).count(),
    };
    segments.drain(..front.min(segments.len()));
    if segments.first().is_some_and(|first| first == "projects") {
        let end =
            if segments.get(4).is_some_and(|segment| segment == "publishers") { 6 } else { 4 };
        segments.drain(..end.min(segments.len()));
    }
    segments
}

/// The segment behind the collection.
fn behind<'p>(path: &'p [String], collection: &str) -> Option<&'p str> {
    let mut segments = path.iter();
    for expected in collection.split('/') {
        segments.next().filter(|segment| *segment == expected)?;
    }
    segments.next().map(String::as_str)
}

/// Whether the path is the pattern's (`whole`: with nothing behind), and what its `{}` stands for.
fn matches<'p>(path: &'p [String], pattern: &str, whole: bool) -> Option<Option<&'p str>> {
    let mut segments = path.iter();
    let mut name = None;
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        match expected.strip_prefix('*') {
            Some(method) if segment.ends_with(method) => {}
            Some(_) => return None,
            None if expected == "{}" => name = Some(segment.as_str()),
            None if segment == expected => {}
            None => return None,
        }
    }
    (!whole || segments.next().is_none()).then_some(name)
}

// === the key that holds an object ===

/// What can be done for a request that names an object of this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The key can be used.
    Usable,
    /// It cools for the model until then.
    Cooling(Millis),
    /// It is blocked, disabled or deleted.
    Gone,
}

/// Looks at the key that holds an object.
#[must_use]
pub fn held<'a>(
    snapshot: &Snapshot,
    key: KeyId,
    wanted: impl Into<Wanted<'a>>,
    now: Millis,
) -> Held {
    match snapshot.key(key) {
        Some(key) if key.state == State::Ready => {
            let cooling = key.cooling_for(wanted, now);
            cooling.map_or(Held::Usable, |cooling| Held::Cooling(cooling.until))
        }
        _ => Held::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{EVERY_MODEL, Key, Source};
    use super::super::model::Scanner;
    use super::super::model::texts_of;
    use super::super::snapshot::Change;
    use super::super::snapshot::tests::{cooling, key, snapshot};
    use super::*;

    #[test]
    fn addresses_name_objects() {
        for (slug, path, expected) in [
            ("openai", "files/file-abc123", Some("file-abc123")),
            ("openai", "v1/files/file-abc123/content", Some("file-abc123")),
            ("openai", "files", None),
            ("openai", "responses/resp_1234/input_items", Some("resp_1234")),
            ("openai", "responses/input_tokens", None),
            ("openai", "fine_tuning/jobs/ftjob-1/cancel", Some("ftjob-1")),
            ("openai", "threads/thread_1/runs/run_1", Some("thread_1")),
            ("openai", "threads/runs", None),
            ("openai", "chat/completions", None),
            ("openai", "chat/completions/chatcmpl-1", Some("chatcmpl-1")),
            ("groq", "batches/batch_1", Some("batch_1")),
            ("custom-mine", "v1/files/file-1", Some("file-1")),
            ("azure-openai", "res/openai/files/assistant-1", Some("assistant-1")),
            ("azure-openai", "res/dep/chat/completions", None),
            ("azure-openai", "res/openai/v1/responses/resp_1", Some("resp_1")),
            ("mistral", "v1/batch/jobs/b-123", Some("b-123")),
            ("grok", "v1/chat/deferred-completion/abc-123", Some("abc-123")),
            ("anthropic", "v1/messages/batches/msgbatch_1/results", Some("msgbatch_1")),
            ("anthropic", "v1/messages", None),
            ("anthropic", "v1/files/file_011/content", Some("file_011")),
            ("google-ai-studio", "v1beta/files/abc", Some("files/abc")),
            ("google-ai-studio", "download/v1beta/files/abc:download", Some("files/abc")),
            ("google-ai-studio", "v1beta/cachedContents/x1", Some("cachedContents/x1")),
            ("google-ai-studio", "v1beta/models/gemini:generateContent", None),
            ("google-ai-studio", "v1beta/models/veo/operations/op1", Some("operations/op1")),
            ("google-ai-studio", "v1beta/tunedModels/t1:generateContent", Some("tunedModels/t1")),
            ("google-ai-studio", "v1beta/batches/b1:cancel", Some("batches/b1")),
            ("google-ai-studio", "v1beta/openai/batches/batches%2Fb1", Some("batches/b1")),
            ("google-ai-studio", "v1beta/openai/files/files%2Fb1/content", Some("files/b1")),
            ("google-ai-studio", "upload/v1beta/files", None),
            (
                "google-vertex-ai",
                "v1/projects/p/locations/l/cachedContents/12345",
                Some("cachedContents/12345"),
            ),
            ("replicate", "predictions/abcdef/cancel", Some("abcdef")),
            ("replicate", "models/o/n/predictions", None),
            ("fal", "queue.fal.run/fal-ai/flux/requests/0123-45/status", Some("0123-45")),
            ("fal", "queue.fal.run/fal-ai/kling/v1/pro/requests/0123-45", Some("0123-45")),
            ("fal", "queue.fal.run/fal-ai/flux/dev", None),
            ("fal", "fal-ai/flux/requests/0123-45/status", None),
            ("elevenlabs", "v1/text-to-speech/voice1/stream", Some("voice1")),
            ("elevenlabs", "v1/voices/add", None),
            ("elevenlabs", "v1/voices/voice1/edit", Some("voice1")),
            ("cohere", "v1/embed-jobs/job-1", Some("job-1")),
            ("perplexity-ai", "async/chat/completions/abc-1", Some("abc-1")),
            ("parallel", "v1/tasks/runs/trun_1/result", Some("trun_1")),
            (
                "aws-bedrock",
                "bedrock-runtime/us-east-1/async-invoke/arn%3Aaws%3Abedrock%3Ax%2Fabc",
                Some("arn"),
            ),
        ] {
            let found = of(slug).in_address(path, None);
            let first = found.first().map(String::as_str);
            match expected {
                // ARNs have colons; the beginning is enough to see that it is taken.
                Some("arn") => assert!(first.is_some_and(|it| it.starts_with("arn:")), "{found:?}"),
                _ => assert_eq!(first, expected, "{slug} {path}"),
            }
            assert!(found.len() <= 1, "{slug} {path}: {found:?}");
        }
        assert_eq!(
            of("google-ai-studio").in_address(
                "upload/v1beta/files",
                Some("upload_id=AB%2D1&upload_protocol=resumable")
            ),
            ["upload_id/AB-1"]
        );
        assert_eq!(
            of("elevenlabs").in_address("v1/convai/conversation", Some("agent_id=ag_12")),
            ["ag_12"]
        );
    }

    #[test]
    fn bodies_name_objects() {
        for (slug, body, expected) in [
            ("openai", r#"{"model":"m","previous_response_id":"resp_1"}"#, vec!["resp_1"]),
            ("openai", r#"{"conversation":{"id":"conv_1"},"model":"m"}"#, vec!["conv_1"]),
            ("openai", r#"{"conversation":"conv_1"}"#, vec!["conv_1"]),
            (
                "openai",
                r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}],
                   "tools":[{"type":"file_search","vector_store_ids":["vs_11","vs_12"]}]}"#,
                vec!["file-1", "vs_11", "vs_12"],
            ),
            (
                "openai",
                r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-1"]}}]}"#,
                vec!["file-1"],
            ),
            (
                "openai",
                r#"{"input":"say \"file_id\": \"file-1\"","x":["file_id","file-2"]}"#,
                vec![],
            ),
            ("openai", r#"{"input":{"previous_response_id":"resp_1"}}"#, vec![]),
            ("openai", r#"{"input_file_id":"file-1","endpoint":"/v1/responses"}"#, vec!["file-1"]),
            ("openai", r#"{"file_id":null,"b":{"file_id":1},"c":"file-3"}"#, vec![]),
            (
                "google-ai-studio",
                r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://g.example/v1beta/files/a1","mimeType":"x"}}]}],
                   "cachedContent":"cachedContents/c1"}"#,
                vec!["files/a1", "cachedContents/c1"],
            ),
            (
                "google-ai-studio",
                r#"{"batch":{"inputConfig":{"fileName":"files/a1"}}}"#,
                vec!["files/a1"],
            ),
            (
                "anthropic",
                r#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"file_011"}}]}],
                   "container":{"id":"cont_1","skills":[{"type":"custom","skill_id":"skill_1"}]}}"#,
                vec!["file_011", "cont_1", "skill_1"],
            ),
            ("mistral", r#"{"input_files":["f-1234"],"model":"m"}"#, vec!["f-1234"]),
            ("cartesia", r#"{"voice":{"mode":"id","id":"voice-1"}}"#, vec!["voice-1"]),
        ] {
            let objects = of(slug);
            let mut found = Vec::new();
            for (_, text) in texts_of(body.as_bytes(), objects.fields()) {
                objects.clean(&text, &mut found);
            }
            assert_eq!(found, expected, "{slug} {body}");
            // However it is cut into pieces, and together with the model.
            for size in 1..9 {
                let mut scan = Scanner::new(None, "model", false).watch(objects.fields());
                body.as_bytes().chunks(size).for_each(|chunk| _ = scan.feed(chunk));
                let mut found = Vec::new();
                for (_, text) in scan.watched().texts {
                    objects.clean(&text, &mut found);
                }
                assert_eq!(found, expected, "{slug} {body} in pieces of {size}");
                let model = body.contains(r#""model":"m""#).then(|| "m".to_owned());
                assert_eq!(scan.finish().unwrap(), model);
            }
        }
    }

    #[test]
    fn answers_tell_what_was_made() {
        for (slug, method, path, store, answer, expected) in [
            ("openai", "POST", "files", None, r#"{"id":"file-1","object":"file"}"#, Some("file-1")),
            ("openai", "GET", "files", None, r#"{"data":[]}"#, None),
            (
                "openai",
                "POST",
                "responses",
                None,
                r#"{"id":"resp_1","output":[{"id":"msg_1"}]"#,
                Some("resp_1"),
            ),
            (
                "openai",
                "POST",
                "responses",
                Some(true),
                r#"{"type":"response.created","response":{"id":"resp_1","#,
                Some("resp_1"),
            ),
            ("openai", "POST", "responses", Some(false), r#"{"id":"resp_1"}"#, None),
            (
                "fal",
                "POST",
                "queue.fal.run/fal-ai/flux/dev",
                None,
                r#"{"status":"IN_QUEUE","request_id":"0123-45"}"#,
                Some("0123-45"),
            ),
            ("fal", "POST", "fal-ai/flux/dev", None, r#"{"request_id":"0123-45"}"#, None),
            ("openai", "POST", "chat/completions", None, r#"{"id":"chatcmpl-1"}"#, None),
            (
                "openai",
                "POST",
                "chat/completions",
                Some(true),
                r#"{"id":"chatcmpl-1"}"#,
                Some("chatcmpl-1"),
            ),
            (
                "openai",
                "POST",
                "uploads/upl_1/complete",
                None,
                r#"{"id":"upl_1","file":{"id":"file-1"}}"#,
                Some("file-1"),
            ),
            (
                "openai",
                "GET",
                "batches/batch_1",
                None,
                r#"{"id":"batch_1","output_file_id":"file-2"}"#,
                Some("file-2"),
            ),
            (
                "grok",
                "POST",
                "v1/chat/completions",
                Some(true),
                r#"{"request_id":"req-1"}"#,
                Some("req-1"),
            ),
            (
                "google-ai-studio",
                "POST",
                "upload/v1beta/files",
                None,
                r#"{"file":{"name":"files/a1"}}"#,
                Some("files/a1"),
            ),
            (
                "google-ai-studio",
                "POST",
                "v1beta/cachedContents",
                None,
                r#"{"name":"cachedContents/c1"}"#,
                Some("cachedContents/c1"),
            ),
            (
                "google-ai-studio",
                "POST",
                "v1beta/models/veo:predictLongRunning",
                None,
                r#"{"name":"models/veo/operations/o1"}"#,
                Some("operations/o1"),
            ),
            (
                "google-ai-studio",
                "POST",
                "v1beta/models/g:batchGenerateContent",
                None,
                r#"{"name":"batches/b1"}"#,
                Some("batches/b1"),
            ),
            ("google-ai-studio", "POST", "v1beta/models/g:generateContent", None, "{}", None),
            (
                "anthropic",
                "POST",
                "v1/messages/batches",
                None,
                r#"{"id":"msgbatch_1"}"#,
                Some("msgbatch_1"),
            ),
            ("anthropic", "POST", "v1/messages", None, r#"{"id":"msg_1"}"#, None),
            (
                "replicate",
                "POST",
                "models/o/n/predictions",
                None,
                r#"{"id":"abcdef"}"#,
                Some("abcdef"),
            ),
            (
                "elevenlabs",
                "POST",
                "v1/voices/add",
                None,
                r#"{"voice_id":"voice1"}"#,
                Some("voice1"),
            ),
            ("elevenlabs", "POST", "v1/text-to-speech/voice1", None, "{}", None),
        ] {
            let objects = of(slug);
            let creation = objects.creation(method, path, store);
            let mut found = Vec::new();
            if let Some(creation) = creation {
                for (_, text) in texts_of(answer.as_bytes(), creation.fields) {
                    objects.clean(&text, &mut found);
                }
            }
            assert_eq!(found.first().map(String::as_str), expected, "{slug} {method} {path}");
        }
        assert_eq!(of("openai").deletion("DELETE", "files/file-1").as_deref(), Some("file-1"));
        assert_eq!(of("openai").deletion("DELETE", "vector_stores/vs_11/files/file-1"), None);
        assert_eq!(of("openai").deletion("GET", "files/file-1"), None);
        assert_eq!(
            of("google-ai-studio").deletion("DELETE", "v1beta/files/abc").as_deref(),
            Some("files/abc")
        );
    }

    #[test]
    fn the_holder_is_usable_or_cools_or_is_gone() {
        let mut pool = snapshot([key(1), Key { state: State::Blocked, ..key(2) }]);
        let cool = cooling("m", 0, 100, Source::Guessed);
        pool.apply(&Change::Cool { key: KeyId(1), cooling: cool }, 0);
        assert_eq!(held(&pool, KeyId(1), "m", 50), Held::Cooling(100));
        assert_eq!(held(&pool, KeyId(1), EVERY_MODEL, 50), Held::Usable);
        assert_eq!(held(&pool, KeyId(1), "m", 100), Held::Usable);
        assert_eq!(held(&pool, KeyId(2), "m", 0), Held::Gone);
        assert_eq!(held(&pool, KeyId(3), "m", 0), Held::Gone);
        assert_eq!(digest("file-1").len(), 32);
    }
}
