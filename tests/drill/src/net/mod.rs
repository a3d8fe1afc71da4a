//! How the nodes reach each other, and how they are parted.
//!
//! As root each node lives in a network namespace of its own, behind one bridge, and the packet filter parts them.
//! Otherwise all are on the loopback, and every Raft link goes through a proxy of this process that holds the bytes
//! back. Clients stand beside the bridge and always reach every node.

pub mod frames;
pub mod links;
pub mod namespaces;
pub mod proxy;

use std::fmt;

use tokio::process::Command;

use links::Links;

/// Number of nodes in a drill.
pub const NODES: usize = 3;

const HTTP_PORT: u16 = 8080;
const RAFT_PORT: u16 = 8200;
/// First of the ports on the loopback, and of those of the proxies.
const BASE: u16 = 17_100;

/// Where the nodes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Each in a network namespace of its own.
    Namespaces,
    /// All on the loopback.
    Loopback,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces",
            Self::Loopback => "loopback",
        })
    }
}

/// The network of one cluster.
#[derive(Debug)]
pub struct Net {
    place: Place,
    links: Links,
    filtered: bool,
    dropped: u64,
}

impl Net {
    /// Makes it. What an interrupted run left behind is removed first.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn up(place: Place) -> Result<Self, String> {
        if place == Place::Namespaces {
            namespaces::down().await;
            namespaces::up().await?;
        }
        Ok(Self { place, links: Links::default(), filtered: false, dropped: 0 })
    }

    /// Where the nodes are.
    pub fn place(&self) -> Place {
        self.place
    }

    /// State of the links, which the proxies obey.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Host and port of a node's API.
    pub fn http(&self, node: usize) -> String {
        self.address(node, HTTP_PORT, 0)
    }

    /// Host and port of a node's peer listener.
    pub fn raft(&self, node: usize) -> String {
        self.address(node, RAFT_PORT, 10)
    }

    fn address(&self, node: usize, port: u16, offset: u16) -> String {
        match self.place {
            Place::Namespaces => format!("{}:{port}", namespaces::address(node)),
            Place::Loopback => format!("127.0.0.1:{}", BASE + offset + small(node)),
        }
    }

    /// Host and port of the proxy through which `from` reaches `to`.
    pub fn proxy(&self, from: usize, to: usize) -> String {
        let host = match self.place {
            Place::Namespaces => namespaces::OUTSIDE,
            Place::Loopback => "127.0.0.1",
        };
        format!("{host}:{}", BASE + 100 + small(from) * 10 + small(to))
    }

    /// A command that runs `program` where the node is.
    pub fn command(&self, node: usize, program: &str) -> Command {
        match self.place {
            Place::Namespaces => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &namespaces::name(node), program]);
                command
            }
            Place::Loopback => Command::new(program),
        }
    }

    /// From now on nothing that `from` sends reaches `to`. `filter`: by the packet filter; else by the proxies.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub async fn cut(&mut self, from: usize, to: usize, filter: bool) -> Result<(), String> {
        if filter {
            self.filtered = true;
            namespaces::drop_packets(from, to, None).await
        } else {
            self.links.change(|state| state.cut(from, to));
            Ok(())
        }
    }

    /// From now on `percent` of the packets between the nodes are lost. Needs namespaces.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub async fn lose(&mut self, percent: u8) -> Result<(), String> {
        self.filtered = true;
        for from in 0..NODES {
            for to in (0..NODES).filter(|to| *to != from) {
                namespaces::drop_packets(from, to, Some(percent)).await?;
            }
        }
        Ok(())
    }

    /// Undoes every cut, loss and delay.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub async fn heal(&mut self) -> Result<(), String> {
        self.links.change(|state| *state = links::State::default());
        if self.filtered {
            self.filtered = false;
            for node in 0..NODES {
                self.dropped += namespaces::dropped(node).await;
                namespaces::forget_rules(node).await?;
            }
        }
        Ok(())
    }

    /// Packets that the packet filter dropped so far, until the last healing.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Removes it.
    pub async fn down(self) {
        if self.place == Place::Namespaces {
            namespaces::down().await;
        }
    }
}

fn small(node: usize) -> u16 {
    u16::try_from(node).unwrap_or(u16::MAX)
}
