//! Amazon's binary streams of events (`application/vnd.amazon.eventstream`): each a frame of lengths,
//! headers, a payload, and checksums.

use bytes::Bytes;
use serde_json::Value;

use crate::answer::Answer;

pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// The type of a header's value that is a text.
const TEXT: u8 = 7;

/// A stream of events: a name, and what it holds.
pub fn answer(events: &[(&str, Value)]) -> Answer {
    Answer::pieces(CONTENT_TYPE, events.iter().map(|(name, value)| frame(name, value)).collect())
}

fn frame(name: &str, value: &Value) -> Bytes {
    let mut headers = Vec::new();
    for (header, text) in
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.push(header.len() as u8);
        headers.extend_from_slice(header.as_bytes());
        headers.push(TEXT);
        headers.extend_from_slice(&(text.len() as u16).to_be_bytes());
        headers.extend_from_slice(text.as_bytes());
    }
    let payload = value.to_string();
    // Two lengths and their checksum in front, the checksum of all behind.
    let total = 12 + headers.len() + payload.len() + 4;
    let mut frame = Vec::with_capacity(total);
    frame.extend_from_slice(&(total as u32).to_be_bytes());
    frame.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.into()
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_frame_tells_its_length() {
        let frame = frame("messageStop", &serde_json::json!({"stopReason":"end_turn"}));
        assert_eq!(frame[..4], (frame.len() as u32).to_be_bytes());
        assert!(frame.windows(11).any(|window| window == b"messageStop"));
    }
}
