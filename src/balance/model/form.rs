//! Forms (`multipart/form-data`), in chunks.

use super::{Findings, MAX_PART_HEADERS, MAX_RAW, ModelError, Status, Value};
use memchr::{memchr, memmem};

/// Where in the form the scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In front of the first boundary.
    Preamble,
    /// Right behind a boundary.
    Boundary,
    /// In the headers of a part.
    Headers,
    /// In the content of a part; it is the field's.
    Content { wanted: bool },
}

/// Scans a form for one field. Holds back only what may be the beginning of a boundary, the
/// headers of a part, or the value itself.
#[derive(Debug)]
pub(super) struct FormScan {
    field: String,
    /// `\n--boundary`. The carriage return in front is cut off the content.
    delimiter: Vec<u8>,
    stage: Stage,
    pending: Vec<u8>,
    /// How many bytes are gone from `pending`, counted with the one that was put in front.
    gone: usize,
    pub(super) findings: Findings,
}

impl FormScan {
    pub(super) fn new(boundary: &str, field: &str, thorough: bool) -> Self {
        FormScan {
            field: field.to_owned(),
            delimiter: ["\n--", boundary].concat().into_bytes(),
            stage: Stage::Preamble,
            // So that the first boundary, too, has a line end in front.
            pending: b"\n".to_vec(),
            gone: 0,
            findings: Findings::new(thorough),
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) -> Status {
        if !self.findings.over {
            self.pending.extend_from_slice(chunk);
        }
        while !self.findings.over && self.step() {}
        self.findings.status()
    }

    pub(super) fn finish(mut self) -> Result<Option<String>, ModelError> {
        if !self.findings.over && self.findings.thorough {
            self.findings.fail(ModelError::BadBody);
        }
        self.findings.finish()
    }

    /// Goes on by one stage; `false` when more bytes are needed.
    fn step(&mut self) -> bool {
        match self.stage {
            Stage::Preamble => self.content(false, true),
            Stage::Content { wanted } => self.content(wanted, false),
            Stage::Boundary => self.boundary(),
            Stage::Headers => self.headers(),
        }
    }

    fn content(&mut self, wanted: bool, preamble: bool) -> bool {
        let Some(end) = memmem::find(&self.pending, &self.delimiter) else {
            if wanted {
                if self.pending.len() >= MAX_RAW + self.delimiter.len() {
                    self.findings.fail(ModelError::TooLong);
                }
                return false;
            }
            let keep = self.delimiter.len().saturating_sub(1).min(self.pending.len());
            let drop = self.pending.len() - keep;
            self.preamble_is_empty(preamble, drop);
            self.drop_pending(drop);
            return false;
        };
        self.preamble_is_empty(preamble, end);
        if wanted && end > MAX_RAW {
            self.findings.fail(ModelError::TooLong);
            return true;
        }
        if wanted {
            // In front is the line end that the headers left.
            let value = self.pending.get(1..end).unwrap_or_default();
            let value = value.strip_suffix(b"\r").unwrap_or(value);
            // One byte of `pending` was never in the body, and one is the line end.
            let place = self.gone..self.gone + value.len();
            match std::str::from_utf8(value) {
                Ok(name) => {
                    self.findings.record(Value::Text(name.to_owned()));
                    self.findings.spans.push(place);
                }
                Err(_) => self.findings.fail(ModelError::BadName),
            }
        }
        self.drop_pending(end + self.delimiter.len());
        self.stage = Stage::Boundary;
        true
    }

    fn drop_pending(&mut self, count: usize) {
        self.pending.drain(..count);
        self.gone += count;
    }

    /// Text in front of the first boundary is ignored by those who read a form, and read by those
    /// who take the body for JSON all the same.
    fn preamble_is_empty(&mut self, preamble: bool, len: usize) {
        let text = self.pending.get(..len).unwrap_or_default();
        if preamble && self.findings.thorough && !text.trim_ascii().is_empty() {
            self.findings.fail(ModelError::BadBody);
        }
    }

    fn boundary(&mut self) -> bool {
        if self.pending.starts_with(b"--") {
            self.findings.over = true;
            return true;
        }
        let Some(end) = memchr(b'\n', &self.pending) else {
            // Behind a boundary there is at most white space.
            if self.pending.len() > MAX_PART_HEADERS {
                self.findings.fail(ModelError::BadBody);
            }
            return false;
        };
        let is_boundary = self.pending.get(..end).unwrap_or_default().trim_ascii().is_empty();
        if is_boundary {
            // The line end stays: it is in front of the empty line of a part without headers.
            self.drop_pending(end);
            self.stage = Stage::Headers;
        } else if self.findings.thorough {
            self.findings.fail(ModelError::BadBody);
        } else {
            // Content that has the boundary in it, with more behind.
            self.stage = Stage::Content { wanted: false };
        }
        true
    }

    fn headers(&mut self) -> bool {
        let windows = memmem::find(&self.pending, b"\n\r\n").map(|at| (at, 3));
        let plain = memmem::find(&self.pending, b"\n\n").map(|at| (at, 2));
        let end = match (windows, plain) {
            (Some(a), Some(b)) => Some(if a.0 <= b.0 { a } else { b }),
            (a, b) => a.or(b),
        };
        let Some((end, len)) = end.filter(|(end, _)| *end <= MAX_PART_HEADERS) else {
            if self.pending.len() > MAX_PART_HEADERS {
                self.findings.fail(ModelError::BadBody);
            }
            return false;
        };
        let headers = self.pending.get(..end).unwrap_or_default();
        let wanted = match part_name(&String::from_utf8_lossy(headers)) {
            PartName::Plain(name) => name == self.field,
            PartName::Odd if self.findings.thorough => {
                self.findings.fail(ModelError::BadBody);
                return true;
            }
            // Not one that can be told.
            PartName::Odd | PartName::None => false,
        };
        // The last line end stays, for a boundary may follow at once.
        self.drop_pending(end + len - 1);
        self.stage = Stage::Content { wanted };
        true
    }
}

/// The name of a part.
enum PartName {
    Plain(String),
    /// Twice, or in a notation (`name*=`, backslashes) that readers understand differently.
    Odd,
    None,
}

/// The name in the headers of a part.
fn part_name(headers: &str) -> PartName {
    let mut found = PartName::None;
    for line in headers.lines() {
        let Some((header, value)) = line.split_once(':') else { continue };
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        for parameter in split_parameters(value).skip(1) {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let name = name.trim();
            if name.eq_ignore_ascii_case("name*") {
                return PartName::Odd;
            }
            if !name.eq_ignore_ascii_case("name") {
                continue;
            }
            let value = value.trim();
            if value.contains('\\') || matches!(found, PartName::Plain(_)) {
                return PartName::Odd;
            }
            found = PartName::Plain(value.trim_matches('"').to_owned());
        }
    }
    found
}

/// The parts between semicolons that are not in quotation marks.
fn split_parameters(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    value.split(move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            ';' => return !quoted,
            _ => {}
        }
        false
    })
}
