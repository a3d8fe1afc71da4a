//! A cluster of three processes with mutual TLS between them, without PostgreSQL.

pub mod directory;
pub mod settings;
pub mod status;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::net::frames;
use crate::net::proxy::{Link, Proxy};
use crate::net::{NODES, Net, Place};
use crate::process::Process;
use crate::shell;
use crate::waiting::until;

use directory::Directory;
use settings::Settings;

/// How long anything of a cluster that works may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What passes between the nodes goes through this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    /// Nothing but the bridge.
    Direct,
    /// A proxy on each link, which moves bytes.
    Proxied,
    /// A proxy on each link, which moves messages and can lose single ones.
    Messages,
}

/// Three nodes.
#[derive(Debug)]
pub struct Cluster {
    /// The network between them.
    pub net: Net,
    /// What the clients need to know.
    pub directory: Arc<Directory>,
    settings: Settings,
    wiring: Wiring,
    proxies: Vec<Proxy>,
    nodes: [Option<Process>; NODES],
}

impl Cluster {
    /// Makes certificates, configuration and network below `work`, forms the cluster directly, and restarts it on the
    /// wanted wiring: nodes that form a cluster must agree on the addresses, and every link has one of its own.
    ///
    /// # Errors
    /// When something cannot be made, or the cluster does not form.
    pub async fn start(settings: Settings, place: Place, wiring: Wiring) -> Result<Self, String> {
        settings.make_certificates().await?;
        let net = Net::up(place).await?;
        let directory = Arc::new(Directory::new([0, 1, 2].map(|node| net.http(node)))?);
        let wiring =
            if place == Place::Loopback && wiring == Wiring::Direct { Wiring::Proxied } else { wiring };
        let nodes = [None, None, None];
        let mut cluster =
            Self { net, directory, settings, wiring: Wiring::Direct, proxies: Vec::new(), nodes };
        cluster.settings.prepare().await?;
        cluster.start_all()?;
        cluster.healthy().await?;
        if wiring != Wiring::Direct {
            cluster.stop_all().await?;
            cluster.wire(wiring).await?;
            cluster.start_all()?;
            cluster.healthy().await?;
        }
        Ok(cluster)
    }

    async fn wire(&mut self, wiring: Wiring) -> Result<(), String> {
        self.wiring = wiring;
        for from in 0..NODES {
            for to in (0..NODES).filter(|to| *to != from) {
                let (listen, target) = (self.net.proxy(from, to), self.net.raft(to));
                let link = Link { from, to, listen, target };
                let links = self.net.links();
                self.proxies.push(match wiring {
                    Wiring::Messages => frames::proxy(&link, links, &self.settings.certificates(), 1).await?,
                    Wiring::Direct | Wiring::Proxied => Proxy::of_bytes(&link, links).await?,
                });
            }
        }
        Ok(())
    }

    /// Whether the packet filter can part the nodes; else the proxies do.
    pub fn filters(&self) -> bool {
        self.wiring == Wiring::Direct && self.net.place() == Place::Namespaces
    }

    /// The settings, to be changed for nodes that are started from now on.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Directory of a node's control plane.
    pub fn root(&self, node: usize) -> PathBuf {
        self.settings.root(node)
    }

    /// Directory of everything of this cluster.
    pub fn work(&self) -> &Path {
        &self.settings.work
    }

    /// The environment of a node.
    fn env(&self, node: usize) -> BTreeMap<String, String> {
        let peers: Vec<String> = (0..NODES)
            .map(|peer| {
                let through_proxy = peer != node && self.wiring != Wiring::Direct;
                if through_proxy { self.net.proxy(node, peer) } else { self.net.raft(peer) }
            })
            .collect();
        let http = [0, 1, 2].map(|node| self.net.http(node));
        self.settings.env(node, &self.net.raft(node), &peers, &http)
    }

    /// Starts a node, unless it runs.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_node(&mut self, node: usize) -> Result<(), String> {
        if self.runs(node) {
            return Ok(());
        }
        let mut command = self.net.command(node, &self.settings.binary.display().to_string());
        command.args(["serve", "--env"]);
        let (env, work, log) = (self.env(node), self.settings.work.clone(), self.settings.log(node));
        let process = Process::start(&settings::name(node), command, &env, &work, &log)?;
        self.directory.restarted(node);
        *self.place(node)? = Some(process);
        Ok(())
    }

    /// Starts every node that does not run.
    ///
    /// # Errors
    /// As [`Self::start_node`].
    pub fn start_all(&mut self) -> Result<(), String> {
        (0..NODES).try_for_each(|node| self.start_node(node))
    }

    fn place(&mut self, node: usize) -> Result<&mut Option<Process>, String> {
        self.nodes.get_mut(node).ok_or_else(|| format!("there is no node{}", node + 1))
    }

    /// The process of a node.
    ///
    /// # Errors
    /// When it was not started.
    pub fn process(&mut self, node: usize) -> Result<&mut Process, String> {
        self.place(node)?.as_mut().ok_or_else(|| format!("node{} was not started", node + 1))
    }

    /// Whether a node's process is there.
    pub fn runs(&mut self, node: usize) -> bool {
        self.process(node).is_ok_and(|process| process.ended().is_ok_and(|status| status.is_none()))
    }

    /// Kills a node without a word.
    ///
    /// # Errors
    /// When it was not started.
    pub async fn kill9(&mut self, node: usize) -> Result<(), String> {
        self.process(node)?.kill9().await?;
        *self.place(node)? = None;
        Ok(())
    }

    /// Sends a signal to a node.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&mut self, node: usize, signal: Signal) -> Result<(), String> {
        self.process(node)?.signal(signal)
    }

    /// Waits until a node's process has ended.
    ///
    /// # Errors
    /// When it goes on.
    pub async fn ended(&mut self, node: usize, within: Duration) -> Result<ExitStatus, String> {
        let status = self.process(node)?.wait(within).await?;
        *self.place(node)? = None;
        Ok(status)
    }

    /// Stops a node in order.
    ///
    /// # Errors
    /// When it does not run, or does not end with success.
    pub async fn terminate(&mut self, node: usize) -> Result<(), String> {
        self.signal(node, Signal::SIGTERM)?;
        let status = self.ended(node, Duration::from_secs(30)).await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("node{} ended on SIGTERM with {status}", node + 1))
        }
    }

    async fn stop_all(&mut self) -> Result<(), String> {
        for node in 0..NODES {
            self.terminate(node).await?;
        }
        Ok(())
    }

    /// Waits until every node serves people and one leads; makes fresh tokens.
    ///
    /// # Errors
    /// When that does not come true; with what each node says.
    pub async fn healthy(&mut self) -> Result<usize, String> {
        for node in 0..NODES {
            let ready = until("ready", PATIENCE, async || {
                let status = self.directory.status(node).await;
                status.filter(|status| status.ready)
            });
            if ready.await.is_err() {
                return Err(self.complaint(node).await);
            }
        }
        let leader = self.leader(PATIENCE).await?;
        for node in 0..NODES {
            self.mint(node).await?;
        }
        Ok(leader)
    }

    async fn complaint(&mut self, node: usize) -> String {
        let said = match self.directory.readyz(node).await {
            Some(body) => body.to_string(),
            None => "does not answer".to_owned(),
        };
        let name = settings::name(node);
        let ended = self.process(node).ok().and_then(|process| process.ended().ok().flatten());
        let ended = ended.map_or_else(String::new, |status| format!(" and ended with {status}"));
        format!(
            "{name} was not ready within {} s{ended}: {said}; its log is {}",
            PATIENCE.as_secs(),
            self.settings.log(node).display()
        )
    }

    /// Waits until a node says that it leads.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader(&self, within: Duration) -> Result<usize, String> {
        self.leader_other_than(None, within).await
    }

    /// Waits until a node other than `not` says that it leads.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader_other_than(&self, not: Option<usize>, within: Duration) -> Result<usize, String> {
        until("a leader", within, async || {
            for node in (0..NODES).filter(|node| Some(*node) != not) {
                if self.directory.status(node).await.is_some_and(|status| status.leads) {
                    return Some(node);
                }
            }
            None
        })
        .await
    }

    /// Makes a token for a node from its files, by its clock.
    async fn mint(&self, node: usize) -> Result<(), String> {
        let mint = async || {
            let mut command = self.net.command(node, &self.settings.binary.display().to_string());
            command.args(["--env", "admin", "mint-token", "--ttl", "10m"]);
            command.env_clear().envs(self.env(node)).current_dir(self.work());
            shell::output(command).await
        };
        // The files follow the state; a node that has just come back may not have written its keys yet.
        let token = until("a token", PATIENCE, async || mint().await.ok()).await;
        let token = match token {
            Ok(token) => token,
            Err(_) => mint().await?,
        };
        self.directory.set_token(node, token);
        Ok(())
    }

    /// Makes fresh tokens at every node that has keys; a token lives for ten minutes.
    ///
    /// # Errors
    /// When a node's files give none.
    pub async fn refresh_tokens(&self) -> Result<(), String> {
        for node in 0..NODES {
            self.mint(node).await?;
        }
        Ok(())
    }

    /// Undoes what parts the nodes.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub async fn heal(&mut self) -> Result<(), String> {
        self.net.heal().await
    }

    /// Cuts what `from` sends to `to`.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub async fn cut(&mut self, from: usize, to: usize) -> Result<(), String> {
        let filter = self.filters();
        self.net.cut(from, to, filter).await
    }

    /// Cuts two nodes from each other.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub async fn part(&mut self, one: usize, other: usize) -> Result<(), String> {
        self.cut(one, other).await?;
        self.cut(other, one).await
    }

    /// Ends everything: processes, proxies, network, mounts.
    pub async fn end(mut self) {
        for node in 0..NODES {
            // Not there is as good as ended.
            let _gone = self.kill9(node).await;
        }
        for proxy in self.proxies {
            proxy.stop().await;
        }
        self.settings.unmount().await;
        self.net.down().await;
    }
}
