use super::*;
use proptest::prelude::*;

fn keys(text: &str) -> (Format, Vec<(usize, String, Option<String>)>) {
    let (format, entries) = read(text);
    (format, entries.into_iter().map(|it| (it.line, it.key, it.provider)).collect())
}

fn of(list: &[(usize, &str, Option<&str>)]) -> Vec<(usize, String, Option<String>)> {
    list.iter()
        .map(|(line, key, provider)| (*line, (*key).to_owned(), provider.map(str::to_owned)))
        .collect()
}

#[test]
fn lines() {
    let text = "# mine\r\nsk-one-0123456789\r\n \"sk-two-0123456789\", sk-three-123;sk-four-1234\n// end\nc2VjcmV0c2VjcmV0==\nKEY0123456=";
    let expected = [
        (2, "sk-one-0123456789", None),
        (3, "sk-two-0123456789", None),
        (3, "sk-three-123", None),
        (3, "sk-four-1234", None),
        (5, "c2VjcmV0c2VjcmV0==", None),
        (6, "KEY0123456=", None),
    ];
    assert_eq!(keys(text), (Format::Lines, of(&expected)));
    let (_, entries) = read("'sk-one-0123456789'\nsk-two-0123456789\n");
    assert_eq!(entries.iter().map(|it| it.trimmed).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn env_files() {
    let text = "# keys\nDEBUG=1\nOPENAI_API_KEY=sk-one-0123456789 # work\nexport GROQ_API_KEYS=\"gsk_one0123,gsk_two0123\"\nGEMINI_API_KEY='AIza-one-0123'\nSOME_KEY=thing-0123456789\nGOOGLE_AI_STUDIO_KEY_2=AIza-two-0123";
    let expected = [
        (3, "sk-one-0123456789", Some("openai")),
        (4, "gsk_one0123", Some("groq")),
        (4, "gsk_two0123", Some("groq")),
        (5, "AIza-one-0123", Some("google-ai-studio")),
        (6, "thing-0123456789", None),
        (7, "AIza-two-0123", Some("google-ai-studio")),
    ];
    assert_eq!(keys(text), (Format::Env, of(&expected)));
}

#[test]
fn tables() {
    let text = "name,API Key,Provider,tags,priority,extra\n\"a \"\"b\"\", c\",sk-one-0123456789,openai,\"x, y\",7,z\n\nd,'sk-two-0123456789',,,high,";
    let (format, entries) = read(text);
    assert_eq!((format, entries.len()), (Format::Csv, 2));
    let first = entries.first().unwrap();
    assert_eq!(first.remark.as_deref(), Some("a \"b\", c"));
    assert_eq!((first.line, first.key.as_str()), (2, "sk-one-0123456789"));
    assert_eq!(first.provider.as_deref(), Some("openai"));
    assert_eq!(first.tags, Some(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(first.priority, Some(7));
    let second = entries.get(1).unwrap();
    assert_eq!((second.line, second.key.as_str(), second.trimmed), (4, "sk-two-0123456789", true));
    assert_eq!((second.provider.as_deref(), second.priority), (None, None));
    assert_eq!(keys("key\nsk-one-0123456789\nsk-two-0123456789").1.len(), 2, "one column");
    assert_eq!(
        read("key;remark\nsk-one-0123456789;mine").1.first().unwrap().remark.as_deref(),
        Some("mine")
    );
}

#[test]
fn json() {
    for (text, expected) in [
        (
            r#"["sk-one-0123456789", "sk-two-0123456789"]"#,
            vec![(1, "sk-one-0123456789", None), (2, "sk-two-0123456789", None)],
        ),
        (
            r#"{"openai": ["sk-one-0123456789"], "gemini": "AIza-one-0123", "custom-mine": ["abcdefgh"], "version": "1.2.3.4.5"}"#,
            vec![
                (1, "abcdefgh", Some("custom-mine")),
                (2, "AIza-one-0123", Some("google-ai-studio")),
                (3, "sk-one-0123456789", Some("openai")),
            ],
        ),
        (
            r#"{"OPENAI_API_KEY": "sk-one-0123456789", "DEBUG": "everything"}"#,
            vec![(1, "sk-one-0123456789", Some("openai"))],
        ),
        (
            r#"{"data": {"items": [{"id": 1, "key_value": "sk-one-0123456789", "status": "active", "notes": "n"}]}}"#,
            vec![(1, "sk-one-0123456789", None)],
        ),
        (
            r#"[{"results": [{"id": "u", "key": "AIza-one-0123", "provider": "google-ai-studio", "status": "active", "remark": "r"}], "success": true}]"#,
            vec![(1, "AIza-one-0123", Some("google-ai-studio"))],
        ),
        (
            r#"{"provider": "groq", "keys": ["gsk_one0123"]}"#,
            vec![(1, "gsk_one0123", Some("groq"))],
        ),
        ("{}", vec![]),
    ] {
        assert_eq!(keys(text), (Format::Json, of(&expected)), "{text}");
    }
    assert_eq!(keys("{not json-0123456789").0, Format::Lines);
}

#[test]
fn service_accounts() {
    let file = r#"{
        "type": "service_account", "project_id": "mine", "private_key_id": "0", "token_uri": "https://oauth2.googleapis.com/token",
        "private_key": "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n", "client_email": "a@mine.iam.gserviceaccount.com"
    }"#;
    for text in [file.to_owned(), format!("[{file}]"), format!(r#"{{"vertex": [{file}]}}"#)] {
        let (format, entries) = read(&text);
        assert_eq!((format, entries.len()), (Format::Json, 1), "{text}");
        let entry = entries.first().unwrap();
        assert_eq!(entry.provider.as_deref(), Some("google-vertex-ai"));
        assert_eq!(entry.remark.as_deref(), Some("a@mine.iam.gserviceaccount.com"));
        assert_eq!(entry.project.as_deref(), Some("mine"));
        let judged = judge(&entries, None, 0, 9);
        assert!(
            matches!(judged.first(), Some(Status::Key { warnings, .. }) if warnings.is_empty()),
            "{judged:?}"
        );
    }
    let (_, entries) = read(&format!("{file}\n{}", file.replace("a@", "b@")));
    assert_eq!(entries.len(), 2, "two files, one behind the other");
    let base64 = entries.first().unwrap().key.clone();
    for text in [base64.clone(), format!("api_key,project\n{base64},")] {
        let (_, entries) = read(&text);
        let entry = entries.first().unwrap();
        assert_eq!(entry.provider.as_deref(), Some("google-vertex-ai"), "{text}");
        assert_eq!(entry.project.as_deref(), Some("mine"), "{text}");
    }
    for text in [file.trim_end_matches(['}', ' ', '\n']), &file.replace("\\n", "\n")] {
        let (format, entries) = read(text);
        assert_eq!((format, entries.len()), (Format::Json, 1));
        assert_eq!(entries.first().map(|it| it.key.as_str()), Some(""), "nothing of it is kept");
        let judged = judge(&entries, Some("openai"), 0, 9);
        let code = matches!(judged.first(), Some(Status::Invalid(it)) if it.code == "broken_service_account");
        assert!(code, "{judged:?}");
    }
}

#[test]
fn exports() {
    let text = r#"{"one_balance_export": 1, "keys": [
        {"id": 4, "provider": "openai", "key": "sk-one-0123456789", "remark": "r", "tags": ["a", "b,c", "a"], "project": "p", "priority": -3, "state": "disabled"},
        {"id": 5, "provider": "openai", "sealed": "v1.abc", "remark": ""}]}"#;
    let (format, entries) = read(text);
    assert_eq!((format, entries.len()), (Format::Export, 2));
    let first = entries.first().unwrap();
    assert_eq!(
        (first.priority, first.disabled, first.project.as_deref()),
        (Some(-3), true, Some("p"))
    );
    assert_eq!(first.tags, Some(vec!["a".to_owned()]), "what can be no tag is left out");
    assert!(entries.get(1).unwrap().sealed);
    let judged = judge(&entries, None, 0, 9);
    assert!(matches!(judged.get(1), Some(Status::Invalid(problem)) if problem.code == "sealed"));
}

#[test]
fn sql() {
    let text = "PRAGMA foreign_keys=OFF;\nINSERT INTO d1_migrations VALUES(1,'x','y');\nINSERT INTO \"keys\" VALUES('u1','AIza-one-0123','google-ai-studio',NULL,0,'active','it''s; mine, (yes)',1,2);\nINSERT INTO keys (\"id\",\"key\",\"provider\") VALUES ('u2','sk-two-0123456789','openai'), ('u3','sk-three-0123','openai');";
    let (format, entries) = read(text);
    let found: Vec<_> = entries.iter().map(|it| (it.key.as_str(), it.remark.as_deref())).collect();
    assert_eq!(format, Format::Sql);
    assert_eq!(
        found,
        [
            ("AIza-one-0123", Some("it's; mine, (yes)")),
            ("sk-two-0123456789", None),
            ("sk-three-0123", None)
        ]
    );
}

#[test]
fn judges() {
    let (_, entries) = read(
        "sk-one-0123456789\nsk-ant-two-01234567\nsk-one-0123456789\nshort\nwith blank inside\nschlüssel-0123\nAIza-0123456789\nnone-0123456789",
    );
    let told: Vec<String> = judge(&entries, Some("openai"), 0, 99)
        .iter()
        .map(|status| match status {
            Status::Key { provider, warnings, .. } => {
                format!(
                    "{provider} {}",
                    warnings.iter().map(|it| it.code).collect::<Vec<_>>().join(" ")
                )
            }
            Status::Repeated { first_line } => format!("as {first_line}"),
            Status::Invalid(problem) => problem.code.to_owned(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "openai ",
            "openai other_provider",
            "as 1",
            "too_short",
            "blank_inside",
            "odd_character",
            "openai other_provider",
            "openai unusual_prefix"
        ]
    );
    let code = |text: &str, fallback| match judge(&read(text).1, fallback, 0, 9).remove(0) {
        Status::Invalid(problem) => problem.code,
        _ => "",
    };
    assert_eq!(code("sk-one-0123456789", None), "no_provider");
    assert_eq!(
        code(r#"[{"key": "sk-one-0123456789", "provider": "nobody"}]"#, Some("openai")),
        "unknown_provider"
    );
    assert_eq!(code("anything-0123", Some("custom-mine")), "");
}

#[test]
fn takes_a_service_account_in_base64() {
    let what = |text: &str| match judge(&read(text).1, Some("custom-mine"), 0, 1).remove(0) {
        Status::Invalid(problem) => problem.code,
        _ => "",
    };
    assert_eq!(what(&"eyJ".repeat(1_000)), "");
    assert_eq!(what(&"x".repeat(5_000)), "too_long");
}

#[test]
fn pieces_are_those_of_the_whole() {
    let text: String = (0..50).map(|n| format!("sk-proj-{:08}\n", n % 40)).collect();
    let (_, entries) = read(&text);
    let whole: Vec<String> =
        judge(&entries, Some("openai"), 0, 50).iter().map(|it| format!("{it:?}")).collect();
    let pieces: Vec<String> = (0..5)
        .flat_map(|at| judge(&entries, Some("openai"), at * 10, at * 10 + 10))
        .map(|it| format!("{it:?}"))
        .collect();
    assert_eq!(whole, pieces);
    assert_eq!(whole.len(), 50);
}

proptest! {
    #[test]
    fn never_panics(text: String) {
        let (_, entries) = read(&text);
        let judged = judge(&entries, Some("openai"), 0, entries.len());
        prop_assert_eq!(judged.len(), entries.len());
        for (entry, status) in entries.iter().zip(judged) {
            if matches!(status, Status::Key { .. }) {
                prop_assert!(entry.key.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn never_panics_at_what_looks_like_a_format(
        start in "(\\{|\\[|key,remark\n|INSERT INTO keys|A_KEY=|\u{feff})",
        text in "[\\PC\n,;='\"(){}\\[\\]:]{0,60}",
    ) {
        let (_, entries) = read(&format!("{start}{text}"));
        let _ = judge(&entries, None, 3, 5);
    }
}
