//! `POST webhook/test`.

use serde_json::json;

use super::{Answer, Call};
use crate::balance::problem::Problem;
use crate::balance::webhook::Message;
use crate::edge::webhook;

impl Call<'_> {
    /// Sends a message that says that messages arrive.
    pub(super) async fn test_webhook(&self) -> Answer {
        let sent = match &self.settings.webhook {
            Some(hook) => webhook::send(hook, &Message::test()).await,
            None => Err(Problem::new(
                "webhook_not_set",
                "WEBHOOK_URL is not set, or not as it must be.",
            )),
        };
        Ok(match sent {
            Ok(()) => json!({ "sent": true, "code": null, "values": {}, "message": null }),
            Err(Problem { code, values, message }) => {
                json!({ "sent": false, "code": code, "values": values, "message": message })
            }
        })
    }
}
