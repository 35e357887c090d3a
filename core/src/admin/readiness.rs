//! Whether the host takes requests, and what it waits for where it does not.

use super::answers::{ReadyAnswer, Wait, WaitsFor};
use tokio::sync::watch;

/// How far a host has come with its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Plugins are loaded.
    Loading,
    /// The first verification keys are awaited.
    Keys,
    Serving,
    /// It is to be found no more, and serves those who come still.
    Leaving,
    /// Nothing is under way, and nobody is to come.
    Gone,
}

/// Who wants to know is told of each stage.
#[derive(Debug)]
pub struct Readiness(watch::Sender<Stage>);

impl Default for Readiness {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Loading))
    }
}

impl Readiness {
    /// A host that leaves comes back no more.
    pub fn reach(&self, stage: Stage) {
        self.0.send_modify(|now| {
            if *now < Stage::Leaving || stage > *now {
                *now = stage;
            }
        });
    }

    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.0.subscribe()
    }
}

/// What is answered. `trouble`: what this host can't serve and others can. `notes`: what others can't either.
pub(super) fn answer(stage: Stage, trouble: Option<String>, notes: Vec<String>) -> ReadyAnswer {
    let waits_for = |what, detail: &str| vec![WaitsFor { what, detail: detail.to_owned() }];
    let waits_for = match (stage, trouble) {
        (Stage::Loading, _) => {
            waits_for(Wait::Plugins, "plugins are being loaded, and endpoints of backends looked for")
        }
        (Stage::Keys, _) => waits_for(Wait::Keys, "the first verification keys are being fetched"),
        (Stage::Leaving | Stage::Gone, _) => {
            waits_for(Wait::End, "the host was told to stop, and finishes what is under way")
        }
        (Stage::Serving, Some(trouble)) => waits_for(Wait::Plugins, &trouble),
        (Stage::Serving, None) => Vec::new(),
    };
    ReadyAnswer { ready: waits_for.is_empty(), waits_for, notes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_says_what_it_waits_for() {
        let readiness = Readiness::default();
        let said = |trouble: Option<&str>| {
            let answer = answer(readiness.stage(), trouble.map(str::to_owned), vec!["no keys".to_owned()]);
            assert_eq!(answer.notes, ["no keys"]);
            (answer.ready, answer.waits_for.first().map(|wait| wait.what))
        };
        assert_eq!(said(None), (false, Some(Wait::Plugins)));
        readiness.reach(Stage::Keys);
        assert_eq!(said(None), (false, Some(Wait::Keys)));
        readiness.reach(Stage::Serving);
        assert_eq!((said(None), said(Some("no room"))), ((true, None), (false, Some(Wait::Plugins))));
        readiness.reach(Stage::Leaving);
        readiness.reach(Stage::Serving);
        assert_eq!((said(None), said(Some("no room"))), ((false, Some(Wait::End)), (false, Some(Wait::End))));
        readiness.reach(Stage::Gone);
        readiness.reach(Stage::Leaving);
        assert_eq!(readiness.stage(), Stage::Gone);
    }
}
