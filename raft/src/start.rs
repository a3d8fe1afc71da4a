//! How a node starts: whose disk is this, open the listener, then form, join or go on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hellojohn_control::FORMAT;
use tokio_util::task::TaskTracker;

use crate::bootstrap::forming;
use crate::identity::{IdentityStore, master_keys};
use crate::machine::Views;
use crate::membership::raise;
use crate::network::{
    AddressBook, ClientLimits, Contacts, Dialer, LocalNode, PeerServer, PeerTls, Security, ServerLimits,
};
use crate::node::Node;
use crate::peers::Peers;
use crate::project::{Projector, ProjectorSettings, has_foreign_files};
use crate::running::StartError;
use crate::settings::{EmbeddedSettings, Mode, NowFn, Settings};
use crate::shared::{Shared, SharedParts};
use crate::stage::Stage;

/// Starts a node; see [`Node::start`].
pub(crate) async fn start(settings: Settings) -> Result<Node, StartError> {
    let raft_dir = settings.root.join("raft");
    let OpenDisk { identity, stage, orphaned, keys_kept } = open_disk(&settings, &raft_dir).await?;
    let formats = BTreeMap::from([
        ("log".to_owned(), 1),
        ("snapshot".to_owned(), 1),
        (raise::NAME.to_owned(), u32::from(FORMAT)),
    ]);
    let local = Arc::new(LocalNode::new(&settings.name, env!("CARGO_PKG_VERSION"), formats));
    local.take_seat(stage.seat(&settings.name));
    let security = security(&settings)?;
    let addresses = match &settings.mode {
        Mode::Single => BTreeMap::new(),
        Mode::Embedded(embedded) => embedded.nodes.clone(),
    };
    let dialer = Dialer::new(
        Arc::clone(&local),
        security.clone(),
        AddressBook::new(addresses),
        ClientLimits::default(),
    );
    let views = Views::empty(settings.issuer.clone());
    let projector = Projector::start(
        settings.root.clone(),
        views.subscribe(),
        ProjectorSettings { scan_interval: settings.scan_interval, now: projector_clock(&settings.now) },
    )?;
    let contacts = Arc::new(Contacts::default());
    let tls = match &security {
        Security::Tls(tls) => Some(Arc::clone(tls)),
        Security::PlainLoopback | Security::PlainAnywhere => None,
    };
    let parts = SharedParts {
        settings,
        raft_dir,
        local,
        dialer,
        tls,
        contacts,
        identity,
        orphaned,
        keys_kept,
        views,
    };
    let shared = Arc::new(Shared::new(parts));
    let server = listen(&shared, security).await?;
    let tasks = TaskTracker::new();
    let node = Node::new(shared, projector, server, tasks.clone());
    tasks.spawn(forming::run(node.clone()));
    Ok(node)
}

/// What a node finds on its disk.
struct OpenDisk {
    identity: IdentityStore,
    stage: Stage,
    /// Its `raft/` is empty, and its files are not.
    orphaned: bool,
    /// It says which master keys it is for, and they are this node's.
    keys_kept: bool,
}

async fn open_disk(settings: &Settings, raft_dir: &Path) -> Result<OpenDisk, StartError> {
    let (name, root, raft_dir) = (settings.name.clone(), settings.root.clone(), raft_dir.to_owned());
    let fingerprints = settings.fingerprints.clone();
    tokio::task::spawn_blocking(move || {
        crate::durable::create_dir_all_durably(&raft_dir)?;
        let identity = IdentityStore::load_or_create(&raft_dir, &name)?;
        let keys_kept = master_keys::check(&raft_dir, &fingerprints)?;
        let stage = Stage::of(identity.identity()).map_err(StartError::Storage)?;
        let orphaned = stage == Stage::Pristine && has_foreign_files(&root)?;
        Ok(OpenDisk { identity, stage, orphaned, keys_kept })
    })
    .await
    .map_err(|e| StartError::Storage(e.to_string()))?
}

fn security(settings: &Settings) -> Result<Security, StartError> {
    let Mode::Embedded(EmbeddedSettings { tls, allow_plaintext, .. }) = &settings.mode else {
        return Ok(Security::PlainLoopback);
    };
    Ok(match tls {
        Some(tls) => {
            let material = tls.parse(settings.now.now())?;
            Security::Tls(Arc::new(PeerTls::new(material, &settings.name, tls.server_name.as_deref())?))
        }
        None if *allow_plaintext => Security::PlainAnywhere,
        None => Security::PlainLoopback,
    })
}

async fn listen(shared: &Arc<Shared>, security: Security) -> Result<Option<PeerServer>, StartError> {
    let Mode::Embedded(embedded) = &shared.settings.mode else { return Ok(None) };
    let handler = Arc::new(Peers(Arc::clone(shared)));
    let addr = embedded.bind.to_string();
    let server =
        PeerServer::bind(&addr, Arc::clone(&shared.local), security, handler, ServerLimits::default())
            .await?;
    tracing::info!(addr = %server.local_addr(), "listening for peers");
    Ok(Some(server))
}

fn projector_clock(now: &NowFn) -> crate::project::Clock {
    let now = now.clone();
    Arc::new(move || now.now())
}
