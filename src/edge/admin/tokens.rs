//! Clients' tokens: those made here, and, to look at, those of `AUTH_KEY`.

use serde_json::{Value, json};

use super::fault::Fault;
use super::fields::Fields;
use super::{Answer, Call};
use crate::balance::error::Refusal;
use crate::balance::key::hex;
use crate::balance::token::{self, Scope, Token};
use crate::edge::platform::now;
use crate::edge::store::tokens::{TokenDetails, TokenRow};
use crate::edge::tokens::{self, DIGITS, PREFIX};

const LONGEST_NAME: usize = 100;
const LONGEST_SCOPE: usize = 4_000;
const MOST_REQUESTS: u32 = 1_000_000;

/// What a call says of a token; `None`: nothing.
#[derive(Default)]
struct Said {
    name: Option<String>,
    scope: Option<String>,
    expires_at: Option<Option<u64>>,
    per_minute: Option<Option<u32>>,
    per_day: Option<Option<u32>>,
    enabled: Option<bool>,
}

impl Said {
    fn read(mut fields: Fields) -> Result<Self, Fault> {
        let name = fields.text("name", LONGEST_NAME)?.map(|name| name.trim().to_owned());
        if name.as_deref() == Some("") {
            return Err(Fault::required("name"));
        }
        let scope = match fields.has("scope") {
            false => None,
            true => Some(scope(&mut fields)?),
        };
        let expires_at = fields.has("expires_at").then(|| fields.id("expires_at")).transpose()?;
        if let Some(Some(at)) = expires_at
            && at <= now()
        {
            return Err(Fault::of(
                "expires_at",
                "in_the_past",
                "`expires_at` is over already. It is in milliseconds.",
            ));
        }
        let mut limit = |name: &str| -> Result<Option<Option<u32>>, Fault> {
            if !fields.has(name) {
                return Ok(None);
            }
            let number = fields.number(name, 1, MOST_REQUESTS.into())?;
            Ok(Some(number.and_then(|it| u32::try_from(it).ok())))
        };
        let (per_minute, per_day) = (limit("per_minute")?, limit("per_day")?);
        let enabled = fields.flag("enabled")?;
        fields.finish()?;
        Ok(Self { name, scope, expires_at, per_minute, per_day, enabled })
    }
}

/// A scope as text or as a list of rules, as text.
fn scope(fields: &mut Fields) -> Result<String, Fault> {
    let bad = |part: &str| {
        let part: String = part.chars().filter(|c| !c.is_control() && *c != '`').take(60).collect();
        let sentence = format!(
            "`{part}` is no part of a scope: write `provider,model,model*&provider`, or `*` for every provider."
        );
        Fault::of("scope", "bad_scope", sentence).with("part", part)
    };
    let text = match fields.take("scope") {
        None => return Ok(String::new()),
        Some(Value::String(text)) => text,
        Some(Value::Array(rules)) => {
            let mut parts = Vec::new();
            for rule in &rules {
                let provider = rule.get("provider").and_then(Value::as_str).unwrap_or_default();
                let models =
                    rule.get("models").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let mut part = vec![provider];
                part.extend(models.iter().map(|model| model.as_str().unwrap_or_default()));
                if let Some(odd) =
                    part.iter().find(|it| it.trim().is_empty() || it.contains([',', '&', ';', '=']))
                {
                    return Err(bad(odd));
                }
                parts.push(part.join(","));
            }
            parts.join("&")
        }
        Some(_) => return Err(Fault::wrong_type("scope", "text, or a list of rules")),
    };
    if text.chars().count() > LONGEST_SCOPE {
        let sentence = format!("`scope` is longer than {LONGEST_SCOPE} characters.");
        return Err(Fault::of("scope", "too_long", sentence).with("most", LONGEST_SCOPE));
    }
    let odd = text
        .split('&')
        .find(|part| text.trim() != "" && (Scope::parse(part).is_none() || part.trim().is_empty()));
    if let Some(odd) = odd {
        return Err(bad(odd));
    }
    Ok(Scope::parse(&text).ok_or_else(|| bad(&text))?.to_string())
}

impl Call<'_> {
    pub(super) async fn list_tokens(&self) -> Answer {
        let made: Vec<_> = self.store.tokens(None, now()).await?.iter().map(told).collect();
        let of_setting: Vec<_> = self.settings.tokens.iter().map(told_of_setting).collect();
        Ok(json!({ "tokens": made, "auth_key": of_setting }))
    }

    pub(super) async fn make_token(&self) -> Answer {
        let said = Said::read(self.body().await?)?;
        let name = said.name.ok_or_else(|| Fault::required("name"))?;
        let mut bytes = [0; DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|why| Refusal::internal(why.to_string()))?;
        let secret = format!("{PREFIX}{}", hex(&bytes));
        let digest = hex(&token::digest(&secret));
        let shown = |from: usize, to: usize| secret.get(from..to).unwrap_or_default();
        let hint =
            format!("{}…{}", shown(0, PREFIX.len() + 2), shown(secret.len() - 2, secret.len()));
        let details = TokenDetails {
            name: &name,
            scope: &said.scope.unwrap_or_default(),
            expires_at: said.expires_at.flatten(),
            per_minute: said.per_minute.flatten(),
            per_day: said.per_day.flatten(),
            enabled: said.enabled.unwrap_or(true),
        };
        let id = self.store.add_token(&digest, &hint, &details, now()).await?;
        let token = self.one_token(id.unwrap_or_default()).await?;
        Ok(json!({ "token": told(&token), "secret": secret }))
    }

    pub(super) async fn change_token(&self, id: u64) -> Answer {
        let said = Said::read(self.body().await?)?;
        let old = self.one_token(id).await?;
        let details = TokenDetails {
            name: said.name.as_deref().unwrap_or(&old.name),
            scope: said.scope.as_deref().unwrap_or(&old.scope),
            expires_at: said.expires_at.unwrap_or(old.expires_at),
            per_minute: said.per_minute.unwrap_or(old.per_minute),
            per_day: said.per_day.unwrap_or(old.per_day),
            enabled: said.enabled.unwrap_or(old.enabled),
        };
        self.store.change_token(id, &details).await?;
        tokens::forget(&old.digest, false);
        Ok(json!({ "token": told(&self.one_token(id).await?) }))
    }

    pub(super) async fn revoke_token(&self, id: u64) -> Answer {
        let digest = self.store.remove_token(id).await?.ok_or_else(|| no_such_token(id))?;
        tokens::forget(&digest, true);
        Ok(json!({ "changed": 1 }))
    }

    async fn one_token(&self, id: u64) -> Result<TokenRow, Fault> {
        self.store
            .tokens(Some(id), now())
            .await?
            .into_iter()
            .next()
            .ok_or_else(|| no_such_token(id))
    }
}

fn no_such_token(id: u64) -> Fault {
    Fault::new(404, "no_such_token", format!("There is no token with the id {id}.")).with("id", id)
}

fn rules(scope: &Scope) -> Value {
    scope
        .rules()
        .map(|(provider, models)| json!({ "provider": provider, "models": models }))
        .collect()
}

fn told(row: &TokenRow) -> Value {
    let expired = row.expires_at.is_some_and(|at| at <= now());
    let state = match (row.enabled, expired) {
        (false, _) => "disabled",
        (true, true) => "expired",
        (true, false) => "active",
    };
    json!({
        "id": row.id,
        "name": row.name,
        "hint": row.hint,
        "scope": row.scope,
        "rules": rules(&Scope::parse(&row.scope).unwrap_or_default()),
        "expires_at": row.expires_at,
        "per_minute": row.per_minute,
        "per_day": row.per_day,
        "enabled": row.enabled,
        "created_at": row.created_at,
        "state": state,
        "requests_today": row.today,
        "requests_30d": row.month,
        "last_used": row.last_day,
    })
}

fn told_of_setting(token: &Token) -> Value {
    json!({
        "id": token.id(),
        "entry": token.entry,
        "unrestricted": token.unrestricted(),
        "scope": token.scope().to_string(),
        "rules": rules(token.scope()),
        "expires_at": token.expires,
        "state": if token.expired(now()) { "expired" } else { "active" },
    })
}
