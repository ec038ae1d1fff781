//! JSON, in chunks.

use super::block::{self, Before, Block};
use super::watch::{Eye, unescape};
use super::{Findings, MAX_RAW, ModelError, Status, Value};
use memchr::{memchr, memchr2};

/// The longest spelling of a field's name that is looked at: `model_id` with every byte as
/// `\u00xx` is 48.
const MAX_FIELD: usize = 64;

/// Where in the JSON text the scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In front of the object; so many bytes of a byte order mark were seen.
    Start(usize),
    /// Between strings.
    Structure,
    /// In a string; the byte before was a backslash.
    Text { role: Role, escaped: bool },
}

/// Why a string is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is a name at the top level.
    Name,
    /// It is the value of the field.
    Value,
    /// It is a name that may be watched.
    Inner,
    /// It is the value of a watched field.
    Text,
    /// It is skipped.
    Other,
}

/// Scans JSON text for one top-level field.
#[derive(Debug)]
pub(super) struct JsonScan {
    field: Vec<u8>,
    at: At,
    depth: usize,
    /// At the top level, the next string is a name.
    name_next: bool,
    /// At the top level, the next value is the field's.
    value_next: bool,
    /// The string that is read, as written; at most [`MAX_RAW`] bytes.
    raw: Vec<u8>,
    overflow: bool,
    /// How many bytes were read, and how many in front of the string.
    read: usize,
    text_starts: usize,
    pub(super) findings: Findings,
    /// It has bytes between strings that JSON does not have, so none is skipped.
    odd: bool,
    /// What else is looked for.
    pub(super) eye: Option<Eye>,
}
impl JsonScan {
    pub(super) fn new(field: &str, thorough: bool) -> Self {
        JsonScan {
            field: field.as_bytes().to_vec(),
            at: At::Start(0),
            depth: 0,
            name_next: false,
            value_next: false,
            raw: Vec::new(),
            overflow: false,
            read: 0,
            text_starts: 0,
            findings: Findings::new(thorough),
            odd: false,
            eye: None,
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) -> Status {
        let mut rest = chunk;
        while !rest.is_empty() && !self.findings.over {
            if rest.len() >= block::SIZE && self.may_skip() {
                let behind = self.skip(rest);
                self.read += rest.len() - behind.len();
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            let before = (rest.len(), self.at);
            rest = match self.at {
                At::Start(seen) => self.start(rest, seen),
                At::Structure => self.structure(rest),
                At::Text { role, escaped } => self.text(rest, role, escaped),
            };
            self.read += before.0 - rest.len();
            match (before.1, self.at) {
                (At::Structure, At::Text { .. }) => self.text_starts = self.read,
                // The last byte is the quotation mark.
                (At::Text { role: Role::Value, .. }, At::Structure) => {
                    self.findings.spans.push(self.text_starts..self.read.saturating_sub(1));
                }
                _ => {}
            }
        }
        self.findings.status()
    }

    pub(super) fn finish(mut self) -> Result<Option<String>, ModelError> {
        let cut_short = !self.findings.over && !matches!(self.at, At::Start(_));
        if cut_short && self.findings.thorough {
            self.findings.fail(ModelError::BadBody);
        }
        self.findings.finish()
    }

    /// One byte in front of the object.
    fn start<'a>(&mut self, bytes: &'a [u8], seen: usize) -> &'a [u8] {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let Some((&byte, rest)) = bytes.split_first() else { return bytes };
        match byte {
            b'{' => {
                self.depth = 1;
                self.name_next = true;
                if let Some(eye) = &mut self.eye {
                    eye.open(true, 1);
                }
                self.at = At::Structure;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if BYTE_ORDER_MARK.get(seen) == Some(&byte) => self.at = At::Start(seen + 1),
            _ => self.findings.over = true,
        }
        rest
    }

    /// Everything up to and including the next quotation mark or bracket: behind one, much may be skipped.
    fn structure<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for (index, &byte) in bytes.iter().enumerate() {
            let top = self.depth == 1;
            match byte {
                b'"' => {
                    let role = match (top, self.name_next, self.value_next) {
                        (true, true, _) => Role::Name,
                        (true, false, true) => Role::Value,
                        _ => self.eye.as_mut().map_or(Role::Other, |eye| eye.role(self.depth)),
                    };
                    self.raw.clear();
                    self.overflow = false;
                    self.at = At::Text { role, escaped: false };
                    return after(bytes, index);
                }
                b'{' | b'[' => {
                    self.not_text(top);
                    self.depth += 1;
                    if let Some(eye) = &mut self.eye {
                        eye.open(byte == b'{', self.depth);
                    }
                    return after(bytes, index);
                }
                b'}' | b']' => {
                    if let Some(eye) = &mut self.eye {
                        eye.close(self.depth);
                    }
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.findings.over = true;
                    }
                    return after(bytes, index);
                }
                b',' => {
                    if top {
                        self.name_next = true;
                        self.value_next = false;
                    }
                    if let Some(eye) = &mut self.eye {
                        eye.comma(self.depth);
                    }
                }
                b':' => {
                    if top {
                        self.name_next = false;
                    }
                    if let Some(eye) = &mut self.eye {
                        eye.name_next = false;
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E' | b'I' | b'N' => {
                    if let Some(eye) = &mut self.eye {
                        eye.literal(byte);
                    }
                    self.not_text(top);
                }
                // A comment or another quotation mark of a laxer language: what follows would be
                // read differently there.
                _ if self.findings.thorough => self.findings.fail(ModelError::BadBody),
                _ => {}
            }
            if self.findings.over {
                return &[];
            }
        }
        &[]
    }

    /// Whether what comes next changes nothing, as long as it is deeper than the outermost object's
    /// members and no watched name.
    fn may_skip(&self) -> bool {
        let unread =
            matches!(self.at, At::Structure | At::Text { role: Role::Other, escaped: false });
        self.depth > 1 && unread && !self.odd && self.eye.as_ref().is_none_or(Eye::is_idle)
    }

    /// Skips what changes nothing, in blocks: to the end of the value that is a member of the outermost
    /// object, or to a watched name, or to where there are not enough bytes for a block. What follows is
    /// read byte by byte.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let names = self.eye.as_ref().is_some_and(Eye::watches_names);
        let mut before = Before::new(self.at != At::Structure);
        // Where the last string began, and the last byte between strings that says what comes next.
        let (mut opened, mut last) = (None, None);
        let mut at = 0;
        let stop = 'blocks: loop {
            let Some(block) = bytes.get(at..).and_then(Block::first) else { break at };
            let (quotes, backslashes) = (block.marks(b'"'), block.marks(b'\\'));
            if before.in_text() && quotes | backslashes == 0 && !before.is_escaped() {
                // A long string.
                let rest = bytes.get(at + block::SIZE..).unwrap_or_default();
                let text = rest.get(..memchr(b'"', rest).unwrap_or(rest.len())).unwrap_or(rest);
                before.escape(text.iter().rev().take_while(|byte| **byte == b'\\').count());
                at += block::SIZE + text.len();
                continue;
            }
            let here = before;
            let strings = before.strings(quotes, backslashes);
            if here.in_text() && strings.quotes == 0 {
                at += block::SIZE;
                continue;
            }
            let (opens, closes) = block.brackets();
            let brackets = (opens | closes) & !strings.text;
            let colons = block.marks(b':') & !strings.text;
            let structure = brackets | colons | block.marks(b',') & !strings.text;
            let others = !(strings.text | strings.quotes | structure);
            self.odd = backslashes & !strings.text != 0
                || self.findings.thorough && others != 0 && others & !block.plain() != 0;
            if self.odd {
                before = here;
                break at;
            }
            for (index, byte) in marked(bytes, at, brackets | if names { colons } else { 0 }) {
                let stop = match byte {
                    b'{' | b'[' => {
                        self.depth += 1;
                        if let Some(eye) = &mut self.eye {
                            eye.open_idly(byte == b'{', self.depth);
                        }
                        continue;
                    }
                    b'}' | b']' if self.depth > 2 => {
                        self.depth -= 1;
                        continue;
                    }
                    b':' => {
                        let front = bytes.get(..index).unwrap_or_default();
                        self.eye.as_ref().and_then(|eye| eye.name_before(front))
                    }
                    _ => Some(index),
                };
                if let Some(stop) = stop {
                    let front = structure & ((1 << (index - at)) - 1);
                    last = last_marked(at, front).or(last);
                    (opened, before) = (None, Before::default());
                    break 'blocks stop;
                }
            }
            opened = last_marked(at, strings.quotes & strings.text).or(opened);
            last = last_marked(at, structure).or(last);
            at += block::SIZE;
        };
        // A string that may be a watched name, as far as was seen, is read again.
        let stop = match opened.filter(|opened| names && last.is_none_or(|last| last < *opened)) {
            Some(opened) if !before.in_text() || stop - opened <= MAX_FIELD => {
                before = Before::default();
                opened
            }
            _ => stop,
        };
        self.at = if before.in_text() {
            At::Text { role: Role::Other, escaped: before.is_escaped() }
        } else {
            At::Structure
        };
        if let (Some(eye), Some(last)) = (&mut self.eye, last.and_then(|last| bytes.get(last))) {
            eye.name_next = matches!(last, b'{' | b',') && eye.is_object(self.depth);
        }
        bytes.get(stop..).unwrap_or_default()
    }

    /// A value that is not text begins.
    fn not_text(&mut self, top: bool) {
        if top && self.value_next && !self.name_next {
            self.value_next = false;
            self.findings.record(Value::Other);
        }
    }

    /// Everything up to and including the end of the string, in jumps.
    fn text<'a>(&mut self, bytes: &'a [u8], role: Role, escaped: bool) -> &'a [u8] {
        let mut rest = bytes;
        if escaped {
            let Some((first, tail)) = rest.split_first() else { return rest };
            self.keep(role, std::slice::from_ref(first));
            rest = tail;
        }
        while let Some(index) = memchr2(b'"', b'\\', rest) {
            self.keep(role, rest.get(..index).unwrap_or_default());
            if rest.get(index) == Some(&b'"') {
                self.at = At::Structure;
                self.end_of_text(role);
                return after(rest, index);
            }
            match rest.get(index..index + 2) {
                Some(escape) => self.keep(role, escape),
                None => {
                    self.keep(role, b"\\");
                    self.at = At::Text { role, escaped: true };
                    return &[];
                }
            }
            rest = after(rest, index + 1);
            if role == Role::Other && !self.eye.as_ref().is_some_and(Eye::reads) {
                return match block::end_of_text(rest) {
                    Ok(end) => {
                        self.at = At::Structure;
                        after(rest, end)
                    }
                    Err(escaped) => {
                        self.at = At::Text { role, escaped };
                        &[]
                    }
                };
            }
        }
        self.keep(role, rest);
        self.at = At::Text { role, escaped: false };
        &[]
    }

    /// Remembers a piece of a string that matters.
    fn keep(&mut self, role: Role, piece: &[u8]) {
        if let Some(eye) = &mut self.eye {
            eye.read(piece);
        }
        let limit = match role {
            Role::Other => return,
            Role::Name | Role::Inner => MAX_FIELD,
            Role::Value | Role::Text => MAX_RAW,
        };
        if self.raw.len() + piece.len() > limit {
            self.overflow = true;
        } else {
            self.raw.extend_from_slice(piece);
        }
    }

    fn end_of_text(&mut self, role: Role) {
        match role {
            Role::Other => {}
            Role::Name => {
                self.value_next = !self.overflow && self.is_field();
                self.show_name();
            }
            Role::Inner => self.show_name(),
            Role::Text => {
                if let Some(eye) = self.eye.as_mut().filter(|_| !self.overflow) {
                    eye.text(&self.raw);
                }
            }
            Role::Value => {
                self.value_next = false;
                if self.overflow {
                    return self.findings.fail(ModelError::TooLong);
                }
                match unescape(&self.raw) {
                    Some(name) => self.findings.record(Value::Text(name)),
                    // Not UTF-8, half a surrogate pair, a raw control character.
                    None => self.findings.fail(ModelError::BadName),
                }
            }
        }
    }

    fn show_name(&mut self) {
        if let Some(eye) = self.eye.as_mut().filter(|_| !self.overflow) {
            eye.name(&self.raw, self.depth);
        }
    }

    /// Whether the name that was read is the field's.
    fn is_field(&self) -> bool {
        if self.raw == self.field {
            return true;
        }
        let equals = |name: &[u8]| {
            if self.findings.thorough {
                name.eq_ignore_ascii_case(&self.field)
            } else {
                name == self.field
            }
        };
        if memchr(b'\\', &self.raw).is_none() {
            return equals(&self.raw);
        }
        unescape(&self.raw).is_some_and(|name| equals(name.as_bytes()))
    }
}

/// The bytes at these bits of the block at `at`, and their places.
#[inline]
fn marked(bytes: &[u8], at: usize, mut marks: u64) -> impl Iterator<Item = (usize, u8)> {
    let block = bytes.get(at..).unwrap_or_default();
    std::iter::from_fn(move || {
        let bit = marks.trailing_zeros() as usize;
        let byte = *block.get(bit).filter(|_| marks != 0)?;
        marks &= marks - 1;
        Some((at + bit, byte))
    })
}

/// The place of the last of these bits of the block at `at`.
#[inline]
fn last_marked(at: usize, marks: u64) -> Option<usize> {
    marks.checked_ilog2().map(|bit| at + bit as usize)
}

/// What follows `index`.
fn after(bytes: &[u8], index: usize) -> &[u8] {
    bytes.get(index + 1..).unwrap_or_default()
}
