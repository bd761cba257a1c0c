//! What the browser is answered once the object is there.

use http::{HeaderValue, StatusCode, Uri};
use types::{BucketName, ETag, ObjectKey};

use super::Form;
use crate::encoding::{Slash, percent_encode};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuccessAction {
    /// 200 or 204 without a body, 201 with one.
    Status(StatusCode),
    /// On to this page.
    Redirect(String),
}

impl SuccessAction {
    /// A target that is no URL, or a status that is none of the three, counts as not given.
    pub fn of(form: &Form) -> Self {
        let target = form.get("success_action_redirect").or_else(|| form.get("redirect"));
        if let Some(target) = target.filter(|target| is_url(target)) {
            return Self::Redirect(target.to_owned());
        }
        Self::Status(match form.get("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        })
    }

    /// Where a redirect goes: the page is told what was stored.
    pub fn location(target: &str, bucket: &BucketName, key: &ObjectKey, etag: ETag) -> String {
        let (page, fragment) = target.split_once('#').map_or((target, None), |(page, fragment)| (page, Some(fragment)));
        let mut location = page.to_owned();
        location.push(if page.contains('?') { '&' } else { '?' });
        let key = percent_encode(key.as_str().as_bytes(), Slash::Encoded);
        location.push_str(&format!("bucket={bucket}&key={key}&etag=%22{etag}%22"));
        if let Some(fragment) = fragment {
            location.push('#');
            location.push_str(fragment);
        }
        location
    }
}

fn is_url(target: &str) -> bool {
    let uri: Result<Uri, _> = target.parse();
    let is_web =
        |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    uri.as_ref().is_ok_and(is_web) && HeaderValue::from_str(target).is_ok()
}
