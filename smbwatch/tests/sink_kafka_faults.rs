//! A cluster that errs, is slow or goes away, by librdkafka's own mock of one: what arrives and what is counted as lost
//! is what was made.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr::{self, *};
use support::alerts::{Maker, close, send, start, wait_for};
use support::broker::{TOPIC, consume};
use support::lab::{End, Lab};

const COUNT: usize = 400;

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Lets `harm` happen while alerts are delivered; returns how many are lost.
fn survive(test: &str, harm: impl FnOnce(&Cluster) + Send) -> Option<u64> {
    let lab = Lab::make(test)?;
    // The cluster and its threads stay inside.
    Some(lab.inside(End::Host, || {
        let cluster = MockCluster::new(3).expect("a cluster");
        cluster.create_topic(TOPIC, 2, 3).expect("make the topic");
        let brokers = cluster.bootstrap_servers();
        let sink = start(
            &lab,
            &format!("[[sinks]]\ntype = \"kafka\"\nbrokers = {:?}\ntopic = \"{TOPIC}\"", quoted(&brokers)),
        );
        let mut maker = Maker::new();
        let mut made = send(&sink, &mut maker, 1);
        wait_for(&sink, "the first is delivered", |counts| counts.delivered == 1);
        // While the answer to the second is on its way, the others gather, so that none of them is alone.
        cluster.broker_round_trip_time(-1, Duration::from_secs(2)).expect("slow them");
        made.extend(send(&sink, &mut maker, 1));
        wait_for(&sink, "the second is in the spool", |counts| counts.spooled == 1);
        made.extend(send(&sink, &mut maker, COUNT));
        wait_for(&sink, "the others are in the spool", |counts| counts.spooled >= COUNT as u64);
        cluster.broker_round_trip_time(-1, Duration::ZERO).expect("speed them up");
        harm(&cluster);
        wait_for(&sink, "none is left", |counts| counts.queued == 0 && counts.spooled == 0);
        let lost = close(sink).lost;
        assert_eq!(lost.total(), lost.refused, "{lost:?}");
        let count = made.len() - usize::try_from(lost.refused).expect("not so many");
        let arrived = consume(&lab, &[("bootstrap.servers", &brokers)]);
        assert_eq!(arrived.len(), count);
        let made: HashSet<String> = made.into_iter().collect();
        assert!(arrived.iter().all(|id| made.contains(id)));
        lost.refused
    }))
}

fn quoted(brokers: &str) -> Vec<&str> {
    brokers.split(',').collect()
}

/// The next requests to write are answered so.
fn answered(test: &str, error: RDKafkaRespErr, times: usize) -> Option<u64> {
    survive(test, |cluster| cluster.request_errors(Produce, &vec![error; times]))
}

#[test]
fn errors_that_pass_cost_nothing() {
    for error in [
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
        RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        RD_KAFKA_RESP_ERR__TRANSPORT,
    ] {
        let Some(lost) = answered("errors_that_pass_cost_nothing", error, 3) else { return };
        assert_eq!(lost, 0, "{error:?}");
    }
}

#[test]
fn a_batch_that_is_too_large_is_cut() {
    let test = "a_batch_that_is_too_large_is_cut";
    let Some(lost) = answered(test, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 3) else { return };
    assert_eq!(lost, 0);
}

#[test]
fn what_is_refused_alone_is_counted() {
    let test = "what_is_refused_alone_is_counted";
    let Some(lost) = answered(test, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 30) else { return };
    assert!((1..30).contains(&lost), "{lost} are lost");
}

#[test]
fn a_slow_cluster_gets_all() {
    let test = "a_slow_cluster_gets_all";
    let lost = survive(test, |cluster| {
        cluster.broker_round_trip_time(-1, Duration::from_millis(700)).expect("slow them");
    });
    assert!(lost.is_none_or(|lost| lost == 0));
}

#[test]
fn brokers_that_go_and_come_back_get_all() {
    let Some(lab) = Lab::make("brokers_that_go_and_come_back_get_all") else { return };
    lab.inside(End::Host, || {
        let cluster = MockCluster::new(2).expect("a cluster");
        cluster.create_topic(TOPIC, 1, 2).expect("make the topic");
        let brokers = cluster.bootstrap_servers();
        let sink = start(
            &lab,
            &format!("[[sinks]]\ntype = \"kafka\"\nbrokers = {:?}\ntopic = \"{TOPIC}\"", quoted(&brokers)),
        );
        let mut maker = Maker::new();
        let mut made = Vec::new();
        for (broker, other) in [(1, 2), (2, 1)] {
            cluster.partition_leader(TOPIC, 0, Some(broker)).expect("lead");
            made.extend(send(&sink, &mut maker, 100));
            wait_for(&sink, "none is left", |counts| counts.queued == 0 && counts.spooled == 0);
            cluster.broker_down(broker).expect("stop it");
            made.extend(send(&sink, &mut maker, 100));
            wait_for(&sink, "all wait", |counts| counts.spooled == 100);
            cluster.partition_leader(TOPIC, 0, Some(other)).expect("lead");
            wait_for(&sink, "none is left", |counts| counts.spooled == 0);
            cluster.broker_up(broker).expect("start it");
        }
        cluster.broker_down(-1).expect("stop all");
        made.extend(send(&sink, &mut maker, 100));
        wait_for(&sink, "all wait", |counts| counts.spooled == 100);
        cluster.broker_up(-1).expect("start all");
        wait_for(&sink, "none is left", |counts| counts.spooled == 0);
        assert_eq!(close(sink).lost.total(), 0);
        assert_eq!(consume(&lab, &[("bootstrap.servers", &brokers)]), made);
    });
}
