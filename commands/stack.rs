//! Large stacks, for deeply nested headers of messages.
//!
//! The headers of a message at RabbitMQ may hold tables within tables, as deep as a frame is large: more than 18,000
//! levels. The client library reads them recursively, in a thread of its own, and dropping such a message is recursive,
//! too. With the usual stack, one message of another program would end every process that receives it.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::Builder;

/// Size of the stacks, in bytes. Only the used part of a stack takes memory.
const STACK_SIZE: usize = 256 << 20;
/// Variable with the default stack size of threads, such as the library's. It is read when the first thread starts.
const STACK_SIZE_VARIABLE: &str = "RUST_MIN_STACK";

/// Executes this program again in the same process, with large stacks for its threads. Returns if they are large
/// already, or if that is not possible: then only such messages are a danger.
pub fn enlarge() {
    let size = std::env::var(STACK_SIZE_VARIABLE).ok().and_then(|size| size.parse::<usize>().ok());
    if size.is_some_and(|size| size >= STACK_SIZE) {
        return;
    }
    // By its path: as /proc/self/exe, it would be called "exe" in lists of processes.
    let Ok(path) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut program = Command::new(path);
    if let Some(name) = arguments.next() {
        program.arg0(name);
    }
    let error = program.args(arguments).env(STACK_SIZE_VARIABLE, STACK_SIZE.to_string()).exec();
    // Logging is not set up yet, and the command itself is not in danger.
    drop(error);
}

/// Runs the work in a thread with a large stack, because the stack size of the first thread cannot be chosen.
///
/// # Errors
/// When no thread can be started.
pub fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    let thread = Builder::new().name("apt-ci".to_owned()).stack_size(STACK_SIZE).spawn(work)?;
    Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
