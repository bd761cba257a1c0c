//! Answers of the roles as JSON, for the administrator's commands and scripts. Field names are stable.

use gateway_core::dates::format_iso8601;
use om_api::{IssuedSecret, KmsKeyInfo, OmOverview, Undelivered, UserInfo};
use scm_api::{
    ContainerInfo, ContainerState, DatanodeInfo, DatanodeState, PipelineInfo, PipelineState, ReplicaState, ScmOverview,
};
use serde_json::{Value, json};
use types::{RaftRole, RaftStatus, Replication, VolumeName};

pub(super) fn raft(status: &RaftStatus) -> Value {
    let members: Vec<Value> = status
        .members
        .iter()
        .map(|m| {
            json!({
                "id": m.id.0, "endpoint": m.endpoint.0, "role": raft_role(m.role), "matched": m.matched,
            })
        })
        .collect();
    let mut group = member(status);
    group["members"] = members.into();
    group
}

/// What one member says of itself.
pub(super) fn member(status: &RaftStatus) -> Value {
    json!({
        "me": status.me.0, "role": raft_role(status.role), "term": status.term, "leader": status.leader.map(|m| m.0),
        "last_log": status.last_log, "applied": status.applied, "durable": status.durable, "purged": status.purged,
        "state_digest": status.state_digest,
    })
}

fn raft_role(role: RaftRole) -> &'static str {
    match role {
        RaftRole::Leader => "leader",
        RaftRole::Follower => "follower",
        RaftRole::Candidate => "candidate",
        RaftRole::Learner => "learner",
    }
}

/// Its name stands as `id`, as the name of anything does in a table.
pub(super) fn kms_key(key: &KmsKeyInfo) -> Value {
    json!({
        "id": key.key.0, "state": if key.is_enabled { "enabled" } else { "disabled" }, "versions": key.versions,
        "created": format_iso8601(key.created), "rotated": format_iso8601(key.rotated),
    })
}

pub(super) fn undelivered(found: &Undelivered) -> Value {
    let destinations: Vec<Value> = found
        .destinations
        .iter()
        .map(|of| json!({"name": of.name, "waiting": of.waiting, "dead": of.dead, "configured": of.is_known}))
        .collect();
    let dead: Vec<Value> = found
        .dead
        .iter()
        .map(|dead| {
            let event: Value = serde_json::from_str(&dead.event).unwrap_or_default();
            json!({"destination": dead.destination, "why": dead.why, "died": format_iso8601(dead.died), "event": event})
        })
        .collect();
    json!({"destinations": destinations, "dead": dead, "revived": found.revived})
}

pub(super) fn om(overview: &OmOverview) -> Value {
    let background: Vec<Value> = overview
        .background
        .iter()
        .map(|b| json!({"name": b.name, "passes": b.passes, "failures": b.failures, "last_error": b.last_error}))
        .collect();
    json!({
        "buckets": overview.buckets, "deleted_pending": overview.deleted_pending, "open_keys": overview.open_keys,
        "background": background, "can_write": overview.can_write,
        "cannot_write_because": overview.cannot_write_because,
    })
}

pub(super) fn scm(overview: &ScmOverview) -> Value {
    json!({
        "cluster_id": overview.cluster_id,
        "safe_mode": {"on": overview.safe_mode.is_on, "waits_for": overview.safe_mode.reasons},
        "datanodes": {
            "healthy": overview.healthy_datanodes, "stale": overview.stale_datanodes, "dead": overview.dead_datanodes,
        },
        "open_pipelines": overview.open_pipelines, "containers": overview.containers,
        "under_replicated": overview.under_replicated, "missing": overview.missing,
        "blocks_to_delete": overview.blocks_to_delete,
    })
}

pub(super) fn datanode(info: &DatanodeInfo) -> Value {
    let disks: Vec<Value> = info
        .disks
        .iter()
        .map(|d| {
            json!({
                "path": d.path, "capacity": d.capacity, "used": d.used, "remaining": d.remaining, "failed": d.failed,
            })
        })
        .collect();
    json!({
        "id": info.id.0, "name": info.name, "state": datanode_state(info.state),
        "data_endpoint": info.data_endpoint.0, "last_heartbeat_ms": info.last_heartbeat.map(|t| t.0),
        "disks": disks, "containers": info.containers,
        "pipelines": info.pipelines.iter().map(|p| p.0).collect::<Vec<_>>(),
    })
}

fn datanode_state(state: DatanodeState) -> &'static str {
    match state {
        DatanodeState::Healthy => "healthy",
        DatanodeState::Stale => "stale",
        DatanodeState::Dead => "dead",
    }
}

pub(super) fn pipeline(info: &PipelineInfo) -> Value {
    let state = match info.state {
        PipelineState::Allocated => "allocated",
        PipelineState::Open => "open",
        PipelineState::Closing => "closing",
    };
    json!({
        "id": info.id.0, "state": state, "replication": replication(info.replication),
        "members": info.members.iter().map(|d| d.0).collect::<Vec<_>>(), "leader": info.leader.map(|d| d.0),
    })
}

fn replication(replication: Replication) -> &'static str {
    match replication {
        Replication::One => "one",
        Replication::Three => "three",
    }
}

pub(super) fn container(info: &ContainerInfo) -> Value {
    let state = match info.state {
        ContainerState::Open => "open",
        ContainerState::Closing => "closing",
        ContainerState::Closed => "closed",
        ContainerState::QuasiClosed => "quasi-closed",
        ContainerState::Deleted => "deleted",
    };
    let replicas: Vec<Value> =
        info.replicas.iter().map(|(datanode, state)| json!({"datanode": datanode.0, "state": replica(*state)})).collect();
    json!({
        "id": info.id.0, "state": state, "replication": replication(info.replication),
        "pipeline": info.pipeline.map(|p| p.0), "used": info.used, "blocks": info.blocks,
        "replicas": replicas, "healthy": info.is_healthy,
    })
}

fn replica(state: ReplicaState) -> &'static str {
    match state {
        ReplicaState::Open => "open",
        ReplicaState::Closed => "closed",
        ReplicaState::QuasiClosed => "quasi-closed",
        ReplicaState::Unhealthy => "unhealthy",
    }
}

pub(super) fn account(info: &UserInfo) -> Value {
    let volume = info.volume.as_ref().unwrap_or(VolumeName::s3v_ref());
    json!({
        "id": info.user.id.0, "account_id": info.account_id, "volume": volume.as_str(),
        "display_name": info.user.display_name, "email": info.email, "admin": info.is_admin,
        "access_keys": info.access_keys.iter().map(|k| k.0.as_str()).collect::<Vec<_>>(),
    })
}

pub(super) fn imported(issued: &IssuedSecret) -> Value {
    json!({ "user": issued.user.0, "access_key": issued.pair.access_key.0 })
}

/// The only answer that holds a secret.
pub(super) fn secret(issued: &IssuedSecret) -> Value {
    json!({
        "user": issued.user.0, "access_key": issued.pair.access_key.0, "secret_key": issued.pair.secret_key.0,
    })
}
