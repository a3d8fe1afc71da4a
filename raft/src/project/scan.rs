//! The comparison of the files with a view: missing and different files are written, unknown ones move to
//! the quarantine, our own unfinished ones are removed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use hellojohn_control::View;

use super::files::{Dir, Kind, is_temp_name};
use super::pass::{Ended, Pass};
use super::report::Depth;
use super::tree::{KEYS, Node, Place, TENANTS};

const TOP: [(&str, Place); 2] = [(TENANTS, Place::Tenants), (KEYS, Place::Keys)];

/// Compares all files with the view.
pub(super) fn everything(pass: &mut Pass<'_>, view: &View, depth: Depth) -> Result<(), Ended> {
    for (name, place) in TOP {
        let root = pass.root;
        below(pass, root, OsStr::new(name), &place, view, depth)?;
        // Also with nothing in them, so that nodes without tenants are equal too.
        let made = pass.directory(name.as_ref()).map(drop);
        pass.attempt(made)?;
    }
    pass.flush()
}

/// Removes the files that an unfinished earlier pass left of documents that the view does not have.
pub(super) fn sweep(pass: &mut Pass<'_>, view: &View) -> Result<(), Ended> {
    let expected: BTreeSet<PathBuf> =
        TOP.iter().flat_map(|(_, place)| place.documents(view)).map(|document| document.path()).collect();
    let gone: Vec<PathBuf> =
        pass.memory.known.keys().filter(|path| !expected.contains(*path)).cloned().collect();
    gone.iter().try_for_each(|path| pass.remove(path))
}

/// Compares the directory `name` of `parent`.
fn below(
    pass: &mut Pass<'_>,
    parent: &Dir,
    name: &OsStr,
    place: &Place,
    view: &View,
    depth: Depth,
) -> Result<(), Ended> {
    let opened = match parent.child(name) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            pass.move_away(parent, name).map(|_| None)
        }
        opened => opened,
    };
    match opened {
        Ok(Some(dir)) => inside(pass, &dir, place, view, depth),
        Ok(None) => missing(pass, &Node::Directory(place.clone()), view),
        Err(error) => pass.attempt(Err(error)),
    }
}

fn inside(pass: &mut Pass<'_>, dir: &Dir, place: &Place, view: &View, depth: Depth) -> Result<(), Ended> {
    let tightened = dir.make_private().map(|open| {
        if open {
            pass.repaired(dir.path(), "its permissions were open to others");
        }
    });
    pass.attempt(tightened)?;
    let names = match dir.names() {
        Ok(names) => names,
        Err(error) => return pass.attempt(Err(error)),
    };
    let mut expected = place.children(view);
    let (known, unknown): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| expected.contains_key(name));
    // What is not ours goes first: a file that a crash left unfinished has the name that the next one is written under.
    for name in unknown {
        let step = foreign(pass, dir, &name, place);
        pass.attempt(step)?;
    }
    for name in known {
        let Some(node) = expected.remove(&name) else { continue };
        match node {
            Node::File(document) => pass.check(dir, &document, depth)?,
            Node::Directory(place) => below(pass, dir, &name, &place, view, depth)?,
        }
    }
    expected.values().try_for_each(|node| missing(pass, node, view))
}

fn missing(pass: &mut Pass<'_>, node: &Node, view: &View) -> Result<(), Ended> {
    match node {
        Node::File(document) => pass.put(document),
        Node::Directory(place) => place.documents(view).iter().try_for_each(|document| pass.put(document)),
    }
}

/// Something that no document of the view explains.
fn foreign(pass: &mut Pass<'_>, dir: &Dir, name: &OsStr, place: &Place) -> io::Result<()> {
    let Some(stat) = dir.stat(name)? else { return Ok(()) };
    match stat.kind {
        Kind::File if is_temp_name(name) => dir.unlink(name),
        // What a crash leaves between the removal of the last document and that of its directory.
        Kind::Directory if place.has_directories() && dir.remove_if_empty(name)? => Ok(()),
        Kind::File | Kind::Directory | Kind::Other => pass.move_away(dir, name).map(drop),
    }
}
