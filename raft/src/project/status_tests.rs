use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::super::report::Report;
use super::*;

fn failed(errors: u32) -> Summary {
    let mut report = Report { repairs: 2, ..Report::default() };
    for n in 0..errors {
        report.fail(&io::Error::other(format!("error {n}")));
    }
    Summary { report, ..Summary::default() }
}

#[test]
fn trouble_shows_until_a_run_succeeds_and_figures_add_up() {
    let board = Board::new(Some(4));
    assert_eq!(board.read().projected_index, Some(4));
    assert!(!board.note(&failed(3)));
    assert_eq!(board.read().fs_degraded.as_deref(), Some("error 0 (and 2 more errors)"));
    assert!(!board.note(&failed(1)));
    assert_eq!(board.read().fs_degraded.as_deref(), Some("error 0"));
    assert_eq!((board.read().projected_index, board.read().repairs), (Some(4), 4));
    let well = Summary { projected_index: Some(9), scanned: true, ..Summary::default() };
    assert!(board.note(&well));
    let status = board.read();
    assert_eq!((&status.fs_degraded, status.projected_index, status.scans), (&None, Some(9), 1));
}

#[test]
fn what_blocks_a_scan_shows_without_being_an_error() {
    let board = Board::new(None);
    let blocked = Summary { blocked: Some("quarantine/ is full".to_owned()), ..Summary::default() };
    assert!(board.note(&blocked));
    assert_eq!(board.read().fs_degraded.as_deref(), Some("quarantine/ is full"));
}

#[derive(Debug, Default)]
struct Figures(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Figures {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        Arc::clone(self.0.lock().unwrap().entry(key.name().to_owned()).or_default())
    }

    fn raw(&self, name: &str) -> u64 {
        self.0.lock().unwrap()[name].load(Ordering::Relaxed)
    }
}

impl Recorder for Figures {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// spec §11: `fs_degraded` is a metric.
#[test]
fn metrics_say_what_the_status_says() {
    let figures = Figures::default();
    metrics::with_local_recorder(&figures, || {
        let gauge = |name: &str| f64::from_bits(figures.raw(name));
        let board = Board::new(Some(4));
        assert_eq!(gauge("hellojohn_fs_degraded"), 0.0);
        assert_eq!(gauge("hellojohn_fs_projected_index"), 4.0);
        assert_eq!(figures.raw("hellojohn_fs_repairs_total"), 0);
        board.note(&failed(1));
        assert_eq!(gauge("hellojohn_fs_degraded"), 1.0);
        assert_eq!(figures.raw("hellojohn_fs_repairs_total"), 2);
        board.note(&Summary { projected_index: Some(9), ..Summary::default() });
        assert_eq!(gauge("hellojohn_fs_degraded"), 0.0);
        assert_eq!(gauge("hellojohn_fs_projected_index"), 9.0);
    });
}
