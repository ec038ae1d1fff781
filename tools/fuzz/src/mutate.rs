//! Changes to texts and JSON, from a single bit to another document in the middle of it.

use serde_json::{Map, Value, json};

use crate::corpus::Corpus;
use crate::rng::Rng;

/// Nothing that is made here is longer: what is read of a body ends at 64 KB, and two of them show
/// what happens behind that.
const LONGEST: usize = 160 * 1024;

const NUMBERS: [&str; 24] = [
    "0",
    "00",
    "1",
    "-1",
    "+1",
    "0.5",
    ".5",
    "1.",
    "1e3",
    "1e400",
    "59",
    "60",
    "429",
    "999",
    "1000",
    "2001",
    "2009",
    "86399",
    "86400",
    "2678400",
    "4294967296",
    "18446744073709551615",
    "99999999999999999999999",
    "NaN",
];

const PIECES: [&[u8]; 30] = [
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xe2\x80\x8b",
    b"\xc2\xb5",
    b"\xc4\xb0",
    b"\xf0\x9f\x98\x80",
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\\u0000",
    b"\\ud800",
    b"\\u006d",
    b"\\",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"=",
    b"&",
    b"..",
    b"%2e",
    b"%25",
    b"/",
    b"--",
];

pub struct Source<'a> {
    pub rng: Rng,
    pub corpus: &'a Corpus,
}

impl Source<'_> {
    pub fn word(&mut self) -> &str {
        let at = self.rng.below(self.corpus.words.len());
        &self.corpus.words[at]
    }

    /// A body of the corpus.
    pub fn body(&mut self) -> Vec<u8> {
        let at = self.rng.below(self.corpus.cases.len());
        self.corpus.cases[at].body.clone()
    }

    pub fn provider(&mut self) -> &'static str {
        let at = self.rng.below(self.corpus.providers.len());
        self.corpus.providers[at]
    }

    /// So many changes, mostly few.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.rng.below(4) + usize::from(self.rng.once_in(8)) * 12 {
            self.change(bytes);
            bytes.truncate(LONGEST);
        }
    }

    /// The same for text that must stay text.
    pub fn mutated_text(&mut self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        self.mutate(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let (from, to) = self.range(bytes.len());
        match self.rng.below(14) {
            0 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << self.rng.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = self.rng.byte();
                }
            }
            2 => drop(bytes.drain(from..to)),
            3 => bytes.truncate(from),
            4 => {
                let piece = bytes[from..to].to_vec();
                let times = if self.rng.once_in(20) { self.rng.below(2_000) } else { 1 };
                let room = LONGEST.saturating_sub(bytes.len());
                let copies = piece.repeat(times.min(room / piece.len().max(1)));
                insert(bytes, from, &copies);
            }
            5 => {
                let other = self.body();
                let (other_from, other_to) = self.range(other.len());
                bytes.splice(from..to, other[other_from..other_to].iter().copied());
            }
            6 | 7 => {
                let word = self.word().to_owned();
                bytes.splice(from..to.min(from + 8), word.into_bytes());
            }
            8 => insert(bytes, from, self.rng.pick(&NUMBERS).as_bytes()),
            9 => self.change_number(bytes),
            10 | 11 => insert(bytes, from, self.rng.pick(&PIECES)),
            12 => {
                for byte in &mut bytes[from..to] {
                    *byte ^= if byte.is_ascii_alphabetic() { 0x20 } else { 0 };
                }
            }
            _ => insert(bytes, from, &[self.rng.byte()]),
        }
    }

    /// Two places, the first not behind the second, and mostly not far from it.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let from = self.rng.below(len + 1);
        let reach = if self.rng.once_in(3) { len } else { 12 };
        (from, (from + self.rng.below(reach + 1)).min(len))
    }

    /// Another number in the place of one.
    fn change_number(&mut self, bytes: &mut Vec<u8>) {
        let start = self.rng.below(bytes.len() + 1);
        let Some(from) = (start..bytes.len()).find(|&at| bytes[at].is_ascii_digit()) else {
            return;
        };
        let to = (from..bytes.len()).find(|&at| !bytes[at].is_ascii_digit()).unwrap_or(bytes.len());
        bytes.splice(from..to, self.rng.pick(&NUMBERS).bytes());
    }

    /// Changes a place in a JSON document and keeps it a document.
    pub fn mutate_json(&mut self, document: &mut Value) {
        let count = nodes(document);
        let mut at = self.rng.below(count);
        let fresh = self.value(document);
        let name = self.word().to_owned();
        if let Some(node) = node_mut(document, &mut at) {
            match (self.rng.below(5), node) {
                (0, Value::Object(fields)) => drop(fields.insert(name, fresh)),
                (0, Value::Array(elements)) => elements.push(fresh),
                (1, node) => *node = Value::Array(vec![node.take()]),
                (2, node) => *node = json!({ name: node.take() }),
                (3, Value::Object(fields)) => {
                    let key = fields.keys().nth(self.rng.below(fields.len().max(1))).cloned();
                    drop(key.and_then(|key| fields.remove(&key)));
                }
                (_, node) => *node = fresh,
            }
        }
    }

    /// A small value, or one that stands elsewhere.
    fn value(&mut self, document: &Value) -> Value {
        match self.rng.below(10) {
            0 => Value::Null,
            1 => Value::Bool(self.rng.once_in(2)),
            2 => json!(self.rng.next()),
            3 => json!(self.rng.below(10_000)),
            4 => self.rng.pick(&NUMBERS).parse::<f64>().map_or(Value::Null, |number| json!(number)),
            5 => Value::String(self.rng.pick(&NUMBERS).to_owned()),
            6 => json!([]),
            7 => Value::Object(Map::new()),
            8 => {
                let other = self.body();
                serde_json::from_slice(&other).unwrap_or_else(|_| document.clone())
            }
            _ => Value::String(self.word().to_owned()),
        }
    }

    /// Places at which a text is cut into chunks, in order.
    pub fn cuts(&mut self, len: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = match self.rng.below(4) {
            0 => (1..len.min(3_000)).collect(),
            1 => vec![self.rng.below(len + 1)],
            _ => (0..self.rng.below(9)).map(|_| self.rng.below(len + 1)).collect(),
        };
        cuts.sort_unstable();
        cuts
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(nodes).sum(),
        Value::Object(fields) => fields.values().map(nodes).sum::<usize>(),
        _ => 0,
    }
}

/// The node with that number, counted from the root.
fn node_mut<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(elements) => elements.iter_mut().find_map(|element| node_mut(element, at)),
        Value::Object(fields) => fields.values_mut().find_map(|field| node_mut(field, at)),
        _ => None,
    }
}
