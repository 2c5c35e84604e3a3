//! Work that its owner drives as long as it lasts, and that a runtime finishes when the owner is
//! dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Runs in the owner's task, which saves two changes of thread for each webhook. When it is dropped
/// before its end, it goes on as a task of `runtime`.
pub(super) struct Outliving<F: Future<Output: Send> + Send + 'static> {
    work: Option<Pin<Box<F>>>,
    tasks: TaskTracker,
    runtime: Handle,
}

impl<F: Future<Output: Send> + Send + 'static> Outliving<F> {
    pub(super) fn new(work: F, tasks: &TaskTracker, runtime: &Handle) -> Self {
        Self {
            work: Some(Box::pin(work)),
            tasks: tasks.clone(),
            runtime: runtime.clone(),
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Outliving<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(work) = &mut this.work else {
            return Poll::Pending;
        };
        // Timers of the work belong to the runtime that may have to finish it. The owner's own may
        // end before.
        let _entered = this.runtime.enter();
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            this.work = None;
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Outliving<F> {
    fn drop(&mut self) {
        // Work that panicked has no end.
        if let Some(work) = self.work.take()
            && !std::thread::panicking()
        {
            self.tasks.spawn_on(work, &self.runtime);
        }
    }
}
