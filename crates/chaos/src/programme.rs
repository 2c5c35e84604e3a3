//! The fault programme: a seed becomes a list of faults. Nothing here knows how a fault is made.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

use crate::fault::{Damage, Fault, FaultKind, Misbehaviour};
use crate::target::{LinkEnds, Program, Victim};

const DAMAGES: [Damage; 5] = [
    Damage::Cut,
    Damage::Delayed,
    Damage::Throttled,
    Damage::AnswersLost,
    Damage::Frozen,
];
const MISBEHAVIOURS: [Misbehaviour; 3] = [
    Misbehaviour::LosesAnswers,
    Misbehaviour::Refuses,
    Misbehaviour::IsDown,
];
/// How many damaged links one round has. A round kills and freezes every process once.
const LINKS_A_ROUND: usize = 14;
/// Time without faults at the beginning.
const CALM_BEFORE_MS: u64 = 2_000;

/// Makes the same list for the same seed. All faults end before the traffic does.
pub(crate) fn programme(seed: u64, seconds: u64) -> Vec<Fault> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut faults = Vec::new();
    let mut round = Vec::new();
    let mut at_ms = CALM_BEFORE_MS;

    loop {
        if round.is_empty() {
            round = new_round(&mut rng);
        }
        let kind: FaultKind = round.pop().expect("a round has faults");
        let lasts_ms = duration_ms(&mut rng, kind);
        if at_ms + lasts_ms > seconds * 1000 {
            return faults;
        }

        faults.push(Fault {
            number: faults.len() + 1,
            at_ms,
            lasts_ms,
            kind,
        });

        // One fault in four overlaps the next.
        at_ms += if rng.random_range(0..4) == 0 {
            rng.random_range(200..=lasts_ms.clamp(201, 2000))
        } else {
            lasts_ms + rng.random_range(300..3000)
        };
    }
}

fn new_round(rng: &mut StdRng) -> Vec<FaultKind> {
    let mut round: Vec<FaultKind> = Victim::all()
        .flat_map(|victim| [FaultKind::Kill { victim }, FaultKind::Freeze { victim }])
        .chain([FaultKind::SpoolFull, FaultKind::DiskFull])
        .chain(MISBEHAVIOURS.map(|misbehaviour| {
            let simulator = *Program::SIMULATORS.choose(rng).expect("there are two");
            FaultKind::Authority {
                simulator,
                misbehaviour,
            }
        }))
        .collect();

    let mut links: Vec<(LinkEnds, Damage)> = LinkEnds::all()
        .into_iter()
        .flat_map(|ends| DAMAGES.map(|damage| (ends, damage)))
        .collect();
    links.shuffle(rng);
    round.extend(
        links
            .into_iter()
            .take(LINKS_A_ROUND)
            .map(|(ends, damage)| FaultKind::Link { ends, damage }),
    );

    round.shuffle(rng);
    round
}

fn duration_ms(rng: &mut StdRng, kind: FaultKind) -> u64 {
    match kind {
        FaultKind::Kill { .. } => rng.random_range(0..3000),
        // One freeze in three outlasts the lease of a claim.
        FaultKind::Freeze {
            victim: Victim::Program(Program::EtimsWorker1 | Program::EtimsWorker2),
        } if rng.random_range(0..3) == 0 => rng.random_range(11_000..14_000),
        FaultKind::SpoolFull | FaultKind::DiskFull => rng.random_range(5000..9000),
        _ => rng.random_range(1500..6000),
    }
}

#[cfg(test)]
#[path = "programme_tests.rs"]
mod tests;
