//! The JSON of policies as S3 takes it, made what everybody takes for JSON.
//!
//! S3's own documentation writes `\$` and `\v` in texts, and a comma behind the last entry of a list.

use serde_json::Value;

/// The same text without what only S3 knows.
pub(super) fn to_plain_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    let mut in_text = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_text => match characters.next() {
                Some('$') => out.push('$'),
                Some('v') => out.push_str("\\u000b"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '"' => {
                in_text = !in_text;
                out.push('"');
            }
            ',' if !in_text && ends_list(characters.as_str()) => {}
            other => out.push(other),
        }
    }
    out
}

/// Whether the text names something twice in one object, of which the value that was read from it holds the last: each colon outside of
/// texts stands behind a name.
pub(super) fn names_twice(json: &str, value: &Value) -> bool {
    let mut named = 0;
    let mut in_text = false;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_text => {
                bytes.next();
            }
            b'"' => in_text = !in_text,
            b':' if !in_text => named += 1,
            _ => {}
        }
    }
    named != entries(value)
}

fn entries(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.len() + map.values().map(entries).sum::<usize>(),
        Value::Array(values) => values.iter().map(entries).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn ends_list(rest: &str) -> bool {
    // JSON's space alone: another character is an error that must stay one.
    rest.trim_start_matches([' ', '\t', '\r', '\n']).starts_with([']', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_s3_documents_is_read() {
        for (text, plain) in [
            (r#"["eq", "\$key", "\v\\$\"",]"#, serde_json::json!(["eq", "$key", "\u{b}\\$\""])),
            (r#"{"a": ["b", ] , }"#, serde_json::json!({"a": ["b"]})),
            (r#"[",]", "\\",]"#, serde_json::json!([",]", "\\"])),
        ] {
            assert_eq!(serde_json::from_str::<Value>(&to_plain_json(text)).expect("is JSON"), plain, "{text}");
        }
        for bad in ["[,]x", r#"["a",,]"#, r#"["a"#, r#"["a\"#] {
            assert!(serde_json::from_str::<Value>(&to_plain_json(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_stands_once_in_an_object() {
        let is_twice = |text: &str| names_twice(text, &serde_json::from_str(text).expect("is JSON"));
        for once in
            [r#"{"a": ":\":", "b": [{"a": 1}, {"a": ":"}]}"#, "[]", r#"{"a": {"a": null}}"#, r#"":""#, r#"{"\\": 1, ":": 2}"#]
        {
            assert!(!is_twice(once), "{once}");
        }
        for twice in [r#"{"a": 1, "a": 1}"#, r#"[{"b": {"a": [], "\u0061": 1}}]"#, r#"{"a": {"x": 1}, "a": 2}"#] {
            assert!(is_twice(twice), "{twice}");
        }
    }

    proptest! {
        #[test]
        fn what_is_json_already_stays_what_it_is(text in "\\PC{0,20}", other in "[\\\\\"$v,\\]\\} ]{0,10}") {
            let json = serde_json::json!([text, {&other: [other, 1]}]).to_string();
            prop_assert_eq!(to_plain_json(&json), json);
        }
    }
}
