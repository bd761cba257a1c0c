//! The four roles, each from its certificate to its end.

use std::path::PathBuf;
use std::sync::Arc;

use datanode_api::HttpBlocks;
use om_api::{Om, OmClient, OmServer};
use pki::{JoinToken, NodeIdentity, PeerRole, Tls, enroll};
use raft_node::{ConnectTransport, RaftHost, StateMachine};
use rpc::{Connect, LeaderCaller, Pool, PoolOptions, Service, Services};
use scm_api::{Scm, ScmClient, ScmServer};
use tracing::info;
use types::{Endpoint, Replication};

use super::compose::{self, Members, OM_GROUP, SCM_GROUP, Stages};
use super::formation::{FormationServer, Forming};
use super::identity::{self, FirstContact, ScmSigner};
use super::renewal;
use crate::admin::{self, Admin, MembersOf, Operations, Readiness, S3Hosts};
use crate::config::{Config, Wanted};
use crate::process::{Failed, Parts};
use crate::tls::Door;
use crate::{bootstrap, files, tls};

/// What every role has before it is anything in particular.
struct Start {
    config: Config,
    data: PathBuf,
    name: String,
    token: JoinToken,
    ready: Arc<Readiness>,
    parts: Parts,
    stages: Stages,
    _lock: std::fs::File,
}

impl Start {
    async fn new(config: Config, parts: Parts) -> Result<(Self, Door), Failed> {
        let data = config.data()?.to_owned();
        let lock = files::lock(&data)?;
        let name = config.node()?.to_owned();
        let token = JoinToken::parse(&config.join_token()?)?;
        let admin_door = tls::open(config.admin.addr, &config.admin.tls, "admin", &parts).await?;
        let ready = Arc::new(Readiness::default());
        let stages = Stages::new(parts.shutdown.clone());
        Ok((Self { config, data, name, token, ready, parts, stages, _lock: lock }, admin_door))
    }

    fn scms(&self) -> Result<Members, Failed> {
        Ok(Members::new("scm", &self.config.scm.nodes)?)
    }

    async fn enter(&self, role: PeerRole, folder: &str) -> Result<Tls, Failed> {
        let folder = self.data.join(folder);
        let scms = self.scms()?.endpoints();
        let identity = identity::enter(&folder, role, &identity::node_name(&self.name)?, &self.token, &scms).await?;
        self.with_renewal(identity, folder, scms)
    }

    fn with_renewal(&self, identity: NodeIdentity, folder: PathBuf, scms: Vec<Endpoint>) -> Result<Tls, Failed> {
        let tls = Tls::new(identity)?;
        renewal::start(tls.clone(), folder, scms, Arc::clone(&self.parts.clock), &self.stages.roles);
        Ok(tls)
    }

    fn pool(&self, tls: Tls) -> Pool {
        Pool::new(tls, PoolOptions::default(), &self.stages.roles)
    }

    fn scm_client(&self, pool: &Pool) -> Result<Arc<dyn Scm>, Failed> {
        let scms = self.scms()?.endpoints();
        Ok(Arc::new(ScmClient(LeaderCaller::new(&pool.expecting(PeerRole::Scm), &scms))))
    }

    fn om_client(&self, pool: &Pool) -> Result<Arc<dyn Om>, Failed> {
        let oms = Members::new("om", &self.config.om.nodes)?.endpoints();
        Ok(Arc::new(OmClient(LeaderCaller::new(&pool.expecting(PeerRole::Om), &oms))))
    }

    fn om_members(&self, pool: &Pool) -> Result<MembersOf<dyn Om>, Failed> {
        let pool = pool.expecting(PeerRole::Om);
        let oms = Members::new("om", &self.config.om.nodes)?.endpoints().into_iter();
        Ok(MembersOf(
            oms.map(|om| {
                let client = OmClient(pool.caller(&om));
                (om, Arc::new(client) as Arc<dyn Om>)
            })
            .collect(),
        ))
    }

    fn scm_members(&self, pool: &Pool) -> Result<MembersOf<dyn Scm>, Failed> {
        let pool = pool.expecting(PeerRole::Scm);
        let scms = self.scms()?.endpoints().into_iter();
        Ok(MembersOf(
            scms.map(|scm| {
                let client = ScmClient(pool.caller(&scm));
                (scm, Arc::new(client) as Arc<dyn Scm>)
            })
            .collect(),
        ))
    }

    fn admin(&self, operations: Option<Operations>) -> Arc<Admin> {
        Arc::new(Admin {
            ready: Arc::clone(&self.ready),
            metrics: self.parts.metrics.clone(),
            clock: Arc::clone(&self.parts.clock),
            entropy: Arc::clone(&self.parts.entropy),
            operations,
        })
    }
}

pub(crate) async fn scm(config: Config, parts: Parts) -> Result<(), Failed> {
    let (start, admin_door) = Start::new(config, parts).await?;
    let Parts { clock, entropy, shutdown, .. } = start.parts.clone();
    let members = start.scms()?;
    let roster = members.roster(&start.name)?;
    let listen = compose::listen_address(&roster.me)?;
    let folder = start.data.join("pki");
    let entered = identity::enter_as_scm(
        FirstContact {
            folder: &folder,
            name: &identity::node_name(&start.name)?,
            token: &start.token,
            listen,
            others: roster.others().cloned().collect(),
            may_found: roster.is_founder(),
        },
        &clock,
        &entropy,
        &shutdown,
    )
    .await?;
    let signer = Arc::new(ScmSigner::new(start.token.clone(), entered.authority.as_deref(), Arc::clone(&clock))?);
    let tls = start.with_renewal(entered.identity, folder, roster.others().cloned().collect())?;
    let pool = start.pool(tls.clone());
    let connect: Arc<dyn Connect> = Arc::new(pool.expecting(PeerRole::Scm));

    let transport = Arc::new(ConnectTransport::new(Arc::clone(&connect)));
    let host =
        RaftHost::open(compose::host_config(&start.config, &start.data, PeerRole::Scm), transport, start.stages.log.clone())
            .await?;
    let machine = compose::open_scm_machine(&start.data.join("scm"))?;
    let forming = Forming::open(&start.data, Arc::clone(&entropy))?;
    let service = Arc::new(compose::Late::new(2));
    let services = Services::new([
        host.service(),
        Arc::new(FormationServer(Arc::clone(&forming))) as Arc<dyn Service>,
        Arc::clone(&service) as Arc<dyn Service>,
    ])
    .with_enrolment(Arc::new(enroll::Server::new(Arc::clone(&signer) as Arc<dyn enroll::Signer>)));
    start.stages.roles.spawn(rpc::serve(compose::listen(listen).await?, tls, services, start.stages.roles.clone()));

    let admin = start.stages.roles.spawn(admin::serve(admin_door, start.admin(None), shutdown.clone()));
    let group = forming
        .run(&roster, SCM_GROUP, &host, Arc::clone(&machine) as Arc<dyn StateMachine>, connect.as_ref(), &shutdown)
        .await?;
    let genesis = entered.authority.as_deref().map(pki::ClusterCa::from_pem).transpose()?.map(Arc::new);
    let scm = scm::ScmService::start(
        compose::scm_config(&start.config, Replication::Three),
        scm::Parts {
            group: group.clone(),
            machine,
            clock,
            entropy,
            authority: Some(scm::AuthorityParts { join_tokens: vec![start.token.clone()], genesis }),
        },
        start.stages.roles.clone(),
    )?;
    signer.hand_over(Arc::clone(&scm) as Arc<dyn enroll::Signer>);
    service.begin(Arc::new(ScmServer(scm)));
    start.stages.roles.spawn_until(compose::watch_group(group, Arc::clone(&start.ready)));
    info!(name = start.name, %listen, "scm serving");
    until_stopped(admin, &host, &start.stages, &start.ready).await
}

pub(crate) async fn om(config: Config, parts: Parts) -> Result<(), Failed> {
    let (start, admin_door) = Start::new(config, parts).await?;
    let Parts { clock, entropy, shutdown, .. } = start.parts.clone();
    let roster = Members::new("om", &start.config.om.nodes)?.roster(&start.name)?;
    let listen = compose::listen_address(&roster.me)?;
    let tls = start.enter(PeerRole::Om, "pki").await?;
    let pool = start.pool(tls.clone());
    let connect: Arc<dyn Connect> = Arc::new(pool.expecting(PeerRole::Om));
    let scm = start.scm_client(&pool)?;

    let transport = Arc::new(ConnectTransport::new(Arc::clone(&connect)));
    let host =
        RaftHost::open(compose::host_config(&start.config, &start.data, PeerRole::Om), transport, start.stages.log.clone())
            .await?;
    let machine = om::open_machine(&start.data.join("om"))?;
    let forming = Forming::open(&start.data, Arc::clone(&entropy))?;
    let service = Arc::new(compose::Late::new(1));
    let services = Services::new([
        host.service(),
        Arc::new(FormationServer(Arc::clone(&forming))) as Arc<dyn Service>,
        Arc::clone(&service) as Arc<dyn Service>,
    ]);
    start.stages.roles.spawn(rpc::serve(compose::listen(listen).await?, tls, services, start.stages.roles.clone()));

    let admin = start.stages.roles.spawn(admin::serve(admin_door, start.admin(None), shutdown.clone()));
    let group =
        forming.run(&roster, OM_GROUP, &host, Arc::clone(&machine) as Arc<dyn StateMachine>, connect.as_ref(), &shutdown).await?;
    let om = om::OmService::start(
        compose::om_config(&start.config, Replication::Three, compose::secrets_key(&start.token))?,
        group.clone(),
        machine,
        scm,
        Arc::clone(&clock),
        Arc::clone(&entropy),
        start.stages.roles.clone(),
    )?;
    service.begin(Arc::new(OmServer(Arc::clone(&om))));
    start.stages.roles.spawn_until(bootstrap_whenever_leading(om, group.clone(), start.config.wanted()?, entropy));
    start.stages.roles.spawn_until(compose::watch_group(group, Arc::clone(&start.ready)));
    info!(name = start.name, %listen, "om serving");
    until_stopped(admin, &host, &start.stages, &start.ready).await
}

/// Whoever comes to lead makes the users and buckets that its configuration names, once in the life of the process: another election
/// must not bring back what was taken away since.
async fn bootstrap_whenever_leading(
    om: Arc<om::OmService>,
    group: raft_node::Group,
    wanted: Wanted,
    entropy: Arc<dyn runtime::Entropy>,
) {
    bootstrap::Rest::all(wanted).ensure_all(om.as_ref(), &group, entropy.as_ref()).await;
}

pub(crate) async fn datanode(config: Config, parts: Parts) -> Result<(), Failed> {
    let (start, admin_door) = Start::new(config, parts).await?;
    let Parts { clock, entropy, shutdown: clients, .. } = start.parts.clone();
    let tls = start.enter(PeerRole::Datanode, "pki").await?;
    let pool = start.pool(tls.clone());
    let scm = start.scm_client(&pool)?;
    let connect: Arc<dyn Connect> = Arc::new(pool.expecting(PeerRole::Datanode));

    let rpc_listener = compose::listen(start.config.datanode.rpc_addr).await?;
    let data_listener = compose::listen(start.config.datanode.data_addr).await?;
    let transport = Arc::new(ConnectTransport::new(connect));
    let host =
        RaftHost::open(compose::host_config(&start.config, &start.data, PeerRole::Datanode), transport, start.stages.log.clone())
            .await?;
    start.stages.roles.spawn(rpc::serve(rpc_listener, tls.clone(), Services::new([host.service()]), start.stages.roles.clone()));

    let admin = start.stages.roles.spawn(admin::serve(admin_door, start.admin(None), clients));
    let peers = Arc::new(HttpBlocks::new(Arc::new(compose::TlsDial::new(tls.clone()))));
    let config = compose::datanode_config(&start.config, &start.data, Some(&start.name));
    let shutdown = start.stages.roles.clone();
    let parts = datanode::Parts { raft: host.clone(), scm, peers, clock, entropy, shutdown: shutdown.clone() };
    let datanode = datanode::Datanode::start(config, parts).await?;
    let accept = Arc::new(compose::TlsAccept(tls));
    start.stages.roles.spawn(datanode::serve(Arc::clone(&datanode), data_listener, accept, shutdown));
    start.stages.roles.spawn_until(compose::watch_datanode(datanode, Arc::clone(&start.ready)));
    info!(name = start.name, data = %start.config.datanode.data_addr, "datanode serving");
    until_stopped(admin, &host, &start.stages, &start.ready).await
}

pub(crate) async fn gateway(config: Config, parts: Parts) -> Result<(), Failed> {
    let (start, admin_door) = Start::new(config, parts).await?;
    let Parts { clock, entropy, shutdown, .. } = start.parts.clone();
    let s3 = tls::open(start.config.gateway.s3_addr, &start.config.gateway.tls, "gateway", &start.parts).await?;
    let website = compose::listen_website(&start.config).await?;
    let tls = start.enter(PeerRole::Gateway, "pki").await?;
    let pool = start.pool(tls.clone());
    let om = start.om_client(&pool)?;
    // Administrators act under a certificate of their own: a gateway's opens nothing but the namespace and blocks.
    let admin_pool = start.pool(start.enter(PeerRole::Admin, "pki-admin").await?);
    let (admin_om, admin_scm) = (start.om_client(&admin_pool)?, start.scm_client(&admin_pool)?);

    let audit = compose::audit(&start.config)?;
    let blocks = Arc::new(HttpBlocks::new(Arc::new(compose::TlsDial::new(tls))));
    let gateway = gateway::Gateway::with_audit(
        compose::gateway_config(&start.config)?,
        Arc::clone(&om),
        blocks,
        clock,
        Arc::clone(&entropy),
        shutdown.clone(),
        Arc::clone(&audit),
    );
    let gateway = compose::with_doors(gateway, website, s3.tls);
    let operations = Operations {
        om: admin_om,
        scm: admin_scm,
        om_members: start.om_members(&admin_pool)?,
        scm_members: start.scm_members(&admin_pool)?,
        authenticator: gateway.authenticator(),
        s3: S3Hosts::new(
            &start.config.gateway.domains,
            s3.listener.local_addr()?.port(),
            admin_door.listener.local_addr()?.port(),
        ),
        iam: gateway.iam(),
        audit,
    };
    let admin = start.admin(Some(operations));
    let admin = start.stages.roles.spawn(admin::serve(admin_door, admin, shutdown.clone()));
    start.stages.roles.spawn_until(compose::watch_readiness(om, Arc::clone(&start.ready), entropy));
    info!(name = start.name, s3 = %s3.listener.local_addr()?, "gateway serving");
    let outcome = tokio::select! {
        served = gateway.serve(s3.listener) => served.map_err(Failed::from),
        stopped = admin => stopped.map_err(Failed::from).and_then(|served| served.map_err(Failed::from)),
    };
    start.ready.end();
    start.stages.stop().await;
    outcome
}

async fn until_stopped(
    admin: tokio::task::JoinHandle<std::io::Result<()>>,
    host: &RaftHost,
    stages: &Stages,
    ready: &Readiness,
) -> Result<(), Failed> {
    let outcome = tokio::select! {
        () = stages.clients.started() => Ok(()),
        stopped = admin => stopped.map_err(Failed::from).and_then(|served| served.map_err(Failed::from)),
        fault = host.failed() => Err(fault.into()),
    };
    ready.end();
    stages.stop().await;
    outcome
}
