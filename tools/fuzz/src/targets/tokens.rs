//! `AUTH_KEY`: who is let in, and that nothing of it is told.

use one_balance::balance::token;

use super::ensure;
use crate::mutate::Source;
use crate::{Input, Target};

pub const PARSE: Target = Target { name: "token", weight: 8, make, check };

const KNOWN: [&str; 9] = [
    "tok-9f31c6a2e8d5",
    "c2VjcmV0LXNlY3JldA==",
    "tok-9f31c6a2e8d5=openai,gpt-5-mini&google-ai-studio",
    "tok-9f31c6a2e8d5(1893456000)=*,gpt-*",
    "tok-9f31c6a2e8d5=anthropic(1893456000)",
    "tok-9f31c6a2e8d5=openai,,",
    "tok-9f31c6a2e8d5=gemini&custom-mine, a , b",
    "(1)=openai",
    "short",
];

fn make(source: &mut Source<'_>) -> Input {
    let entries: Vec<String> = (0..source.rng.below(5))
        .map(|_| {
            let known = source.rng.pick(&KNOWN);
            if source.rng.once_in(2) { known.to_owned() } else { source.mutated_text(known) }
        })
        .collect();
    let setting = entries.join(source.rng.pick(&[";", " ; ", ";;"]));
    let known = source.rng.pick(&KNOWN);
    let presented = match source.rng.below(3) {
        0 => source.mutated_text(known),
        1 => source.mutated_text(&setting),
        _ => known.split(['=', '(']).next().unwrap_or_default().to_owned(),
    };
    Input::default()
        .with("setting", setting)
        .with("presented", presented)
        .with("now", source.rng.between(0, 4_000_000_000_000).to_string())
}

fn check(input: &Input) -> Result<(), String> {
    let (setting, presented) = (input.text("setting"), input.text("presented"));
    let now = input.number("now");
    let tokens = token::parse(&setting);
    let entries = setting.split(';').filter(|entry| !entry.trim().is_empty()).count();
    ensure(tokens.len() <= entries, "an entry is one token at the most", || {
        format!("{} of {entries}", tokens.len())
    })?;
    for problem in tokens.problems() {
        let told = ["9f31c6a2", "c2VjcmV0"].iter().any(|part| problem.message.contains(part));
        ensure(!told, "no problem tells a token", || problem.to_string())?;
    }
    if let Ok(found) = tokens.check(&presented, now) {
        ensure(!found.expired(now), "nobody is let in late", || format!("{found:?}"))?;
        let written = setting.split(';').any(|entry| entry.trim().starts_with(presented.trim()));
        ensure(written, "only tokens are let in", || format!("{found:?}"))?;
        ensure(!presented.trim().is_empty(), "nothing is no token", || format!("{found:?}"))?;
        let _ = found.allows_request("openai", Some("gpt-5-mini"), "POST", "chat/completions");
    }
    ensure(
        tokens.check("", now).is_err() && tokens.check(" ", now).is_err(),
        "no token, no way",
        || format!("{tokens:?}"),
    )?;
    let _ = token::from_subprotocols(&presented);
    let bare = token::from_header("authorization", &presented);
    ensure(presented.contains(bare), "a header holds its token", || bare.to_owned())
}
