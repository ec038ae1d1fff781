//! What does this answer say about the key?
//!
//! The status alone is wrong for some twenty known answers: a wrong Gemini key is a 400, an empty
//! OpenAI account a 429, a Mistral one a 401, and a 403 is often about the prompt or the place. So
//! the evidence is read in this order, and the first that speaks decides:
//!
//! 1. Did anyone but the provider answer: the AI Gateway, or the network's edge? (`gateway`)
//! 2. The provider's own table, then the one that many share (`tables`, `google`). Their rows
//!    look at machine-readable words first, compared as a whole, and at the message where a
//!    provider has nothing better.
//! 3. The status.
//!
//! How long a key cools comes from headers, the body, a reset clock or a default, in this order
//! (`rules`, [`retry_after`](super::retry_after)).
//!
//! | file | answers |
//! |---|---|
//! | `body` | what does the body say, whatever its shape? |
//! | `gateway` | was it the AI Gateway or the edge? |
//! | `tables` | what is known of a provider's errors? one table each |
//! | `google` | which of Google's quotas is it? |
//! | `rules` | what can a row of a table say? |
//! | `quota_headers` | is a quota spent before it earns a 429, or nearly? |
//! | `limits` | which limit did a 429 hit? |
//! | `stream` | is there an error in this 200? |
//! | `empty` | is there nothing in this 200? |

mod body;
mod empty;
mod gateway;
mod google;
mod limits;
mod quota_headers;
mod rules;
mod stream;
mod tables;
#[cfg(test)]
mod tests;

pub use empty::{LONGEST_EMPTY, is_empty_answer};
pub use limits::lesson;
pub use quota_headers::{GAUGES, LOW, Standing, gauges_of, spent, standing};
pub use stream::{classify_stream_head, end_of_events};

use body::{Document, Fault};
use rules::Case;

use super::Millis;
use super::verdict::Verdict;

/// Longest part of an error body that is read, in bytes (64 KB). Real errors are below 10 KB; what
/// is longer repeats the caller's input.
pub const MAX_ERROR_BODY: usize = 64 * 1024;

/// Longest [`message`], in characters: a line of the event log.
pub const MAX_MESSAGE: usize = 300;

/// Header access: lowercase name to value, if the answer has it.
pub type HeaderOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One upstream answer, as far as it is evidence.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// AI Gateway slug of the provider whose key was used (for `compat`, the provider of the
    /// model's prefix).
    pub provider: &'a str,
    /// The model asked for, `*` when the request has none.
    pub model: &'a str,
    /// HTTP status.
    pub status: u16,
    /// Its headers. Read only where a table asks for them.
    pub headers: HeaderOf<'a>,
    /// The first [`MAX_ERROR_BODY`] bytes of the body; more are not looked at. May be cut off
    /// anywhere, be no UTF-8, or be empty.
    pub body: &'a [u8],
    /// When the answer came.
    pub now: Millis,
}

/// What an answer says. A status below 400 is always a success; see [`classify_stream_head`] for
/// the errors that hide in one.
#[must_use]
pub fn classify(answer: &Answer<'_>) -> Verdict {
    if matches!(answer.status, 100..=399) {
        return Verdict::Success;
    }
    let document = Document::read(head(answer.body));
    let verdict = gateway::own(&document, answer.status)
        .or_else(|| gateway::edge(&document, answer))
        .unwrap_or_else(|| judge(answer, Fault::of(&document)));
    match verdict {
        // Whoever failed to answer has not looked at the key. Those in between repeat the words of
        // others, about a key of theirs.
        Verdict::Reject { .. } if answer.status >= 500 => {
            Verdict::Transient { elsewhere: true, after: 0, unexecuted: false }
        }
        verdict => verdict,
    }
}

/// The verdict on a provider's own error.
fn judge(answer: &Answer<'_>, mut fault: Fault<'_>) -> Verdict {
    if answer.provider == "aws-bedrock"
        && let Some(name) = (answer.headers)("x-amzn-errortype")
    {
        fault.add_aws_type(&name);
    }
    let case = Case { answer, fault: &fault };
    rules::first(tables::of(answer.provider), &case)
        .or_else(|| rules::first(tables::GENERIC, &case))
        .unwrap_or_else(|| rules::by_status(&case))
}

/// A short form of the error for the event log: the provider's words for humans, else its code, at
/// most [`MAX_MESSAGE`] characters, without control characters. It may hold parts of a key (some
/// providers repeat it); redact before storing.
///
/// `None`: the body is empty, or a JSON that says nothing.
#[must_use]
pub fn message(body: &[u8]) -> Option<String> {
    let document = Document::read(head(body));
    let text = if document.is_html() {
        title(&document.text).to_owned()
    } else {
        let fault = Fault::of(&document);
        let word = fault.words().next().unwrap_or_default();
        if fault.message.is_empty() { word.to_owned() } else { fault.message.clone() }
    };
    let clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// The title of an HTML page, or what it is.
fn title(html: &str) -> &str {
    html.split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"))
        .map_or("an HTML page", |(title, _)| title)
}

fn head(body: &[u8]) -> &[u8] {
    body.get(..MAX_ERROR_BODY).unwrap_or(body)
}
