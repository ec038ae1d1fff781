//! 64 bytes of JSON at once: what is where in them, a bit for each byte, the first byte's the lowest.
//!
//! It is the first stage of simdjson (Langdale and Lemire, 2019), as far as that is needed here.

use memchr::memchr2;

/// How many bytes a block has.
pub(super) const SIZE: usize = 64;

/// A block.
pub(super) struct Block(lanes::Lanes);

impl Block {
    /// The first bytes, if there are enough.
    #[inline]
    pub(super) fn first(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|bytes| Block(lanes::Lanes::of(bytes)))
    }

    /// Where this byte is.
    #[inline]
    pub(super) fn marks(&self, byte: u8) -> u64 {
        self.0.marks(byte)
    }

    /// Where brackets of both kinds open, and where they close: `[` and `{` differ in one bit, and so
    /// do `]` and `}`.
    #[inline]
    pub(super) fn brackets(&self) -> (u64, u64) {
        let folded = self.0.with(b'[' ^ b'{');
        (folded.marks(b'{'), folded.marks(b'}'))
    }

    /// Where bytes are that JSON has between strings, besides what structures it.
    #[inline]
    pub(super) fn plain(&self) -> u64 {
        const RANGES: [(u8, u8); 9] = [
            (b'a', b'z'),
            (b'0', b'9'),
            (b'+', b'.'), // with a comma
            (b' ', b' '),
            (b'\t', b'\n'),
            (b'\r', b'\r'),
            (b'E', b'E'),
            (b'I', b'I'),
            (b'N', b'N'),
        ];
        RANGES.iter().fold(0, |plain, (first, last)| plain | self.0.within(*first, *last))
    }
}

/// What a block must know of those in front of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// All ones when its first byte is in a string.
    text: u64,
    /// One when its first byte is escaped.
    escaped: u64,
}

/// The strings of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strings {
    /// The quotation marks around them.
    pub(super) quotes: u64,
    /// All that is in them, with the opening mark and without the closing one.
    pub(super) text: u64,
}

impl Before {
    /// In front of a block that begins in a string, or between strings.
    pub(super) const fn new(in_text: bool) -> Self {
        Before { text: if in_text { u64::MAX } else { 0 }, escaped: 0 }
    }

    /// A string goes on.
    pub(super) const fn in_text(self) -> bool {
        self.text != 0
    }

    /// And its next byte is escaped.
    pub(super) const fn is_escaped(self) -> bool {
        self.escaped != 0
    }

    /// The next byte follows so many backslashes.
    pub(super) const fn escape(&mut self, backslashes: usize) {
        self.escaped = backslashes as u64 & 1;
    }

    /// The strings of the next block, of whose bytes these are quotation marks and these backslashes.
    #[inline]
    pub(super) const fn strings(&mut self, quotes: u64, backslashes: u64) -> Strings {
        let quotes = quotes & !self.escapes(backslashes);
        let text = until_the_next(quotes) ^ self.text;
        self.text = 0_u64.wrapping_sub(text >> (SIZE - 1));
        Strings { quotes, text }
    }

    /// The bytes that are escaped: each backslash that is not escaped itself escapes the next byte. The
    /// sum runs through rows of backslashes, so those that begin at odd places end in a carry.
    #[inline]
    const fn escapes(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslashes == 0 {
            return std::mem::replace(&mut self.escaped, 0);
        }
        let backslashes = backslashes & !self.escaped;
        let behind = backslashes << 1 | self.escaped;
        let odd_rows = backslashes & !EVEN & !behind;
        let (sum, overflow) = odd_rows.overflowing_add(backslashes);
        self.escaped = overflow as u64;
        (EVEN ^ (sum << 1)) & behind
    }
}

/// From each first, third, ... bit to in front of the next one.
#[inline]
const fn until_the_next(bits: u64) -> u64 {
    let bits = bits ^ bits << 1;
    let bits = bits ^ bits << 2;
    let bits = bits ^ bits << 4;
    let bits = bits ^ bits << 8;
    let bits = bits ^ bits << 16;
    bits ^ bits << 32
}

/// The end of a string that has backslashes in it: where its quotation mark is, or, when it is not among
/// these bytes, whether the first byte behind them is escaped.
pub(super) fn end_of_text(bytes: &[u8]) -> Result<usize, bool> {
    let mut before = Before::new(true);
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(Block::first) {
        let strings = before.strings(block.marks(b'"'), block.marks(b'\\'));
        if strings.quotes != 0 {
            return Ok(at + strings.quotes.trailing_zeros() as usize);
        }
        at += SIZE;
    }
    at += usize::from(before.is_escaped());
    while let Some(rest) = bytes.get(at..) {
        let Some(next) = memchr2(b'"', b'\\', rest) else { return Err(false) };
        if rest.get(next) == Some(&b'"') {
            return Ok(at + next);
        }
        at += next + 2;
    }
    Err(at > bytes.len())
}

/// The vectors of WebAssembly, with nothing but safe intrinsics.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes {
    use core::arch::wasm32::{
        u8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u8x16_sub, u64x2, v128, v128_or,
    };

    #[derive(Clone, Copy)]
    pub(super) struct Lanes([v128; 4]);

    impl Lanes {
        #[inline]
        pub(super) fn of(bytes: &[u8; super::SIZE]) -> Self {
            let mut words = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
            let mut word = || words.next().unwrap_or_default();
            let mut lane = || u64x2(word(), word());
            Lanes([lane(), lane(), lane(), lane()])
        }

        #[inline]
        pub(super) fn marks(&self, byte: u8) -> u64 {
            let byte = u8x16_splat(byte);
            marks(self.0.map(|lane| u8x16_eq(lane, byte)))
        }

        #[inline]
        pub(super) fn within(&self, first: u8, last: u8) -> u64 {
            let (first, width) = (u8x16_splat(first), u8x16_splat(last - first));
            marks(self.0.map(|lane| u8x16_le(u8x16_sub(lane, first), width)))
        }

        #[inline]
        pub(super) fn with(&self, bit: u8) -> Self {
            Lanes(self.0.map(|lane| v128_or(lane, u8x16_splat(bit))))
        }
    }

    #[inline]
    fn marks(found: [v128; 4]) -> u64 {
        let [a, b, c, d] = found.map(|lane| u64::from(u8x16_bitmask(lane)));
        a | b << 16 | c << 32 | d << 48
    }
}

/// The same for any machine: compilers make vectors of it where there are some.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes {
    #[derive(Clone, Copy)]
    pub(super) struct Lanes([u8; super::SIZE]);

    impl Lanes {
        #[inline]
        pub(super) fn of(bytes: &[u8; super::SIZE]) -> Self {
            Lanes(*bytes)
        }

        #[inline]
        pub(super) fn marks(&self, byte: u8) -> u64 {
            marks(self.0.map(|it| u8::from(it == byte)))
        }

        #[inline]
        pub(super) fn within(&self, first: u8, last: u8) -> u64 {
            marks(self.0.map(|it| u8::from(it.wrapping_sub(first) <= last - first)))
        }

        #[inline]
        pub(super) fn with(&self, bit: u8) -> Self {
            Lanes(self.0.map(|byte| byte | bit))
        }
    }

    #[inline]
    fn marks(found: [u8; super::SIZE]) -> u64 {
        /// Moves the lowest bits of eight bytes to the highest byte.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        found.as_chunks().0.iter().rev().fold(0, |marks, eight| {
            marks << 8 | u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is escaped and what is in a string, byte by byte.
    fn slowly(bytes: &[u8], mut in_text: bool) -> (Vec<bool>, Vec<bool>) {
        let mut escaped = false;
        let (mut quotes, mut text) = (Vec::new(), Vec::new());
        for &byte in bytes {
            let is_quote = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            in_text ^= is_quote;
            quotes.push(is_quote);
            text.push(in_text);
        }
        (quotes, text)
    }

    fn bits(marks: u64) -> impl Iterator<Item = bool> {
        (0..SIZE).map(move |bit| marks >> bit & 1 == 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn bytes_are_found(bytes in any::<[[u8; 16]; 4]>(), byte in any::<u8>()) {
            let bytes = bytes.as_flattened();
            let block = Block::first(bytes).unwrap();
            for byte in [byte, bytes[17]] {
                let found: Vec<bool> = bits(block.marks(byte)).collect();
                let expected: Vec<bool> = bytes.iter().map(|it| *it == byte).collect();
                prop_assert_eq!(found, expected);
            }
            let is_plain = |byte: &u8| {
                byte.is_ascii_digit() || byte.is_ascii_lowercase() || b" \t\r\n+,-.EIN".contains(byte)
            };
            let found: Vec<bool> = bits(block.plain()).collect();
            prop_assert_eq!(found, bytes.iter().map(is_plain).collect::<Vec<_>>());
        }

        #[test]
        fn strings_are_found(
            bytes in proptest::collection::vec(proptest::sample::select(b"\\\\\"{}[x".as_slice()), 64 * 3),
            in_text in any::<bool>(),
        ) {
            let (mut quotes, mut text) = (Vec::new(), Vec::new());
            let mut before = Before::new(in_text);
            for block in bytes.chunks(SIZE) {
                let marks = Block::first(block).unwrap();
                let strings = before.strings(marks.marks(b'"'), marks.marks(b'\\'));
                quotes.extend(bits(strings.quotes));
                text.extend(bits(strings.text));
                let (opens, closes) = marks.brackets();
                for ((byte, open), close) in block.iter().zip(bits(opens)).zip(bits(closes)) {
                    prop_assert_eq!(matches!(byte, b'{' | b'['), open);
                    prop_assert_eq!(matches!(byte, b'}' | b']'), close);
                }
            }
            prop_assert_eq!((quotes, text), slowly(&bytes, in_text));
        }

        #[test]
        fn texts_end(
            bytes in proptest::collection::vec(proptest::sample::select(b"\\\\\\\\\\xyz".as_slice()), 0..200),
            behind in ".{0,3}",
        ) {
            let bytes = [&bytes, behind.as_bytes()].concat();
            let (quotes, _) = slowly(&bytes, true);
            let expected = quotes.iter().position(|quote| *quote);
            match end_of_text(&bytes) {
                Ok(at) => prop_assert_eq!(Some(at), expected),
                Err(escaped) => {
                    prop_assert_eq!(expected, None);
                    let row = bytes.iter().rev().take_while(|byte| **byte == b'\\').count();
                    prop_assert_eq!(escaped, row % 2 == 1);
                }
            }
        }
    }
}
