//! How long does a request wait for a bucket policy of the largest size that S3 takes, 20 KiB?
//!
//! It must be below 50 µs. Estimate: some fifty statements, at two wildcard matches and a variable each, about 0.3 µs a statement, so
//! 15 µs. Measured before, on a core that others used, too: 30 µs, most of it the variable. `cargo bench -p om-core --bench policy`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use om_core::policy::{
    Account, Answer, Caller, Context, Grants, KeyName, Locality, Permission, Policies, Policy, PolicyKind, Request, Resource,
    Source, decide,
};
use types::{BucketName, ObjectKey};

const LARGEST: usize = 20 * 1024;

/// All that makes a policy slow: many statements that concern the request up to their last condition, long lists, wildcards, variables.
fn large_policy() -> String {
    let statement = |n: usize| {
        format!(
            r#"{{"Sid":"S{n}","Effect":"Deny","Principal":{{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::22222222{n:04}:user/u"]}},"Action":["s3:Get*","s3:PutObject"],"Resource":["arn:aws:s3:::photos/dept-{n}/*","arn:aws:s3:::photos/*/*a*{n}","arn:aws:s3:::photos/in*"],"Condition":{{"StringNotLike":{{"aws:UserAgent":["*curl*{n}*"]}},"StringLike":{{"s3:prefix":"${{aws:username}}/*x"}}}}}}"#
        )
    };
    let mut text = statement(0);
    for n in 1.. {
        let more = statement(n);
        if text.len() + more.len() + 60 > LARGEST {
            break;
        }
        text = format!("{text},{more}");
    }
    format!(r#"{{"Version":"2012-10-17","Statement":[{text}]}}"#)
}

fn large(c: &mut Criterion) {
    let text = large_policy();
    assert!(text.len() > LARGEST - 1024 && text.len() <= LARGEST, "{}", text.len());
    let policy = Policy::parse(&text, PolicyKind::Bucket).expect("a policy");
    let account = Account { id: "111111111111".into(), canonical: "ada-id".into() };
    let caller = Caller::User { account, name: "ada".into() };
    let mut context = Context::default();
    context.set(KeyName::UserAgent, "aws-cli/2.31.11 Python/3.13.7");
    context.set(KeyName::UserName, "ada");
    context.set(KeyName::Prefix, "ada/photos/of/the/sea");
    let bucket = BucketName::parse("photos").expect("legal");
    let key = ObjectKey::parse("in/2026/11/05/a/very/usual/key.jpg").expect("legal");
    let resource = Resource::object(&bucket, Locality::Home("s3v"), &key);
    let request = Request { caller: &caller, action: Permission::GetObject.into(), resource: &resource, context: &context };
    // It has to look at every statement, and none of them decides.
    assert_eq!(policy.ask(&request), Answer::Silent);
    let policies = Policies {
        resource: Some(Source { name: "photos", policy: &policy }),
        resource_only_denies: false,
        grants: Grants::None,
        boundary: None,
        session: &[],
        administration: &[],
        owner: "ada-id",
        granted_otherwise: None,
    };
    c.bench_function("a bucket policy of 20 KiB", |bench| bench.iter(|| decide(black_box(&request), black_box(&policies))));
    c.bench_function("to read that policy", |bench| bench.iter(|| Policy::parse(black_box(&text), PolicyKind::Bucket)));
}

criterion_group!(benches, large);
criterion_main!(benches);
