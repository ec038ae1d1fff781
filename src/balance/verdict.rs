//! The vocabulary between [`classify`](super::classify), which reads answers, and those who react:
//! [`health`](super::health) (the key) and [`retry`](super::retry) (the request).
//!
//! A verdict says what an answer means. It says nothing of what is done about it.

use super::Millis;

/// What one upstream answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx, 3xx, 101: return it.
    Success,
    /// The request is at fault. The key is innocent, and another one would not help.
    Caller,
    /// A rate limit, a quota or money: the key is good but not now.
    Cool {
        /// What is cooled: the key for this model, or the whole key.
        scope: Scope,
        /// How long.
        wait: Wait,
        /// Why.
        reason: Reason,
    },
    /// The provider does not accept this key.
    Reject {
        /// Why.
        reason: Reason,
        /// The provider's words leave no doubt. Otherwise a status alone spoke, and the rejection
        /// is held back until another key shows that the key was at fault.
        certain: bool,
    },
    /// Nobody is at fault: overloaded, broken or lost on the way.
    Transient {
        /// Another key may fare better (its project or account has other limits); else any key.
        elsewhere: bool,
        /// Try only after this many milliseconds; 0 when the provider said nothing.
        after: Millis,
        /// The upstream said that it did not carry the request out (overloaded, queue full,
        /// refused before work began), or the request is known not to have reached it. When false,
        /// the work may have been done, and repeating a request that costs money is not free.
        unexecuted: bool,
    },
    /// Refused for where the request left from. Another key does not help.
    Egress,
    /// The AI Gateway itself refused: its settings, its token, its limits. No key is touched.
    Gateway {
        /// Cloudflare's error code (2001, 2009, ...), 0 when it gave none.
        code: u32,
    },
}

/// How much of a key a cooling covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The key for the model of the request.
    Model,
    /// The key for every model.
    Key,
    /// The key for OpenRouter's free models (names that end in `:free`), which share one quota.
    FreeModels,
}

/// How long a key cools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until a time that the provider stated, or that its documented reset clock gives.
    /// Such a time is never shortened.
    Stated(Millis),
    /// Nothing was said: this many milliseconds at first, growing while nothing but 429 comes back.
    Guessed(Millis),
    /// No clock ends this (no credit, a model that the account may not use): look again after this
    /// many milliseconds. Does not grow and does not count as a rate limit.
    Recheck(Millis),
}

/// Why a key is cooled or rejected; also the word that D1, the log and the page show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A per-second or per-minute limit, or a 429 that does not say which.
    RateLimit,
    /// The day's quota is used up.
    DayQuota,
    /// The month's quota is used up.
    MonthQuota,
    /// Too many requests at once, or the model's shared capacity.
    Capacity,
    /// No credit, no balance, billing off.
    Billing,
    /// A spending limit that the owner or the provider set.
    SpendLimit,
    /// This key's account may not use this model, or its tier has none of it.
    ModelAccess,
    /// The key lacks a permission or scope for this endpoint.
    Permission,
    /// The provider does not know the key.
    Invalid,
    /// The key's time is over.
    Expired,
    /// The provider found the key in public.
    Leaked,
    /// The key, its project or its account is suspended, disabled or banned.
    Suspended,
    /// The key is restricted to other APIs, addresses, apps or referrers.
    Restricted,
    /// The provider's API is switched off in the key's project.
    ServiceDisabled,
    /// 401 with nothing known in it.
    Unauthorized,
    /// 403 with nothing known in it.
    Forbidden,
}

// === impl Reason ===

impl Reason {
    /// Every one.
    pub const ALL: [Self; 16] = [
        Self::RateLimit,
        Self::DayQuota,
        Self::MonthQuota,
        Self::Capacity,
        Self::Billing,
        Self::SpendLimit,
        Self::ModelAccess,
        Self::Permission,
        Self::Invalid,
        Self::Expired,
        Self::Leaked,
        Self::Suspended,
        Self::Restricted,
        Self::ServiceDisabled,
        Self::Unauthorized,
        Self::Forbidden,
    ];

    /// The word for it in D1, in logs and on the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::DayQuota => "day_quota",
            Self::MonthQuota => "month_quota",
            Self::Capacity => "capacity",
            Self::Billing => "billing",
            Self::SpendLimit => "spend_limit",
            Self::ModelAccess => "model_access",
            Self::Permission => "permission",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Leaked => "leaked",
            Self::Suspended => "suspended",
            Self::Restricted => "restricted",
            Self::ServiceDisabled => "service_disabled",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
        }
    }

    /// The reason of that word, if there is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl Verdict {
    /// The word for it in the log and in events.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Caller => "caller",
            Self::Cool { .. } => "cool",
            Self::Reject { .. } => "reject",
            Self::Transient { .. } => "transient",
            Self::Egress => "egress",
            Self::Gateway { .. } => "gateway",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_word() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::parse("no such word"), None);
    }
}
