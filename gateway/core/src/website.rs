//! What a bucket that is a website answers besides its objects: where a request is sent, and pages that tell an error.

use bucket_config::website::Redirection;
use http::{HeaderValue, header};

use crate::encoding::{Slash, percent_encode};
use crate::error::{Answering, S3Error};

/// The `Location` of a redirection. `scheme` and `host` are the request's own, for rules that name none.
pub fn location(to: &Redirection, scheme: &str, host: &str) -> String {
    let protocol = to.protocol.map_or(scheme, |protocol| protocol.as_str());
    // Checked when it was set, but not where that is long ago.
    let host = as_written(to.host.as_deref().unwrap_or(host));
    let (given, rest) = to.key.split_at_checked(to.given).unwrap_or(("", &to.key));
    format!("{protocol}://{host}/{}{}", as_written(given), percent_encode(rest.as_bytes(), Slash::Kept))
}

/// To the folder that a request named without its last slash.
pub fn folder_location(key: &str) -> String {
    // Two slashes at the beginning would lead to a host of the key's name.
    let (start, rest) = key.strip_prefix('/').map_or(("", key), |rest| ("%2F", rest));
    format!("/{start}{}/", percent_encode(rest.as_bytes(), Slash::Kept))
}

/// An owner may write a query or a fragment, and has encoded what is to be encoded; what no header can hold is encoded all the same.
fn as_written(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_graphic() {
            out.push(character);
        } else {
            let mut bytes = [0; 4];
            out.push_str(&percent_encode(character.encode_utf8(&mut bytes).as_bytes(), Slash::Encoded));
        }
    }
    out
}

/// The page for an error, and for the one that came up when the owner's own page for it was looked for.
pub fn error_page(error: &S3Error, own_page: Option<&S3Error>, answering: Answering<'_>) -> String {
    let status = error.status();
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    let mut page = format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
    items(&mut page, error);
    item(&mut page, "RequestId", answering.request_id);
    item(&mut page, "HostId", answering.host_id);
    page.push_str("</ul>\n");
    if let Some(error) = own_page {
        page.push_str("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n");
        items(&mut page, error);
        page.push_str("</ul>\n");
    }
    page.push_str("<hr/>\n</body>\n</html>\n");
    page
}

fn items(page: &mut String, error: &S3Error) {
    item(page, "Code", error.code().as_str());
    item(page, "Message", error.message());
    error.fields().iter().for_each(|(name, value)| item(page, name, value));
}

fn item(page: &mut String, name: &str, value: &str) {
    page.push_str("<li>");
    page.push_str(name);
    page.push_str(": ");
    for character in value.chars() {
        match character {
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '&' => page.push_str("&amp;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
    page.push_str("</li>\n");
}

/// The method is none that a website has.
pub fn method_not_allowed(method: &http::Method) -> S3Error {
    let error =
        S3Error::new(crate::S3ErrorCode::MethodNotAllowed).field("Method", method.as_str()).field("ResourceType", "OBJECT");
    error.header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::S3ErrorCode;
    use bucket_config::website::Protocol;

    #[test]
    fn a_redirection_keeps_what_the_owner_wrote_and_encodes_what_the_client_asked_for() {
        let to = |host: Option<&str>, protocol, key: &str, given| {
            let to = Redirection { protocol, host: host.map(str::to_owned), key: key.into(), given, status: 301 };
            location(&to, "http", "site.example:8080")
        };
        assert_eq!(to(None, None, "a b/ü?x", 0), "http://site.example:8080/a%20b/%C3%BC%3Fx");
        assert_eq!(to(Some("h"), Some(Protocol::Https), "#!/a b", 3), "https://h/#!/a%20b");
        assert_eq!(to(Some("h"), None, "new?q=1&r=%20 \r\nx: y", 20), "http://h/new?q=1&r=%20%20%0D%0Ax:%20y");
        assert_eq!(to(Some("h é\r\nx: y"), None, "", 0), "http://h%20%C3%A9%0D%0Ax:%20y/");
        for (key, location) in
            [("a b", "/a%20b/"), ("/evil.example", "/%2Fevil.example/"), ("//a/b", "/%2F/a/b/"), ("\\a", "/%5Ca/")]
        {
            assert_eq!(folder_location(key), location);
        }
    }

    #[test]
    fn a_page_shows_what_was_asked_for_as_text() {
        let error = S3Error::new(S3ErrorCode::NoSuchKey).field("Key", "<script>alert('&\"')</script>");
        let own = S3Error::new(S3ErrorCode::AccessDenied);
        let page = error_page(&error, Some(&own), Answering { resource: "/", request_id: "R", host_id: "H" });
        assert!(page.starts_with("<html>\n<head><title>404 Not Found</title></head>\n<body>\n<h1>404 Not Found</h1>"));
        assert!(page.contains("<li>Key: &lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;</li>"), "{page}");
        assert!(page.contains("Custom Error Document</h3>\n<ul>\n<li>Code: AccessDenied</li>"), "{page}");
    }
}
