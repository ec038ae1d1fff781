//! The null upstream: reads a request to its end and answers at once, the same every time. With
//! `x-answer: sse-50` it answers fifty events, each in a chunk of its own.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::Wire;

const CHAT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I help you today?"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}"#;
const EVENT: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// Answers until standard input ends.
pub async fn serve() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let address = listener.local_addr().map_err(|why| why.to_string())?;
    println!("http://{address}");
    // A thread of its own: reading standard input would block this one.
    let (ended, mut end) = tokio::sync::mpsc::channel::<()>(1);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(ended);
    });
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(async move { drop(answer(stream).await) });
                }
            }
            _ = end.recv() => return Ok(()),
        }
    }
}

async fn answer(stream: TcpStream) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|why| why.to_string())?;
    let chat = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: {}\r\n\r\n{CHAT}",
        CHAT.len()
    );
    let mut wire = Wire::new(stream);
    while let Some(head) = wire.head().await? {
        wire.body(&head).await?;
        let events = head.answer.as_deref().and_then(|answer| answer.strip_prefix("sse-"));
        match events.and_then(|count| count.parse::<u32>().ok()) {
            Some(count) => stream_events(&mut wire.stream, count).await?,
            None => write(&mut wire.stream, &chat).await?,
        }
    }
    // Whatever else comes is not answered.
    let _ = wire.stream.read(&mut [0; 1]).await;
    Ok(())
}

async fn stream_events(stream: &mut TcpStream, count: u32) -> Result<(), String> {
    write(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )
    .await?;
    for number in 0..count {
        let event = if number + 1 == count { DONE } else { EVENT };
        write(stream, &format!("{:x}\r\n{event}\r\n", event.len())).await?;
        tokio::task::yield_now().await;
    }
    write(stream, "0\r\n\r\n").await
}

async fn write(stream: &mut TcpStream, text: &str) -> Result<(), String> {
    stream.write_all(text.as_bytes()).await.map_err(|why| why.to_string())
}
