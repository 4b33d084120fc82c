//! Recorded steps of workers, held against the model: each must be one that the model allows after those before it.

use std::collections::{BTreeMap, HashSet};

use apt_ci::broker::{CLAIM_LOG_TARGET, ClaimStep};

use super::action::{Action, Decision, Effect};
use super::protocol::{Protocol, Rules};
use super::state::{At, Budget, Keeper, Slot, State, Verdict};

/// More states than this are not what a worker can be in: the trace is refused.
const MAX_STATES: usize = 100_000;

/// A step that a worker has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// As the log writes it: it sorts as text.
    pub time: String,
    /// Number of the log that it comes from.
    pub process: usize,
    pub slot: String,
    pub request: String,
    pub step: ClaimStep,
    /// What a taken message tells: the number of the attempt, and whether it had another holder.
    pub taken: Option<(u8, bool)>,
}

/// Reads the steps of claims in the logs of workers, in the order of their times.
pub fn read<'a>(logs: impl IntoIterator<Item = &'a str>) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for (process, log) in logs.into_iter().enumerate() {
        // A worker that is killed may leave half a line at the end.
        let whole = log.rfind('\n').map_or("", |end| &log[..=end]);
        for line in whole.lines() {
            if let Some((_, fields)) = line.split_once(&format!(" {CLAIM_LOG_TARGET}: ")) {
                events.push(event(process, line, fields).ok_or_else(|| format!("not a step of a claim: {line}"))?);
            }
        }
    }
    events.sort_by(|one, other| one.time.cmp(&other.time));
    Ok(events)
}

fn event(process: usize, line: &str, fields: &str) -> Option<Event> {
    let fields: BTreeMap<&str, &str> = fields.split(' ').filter_map(|field| field.split_once('=')).collect();
    let name = fields.get("step")?.trim_matches('"');
    let step = ClaimStep::ALL.into_iter().find(|step| step.as_str() == name)?;
    let taken = match step {
        ClaimStep::Taken => Some((fields.get("attempt")?.parse().ok()?, fields.get("redelivered")?.parse().ok()?)),
        _ => None,
    };
    let (time, request, slot) = (line.split(' ').next()?.to_owned(), *fields.get("uuid")?, *fields.get("slot")?);
    Some(Event { time, process, slot: slot.to_owned(), request: request.to_owned(), step, taken })
}

/// Holds the steps of every request against the model. Returns the number of steps.
///
/// # Errors
/// The first step that the model does not allow, with those before it.
pub fn replay(events: &[Event]) -> Result<usize, String> {
    let mut requests: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        requests.entry(&event.request).or_default().push(event);
    }
    requests.values().try_for_each(|events| replay_request(events))?;
    Ok(events.len())
}

fn replay_request(events: &[&Event]) -> Result<(), String> {
    let mut slots: Vec<(&str, usize)> = Vec::new();
    for event in events {
        if !slots.iter().any(|(name, _)| *name == event.slot) {
            slots.push((&event.slot, event.process));
        }
    }
    let mut processes: Vec<usize> = slots.iter().map(|(_, process)| *process).collect();
    processes.sort_unstable();
    processes.dedup();
    let worker = |process: &usize| processes.binary_search(process).ok().and_then(|index| u8::try_from(index).ok());
    let workers: Vec<u8> = slots.iter().filter_map(|(_, process)| worker(process)).collect();
    let index = |event: &Event| slots.iter().position(|(name, _)| *name == event.slot).unwrap_or_default();
    let protocol = Protocol {
        // Whether a store was quick is not in the logs.
        rules: Rules { commits_are_short: false, ..Rules::TRUE },
        workers,
        budget: Budget { crashes: 0, drops: 0, channels: 0, restarts: 0, failures: 0, stops: 0, renewals: 0 },
        max_attempts: u8::MAX,
        replays: true,
    };
    let mut initial = protocol.initial();
    // One that says that nobody had it before was submitted: the broker marks what it gives back.
    let submitted = events.iter().filter(|event| event.taken == Some((1, false))).count();
    let first = initial.messages[0];
    (1..submitted).for_each(|_| initial.add(first));
    let mut states = HashSet::from([initial]);
    for (number, event) in events.iter().enumerate() {
        let ahead = |slot| Ahead::of(events[number..].iter().filter(|event| index(event) == slot));
        let ahead: Vec<Ahead> = (0..slots.len()).map(ahead).collect();
        states = reachable(&protocol, states, &ahead);
        let slot = u8::try_from(index(event)).unwrap_or(u8::MAX);
        let next: HashSet<State> = states.iter().flat_map(|state| after(&protocol, state, slot, event)).collect();
        if next.is_empty() || states.len() > MAX_STATES {
            let line = |event: &&Event| format!("  {} {} {}", event.time, event.slot, event.step.as_str());
            let lines: Vec<String> = events[..=number].iter().map(line).collect();
            let (request, step) = (&event.request, event.step.as_str());
            let lines = lines.join("\n");
            let count = states.len();
            return Err(format!("request {request}: {step} is not possible in any of {count} states:\n{lines}"));
        }
        states = next;
    }
    Ok(())
}

/// What a slot logs next about the request, until it takes it again: what it does not log it has not done.
struct Ahead(Vec<ClaimStep>);

impl Ahead {
    fn of<'a>(events: impl Iterator<Item = &'a &'a Event>) -> Self {
        let mut steps: Vec<ClaimStep> = Vec::new();
        for event in events {
            steps.push(event.step);
            if event.step == ClaimStep::Taken {
                break;
            }
        }
        Self(steps)
    }

    /// The slot logs nothing more: it was killed, or the story ended.
    fn is_silent(&self) -> bool {
        self.0.is_empty()
    }

    fn next_is(&self, steps: &[ClaimStep]) -> bool {
        self.0.first().is_none_or(|next| steps.contains(next))
    }

    fn has(&self, steps: &[ClaimStep]) -> bool {
        self.0.iter().any(|step| steps.contains(step))
    }

    /// Whether the slot's channels may be lost before its claim is settled.
    fn may_lose(&self) -> bool {
        use ClaimStep::{GivenBack, Interrupted, Lost, Settled, SurplusDropped, Taken};
        self.has(&[Interrupted, GivenBack, Lost]) || !self.has(&[Settled, SurplusDropped, Taken])
    }

    /// Whether an action of the slot can make a difference.
    fn needs_effect(&self, what: Effect) -> bool {
        use ClaimStep::{GivenBack, HeldElsewhere, Interrupted, NoResult, Renewed, ResultFound};
        match what {
            Effect::StoreRenewal | Effect::RemoveRenewed => self.next_is(&[Renewed, Interrupted, GivenBack]),
            Effect::TellHeld => self.next_is(&[HeldElsewhere]),
            Effect::LookForResult => self.has(&[ResultFound, NoResult]),
            _ => true,
        }
    }

    fn needs_decision(&self, what: Decision) -> bool {
        use ClaimStep::{
            DeadLettered, Delayed, GivenBack, Interrupted, Lost, Published, PublishedElsewhere, Requeued, Settled,
            Unlocked,
        };
        let ends = self.next_is(&[Unlocked, DeadLettered, Settled, Interrupted, Lost]);
        match what {
            Decision::Decide(Verdict::Done) => ends && !self.has(&[Unlocked, DeadLettered]),
            Decision::Decide(Verdict::Requeue | Verdict::Return) => ends && self.has(&[Requeued]),
            // A worker may be killed, or cut off, between two steps of a verdict.
            Decision::Decide(Verdict::Later) => ends && self.has(&[Delayed, Unlocked]),
            Decision::Decide(Verdict::LaterUncounted) => ends && self.has(&[Delayed]),
            Decision::Decide(Verdict::Dead) => ends && self.has(&[DeadLettered]),
            Decision::DropClaim => self.has(&[GivenBack, Lost]),
            // A worker may be killed when the bundle is there and nothing says so yet.
            Decision::WriteBundle => self.has(&[ClaimStep::RunEnded]) || !self.has(&[Settled, ClaimStep::Taken]),
            Decision::BeginCommit => {
                self.has(&[Published, PublishedElsewhere]) || !self.has(&[Settled, ClaimStep::Taken])
            }
            Decision::BeginSettling => ends,
            Decision::TakePlace | Decision::Reconnect => !self.is_silent(),
            Decision::EndJob | Decision::CloseChannels => true,
        }
    }
}

/// All states that are reached from these without a logged step.
fn reachable(protocol: &Protocol, states: HashSet<State>, ahead: &[Ahead]) -> HashSet<State> {
    let mut seen: HashSet<State> = states.into_iter().map(|state| forget(state, ahead)).collect();
    let mut open: Vec<State> = seen.iter().cloned().collect();
    let mut actions = Vec::new();
    while let Some(state) = open.pop() {
        if seen.len() > MAX_STATES {
            break;
        }
        actions.clear();
        protocol.hidden_candidates(&state, &mut actions);
        for action in actions.iter().filter(|action| is_needed(protocol, **action, ahead)) {
            if let Some(next) = protocol.apply(&state, *action).map(|next| forget(next, ahead))
                && seen.insert(next.clone())
            {
                open.push(next);
            }
        }
    }
    seen
}

/// A slot that logs nothing more and has lost its connection, or knows that, does nothing more.
fn forget(mut state: State, ahead: &[Ahead]) -> State {
    for (slot, ahead) in state.slots.iter_mut().zip(ahead) {
        if ahead.is_silent() && (!slot.connected || slot.keeper == Keeper::Away) {
            *slot = Slot::IDLE;
        }
    }
    state
}

/// Whether an action can make a difference to what is logged later.
fn is_needed(protocol: &Protocol, action: Action, ahead: &[Ahead]) -> bool {
    let of = |slot: u8| &ahead[usize::from(slot)];
    match action {
        // The loss of every connection, one by one, is the same.
        Action::Restart | Action::Crash { .. } => false,
        Action::DropConnection { worker } => {
            let mut slots = protocol.workers.iter().zip(ahead).filter(|(of, _)| **of == worker);
            slots.any(|(_, ahead)| ahead.may_lose())
        }
        Action::CloseChannel { slot } => of(slot).may_lose(),
        Action::Broker { slot, what } => of(slot).needs_effect(what),
        Action::Worker { slot, what } => of(slot).needs_decision(what),
        _ => true,
    }
}

/// The states after a logged step.
fn after(protocol: &Protocol, state: &State, slot: u8, event: &Event) -> Vec<State> {
    let step = |message| protocol.apply(state, Action::Step { slot, step: event.step, message });
    let Some((attempt, redelivered)) = event.taken else {
        // A refusal that is logged again changes nothing.
        return step(0).into_iter().collect();
    };
    let fits = |index: &usize| {
        let message = &state.messages[*index];
        message.at == At::Queue && message.attempts + 1 == attempt && (redelivered || !message.marked)
    };
    let taken = (0..state.messages.len()).filter(fits).filter_map(|index| step(u8::try_from(index).ok()?));
    taken
        .map(|mut next| {
            next.slots[usize::from(slot)].marked |= redelivered;
            next
        })
        .collect()
}
