//! Brokers that stories have for themselves, one after the other: to start one costs seconds of processor time.
//!
//! A story that stops its broker, or blocks it, gives it back when it runs again. One that kills it does not: the next one gets a fresh
//! broker. Nor does one that fails.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::rabbitmq::RabbitMq;
use super::runner::note_wait;

/// Maximum number of these brokers that run at a time. Further stories wait until one is given back.
const MAX_BROKERS: usize = 3;

/// The brokers, and how many of them there are.
#[derive(Default)]
pub struct BrokerPool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<RabbitMq>,
    /// Number of brokers, those included that stories have.
    count: usize,
    /// Number of stories that have asked, and that have got a broker.
    tickets: usize,
    served: usize,
}

/// A broker that one story has for itself until this value goes away.
pub struct PrivateRabbitMq {
    /// There until it is given back.
    broker: Option<RabbitMq>,
    pool: Arc<BrokerPool>,
}

impl BrokerPool {
    /// A broker that runs and holds nothing.
    pub fn take(self: &Arc<Self>) -> PrivateRabbitMq {
        let begin = Instant::now();
        let idle = self.wait_for_turn();
        note_wait(begin.elapsed(), "a broker can be had");
        // From here on the turn is given back, whatever happens.
        let mut private = PrivateRabbitMq { broker: None, pool: Arc::clone(self) };
        private.broker = Some(match idle {
            Some(broker) => {
                broker.reset();
                broker
            }
            None => RabbitMq::start(""),
        });
        private
    }

    /// Waits until a broker is idle, which it returns, or until a further one may be started. Stories come in the order in which they ask.
    fn wait_for_turn(&self) -> Option<RabbitMq> {
        let mut state = self.lock();
        let ticket = state.tickets;
        state.tickets += 1;
        while state.served < ticket || (state.idle.is_empty() && state.count == MAX_BROKERS) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.served += 1;
        self.changed.notify_all();
        let idle = state.idle.pop();
        state.count += usize::from(idle.is_none());
        idle
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for PrivateRabbitMq {
    type Target = RabbitMq;

    fn deref(&self) -> &RabbitMq {
        self.broker.as_ref().expect("the story has it")
    }
}

impl Drop for PrivateRabbitMq {
    fn drop(&mut self) {
        let reusable = self.broker.take().filter(|broker| !std::thread::panicking() && broker.is_reusable());
        let mut state = self.pool.lock();
        match reusable {
            Some(broker) => state.idle.push(broker),
            None => state.count -= 1,
        }
        self.pool.changed.notify_all();
    }
}
