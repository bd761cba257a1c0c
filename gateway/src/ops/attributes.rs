//! Between headers and what the OM stores of them.

use gateway_core::conditions::{self, ETagCondition, ReadConditions};
use gateway_core::dates::format_http_date;
use gateway_core::metadata::{Metadata, parse_storage_class};
use gateway_core::payload::checksum_header;
use gateway_core::tagging::TagSet;
use gateway_core::xml::{Owner, checksum_type_name};
use gateway_core::{RequestHead, S3Error, checksum, lifecycle};
use http::HeaderMap;
use om_api::{DisplayUser, LifecycleEnd, ObjectAttributes, ObjectChecksum, SystemHeader, WriteCondition};
use types::ETag;

use crate::reply::set;

/// What a write stores with the object.
pub(super) fn parse_attributes(head: &RequestHead) -> Result<ObjectAttributes, S3Error> {
    let tags = TagSet::of_header(head)?.map(TagSet::into_inner).unwrap_or_default();
    Ok(ObjectAttributes { tags, storage_class: parse_storage_class(head)?, ..to_attributes(Metadata::parse(head)?) })
}

fn to_attributes(metadata: Metadata) -> ObjectAttributes {
    let headers = [
        (SystemHeader::CacheControl, metadata.cache_control),
        (SystemHeader::ContentDisposition, metadata.content_disposition),
        (SystemHeader::ContentEncoding, metadata.content_encoding),
        (SystemHeader::ContentLanguage, metadata.content_language),
        (SystemHeader::ContentType, metadata.content_type),
        (SystemHeader::Expires, metadata.expires),
        (SystemHeader::WebsiteRedirectLocation, metadata.website_redirect),
    ];
    ObjectAttributes {
        headers: headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        metadata: metadata.user,
        storage_class: None,
        tags: Vec::new(),
    }
}

pub(super) fn to_metadata(attributes: &ObjectAttributes) -> Metadata {
    let mut metadata = Metadata { user: attributes.metadata.clone(), ..Metadata::default() };
    for (name, value) in &attributes.headers {
        let slot = match name {
            SystemHeader::CacheControl => &mut metadata.cache_control,
            SystemHeader::ContentDisposition => &mut metadata.content_disposition,
            SystemHeader::ContentEncoding => &mut metadata.content_encoding,
            SystemHeader::ContentLanguage => &mut metadata.content_language,
            SystemHeader::ContentType => &mut metadata.content_type,
            SystemHeader::Expires => &mut metadata.expires,
            SystemHeader::WebsiteRedirectLocation => &mut metadata.website_redirect,
        };
        *slot = Some(value.clone());
    }
    metadata
}

/// The condition that a write's headers set.
pub(super) fn parse_write_condition(head: &RequestHead) -> Result<WriteCondition, S3Error> {
    conditions::WriteCondition::parse(head).map(write_condition)
}

pub(super) fn write_condition(condition: conditions::WriteCondition) -> WriteCondition {
    match condition {
        conditions::WriteCondition::Always => WriteCondition::Always,
        conditions::WriteCondition::IfAbsent => WriteCondition::IfAbsent,
        conditions::WriteCondition::IfPresent => WriteCondition::IfPresent,
        conditions::WriteCondition::IfMatch(etag) => WriteCondition::IfMatch(etag),
        conditions::WriteCondition::IfNoneMatch(etag) => WriteCondition::IfNoneMatch(etag),
    }
}

/// The conditions on a copy's source, for the OM to judge.
pub(super) fn parse_source_conditions(head: &RequestHead) -> Result<om_api::ReadConditions, S3Error> {
    ReadConditions::of_copy_source(head).map(to_om_conditions)
}

pub(super) fn to_om_conditions(conditions: ReadConditions) -> om_api::ReadConditions {
    let ReadConditions { if_match, if_none_match, if_modified_since, if_unmodified_since } = conditions;
    om_api::ReadConditions {
        if_match: if_match.map(|condition| tags(&condition, Comparison::Strong)),
        if_none_match: if_none_match.map(|condition| tags(&condition, Comparison::Weak)),
        if_modified_since,
        if_unmodified_since,
    }
}

/// The same conditions, to judge them here: where the bytes are read by us and not by the OM.
pub(super) fn to_core_conditions(conditions: &om_api::ReadConditions) -> ReadConditions {
    let tags = |tags: &Vec<ETag>| match tags.as_slice() {
        [] => ETagCondition::Any,
        tags => ETagCondition::OneOf(tags.iter().map(|tag| conditions::ETagPattern { etag: Some(*tag), weak: false }).collect()),
    };
    ReadConditions {
        if_match: conditions.if_match.as_ref().map(tags),
        if_none_match: conditions.if_none_match.as_ref().map(tags),
        if_modified_since: conditions.if_modified_since,
        if_unmodified_since: conditions.if_unmodified_since,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

/// `*` is the empty list, as the OM reads it; a list of none of our tags must not become that.
fn tags(condition: &ETagCondition, comparison: Comparison) -> Vec<ETag> {
    match condition {
        ETagCondition::Any => Vec::new(),
        ETagCondition::OneOf(patterns) => {
            let tag = |pattern: &conditions::ETagPattern| {
                let counts = comparison == Comparison::Weak || !pattern.weak;
                pattern.etag.filter(|_| counts).unwrap_or(conditions::UNMATCHABLE)
            };
            patterns.iter().map(tag).collect()
        }
    }
}

pub(super) fn owner(user: &DisplayUser) -> Owner {
    Owner { id: user.id.0.clone(), display_name: user.display_name.clone() }
}

/// The headers that tell an object's checksum.
pub(super) fn set_checksum(headers: &mut HeaderMap, checksum: &ObjectChecksum, parts: Option<u16>) {
    let text = checksum::object_checksum_text(&checksum.checksum, checksum.kind, parts);
    set(headers, checksum_header(checksum.checksum.algorithm()), text);
    set(headers, "x-amz-checksum-type", checksum_type_name(checksum.kind));
}

/// When a lifecycle rule will end an object.
pub(super) fn set_expiration(headers: &mut HeaderMap, ends: Option<&LifecycleEnd>) {
    if let Some(end) = ends {
        set(headers, "x-amz-expiration", lifecycle::expiration(end.at, &end.rule));
    }
}

/// When a lifecycle rule will abort an upload.
pub(super) fn set_abort(headers: &mut HeaderMap, ends: Option<&LifecycleEnd>) {
    if let Some(end) = ends {
        set(headers, "x-amz-abort-date", format_http_date(end.at));
        set(headers, "x-amz-abort-rule-id", lifecycle::rule_id(&end.rule));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_foreign_tags_does_not_become_any_object() {
        assert_eq!(tags(&ETagCondition::parse("*"), Comparison::Strong), []);
        assert_eq!(tags(&ETagCondition::parse("\"x\""), Comparison::Strong), [conditions::UNMATCHABLE]);
        let weak = ETagCondition::parse("W/\"00000000000000000000000000000007\"");
        assert_eq!(tags(&weak, Comparison::Strong), [conditions::UNMATCHABLE]);
        assert_eq!(tags(&weak, Comparison::Weak), [ETag::parse("00000000000000000000000000000007").expect("a tag")]);
    }

    #[test]
    fn attributes_become_the_headers_that_they_were() {
        let metadata = Metadata {
            user: vec![("a".into(), "é".into())],
            content_type: Some("text/plain".into()),
            expires: Some("never".into()),
            ..Metadata::default()
        };
        assert_eq!(to_metadata(&to_attributes(metadata.clone())), metadata);
    }
}
