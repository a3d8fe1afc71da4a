use std::io;

use super::super::pass::Report;
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
