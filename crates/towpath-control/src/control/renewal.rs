//! Certificates that change while the plan serves: looked at by their content, taken over without a reload, and cutting
//! nothing. A pair that cannot serve leaves the one before it in place, and that is said once.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use towpath_config::Diagnostic;
use towpath_config::Options;
use towpath_gateway::plan::Plan;
use towpath_net::tls::TicketKeys;

use super::{Control, Live};
use crate::compile::tls::{Renewal, policy_of, renew_policy, renew_upstream};
use crate::console::Console;

/// How often the files are looked at. They are few and small, and a look costs less than to be told of every change on
/// every kind of file system.
const INTERVAL: Duration = Duration::from_secs(2);

/// What is known of files that cannot serve, by the table they stand in.
#[derive(Debug, Default)]
pub(super) struct Kept {
    suspects: HashMap<String, Suspect>,
}

#[derive(Debug)]
struct Suspect {
    /// What the files are.
    definition: [u8; 32],
    is_told: bool,
}

/// Looks at the files now and then, as long as there is somebody to look for.
pub(super) async fn watch(control: Weak<Control>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(control) = control.upgrade() else { return };
        // A panic has said so on stderr; the next look may do better.
        let _ = tokio::task::spawn_blocking(move || control.renew_certificates()).await;
    }
}

impl Control {
    /// Takes over what has changed of the files of certificates, keys and authorities.
    fn renew_certificates(&self) {
        self.renew_locked(&mut self.live());
    }

    pub(super) fn renew_locked(&self, live: &mut Live) {
        let plan = self.engine.plan();
        let Live { parsed, kept, .. } = live;
        for (table, renewal) in look(&plan, &parsed.options, &self.limits.ticket_keys) {
            kept.settle(table, renewal, self.console);
        }
    }
}

/// Every table of the plan that names such files, and what came of a look at them.
fn look(plan: &Plan, options: &Options, keys: &Arc<TicketKeys>) -> Vec<(String, Renewal)> {
    let mut found = Vec::new();
    for (name, table) in &options.tls {
        if let Some(policy) = policy_of(plan, name) {
            found.push((format!("tls.{name}"), renew_policy(policy, table, keys)));
        }
    }
    for upstream in &plan.upstreams {
        if let Some(tls) = &upstream.settings.tls {
            let renewal = renew_upstream(tls, options, &upstream.name);
            found.push((format!("upstream.{}.tls", upstream.name), renewal));
        }
    }
    found
}

impl Kept {
    fn settle(&mut self, table: String, renewal: Renewal, console: Console) {
        match renewal {
            Renewal::Unchanged => drop(self.suspects.remove(&table)),
            Renewal::Renewed => {
                self.suspects.remove(&table);
                let message = format!("[{table}]: the new files serve; connections that are open stay open");
                console.info("certificate_renewed", &message);
            }
            Renewal::Refused { definition, fault } => {
                self.refuse(table, definition, &fault, console);
            }
        }
    }

    /// A certificate and its key are two files, and between the two writes they do not match. So a fault is told when it is
    /// still there at the next look, and then not again.
    fn refuse(&mut self, table: String, definition: [u8; 32], fault: &Diagnostic, console: Console) {
        match self.suspects.get_mut(&table) {
            Some(suspect) if suspect.definition == definition => {
                if !std::mem::replace(&mut suspect.is_told, true) {
                    let message = format!("[{table}]: {}; the old one serves on", fault.message);
                    console.warn("certificate_kept", &message);
                }
            }
            _ => drop(self.suspects.insert(table, Suspect { definition, is_told: false })),
        }
    }
}
