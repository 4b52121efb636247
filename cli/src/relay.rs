//! `osier relay`: an iroh relay on loopback, without TLS. For development and tests: browsers accept such a relay, and nobody else can reach it.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use iroh_relay::server::{RelayConfig, Server, ServerConfig};

use crate::failure::{Failure, Outcome};

#[derive(Args)]
pub(crate) struct Options {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 3340)]
    port: u16,
    /// End when standard input closes, so that the relay does not outlive the program that started it.
    #[arg(long)]
    while_stdin: bool,
}

/// Prints the relay's URL as the first line and runs until it is interrupted.
pub(crate) async fn run(options: Options) -> Outcome {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let mut config = ServerConfig::default();
    config.relay = Some(RelayConfig::new(address));
    let server = Server::spawn(config).await.map_err(|error| Failure::new(format!("cannot serve on {address}: {error}")))?;
    let bound = server.http_addr().ok_or_else(|| Failure::new("the relay did not start"))?;
    println!("http://{bound}");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        closed = input_closes(), if options.while_stdin => closed,
    }
}

async fn input_closes() -> Outcome {
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    Ok(())
}
