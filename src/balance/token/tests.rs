use super::*;
use proptest::prelude::*;

const NOW: Millis = 1_700_000_000 * SECOND;

/// A text as long as a token should be.
fn long(start: &str) -> String {
    format!("{start}0123456789abcdef")
}

#[test]
fn the_grammar() {
    // (AUTH_KEY, presented, provider, model, allowed)
    for (auth_key, presented, provider, model, allowed) in [
        ("a", "a", "openai", Some("m"), true),
        (" a \n; b ;;", "b", "openai", None, true),
        ("a=openai", "a", "openai", Some("any"), true),
        ("a=openai", "a", "openai", None, true),
        ("a=openai", "a", "groq", Some("any"), false),
        ("a=openai,m1,m2", "a", "openai", Some("m2"), true),
        ("a=openai,m1,m2", "a", "openai", Some("m3"), false),
        ("a=openai,m1", "a", "openai", None, false),
        // Each provider's models are its own.
        ("a=openai,m1&groq", "a", "groq", Some("m2"), true),
        ("a=openai,m1&groq", "a", "openai", Some("m2"), false),
        ("a=openai,m1&groq,m2", "a", "openai", Some("m2"), false),
        ("a=openai,m1&openai,m2", "a", "openai", Some("m2"), true),
        (" a = openai , m1 & groq ", "a", "groq", Some("x"), true),
        // Wildcards.
        ("a=google-ai-studio,gemini-2.5-*", "a", "google-ai-studio", Some("gemini-2.5-pro"), true),
        ("a=google-ai-studio,gemini-2.5-*", "a", "google-ai-studio", Some("gemini-3"), false),
        ("a=google-ai-studio,models/g", "a", "google-ai-studio", Some("g"), true),
        ("a=google-ai-studio,g", "a", "google-ai-studio", Some("models/g"), true),
        ("a=google-ai-studio,g", "a", "google-ai-studio", Some("G"), false),
        ("a=*,m1", "a", "groq", Some("m1"), true),
        ("a=*,m1", "a", "groq", Some("m2"), false),
        ("a=*", "a", "groq", None, true),
        ("a=openai,*", "a", "openai", None, true),
        ("a=custom-mine,m", "a", "custom-mine", Some("m"), true),
        ("a=custom-mine,m", "a", "custom-yours", Some("m"), false),
        // Nicknames.
        ("a=gemini", "a", "google-ai-studio", Some("x"), true),
        // Models with `=`, `:`, `/`.
        ("a=openrouter,x/y:free,z=1", "a", "openrouter", Some("z=1"), true),
        // Tokens with everything.
        ("c2VjcmV0==", "c2VjcmV0==", "openai", None, true),
        ("c2VjcmV0===openai", "c2VjcmV0==", "openai", None, true),
        ("c2VjcmV0===openai", "c2VjcmV0==", "groq", None, false),
        ("a=b", "a=b", "openai", None, true),
        ("a(b),c&d", "a(b),c&d", "openai", None, true),
        ("a=openai=groq", "a=openai", "groq", None, true),
        ("a=openai=groq", "a=openai", "openai", None, false),
        // Expiry.
        ("a(1700000001)", "a", "openai", None, true),
        ("a(1700000001)=openai", "a", "openai", None, true),
        ("a=openai(1700000001)", "a", "openai", None, true),
        ("a (1700000001) = openai,m ", "a", "openai", Some("m"), true),
        ("a(99999999999999999999999)", "a", "openai", None, true),
    ] {
        let tokens = parse(auth_key);
        let token = tokens.check(presented, NOW).unwrap_or_else(|error| {
            panic!("{auth_key}: {error:?}");
        });
        assert_eq!(token.allows(provider, model), allowed, "{auth_key} {provider} {model:?}");
    }
}

#[test]
fn who_is_not_let_in() {
    for (auth_key, presented, error) in [
        ("", "a", TokenError::Unknown),
        (";;", "", TokenError::Missing),
        ("a", "", TokenError::Missing),
        ("a", "b", TokenError::Unknown),
        ("a", "A", TokenError::Unknown),
        ("a=openai", "a=openai", TokenError::Unknown),
        // The original cut `==` off and let the shorter one in.
        ("c2VjcmV0==", "c2VjcmV0", TokenError::Unknown),
        // A misspelt scope must not become a token without one.
        ("a=opnai", "a", TokenError::Unknown),
        ("a=openai&opnai", "a", TokenError::Unknown),
        ("a=openai,", "a", TokenError::Unknown),
        ("=openai", "", TokenError::Missing),
        ("=openai", "openai", TokenError::Unknown),
        ("(1700000001)", "(1700000001)", TokenError::Unknown),
        ("a(1700000000)", "a", TokenError::Expired),
        ("a(1700000000)", "a(1700000000)", TokenError::Unknown),
        ("a=openai(1)", "a", TokenError::Expired),
        ("a(1)=openai(1700000001)", "a", TokenError::Expired),
        ("a(1700000000000)", "a", TokenError::Expired),
        ("a(0)", "a", TokenError::Expired),
    ] {
        assert_eq!(parse(auth_key).check(presented, NOW).err(), Some(error), "{auth_key}");
    }
}

#[test]
fn the_first_valid_of_the_same_token_counts() {
    let tokens = parse("a(1)=openai;a=groq;a=mistral");
    let token = tokens.check("a", NOW).unwrap();
    assert!(token.allows_provider("groq") && !token.allows_provider("openai"));
    assert!(!token.allows_provider("mistral"));
}

#[test]
fn requests_without_a_model() {
    let tokens = parse("a=openai,m&groq;free");
    let token = tokens.check("a", NOW).unwrap();
    for (provider, model, method, path, allowed) in [
        ("openai", None, "GET", "models", true),
        ("openai", None, "HEAD", "models", true),
        ("openai", None, "GET", "v1/models", true),
        ("openai", None, "POST", "models", false),
        ("openai", None, "GET", "files", false),
        ("openai", None, "GET", "modelsx", false),
        ("openai", None, "POST", "batches", false),
        ("openai", Some("x"), "GET", "models/x", false),
        ("openai", Some("m"), "GET", "models/m", true),
        ("groq", None, "POST", "files", true),
        ("mistral", None, "GET", "v1/models", false),
    ] {
        let found = token.allows_request(provider, model, method, path);
        assert_eq!(found, allowed, "{provider} {method} {path}");
    }
    assert!(!token.unrestricted());
    assert!(tokens.check("free", NOW).unwrap().allows_request("openai", None, "POST", "batches"));
}

#[test]
fn unrestricted() {
    for (auth_key, expected) in
        [("a", true), ("a=*", true), ("a=*,*", true), ("a=*,m", false), ("a=openai", false)]
    {
        assert_eq!(parse(auth_key).check("a", NOW).unwrap().unrestricted(), expected, "{auth_key}");
    }
}

#[test]
fn problems_name_the_entry_and_nothing_of_it() {
    let secret = long("hunter");
    let good = long("good");
    let auth_key = format!(
        "{good};short;{secret}=opnai;=openai;{secret}(1700000000000);\
                            {good};{secret}=compat"
    );
    let tokens = parse(&auth_key);
    let problems = tokens.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for (entry, words) in [
        (2, "guessed"),
        (3, "no known provider"),
        (4, "no token"),
        (5, "milliseconds"),
        (6, "earlier entry"),
        (7, "`compat`"),
    ] {
        let found = tokens.problems().iter().any(|problem| {
            problem.message.starts_with(&format!("Entry {entry} of"))
                && problem.message.contains(words)
                && problem.values.get("entry").is_some_and(|value| *value == entry)
        });
        assert!(found, "{entry} {words}: {problems}");
    }
    for leaked in [secret.as_str(), good.as_str(), "short;", "opnai"] {
        assert!(!problems.contains(leaked), "{problems}");
    }
    assert!(parse("0123456789c2VjcmV0==").problems().is_empty());
    assert!(parse(&format!("{good};{secret}=openai,m&groq")).problems().is_empty());
    assert_eq!((tokens.len(), tokens.is_empty()), (6, false));
}

#[test]
fn nothing_prints_a_token() {
    let tokens = parse("hunter2hunter2hunter2=openai");
    let printed = format!("{tokens:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    let token = tokens.iter().next().unwrap();
    assert_eq!(token.id().len(), 8);
    assert!(printed.contains(&token.id()));
    // The digest itself would allow trying out guesses at full length.
    assert!(!printed.contains("digest"), "{printed}");
    assert_eq!(parse("abc").iter().next().unwrap().id(), "ba7816bf");
}

#[test]
fn several_places() {
    let tokens = parse("right;old(1)");
    let check =
        |presented: &[&str]| tokens.check_any(presented.iter().copied(), NOW).map(Token::id);
    assert!(check(&["", "dummy", "right"]).is_ok());
    assert!(check(&["old", "right"]).is_ok());
    assert_eq!(check(&[]).err(), Some(TokenError::Missing));
    assert_eq!(check(&["", " "]).err(), Some(TokenError::Missing));
    assert_eq!(check(&["", "dummy"]).err(), Some(TokenError::Unknown));
    assert_eq!(check(&["old", "dummy"]).err(), Some(TokenError::Expired));
}

#[test]
fn tokens_in_headers() {
    for (value, expected) in [
        ("Bearer abc", "abc"),
        ("bearer   abc ", "abc"),
        ("BEARER abc", "abc"),
        ("Token abc", "abc"),
        ("Key abc", "abc"),
        ("Bearer\tabc", "abc"),
        ("abc", "abc"),
        ("Bearer", ""),
        ("Basic abc", "Basic abc"),
        ("", ""),
        ("Bearer a b", "a b"),
    ] {
        assert_eq!(from_header("authorization", value), expected, "{value}");
    }
    let key_header = provider::KeyHeader { name: "x-key", scheme: "Acme-Key " };
    let custom = provider::custom_with(key_header);
    for (name, value, expected) in [
        ("x-key", "Acme-Key abc", "abc"),
        ("x-key", " acme-key  abc", "abc"),
        ("x-key", "abc", "abc"),
        ("x-key", "Bearer abc", "abc"),
        ("x-key", "Acme-Key", "Acme-Key"),
        ("x-key", "é", "é"),
        ("authorization", "Acme-Key abc", "Acme-Key abc"),
    ] {
        assert_eq!(in_header(&custom, name, value), expected, "{name}: {value}");
    }
    let headers = |slug| headers_of(provider::find(slug).unwrap()).collect::<Vec<_>>();
    assert_eq!(headers("openai"), TOKEN_HEADERS);
    assert_eq!(headers("elevenlabs")[..2], ["xi-api-key", "authorization"]);
    for provider in provider::all() {
        assert_eq!(headers(provider.slug).len(), TOKEN_HEADERS.len(), "{}", provider.slug);
    }
}

#[test]
fn tokens_in_subprotocols() {
    let none: &[&str] = &[];
    for (list, token, others) in [
        (
            "realtime, openai-insecure-api-key.abc, openai-beta.realtime-v1",
            Some("abc"),
            ["realtime", "openai-beta.realtime-v1"].as_slice(),
        ),
        ("token, abc", Some("abc"), none),
        ("xi-api-key.abc,cf-aig-authorization.x", Some("abc"), none),
        ("fal-api-key.", None, none),
        ("token", None, none),
        ("realtime", None, &["realtime"]),
        ("", None, none),
    ] {
        assert_eq!(from_subprotocols(list), (token, others.to_vec()), "{list}");
    }
}

fn slug() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..provider::all().len()).prop_map(|row| provider::all()[row].slug.to_owned()),
        "custom-[a-z]{1,5}",
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_meant(
        // No `;`, and `=` only as padding: elsewhere it is reported as a scope gone wrong.
        text in "[!-:<>-~]{15,30}[a-z]==?",
        rules in proptest::collection::btree_map(
            slug(), proptest::collection::vec("[a-z0-9][a-z0-9./:-]{0,8}", 0..3), 0..3),
        expiry in proptest::option::of(1_600_000_000u64..1_800_000_000),
        other in slug(),
        model in "[a-z0-9]{1,3}",
    ) {
        let mut entry = text.clone();
        if let Some(expiry) = expiry {
            entry.push_str(&format!("({expiry})"));
        }
        if !rules.is_empty() {
            let parts: Vec<String> = rules
                .iter()
                .map(|(slug, models)| {
                    std::iter::once(slug).chain(models).cloned().collect::<Vec<_>>().join(",")
                })
                .collect();
            entry.push_str(&format!("={}", parts.join("&")));
        }
        let tokens = parse(&format!("first-token-of-many;{entry}; "));
        prop_assert_eq!(tokens.len(), 2);
        prop_assert!(tokens.problems().is_empty(), "{:?}", tokens.problems());
        let expired = expiry.is_some_and(|expiry| expiry * SECOND <= NOW);
        match tokens.check(&text, NOW) {
            Err(error) => prop_assert!(expired && error == TokenError::Expired, "{:?}", error),
            Ok(token) => {
                prop_assert!(!expired);
                prop_assert_eq!(token.unrestricted(), rules.is_empty());
                for (slug, models) in &rules {
                    prop_assert!(token.allows_provider(slug));
                    prop_assert_eq!(token.allows(slug, None), models.is_empty());
                    for model in models {
                        prop_assert!(token.allows(slug, Some(model)));
                    }
                }
                let meant = rules.is_empty()
                    || rules.get(&other).is_some_and(|m| m.is_empty() || m.contains(&model));
                prop_assert_eq!(token.allows(&other, Some(&model)), meant);
            }
        }
    }

    /// Whatever is in AUTH_KEY: nobody gets in with less than a whole token of it.
    #[test]
    fn no_piece_of_an_entry_is_a_token(auth_key in "[a-c=;(),&0-9 ]{0,24}", cut in 1usize..12) {
        let tokens = parse(&auth_key);
        // No scope can be valid in this alphabet, so each entry is its token, but for an expiry.
        for entry in auth_key.split(';').map(str::trim) {
            let piece: String = entry.chars().take(cut).collect();
            if tokens.check(&piece, 0).is_ok() {
                let whole = auth_key.split(';').map(str::trim).any(|entry| {
                    entry == piece.trim()
                        || split_expiry(entry).0 == piece.trim()
                        || split_expiry(split_expiry(entry).0).0 == piece.trim()
                });
                prop_assert!(whole, "{:?} with {:?}", auth_key, piece);
            }
        }
    }

    #[test]
    fn never_panics(auth_key in ".{0,60}", presented in ".{0,20}", now in any::<u64>()) {
        let tokens = parse(&auth_key);
        let _ = tokens.check(&presented, now);
        let _ = from_header("x", &presented);
        let _ = from_subprotocols(&presented);
    }
}
