//! Memory that is free, and given back to the system.

/// Arenas of the allocator: parts of memory that threads allocate from, so that they need not wait for each other. By
/// default there are eight for each processor, and each keeps what it had at its largest. No thread of the agent
/// allocates for each event.
#[cfg(target_env = "gnu")]
const ARENAS: i32 = 2;

/// Keeps the allocator from making an arena for each thread. To be called before there are threads.
pub fn limit_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes two numbers and changes a setting of the allocator's.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Gives back what was allocated for a while and is free: the allocator keeps it for later, and no other process can use it. What is
/// read when programs and rules are loaded is several times what remains of it. Takes some milliseconds; other threads
/// that allocate meanwhile wait for a part of them.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes and returns a number, may be called at any time by any thread, and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
