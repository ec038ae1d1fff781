//! `POST webhook/test`.

use serde_json::json;

use super::{Answer, Call};
use crate::balance::webhook::Message;
use crate::edge::webhook;

impl Call<'_> {
    /// Sends a message that says that messages arrive.
    pub(super) async fn test_webhook(&self) -> Answer {
        let sent = match &self.settings.webhook {
            Some(hook) => webhook::send(hook, &Message::test()).await,
            None => Err("WEBHOOK_URL is not set, or not as it must be.".to_owned()),
        };
        Ok(json!({ "sent": sent.is_ok(), "message": sent.err() }))
    }
}
