//! The policy engine against tables: each row a question, its answer, and why. A row is a line of a `.cases` file beside this one;
//! its file's head tells the form.

mod asking;
mod tables;

use std::collections::BTreeSet;

use asking::{Facts, bucket_name, caller, parse};
use om_core::policy::{Answer, Decision, Grants, MalformedPolicy, Meant, Policies, Policy, PolicyKind, Reason, Source, decide};
use tables::{Row, blocks, rows};
use types::{BucketAddress, BucketPath, VolumeName};

const CONDITIONS: &str = include_str!("conditions.cases");
const STATEMENTS: &str = include_str!("statements.cases");
const LAYERS: &str = include_str!("layers.cases");
const MALFORMED: &str = include_str!("malformed.cases");
const PUBLIC: &str = include_str!("public.cases");

fn verdict(answer: Answer) -> String {
    match answer {
        Answer::Silent => "silent".to_owned(),
        Answer::Allowed { statement, .. } => format!("allow {}", statement + 1),
        Answer::Denied { statement } => format!("deny {}", statement + 1),
    }
}

#[test]
fn statements_apply_as_their_rows_say() {
    let mut wrong = Vec::new();
    for block in blocks(STATEMENTS) {
        let policy = parse(block.kind, &block.text);
        for Row { line, cells, why } in block.rows {
            let [wanted, who, action, resource, facts] = cells.as_slice() else { panic!("line {line}: {cells:?}") };
            let facts = Facts::parse(facts);
            let given = verdict(asking::ask(&policy, &caller(who), action, resource, &facts));
            if given != *wanted {
                wrong.push(format!("line {line}: {given}, wanted {wanted}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A policy with this one condition.
fn conditioned(kind: &str, condition: &str) -> Result<Policy, MalformedPolicy> {
    let principal = if kind == "bucket" { r#""Principal":"*","# } else { "" };
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{principal}"Action":"*","Resource":"*","Condition":{{{condition}}}}}]}}"#
    );
    Policy::parse(&text, asking::kind(kind))
}

#[test]
fn conditions_hold_as_their_rows_say() {
    let mut wrong = Vec::new();
    for Row { line, cells, why } in rows(CONDITIONS) {
        let [operator, key, values, facts, wanted] = cells.as_slice() else { panic!("line {line}: {cells:?}") };
        let facts = Facts::parse(facts);
        let given = match conditioned("identity", &format!(r#""{operator}":{{"{key}":{values}}}"#)) {
            Err(_) => "refused",
            Ok(policy) => match asking::ask(&policy, &caller("ada"), "s3:PutObject", "photos/a", &facts) {
                Answer::Silent => "no",
                _ => "yes",
            },
        };
        if given != *wanted {
            wrong.push(format!("line {line}: {given}, wanted {wanted}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn reason(decision: Decision<'_>) -> String {
    let word = if decision.is_allowed { "yes" } else { "no" };
    let layer = |layer: om_core::policy::Layer| layer.to_string().split(' ').next().map(str::to_owned).unwrap_or_default();
    let layer = |of| match layer(of).as_str() {
        "permissions" => "boundary".to_owned(),
        other => other.to_owned(),
    };
    match decision.reason {
        Reason::Denied(place) => format!("{word} denied {} {}", layer(place.layer), place.policy),
        Reason::Allowed(place) => format!("{word} {} {}", layer(place.layer), place.policy),
        Reason::Granted => format!("{word} acl"),
        Reason::Owner => format!("{word} owner"),
        Reason::NotAllowed(silent) => format!("{word} silent {}", layer(silent)),
    }
}

#[test]
fn policies_together_decide_as_their_rows_say() {
    let named = asking::named(LAYERS);
    let source = |name: &str| named.iter().find(|(known, _)| known == name).map(|(name, policy)| Source { name, policy });
    let sources = |names: &str| -> Vec<Source<'_>> {
        let given = names.split(',').filter(|name| !matches!(*name, "-" | "none" | "everything"));
        given.map(|name| source(name).unwrap_or_else(|| panic!("no policy {name}"))).collect()
    };
    let facts = Facts::parse("-");
    let mut wrong = Vec::new();
    for Row { line, cells, why } in rows(LAYERS).filter(|row| row.cells.len() > 1) {
        let [who, owner, resource, own, boundary, session, wanted] = cells.as_slice() else { panic!("line {line}: {cells:?}") };
        let (resource, is_granted_otherwise) = resource.strip_suffix("+acl").map_or((*resource, false), |name| (name, true));
        let (who, owner) = (caller(who), caller(owner));
        let (own_sources, session) = (sources(own), sources(session));
        let policies = Policies {
            resource: sources(resource).pop(),
            resource_only_denies: false,
            grants: match *own {
                "everything" => Grants::Everything,
                "none" if who.account().is_none() => Grants::None,
                _ => Grants::Policies(&own_sources),
            },
            boundary: sources(boundary).pop(),
            session: &session,
            administration: &[],
            owner: &owner.account().expect("an account").canonical,
            granted_otherwise: is_granted_otherwise.then_some(Meant::AsAccount),
        };
        let given = asking::with_request(&who, "s3:GetObject", "photos/a", &facts, |request| reason(decide(request, &policies)));
        if given != *wanted {
            wrong.push(format!("line {line}: {given}, wanted {wanted}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_could_be_misread_is_refused_as_its_row_says() {
    const STATEMENT: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}"#;
    let mut wrong = Vec::new();
    for Row { line, cells, why } in rows(MALFORMED) {
        let [kind, text, wanted] = cells.as_slice() else { panic!("line {line}: {cells:?}") };
        let text = match text.split_once("[C:") {
            Some((before, rest)) => {
                let condition = rest.strip_suffix("]}").expect("the row ends so");
                format!(
                    r#"{before}[{{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{{{condition}}}}}]}}"#
                )
            }
            None => text.replace("[S", &format!("[{STATEMENT}")).replace(":S}", &format!(":{STATEMENT}}}")),
        };
        let given = match Policy::parse(&text, asking::kind(kind)) {
            Ok(_) => "good".to_owned(),
            Err(MalformedPolicy::Json(_)) => "Json".to_owned(),
            Err(malformed) => format!("{malformed:?}"),
        };
        if given != *wanted {
            wrong.push(format!("line {line}: {given}, wanted {wanted}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_policy_is_public_as_its_row_says() {
    let mut wrong = Vec::new();
    for Row { line, cells, why } in rows(PUBLIC) {
        let [principal, condition, wanted] = cells.as_slice() else { panic!("line {line}: {cells:?}") };
        let condition = if *condition == "-" { "{}" } else { condition };
        let text = |effect: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"s3:*","Resource":"*","Condition":{condition}}}]}}"#
            )
        };
        let is_public = |effect| parse(PolicyKind::Bucket, &text(effect)).is_public();
        if is_public("Allow") != (*wanted == "yes") {
            wrong.push(format!("line {line}: wanted {wanted}: {why}"));
        }
        assert!(!is_public("Deny"), "line {line}: a denial opens nothing");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn there_are_enough_rows_and_no_two_ask_the_same() {
    let mut asked = BTreeSet::new();
    let mut count = 0;
    for (number, block) in blocks(STATEMENTS).into_iter().enumerate() {
        for row in block.rows {
            count += 1;
            assert!(asked.insert(format!("{number} {:?}", &row.cells[1..])), "line {}", row.line);
        }
    }
    for table in [CONDITIONS, LAYERS] {
        for row in rows(table).filter(|row| row.cells.len() > 1) {
            count += 1;
            assert!(asked.insert(format!("{:?}", &row.cells[..row.cells.len() - 1])), "line {}: {:?}", row.line, row.cells);
            assert!(!row.why.is_empty(), "line {}: no reason", row.line);
        }
    }
    println!("{count} rows");
    assert!(count >= 400, "{count} rows");
}

/// What a policy tells somebody at home in the volume `home` who wants to read.
fn told(policy: &Policy, who: &str, home: &str, asked: &str) -> String {
    let (who, facts) = (caller(who), Facts::parse("-"));
    verdict(asking::with_request_from(home, &who, "s3:GetObject", asked, &facts, |request| policy.ask(request)))
}

/// What somebody at home in the volume `red` is told by a statement about a bucket.
fn of_tenant(effect: &str, field: &str, arn: &str, asked: &str) -> String {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"*","{field}":"{arn}"}}]}}"#);
    told(&Policy::parse(&text, PolicyKind::Identity).expect("good"), "ada", "red", asked)
}

/// A bucket's policy that lets everybody read.
fn open_policy(arn: &str, bucket: &BucketPath) -> Result<Policy, MalformedPolicy> {
    let statement = format!(r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"{arn}"}}"#);
    Policy::of_bucket(&format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#), bucket)
}

#[test]
fn an_identity_s_policy_gives_by_a_name_alone_what_is_in_its_own_volume() {
    let own = "photos/cat";
    let theirs = ["blue:photos/cat", ":photos/cat"];
    for (arn, gives_own, gives_theirs) in [
        ("arn:aws:s3:::photos/*", true, [false, false]),
        ("arn:aws:s3:::*", true, [false, false]),
        ("arn:aws:s3::red:photos/*", true, [false, false]),
        ("arn:aws:s3::blue:photos/*", false, [true, false]),
        ("arn:aws:s3::s3v:photos/*", false, [false, true]),
        ("arn:aws:s3::*:photos/*", true, [true, true]),
        ("arn:aws:s3::*", true, [true, true]),
        ("*", true, [true, true]),
    ] {
        assert_eq!(of_tenant("Allow", "Resource", arn, own) == "allow 1", gives_own, "{arn}");
        assert_eq!(theirs.map(|asked| of_tenant("Allow", "Resource", arn, asked) == "allow 1"), gives_theirs, "{arn}");
    }
    // All but these: what is named without a volume is named wherever it is.
    for asked in [own, theirs[0], theirs[1]] {
        assert_eq!(of_tenant("Allow", "NotResource", "arn:aws:s3:::photos/*", asked), "silent", "{asked}");
        assert_eq!(of_tenant("Allow", "NotResource", "arn:aws:s3:::films/*", asked), "allow 1", "{asked}");
    }
}

#[test]
fn what_an_identity_s_policy_denies_by_a_name_alone_is_denied_in_every_volume() {
    let all = ["photos/cat", "blue:photos/cat", ":photos/cat"];
    let denied = |field, arn| all.map(|asked| of_tenant("Deny", field, arn, asked) == "deny 1");
    assert_eq!(denied("Resource", "arn:aws:s3:::photos/*"), [true, true, true]);
    assert_eq!(denied("Resource", "arn:aws:s3:::*"), [true, true, true]);
    assert_eq!(denied("Resource", "arn:aws:s3::red:photos/*"), [true, false, false]);
    assert_eq!(denied("Resource", "arn:aws:s3::blue:photos/*"), [false, true, false]);
    assert_eq!(denied("Resource", "arn:aws:s3::s3v:photos/*"), [false, false, true]);
    // All but one's own: another's bucket of the name is not it.
    assert_eq!(denied("NotResource", "arn:aws:s3:::photos/*"), [false, true, true]);
}

#[test]
fn a_bucket_s_own_policy_names_it_with_its_volume_or_without() {
    let path = |text: &str| BucketAddress::parse(text).expect("legal").within(VolumeName::s3v_ref());
    for (bucket, arn, is_good) in [
        ("red:photos", "arn:aws:s3:::photos/*", true),
        ("red:photos", "arn:aws:s3::red:photos/*", true),
        ("red:photos", "arn:aws:s3::*:photos/*", true),
        ("red:photos", "arn:aws:s3::blue:photos/*", false),
        ("red:photos", "arn:aws:s3::s3v:photos/*", false),
        ("photos", "arn:aws:s3::s3v:photos/*", true),
        ("photos", "arn:aws:s3::red:photos/*", false),
        ("photos", "arn:aws:s3::123456789012:photos/*", false),
    ] {
        let policy = open_policy(arn, &path(bucket));
        assert_eq!(policy.is_ok(), is_good, "{bucket}: {arn}");
        let Ok(policy) = policy else { continue };
        // Whoever asks, from wherever.
        for home in ["s3v", "red", "blue"] {
            let asked = if bucket == "photos" { ":photos/cat".to_owned() } else { format!("{bucket}/cat") };
            assert_eq!(told(&policy, "nobody", home, &asked), "allow 1", "{bucket}: {arn}: {home}");
        }
    }
}

#[test]
fn a_bucket_s_policy_is_about_that_bucket() {
    let of = |resource: &str| open_policy(resource, &BucketPath::of_s3v(bucket_name("photos"))).is_ok();
    for good in [
        "arn:aws:s3:::photos",
        "arn:aws:s3:::photos/*",
        "arn:aws:s3:::photos/a/b",
        "*",
        "arn:aws:s3:::*/*",
        "arn:aws:s3:::ph*",
        "arn:aws:s3:::${aws:username}/*",
    ] {
        assert!(of(good), "{good}");
    }
    for foreign in
        ["arn:aws:s3:::music", "arn:aws:s3:::music/*", "arn:aws:s3:::photos2/*", "arn:aws:s3:::photo", "arn:aws:sqs:::photos"]
    {
        assert!(!of(foreign), "{foreign}");
    }
}

#[test]
fn a_policy_ends_at_its_limit() {
    let text = |length: usize| {
        let start = r#"{"Version":"2012-10-17","Id":""#;
        let end = r#"","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject"}]}"#;
        format!("{start}{}{end}", "a".repeat(length - start.len() - end.len()))
    };
    assert!(Policy::parse(&text(20 * 1024), PolicyKind::Bucket).is_ok());
    let too_long = Policy::parse(&text(20 * 1024 + 1), PolicyKind::Bucket);
    assert_eq!(too_long, Err(MalformedPolicy::TooLong { limit: 20 * 1024 }));
}
