//! The one loop: whatever happens becomes an event for the state machine, whose actions the [`World`] enacts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{sleep_until, timeout};

use crate::hangup::{Hangup, Meaning};
use crate::notify::Report;
use crate::plan::Plan;
use crate::reap;
use crate::reload::Reloader;
use crate::schedule::Due;
use crate::state::{Event, Id, Level, Reloaded, ServiceStatus, State, Verb};
use crate::task::{News, Refusal, Task};
use crate::world::World;

/// What tasks tell the loop.
#[derive(Debug)]
pub enum Message {
    /// For the machine as it is.
    Event(Event),
    /// A service reports itself.
    Report(Id, Report),
    /// An operator asks what there is.
    Status(oneshot::Sender<Vec<ServiceStatus>>),
    /// An operator asks for something to be done.
    Act {
        /// Index of the service in the plan.
        service: usize,
        /// What.
        verb: Verb,
        /// One sentence, either way, once it is done.
        reply: oneshot::Sender<Result<String, String>>,
    },
    /// Somebody asks for a task.
    Task {
        /// What to do.
        task: Task,
        /// The news of it, or one sentence saying why it is not begun.
        reply: oneshot::Sender<Result<mpsc::Receiver<News>, Refusal>>,
    },
    /// The plan has been read again, and is good.
    Reload {
        /// The plan.
        plan: Arc<Plan>,
        /// What has come of it, once all of it is done; or one sentence saying why it is not begun.
        reply: oneshot::Sender<Result<Reloaded, Refusal>>,
    },
    /// Something is due by the clock.
    Due(Due),
    /// It is time to try again to clear up after a task that was killed.
    Recover,
    /// A task has ended and been heard.
    TaskEnded {
        /// The number of the task.
        number: u64,
        /// Its exit code.
        exit: u8,
        /// Why that is not 0, if it said so.
        reason: Option<String>,
    },
}

/// The signals that end the appliance in order or have it reload, caught from the moment this is made.
#[derive(Debug)]
pub struct StopSignals {
    streams: Vec<(&'static str, Signal)>,
    hangup: Hangup,
    child: Signal,
    describe: Signal,
}

impl StopSignals {
    /// Catches TERM, INT, QUIT and HUP, USR1 and USR2, and the end of children.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn catch() -> std::io::Result<Self> {
        let streams = vec![
            ("SIGTERM", signal(SignalKind::terminate())?),
            ("SIGINT", signal(SignalKind::interrupt())?),
            ("SIGQUIT", signal(SignalKind::quit())?),
        ];
        // Left to themselves these two would end us. The handler of the second stays though nobody listens to it; ignored
        // outright, it would be ignored by every service too.
        let describe = signal(SignalKind::user_defined1())?;
        drop(signal(SignalKind::user_defined2())?);
        Ok(Self { streams, hangup: Hangup::catch()?, child: signal(SignalKind::child())?, describe })
    }

    /// The name of the next signal to stop.
    async fn stop(streams: &mut [(&'static str, Signal)]) -> &'static str {
        std::future::poll_fn(|context| {
            for (name, stream) in streams.iter_mut() {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Runs the plan to its end and returns the exit code.
pub async fn run(
    plan: Arc<Plan>,
    mut world: World,
    mut signals: StopSignals,
    mut messages: mpsc::UnboundedReceiver<Message>,
    reloader: Arc<Reloader>,
) -> u8 {
    let mut state = State::new(plan, rand::random());
    state = feed(state, &mut world, Event::Begin);
    let mut was_up = false;
    let mut has_more = false;
    loop {
        // Reports that an earlier run could not deliver wait until they are in nobody's way.
        if !was_up && state.has_been_up() {
            was_up = true;
            world.deliver();
            world.catch_up();
            world.keep_ballast();
            state = feed(state, &mut world, Event::Tick);
        }
        if let Some(exit) = world.finished() {
            return end(world, exit).await;
        }
        let due = [state.next_deadline().map(|at| world.instant(at)), world.next_sweep()];
        let due = due.into_iter().flatten().min();
        tokio::select! {
            biased;
            _ = signals.child.recv() => {
                (state, has_more) = reap(state, &mut world);
            }
            name = StopSignals::stop(&mut signals.streams) => {
                state = feed(state, &mut world, Event::Shutdown { reason: name.to_owned() });
            }
            meaning = signals.hangup.next() => match meaning {
                Meaning::End => {
                    state = feed(state, &mut world, Event::Shutdown { reason: "SIGHUP, the terminal is gone".to_owned() });
                }
                Meaning::Reload => {
                    world.say(Level::Info, "SIGHUP: the plan is read again".to_owned());
                    let reloader = Arc::clone(&reloader);
                    tokio::spawn(async move { reloader.reload(false).await });
                }
            },
            Some(message) = messages.recv() => state = take(state, &mut world, message),
            _ = signals.describe.recv() => {
                state = feed(state, &mut world, Event::Tick);
                world.describe(&state.status());
            }
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                world.sweep();
                state = feed(state, &mut world, Event::Tick);
            }
            // Everybody else's turn comes between.
            () = yield_now(), if has_more => (state, has_more) = reap(state, &mut world),
        }
    }
}

/// Sees to the children that have ended or been stopped; true if there may be more that have ended.
fn reap(mut state: State, world: &mut World) -> (State, bool) {
    let (ended, has_more) = reap::reap();
    for (pid, exit) in ended {
        if let Some(id) = world.main_process_ended(pid, exit) {
            if state.is_failure(id, exit) {
                let lack = world.lack_at_failure(id);
                state = feed(state, world, lack);
            }
            state = feed(state, world, Event::Exited { id, exit });
        }
    }
    // That looks at every child, dead ones too: while there are many, it would cost more than to collect them.
    if !has_more {
        for (pid, by) in reap::stopped() {
            if let Some(id) = world.find_main(pid) {
                state = feed(state, world, Event::Stopped { id, by });
            }
        }
    }
    (state, has_more)
}

fn take(state: State, world: &mut World, message: Message) -> State {
    match message {
        Message::Event(event) => feed(state, world, event),
        Message::Report(id, Report::Ready) => {
            if world.ask(id) {
                return state;
            }
            feed(state, world, Event::Ready { id })
        }
        Message::Report(id, Report::Stopping) => feed(state, world, Event::Leaving { id }),
        Message::Report(id, Report::Alive) => feed(state, world, Event::Alive { id }),
        Message::Report(id, Report::Alarm) => feed(state, world, Event::Alarm { id }),
        Message::Report(id, Report::Extend(by)) => feed(state, world, Event::Extend { id, by }),
        Message::Report(id, Report::Status(text)) => {
            world.say(Level::Info, format!("{}: {text}", world.name(id)));
            state
        }
        Message::Status(reply) => {
            // Time passes without events too.
            let state = feed(state, world, Event::Tick);
            let _ = reply.send(state.status());
            state
        }
        Message::Act { service, verb, reply } => {
            let token = world.expect_answer(reply);
            feed(state, world, Event::Request { token, service, verb })
        }
        Message::Task { task, reply } => {
            let _ = reply.send(world.begin_task(task));
            feed(state, world, Event::Tick)
        }
        Message::Reload { plan, reply } => match world.may_reload() {
            Ok(()) => {
                let token = world.expect_reloaded(reply);
                feed(state, world, Event::Reload { token, plan })
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
                state
            }
        },
        Message::Due(due) => {
            world.begin_scheduled(&due);
            feed(state, world, Event::Tick)
        }
        Message::Recover => {
            world.recover();
            feed(state, world, Event::Tick)
        }
        Message::TaskEnded { number, exit, reason } => {
            world.task_ended(number, exit, reason);
            feed(state, world, Event::Tick)
        }
    }
}

/// Gives the machine an event, enacts what it wants, and goes on with what came of that.
fn feed(mut state: State, world: &mut World, event: Event) -> State {
    let mut next = Some(event);
    while let Some(event) = next {
        let (after, actions) = state.step(world.now(), event);
        state = after;
        world.observe(&state);
        for action in actions {
            world.enact(action);
        }
        world.sweep();
        next = world.pending();
    }
    state
}

/// Everything has stopped: whatever process is left is killed, and the last lines are written.
async fn end(mut world: World, exit: u8) -> u8 {
    let until = Instant::now() + Duration::from_secs(2);
    while !reap::kill_descendants() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let _ = timeout(Duration::from_secs(1), world.last_words()).await;
    world.say(if exit == 0 { Level::Info } else { Level::Error }, format!("stopped, exit {exit}"));
    world.close().await;
    world.show_blame();
    exit
}
