//! Certificates that are replaced while the process runs: those of the peer connections and of the public listener.
//!
//! The files are looked at every few seconds. What cannot be used, such as a certificate whose key has not been written
//! yet, is told once and tried again; the old ones stay in use meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::Timestamp;

use super::tls::ServerTls;
use crate::cluster::{ControlPlane, PeerPem};
use crate::config::cluster::{RaftTls, Security};
use crate::config::value::pem::Pem;
use crate::config::{Config, Secret};

/// How often the files are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(2);
/// How long a look may take, hand-over included.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// A leader whose certificate ends this soon hands over: its peers would turn it down.
const MARGIN: Duration = Duration::from_secs(60);

/// What is in use, and where new ones come from.
pub(super) struct Certificates {
    plane: ControlPlane,
    peers: Option<Box<RaftTls>>,
    server: Option<(Pem, Pem, ServerTls)>,
    state: Mutex<State>,
}

/// What was read last and is in use.
#[derive(Default)]
struct State {
    peers: Option<[Secret; 3]>,
    server: Option<[Secret; 2]>,
    /// End of the certificate before which this node has handed over.
    handed_over: Option<Timestamp>,
}

impl Certificates {
    /// Those that the configuration names.
    pub(super) fn new(config: &Config, plane: ControlPlane, server: Option<ServerTls>) -> Self {
        let peers = config.cluster.embedded.as_ref().and_then(|embedded| match &embedded.security {
            Security::Tls(tls) => Some(tls.clone()),
            Security::LoopbackPlaintext | Security::AllowedPlaintext => None,
        });
        let server =
            config.server.tls().zip(server).map(|((cert, key), tls)| (cert.clone(), key.clone(), tls));
        let state = State {
            peers: peers
                .as_ref()
                .map(|tls| [tls.cert.text.clone(), tls.key.text.clone(), tls.ca.text.clone()]),
            server: server.as_ref().map(|(cert, key, _)| [cert.text.clone(), key.text.clone()]),
            handed_over: None,
        };
        Self { plane, peers, server, state: Mutex::new(state) }
    }

    /// Looks once.
    ///
    /// # Errors
    /// Why new files are not used; the old ones go on.
    pub(super) async fn look(self: Arc<Self>) -> Result<(), String> {
        let looker = Arc::clone(&self);
        let (peers, server) =
            tokio::task::spawn_blocking(move || (looker.renew_peers(), looker.renew_server()))
                .await
                .map_err(|error| error.to_string())?;
        self.mind_the_end().await;
        peers.and(server)
    }

    fn renew_peers(&self) -> Result<(), String> {
        let Some(tls) = &self.peers else { return Ok(()) };
        let read = [reread(&tls.cert)?, reread(&tls.key)?, reread(&tls.ca)?];
        if self.state().peers.as_ref().is_some_and(|used| same(used, &read)) {
            return Ok(());
        }
        let [cert, key, ca] = &read;
        let pem = PeerPem {
            cert_pem: cert.expose().to_owned(),
            key_pem: key.expose().to_owned(),
            ca_pem: ca.expose().to_owned(),
            server_name: tls.server_name.clone(),
        };
        let ends = self.plane.renew_certificates(&pem).map_err(|error| error.to_string())?;
        tracing::info!(%ends, "new certificates for the peer connections are in use");
        self.state().peers = Some(read);
        Ok(())
    }

    fn renew_server(&self) -> Result<(), String> {
        let Some((cert, key, tls)) = &self.server else { return Ok(()) };
        let read = [reread(cert)?, reread(key)?];
        if self.state().server.as_ref().is_some_and(|used| same(used, &read)) {
            return Ok(());
        }
        tls.renew(&read[0], &read[1]).map_err(|error| error.to_string())?;
        tracing::info!("new certificates for the public listener are in use");
        self.state().server = Some(read);
        Ok(())
    }

    /// Hands the leadership over before the own certificate ends, once for each certificate.
    async fn mind_the_end(&self) {
        let Some(ends) = self.plane.certificate_ends() else { return };
        let near = self.plane.now().plus(MARGIN) >= ends;
        if !near || self.state().handed_over == Some(ends) || self.plane.may_write().is_err() {
            return;
        }
        tracing::error!(%ends, "the certificate for the peer connections ends; this node hands over");
        match self.plane.hand_over(None).await {
            Ok(_) => self.state().handed_over = Some(ends),
            // Tried again at the next look.
            Err(error) => tracing::error!(%error, "the leadership could not be handed over"),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reread(pem: &Pem) -> Result<Secret, String> {
    pem.source
        .load(pem.kind)
        .map(|pem| pem.text)
        .map_err(|invalid| format!("{}; {}", invalid.reason, invalid.remedy))
}

fn same<const N: usize>(a: &[Secret; N], b: &[Secret; N]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.expose() == b.expose())
}
