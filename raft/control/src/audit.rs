//! Records of control-plane writes (spec §10, S113): a chain of hashes whose head stays in the state for ever, and the
//! newest records, until a job has copied them elsewhere. So the control plane keeps its own account without a database.

mod outbox;
mod record;

pub use outbox::{AuditImage, Outbox};
pub use record::{Broken, ChainHash, Head, Record, verify};

pub(crate) use record::Written;

use crate::command::Command;
use crate::envelope::Envelope;
use crate::outcome::{Outcome, Reject};

/// The first format whose members keep records.
pub const AUDIT_FORMAT: u16 = 2;

/// Who acts when nobody asked: hellojohn itself.
pub const SYSTEM: &str = "system";

/// What is to be recorded of a command, if anything. `changed`: whether tenants, global keys or the cluster are others now.
pub(crate) fn written<'a>(
    envelope: &'a Envelope,
    result: &Result<Outcome, Reject>,
    changed: bool,
) -> Option<Written<'a>> {
    let by_system = envelope.actor == SYSTEM;
    let reason = match result {
        // It has its record, or is about the records themselves.
        Ok(Outcome::Replayed { .. } | Outcome::AuditTrimmed { .. }) => return None,
        Ok(_) if by_system && !changed => return None,
        Ok(_) => None,
        // The leader makes the key and asks again.
        Err(Reject::KeyNeeded { .. }) => return None,
        // A job that came too early, or too late, comes again.
        Err(_) if by_system => return None,
        Err(reject) => Some(reject.code()),
    };
    let command = &envelope.command;
    Some(Written {
        at: envelope.at,
        tenant: command.tenant(),
        actor: &envelope.actor,
        request_id: &envelope.request_id,
        action: command.action(),
        target: target(command),
        reason,
        ip: envelope.ip,
    })
}

/// What the command is about, where it is not the tenant itself.
fn target(command: &Command) -> Option<String> {
    match command {
        Command::RaiseFormat { to, .. } => Some(to.to_string()),
        Command::RetireKeys { keys } => {
            let names: Vec<String> =
                keys.iter().map(|key| format!("{}/{}", key.set.as_str(), key.kid)).collect();
            Some(names.join(" "))
        }
        other => other.object().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
