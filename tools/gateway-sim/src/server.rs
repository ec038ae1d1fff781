//! Accepts connections and serves them, so that a request can have its connection reset under it.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower_service::Service;

use crate::simulator::Simulator;
use crate::{control, files, gateway};

/// Lets the code that handles a request break the connection that carries it.
#[derive(Clone, Default)]
pub struct ConnectionHandle(Arc<Notify>);

impl ConnectionHandle {
    /// Resets the connection. The caller's task is dropped with it, so this never returns.
    pub async fn reset(&self) -> Infallible {
        self.0.notify_one();
        std::future::pending().await
    }
}

pub async fn serve(listener: TcpListener, simulator: Arc<Simulator>) {
    let control = control::router(simulator.clone());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small streamed pieces must not wait for each other.
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection(stream, simulator.clone(), control.clone()));
            }
            // Out of file descriptors, or the peer left while queued: neither ends the program.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, simulator: Arc<Simulator>, control: axum::Router) {
    let handle = ConnectionHandle::default();
    let killed = handle.0.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (simulator, control, handle) = (simulator.clone(), control.clone(), handle.clone());
        async move {
            Ok::<_, Infallible>(route(request.map(Body::new), simulator, control, handle).await)
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let ended = {
        let mut pinned = pin!(&mut connection);
        tokio::select! {
            _ = pinned.as_mut() => true,
            () = killed.notified() => false,
        }
    };
    if !ended {
        // Zero linger makes the close a RST, which is what a crashed peer looks like.
        if let Some(parts) = connection.into_parts() {
            let _ = parts.io.into_inner().set_zero_linger();
        }
    }
}

async fn route(
    request: hyper::Request<Body>,
    simulator: Arc<Simulator>,
    mut control: axum::Router,
    handle: ConnectionHandle,
) -> Response {
    let path = request.uri().path();
    if path.starts_with("/__sim") {
        return match control.call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        };
    }
    if path == files::DIRECT_UPLOAD_PATH {
        return files::direct_upload(simulator, request).await;
    }
    gateway::handle(simulator, handle, request).await
}
