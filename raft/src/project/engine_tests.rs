use std::fs;

use hellojohn_control::documents::{Patch, TenantPatch};
use hellojohn_control::{Batch, Command, Envelope, Issuer, Machine, Slug};

use super::*;

fn run(engine: &mut Engine, view: &Arc<View>, scan: Option<Depth>) -> Summary {
    let summary = engine.run(view, scan, &Progress::default());
    assert_eq!(summary.report.trouble(), None);
    summary
}

/// A view for each title that one tenant had in turn.
fn views<const N: usize>(titles: [&str; N]) -> [Arc<View>; N] {
    views_of(&["acme".to_owned()], titles)
}

/// A view for each title that these tenants had in turn.
fn views_of<const N: usize>(slugs: &[String], titles: [&str; N]) -> [Arc<View>; N] {
    let mut machine = Machine::new(Issuer::new("https://id.example.com"));
    let mut index = 0;
    titles.map(|title| {
        let puts = slugs.iter().map(|slug| Envelope {
            at: Timestamp::default(),
            actor: "system".to_owned(),
            request_id: "r".to_owned(),
            ip: None,
            precondition: None,
            idempotency: None,
            command: Command::PutTenant {
                slug: Slug::parse(slug).unwrap(),
                patch: TenantPatch { name: Patch::Set(title.to_owned()), ..TenantPatch::default() },
                new_keys: Vec::new(),
            },
        });
        for outcome in machine.apply(&Batch::new(puts.collect())).unwrap() {
            outcome.unwrap();
        }
        index += 1;
        Arc::new(machine.view(index))
    })
}

/// F12: a disk that rots changes bytes and no stamp. Only reading finds it.
#[test]
fn bytes_that_changed_under_a_known_stamp_are_found_by_reading_all_of_them() {
    let temp = tempfile::tempdir().unwrap();
    let [view] = views(["Acme"]);
    let mut engine = Engine::new(temp.path().to_owned(), Arc::new(Timestamp::default), None);
    assert_eq!(run(&mut engine, &view, None).report.written, 2);
    let path = temp.path().join("tenants/acme/tenant.yaml");
    let right = fs::read(&path).unwrap();
    fs::write(&path, right.to_ascii_uppercase()).unwrap();
    // As if the write had left no trace.
    let root = Dir::open_configured(temp.path()).unwrap();
    let dir = root.descend("tenants/acme".as_ref()).unwrap().unwrap();
    let stamp = dir.stat("tenant.yaml".as_ref()).unwrap().unwrap().stamp;
    engine.memory.known.insert("tenants/acme/tenant.yaml".into(), stamp);

    assert_eq!(run(&mut engine, &view, Some(Depth::Stamps)).report.repairs, 0);
    assert_ne!(fs::read(&path).unwrap(), right);
    let summary = run(&mut engine, &view, Some(Depth::Bytes));
    assert_eq!((summary.report.repairs, summary.report.quarantined), (1, 1));
    assert_eq!(fs::read(&path).unwrap(), right);
}

#[test]
fn an_index_that_could_not_be_written_is_owed_until_it_can() {
    let temp = tempfile::tempdir().unwrap();
    let [view] = views(["Acme"]);
    let mut engine = Engine::new(temp.path().to_owned(), Arc::new(Timestamp::default), None);
    fs::write(temp.path().join("raft"), "in the way").unwrap();
    let summary = engine.run(&view, None, &Progress::default());
    assert_eq!((summary.report.errors, summary.report.written), (1, 2));
    fs::remove_file(temp.path().join("raft")).unwrap();
    run(&mut engine, &view, None);
    assert_eq!(index::read(temp.path()).unwrap(), Some(1));
}

#[test]
fn a_file_that_a_cut_off_run_left_behind_is_no_damage() {
    let temp = tempfile::tempdir().unwrap();
    let [before, after] = views(["Before", "After"]);
    let mut engine = Engine::new(temp.path().to_owned(), Arc::new(Timestamp::default), None);
    run(&mut engine, &before, None);
    let stopped = Progress::default();
    stopped.stop();
    assert_eq!(engine.run(&after, None, &stopped).projected_index, None);
    let path = temp.path().join("tenants/acme/tenant.yaml");
    assert!(fs::read_to_string(&path).unwrap().contains("Before"));
    // All bytes are read, and the state has gone on.
    let summary = run(&mut engine, &after, Some(Depth::Bytes));
    assert_eq!((summary.report.written, summary.report.repairs, summary.report.quarantined), (1, 0, 0));
    assert!(fs::read_to_string(&path).unwrap().contains("After"));
}

/// F11: what a crash left half written is cleared away before the same file is written again, whichever of the two names
/// the directory lists first.
#[test]
fn unfinished_files_of_a_crash_are_not_in_the_way_of_new_ones() {
    let temp = tempfile::tempdir().unwrap();
    let slugs: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    let [before, after] = views_of(&slugs, ["Before", "After"]);
    let engine = |persisted| Engine::new(temp.path().to_owned(), Arc::new(Timestamp::default), persisted);
    run(&mut engine(None), &before, None);
    for slug in &slugs {
        let dir = temp.path().join("tenants").join(slug);
        let text = fs::read(dir.join("tenant.yaml")).unwrap();
        fs::remove_file(dir.join("tenant.yaml")).unwrap();
        // Some file systems list the newest name first.
        fs::write(dir.join(".tenant.yaml.tmp"), "half").unwrap();
        fs::write(dir.join("tenant.yaml"), text).unwrap();
    }
    let summary = run(&mut engine(Some(1)), &after, None);
    assert_eq!(summary.report.written, 40);
    for slug in &slugs {
        let dir = temp.path().join("tenants").join(slug);
        assert!(fs::read_to_string(dir.join("tenant.yaml")).unwrap().contains("After"));
        assert!(!dir.join(".tenant.yaml.tmp").exists());
    }
}
