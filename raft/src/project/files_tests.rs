use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn root() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open_configured(temp.path()).unwrap();
    (temp, dir)
}

fn write(dir: &Dir, file: &str, bytes: &[u8]) -> Stamp {
    let unfinished = dir.prepare(name(file), bytes).unwrap();
    unfinished.sync().unwrap();
    dir.finish(&unfinished, name(file)).unwrap()
}

#[test]
fn new_content_replaces_the_old_in_one_step_and_is_for_the_owner_only() {
    let (temp, dir) = root();
    let first = write(&dir, "a.yaml", b"one");
    let unfinished = dir.prepare(name("a.yaml"), b"two").unwrap();
    assert_eq!(fs::read(temp.path().join("a.yaml")).unwrap(), b"one");
    let second = dir.finish(&unfinished, name("a.yaml")).unwrap();
    assert_ne!(first, second);
    assert_eq!(dir.stat(name("a.yaml")).unwrap().unwrap().stamp, second);
    assert_eq!(fs::read(temp.path().join("a.yaml")).unwrap(), b"two");
    assert_eq!(fs::metadata(temp.path().join("a.yaml")).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(dir.names().unwrap(), ["a.yaml"]);
}

/// S105: neither as a directory on the way nor as a temporary file is a link followed.
#[test]
fn symbolic_links_are_not_followed() {
    let (temp, dir) = root();
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(elsewhere.path(), temp.path().join("tenants")).unwrap();
    symlink(&victim, temp.path().join(".a.yaml.tmp")).unwrap();
    symlink(&victim, temp.path().join("a.yaml")).unwrap();

    let error = dir.child(name("tenants")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    assert!(error.to_string().contains("tenants"), "{error}");
    assert_eq!(dir.child_or_new(name("tenants")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    assert_eq!(dir.descend(Path::new("tenants/acme")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    assert!(dir.read(name("a.yaml"), 10).is_err());
    assert!(dir.make_file_private(name("a.yaml")).is_err());
    assert_eq!(dir.stat(name("a.yaml")).unwrap().unwrap().kind, Kind::Other);
    write(&dir, "a.yaml", b"ours");
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
    assert_eq!(fs::read(temp.path().join("a.yaml")).unwrap(), b"ours");
}

#[test]
fn a_planted_fifo_does_not_hold_the_reader_up() {
    let (temp, dir) = root();
    nix::unistd::mkfifo(&temp.path().join("pipe"), Mode::S_IRUSR).unwrap();
    assert_eq!(dir.stat(name("pipe")).unwrap().unwrap().kind, Kind::Other);
    assert_eq!(dir.read(name("pipe"), 10).unwrap(), b"");
}

#[test]
fn directories_are_made_once_and_removed_only_when_empty() {
    let (temp, dir) = root();
    let (child, new) = dir.child_or_new(name("a")).unwrap();
    assert!(new);
    assert!(!dir.child_or_new(name("a")).unwrap().1);
    assert_eq!(fs::metadata(temp.path().join("a")).unwrap().permissions().mode() & 0o7777, 0o700);
    write(&child, "x.yaml", b"x");
    assert!(!dir.remove_if_empty(name("a")).unwrap());
    child.unlink(name("x.yaml")).unwrap();
    child.unlink(name("x.yaml")).unwrap();
    assert!(dir.remove_if_empty(name("a")).unwrap());
    assert!(dir.remove_if_empty(name("a")).unwrap());
    assert!(dir.child(name("a")).unwrap().is_none());
}

#[test]
fn errors_name_the_path_and_the_step() {
    let (temp, dir) = root();
    fs::create_dir_all(temp.path().join("a.yaml/child")).unwrap();
    let unfinished = dir.prepare(name("a.yaml"), b"x").unwrap();
    let error = dir.finish(&unfinished, name("a.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("cannot rename into \"a.yaml\""), "{error}");
    dir.discard(&unfinished).unwrap();
    assert_eq!(dir.names().unwrap(), ["a.yaml"]);
}

#[test]
fn temporary_names_are_those_of_documents() {
    assert_eq!(temp_name(name("tenant.yaml")), ".tenant.yaml.tmp");
    assert!(is_temp_name(&temp_name(name("web.yaml"))));
    for other in ["tenant.yaml", ".hidden", "web.tmp.yaml", ".notes.tmp", "x.yaml.tmp"] {
        assert!(!is_temp_name(name(other)), "{other}");
    }
}
