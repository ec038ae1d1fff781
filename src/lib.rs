//! One Balance: many API keys of AI providers behind one address, as a Cloudflare Worker.
//!
//! Two halves. [`balance`] decides: it is pure, knows no platform and is tested natively.
//! `edge` (feature `edge`) performs: it reads requests, talks to D1 and to the AI Gateway, and
//! decides nothing. Arrows go one way: this file -> `edge` -> `balance`.

pub mod balance;
#[cfg(feature = "edge")]
pub mod edge;

#[cfg(feature = "edge")]
mod events {
    use core::convert::Infallible;

    use worker::{Context, Env, ScheduleContext, ScheduledEvent, event, web_sys};

    /// Every request. The raw `web_sys` types keep bodies out of wasm memory.
    #[event(fetch)]
    async fn fetch(
        request: web_sys::Request,
        env: Env,
        ctx: Context,
    ) -> Result<web_sys::Response, Infallible> {
        console_error_panic_hook::set_once();
        Ok(crate::edge::answer(request, env, ctx).await)
    }

    /// The cron trigger of `wrangler.toml`.
    #[event(scheduled)]
    async fn scheduled(_event: ScheduledEvent, env: Env, _ctx: ScheduleContext) {
        console_error_panic_hook::set_once();
        crate::edge::cron::run(&env).await;
    }
}
