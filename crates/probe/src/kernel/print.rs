//! What libbpf prints. The callback of libbpf-rs ends the process where that is no UTF-8, as a name in an object that a user brings
//! need not be.

use std::{
    ffi::{c_char, c_int, c_void},
    mem,
};

use libbpf_sys::{LIBBPF_INFO, libbpf_print_fn_t, libbpf_print_level, libbpf_set_print};

/// Has libbpf print through [`keep`](super::keep), but for what only helps to debug it.
pub(super) fn redirect() {
    let print: unsafe extern "C" fn(_, _, _) -> _ = print;
    // SAFETY: the arguments are pointers on every architecture, whatever bindgen calls their type there, and the function takes such.
    unsafe { libbpf_set_print(mem::transmute::<*const (), libbpf_print_fn_t>(print as *const ())) };
}

/// # Safety
/// The arguments must be those of the format.
unsafe extern "C" fn print(level: libbpf_print_level, format: *const c_char, arguments: *mut c_void) -> c_int {
    if level <= LIBBPF_INFO {
        // SAFETY: libbpf calls this with a format and its arguments, see above.
        if let Ok(text) = unsafe { vsprintf::vsprintf_raw(format, arguments) } {
            super::keep(&String::from_utf8_lossy(&text));
        }
    }
    0
}
