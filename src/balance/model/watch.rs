//! What a JSON body says besides its model: fields at every depth.

use super::json::Role;
use super::{NO_FIELD, Scanner};
use crate::balance::affinity::{self, Opening};
use crate::balance::object::{Field, What};

/// What else a body says, besides its model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The texts of the watched fields, in their order, each with the field's place in the list.
    pub texts: Vec<(usize, String)>,
    /// The answer is to be stored, or not.
    pub store: Option<bool>,
    /// What tells the conversation best, and how well it does.
    told: Option<(u8, u64)>,
    opening: Opening,
}

impl Watched {
    /// What tells the conversation.
    #[must_use]
    pub fn session(&self) -> Option<u64> {
        self.told.map(|(_, hash)| hash).or_else(|| self.opening.finish())
    }

    /// Something else tells it, so well.
    pub fn tell(&mut self, rank: u8, text: &[u8]) {
        if !text.is_empty() && self.told.is_none_or(|(known, _)| rank < known) {
            self.told = Some((rank, affinity::hash(text)));
        }
    }
}

/// The texts of these fields in a JSON text, which may be cut off anywhere.
#[must_use]
pub fn texts_of(json: &[u8], fields: &'static [Field]) -> Vec<(usize, String)> {
    let mut scan = Scanner::new(None, NO_FIELD, false).watch(fields);
    scan.feed(json);
    scan.watched().texts
}

/// The deepest nesting at which fields are watched.
const DEEPEST: usize = 127;
/// The most texts that are kept.
const MOST_TEXTS: usize = 64;

/// Watches fields at every depth.
#[derive(Debug)]
pub(super) struct Eye {
    fields: &'static [Field],
    /// Further fields: those that tell the conversation.
    more: &'static [Field],
    /// The part of the opening that is being read.
    opening: Option<Part>,
    /// Which of the open brackets are objects' .
    objects: [bool; DEEPEST + 1],
    /// The next string is a name.
    pub(super) name_next: bool,
    /// What the names end with that are watched at any depth, by [`last_of`].
    ends: u64,
    /// The field whose value is next.
    field: Option<usize>,
    /// A watched field whose value is this deep: a list of texts, or an object with a member that counts.
    inside: Option<(usize, usize)>,
    found: Watched,
}

/// A part of a conversation's opening.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Here is the system's own message; the opening is over with one that is not.
    system: bool,
    /// It is over.
    over: bool,
}

/// How deep the members of a message are: in an object of a list of the outermost object.
const IN_MESSAGE: usize = 3;

impl Eye {
    pub(super) fn new(fields: &'static [Field]) -> Self {
        Eye {
            fields,
            more: &[],
            opening: None,
            objects: [false; DEEPEST + 1],
            name_next: false,
            ends: ends_of(fields),
            field: None,
            inside: None,
            found: Watched::default(),
        }
    }

    /// Watches these fields as well.
    pub(super) fn watch_more(&mut self, fields: &'static [Field]) {
        self.more = fields;
        self.ends = ends_of(self.fields) | ends_of(fields);
    }

    /// What was found.
    pub(super) fn found(self) -> Watched {
        self.found
    }

    fn get(&self, at: usize) -> Option<&'static Field> {
        self.fields.iter().chain(self.more).nth(at)
    }

    pub(super) fn is_object(&self, depth: usize) -> bool {
        self.objects.get(depth) == Some(&true)
    }

    /// Nothing but a watched name changes anything, below the outermost object.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.field.is_none() && self.inside.is_none() && !self.listens()
    }

    /// What is said is part of the conversation's opening.
    fn listens(&self) -> bool {
        self.opening.is_some_and(|part| !part.over) && !self.found.opening.is_full()
    }

    /// Whether pieces of strings matter.
    pub(super) fn reads(&self) -> bool {
        self.listens() && !self.found.opening.is_full_of_string()
    }

    /// Whether any name matters that is not in the outermost object.
    pub(super) const fn watches_names(&self) -> bool {
        self.ends != 0
    }

    /// Where a watched name begins that ends here, with quotation marks around it.
    pub(super) fn name_before(&self, bytes: &[u8]) -> Option<usize> {
        let name = bytes.trim_ascii_end().strip_suffix(b"\"")?;
        if self.ends & last_of(name) == 0 {
            return None;
        }
        inner(self.fields).chain(inner(self.more)).find_map(|field| {
            let front = name.strip_suffix(field.name.as_bytes())?.strip_suffix(b"\"")?;
            // Else the name goes on in front of it.
            (front.last() != Some(&b'\\')).then_some(front.len())
        })
    }

    /// A bracket opened, and nothing waited for its like; `depth` counts it.
    #[inline]
    pub(super) fn open_idly(&mut self, object: bool, depth: usize) {
        if let Some(at) = self.objects.get_mut(depth) {
            *at = object;
        }
    }

    /// A bracket opened; `depth` counts it.
    pub(super) fn open(&mut self, object: bool, depth: usize) {
        self.open_idly(object, depth);
        self.name_next = self.is_object(depth);
        if let Some(field) = self.field.take() {
            self.inside = Some((field, depth));
        }
    }

    /// A bracket closed; `depth` counted it.
    pub(super) fn close(&mut self, depth: usize) {
        self.field = None;
        self.name_next = false;
        if self.inside.is_some_and(|(_, at)| at == depth) {
            self.inside = None;
        }
        if depth == IN_MESSAGE
            && let Some(part) = &mut self.opening
        {
            part.over |= !part.system;
            part.system = false;
        }
    }

    /// A piece of any string was read.
    pub(super) fn read(&mut self, piece: &[u8]) {
        if self.opening.is_some_and(|part| !part.over) {
            self.found.opening.take(piece);
        }
    }

    pub(super) fn comma(&mut self, depth: usize) {
        if depth == 1 {
            self.opening = None;
        }
        self.field = None;
        self.name_next = self.is_object(depth);
    }

    /// Why a string at this depth is read, which is no name of the outermost object.
    pub(super) fn role(&mut self, depth: usize) -> Role {
        self.found.opening.string();
        let listed = self.inside.is_some_and(|(_, at)| at == depth) && !self.is_object(depth);
        match (self.name_next, self.field.is_some() || listed) {
            (true, _) => Role::Inner,
            (false, true) => Role::Text,
            (false, false) => Role::Other,
        }
    }

    /// A name was read.
    pub(super) fn name(&mut self, raw: &[u8], depth: usize) {
        let around = self.inside.filter(|(_, at)| *at == depth).map(|(field, _)| field);
        let is_member = |field: &Field| field.member.is_some_and(|name| name.as_bytes() == raw);
        let is_field = |field: &Field| field.name.as_bytes() == raw && (depth == 1 || !field.top);
        self.field = around
            .filter(|at| self.get(*at).is_some_and(is_member))
            .or_else(|| self.fields.iter().chain(self.more).position(is_field));
        if let Some(field) = self.field.and_then(|at| self.get(at)) {
            match field.what {
                What::Opening => self.opening = Some(Part { system: false, over: false }),
                What::Role if depth == IN_MESSAGE && self.opening.is_some() => return,
                What::Role => {}
                _ => return,
            }
            self.field = None;
        }
    }

    /// The text of a watched field was read.
    pub(super) fn text(&mut self, raw: &[u8]) {
        let at = self.field.take().or(self.inside.map(|(field, _)| field));
        let Some((at, field)) = at.and_then(|at| Some((at, self.get(at)?))) else { return };
        match field.what {
            What::Name if self.found.texts.len() < MOST_TEXTS => {
                self.found.texts.extend(unescape(raw).map(|text| (at, text)));
            }
            What::Session(rank) => self.found.tell(rank, raw),
            What::Role => {
                if let Some(part) = &mut self.opening {
                    part.system = matches!(raw, b"system" | b"developer");
                }
            }
            What::Name | What::Store | What::Opening => {}
        }
    }

    /// A number, `true`, `null` or the like begins.
    pub(super) fn literal(&mut self, first: u8) {
        if let Some(field) = self.field.take().and_then(|at| self.get(at))
            && field.what == What::Store
        {
            self.found.store = match first {
                b't' => Some(true),
                b'f' => Some(false),
                _ => self.found.store,
            };
        }
    }
}

/// The fields that are watched at any depth, when no opening is listened to.
fn inner(fields: &'static [Field]) -> impl Iterator<Item = &'static Field> {
    fields.iter().filter(|field| !field.top && field.what != What::Role)
}

/// One bit or another for the last bytes.
fn last_of(name: &[u8]) -> u64 {
    name.last_chunk().map_or(0, |[a, b]| 1 << (a.wrapping_mul(5).wrapping_add(*b) % 64))
}

fn ends_of(fields: &'static [Field]) -> u64 {
    inner(fields).fold(0, |ends, field| ends | last_of(field.name.as_bytes()))
}

/// The text of a JSON string that was written as `raw`.
pub(super) fn unescape(raw: &[u8]) -> Option<String> {
    // Nothing to undo, as in nearly every name.
    if raw.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        return String::from_utf8(raw.to_vec()).ok();
    }
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice(&quoted).ok()
}
