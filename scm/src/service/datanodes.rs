//! Registration and heartbeats.

use rpc::{CallContext, CallError, NotApplied, Peer};
use scm_api::{
    DatanodeRegistered, Heartbeat, HeartbeatRejected, HeartbeatReply, Order, PipelineMember, RegisterDatanode, RegisterRejected,
};
use scm_core::census::{Health, Heard, Nodes};
use scm_core::command;
use scm_core::plan::orders::{NodeOrder, plan_orders};
use scm_core::plan::repairs::{Repair, sources};
use scm_core::plan::token_keys::opening;
use scm_core::rows::{ClusterRow, ContainerRow, DatanodeRow, TokenKeyRow, all, get, superseded};
use tables::{ReadTables, StorageFault};
use tracing::{info, warn};
use types::{DatanodeId, Timestamp};

use super::ScmService;
use crate::background;
use crate::convert::{Addresses, hearing, token_keys};
use crate::leader::{SafeMode, Soft};
use crate::log::{refuse, storage_fault};

impl ScmService {
    pub(super) async fn register(
        &self,
        cx: CallContext,
        request: RegisterDatanode,
    ) -> Result<DatanodeRegistered, CallError<RegisterRejected>> {
        must_be(&cx.peer, &request.name)?;
        let (cluster, rows) = self
            .log()
            .read(|tables| Ok((ClusterRow::read(tables)?, all::<DatanodeRow>(tables)?)))
            .map_err(|fault| storage_fault(&fault))?;
        let Some(cluster) = cluster else {
            return Err(CallError::not_leader(None));
        };
        let nodes = self.leader().with(|soft| soft.census.nodes(&rows))?;
        check_claim(&request, &rows, &nodes).map_err(CallError::Rejected)?;
        let id = match unchanged(&request, &rows) {
            Some(id) => id,
            None => {
                let RegisterDatanode { id, name, data_endpoint, rpc_endpoint, rack, .. } = request.clone();
                let now = self.clock().now();
                let change = command::RegisterDatanode { id, name, data_endpoint, rpc_endpoint, rack, now };
                let outcome = self.log().propose(cx.request_id, change, cx.deadline).await.map_err(refuse)?;
                outcome.map_err(|command::RegisterRejected::UnknownId| CallError::Rejected(RegisterRejected::UnknownId))?
            }
        };
        self.leader().with(|soft| {
            soft.census.expect(id);
            soft.deleting.forget(id);
            let spoken = soft.spoken.entry(id).or_default();
            *spoken = crate::leader::Spoken { last: spoken.last, disks: request.disks, ..Default::default() };
        })?;
        info!(datanode = %id, name = %request.name, endpoint = %request.rpc_endpoint, returning = request.id.is_some(), "datanode registered");
        Ok(DatanodeRegistered {
            id,
            cluster_id: cluster.id.to_string(),
            heartbeat_every_ms: u64::try_from(self.config().heartbeat_every.as_millis()).unwrap_or(u64::MAX),
        })
    }

    pub(super) fn hear(&self, cx: &CallContext, heartbeat: &Heartbeat) -> Result<HeartbeatReply, CallError<HeartbeatRejected>> {
        metrics::counter!("scm_heartbeats_total").increment(1);
        let now = self.clock().now();
        let answered = self.leader().with(|soft| {
            self.log().read(|tables| answer(tables, soft, cx, heartbeat, now)).map_err(|fault| storage_fault(&fault))
        })??;
        let Answered { reply, has_news } = answered?;
        if has_news {
            background::hurry(self.reconcilers());
        }
        if !heartbeat.deleted.is_empty() {
            background::hurry_deletions(self.reconcilers());
        }
        Ok(reply)
    }
}

/// A datanode speaks for itself alone: its certificate says who it is.
fn must_be<R>(peer: &Peer, name: &str) -> Result<(), CallError<R>> {
    match peer {
        Peer::Local => Ok(()),
        Peer::Node { name: certified, .. } if certified == name => Ok(()),
        Peer::Node { name: certified, .. } => {
            warn!(%certified, claimed = %name, "a datanode spoke in another's name");
            Err(CallError::NotApplied(NotApplied::Refused(format!("the certificate is {certified}'s"))))
        }
    }
}

/// Whether another process holds what this one claims.
fn check_claim(request: &RegisterDatanode, rows: &[(DatanodeId, DatanodeRow)], nodes: &Nodes) -> Result<(), RegisterRejected> {
    if let Some(id) = request.id {
        let Some((_, row)) = rows.iter().find(|(known, _)| *known == id) else {
            return Err(RegisterRejected::UnknownId);
        };
        if row.name != request.name {
            return Err(RegisterRejected::UnknownId);
        }
        // At its own endpoint it has restarted. Elsewhere, while the first is heard of, it is a copy of its disks.
        if row.rpc_endpoint != request.rpc_endpoint && nodes.is_healthy(id) {
            return Err(RegisterRejected::IdInUse);
        }
    }
    let holds_endpoint = |(id, row): &&(DatanodeId, DatanodeRow)| {
        row.rpc_endpoint == request.rpc_endpoint && Some(*id) != request.id && nodes.is_healthy(*id)
    };
    match rows.iter().find(holds_endpoint) {
        // The same name at the same place is the same machine, wiped: its former self cannot be running.
        Some((_, row)) if row.name != request.name => Err(RegisterRejected::IdInUse),
        _ => Ok(()),
    }
}

/// The id, if the rows say already what the request says.
fn unchanged(request: &RegisterDatanode, rows: &[(DatanodeId, DatanodeRow)]) -> Option<DatanodeId> {
    let id = request.id?;
    let (_, row) = rows.iter().find(|(known, _)| *known == id)?;
    let is_same = row.data_endpoint == request.data_endpoint
        && row.rpc_endpoint == request.rpc_endpoint
        && row.rack == request.rack
        && !superseded(rows).contains(&id);
    is_same.then_some(id)
}

struct Answered {
    reply: HeartbeatReply,
    has_news: bool,
}

type Outcome = Result<Answered, CallError<HeartbeatRejected>>;

fn answer(
    tables: &dyn ReadTables,
    soft: &mut Soft,
    cx: &CallContext,
    heartbeat: &Heartbeat,
    now: Timestamp,
) -> Result<Outcome, StorageFault> {
    let id = heartbeat.id;
    let not_registered = Err(CallError::Rejected(HeartbeatRejected::NotRegistered));
    let rows = all::<DatanodeRow>(tables)?;
    let Some((_, row)) = rows.iter().find(|(known, _)| *known == id) else {
        return Ok(not_registered);
    };
    if let Err(refused) = must_be(&cx.peer, &row.name) {
        return Ok(Err(refused));
    }
    if superseded(&rows).contains(&id) {
        return Ok(not_registered);
    }
    let (has_news, is_partial) = match soft.census.hear(id, hearing(heartbeat)) {
        Heard::OtherProcess => return Ok(not_registered),
        Heard::Accepted { has_news, is_partial } => (has_news, is_partial),
    };
    soft.deleting.acknowledged(id, &heartbeat.deleted);
    if !heartbeat.deleted.is_empty() {
        soft.acknowledged.entry(id).or_default().extend(&heartbeat.deleted);
    }
    let keys = all::<TokenKeyRow>(tables)?;
    let spoken = soft.spoken.entry(id).or_default();
    spoken.last = Some(now);
    spoken.disks.clone_from(&heartbeat.disks);
    let keys_are_due = spoken.keys.are_due(keys.last().map(|(id, _)| *id));
    let nodes = soft.census.nodes(&rows);
    let mut orders = orders(tables, soft, id, &nodes, &Addresses::new(&rows))?;
    if is_partial {
        orders.push(Order::ReportInFull);
    }
    let live = keys.iter().filter(|(_, key)| opening(key, now));
    let reply = HeartbeatReply { orders, token_keys: keys_are_due.then(|| token_keys(live)) };
    let is_awaited = soft.safe_mode != SafeMode::Off;
    Ok(Ok(Answered { reply, has_news: has_news || is_awaited }))
}

fn orders(
    tables: &dyn ReadTables,
    soft: &mut Soft,
    datanode: DatanodeId,
    nodes: &Nodes,
    addresses: &Addresses,
) -> Result<Vec<Order>, StorageFault> {
    let Some(node) = nodes.0.get(&datanode) else {
        return Ok(Vec::new());
    };
    let mut orders: Vec<Order> = plan_orders(tables, &soft.census, datanode, node)?
        .into_iter()
        .map(|order| order_about_pipelines(order, addresses))
        .collect();
    // A datanode that was not heard of for a while is first to say what it holds.
    if node.health != Health::Healthy {
        return Ok(orders);
    }
    for (container, repair) in soft.underway.on(datanode) {
        match repair {
            Repair::Delete => orders.push(Order::DeleteContainer { container }),
            Repair::Copy => {
                let Some(row) = get::<ContainerRow>(tables, container)? else { continue };
                let sources = addresses.replicas(sources(container, &row, &soft.census, nodes));
                if !sources.is_empty() {
                    orders.push(Order::ReplicateContainer { container, sources });
                }
            }
        }
    }
    let deletions = soft.deleting.orders_for(datanode);
    orders.extend(deletions.into_iter().map(|(transaction, blocks)| Order::DeleteBlocks { transaction, blocks }));
    Ok(orders)
}

fn order_about_pipelines(order: NodeOrder, addresses: &Addresses) -> Order {
    match order {
        NodeOrder::CreatePipeline { pipeline, members } => {
            let member = |member: scm_core::rows::Member| {
                addresses.row(member.datanode).map(|row| PipelineMember {
                    member: member.member,
                    datanode: member.datanode,
                    rpc_endpoint: row.rpc_endpoint.clone(),
                    data_endpoint: row.data_endpoint.clone(),
                })
            };
            Order::CreatePipeline { pipeline, members: members.into_iter().filter_map(member).collect() }
        }
        NodeOrder::DestroyPipeline(pipeline) => Order::DestroyPipeline { pipeline },
        NodeOrder::CloseContainer { container, pipeline } => Order::CloseContainer { container, pipeline },
    }
}
