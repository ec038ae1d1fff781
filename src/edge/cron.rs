//! The scheduled work: what no request should wait for.

use worker::Env;

use super::platform::now;
use super::respond::log;
use super::store::Store;

/// Fills in digests of keys that were taken over, and forgets what nobody needs.
pub async fn run(env: &Env) {
    let store = Store::new(env.d1("DB").ok());
    let done = async {
        store.adopt().await?;
        store.prune(now()).await
    };
    if let Err(refusal) = done.await {
        log("cron", &refusal.to_string());
    }
}
