//! Is a key known where the request goes?
//!
//! Keys of some providers belong to a place that the request's path names, their *home*: an Azure key
//! to one resource, a service account of Vertex AI to one project. The `project` of a key says which
//! (keys of one home share its quota, so that it is one word for both).
//!
//! A key that is known to be at home elsewhere never is picked. One of which nothing is known may be
//! tried after those that are known to be right. If it is refused, that may only mean that it is not at
//! home there: it is not blocked, but left alone at that home for a while ([`NOT_HERE_FOR`]).

use super::route::decode;
use super::verdict::{Reason, Scope, Verdict};
use super::{DAY, Millis};

/// So long a key is not tried again at a home that refused it.
pub const NOT_HERE_FOR: Millis = DAY;

/// What a request wants of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Its model, or [`EVERY_MODEL`](super::key::EVERY_MODEL).
    pub model: &'a str,
    /// The home that its path names, where its provider has homes.
    pub home: Option<&'a str>,
}

impl<'a> From<&'a str> for Wanted<'a> {
    fn from(model: &'a str) -> Self {
        Self { model, home: None }
    }
}

impl<'a> From<&'a String> for Wanted<'a> {
    fn from(model: &'a String) -> Self {
        Self::from(model.as_str())
    }
}

/// How the keys of a provider belong to homes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Homes {
    /// What a home is called there.
    pub noun: &'static str,
    /// Behind which segment of the path it stands; `None`: it is the first.
    pub behind: Option<&'static str>,
    /// A key is good at one home only, so that a success tells which it is.
    pub one: bool,
    /// What a good key may be refused for where it is not at home.
    pub refused_for: &'static [Reason],
}

impl Homes {
    /// The home that a path names, as it is compared: without regard to case.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<String> {
        let mut segments = path.split('/');
        let home = match self.behind {
            None => segments.next(),
            Some(before) => segments.find(|it| *it == before).and_then(|_| segments.next()),
        };
        home.map(|home| decode(home).to_ascii_lowercase()).filter(|home| !home.is_empty())
    }

    /// Whether a verdict may only mean that the key is not at home; why it was refused.
    #[must_use]
    pub fn refused_stranger(&self, verdict: &Verdict) -> Option<Reason> {
        match *verdict {
            Verdict::Reject { reason, .. }
            | Verdict::Cool { scope: Scope::Model | Scope::Key, reason, .. } => {
                Some(reason).filter(|reason| self.refused_for.contains(reason))
            }
            _ => None,
        }
    }
}

/// Where a key belongs, seen from a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// It is known to be of this home.
    Here,
    /// Nobody knows.
    Unknown,
    /// It is known to be of another.
    Elsewhere,
}

/// Where a key with this `project` belongs, seen from `home`.
#[must_use]
pub fn belongs(project: &str, home: &str) -> Belongs {
    if project.is_empty() {
        Belongs::Unknown
    } else if project.eq_ignore_ascii_case(home) {
        Belongs::Here
    } else if is_number(project) == is_number(home) {
        Belongs::Elsewhere
    } else {
        // A project of Google's has a name and a number, and paths may have either.
        Belongs::Unknown
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ends the model name of a cooling of a key at one home, for all that is there.
const ALL_OF: &str = "/*";

/// The model name under which it is kept that a key is not at this home.
#[must_use]
pub fn all_of(home: &str) -> String {
    [home, ALL_OF].concat()
}

/// Whether that is the name.
#[must_use]
pub fn is_all_of(name: &str, home: &str) -> bool {
    name.strip_suffix(ALL_OF) == Some(home)
}

#[cfg(test)]
mod tests {
    use super::super::provider::find;
    use super::super::verdict::Wait;
    use super::*;

    fn of(slug: &str, path: &str) -> Option<String> {
        find(slug).unwrap().homes?.of(path)
    }

    #[test]
    fn paths_name_homes() {
        for (slug, path, home) in [
            ("azure-openai", "My-Resource/gpt/chat/completions", Some("my-resource")),
            ("azure-openai", "a%2Db/openai/v1/responses", Some("a-b")),
            ("azure-openai", "", None),
            ("google-vertex-ai", "v1/projects/p-1/locations/global/publishers/x", Some("p-1")),
            ("google-vertex-ai", "v1/projects/a.b%3Ap/locations/global/x", Some("a.b:p")),
            ("google-vertex-ai", "v1/publishers/google/models/m:generateContent", None),
            ("google-vertex-ai", "v1/projects", None),
            ("openai", "chat/completions", None),
            ("workers-ai", "@cf/meta/llama", None),
        ] {
            assert_eq!(of(slug, path).as_deref(), home, "{slug} {path}");
        }
    }

    #[test]
    fn a_project_is_compared_as_its_provider_does() {
        for (project, home, expected) in [
            ("", "a", Belongs::Unknown),
            ("My-Resource", "my-resource", Belongs::Here),
            ("b", "a", Belongs::Elsewhere),
            ("my-project", "510607", Belongs::Unknown),
            ("510607", "my-project", Belongs::Unknown),
            ("510607", "510608", Belongs::Elsewhere),
        ] {
            assert_eq!(belongs(project, home), expected, "{project} {home}");
        }
    }

    #[test]
    fn some_refusals_may_only_mean_that_a_key_is_a_stranger() {
        let reject = |reason| Verdict::Reject { reason, certain: true };
        let cool = |reason| Verdict::Cool { scope: Scope::Model, wait: Wait::Recheck(1), reason };
        for (slug, verdict, may) in [
            ("azure-openai", reject(Reason::Invalid), true),
            ("azure-openai", reject(Reason::Unauthorized), true),
            ("azure-openai", cool(Reason::RateLimit), false),
            ("azure-openai", Verdict::Caller, false),
            // Google looks at who asks before it looks at what for.
            ("google-vertex-ai", reject(Reason::Invalid), false),
            ("google-vertex-ai", reject(Reason::Suspended), false),
            ("google-vertex-ai", reject(Reason::ServiceDisabled), true),
            ("google-vertex-ai", cool(Reason::Permission), true),
            ("google-vertex-ai", cool(Reason::RateLimit), false),
        ] {
            let homes = find(slug).unwrap().homes.unwrap();
            assert_eq!(homes.refused_stranger(&verdict).is_some(), may, "{slug} {verdict:?}");
        }
        assert!(is_all_of(&all_of("mine"), "mine") && !is_all_of("mine", "mine"));
    }
}
