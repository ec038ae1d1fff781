//! Which providers have keys.

use serde::Deserialize;

use super::{Store, next};
use crate::balance::error::Refusal;

#[derive(Deserialize)]
struct Slug {
    provider: String,
}

impl Store {
    /// The providers with at least one key that is in use. Steps through the index from provider to
    /// provider, so it reads two rows for each, however many keys they have.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn providers_in_use(&self) -> Result<Vec<String>, Refusal> {
        let statement = self.statement(
            "WITH RECURSIVE slugs (provider) AS ( \
             SELECT (SELECT MIN(provider) FROM provider_keys) \
             UNION ALL \
             SELECT (SELECT MIN(provider) FROM provider_keys WHERE provider > slugs.provider) \
             FROM slugs WHERE slugs.provider IS NOT NULL) \
             SELECT provider FROM slugs WHERE provider IS NOT NULL AND EXISTS (SELECT 1 FROM provider_keys AS k \
             WHERE k.provider = slugs.provider AND k.state = 'ready')",
            &[],
        )?;
        let results = self.batch(vec![statement]).await?;
        let rows: Vec<Slug> = next(&mut results.iter())?;
        Ok(rows.into_iter().map(|row| row.provider).collect())
    }
}
