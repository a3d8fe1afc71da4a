//! A mail server that takes every mail and keeps none, so that the nodes do all of their work.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Takes mails on a port for as long as the runtime lives.
pub(crate) async fn start(port: u16) -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(|error| format!("--smtp-port {port}: {error}"))?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // Whoever hangs up in the middle comes again.
            tokio::spawn(async move { drop(converse(connection).await) });
        }
    });
    Ok(())
}

/// As much of RFC 5321 as a well-behaved client needs.
async fn converse(mut connection: TcpStream) -> io::Result<()> {
    let (from, mut to) = connection.split();
    let mut lines = BufReader::new(from).lines();
    to.write_all(b"220 sink\r\n").await?;
    let mut in_mail = false;
    while let Some(line) = lines.next_line().await? {
        let answer = match (in_mail, line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str()) {
            (true, _) if line == "." => {
                in_mail = false;
                "250 taken\r\n"
            }
            (true, _) => continue,
            (false, "DATA") => {
                in_mail = true;
                "354 go on\r\n"
            }
            (false, "QUIT") => return to.write_all(b"221 bye\r\n").await,
            (false, _) => "250 sink\r\n",
        };
        to.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
