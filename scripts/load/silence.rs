//! A server that lets everybody connect and never says a word, as a database does whose host hangs.

use std::net::Ipv4Addr;

use tokio::net::TcpListener;

/// Holds every connection until the process is ended.
pub(crate) async fn run(port: u16) -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(|error| format!("port {port}: {error}"))?;
    let mut held = Vec::new();
    loop {
        let (connection, _) = listener.accept().await.map_err(|error| error.to_string())?;
        held.push(connection);
    }
}
