//! Network namespaces `hjd1` to `hjd3` behind the bridge `hjdbr`, and the packet filter in them. Needs root.

use crate::shell;

use super::NODES;

const BRIDGE: &str = "hjdbr";
const NET: &str = "10.79.77";

/// The bridge's own address, where the clients and the proxies are.
pub const OUTSIDE: &str = "10.79.77.254";

/// Name of a node's namespace.
pub fn name(node: usize) -> String {
    format!("hjd{}", node + 1)
}

/// Address of a node.
pub fn address(node: usize) -> String {
    format!("{NET}.{}", node + 1)
}

/// Makes bridge and namespaces.
pub(super) async fn up() -> Result<(), String> {
    shell::line(&format!("ip link add {BRIDGE} type bridge")).await?;
    shell::line(&format!("ip addr add {OUTSIDE}/24 dev {BRIDGE}")).await?;
    shell::line(&format!("ip link set {BRIDGE} up")).await?;
    for node in 0..NODES {
        let (name, inside, address) = (name(node), "eth0", address(node));
        let outside = format!("{BRIDGE}{}", node + 1);
        shell::line(&format!("ip netns add {name}")).await?;
        shell::line(&format!("ip link add {outside} type veth peer name {inside} netns {name}")).await?;
        shell::line(&format!("ip link set {outside} master {BRIDGE} up")).await?;
        shell::line(&format!("ip -n {name} addr add {address}/24 dev {inside}")).await?;
        shell::line(&format!("ip -n {name} link set {inside} up")).await?;
        shell::line(&format!("ip -n {name} link set lo up")).await?;
    }
    Ok(())
}

/// Removes all of it, as far as it is there, and kills what still runs inside.
pub(super) async fn down() {
    for node in 0..NODES {
        let name = name(node);
        let pids = shell::line(&format!("ip netns pids {name}")).await.unwrap_or_default();
        for pid in pids.split_whitespace() {
            // Gone is as good as killed, here and below.
            let _gone = shell::line(&format!("kill -KILL {pid}")).await;
        }
        // By name: a namespace outlives its name while sockets in it still wait to say goodbye, and its links with it.
        let _gone = shell::line(&format!("ip link del {BRIDGE}{}", node + 1)).await;
        let _gone = shell::line(&format!("ip netns del {name}")).await;
    }
    let _gone = shell::line(&format!("ip link del {BRIDGE}")).await;
}

/// Drops what `from` sends to `to`, all of it or a percentage. At the receiver, so that the sender notices nothing.
pub(super) async fn drop_packets(from: usize, to: usize, percent: Option<u8>) -> Result<(), String> {
    let chance = percent.map_or_else(String::new, |percent| {
        format!("-m statistic --mode random --probability {:.2}", f64::from(percent) / 100.0)
    });
    let (name, source) = (name(to), address(from));
    shell::line(&format!("ip netns exec {name} iptables -A INPUT -s {source} {chance} -j DROP"))
        .await
        .map(drop)
}

/// Packets that the rules of a node dropped.
pub(super) async fn dropped(node: usize) -> u64 {
    let listed = shell::line(&format!("ip netns exec {} iptables -nvxL INPUT", name(node))).await;
    let rules = listed.unwrap_or_default();
    let rules = rules.lines().filter(|line| line.contains("DROP"));
    rules.filter_map(|rule| rule.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

/// Removes every rule of a node.
pub(super) async fn forget_rules(node: usize) -> Result<(), String> {
    shell::line(&format!("ip netns exec {} iptables -F", name(node))).await.map(drop)
}
