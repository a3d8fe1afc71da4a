use std::fs;

use hellojohn_control::{Issuer, Machine};

use super::*;

fn run(engine: &mut Engine, view: &Arc<View>, scan: Option<Depth>) -> Summary {
    let summary = engine.run(view, scan, &Progress::default());
    assert_eq!(summary.report.trouble(), None);
    summary
}

fn view() -> Arc<View> {
    use hellojohn_control::documents::TenantPatch;
    use hellojohn_control::{Batch, Command, Envelope, Slug};
    let mut machine = Machine::new(Issuer::new("https://id.example.com"));
    let command = Command::PutTenant {
        slug: Slug::parse("acme").unwrap(),
        patch: TenantPatch::default(),
        new_keys: Vec::new(),
    };
    let envelope = Envelope {
        at: Timestamp::default(),
        actor: "system".to_owned(),
        request_id: "r".to_owned(),
        ip: None,
        precondition: None,
        idempotency: None,
        command,
    };
    machine.apply(&Batch::new(vec![envelope])).unwrap().remove(0).unwrap();
    Arc::new(machine.view(1))
}

/// F12: a disk that rots changes bytes and no stamp. Only reading finds it.
#[test]
fn bytes_that_changed_under_a_known_stamp_are_found_by_reading_all_of_them() {
    let temp = tempfile::tempdir().unwrap();
    let view = view();
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
    let view = view();
    let mut engine = Engine::new(temp.path().to_owned(), Arc::new(Timestamp::default), None);
    fs::write(temp.path().join("raft"), "in the way").unwrap();
    let summary = engine.run(&view, None, &Progress::default());
    assert_eq!((summary.report.errors, summary.report.written), (1, 2));
    fs::remove_file(temp.path().join("raft")).unwrap();
    run(&mut engine, &view, None);
    assert_eq!(index::read(temp.path()).unwrap(), Some(1));
}
