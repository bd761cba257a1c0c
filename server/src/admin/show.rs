//! Answers for people: tables with a heading, the important line first.

use std::fmt::Write;

use serde_json::Value;

use super::iam;
use crate::cli::{
    AccountCommand, AdminCommand, DatanodeCommand, GroupCommand, KmsCommand, ScmCommand, SecretCommand, TokenCommand,
};

pub(super) fn for_people(command: &AdminCommand, answer: &Value) -> String {
    match command {
        AdminCommand::Status => status(answer),
        AdminCommand::Om(GroupCommand::Roles) | AdminCommand::Scm(ScmCommand::Roles) => roles(answer),
        AdminCommand::Om(GroupCommand::Transfer { .. }) | AdminCommand::Scm(ScmCommand::Transfer { .. }) => {
            "leadership was handed over".to_owned()
        }
        AdminCommand::Scm(ScmCommand::SafeMode { leave: false }) => safe_mode(answer),
        AdminCommand::Scm(ScmCommand::SafeMode { leave: true }) => "safe mode is off".to_owned(),
        AdminCommand::Scm(ScmCommand::Pipelines) => table(answer, &["id", "state", "replication", "members", "leader"]),
        AdminCommand::Scm(ScmCommand::Containers { .. }) => {
            table(answer, &["id", "state", "replication", "used", "blocks", "healthy", "replicas"])
        }
        AdminCommand::Datanode(DatanodeCommand::List) => {
            table(answer, &["id", "name", "state", "data_endpoint", "containers", "pipelines", "disks"])
        }
        AdminCommand::Secret(SecretCommand::Create { .. }) => format!(
            "user        {}\naccess key  {}\nsecret key  {}\nThe secret is not shown again.",
            text(&answer["user"]),
            text(&answer["access_key"]),
            text(&answer["secret_key"]),
        ),
        AdminCommand::Secret(SecretCommand::Import { .. }) => {
            format!("user        {}\naccess key  {}", text(&answer["user"]), text(&answer["access_key"]))
        }
        AdminCommand::Secret(SecretCommand::Revoke { .. }) => "the secret was revoked".to_owned(),
        AdminCommand::Kms(KmsCommand::List) => table(answer, &["id", "state", "versions", "created", "rotated"]),
        AdminCommand::Kms(_) => {
            format!("{} is {}, with {} versions", text(&answer["id"]), text(&answer["state"]), answer["versions"])
        }
        AdminCommand::Account(command) => account(command, answer),
        AdminCommand::User(_)
        | AdminCommand::Group(_)
        | AdminCommand::Role(_)
        | AdminCommand::Policy(_)
        | AdminCommand::Key(_) => iam::for_people(answer),
        AdminCommand::Token(command) => token(command, answer),
        AdminCommand::Acl(_) => table(answer, &["type", "name", "aclScope", "aclList"]),
        AdminCommand::Explain { .. } => explanation(answer),
        AdminCommand::Notifications { .. } => notifications(answer),
    }
}

fn account(command: &AccountCommand, answer: &Value) -> String {
    const COLUMNS: [&str; 7] = ["id", "account_id", "volume", "display_name", "email", "admin", "access_keys"];
    match command {
        AccountCommand::List => table(answer, &COLUMNS),
        AccountCommand::Create { .. } | AccountCommand::Update { .. } => {
            let row = table(&Value::Array(vec![answer.clone()]), &COLUMNS);
            match answer.get("secret_key") {
                Some(secret) => format!(
                    "{row}\naccess key  {}\nsecret key  {}\nThe secret is not shown again.",
                    text(&answer["access_key"]),
                    text(secret)
                ),
                None => row,
            }
        }
        AccountCommand::Delete { id } => format!("the account {id} is gone"),
    }
}

fn token(command: &TokenCommand, answer: &Value) -> String {
    let (credentials, token) = (&answer["Credentials"], &answer["Token"]);
    match command {
        TokenCommand::Get { .. } => format!(
            "access key     {}\nsecret key     {}\nsession token  {}\nlasts until    {}, renewed until {}\n\
             The secret and the session token are not shown again.",
            text(&credentials["AccessKeyId"]),
            text(&credentials["SecretAccessKey"]),
            text(&credentials["SessionToken"]),
            text(&token["Expiration"]),
            text(&token["MaxDate"]),
        ),
        TokenCommand::Renew { .. } => format!("the token lasts until {}", text(&answer["Expiration"])),
        TokenCommand::Cancel { .. } => "the token was cancelled".to_owned(),
        TokenCommand::List => table(
            &answer["Tokens"],
            &["AccessKeyId", "SequenceNumber", "Owner", "Renewer", "RealUser", "IssueDate", "Expiration", "MaxDate"],
        ),
    }
}

fn explanation(answer: &Value) -> String {
    let about = match &answer["bucket"] {
        // The reason says what it was about.
        Value::Null => String::new(),
        bucket => format!("bucket  {}\n", text(bucket)),
    };
    format!("time    {}\ncaller  {}\n{about}{}", text(&answer["time"]), text(&answer["caller"]), text(&answer["why"]))
}

fn status(answer: &Value) -> String {
    let (om, scm) = (&answer["om"], &answer["scm"]);
    let mut out = String::new();
    let problems: Vec<&str> = answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if problems.is_empty() {
        out.push_str("healthy\n");
    } else {
        for problem in problems {
            let _ = writeln!(out, "PROBLEM: {problem}");
        }
    }
    let _ = writeln!(out, "cluster      {}", text(&scm["cluster_id"]));
    let _ = writeln!(out, "om leader    {}", text(&answer["om_leader"]));
    let _ = writeln!(out, "scm leader   {}", text(&answer["scm_leader"]));
    let _ = writeln!(
        out,
        "datanodes    {} healthy, {} stale, {} dead",
        scm["datanodes"]["healthy"], scm["datanodes"]["stale"], scm["datanodes"]["dead"]
    );
    let _ = writeln!(
        out,
        "containers   {}, {} with too few replicas, {} missing; {} open pipelines",
        scm["containers"], scm["under_replicated"], scm["missing"], scm["open_pipelines"]
    );
    let _ = writeln!(
        out,
        "namespace    {} buckets, {} writes under way, {} deleted objects and {} blocks to reclaim",
        om["buckets"], om["open_keys"], om["deleted_pending"], scm["blocks_to_delete"]
    );
    out.trim_end().to_owned()
}

fn notifications(answer: &Value) -> String {
    let destinations = table(&answer["destinations"], &["name", "waiting", "dead", "configured"]);
    match answer["revived"].as_u64() {
        Some(revived) if revived > 0 => format!("{destinations}\n{revived} events wait once more"),
        _ => format!("{destinations}\n{}", table(&answer["dead"], &["destination", "died", "why", "event"])),
    }
}

fn safe_mode(answer: &Value) -> String {
    if answer["on"] == Value::Bool(true) {
        let reasons: Vec<String> = answer["waits_for"].as_array().into_iter().flatten().map(text).collect();
        format!("safe mode is on; waiting for {}", reasons.join(", "))
    } else {
        "safe mode is off".to_owned()
    }
}

fn roles(answer: &Value) -> String {
    let head = format!(
        "term {}, log to {}, applied to {}, durable to {}, purged to {}",
        answer["term"], answer["last_log"], answer["applied"], answer["durable"], answer["purged"]
    );
    let mut members = answer["members"].clone();
    for member in members.as_array_mut().into_iter().flatten() {
        let view = answer["views"].as_array().into_iter().flatten().find(|view| view["me"] == member["id"]);
        member["applied"] = view.map_or_else(|| Value::from("does not answer"), |view| view["applied"].clone());
    }
    format!("{head}\n{}", table(&members, &["id", "endpoint", "role", "matched", "applied"]))
}

pub(super) fn table(rows: &Value, columns: &[&str]) -> String {
    let rows: Vec<Vec<String>> =
        rows.as_array().into_iter().flatten().map(|row| columns.iter().map(|c| text(&row[*c])).collect()).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, name)| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0).max(name.len()))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(out, "{cell:<width$}  ");
        }
        out.trim_end().to_owned()
    };
    let mut out = vec![line(&mut columns.iter().copied())];
    out.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    out.join("\n")
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            fields.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| format!("{k}={}", text(v))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
