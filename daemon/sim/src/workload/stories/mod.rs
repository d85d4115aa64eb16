//! Stories: what takes several ledgers and people of its own, step by step, one transaction or a few at a time.

mod cast;
mod claiming;
mod governing;
mod issuing;
mod noting;
mod pooling;
mod refusing;
mod signing;
mod sponsoring;
mod trading;
mod wrapping;

use stellar_xdr::{ClaimableBalanceId, LedgerUpgrade};

use super::Planner;
use crate::tx::Plan;
use cast::Cast;

/// What a story is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Issuing,
    Sponsoring,
    Claiming,
    Pooling,
    Refusing,
    Signing,
    Trading,
    Noting,
    Wrapping,
    Governing,
}

const KINDS: [Kind; 10] = [
    Kind::Issuing,
    Kind::Sponsoring,
    Kind::Claiming,
    Kind::Pooling,
    Kind::Refusing,
    Kind::Signing,
    Kind::Trading,
    Kind::Noting,
    Kind::Wrapping,
    Kind::Governing,
];

/// Upgrades are as rare as that among all stories, unless everything is to happen.
const GOVERNING_EVERY: u32 = 8;

/// One story that goes on.
#[derive(Clone, Debug)]
struct Story {
    kind: Kind,
    /// How many stories came before: makes its people its own.
    run: u32,
    step: u32,
    /// Claimable balances that it made.
    balances: Vec<ClaimableBalanceId>,
}

/// How a story goes on.
enum Turn {
    /// These transactions, then the next step.
    Go(Vec<Plan>),
    /// Nothing can be done yet.
    Wait,
    /// There is no such step.
    End,
}

/// All stories that go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Stories {
    active: Vec<Story>,
    runs: u32,
}

impl Stories {
    /// The next steps: of every kind at once, or only of one after the other.
    pub(super) fn plan(&mut self, planner: &mut Planner<'_>, all: bool) -> (Vec<Plan>, Vec<LedgerUpgrade>) {
        if all {
            for kind in KINDS {
                if self.active.iter().all(|story| story.kind != kind) {
                    self.begin(kind);
                }
            }
        }
        let (mut plans, mut upgrades) = (Vec::new(), Vec::new());
        let mut moved = false;
        for mut story in std::mem::take(&mut self.active) {
            let mut cast = Cast::new(planner, &mut story);
            let turn = cast.turn();
            upgrades.append(&mut cast.upgrades);
            match turn {
                Turn::Go(more) => {
                    moved = true;
                    plans.extend(more);
                    story.step += 1;
                    self.active.push(story);
                }
                Turn::Wait => self.active.push(story),
                Turn::End => {}
            }
        }
        if !all && !moved {
            self.begin_next();
        }
        (plans, upgrades)
    }

    fn begin_next(&mut self) {
        let kinds = u32::try_from(KINDS.len()).unwrap_or(1);
        let at = usize::try_from(self.runs % kinds).unwrap_or(0);
        let Some(kind) = KINDS.get(at) else { return };
        if *kind == Kind::Governing && !(self.runs / kinds).is_multiple_of(GOVERNING_EVERY) {
            self.runs += 1;
            return;
        }
        self.begin(*kind);
    }

    fn begin(&mut self, kind: Kind) {
        self.active.push(Story { kind, run: self.runs, step: 0, balances: Vec::new() });
        self.runs += 1;
    }
}
