//! Memory that is free, and given back to the system.

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
