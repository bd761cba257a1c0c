//! `trioxide server`: every role in this process, no sockets between them, one copy of each block, one write-ahead log.
//!
//! Order of start: the SCM, which gives blocks; the datanode, which registers with it; the OM, which leases from it; the users
//! and buckets that must exist; last the listeners, so that whoever reaches one finds the whole behind it. The stop goes the
//! other way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datanode_api::HttpBlocks;
use raft_node::{Group, NoPeers, RaftHost, StateMachine};
use rpc::PeerRole;
use scm_api::Scm;
use tracing::info;
use types::{Endpoint, GroupId, MemberId, Replication};

use crate::admin::{self, Admin, MembersOf, Operations, Readiness, S3Hosts};
use crate::cluster::compose::{self, OM_GROUP, SCM_GROUP, Stages};
use crate::config::Config;
use crate::process::{Failed, Parts};
use crate::{bootstrap, files, tls};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// A disk that takes writes shows it in well under a second.
const WRITABLE_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(config: Config, parts: Parts) -> Result<(), Failed> {
    let data = config.data()?.to_owned();
    let wanted = config.wanted()?;
    compose::check_classes_of_one(&config)?;
    let _lock = files::lock(&data)?;
    // Bound first: a port in use is found before anything starts, and connections wait in the backlog until it has.
    let s3 = tls::open(config.gateway.s3_addr, &config.gateway.tls, "gateway", &parts).await?;
    let website = compose::listen_website(&config).await?;
    let admin_door = tls::open(config.admin.addr, &config.admin.tls, "admin", &parts).await?;
    let ready = Arc::new(Readiness::default());

    let Parts { clock, entropy, metrics, shutdown } = parts;
    let stages = Stages::new(shutdown.clone());
    let roles = stages.roles.clone();
    let host = RaftHost::open(compose::host_config(&config, &data, PeerRole::Om), Arc::new(NoPeers), stages.log.clone()).await?;

    let scm_machine = compose::open_scm_machine(&data.join("scm"))?;
    let scm_group = lone_group(&host, SCM_GROUP, Arc::clone(&scm_machine) as Arc<dyn StateMachine>).await?;
    let seal = files::secret(&data.join("seal.key"), entropy.as_ref())?;
    let parts = scm::Parts {
        group: scm_group,
        machine: scm_machine,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        authority: None,
    };
    let scm = scm::ScmService::start(compose::scm_config(&config, Replication::One), parts, roles.clone())?;

    let parts = datanode::Parts {
        raft: host.clone(),
        scm: Arc::clone(&scm) as Arc<dyn Scm>,
        peers: Arc::new(HttpBlocks::new(Arc::new(compose::NoDial))),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        shutdown: roles.clone(),
    };
    let datanode = datanode::Datanode::start(compose::datanode_config(&config, &data, None), parts).await?;

    let om_machine = om::open_machine(&data.join("om"))?;
    let om_group = lone_group(&host, OM_GROUP, Arc::clone(&om_machine) as Arc<dyn StateMachine>).await?;
    let om = om::OmService::start(
        compose::om_config(&config, Replication::One, seal)?,
        om_group.clone(),
        om_machine,
        Arc::clone(&scm) as Arc<dyn Scm>,
        Arc::clone(&clock),
        Arc::clone(&entropy),
        roles.clone(),
    )?;
    compose::until_leading(&om_group, READY_WITHIN).await?;
    let mut rest = bootstrap::Rest::all(wanted);
    if let Some(wrong) = rest.ensure(om.as_ref(), entropy.as_ref()).await.into_iter().next() {
        return Err(wrong.into());
    }
    let (tried_on, tried_with, group) = (Arc::clone(&om), Arc::clone(&entropy), om_group.clone());
    roles.spawn_until(async move { rest.ensure_all(tried_on.as_ref(), &group, tried_with.as_ref()).await });
    compose::until_writable(om.as_ref(), entropy.as_ref(), WRITABLE_WITHIN).await;

    let audit = compose::audit(&config)?;
    let gateway = gateway::Gateway::with_audit(
        compose::gateway_config(&config)?,
        Arc::clone(&om) as Arc<dyn om_api::Om>,
        datanode,
        Arc::clone(&clock),
        Arc::clone(&entropy),
        shutdown.clone(),
        Arc::clone(&audit),
    );
    let gateway = compose::with_doors(gateway, website, s3.tls);
    let admin = Arc::new(Admin {
        ready: Arc::clone(&ready),
        metrics,
        clock,
        entropy,
        operations: Some(Operations {
            om_members: MembersOf(vec![(here(), Arc::clone(&om) as Arc<dyn om_api::Om>)]),
            scm_members: MembersOf(vec![(here(), Arc::clone(&scm) as Arc<dyn Scm>)]),
            om,
            scm,
            authenticator: gateway.authenticator(),
            s3: S3Hosts::new(&config.gateway.domains, s3.listener.local_addr()?.port(), admin_door.listener.local_addr()?.port()),
            iam: gateway.iam(),
            audit,
        }),
    });
    ready.set(true);
    info!(s3 = %s3.listener.local_addr()?, admin = %admin_door.listener.local_addr()?, data = %data.display(), "serving");

    let outcome = tokio::select! {
        served = gateway.serve(s3.listener) => served.map_err(Failed::from),
        served = admin::serve(admin_door, admin, shutdown.clone()) => served.map_err(Failed::from),
        fault = host.failed() => Err(fault.into()),
    };
    ready.end();
    stages.stop().await;
    outcome
}

/// The endpoint of a member that nobody calls from outside.
fn here() -> Endpoint {
    Endpoint("local".to_owned())
}

/// A group whose only member is this process.
async fn lone_group(host: &RaftHost, group: GroupId, machine: Arc<dyn StateMachine>) -> Result<Group, Failed> {
    const ME: MemberId = MemberId(1);
    let running = host.start_group(group, ME, machine).await?;
    if !running.is_initialised() {
        running.bootstrap(BTreeMap::from([(ME, here())])).await?;
    }
    compose::until_leading(&running, READY_WITHIN).await?;
    Ok(running)
}
