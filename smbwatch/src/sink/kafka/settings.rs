//! What librdkafka is told of the cluster, and of how it is spoken to.

use std::fs::File;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use secrecy::ExposeSecret as _;

use crate::config::sinks::KafkaTarget;

/// How long a broker may take to let the agent in; less than it has for a batch, so that it is said why that failed.
const CONNECT: Duration = Duration::from_secs(8);

/// Settings of a producer whose broker has so long to take a batch.
pub(super) fn settings(target: &KafkaTarget, exchange: Duration) -> anyhow::Result<ClientConfig> {
    let brokers: Vec<String> = target.brokers.iter().map(ToString::to_string).collect();
    let mut config = ClientConfig::new();
    config
        // Connections that are cut are told of on this level.
        .set_log_level(RDKafkaLogLevel::Info)
        .set("client.id", "smbwatch")
        .set("bootstrap.servers", brokers.join(","))
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", exchange.as_millis().to_string())
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "1024")
        .set("queue.buffering.max.kbytes", "16384")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.connection.setup.timeout.ms", CONNECT.as_millis().to_string())
        .set("security.protocol", protocol(target.tls, target.sasl.is_some()));
    if target.tls {
        // OpenSSL is built with the agent, and does not know where a distribution keeps its authorities.
        config.set("ssl.ca.location", "probe");
    }
    for (key, path) in [
        ("ssl.ca.location", &target.ca),
        ("ssl.certificate.location", &target.certificate),
        ("ssl.key.location", &target.key),
    ] {
        if let Some(path) = path {
            let name = || format!("read {}", path.display());
            // OpenSSL would not say which file it is that it cannot read.
            File::open(path).with_context(name)?;
            config.set(key, path.to_str().context("its name is no UTF-8").with_context(name)?);
        }
    }
    if let Some(sasl) = &target.sasl {
        config
            .set("sasl.mechanism", sasl.mechanism.name())
            .set("sasl.username", &sasl.user)
            .set("sasl.password", sasl.password.read()?.expose_secret());
    }
    Ok(config)
}

const fn protocol(tls: bool, sasl: bool) -> &'static str {
    match (tls, sasl) {
        (false, false) => "plaintext",
        (false, true) => "sasl_plaintext",
        (true, false) => "ssl",
        (true, true) => "sasl_ssl",
    }
}
