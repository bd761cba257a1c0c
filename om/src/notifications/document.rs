//! Events as S3 writes them.

use om_core::rows::{EventKind, EventRow, Sequence};
use serde_json::{Value, json};
use types::Timestamp;

/// Where nothing else is known: S3's own default.
const REGION: &str = "us-east-1";

/// What a destination is sent.
pub(crate) fn document(sequence: Sequence, event: &EventRow) -> Value {
    let Some(key) = &event.key else { return test(event) };
    let origin = event.origin.as_ref();
    let region = event.region.as_deref().or(origin.and_then(|origin| origin.region.as_deref())).unwrap_or(REGION);
    let mut object = json!({ "key": url_encoded(key.as_str()), "sequencer": format!("{:018X}", sequence.0) });
    if let Some(size) = event.size {
        object["size"] = json!(size);
    }
    if let Some(etag) = event.etag {
        object["eTag"] = json!(etag.to_string());
    }
    if let Some(version) = event.version {
        object["versionId"] = json!(version.to_string());
    }
    let principal = match (origin, event.kind) {
        (Some(origin), _) => origin.user.as_ref().map_or("Anonymous".to_owned(), |user| format!("AWS:{}", user.0)),
        (None, _) => "s3.amazonaws.com".to_owned(),
    };
    let source = match origin {
        Some(origin) => origin.source.map(|source| source.to_string()).unwrap_or_default(),
        None => "s3.amazonaws.com".to_owned(),
    };
    let request = origin.map(|origin| origin.request.to_string());
    let mut record = json!({
        "eventVersion": version_of(event.kind),
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": iso8601(event.at),
        "eventName": event.kind.name().trim_start_matches("s3:"),
        "userIdentity": { "principalId": principal },
        "requestParameters": { "sourceIPAddress": source },
        "responseElements": { "x-amz-request-id": request.unwrap_or_default() },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": event.configuration,
            "bucket": {
                "name": event.bucket.name().as_str(),
                "ownerIdentity": { "principalId": event.owner.0 },
                "arn": event.bucket.arn(),
            },
            "object": object,
        },
    });
    if let Some(class) = &event.class {
        record["lifecycleEventData"] = json!({ "transitionEventData": { "destinationStorageClass": class } });
    }
    json!({ "Records": [record] })
}

fn test(event: &EventRow) -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": event.kind.name(),
        "Time": iso8601(event.at),
        "Bucket": event.bucket.name().as_str(),
    })
}

/// Kinds that S3 added later have a later one.
fn version_of(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Test
        | EventKind::Put
        | EventKind::Post
        | EventKind::Copy
        | EventKind::CompleteUpload
        | EventKind::Delete
        | EventKind::DeleteMarker => "2.1",
        EventKind::PutTags
        | EventKind::DeleteTags
        | EventKind::PutAcl
        | EventKind::Expired
        | EventKind::ExpiryMarker
        | EventKind::Moved => "2.3",
    }
}

/// As in a form: a space is a plus sign. Slashes stay.
fn url_encoded(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `2006-01-02T15:04:05.000Z`: the days since 1970, counted in eras of 400 years that begin in March.
fn iso8601(at: Timestamp) -> String {
    let (days, milliseconds) = (at.0 / 86_400_000, at.0 % 86_400_000);
    let from_march = days + 719_468;
    let (era, day_of_era) = (from_march / 146_097, from_march % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (seconds, fraction) = (milliseconds / 1000, milliseconds % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use om_core::rows::{Origin, UserId};
    use types::{BucketName, BucketPath, ETag, Md5, ObjectKey, RequestId, VersionId};

    #[test]
    fn times_are_told_in_utc() {
        for (at, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_782_864_000_000, "2026-07-01T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso8601(Timestamp(at)), shown);
        }
    }

    #[test]
    fn an_event_is_the_document_that_s3_sends() {
        let origin = Origin {
            user: Some(UserId("bob".into())),
            source: Some([192, 0, 2, 3].into()),
            request: RequestId::from_u128(0xab),
            region: Some("eu-1".into()),
            is_form: false,
        };
        let event = EventRow {
            kind: EventKind::Put,
            bucket: BucketPath::of_s3v(BucketName::parse("photos").expect("legal")),
            owner: UserId("ada".into()),
            configuration: "new ones".into(),
            key: Some(ObjectKey::parse("in/a cat+ä.jpg").expect("legal")),
            size: Some(7),
            etag: Some(ETag::whole(Md5([0xab; 16]))),
            version: Some(VersionId(9)),
            at: Timestamp(1_782_864_000_000),
            region: None,
            origin: Some(origin),
            since: None,
            class: None,
        };
        let shown = document(Sequence(0x1234), &event);
        let record = &shown["Records"][0];
        assert_eq!((&record["eventName"], &record["eventVersion"]), (&json!("ObjectCreated:Put"), &json!("2.1")));
        assert_eq!((&record["awsRegion"], &record["eventTime"]), (&json!("eu-1"), &json!("2026-07-01T00:00:00.000Z")));
        assert_eq!(record["userIdentity"]["principalId"], "AWS:bob");
        assert_eq!(record["requestParameters"]["sourceIPAddress"], "192.0.2.3");
        assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::photos");
        let object = json!({
            "key": "in/a+cat%2B%C3%A4.jpg", "size": 7, "eTag": "abababababababababababababababab",
            "versionId": VersionId(9).to_string(), "sequencer": "000000000000001234",
        });
        assert_eq!(record["s3"]["object"], object);
        let by_rule = EventRow { kind: EventKind::Expired, origin: None, size: None, etag: None, version: None, ..event.clone() };
        let record = &document(Sequence(1), &by_rule)["Records"][0];
        assert_eq!((&record["eventName"], &record["eventVersion"]), (&json!("LifecycleExpiration:Delete"), &json!("2.3")));
        assert_eq!(record["userIdentity"]["principalId"], "s3.amazonaws.com");
        let moved = EventRow { kind: EventKind::Moved, class: Some("COLD".into()), ..by_rule };
        let record = &document(Sequence(1), &moved)["Records"][0];
        assert_eq!((&record["eventName"], &record["eventVersion"]), (&json!("LifecycleTransition"), &json!("2.3")));
        assert_eq!(record["lifecycleEventData"]["transitionEventData"]["destinationStorageClass"], "COLD");
        assert_eq!(record["requestParameters"]["sourceIPAddress"], "s3.amazonaws.com");
        let test = document(Sequence(1), &EventRow { kind: EventKind::Test, key: None, ..event });
        assert_eq!((&test["Event"], &test["Bucket"]), (&json!("s3:TestEvent"), &json!("photos")));
    }
}
