//! One Balance: many API keys of AI providers behind one address, as a Cloudflare Worker.
//!
//! Two halves. [`balance`] decides: it is pure, knows no platform and is tested natively.
//! `edge` (feature `edge`) performs: it reads requests, talks to D1 and to the AI Gateway, and
//! decides nothing. Arrows go one way: this file -> `edge` -> `balance`.

pub mod balance;
#[cfg(feature = "edge")]
pub mod edge;

/// What the runtime calls, by way of `entry.js`. Each tells the number of the task that it began, 0 if
/// that is done: see [`edge::task`].
#[cfg(feature = "edge")]
mod events {
    use worker::wasm_bindgen::prelude::wasm_bindgen;
    use worker::wasm_bindgen::{self, JsValue};
    use worker::{Env, web_sys};

    use crate::edge;
    use crate::edge::task::{self, Context};

    /// Every request. The raw `web_sys` types keep bodies out of wasm memory.
    #[wasm_bindgen]
    pub fn fetch(request: web_sys::Request, env: Env, context: JsValue) -> u32 {
        task::start(async move { edge::answer(request, env, Context::new(context)).await.into() })
    }

    /// The cron trigger of `wrangler.toml`.
    #[wasm_bindgen]
    pub fn scheduled(_event: JsValue, env: Env, _context: JsValue) -> u32 {
        task::start(async move {
            edge::cron::run(&env).await;
            JsValue::UNDEFINED
        })
    }
}
