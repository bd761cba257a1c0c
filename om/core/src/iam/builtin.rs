//! Managed policies that every account finds there, as AWS has them: those that speak of what Trioxide does.

pub(super) struct Builtin {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// By name, in order.
pub(super) const BUILTIN: &[Builtin] = &[
    Builtin {
        name: "AdministratorAccess",
        text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
    Builtin {
        name: "AmazonS3FullAccess",
        text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
    },
    Builtin {
        name: "AmazonS3ReadOnlyAccess",
        text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}]}"#,
    },
    Builtin {
        name: "IAMFullAccess",
        text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#,
    },
    Builtin {
        name: "IAMReadOnlyAccess",
        text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:Simulate*"],"Resource":"*"}]}"#,
    },
];

/// By its name without a path, which none of them has.
pub(super) fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|policy| policy.name.eq_ignore_ascii_case(name))
}
