//! What the overview asks of D1: keys by state, usage, what is exhausted.

use serde::Deserialize;

use super::{Store, next, number, text};
use crate::balance::error::Refusal;
use crate::balance::{DAY, HOUR, Millis};

/// Keys of one provider, state and reason.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    /// The provider.
    pub provider: String,
    /// As D1 has it: a cooling key is ready.
    pub state: String,
    /// Why they are blocked.
    pub reason: Option<String>,
    /// How many.
    pub n: u64,
    /// Of them, how many cool for some model.
    pub cooling: u64,
    /// And for every model.
    pub stopped: u64,
    /// And were blocked within a day.
    pub fresh: u64,
}

/// Keys of a provider that cool for a model.
#[derive(Debug, Clone, Deserialize)]
pub struct Cooled {
    /// The provider.
    pub provider: String,
    /// The model; `*` for every one.
    pub model: String,
    /// How many.
    pub n: u64,
    /// Of them, how many cool for every model too.
    pub both: u64,
    /// When the first of them is back.
    pub relief: Millis,
}

/// Every key counted.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// By provider, state and reason.
    pub groups: Vec<Group>,
    /// By provider and model.
    pub cooled: Vec<Cooled>,
    /// Rows that D1 read for it.
    pub cost: u64,
    /// When.
    pub at: Millis,
}

/// Requests of a provider in a span of time.
#[derive(Debug, Clone, Copy, Default, Deserialize, serde::Serialize)]
pub struct Usage {
    /// Clients' requests.
    pub requests: u64,
    /// Those that succeeded.
    pub successes: u64,
    /// Requests to the provider.
    pub attempts: u64,
    /// Answered with a 429.
    pub rate_limited: u64,
    /// That failed otherwise.
    pub errors: u64,
}

/// Usage of a provider, or of a bucket.
#[derive(Debug, Clone, Deserialize)]
pub struct Used<T> {
    /// The slug, or the beginning of the bucket.
    pub of: T,
    /// How much.
    #[serde(flatten)]
    pub usage: Usage,
}

impl Store {
    /// Counts every key. It reads each once, and each running cooling: see [`Counts::cost`].
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn counts(&self, now: Millis) -> Result<Counts, Refusal> {
        let cools = "EXISTS (SELECT 1 FROM coolings c WHERE c.key_id = k.id AND c.until > ?1";
        // A key that its provider was asked about again was blocked earlier: within a day once, or
        // three times after a bare status.
        let groups = format!(
            "SELECT k.provider, k.state, k.reason, count(*) AS n, \
             sum(k.state = 'ready' AND {cools})) AS cooling, \
             sum(k.state = 'ready' AND {cools} AND c.model = '*')) AS stopped, \
             sum(k.state = 'blocked' AND k.updated_at > ?1 - {DAY} AND k.probes <= iif(k.certain, 1, 3)) AS fresh \
             FROM provider_keys k WHERE k.state <> 'deleted' GROUP BY 1, 2, 3"
        );
        let cooled = "SELECT c.provider, c.model, count(*) AS n, sum(s.key_id IS NOT NULL) AS both, \
                      min(max(c.until, coalesce(s.until, 0))) AS relief \
                      FROM coolings c JOIN provider_keys k ON k.id = c.key_id AND k.state = 'ready' \
                      LEFT JOIN coolings s ON s.key_id = c.key_id AND s.model = '*' AND s.until > ?1 AND c.model <> '*' \
                      WHERE c.until > ?1 GROUP BY 1, 2";
        let results = self
            .batch(vec![
                self.statement(&groups, &[number(now)])?,
                self.statement(cooled, &[number(now)])?,
            ])
            .await?;
        let read = |result: &worker::D1Result| {
            result.meta().ok().flatten().and_then(|meta| meta.rows_read)
        };
        let cost = results.iter().filter_map(read).sum::<usize>() as u64;
        let mut results = results.iter();
        Ok(Counts { groups: next(&mut results)?, cooled: next(&mut results)?, cost, at: now })
    }

    /// Usage of this day by provider, and by bucket since `from`, of all providers or of one.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn usage(
        &self,
        provider: Option<&str>,
        from: Millis,
        bucket: Millis,
        now: Millis,
    ) -> Result<(Vec<Used<String>>, Vec<Used<Millis>>), Refusal> {
        const SUMS: &str = "sum(requests) AS requests, sum(successes) AS successes, sum(attempts) AS attempts, \
                            sum(rate_limited) AS rate_limited, sum(errors) AS errors";
        let today =
            format!("SELECT provider AS of, {SUMS} FROM usage_hourly WHERE hour >= ?1 GROUP BY 1");
        let of_one = if provider.is_some() { "AND provider = ?2" } else { "AND ?2 = ''" };
        let series = format!(
            "SELECT hour - hour % {bucket} AS of, {SUMS} FROM usage_hourly WHERE hour >= ?1 {of_one} GROUP BY 1 ORDER BY 1"
        );
        debug_assert!(bucket >= HOUR);
        let results = self
            .batch(vec![
                self.statement(&today, &[number(now - now % DAY)])?,
                self.statement(&series, &[number(from), text(provider.unwrap_or_default())])?,
            ])
            .await?;
        let mut results = results.iter();
        Ok((next(&mut results)?, next(&mut results)?))
    }
}
