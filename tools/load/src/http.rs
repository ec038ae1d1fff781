//! As much of HTTP/1.1 as two ends need that trust each other: messages with `content-length` or in
//! chunks, one after the other on a connection.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// One end of a connection with what was read too early.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
}

/// The first line and what matters of the headers.
pub struct Head {
    pub first: String,
    /// The value of `x-answer`: what the upstream is to say.
    pub answer: Option<String>,
    length: Option<usize>,
    chunked: bool,
}

const PIECE: usize = 256 * 1024;

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::with_capacity(PIECE), start: 0 }
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    async fn more(&mut self) -> Result<(), String> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(PIECE);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the connection was closed".to_owned()),
            Ok(_) => Ok(()),
            Err(why) => Err(why.to_string()),
        }
    }

    /// The next message's head; `None` when the other end closed the connection before it.
    pub async fn head(&mut self) -> Result<Option<Head>, String> {
        loop {
            let end = self.unread().windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let text = String::from_utf8_lossy(self.unread().get(..end).unwrap_or_default());
                let head = parse(&text);
                self.consume(end + 4);
                return Ok(Some(head));
            }
            let nothing = self.unread().is_empty();
            if let Err(why) = self.more().await {
                return if nothing { Ok(None) } else { Err(why) };
            }
        }
    }

    /// Reads a message's body to its end. Tells its length and its last bytes.
    pub async fn body(&mut self, head: &Head) -> Result<(usize, Vec<u8>), String> {
        let mut tail = Vec::new();
        if let Some(length) = head.length {
            self.skip(length, &mut tail).await?;
            return Ok((length, tail));
        }
        if !head.chunked {
            return Ok((0, tail));
        }
        let mut total = 0;
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| format!("a chunk of {line}"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok((total, tail));
            }
            self.skip(size, &mut tail).await?;
            self.line().await?;
            total += size;
        }
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.unread().windows(2).position(|bytes| bytes == b"\r\n") {
                let line = self.unread().get(..end).unwrap_or_default();
                let line = String::from_utf8_lossy(line).into_owned();
                self.consume(end + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    async fn skip(&mut self, mut count: usize, tail: &mut Vec<u8>) -> Result<(), String> {
        while count > 0 {
            if self.unread().is_empty() {
                self.more().await?;
            }
            let taken = self.unread().len().min(count);
            let last = taken.saturating_sub(TAIL);
            tail.extend_from_slice(self.unread().get(last..taken).unwrap_or_default());
            let excess = tail.len().saturating_sub(TAIL);
            tail.drain(..excess);
            self.consume(taken);
            count -= taken;
        }
        Ok(())
    }
}

const TAIL: usize = 32;

fn parse(text: &str) -> Head {
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let mut head = Head { first, answer: None, length: None, chunked: false };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("x-answer") {
            head.answer = Some(value.to_owned());
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// What the other end sees of these bytes, sent in pieces of that size: (first line, length).
    async fn seen(bytes: &'static [u8], piece: usize) -> Vec<(String, usize, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sender = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for part in bytes.chunks(piece) {
                stream.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let receiver = async {
            let mut wire = Wire::new(listener.accept().await.unwrap().0);
            let mut seen = Vec::new();
            while let Some(head) = wire.head().await.unwrap() {
                let (length, tail) = wire.body(&head).await.unwrap();
                seen.push((head.first, length, String::from_utf8(tail).unwrap()));
            }
            seen
        };
        tokio::join!(sender, receiver).1
    }

    #[tokio::test]
    async fn messages_are_read_to_their_end_however_they_are_cut() {
        let bytes = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\
            transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n3;x=y\r\nefg\r\n0\r\n\r\n\
            GET /b HTTP/1.1\r\nx: y\r\n\r\n";
        for piece in [1, 2, 3, 7, 50, 1000] {
            let expected = [
                ("POST /a HTTP/1.1".to_owned(), 5, "hello".to_owned()),
                ("HTTP/1.1 200 OK".to_owned(), 7, "abcdefg".to_owned()),
                ("GET /b HTTP/1.1".to_owned(), 0, String::new()),
            ];
            assert_eq!(seen(bytes, piece).await, expected, "{piece}");
        }
    }
}
