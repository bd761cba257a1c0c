//! IAM and STS on the wire: AWS's query protocol. A form comes in, XML goes out.

use types::{IamError, IamValue};

use crate::encoding::{Plus, percent_decode};
use crate::error::{S3Error, S3ErrorCode};
use crate::xml::XmlOut;

/// Longer than any call: policies and tokens have limits below it, percent-encoded as they are.
pub const MOST_BYTES: usize = 128 << 10;
const MOST_PARAMETERS: usize = 2_000;

const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// A call, by the names of the protocol.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    pub action: String,
    pub parameters: Vec<(String, String)>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({}, {} parameters)", self.action, self.parameters.len())
    }
}

impl Call {
    /// From a body of `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let malformed = || S3Error::invalid_request("The body of the request is no form.");
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let mut action = None;
        let mut parameters = Vec::new();
        for pair in text.trim_end().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (percent_decode(name, Plus::Space)?, percent_decode(value, Plus::Space)?);
            match name.as_str() {
                "Action" if action.is_none() => action = Some(value),
                "Version" => {}
                // Which of two would count is a guess.
                _ if name == "Action" || parameters.iter().any(|(known, _)| *known == name) => return Err(malformed()),
                _ if parameters.len() >= MOST_PARAMETERS => return Err(malformed()),
                _ => parameters.push((name, value)),
            }
        }
        let action = action.filter(|action| !action.is_empty() && action.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let missing = || S3Error::with_message(S3ErrorCode::InvalidRequest, "The request has no Action.");
        Ok(Self { action: action.ok_or_else(missing)?, parameters })
    }
}

/// Which of the two services answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Iam,
    Sts,
}

impl Service {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "iam" => Some(Self::Iam),
            "sts" => Some(Self::Sts),
            _ => None,
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Iam => IAM_NAMESPACE,
            Self::Sts => STS_NAMESPACE,
        }
    }
}

pub fn answer(service: Service, action: &str, value: &IamValue, request_id: &str) -> String {
    let mut out = XmlOut::document();
    out.element_with(&format!("{action}Response"), &[("xmlns", service.namespace())], |out| {
        // What changes something and has nothing to tell has no result, but for two that AWS's model gives an empty one.
        if *value != IamValue::empty() || action.starts_with("UpdateRole") {
            out.element(&format!("{action}Result"), |out| fields(out, value));
        }
        out.element("ResponseMetadata", |out| out.text("RequestId", request_id));
    });
    out.finish()
}

fn fields(out: &mut XmlOut, value: &IamValue) {
    if let IamValue::Fields(named) = value {
        named.iter().for_each(|(name, value)| element(out, name, value));
    }
}

fn element(out: &mut XmlOut, name: &str, value: &IamValue) {
    match value {
        IamValue::Text(text) | IamValue::Secret(text) => out.text(name, text),
        IamValue::Fields(_) => out.element(name, |out| fields(out, value)),
        IamValue::List(values) => out.element(name, |out| values.iter().for_each(|value| element(out, "member", value))),
        IamValue::Map(values) => out.element(name, |out| values.iter().for_each(|value| element(out, "entry", value))),
    }
}

pub fn error(service: Service, error: &IamError, request_id: &str) -> String {
    refusal(service, error.code.as_str(), error.code.status(), &error.message, request_id)
}

/// Of a signature that S3's rules refuse, in IAM's form.
pub fn refusal(service: Service, code: &str, status: u16, message: &str, request_id: &str) -> String {
    let mut out = XmlOut::document();
    out.element_with("ErrorResponse", &[("xmlns", service.namespace())], |out| {
        out.element("Error", |out| {
            out.text("Type", if status < 500 { "Sender" } else { "Receiver" });
            out.text("Code", code);
            out.text("Message", message);
        });
        out.text("RequestId", request_id);
    });
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_call_if_it_can_be_read_in_one_way() {
        let call = Call::parse(b"Action=CreateUser&UserName=a+b%2Fc&Version=2010-05-08&Empty=").expect("a call");
        assert_eq!(call.action, "CreateUser");
        assert_eq!(call.parameters, [("UserName".to_owned(), "a b/c".to_owned()), ("Empty".to_owned(), String::new())]);
        for wrong in ["", "UserName=a", "Action=", "Action=A&Action=B", "Action=A&X=1&X=2", "Action=%zz", "Action=a-b"] {
            assert!(Call::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Call::parse(b"Action=A&X=\xff").is_err());
    }

    #[test]
    fn an_answer_is_the_protocols() {
        let value = IamValue::field("Users", vec![IamValue::field("UserName", "a<b")]).with("IsTruncated", false);
        let xml = answer(Service::Iam, "ListUsers", &value, "R");
        let body = xml.split_once('\n').expect("a declaration").1;
        assert_eq!(
            body,
            "<ListUsersResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListUsersResult><Users><member><UserName>a&lt;b\
             </UserName></member></Users><IsTruncated>false</IsTruncated></ListUsersResult><ResponseMetadata><RequestId>R</RequestId>\
             </ResponseMetadata></ListUsersResponse>"
        );
        assert!(!answer(Service::Sts, "X", &IamValue::empty(), "R").contains("XResult"));
    }
}
