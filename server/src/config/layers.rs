//! File under environment: how the layers become one [`Config`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, Reading, Wanted};

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("reading {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{whence}: {problem}")]
    Invalid { whence: String, problem: String },
    #[error("the setting `{0}` is missing: {1}")]
    Missing(&'static str, &'static str),
}

/// Settings that an environment variable may give: `gateway.s3_addr` by `TRIOXIDE_GATEWAY_S3_ADDR`. Users and buckets come
/// from the file alone.
const FROM_ENVIRONMENT: &[&str] = &[
    "data",
    "node",
    "join_token",
    "join_token_file",
    "root.access_key",
    "root.secret_key",
    "gateway.s3_addr",
    "gateway.tls.cert_file",
    "gateway.tls.key_file",
    "gateway.website_addr",
    "gateway.region",
    "gateway.sigv2",
    "gateway.max_connections",
    "gateway.idle_timeout",
    "gateway.access_log_roll",
    "gateway.access_log_names",
    "admin.addr",
    "admin.tls.cert_file",
    "admin.tls.key_file",
    "om.session_lifetime",
    "om.delete_grace",
    "om.block_size",
    "om.lifecycle_every",
    "om.move_small_objects",
    "om.lifecycle_day",
    "om.accounts_as_users",
    "om.token_renew_interval",
    "om.token_max_lifetime",
    "scm.container_size",
    "scm.heartbeat",
    "scm.stale_after",
    "scm.dead_after",
    "datanode.rpc_addr",
    "datanode.data_addr",
    "datanode.rack",
    "datanode.reserve",
    "raft.log_entries",
    "raft.keep_entries",
    "kms.default_key",
    "log.format",
    "log.level",
    "log.audit",
];

/// Variables of ours that are no settings.
const OTHER_VARIABLES: &[&str] = &["TRIOXIDE_CONFIG", "TRIOXIDE_ENDPOINT", "TRIOXIDE_CA_FILE"];

pub(super) fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Config, LoadError> {
    let mut secrets = BTreeSet::new();
    let mut table = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
            let parsed: Table = text.parse().map_err(|error| invalid(path.display().to_string(), &error))?;
            // The file by itself first, so that its mistakes are reported as its own.
            let alone = Config::deserialize(parsed.clone()).map_err(|error| invalid(path.display().to_string(), &error))?;
            secrets = alone.secret_variables();
            parsed
        }
        None => Table::new(),
    };
    let mut from_environment = BTreeSet::new();
    for (variable, text) in environment.filter(|(name, _)| name.starts_with("TRIOXIDE_")) {
        if OTHER_VARIABLES.contains(&variable.as_str()) || secrets.contains(&variable) {
            continue;
        }
        let key = FROM_ENVIRONMENT.iter().find(|key| variable_of(key) == variable).ok_or_else(|| unknown(&variable))?;
        set(&mut table, key, scalar(text));
        from_environment.insert(*key);
        Config::deserialize(table.clone()).map_err(|error| invalid(variable, &error))?;
    }
    let whence = file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
    let mut config = Config::deserialize(table).map_err(|error| invalid(whence.clone(), &error))?;
    config.from_environment = from_environment;
    // Before anything is opened: a start that fails half-way leaves things behind.
    Wanted::of(&config, Reading::Later)
        .map_err(|error| LoadError::Invalid { whence: whence.clone(), problem: error.to_string() })?;
    crate::cluster::compose::gateway_config(&config)
        .map_err(|error| LoadError::Invalid { whence: whence.clone(), problem: format!("gateway.{error}") })?;
    for (section, name) in [(&config.gateway.tls, "gateway"), (&config.admin.tls, "admin")] {
        crate::tls::check(section, name)
            .map_err(|error| LoadError::Invalid { whence: whence.clone(), problem: error.to_string() })?;
    }
    Ok(config)
}

pub(super) fn variable_of(key: &str) -> String {
    format!("TRIOXIDE_{}", key.replace('.', "_").to_uppercase())
}

/// A number where the text is one, so that counts need no quotes, and true and false likewise; keys and secrets of digits alone
/// are given in the file.
fn scalar(text: String) -> Value {
    match text.as_str() {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => text.parse::<i64>().map_or(Value::String(text), Value::Integer),
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                set(section, rest, value);
            }
        }
    }
}

fn unknown(variable: &str) -> LoadError {
    let names: Vec<String> = FROM_ENVIRONMENT.iter().map(|key| variable_of(key)).collect();
    let problem = match nearest(variable, names.iter().map(String::as_str)) {
        Some(name) => format!("no such setting; did you mean {name}?"),
        None => "no such setting".to_owned(),
    };
    LoadError::Invalid { whence: variable.to_owned(), problem }
}

fn invalid(whence: String, error: &toml::de::Error) -> LoadError {
    let mut problem = error.to_string().trim_end().to_owned();
    let message = error.message();
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let (true, [wrong, right @ ..]) = (message.starts_with("unknown field"), names.as_slice())
        && let Some(name) = nearest(wrong, right.iter().copied())
    {
        problem.push_str(&format!("\ndid you mean `{name}`?"));
    }
    LoadError::Invalid { whence, problem }
}

/// The name that takes the fewest edits, unless that is most of the word.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = names.map(|name| (edits(wrong, name), name)).min()?;
    (distance <= wrong.len().max(3) / 3 + 1).then_some(name)
}

/// Levenshtein's distance, a row at a time.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, LoadError> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        load(Some(file.path()), environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let config = load_text(
            "[gateway]\ns3_addr = \"127.0.0.1:1\"\nregion = \"a\"",
            &[("TRIOXIDE_GATEWAY_REGION", "b"), ("TRIOXIDE_GATEWAY_MAX_CONNECTIONS", "7"), ("HOME", "/")],
        )
        .expect("good");
        assert_eq!(config.gateway.s3_addr.port(), 1);
        assert_eq!(config.gateway.region, "b");
        assert_eq!(config.gateway.max_connections, 7);
        assert!(!config.gateway.sigv2);
        assert!(load_text("", &[("TRIOXIDE_GATEWAY_SIGV2", "true")]).expect("good").gateway.sigv2);
    }

    #[test]
    fn keys_of_the_key_service_have_usable_names() {
        let config = load_text("[kms]\nkeys = [\"a\", \"arn:aws:kms:eu:1:key/b\"]\ndefault_key = \"a\"", &[]).expect("good");
        assert_eq!((config.kms.keys.len(), config.kms.default_key.as_deref()), (2, Some("a")));
        for wrong in ["keys = [\"a b\"]", "default_key = \"\""] {
            let error = load_text(&format!("[kms]\n{wrong}"), &[]).expect_err("refused").to_string();
            assert!(error.contains("not a usable name"), "{error}");
        }
    }

    #[test]
    fn a_storage_class_says_how_it_is_kept() {
        let config = load_text("[storage_classes]\nSTANDARD_IA = \"default\"\nONEZONE_IA = \"one\"", &[]).expect("good");
        assert_eq!(config.storage_classes.get("ONEZONE_IA"), Some(&super::super::Kept::One));
        let error = load_text("[storage_classes]\nCOLD = \"tape\"", &[]).expect_err("refused").to_string();
        assert!(error.contains("unknown variant `tape`"), "{error}");
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_right_name() {
        let error = load_text("[gateway]\ns3_adr = \"127.0.0.1:1\"", &[]).expect_err("refused").to_string();
        assert!(error.contains("did you mean `s3_addr`?"), "{error}");
        let error = load_text("", &[("TRIOXIDE_GATEWAY_REGIO", "b")]).expect_err("refused").to_string();
        assert!(error.contains("did you mean TRIOXIDE_GATEWAY_REGION?"), "{error}");
    }

    #[test]
    fn half_a_root_pair_is_told_by_the_name_that_it_was_given_under() {
        let error = load_text("", &[("TRIOXIDE_ROOT_ACCESS_KEY", "ROOTKEY")]).expect_err("refused").to_string();
        assert!(error.contains("TRIOXIDE_ROOT_ACCESS_KEY is set and TRIOXIDE_ROOT_SECRET_KEY is not"), "{error}");
        let error = load_text("[root]\nsecret_key = \"long-enough\"", &[]).expect_err("refused").to_string();
        assert!(error.contains("root.secret_key is set and root.access_key is not"), "{error}");
    }

    #[test]
    fn users_and_buckets_are_checked_before_anything_is_opened() {
        let ada = "[[user]]\nid = \"ada\"\naccess_key = \"ADAKEY\"\nsecret_key = \"long-enough\"\nemail = \"a@b.c\"\n";
        let user = |rest: &str| format!("{ada}[[user]]\n{rest}");
        for (text, told) in [
            (user("id = \"bob\"\naccess_key = \"ADAKEY\"\nsecret_key = \"long-enough\""), "same access key"),
            (user("id = \"bob\"\nemail = \"A@B.C\""), "same e-mail address"),
            (user("id = \"ada\""), "stands twice"),
            (user("id = \"bob\"\naccess_key = \"BOBKEY\""), "one of them is missing"),
            (user("id = \"bob\"\naccess_key = \"BOBKEY\"\nsecret_key = \"with a space\""), "none of them a space"),
            (user("id = \"bob\"\naccess_key = \"BOBKEY\"\nsecret_key = \"short\""), "8 to 256"),
            (user("id = \"root\""), "root.access_key"),
            ("[root]\naccess_key = \"R\"\nsecret_key = \"long-enough\"".into(), "the administrator's pair"),
            (format!("[root]\naccess_key = \"ADAKEY\"\nsecret_key = \"long-enough\"\n{ada}"), "\"root\" and \"ada\""),
            ("[[bucket]]\nname = \"Bad_Name\"".into(), "\"Bad_Name\": not a valid bucket name"),
            ("[[bucket]]\nname = \"one\"\n[[bucket]]\nname = \"one\"\nowner = \"ada\"".into(), "different owners"),
            ("[gateway]\nregion = \"a b\"".into(), "gateway.region"),
            ("[gateway]\ntrusted_proxies = [\"0.0.0.0/0\"]".into(), "gateway.trusted_proxies"),
        ] {
            let error = load_text(&text, &[]).expect_err("refused").to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn identities_are_of_an_account_and_checked_as_far_as_can_be_without_their_files() {
        let text = r#"
            [[iam.policy]]
            name = "reads"
            document = '{"Version": "2012-10-17", "Statement": []}'
            [[iam.group]]
            account = "ada"
            name = "staff"
            policies = ["reads"]
            inline = { own = "nowhere.json" }
            [[iam.user]]
            account = "ada"
            name = "carol"
            groups = ["staff"]
            access_key = "CAROLKEY"
            secret_key_env = "TRIOXIDE_CAROL_SECRET"
            [[iam.role]]
            name = "backup"
            trust = "trust.json"
            max_session = "2h"
        "#;
        let config = load_text(text, &[("TRIOXIDE_CAROL_SECRET", "long-enough")]).expect("good");
        let wanted = Wanted::of(&config, Reading::Later).expect("no file is read");
        let accounts: Vec<&str> = wanted.identities.iter().map(|of| of.account.0.as_str()).collect();
        assert_eq!(accounts, ["ada", "root"]);
        assert_eq!(wanted.identities[0].users[0].groups, ["staff"]);
        assert_eq!(wanted.identities[1].roles[0].max_session, Some(7200));
        let told = Wanted::of(&config, Reading::Now).expect_err("there is no such file").to_string();
        assert!(told.starts_with("iam.group \"staff\": inline.own: reading nowhere.json"), "{told}");
        for (text, told) in [
            ("[[iam.user]]\nname = \"c\"\naccess_key = \"CKEY\"", "iam.user \"c\": access_key and secret_key go together"),
            (
                "[[iam.user]]\nname = \"c\"\naccess_key = \"CKEY\"\nsecret_key = \"short\"",
                "iam.user \"c\": not a usable secret key",
            ),
            (
                "[[iam.user]]\nname = \"c\"\naccess_key = \"CKEY\"\nsecret_key = \"long-enough\"\nsecret_key_env = \"X\"",
                "one of secret_key, secret_key_file and secret_key_env",
            ),
            ("[[iam.group]]\nname = \"g\"\n[[iam.group]]\nname = \"G\"", "iam.group \"G\": it stands twice"),
            ("[[iam.user]]\nname = \"c\"\npolicys = []", "did you mean `policies`?"),
            (
                "[[user]]\nid = \"ada\"\naccess_key = \"KEY1\"\nsecret_key = \"long-enough\"\n[[iam.user]]\nname = \"c\"\naccess_key = \"KEY1\"\nsecret_key = \"long-enough\"",
                "same access key",
            ),
        ] {
            let error = load_text(text, &[]).expect_err("refused").to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn users_and_buckets_come_from_the_file() {
        let config = load_text(
            "[[user]]\nid = \"ada\"\naccess_key = \"ADAKEY\"\nsecret_key = \"long-enough\"\n[[bucket]]\nname = \"logs\"\nowner = \"ada\"",
            &[],
        )
        .expect("good");
        assert_eq!(config.user[0].id, "ada");
        assert_eq!(config.bucket[0].owner.as_deref(), Some("ada"));
    }
}
