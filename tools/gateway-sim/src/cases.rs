//! Answers captured from real providers, the same records that the Worker's classifier is tested with.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::answer::Answer;

const SOURCE: &str = include_str!("../../../src/balance/classify/cases.json");

#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    body: String,
}

fn cases() -> &'static HashMap<String, Case> {
    static CASES: OnceLock<HashMap<String, Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let cases: Vec<Case> = serde_json::from_str(SOURCE).unwrap_or_default();
        cases.into_iter().map(|case| (case.id.clone(), case)).collect()
    })
}

pub fn answer(id: &str) -> Option<Answer> {
    let case = cases().get(id)?;
    let mut answer = Answer::text(case.status, case.body.clone());
    for (name, value) in &case.headers {
        answer.set_header(name, value);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_captured_case_can_be_served() {
        let records: Vec<serde_json::Value> = serde_json::from_str(super::SOURCE).unwrap();
        assert!(!records.is_empty());
        for record in records {
            let id = record["id"].as_str().unwrap();
            let answer = super::answer(id).unwrap_or_else(|| panic!("{id}"));
            assert_eq!(
                u64::from(answer.status.as_u16()),
                record["status"].as_u64().unwrap(),
                "{id}"
            );
        }
    }
}
