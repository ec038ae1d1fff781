//! The executor: polls the futures that requests are.
//!
//! A request waits for promises one after the other, so a future is polled by the very callback of the
//! promise that it waits for: there is no queue and no microtask in between. [`settled`] makes such
//! a wait. Futures that were not made here, such as those of the `worker` crate, work as well; they
//! wake through an [`Alarm`].
//!
//! `entry.js` has the other half: it calls [`crate::events`] and [`resume`], and it tells with
//! [`forget`] that the runtime has dropped a request, so that nothing of it stays.

use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::ptr;
use core::task::{Context as PollContext, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;

use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::{self, JsValue};

use super::glue;
use super::platform::time_passed;

type Work = Pin<Box<dyn Future<Output = JsValue>>>;

struct Task {
    id: u32,
    /// Not here while it is polled.
    work: Option<Work>,
    alarm: Arc<Alarm>,
    /// JavaScript keeps it alive, since only its number is known to what it waits for.
    held: bool,
}

/// What a promise came to.
struct Arrival {
    promise: u32,
    outcome: Option<(u32, JsValue)>,
    /// Whom to tell, if not the task itself: a part of it that is polled apart from the rest.
    part: Option<Waker>,
}

#[derive(Default)]
struct Executor {
    last: u32,
    tasks: Vec<Task>,
    arrivals: Vec<Arrival>,
    /// The waker of the task that is being polled.
    polled: Option<*const ()>,
}

thread_local! {
    static EXECUTOR: RefCell<Executor> = RefCell::default();
}

/// Wakes a task by its number.
struct Alarm(u32);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        glue::wake(self.0);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        glue::wake(self.0);
    }
}

/// Begins a task. Its number while it has to wait, 0 when it is done.
pub fn start(work: impl Future<Output = JsValue> + 'static) -> u32 {
    let id = add(Box::pin(work));
    if run(id) { id } else { 0 }
}

/// Work of its own, apart from any request. The runtime may end it with the request that began it.
pub fn detach(work: impl Future<Output = ()> + 'static) {
    glue::spawn(add(Box::pin(nothing(work))), &JsValue::UNDEFINED);
}

async fn nothing(work: impl Future<Output = ()>) -> JsValue {
    work.await;
    JsValue::UNDEFINED
}

fn add(work: Work) -> u32 {
    EXECUTOR.with_borrow_mut(|executor| {
        executor.last = executor.last.checked_add(1).unwrap_or(1);
        let id = executor.last;
        let alarm = Arc::new(Alarm(id));
        executor.tasks.push(Task { id, work: Some(work), alarm, held: false });
        id
    })
}

/// Polls a task. Tells whether it has to wait again.
fn run(id: u32) -> bool {
    time_passed();
    let taken = EXECUTOR.with_borrow_mut(|executor| {
        let task = executor.tasks.iter_mut().find(|task| task.id == id)?;
        executor.polled = Some(Arc::as_ptr(&task.alarm).cast());
        Some((task.work.take()?, Arc::clone(&task.alarm)))
    });
    let Some((mut work, alarm)) = taken else { return false };
    let waker = Waker::from(alarm);
    match work.as_mut().poll(&mut PollContext::from_waker(&waker)) {
        Poll::Ready(value) => {
            remove(id);
            glue::finish(value);
            false
        }
        Poll::Pending => {
            drop(waker);
            EXECUTOR.with_borrow_mut(|executor| {
                if let Some(task) = executor.tasks.iter_mut().find(|task| task.id == id) {
                    task.work = Some(work);
                    // Somebody else has the alarm: a future that was not made here.
                    let held = Arc::strong_count(&task.alarm) > 1;
                    match (task.held, held) {
                        (false, true) => glue::hold(id),
                        (true, false) => glue::release(id),
                        _ => {}
                    }
                    task.held = held;
                }
            });
            true
        }
    }
}

fn remove(id: u32) {
    let removed = EXECUTOR.with_borrow_mut(|executor| {
        let at = executor.tasks.iter().position(|task| task.id == id)?;
        Some(executor.tasks.swap_remove(at))
    });
    drop(removed); // after the borrow: what a future drops may come back here
}

/// A promise that a task waits for was settled; `promise` 0 if it is to be polled for another reason.
#[wasm_bindgen]
pub fn resume(id: u32, promise: u32, outcome: u32, value: JsValue) {
    let part = EXECUTOR.with_borrow_mut(|executor| {
        let arrival = executor.arrivals.iter_mut().find(|arrival| arrival.promise == promise)?;
        arrival.outcome = Some((outcome, value));
        arrival.part.take()
    });
    if let Some(part) = part {
        part.wake();
    }
    run(id);
}

/// The runtime has dropped the request: its caller is gone.
#[wasm_bindgen]
pub fn forget(id: u32) {
    remove(id);
}

/// How many requests and pieces of work are under way.
#[wasm_bindgen]
#[must_use]
pub fn tasks() -> usize {
    EXECUTOR.with_borrow(|executor| executor.tasks.len())
}

/// The value of a promise, or the reason for which it was rejected.
pub async fn settled(promise: &Promise) -> Result<JsValue, JsValue> {
    Settled::new(glue::settle(promise)).await.map(|(_, value)| value)
}

/// Waits for a promise that JavaScript has numbered. Gives the outcome's number, which JavaScript
/// chooses, with the value.
pub struct Settled(u32);

impl Settled {
    /// Of the promise with that number.
    #[must_use]
    pub fn new(promise: u32) -> Self {
        let arrival = Arrival { promise, outcome: None, part: None };
        EXECUTOR.with_borrow_mut(|executor| executor.arrivals.push(arrival));
        Self(promise)
    }
}

impl Future for Settled {
    type Output = Result<(u32, JsValue), JsValue>;

    fn poll(self: Pin<&mut Self>, context: &mut PollContext<'_>) -> Poll<Self::Output> {
        EXECUTOR.with_borrow_mut(|executor| {
            let polled = executor.polled;
            let arrival = executor.arrivals.iter_mut().find(|arrival| arrival.promise == self.0);
            let Some(arrival) = arrival else { return Poll::Pending };
            match arrival.outcome.take() {
                Some((0, reason)) => Poll::Ready(Err(reason)),
                Some(outcome) => Poll::Ready(Ok(outcome)),
                None => {
                    let waker = context.waker();
                    let own = polled.is_some_and(|own| ptr::eq(own, waker.data()));
                    arrival.part = (!own).then(|| waker.clone());
                    Poll::Pending
                }
            }
        })
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        let arrival = EXECUTOR.with_borrow_mut(|executor| {
            let at = executor.arrivals.iter().position(|arrival| arrival.promise == self.0)?;
            Some(executor.arrivals.swap_remove(at))
        });
        drop(arrival);
    }
}

/// Work that most requests have nothing to do with, kept out of the function that all of them run.
/// An `async` function holds everything that it awaits, and the runtime compiles it as a whole before
/// the first request: a test watches its size.
#[inline(never)]
pub fn apart<'a, T>(work: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(work)
}

/// What the runtime gives with an event.
pub struct Context(JsValue);

impl Context {
    /// From the platform's own.
    #[must_use]
    pub const fn new(context: JsValue) -> Self {
        Self(context)
    }

    /// Work behind the answer: the runtime waits for it, 30 s at most.
    pub fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        glue::spawn(add(Box::pin(nothing(work))), &self.0);
    }
}
