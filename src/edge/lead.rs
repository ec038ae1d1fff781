//! Leads a request to the provider that its model tells, where the address does not.

use super::catalogue::{self, Asker, FEW_LISTS};
use super::inbound::Asked;
use super::objects;
use crate::balance::error::Refusal;
use crate::balance::model;
use crate::balance::provider::{self, COMPAT};
use crate::balance::resolve::{Offer, Resolution, Shape, keeper, resolve};
use crate::balance::route::{ApiRoute, Door};
use crate::balance::token::Token;

/// Where a request goes.
pub struct Led {
    /// Whose keys are used.
    pub slug: String,
    /// The model under the provider's own name.
    pub model: Option<String>,
    /// What must stand in place of the model that the client wrote, if that is something else.
    pub written: Option<String>,
}

impl Led {
    /// Where the address names the provider.
    #[must_use]
    pub fn as_addressed(api: &ApiRoute, model: Option<&str>) -> Self {
        Self { slug: api.provider.clone(), model: model.map(str::to_owned), written: None }
    }
}

/// OpenAI's paths and Anthropic's where nothing works without a model.
const NEED_MODEL: &[&str] =
    &["chat/completions", "completions", "embeddings", "messages", "messages/count_tokens"];

/// Finds the provider, and makes `api` the request that it is sent.
///
/// # Errors
/// When nobody here has the model.
pub async fn lead(
    api: &mut ApiRoute,
    request: &Asked,
    token: &Token,
    asker: &Asker<'_>,
) -> Result<Led, Refusal> {
    let settings = asker.settings;
    let asked = request.model.as_deref();
    let shape = match api.door {
        Door::Provider | Door::Gemini => return Ok(Led::as_addressed(api, asked)),
        Door::Compat | Door::OpenAi => Shape::OpenAi,
        Door::Anthropic => Shape::Anthropic,
    };
    let by_gateway = api.path == "chat/completions" && !settings.is_direct();
    if api.door == Door::Compat {
        let named =
            asked.and_then(model::split_compat).filter(|(slug, _)| *slug != provider::DYNAMIC);
        let Some((slug, model)) = named else {
            return Err(Refusal::unknown_model_prefix(asked));
        };
        if by_gateway && !settings.compat_native {
            let model = Some(model.to_owned());
            return Ok(Led { slug: slug.to_owned(), model, written: None });
        }
    }
    let Some(asked) = asked else {
        if NEED_MODEL.contains(&api.path.as_str()) {
            return Err(Refusal::no_model());
        }
        let slug = keeper_of(api, shape, request, token, asker).await?;
        let written = enter(api, shape, &slug, None, by_gateway)?;
        return Ok(Led { slug, model: None, written });
    };
    let (slug, model) = find(asked, shape, token, asker).await?;
    let own = (model != asked).then_some(model.as_str());
    let written = enter(api, shape, &slug, own, by_gateway)?;
    Ok(Led { slug, model: Some(model), written })
}

/// Where a request goes that names no model: to whoever holds the object that it names.
async fn keeper_of(
    api: &ApiRoute,
    shape: Shape,
    request: &Asked,
    token: &Token,
    asker: &Asker<'_>,
) -> Result<String, Refusal> {
    let usual = match shape {
        Shape::Anthropic => "anthropic",
        Shape::OpenAi => {
            let slugs = catalogue::providers(asker.store).await?;
            keeper(&api.path, &|slug| {
                slugs.iter().any(|one| one == slug) && token.allows_provider(slug)
            })
        }
    };
    let (names, _) = request.objects(api);
    Ok(objects::provider_of(asker.store, &names, usual).await)
}

/// Makes the request one to the provider. `model` is its own name for what the client calls
/// otherwise. Returns what must be written in the place of the client's name.
fn enter(
    api: &mut ApiRoute,
    shape: Shape,
    slug: &str,
    model: Option<&str>,
    by_gateway: bool,
) -> Result<Option<String>, Refusal> {
    let row = provider::find(slug).ok_or_else(|| Refusal::unknown_provider(slug))?;
    if let Some(in_front) = shape.path_of(row) {
        api.lead_to(slug, row, in_front, model);
        return Ok(model.map(str::to_owned));
    }
    // It has no paths of this shape, but the gateway may translate.
    if let Some(compat) = provider::find(COMPAT).filter(|_| by_gateway && shape == Shape::OpenAi) {
        api.lead_to(COMPAT, compat, "", None);
        return Ok(None);
    }
    Err(Refusal::no_such_shape(slug))
}

/// Whose model it is, and under which name.
async fn find(
    asked: &str,
    shape: Shape,
    token: &Token,
    asker: &Asker<'_>,
) -> Result<(String, String), Refusal> {
    let mut slugs = catalogue::providers(asker.store).await?;
    let mut lists_asked = false;
    loop {
        let usable =
            |slug: &str| slugs.iter().any(|one| one == slug) && token.allows_provider(slug);
        let offer = Offer { shape, usable: &usable, listed: &catalogue::listed };
        match resolve(asked, &offer, lists_asked) {
            Resolution::Found { slug, model } => return Ok((slug, model)),
            Resolution::AskLists(lists) => {
                catalogue::ask(asker, &lists, FEW_LISTS).await;
                lists_asked = true;
            }
            Resolution::Nobody { owner } => {
                if let Some(newer) = catalogue::doubt(asker.store).await {
                    (slugs, lists_asked) = (newer, false);
                    continue;
                }
                let here: Vec<&str> = offer.candidates().collect();
                let models: Vec<String> = here.iter().flat_map(|slug| names(slug, token)).collect();
                return Err(Refusal::unknown_model(asked, owner, &here, &models));
            }
        }
    }
}

/// The models of a provider that the token may use, as requests to us name them.
fn names(slug: &str, token: &Token) -> Vec<String> {
    let models = catalogue::models_of(slug).unwrap_or_else(|| [].into());
    let allowed = models.iter().filter(|model| token.allows(slug, Some(&model.id)));
    allowed.map(|model| [slug, "/", &model.id].concat()).collect()
}
